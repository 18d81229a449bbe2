//! The line: one source, some stages, some sinks, one loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use serde::Deserialize;

use super::item::{Gone, Item, Parts};
use super::ladder::Ladder;
use super::ledger::{Ledger, Ticket};
use super::stats::Report;
use crate::error::{Error, Result};

/// Items that wait between two threads at most.
const QUEUE: usize = 8;
/// How often a waiting thread looks whether it should stop.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// Where items come from.
pub trait Source: Send {
    /// The parts its items hold.
    fn makes(&self) -> Parts;

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// What stops the line. An item that could not be read is no error but a lost item.
    fn next(&mut self) -> Result<Option<Item>>;

    /// Called instead of [`Self::next`] when the line is stopped: what was read but not yet given.
    fn close(&mut self) -> Vec<Item> {
        Vec::new()
    }
}

/// What is done to items on the way.
pub trait Stage: Send {
    /// Its name in reports.
    fn name(&self) -> &str;

    /// The parts it reads.
    fn needs(&self) -> Parts;

    /// The parts it adds.
    fn makes(&self) -> Parts;

    /// Works on the items that are waiting: one when live, many when behind. What it does to an
    /// item must not depend on how many there are. Items that are gone are not passed in.
    ///
    /// # Errors
    /// What stops the line. An item that cannot be handled is marked as gone instead.
    fn run(&mut self, batch: &mut [Item]) -> Result<()>;

    /// Forgets what it carries from item to item.
    fn reset(&mut self) {}

    /// What it still holds when nothing more will come.
    fn finish(&mut self) -> Vec<Item> {
        Vec::new()
    }
}

/// Where items go.
pub trait Sink: Send {
    /// The parts it reads.
    fn needs(&self) -> Parts;

    /// Takes one item.
    ///
    /// # Errors
    /// `Shape`, `Input` or `Limit` if this item cannot be written: it is lost and the next one
    /// follows. Any other stops the line.
    fn write(&mut self, item: &Item) -> Result<()>;

    /// Why the item that was just written was given up by a rule of the sink, if it was.
    fn refused(&mut self) -> Option<&'static str> {
        None
    }

    /// Completes what was written.
    ///
    /// # Errors
    /// `Io` if it cannot be completed.
    fn finish(&mut self) -> Result<()>;
}

/// A source, stages and sinks that fit together.
pub struct Pipeline {
    source: Box<dyn Source>,
    stages: Vec<Box<dyn Stage>>,
    sinks: Vec<Box<dyn Sink>>,
    batch: usize,
    ladder: Option<Arc<Ladder>>,
    /// Set where a packet goes no further, which others may continue.
    broken: Arc<AtomicBool>,
}

impl Pipeline {
    /// Puts a line together; `batch` is the most items a stage is given at once.
    ///
    /// # Errors
    /// `Config` if a stage or sink reads a part that nothing before it makes.
    pub fn new(
        source: Box<dyn Source>,
        stages: Vec<Box<dyn Stage>>,
        sinks: Vec<Box<dyn Sink>>,
        batch: usize,
    ) -> Result<Self> {
        let mut have = source.makes();
        for stage in &stages {
            let missing = stage.needs().without(have);
            if !missing.is_none() {
                let reason = format!("needs {missing}, which nothing before it makes");
                return Err(Error::config(format!("stage {}", stage.name()), reason));
            }
            have |= stage.makes();
        }
        for sink in &sinks {
            let missing = sink.needs().without(have);
            if !missing.is_none() {
                return Err(Error::config("sink", format!("needs {missing}, which nothing makes")));
            }
        }
        Ok(Self {
            source,
            stages,
            sinks,
            batch: batch.max(1),
            ladder: None,
            broken: Arc::default(),
        })
    }

    /// Says which ladder its stages stand on.
    pub fn with_ladder(mut self, ladder: Option<Arc<Ladder>>) -> Self {
        self.ladder = ladder;
        self
    }

    /// Sets `broken` where a packet goes no further.
    pub fn with_broken(mut self, broken: Arc<AtomicBool>) -> Self {
        self.broken = broken;
        self
    }

    /// The ladder that its stages stand on, if there is one.
    pub fn ladder(&self) -> Option<Arc<Ladder>> {
        self.ladder.clone()
    }

