//! `tamis run`: the lines of a config, each on its own; what fails begins again, what was changed begins anew.

mod attend;
mod backoff;
mod chore;
mod client;
pub mod metrics;
mod mqtt;
mod notify;
mod preview;
mod quiet;
mod report;
mod seat;
mod status;
mod trust;
mod uplink;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::attend::attend;
use self::chore::Chore;
use self::mqtt::{Broker, Publishing};
use self::notify::Notify;
use self::preview::previews;
use self::seat::Seat;
use self::status::Board;
use self::uplink::Sending;
use super::args::Run;
use super::http::Server;
use super::{Outcome, log, say, stop_flag};
use crate::codec::read_file;
use crate::error::{Error, Result};
use crate::pipeline::config::{
    Config, HttpConfig, LimitsConfig, Place, Restart, SinkConfig, StreamConfig,
};
use crate::pipeline::store::Store;
use crate::pipeline::{Flight, Heads, Outbox, Report};

/// How often the process looks after its lines.
const TICK: Duration = Duration::from_millis(50);
/// How often it looks whether a line that was told to end has.
const NAP: Duration = Duration::from_millis(2);
/// How often it looks whether the config was changed.
const RELOOK: Duration = Duration::from_millis(500);
/// Time at least for goodbye at the broker.
const GOODBYE: Duration = Duration::from_secs(1);
/// Longest token, in bytes.
const TOKEN: u64 = 4096;

/// Runs a config to its end, or until a signal asks to stop.
pub fn run(typed: &Run) -> anyhow::Result<Outcome> {
    log::set_format(typed.log_format);
    let config = Config::open(&typed.config)?;
    for stream in &config.streams {
        if let Some(infer) = &stream.infer {
            infer.options()?.1.into_iter().for_each(say);
        }
        if let Some(reason) = stream.codec.device.check()?.instead {
            say(format_args!("{}: no GPU, the processor encodes: {reason}", stream.name));
        }
    }
    let mut daemon = Daemon::begin(&typed.config, config)?;
    let ended = daemon.turn();
    report::print(typed, ended)
}

/// The lines of one process.
struct Daemon {
    path: PathBuf,
    config: Config,
    lines: BTreeMap<String, Line>,
    board: Arc<Board>,
    flight: Arc<Flight>,
    heads: Arc<Heads>,
    /// Files that sinks wrote.
    written: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// Events of all lines; it stays when the broker is another.
    outbox: Arc<Outbox>,
    store: Option<(Arc<Store>, Chore)>,
    server: Option<Server>,
    previews: Option<Chore>,
    notify: Notify,
}

/// A line that runs.
struct Line {
    config: StreamConfig,
    seat: Arc<Seat>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Report>>,
}

/// How a line ended.
struct Ended {
    name: String,
    config: StreamConfig,
    result: Result<Report>,
}

impl Daemon {
    fn begin(path: &Path, config: Config) -> Result<Self> {
        let mut daemon = Self {
            path: path.into(),
            board: Arc::new(Board::new(config.limits.silence.0)),
            config,
            lines: BTreeMap::new(),
            flight: Arc::default(),
            heads: Arc::default(),
            written: Arc::default(),
            outbox: Arc::default(),
            store: None,
            server: None,
            previews: None,
            notify: Notify::from_environment(),
        };
        daemon.open_store()?;
        daemon.serve(daemon.config.http.clone())?;
        daemon.send()?;
        daemon.publish()?;
        for stream in daemon.config.streams.clone() {
            daemon.start(stream, daemon.config.limits)?;
        }
        Ok(daemon)
    }

    /// Opens the store of the config, if it has one.
    fn open_store(&mut self) -> Result<()> {
        self.store = None;
        self.board.set_store(None);
        let Some(config) = &self.config.store else { return Ok(()) };
        let (store, recovered) = config.open()?;
        for r in recovered {
            let (packets, skipped) = (r.packets, r.skipped_bytes);
            let problem = r.problem.map_or(String::new(), |p| format!("; {p}"));
            let segment = r.segment;
            log::warn(
                Some(&r.stream),
                format_args!(
                    "segment {segment} was left open: {packets} packets, {skipped} bytes lost{problem}"
                ),
            );
        }
        let quota = config.settings()?.quota_bytes;
        self.board.set_store(Some((store.clone(), quota)));
        self.store = Some((store.clone(), Chore::of_store(&store)?));
        Ok(())
    }

