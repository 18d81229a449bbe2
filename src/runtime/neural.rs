//! Neural decoders: ONNX models that turn latents into bands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::prelude::*;

use super::model::guarded;
use super::neural_card::DecoderCard;
use crate::codec::Bundle;
use crate::error::{Error, Result};

type Plan = Arc<TypedRunnableModel>;

/// Plans kept for different sizes of tiles; beyond it all are dropped and made anew.
const PLANS: usize = 16;

/// A decoder that was trained for one codec. It may be shared: by decoders of several streams and
/// by threads.
pub struct Neural {
    card: DecoderCard,
    model: InferenceModel,
    /// Place of the input that says how latents were made, if the model reads it.
    condition: Option<usize>,
    plans: Mutex<HashMap<[usize; 2], Plan>>,
}

impl std::fmt::Debug for Neural {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Neural").field("card", &self.card).finish_non_exhaustive()
    }
}

impl Neural {
    /// Reads an ONNX model and its `tamis.*` metadata.
    ///
    /// # Errors
    /// `Bundle` if the model is damaged, uses operators that are not known, lacks metadata, or has
    /// other inputs than `latent` and `condition`.
    pub fn from_onnx(name: &str, mut onnx: &[u8]) -> Result<Self> {
        let framework = tract_onnx::onnx();
        let proto = guarded(name, || framework.proto_model_for_read(&mut onnx))?;
        let properties: HashMap<String, String> =
            proto.metadata_props.iter().map(|p| (p.key.clone(), p.value.clone())).collect();
        let card = DecoderCard::from_properties(name, &properties)?;
        let model = guarded(name, || framework.model_for_proto_model(&proto))?;
        let inputs = guarded(name, || model.input_outlets())?;
        let inputs: Vec<&str> = inputs.iter().map(|o| model.node(o.node).name.as_str()).collect();
        let condition = match inputs[..] {
            ["latent"] => None,
            ["latent", "condition"] => Some(1),
            ["condition", "latent"] => Some(0),
            _ => {
                let reason = format!("has inputs {inputs:?}; needed are latent and condition");
                return Err(Error::bundle(name, reason));
            }
        };
        Ok(Self { card, model, condition, plans: Mutex::default() })
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

    /// The output for a tile of `[channels, height, width]` cells, which must have the shape `needed`.
    ///
    /// # Errors
    /// `Bundle` if the model fails on this size, gives another shape, or values that are no numbers.
    pub(super) fn run(
        &self,
        latent: &[f32],
        grid: [usize; 2],
        condition: [f32; 2],
        needed: [usize; 4],
        out: &mut [f32],
    ) -> Result<()> {
        let [height, width] = grid;
        let name = &self.card.name;
        let outputs = guarded(name, || {
            let plan = self.plan(grid)?;
            let shape = [1, self.card.channels, height, width];
            let mut inputs: TVec<TValue> = tvec!(Tensor::from_shape(&shape, latent)?.into());
            if let Some(at) = self.condition {
                inputs.insert(at, Tensor::from_shape(&[1, 2], &condition)?.into());
            }
            plan.run(inputs)
        })?;
        let [output] = &outputs[..] else {
            let reason = format!("has {} outputs; needed is one", outputs.len());
            return Err(Error::bundle(name, reason));
        };
        let view = guarded(name, || output.to_plain_array_view::<f32>())?;
        if view.shape() != needed {
            let reason = format!("gives {:?} for a tile, needed is {needed:?}", view.shape());
            return Err(Error::bundle(name, reason));
        }
        // Results lie in order; one by one they would be slow to read.
        let Some(values) = view.as_slice() else {
            return Err(Error::bundle(name, "gives a tensor that does not lie in order"));
        };
        out.copy_from_slice(values);
        if !values.iter().fold(true, |sound, x| sound & x.is_finite()) {
            let reason =
                "gives values that are no finite numbers; use the linear decoder (--preview)";
            return Err(Error::bundle(name, reason));
        }
        Ok(())
    }

    /// The plan for a size of tiles: dimensions are fixed before optimising, which tract rewards.
    fn plan(&self, grid: [usize; 2]) -> TractResult<Plan> {
        // Held while a plan is made: threads that need the same one wait for it.
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&grid) {
            return Ok(plan.clone());
        }
        let shape = [1, self.card.channels, grid[0], grid[1]];
        let latent = self.condition.map_or(0, |at| 1 - at);
        let mut model = self.model.clone().with_input_fact(latent, f32::fact(shape).into())?;
        if let Some(at) = self.condition {
            model.set_input_fact(at, f32::fact([1, 2]).into())?;
        }
        let plan = model.into_optimized()?.into_runnable()?;
        if plans.len() == PLANS {
            plans.clear();
        }
        plans.insert(grid, plan.clone());
        Ok(plan)
    }
}