    /// Runs the line to its end, or until `stop` is set; then what is in flight is still delivered.
    ///
    /// Three threads, two bounded queues: the source and the stages never wait for a disk.
    /// `look` is called after every item with the accounts so far.
    ///
    /// # Errors
    /// The first error of source, stages or sinks, in this order; sinks are finished all the same, but
    /// not one that failed: what it has open must not look whole.
    pub fn run(self, stop: &AtomicBool, look: impl FnMut(&Ledger, &Item)) -> Result<Report> {
        let Self { mut source, mut stages, mut sinks, batch, ladder: _, broken } = self;
        let (to_stages, from_source) = bounded(QUEUE);
        let (to_sinks, from_stages) = bounded(QUEUE);
        let (ledger, halt) = (Arc::new(Ledger::default()), AtomicBool::new(false));
        let halted = || stop.load(Ordering::Relaxed) || halt.load(Ordering::Relaxed);
        let watch = Watch::default();
        let (read, worked, written) = std::thread::scope(|scope| {
            let way = Way { to: to_stages, evict: None, ledger: &ledger, halted: &halted };
            let reader = scope.spawn(|| halting(&halt, || read(source.as_mut(), way)));
            let worker = scope.spawn(|| {
                halting(&halt, || work(&mut stages, batch, &ledger, &watch, from_source, to_sinks))
            });
            let written =
                deliver(&mut sinks, from_stages, &ledger, [&halt, &broken], look, || Ok(()));
            halt.store(true, Ordering::Relaxed);
            (unpanicked(reader.join()), unpanicked(worker.join()), written)
        });
        close(&mut sinks, read, worked.and(written), &ledger)
    }

    /// Runs the line as [`Self::run`] does, on threads that it can leave behind: one that panics, or hangs for
    /// longer than it may, costs this line and no other.
    ///
    /// # Errors
    /// As [`Self::run`], and `Device` if a stage hangs.
    pub fn run_live(self, live: &Live, look: impl FnMut(&Ledger, &Item)) -> Result<Report> {
        let Self { mut source, mut stages, mut sinks, batch, ladder: _, broken } = self;
        let (to_stages, from_source) = bounded(QUEUE);
        let (to_sinks, from_stages) = bounded(QUEUE);
        let (halt, watch) = (Arc::new(AtomicBool::new(false)), Arc::new(Watch::default()));
        let evict = (live.full == Full::DropOldest).then(|| from_source.clone());
        let reader = {
            let (stop, halt, ledger) = (live.stop.clone(), halt.clone(), live.ledger.clone());
            spawn("source", move || {
                let halted = || stop.load(Ordering::Relaxed) || halt.load(Ordering::Relaxed);
                let way = Way { to: to_stages, evict, ledger: &ledger, halted: &halted };
                halting(&halt, || read(source.as_mut(), way))
            })?
        };
        let worker = {
            let (halt, ledger, watch) = (halt.clone(), live.ledger.clone(), watch.clone());
            spawn("stages", move || {
                halting(&halt, || work(&mut stages, batch, &ledger, &watch, from_source, to_sinks))
            })?
        };
        // Also if a sink panics: the source must not go on for nobody.
        let _leave = Leave { halt: halt.clone(), watch: watch.clone() };
        let mut halted: Option<Instant> = None;
        let turn = || {
            live.ledger.turned();
            if live.stop.load(Ordering::Relaxed) || halt.load(Ordering::Relaxed) {
                let since = *halted.get_or_insert_with(Instant::now);
                // A camera that says nothing is not waited for.
                watch.source_left.store(since.elapsed() > live.drain, Ordering::Relaxed);
            }
            match watch.busy_for() > live.hang {
                true => {
                    let reason = format!("a stage hangs, for {:.1} s now", live.hang.as_secs_f64());
                    Err(Error::Device { device: "cpu".into(), reason })
                }
                false => Ok(()),
            }
        };
        let written = deliver(&mut sinks, from_stages, &live.ledger, [&halt, &broken], look, turn);
        halt.store(true, Ordering::Relaxed);
        let patience = if watch.source_left.load(Ordering::Relaxed) { LOOK } else { live.drain };
        let read = ended(reader, patience);
        let worked = ended(worker, LOOK.max(live.hang.saturating_sub(watch.busy_for())));
        if read.is_none() || worked.is_none() {
            live.ledger.give_up("hung");
        }
        let worked = worked.unwrap_or(Ok(()));
        close(&mut sinks, read.unwrap_or(Ok(false)), worked.and(written), &live.ledger)
    }
}

