//! The names of `head.rs` when the feature `onnx` is off: every use says which feature to turn on.

use super::head_card::{HeadCard, Prediction};
use super::precision::{Engine, HeadOptions};
use super::schedule::Tokens;
use crate::codec::{Bundle, Latent};
use crate::error::{Error, Result};

/// A model on latents, which this build cannot run.
#[derive(Debug)]
pub struct Head {
    card: HeadCard,
}

fn absent(name: &str) -> Error {
    Error::bundle(name, "this tamis was built without heads; build it with `--features onnx`")
}

impl Head {
    /// Always fails.
    ///
    /// # Errors
    /// `Bundle`.
    pub fn from_onnx(name: &str, _onnx: &[u8]) -> Result<Self> {
        Err(absent(name))
    }

    /// Always fails.
    ///
    /// # Errors
    /// `Bundle`.
    pub fn from_onnx_with(name: &str, _onnx: &[u8], _options: &HeadOptions) -> Result<Self> {
        Err(absent(name))
    }

    /// Always fails.
    ///
    /// # Errors
    /// `Bundle`.
    pub fn card_of(name: &str, _onnx: &[u8]) -> Result<HeadCard> {
        Err(absent(name))
    }

    /// Always fails.
    ///
    /// # Errors
    /// `Bundle`.
    pub fn keep(&mut self, _tokens: &Tokens) -> Result<()> {
        Err(absent(&self.card.name))
    }

    /// What runs it: nothing.
    pub fn engine(&self) -> &Engine {
        &Engine::Absent
    }

    /// None.
    pub fn patch(&self) -> Option<[usize; 2]> {
        None
    }

    /// What the model says of itself.
    pub fn card(&self) -> &HeadCard {
        &self.card
    }

    /// Refuses a bundle whose latents the model was not trained on.
    ///
    /// # Errors
    /// `Bundle`, naming both codecs.
    pub fn check(&self, bundle: &Bundle) -> Result<()> {
        self.card.check(bundle)
    }

    /// Always fails.
    ///
    /// # Errors
    /// `Bundle`.
    pub fn run(&mut self, _bundle: &Bundle, _latent: &Latent) -> Result<Prediction> {
        Err(absent(&self.card.name))
    }
}
