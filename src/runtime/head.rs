//! Heads: ONNX models that read latents.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tract_onnx::prelude::*;

use super::head_card::{HeadCard, Prediction};
use crate::codec::{Bundle, Latent, read_file};
use crate::error::{Error, Result};

type Plan = Arc<TypedRunnableModel>;

/// Largest head read, in bytes.
const MAX_BYTES: u64 = 512 << 20;
/// Plans kept for different grids; beyond it all are dropped and made anew.
const PLANS: usize = 16;

/// A model on latents. It reads a prefix of the channels, dequantised and divided by the bundle's
/// deviations; channels that are missing are zero.
pub struct Head {
    card: HeadCard,
    model: InferenceModel,
    plans: HashMap<Vec<usize>, Plan>,
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head").field("card", &self.card).finish_non_exhaustive()
    }
}

impl Head {
    /// Opens an ONNX file.
    ///
    /// # Errors
    /// `Io` if it cannot be read, `Limit` if it is too large, else as [`Self::from_onnx`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_onnx(&path.display().to_string(), &read_file(path, MAX_BYTES)?)
    }

    /// Reads an ONNX model and its `tamis.*` metadata.
    ///
    /// # Errors
    /// `Bundle` if the model is damaged, uses operators that are not known, or lacks metadata.
    pub fn from_onnx(name: &str, mut onnx: &[u8]) -> Result<Self> {
        let bad = |e: &dyn std::fmt::Display| Error::bundle(name, format!("{e:#}"));
        let framework = tract_onnx::onnx();
        let proto = framework.proto_model_for_read(&mut onnx).map_err(|e| bad(&e))?;
        let properties: HashMap<String, String> =
            proto.metadata_props.iter().map(|p| (p.key.clone(), p.value.clone())).collect();
        let card = HeadCard::from_properties(name, &properties)?;
        let model = framework.parse(&proto, None).map_err(|e| bad(&e))?.model;
        Ok(Self { card, model, plans: HashMap::new() })
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

    /// Classifies one latent.
    ///
    /// # Errors
    /// `Bundle` if the latent is of another codec or the model fails on its grid.
    pub fn run(&mut self, bundle: &Bundle, latent: &Latent) -> Result<Prediction> {
        let start = std::time::Instant::now();
        let (shape, values) = self.card.input(bundle, latent)?;
        let name = self.card.name.clone();
        let bad = |e: TractError| Error::bundle(&name, format!("grid {:?}: {e:#}", latent.grid));
        let plan = self.plan(&shape).map_err(bad)?;
        let input = Tensor::from_shape(&shape, &values).map_err(bad)?;
        let outputs = plan.run(tvec!(input.into())).map_err(bad)?;
        let view = outputs[0].to_plain_array_view::<f32>().map_err(bad)?;
        let logits: Vec<f32> = view.iter().copied().collect();
        let tokens = latent.cells();
        self.card.prediction(&logits, tokens, start.elapsed())
    }

    /// The plan for an input shape: dimensions are fixed before optimising, which tract rewards.
    fn plan(&mut self, shape: &[usize]) -> TractResult<Plan> {
        if let Some(plan) = self.plans.get(shape) {
            return Ok(plan.clone());
        }
        let plan = self
            .model
            .clone()
            .with_input_fact(0, f32::fact(shape).into())?
            .into_optimized()?
            .into_runnable()?;
        if self.plans.len() == PLANS {
            self.plans.clear();
        }
        self.plans.insert(shape.to_vec(), plan.clone());
        Ok(plan)
    }
}