/// How a thread ended; `None` if it did not within `patience`.
fn ended<T>(thread: JoinHandle<Result<T>>, patience: Duration) -> Option<Result<T>> {
    let begin = Instant::now();
    while !thread.is_finished() {
        if begin.elapsed() > patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Some(unpanicked(thread.join()))
}

/// What the queue behind a source does when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Full {
    /// The source waits: nothing is dropped. For files.
    Wait,
    /// The oldest item in it is dropped, and counted. For what cannot wait.
    DropOldest,
}

/// How a line runs that is one of many and should go on for ever.
#[derive(Debug, Clone)]
pub struct Live {
    /// Set to stop the line.
    pub stop: Arc<AtomicBool>,
    /// Its accounts, over all its runs.
    pub ledger: Arc<Ledger>,
    /// What the queue behind the source does when it is full.
    pub full: Full,
    /// What stages may take for one batch, at most.
    pub hang: Duration,
    /// What the source may take to end when the line is stopped, at most.
    pub drain: Duration,
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(run);
    spawned.map_err(|e| Error::io(format!("thread of {name}"), e))
}

/// What the threads of a run know of each other.
#[derive(Debug, Default)]
struct Watch {
    /// Since when the stages work on what they have.
    busy: Mutex<Option<Instant>>,
    /// Nothing more is expected of the source, whether it ended or not.
    source_left: AtomicBool,
}

/// Lets source and stages end when it is dropped.
struct Leave {
    halt: Arc<AtomicBool>,
    watch: Arc<Watch>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.halt.store(true, Ordering::Relaxed);
        self.watch.source_left.store(true, Ordering::Relaxed);
    }
}

impl Watch {
    fn busy(&self, since: Option<Instant>) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn busy_for(&self) -> Duration {
        let since = *self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|s| s.elapsed()).unwrap_or_default()
    }
}

struct Passing {
    item: Item,
    ticket: Ticket,
}

/// Halts the line if a part of it fails.
fn halting<T>(halt: &AtomicBool, part: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = part();
    if done.is_err() {
        halt.store(true, Ordering::Relaxed);
    }
    done
}

/// The error of a thread that panicked.
fn unpanicked<T>(joined: std::thread::Result<Result<T>>) -> Result<T> {
    joined.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().map(ToString::to_string);
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Device {
            device: "cpu".into(),
            reason: format!("a stage panicked: {}", words.unwrap_or_default()),
        })
    })
}

/// The end of a run, whose threads have ended so.
fn close(
    sinks: &mut [Box<dyn Sink>],
    read: Result<bool>,
    rest: Result<()>,
    ledger: &Ledger,
) -> Result<Report> {
    let finished = sinks.iter_mut().map(|s| s.finish()).fold(Ok(()), Result::and);
    if matches!(read, Ok(false)) {
        ledger.leave_unread();
    }
    read.map(drop).and(rest).and(finished)?;
    Ok(ledger.report())
}

/// The way from the source to the stages.
struct Way<'a> {
    to: Sender<Passing>,
    /// The queue's other end, if the oldest gives way when it is full.
    evict: Option<Receiver<Passing>>,
    ledger: &'a Arc<Ledger>,
    halted: &'a (dyn Fn() -> bool + Sync),
}

impl Way<'_> {
    /// Hands an item on; false if nobody takes it.
    fn give(&self, item: Item) -> bool {
        let Some(evict) = &self.evict else {
            let ticket = self.ledger.board(&item, self.halted);
            return self.to.send(Passing { item, ticket }).is_ok();
        };
        let mut ticket = self.ledger.try_board(&item);
        while ticket.is_none() {
            if !drop_oldest(evict) {
                // All that is under way belongs to other lines.
                let mut item = item;
                item.drop_for("memory_full");
                self.ledger.turn_away(&item);
                return true;
            }
            ticket = self.ledger.try_board(&item);
        }
        let Some(ticket) = ticket else { return true };
        let mut passing = Passing { item, ticket };
        loop {
            match self.to.try_send(passing) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => {
                    passing = back;
                    drop_oldest(evict);
                }
            }
        }
    }
}

/// Drops the oldest item that waits; false if none does.
fn drop_oldest(queue: &Receiver<Passing>) -> bool {
    let Ok(mut oldest) = queue.try_recv() else { return false };
    oldest.item.drop_for("queue_full");
    oldest.ticket.land(&oldest.item);
    true
}

