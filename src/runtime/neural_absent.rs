//! The names of `neural.rs` when the feature `onnx` is off: every use says which feature to turn on.

use super::neural_card::DecoderCard;
use crate::codec::Bundle;
use crate::error::{Error, Result};

/// A neural decoder, which this build cannot run.
#[derive(Debug)]
pub struct Neural {
    card: DecoderCard,
}

fn absent(name: &str) -> Error {
    let reason = "this tamis was built without neural decoders; build it with `--features onnx`, or \
                  use the linear decoder (--preview)";
    Error::bundle(name, reason)
}

impl Neural {
    /// Always fails.
    ///
    /// # Errors
    /// `Bundle`.
    pub fn from_onnx(name: &str, _onnx: &[u8]) -> Result<Self> {
        Err(absent(name))
    }

    /// What the decoder says of itself.
    pub fn card(&self) -> &DecoderCard {
        &self.card
    }

    /// Refuses a bundle that it was not trained for.
    ///
    /// # Errors
    /// `Bundle`, naming both codecs.
    pub fn check(&self, bundle: &Bundle) -> Result<()> {
        self.card.check(bundle)
    }

    /// Always fails.
    pub(super) fn run(
        &self,
        _latent: &[f32],
        _grid: [usize; 2],
        _condition: [f32; 2],
        _needed: [usize; 4],
        _out: &mut [f32],
    ) -> Result<()> {
        Err(absent(&self.card.name))
    }
}
