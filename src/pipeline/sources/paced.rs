//! A source slowed down to the times of capture.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::NAP;
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;

/// A clock that goes back further than this began anew: another recording, or a reboot.
const BACK: Duration = Duration::from_secs(1);

/// Gives no item before its time of capture has come, counted from the first of its clock.
///
/// A clock is one boot of a device, or if that is not known one stream of a file.
pub struct Paced<S> {
    source: S,
    speed: f64,
    stop: Arc<AtomicBool>,
    file: String,
    /// The clocks of the file that is read.
    clocks: BTreeMap<(u64, u32), Clock>,
}

struct Clock {
    /// When its first item was given, and that item's time of capture.
    began: Instant,
    first: Duration,
    last: Duration,
}

impl<S: Source> Paced<S> {
    /// Plays `source` at `speed` times the pace of its capture, until `stop` is set.
    pub fn new(source: S, speed: f64, stop: Arc<AtomicBool>) -> Self {
        Self { source, speed, stop, file: String::new(), clocks: BTreeMap::new() }
    }

    /// When an item is due.
    fn due(&mut self, item: &Item) -> Option<Instant> {
        if item.name != self.file {
            self.file.clone_from(&item.name);
            self.clocks.clear();
        }
        let (now, captured) = (Instant::now(), item.stamp.captured);
        let key = (item.stamp.boot, if item.stamp.boot == 0 { item.stamp.stream } else { 0 });
        let fresh = || Clock { began: now, first: captured, last: captured };
        let clock = self.clocks.entry(key).or_insert_with(fresh);
        if captured + BACK < clock.last {
            *clock = fresh();
        }
        clock.last = captured;
        let seconds = captured.saturating_sub(clock.first).as_secs_f64() / self.speed;
        // A time that cannot be said lies beyond any run: it is waited for, and can be stopped.
        Duration::try_from_secs_f64(seconds).ok().and_then(|d| clock.began.checked_add(d))
    }
}

impl<S: Source> Source for Paced<S> {
    fn makes(&self) -> Parts {
        self.source.makes()
    }

    fn next(&mut self) -> Result<Option<Item>> {
        let item = self.source.next()?;
        if let Some(item) = &item
            && item.gone.is_none()
        {
            let due = self.due(item);
            let wait = || due.map_or(NAP, |d| d.saturating_duration_since(Instant::now()));
            while !wait().is_zero() && !self.stop.load(Ordering::Relaxed) {
                std::thread::sleep(wait().min(NAP));
            }
        }
        Ok(item)
    }

    fn close(&mut self) -> Vec<Item> {
        self.source.close()
    }
}