/// Reads to the end of the source, and says whether it got there.
fn read(source: &mut dyn Source, way: Way<'_>) -> Result<bool> {
    while !(way.halted)() {
        let Some(item) = source.next()? else { return Ok(true) };
        if !way.give(item) {
            return Ok(false);
        }
    }
    for item in source.close() {
        if !way.give(item) {
            break;
        }
    }
    Ok(false)
}

fn work(
    stages: &mut [Box<dyn Stage>],
    batch: usize,
    ledger: &Arc<Ledger>,
    watch: &Watch,
    from: Receiver<Passing>,
    to: Sender<Passing>,
) -> Result<()> {
    loop {
        let first = match from.recv_timeout(LOOK) {
            Ok(passing) => passing,
            Err(RecvTimeoutError::Timeout) if !watch.source_left.load(Ordering::Relaxed) => {
                continue;
            }
            Err(_) => break,
        };
        let (mut items, mut tickets) = (vec![first.item], vec![first.ticket]);
        while items.len() < batch
            && let Ok(next) = from.try_recv()
        {
            items.push(next.item);
            tickets.push(next.ticket);
        }
        watch.busy(Some(Instant::now()));
        let worked = stages.iter_mut().try_for_each(|s| run_stage(s.as_mut(), &mut items));
        watch.busy(None);
        worked?;
        for (item, ticket) in items.into_iter().zip(tickets) {
            if to.send(Passing { item, ticket }).is_err() {
                return Ok(());
            }
        }
    }
    let mut left = Vec::new();
    for stage in stages {
        run_stage(stage.as_mut(), &mut left)?;
        left.extend(stage.finish());
    }
    for item in left {
        let ticket = ledger.board(&item, &|| true);
        if to.send(Passing { item, ticket }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Runs a stage over the runs of items that are still there.
fn run_stage(stage: &mut dyn Stage, items: &mut [Item]) -> Result<()> {
    for run in items.chunk_by_mut(|a, b| a.gone.is_none() == b.gone.is_none()) {
        if run[0].gone.is_none() {
            stage.run(run)?;
        }
    }
    Ok(())
}

/// Gives items to the sinks and counts them; a sink that fails is taken out. `turn` is called between items and while
/// there are none.
fn deliver(
    sinks: &mut Vec<Box<dyn Sink>>,
    from: Receiver<Passing>,
    ledger: &Ledger,
    [halt, broken]: [&AtomicBool; 2],
    mut look: impl FnMut(&Ledger, &Item),
    mut turn: impl FnMut() -> Result<()>,
) -> Result<()> {
    let mut written = Ok(());
    loop {
        if let Err(e) = turn() {
            halt.store(true, Ordering::Relaxed);
            return written.and(Err(e));
        }
        let Passing { mut item, ticket } = match from.recv_timeout(LOOK) {
            Ok(passing) => passing,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return written,
        };
        if written.is_err() {
            item.lose("line_failed", "a sink failed before");
        }
        if item.gone.is_none() {
            let mut each = sinks.iter_mut().enumerate();
            match each.find_map(|(k, s)| s.write(&item).err().map(|e| (k, e))) {
                None => {
                    if let Some(why) = sinks.iter_mut().find_map(|s| s.refused()) {
                        item.drop_for(why);
                    }
                }
                Some((
                    _,
                    e @ (Error::Shape { .. } | Error::Input { .. } | Error::Limit { .. }),
                )) => item.lose("sink", e),
                Some((k, e)) => {
                    drop(sinks.remove(k));
                    item.lose("sink", "the sink failed");
                    written = Err(e);
                    halt.store(true, Ordering::Relaxed);
                }
            }
        }
        if item.gone.is_some() && item.packet.is_some() {
            broken.store(true, Ordering::Relaxed);
        }
        ticket.land(&item);
        if written.is_ok() {
            look(ledger, &item);
        }
    }
}

impl Item {
    /// Marks the item as lost.
    pub fn lose(&mut self, kind: &'static str, why: impl ToString) {
        let why = why.to_string();
        // Most reasons begin with the name; it need not stand there twice.
        let why = why.strip_prefix(&format!("{}: ", self.name)).unwrap_or(&why);
        self.gone = Some(Gone::Lost(kind, why.into()));
    }

    /// Marks the item as dropped.
    pub fn drop_for(&mut self, why: &'static str) {
        self.gone = Some(Gone::Dropped(why));
    }
}