    /// Sends what is stored, or no longer.
    fn send(&mut self) -> Result<()> {
        self.board.set_uplink(None);
        let (Some(config), Some(at), Some((store, _))) =
            (&self.config.uplink, &self.config.store, &self.store)
        else {
            return Ok(());
        };
        let names = stored(&self.config.streams);
        let sending = Sending::start(config, &at.folder, store, &names)?;
        self.board.set_uplink(Some(Arc::new(sending)));
        Ok(())
    }

    /// Publishes events and status, or no longer.
    fn publish(&mut self) -> Result<()> {
        let Some(config) = &self.config.mqtt else {
            self.say_goodbye(Instant::now() + GOODBYE);
            self.outbox.empty();
            return Ok(());
        };
        // What is wrong is found before anything is touched.
        let broker = Broker::new(config)?;
        self.say_goodbye(Instant::now() + GOODBYE);
        self.outbox.hold(config.queue);
        // The board knows who publishes.
        let board = Arc::downgrade(&self.board);
        let status = move || board.upgrade().map(|board| board.brief());
        let publishing = Publishing::start(config, broker, &self.outbox, status)?;
        self.board.set_mqtt(Some(Arc::new(publishing)));
        Ok(())
    }

    /// Ends the connection to the broker, if there is one.
    fn say_goodbye(&self, until: Instant) {
        if let Some(mqtt) = self.board.set_mqtt(None) {
            mqtt.end(until);
        }
    }

    /// Serves the pages, or no longer.
    fn serve(&mut self, http: Option<HttpConfig>) -> Result<()> {
        // The old door is closed first: the new one may be at its place.
        (self.server, self.previews) = (None, None);
        if let Some(http) = http {
            let token = http.token_file.as_ref().map(|file| read_token(file, "http.token_file"));
            let server = Server::start(http.listen, token.transpose()?, self.board.clone())?;
            say(format_args!("pages at http://{}", server.address()));
            (self.server, self.previews) = (Some(server), Some(previews(&self.board)?));
        }
        Ok(())
    }

