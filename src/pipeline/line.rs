//! The line: one source, some stages, some sinks, one loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::flight::{Flight, Ticket, size};
use super::item::{Gone, Item, Parts};
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
        Ok(Self { source, stages, sinks, batch: batch.max(1) })
    }

    /// Runs the line to its end, or until `stop` is set; then what is in flight is still delivered.
    ///
    /// Three threads, two bounded queues: the source and the stages never wait for a disk.
    /// `look` is called after every item with the accounts so far.
    ///
    /// # Errors
    /// The first error of source, stages or sinks, in this order; sinks are finished all the same, but
    /// not one that failed: what it has open must not look whole.
    pub fn run(self, stop: &AtomicBool, mut look: impl FnMut(&Report, &Item)) -> Result<Report> {
        let Self { mut source, mut stages, mut sinks, batch } = self;
        let (to_stages, from_source) = bounded::<Passing<'_>>(QUEUE);
        let (to_sinks, from_stages) = bounded::<Passing<'_>>(QUEUE);
        let (flight, halt) = (Flight::default(), AtomicBool::new(false));
        let halted = || stop.load(Ordering::Relaxed) || halt.load(Ordering::Relaxed);
        let mut report = Report::default();
        let (read, worked, written) = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let done = read(source.as_mut(), to_stages, &flight, &halted);
                if done.is_err() {
                    halt.store(true, Ordering::Relaxed);
                }
                done
            });
            let worker = scope.spawn(|| {
                let done = work(&mut stages, batch, &flight, from_source, to_sinks);
                if done.is_err() {
                    halt.store(true, Ordering::Relaxed);
                }
                done
            });
            let mut written = Ok(());
            for Passing { mut item, since, ticket: _ticket } in from_stages {
                report.received += 1;
                if item.gone.is_none() && written.is_ok() {
                    let mut each = sinks.iter_mut().enumerate();
                    match each.find_map(|(k, s)| s.write(&item).err().map(|e| (k, e))) {
                        None => {}
                        Some((
                            _,
                            e @ (Error::Shape { .. } | Error::Input { .. } | Error::Limit { .. }),
                        )) => item.lose("sink", e),
                        Some((k, e)) => {
                            drop(sinks.remove(k));
                            written = Err(e);
                            halt.store(true, Ordering::Relaxed);
                        }
                    }
                }
                match written {
                    Ok(()) => report.count(&item, since),
                    Err(_) => {
                        let why = "the sink failed".to_string();
                        let lost = Item::lost(item.stamp, item.name, "sink", why);
                        report.count(&lost, since);
                        continue;
                    }
                }
                look(&report, &item);
            }
            (join(reader), join(worker), written)
        });
        let finished = sinks.iter_mut().map(|s| s.finish()).fold(Ok(()), Result::and);
        report.unread = matches!(read, Ok(false));
        read.map(drop).and(worked).and(written).and(finished)?;
        Ok(report)
    }
}

struct Passing<'a> {
    item: Item,
    since: Instant,
    ticket: Ticket<'a>,
}

fn join<T>(handle: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle.join().unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().map(ToString::to_string);
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Error::Device {
            device: "cpu".into(),
            reason: format!("a stage panicked: {}", words.unwrap_or_default()),
        })
    })
}

/// Reads to the end of the source, and says whether it got there.
fn read<'a>(
    source: &mut dyn Source,
    out: Sender<Passing<'a>>,
    flight: &'a Flight,
    halted: &dyn Fn() -> bool,
) -> Result<bool> {
    let give = |item| {
        let since = Instant::now();
        let ticket = flight.board(size(&item), halted);
        out.send(Passing { item, since, ticket }).is_ok()
    };
    while !halted() {
        let Some(item) = source.next()? else { return Ok(true) };
        if !give(item) {
            return Ok(false);
        }
    }
    for item in source.close() {
        if !give(item) {
            break;
        }
    }
    Ok(false)
}

fn work<'a>(
    stages: &mut [Box<dyn Stage>],
    batch: usize,
    flight: &'a Flight,
    from: Receiver<Passing<'a>>,
    to: Sender<Passing<'a>>,
) -> Result<()> {
    loop {
        let first = match from.recv_timeout(LOOK) {
            Ok(passing) => passing,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let (mut items, mut rest) = (vec![first.item], vec![(first.since, first.ticket)]);
        while items.len() < batch
            && let Ok(next) = from.try_recv()
        {
            items.push(next.item);
            rest.push((next.since, next.ticket));
        }
        for stage in &mut *stages {
            run_stage(stage.as_mut(), &mut items)?;
        }
        for (item, (since, ticket)) in items.into_iter().zip(rest) {
            if to.send(Passing { item, since, ticket }).is_err() {
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
        let ticket = flight.board(0, &|| true);
        if to.send(Passing { item, since: Instant::now(), ticket }).is_err() {
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
