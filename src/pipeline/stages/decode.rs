//! Latents to frames.

use std::sync::Arc;

use crate::bitstream::StreamHeader;
use crate::codec::{Bundle, Frame, Kind, Latent, Layout, Stamp};
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Stage;
use crate::pipeline::sinks::OPEN;
use crate::pipeline::warning::Warning;
use crate::runtime::{Decoder, Neural};

/// Latents to frames, with the bundle's linear inverse or a neural decoder.
#[derive(Debug)]
pub struct Decode {
    bundle: Arc<Bundle>,
    channels: usize,
    /// Of pictures, and of sounds that come whole.
    whole: Decoder,
    /// Sounds that have begun and not ended, the one heard last at the end; [`OPEN`] at most.
    sounds: Vec<Sound>,
    /// Silence that gaps may still become, in all sounds together.
    fill: u64,
}

/// One stream of sound and the last item seen of it.
#[derive(Debug)]
struct Sound {
    stamp: Stamp,
    name: String,
    layout: Layout,
    channels: usize,
    decoder: Decoder,
}

impl Decode {
    /// Decodes the first `channels` channels with the linear inverse.
    pub fn new(bundle: Arc<Bundle>, channels: usize) -> Self {
        let whole = Decoder::new(bundle.clone(), channels);
        let fill = whole.fill();
        Self { bundle, channels, whole, sounds: Vec::new(), fill }
    }

    /// Decodes pictures, and sounds that come whole, with a neural decoder instead.
    ///
    /// # Errors
    /// `Bundle` if it is for another codec.
    pub fn neural(mut self, neural: Arc<Neural>) -> Result<Self> {
        self.whole = Decoder::with_neural(self.bundle.clone(), self.channels, neural)?;
        Ok(self)
    }

    /// Decodes the next stretch of a sound, and says what was missing before it.
    fn sound(
        &mut self,
        item: &Item,
        latent: &Latent,
        header: &StreamHeader,
        missing: &mut Vec<String>,
    ) -> Result<Frame> {
        let (layout, channels) = (header.layout, header.channels);
        if self.bundle.is_whole() {
            return self.whole.push(latent, layout);
        }
        let open = self.sounds.iter().position(|s| s.stamp.stream == item.stamp.stream);
        let mut sound = open.map(|at| self.sounds.remove(at));
        if let Some(before) = &mut sound
            && (before.layout, before.channels) != (layout, channels)
        {
            missing.extend(before.abandon());
            sound = None;
        }
        if sound.is_none() && self.sounds.len() == OPEN {
            missing.extend(self.sounds.remove(0).abandon());
        }
        let mut sound = sound.unwrap_or_else(|| {
            let decoder = Decoder::new(self.bundle.clone(), self.channels);
            Sound { stamp: Stamp::default(), name: String::new(), layout, channels, decoder }
        });
        sound.stamp = item.stamp.clone();
        sound.name.clone_from(&item.name);
        let decoder = &mut sound.decoder;
        decoder.set_fill(self.fill);
        let before = (decoder.filled(), decoder.left_out());
        let frame = decoder.push(latent, layout);
        self.fill = decoder.fill();
        for (steps, became) in [
            (decoder.filled() - before.0, "now silence"),
            (decoder.left_out() - before.1, "left out: too many"),
        ] {
            if steps > 0 {
                missing.push(format!("{steps} time steps missing, {became}"));
            }
        }
        if decoder.is_open() {
            self.sounds.push(sound);
        }
        frame
    }
}

impl Sound {
    /// Ends a sound where there is no item to hold its rest.
    fn abandon(&mut self) -> Option<String> {
        let rest = self.decoder.finish().ok()??;
        let (stream, steps) = (self.stamp.stream, rest.positions());
        Some(format!("the sound of stream {stream} before has no end, {steps} steps left out"))
    }
}

impl Stage for Decode {
    fn name(&self) -> &str {
        "decode"
    }

    fn needs(&self) -> Parts {
        Parts::LATENT
    }

    fn makes(&self) -> Parts {
        Parts::FRAME
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            let (Some(latent), Some(header)) = (&item.latent, &item.header) else { continue };
            let mut missing = Vec::new();
            let frame = match self.bundle.kind {
                Kind::Image => self.whole.push(latent, header.layout),
                Kind::Audio => self.sound(item, latent, header, &mut missing),
            };
            item.warnings.extend(missing.into_iter().map(Warning::missing));
            match frame {
                Ok(frame) => item.frame = Some(frame),
                Err(e) => item.lose("decode", e),
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        // Pictures stand alone: their decoder has nothing to forget.
        self.sounds.clear();
        self.fill = self.whole.fill();
    }

    /// The rest of each sound whose end never came.
    fn finish(&mut self) -> Vec<Item> {
        let mut rest = Vec::new();
        for mut sound in self.sounds.drain(..) {
            // What one sound lacks is no reason to keep back the others.
            let Ok(Some(frame)) = sound.decoder.finish() else { continue };
            let text =
                format!("the sound has no end; its last {} steps fade out", frame.positions());
            let stamp = Stamp { index: sound.stamp.index.saturating_add(1), ..sound.stamp };
            let mut item = Item::new(stamp, sound.name, frame);
            item.end = true;
            item.warnings.push(Warning::missing(text));
            rest.push(item);
        }
        rest
    }
}
