//! Heads: ONNX models that read latents.

use super::head_card::{HeadCard, Prediction};
use super::model::{File, Model, Options};
use super::precision::{Engine, HeadOptions, Precision};
use super::schedule::Tokens;
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
        Self::from_onnx_with(name, onnx, &HeadOptions::default())
    }

    /// The same, to be run in a way of one's own: [`Self::engine`] says what became of it.
    ///
    /// # Errors
    /// As [`Self::from_onnx`], and `Bundle` if tokens are to be left out of a head without a transformer
    /// that is recognised.
    pub fn from_onnx_with(name: &str, onnx: &[u8], options: &HeadOptions) -> Result<Self> {
        Self::read(name, onnx, |card| Options {
            precision: match options.int8 {
                true => Precision::Int8 { floats: card.floats.clone() },
                false => Precision::Float,
            },
            tokens: options.tokens.clone(),
            ..Options::default()
        })
    }

    /// The same with a choice of its own, whatever its metadata keeps.
    ///
    /// # Errors
    /// As [`Self::from_onnx_with`].
    pub fn from_onnx_as(name: &str, onnx: &[u8], options: &Options) -> Result<Self> {
        Self::read(name, onnx, |_| options.clone())
    }

    fn read(name: &str, onnx: &[u8], options: impl FnOnce(&HeadCard) -> Options) -> Result<Self> {
        let file = File::read(name, onnx)?;
        let card = HeadCard::from_properties(name, &file.properties())?;
        let options = options(&card);
        let shapes = card.usual_shapes();
        Ok(Self { card, model: file.prepare(&shapes, true, &options)? })
    }

    /// What an ONNX file says of itself: nothing is prepared.
    ///
    /// # Errors
    /// `Bundle` if the file is damaged or lacks metadata.
    pub fn card_of(name: &str, onnx: &[u8]) -> Result<HeadCard> {
        HeadCard::from_properties(name, &File::read(name, onnx)?.properties())
    }

    /// What the model says of itself.
    pub fn card(&self) -> &HeadCard {
        &self.card
    }

    /// What runs it.
    pub fn engine(&self) -> &Engine {
        self.model.engine()
    }

    /// Goes on with other tokens than it was read for.
    ///
    /// # Errors
    /// `Bundle` if tokens are to be left out and no transformer is recognised, or in blocks that it does
    /// not have.
    pub fn keep(&mut self, tokens: &Tokens) -> Result<()> {
        self.model.keep(tokens)
    }

    /// Height and width, in cells, of what a place in [`Prediction::patches`] stands for; `None` if tokens are not
    /// made by our engine.
    pub fn patch(&self) -> Option<[usize; 2]> {
        self.model.patch()
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
        let mut prediction = self.card.prediction(&logits, latent.cells(), start.elapsed())?;
        prediction.patches = self.model.left();
        let sides = |[high, wide]: [usize; 2]| match latent.grid[..] {
            [rows, columns] => [rows / high, columns / wide],
            _ => [1, latent.cells() / wide],
        };
        prediction.grid = self.patch().map(sides);
        Ok(prediction)
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
