//! Publishes events and status at an MQTT broker: one thread, one connection, begun again with back-off.

mod broker;
mod visit;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch::{Receiver, Sender, channel};

pub use self::broker::Broker;
use super::backoff::BackOff;
use crate::app::log;
use crate::error::{Error, Result};
use crate::pipeline::config::MqttConfig;
use crate::pipeline::{Outbox, Tally};

/// A connection that lasted so long was well: the next is tried soon. One that is taken over again and again is not.
const WELL: Duration = Duration::from_secs(30);
/// What the thread may take beyond its time before it is left behind.
const GRACE: Duration = Duration::from_millis(100);
/// How often its end is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// A thread that publishes.
pub struct Publishing {
    shared: Arc<Shared>,
    stop: Sender<Option<Instant>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and those who look at it share.
struct Shared {
    outbox: Arc<Outbox>,
    seen: Mutex<Seen>,
}

/// How it stands.
#[derive(Default)]
struct Seen {
    up: bool,
    /// Why it is not up.
    reason: Option<String>,
    /// What went wrong last, also if it is well since.
    error: Option<String>,
    connections: u64,
    failures: u64,
}

/// How it stands, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    pub up: bool,
    pub tally: Tally,
    pub reconnects: u64,
    pub failures: u64,
}

impl Publishing {
    /// Publishes what is in the outbox as a config says, and what `status` gives.
    ///
    /// # Errors
    /// `Io` if there is no thread for it.
    pub fn start(
        config: &MqttConfig,
        broker: Broker,
        outbox: &Arc<Outbox>,
        status: impl Fn() -> Option<Value> + Send + 'static,
    ) -> Result<Self> {
        if config.is_open() {
            log::warn(None, "mqtt: with mqtt:// everybody on the way can read the password");
        }
        let failed = |e| Error::io("thread of mqtt", e);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let reason = Some("not connected yet".into());
        let seen = Mutex::new(Seen { reason, ..Seen::default() });
        let shared = Arc::new(Shared { outbox: outbox.clone(), seen });
        let (stop, stopped) = channel(None);
        let work = Work {
            shared: shared.clone(),
            broker,
            every: config.every.0,
            status: Box::new(status),
            stop: stopped,
            connected: None,
        };
        let thread = std::thread::Builder::new().name("mqtt".into());
        let thread = thread.spawn(move || work.run(runtime)).map_err(failed)?;
        Ok(Self { shared, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Sends what is left, says goodbye and ends, until `deadline` at most. What was not sent stays in the outbox.
    pub fn end(&self, deadline: Instant) {
        self.stop.send_replace(Some(deadline));
        let Some(thread) = lock(&self.thread).take() else { return };
        while !thread.is_finished() && Instant::now() < deadline + GRACE {
            std::thread::sleep(LOOK);
        }
        // Left behind it touches nothing any more, and ends with what it waits for.
    }

    /// How it stands, for the page.
    pub fn status(&self) -> Value {
        let seen = lock(&self.shared.seen);
        let tally = self.shared.outbox.tally();
        json!({
            "state": if seen.up { "up" } else { "down" },
            "reason": seen.reason,
            "made": tally.made,
            "acknowledged": tally.acknowledged,
            "dropped": tally.dropped,
            "queued": tally.queued,
            "reconnects": seen.connections.saturating_sub(1),
            "failures": seen.failures,
            "error": seen.error,
        })
    }

    /// How it stands, in numbers.
    pub fn sums(&self) -> Sums {
        let seen = lock(&self.shared.seen);
        let (up, failures) = (seen.up, seen.failures);
        let reconnects = seen.connections.saturating_sub(1);
        Sums { up, tally: self.shared.outbox.tally(), reconnects, failures }
    }
}

/// The thread.
struct Work {
    shared: Arc<Shared>,
    broker: Broker,
    /// Time from one status to the next.
    every: Duration,
    status: Box<dyn Fn() -> Option<Value> + Send>,
    /// Until when it is to end, once it is to.
    stop: Receiver<Option<Instant>>,
    /// Since when there is a connection.
    connected: Option<Instant>,
}

impl Work {
    fn run(mut self, runtime: Runtime) {
        let mut back_off = BackOff::default();
        loop {
            self.connected = None;
            let visit = self.shared.outbox.begin();
            // What a broker sends may surprise the library: that costs this connection.
            let run = AssertUnwindSafe(|| runtime.block_on(self.visit(visit)));
            let ended = catch_unwind(run).unwrap_or_else(|_| Err("its thread panicked".into()));
            self.shared.outbox.recall(visit);
            match ended {
                Ok(()) => break,
                Err(why) => self.shared.fail(why),
            }
            if self.connected.is_some_and(|since| since.elapsed() > WELL) {
                back_off.reset();
            }
            let stopped = stopped(&mut self.stop);
            let stopped = async { tokio::time::timeout(back_off.wait(), stopped).await };
            if runtime.block_on(stopped).is_ok() {
                break;
            }
        }
        self.shared.turn(false, Some("it has ended".into()), false);
        // A name that is looked for is not waited for.
        runtime.shutdown_background();
    }
}

impl Shared {
    fn fail(&self, why: String) {
        lock(&self.seen).failures += 1;
        lock(&self.seen).error = Some(why.clone());
        self.turn(false, Some(why), true);
    }

    /// Notes whether it works, and says so when that changes.
    fn turn(&self, up: bool, reason: Option<String>, aloud: bool) {
        let mut seen = lock(&self.seen);
        if aloud && (seen.up, &seen.reason) != (up, &reason) {
            match &reason {
                Some(why) => log::warn(None, format_args!("mqtt is down: {why}")),
                None => log::info(None, "mqtt is up"),
            }
        }
        seen.connections += u64::from(up);
        (seen.up, seen.reason) = (up, reason);
    }
}

/// Waits until it is to end: until when.
async fn stopped(stop: &mut Receiver<Option<Instant>>) -> Instant {
    let until = stop.wait_for(Option::is_some).await.ok().and_then(|until| *until);
    // Whoever would stop it is no more.
    until.unwrap_or_else(Instant::now)
}

/// What is shared; whoever panicked left it in order, as every change is made whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