    fn start(&mut self, config: StreamConfig, limits: LimitsConfig) -> Result<()> {
        let seat = self.board.seat(&config, &self.flight);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (config, seat, stop) = (config.clone(), seat.clone(), stop.clone());
            let place = Place {
                stop,
                store: self.store.as_ref().map(|s| s.0.clone()),
                heads: self.heads.clone(),
                written: self.written.clone(),
                outbox: Some(self.outbox.clone()),
                ..Place::default()
            };
            let run = move || attend(&config, &seat, &place, limits);
            let thread = std::thread::Builder::new().name("line".into());
            thread.spawn(run).map_err(|e| Error::io("thread of a line", e))?
        };
        self.lines.insert(config.name.clone(), Line { config, seat, stop, thread });
        Ok(())
    }

    /// Looks after the lines until all have ended.
    fn turn(&mut self) -> Vec<Ended> {
        let stop = stop_flag();
        let hangup = hangup_flag();
        let mut ended = Vec::new();
        let mut file = Changes::new(&self.path);
        self.notify.ready();
        let mut asked = None;
        loop {
            for name in self.over() {
                ended.extend(self.reap(&name, Instant::now()));
            }
            if self.lines.is_empty() {
                break;
            }
            if stop.load(Ordering::Relaxed) {
                asked = Some(Instant::now());
                self.notify.stopping();
                self.lines.values().for_each(|l| l.stop.store(true, Ordering::Relaxed));
                let names: Vec<String> = self.lines.keys().cloned().collect();
                let until = Instant::now() + self.bound();
                ended.extend(names.iter().filter_map(|name| self.reap(name, until)));
                break;
            }
            let asked = hangup.swap(false, Ordering::Relaxed);
            if asked {
                file.known();
            }
            if asked || file.settled() {
                self.notify.reloading();
                ended.extend(self.reload());
                self.notify.ready();
            }
            let hangs = self.lines.values().find(|l| !l.seat.turns(self.config.limits.hang.0));
            match hangs {
                None => self.notify.watchdog(),
                Some(line) => {
                    line.seat.fail_once("its sink hangs: the watchdog is not fed");
                }
            }
            self.notify.status(&self.board);
            std::thread::sleep(TICK);
        }
        (self.server, self.previews) = (None, None);
        self.unsent();
        self.board.set_uplink(None);
        let now = Instant::now();
        self.say_goodbye((asked.unwrap_or(now) + self.config.limits.drain.0).max(now + GOODBYE));
        match self.outbox.tally().queued {
            0 => {}
            n => log::warn(None, format_args!("mqtt: {n} events were not sent")),
        }
        ended
    }

    /// Says what is stored and not yet sent.
    fn unsent(&self) {
        let bytes = self.board.uplink().map_or(0, |u| u.sums().backlog_bytes);
        if bytes > 0 {
            let words = "of the store are not sent yet; they go on when it runs again";
            log::warn(None, format_args!("uplink: about {bytes} bytes {words}"));
        }
    }

    fn over(&self) -> Vec<String> {
        let over = self.lines.iter().filter(|(_, l)| l.thread.is_finished());
        over.map(|(name, _)| name.clone()).collect()
    }

    /// The time within which a line ends that was told to.
    fn bound(&self) -> Duration {
        self.config.limits.hang.0 + self.config.limits.drain.0
    }

    /// The end of a line that has ended or was told to. If it has not at `until`, it is left behind.
    fn reap(&mut self, name: &str, until: Instant) -> Option<Ended> {
        let line = self.lines.remove(name)?;
        while !line.thread.is_finished() && Instant::now() < until {
            self.notify.watchdog();
            std::thread::sleep(NAP);
        }
        let failed = |reason: &str| {
            Err(Error::Device { device: "cpu".into(), reason: format!("line {name}: {reason}") })
        };
        let result = match line.thread.is_finished() {
            true => line.thread.join().unwrap_or_else(|_| failed("who looks after it panicked")),
            false => {
                log::error(Some(name), "a sink hangs; the line is left behind");
                line.seat.ledger.give_up("hung");
                failed("a sink hangs; it is left behind")
            }
        };
        line.seat.end(result.as_ref().err().map(ToString::to_string));
        Some(Ended { name: name.into(), config: line.config, result })
    }

    /// Reads the config again: what was not changed is not touched, and a config that is wrong changes nothing. How
    /// lines ended that are no more.
    fn reload(&mut self) -> Vec<Ended> {
        let begin = Instant::now();
        let new = match Config::open(&self.path) {
            Ok(new) => new,
            Err(e) => {
                log::error(None, format_args!("reload: {e}; the old config goes on"));
                self.board.reloaded(false);
                return Vec::new();
            }
        };
        if new == self.config {
            say("reload: nothing was changed");
            self.board.reloaded(true);
            return Vec::new();
        }
        let moved = new.store != self.config.store;
        let same = |name: &str, config: &StreamConfig| {
            let slow = |l: &LimitsConfig| (l.hang, l.drain);
            slow(&new.limits) == slow(&self.config.limits)
                && !(moved && config.sink.contains(&SinkConfig::Store))
                && new.streams.iter().any(|s| s.name == name && s == config)
        };
        let gone: Vec<String> = self
            .lines
            .iter()
            .filter(|(name, line)| !same(name, &line.config))
            .map(|(name, _)| name.clone())
            .collect();
        gone.iter().for_each(|name| self.lines[name].stop.store(true, Ordering::Relaxed));
        let until = Instant::now() + self.bound();
        let mut ended: Vec<Ended> = gone.iter().filter_map(|name| self.reap(name, until)).collect();
        let limits = new.limits;
        let before: Vec<StreamConfig> = std::mem::take(&mut self.config.streams);
        let http = self.config.http != new.http;
        let sends =
            moved || self.config.uplink != new.uplink || stored(&before) != stored(&new.streams);
        let publishes = self.config.mqtt != new.mqtt;
        if sends {
            // It lets go of the store, which may be opened again.
            self.board.set_uplink(None);
        }
        let streams = new.streams.clone();
        let old = std::mem::replace(&mut self.config, new);
        // What cannot be had stays as it was; the config is another then, and the next reload tries again.
        let mut refused = Vec::new();
        if moved && let Err(e) = self.open_store() {
            refused.push(e);
            self.config.store = old.store;
            refused.extend(self.open_store().err());
        }
        let (mut begun, kept) = (0, self.lines.len());
        for stream in &streams {
            // A line that has ended by itself is not begun again for nothing.
            let over = before.contains(stream) && !gone.contains(&stream.name);
            if self.lines.contains_key(&stream.name) || over {
                continue;
            }
            match self.start(stream.clone(), limits) {
                Ok(()) => begun += 1,
                Err(e) => log::error(Some(&stream.name), e),
            }
        }
        self.board.set_silence(self.config.limits.silence.0);
        self.board.keep(|name| self.config.streams.iter().any(|s| s.name == name));
        if sends && let Err(e) = self.send() {
            refused.push(e);
            self.config.uplink = old.uplink;
            refused.extend(self.send().err());
        }
        if publishes && let Err(e) = self.publish() {
            refused.push(e);
            self.config.mqtt = old.mqtt;
            if self.board.mqtt().is_none() {
                refused.extend(self.publish().err());
            }
        }
        if http && let Err(e) = self.serve(self.config.http.clone()) {
            refused.push(e);
            self.config.http = old.http;
            refused.extend(self.serve(self.config.http.clone()).err());
        }
        for e in &refused {
            log::error(None, format_args!("reload: {e}; that part goes on as it was"));
        }
        self.board.reloaded(refused.is_empty());
        say(format_args!(
            "reload: {kept} lines untouched, {} ended, {begun} begun, in {} ms",
            ended.len(),
            begin.elapsed().as_millis()
        ));
        // A line that was told to end is no loss.
        ended.retain(|e| e.config.restart() == Restart::Never);
        ended
    }
}

