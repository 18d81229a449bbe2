//! Heads: ONNX models that read latents.

use super::head_card::{HeadCard, Prediction};
use super::model::{File, Model, Options};
use super::precision::{Engine, Precision};
use crate::codec::{Bundle, Latent};
use crate::error::{Error, Result};

/// A model on latents. It reads a prefix of the channels, dequantised and divided by the bundle's
/// deviations; channels that are missing are zero.
#[derive(Debug)]
pub struct Head {
    card: HeadCard,
    model: Model,
}

impl Head {
    /// Reads an ONNX model and its `tamis.*` metadata, to be run in floats.
    ///
    /// # Errors
    /// `Bundle` if the model is damaged, uses operators that are not known, or lacks metadata.
    pub fn from_onnx(name: &str, onnx: &[u8]) -> Result<Self> {
        Self::from_onnx_as(name, onnx, Precision::Float)
    }

    /// The same, its layers in whole numbers of 8 bits but for those that its metadata keeps. A head
    /// without a transformer that is recognised stays as it is: see [`Self::engine`].
    ///
    /// # Errors
    /// As [`Self::from_onnx`].
    pub fn from_onnx_int8(name: &str, onnx: &[u8]) -> Result<Self> {
        Self::read(name, onnx, |card| Precision::Int8 { floats: card.floats.clone() })
    }

    /// The same with a choice of its own, whatever its metadata keeps.
    ///
    /// # Errors
    /// As [`Self::from_onnx`].
    pub fn from_onnx_as(name: &str, onnx: &[u8], precision: Precision) -> Result<Self> {
        Self::read(name, onnx, |_| precision)
    }

    fn read(
        name: &str,
        onnx: &[u8],
        precision: impl FnOnce(&HeadCard) -> Precision,
    ) -> Result<Self> {
        let file = File::read(name, onnx)?;
        let card = HeadCard::from_properties(name, &file.properties())?;
        let options = Options { precision: precision(&card), ..Options::default() };
        let shapes = card.usual_shapes();
        Ok(Self { card, model: file.prepare(&shapes, true, &options)? })
    }

    /// What the model says of itself.
    pub fn card(&self) -> &HeadCard {
        &self.card
    }

    /// What runs it.
    pub fn engine(&self) -> &Engine {
        self.model.engine()
    }

    /// Refuses a bundle whose latents the model was not trained on.
    ///
    /// # Errors
    /// `Bundle`, naming both codecs.
    pub fn check(&self, bundle: &Bundle) -> Result<()> {
        self.card.check(bundle)
    }

    /// Classifies one latent.
    ///
    /// # Errors
    /// `Bundle` if the latent is of another codec or the model fails on its grid.
    pub fn run(&mut self, bundle: &Bundle, latent: &Latent) -> Result<Prediction> {
        let start = std::time::Instant::now();
        let logits = self.logits(bundle, latent)?;
        self.card.prediction(&logits, latent.cells(), start.elapsed())
    }

    /// What the model itself gives for one latent.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn logits(&mut self, bundle: &Bundle, latent: &Latent) -> Result<Vec<f32>> {
        let mut shape = self.card.shape(bundle, latent)?;
        let worth = self.model.reads_latents().then(|| self.card.worth(bundle, latent)).flatten();
        let answer = match worth {
            Some(worth) => {
                // Channels that are not there are not read: they would be zero.
                shape[1] = worth.len();
                let values = &latent.values[..worth.len() * latent.cells()];
                self.model.run_latent(&shape, values, &worth)
            }
            None => {
                let (shape, values) = self.card.input(bundle, latent)?;
                self.model.run(&shape, &values)
            }
        };
        answer.map_err(|e| match e {
            Error::Bundle { path, reason } => {
                Error::bundle(path, format!("grid {:?}: {reason}", latent.grid))
            }
            other => other,
        })
    }
}
