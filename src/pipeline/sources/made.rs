//! Scenes and sounds made in code, as sources.

use std::time::{Duration, Instant};

use super::synthetic::{Scene, Tone};
use crate::codec::Stamp;
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;
use crate::pipeline::media::FPS;

/// A moving scene: `frames` pictures at `rate` frames per second of capture time.
pub struct SceneSource {
    scene: Scene,
    frames: u64,
    rate: f64,
    index: u64,
    /// When the first frame was given, if the scene plays like a camera.
    live: Option<Option<Instant>>,
}

impl SceneSource {
    /// Plays `scene`; a rate outside [`FPS`] is brought into it.
    pub fn new(scene: Scene, frames: u64, rate: f64) -> Self {
        let rate = rate.max(*FPS.start()).min(*FPS.end());
        Self { scene, frames, rate, index: 0, live: None }
    }

    /// Plays like a camera: no frame comes before its time.
    pub fn live(mut self) -> Self {
        self.live = Some(None);
        self
    }
}

impl Source for SceneSource {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }

    fn next(&mut self) -> Result<Option<Item>> {
        if self.index == self.frames {
            return Ok(None);
        }
        let captured = time(self.index, self.rate);
        let stamp = Stamp { index: self.index, captured, ..Stamp::default() };
        let frame = self.scene.frame(self.index);
        if let Some(start) = &mut self.live {
            let played = start.get_or_insert_with(Instant::now).elapsed();
            std::thread::sleep(captured.saturating_sub(played));
        }
        self.index += 1;
        let (end, lasts) = (self.index == self.frames, time(1, self.rate));
        Ok(Some(Item { end, lasts, ..Item::new(stamp, "scene", frame) }))
    }
}

/// A sound made in code: `steps` time steps in blocks of `block`.
pub struct ToneSource {
    tone: Tone,
    rate: u32,
    steps: u64,
    block: usize,
    at: u64,
    index: u64,
}

impl ToneSource {
    /// Plays `tone`, whose sample rate is `rate`.
    pub fn new(tone: Tone, rate: u32, steps: u64, block: usize) -> Self {
        Self { tone, rate, steps, block: block.max(1), at: 0, index: 0 }
    }
}

impl Source for ToneSource {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }

    fn next(&mut self) -> Result<Option<Item>> {
        if self.at == self.steps {
            return Ok(None);
        }
        let len = (self.steps - self.at).min(self.block as u64);
        let frame = self.tone.samples(self.at, len as usize);
        let captured = time(self.at, f64::from(self.rate));
        let stamp = Stamp { index: self.index, captured, ..Stamp::default() };
        self.at += len;
        self.index += 1;
        Ok(Some(Item { end: self.at == self.steps, ..Item::new(stamp, "tone", frame) }))
    }
}

/// Time of the step `at`, or the longest there is.
fn time(at: u64, rate: f64) -> Duration {
    Duration::try_from_secs_f64(at as f64 / rate).unwrap_or(Duration::MAX)
}
