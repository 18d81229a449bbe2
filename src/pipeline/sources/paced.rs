//! A source slowed down to the times of capture.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;

/// Longest sleep before the stop flag is looked at again.
const NAP: Duration = Duration::from_millis(50);
/// A clock that goes back further than this began anew: another recording, or a reboot.
const BACK: Duration = Duration::from_secs(1);

/// Gives no item before its time of capture has come, counted from the first.
pub struct Paced<S> {
    source: S,
    speed: f64,
    stop: Arc<AtomicBool>,
    /// When the first item of this clock was given, and its time of capture.
    start: Option<(Instant, Duration)>,
    last: Duration,
}

impl<S: Source> Paced<S> {
    /// Plays `source` at `speed` times the pace of its capture, until `stop` is set.
    pub fn new(source: S, speed: f64, stop: Arc<AtomicBool>) -> Self {
        Self { source, speed, stop, start: None, last: Duration::ZERO }
    }

    /// How long it is until an item of this time of capture is due.
    fn wait(&mut self, captured: Duration) -> Duration {
        if captured + BACK < self.last {
            self.start = None;
        }
        self.last = captured;
        let (began, first) = *self.start.get_or_insert_with(|| (Instant::now(), captured));
        let seconds = captured.saturating_sub(first).as_secs_f64() / self.speed;
        // A time that cannot be said lies beyond any run: it is waited for, and can be stopped.
        let due = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        due.saturating_sub(began.elapsed())
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
            let mut wait = self.wait(item.stamp.captured);
            while !wait.is_zero() && !self.stop.load(Ordering::Relaxed) {
                std::thread::sleep(wait.min(NAP));
                wait = self.wait(item.stamp.captured);
            }
        }
        Ok(item)
    }

    fn close(&mut self) -> Vec<Item> {
        self.source.close()
    }
}