/// Names of the lines that store.
fn stored(streams: &[StreamConfig]) -> Vec<String> {
    let stored = streams.iter().filter(|s| s.sink.contains(&SinkConfig::Store));
    stored.map(|s| s.name.clone()).collect()
}

/// The token or password in a file, which is called `named` where it is set.
pub fn read_token(path: &Path, named: &str) -> Result<String> {
    let bytes = read_file(path, TOKEN).map_err(|e| Error::config(named, e))?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    match text.trim() {
        "" => {
            let reason = format!("{} holds nothing; write one line into it", path.display());
            Err(Error::config(named, reason))
        }
        token => Ok(token.into()),
    }
}

/// A flag that SIGHUP sets.
fn hangup_flag() -> Arc<AtomicBool> {
    use std::io::IsTerminal;
    let flag = Arc::new(AtomicBool::new(false));
    // Whose terminal goes away goes with it.
    if !std::io::stdin().is_terminal()
        && let Err(e) = signal_hook::flag::register(signal_hook::consts::SIGHUP, flag.clone())
    {
        say(format_args!("SIGHUP will not reload: {e}"));
    }
    flag
}

/// Whether a file was changed, and is whole again.
struct Changes {
    path: PathBuf,
    looked: Instant,
    known: Option<Vec<u8>>,
    /// What it holds now, if that is something else.
    new: Option<Vec<u8>>,
}

impl Changes {
    fn new(path: &Path) -> Self {
        let known = std::fs::read(path).ok();
        Self { path: path.into(), looked: Instant::now(), known, new: None }
    }

    /// What it holds now is known.
    fn known(&mut self) {
        (self.known, self.new) = (std::fs::read(&self.path).ok(), None);
    }

    /// Whether it holds something else than before, and twice the same.
    fn settled(&mut self) -> bool {
        if self.looked.elapsed() < RELOOK {
            return false;
        }
        self.looked = Instant::now();
        let Ok(now) = std::fs::read(&self.path) else { return false };
        if self.known.as_ref() == Some(&now) {
            self.new = None;
            return false;
        }
        let settled = self.new.as_ref() == Some(&now);
        match settled {
            true => (self.known, self.new) = (Some(now), None),
            false => self.new = Some(now),
        }
        settled
    }
}
