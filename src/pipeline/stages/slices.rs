//! Sounds without an end, in parts that each stand alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::codec::{Frame, Layout};
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Stage;

/// Ends a sound after a time, or where somebody wishes it; what follows is another. Pictures pass.
#[derive(Debug)]
pub struct Slices {
    every: Duration,
    wish: Arc<AtomicBool>,
    /// The length of the sound so far.
    played: Duration,
    /// Whether a sound has begun since it was wished for: whoever wishes hears of it later.
    answered: bool,
}

impl Slices {
    /// Ends sounds after `every`, and where `wish` is set.
    pub fn new(every: Duration, wish: Arc<AtomicBool>) -> Self {
        Self { every, wish, played: Duration::ZERO, answered: false }
    }
}

impl Stage for Slices {
    fn name(&self) -> &str {
        "slices"
    }

    fn needs(&self) -> Parts {
        Parts::FRAME
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            let sound = item.frame.as_ref().filter(|f| Frame::is_audio(f));
            let Some((frame, rate)) = sound.and_then(|f| match f.layout {
                Layout::Audio { rate } => Some((f, rate)),
                _ => None,
            }) else {
                continue;
            };
            let steps = frame.extent.first().copied().unwrap_or(0) as f64;
            let wished = self.wish.load(Ordering::Relaxed);
            self.answered = wished && (self.answered || self.played.is_zero());
            self.played += Duration::from_secs_f64(steps / f64::from(rate.max(1)));
            item.end |= self.played >= self.every || wished && !self.answered;
            if item.end {
                self.played = Duration::ZERO;
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.played = Duration::ZERO;
    }
}
