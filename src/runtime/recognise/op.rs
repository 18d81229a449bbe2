//! The operation that stands for a transformer in tract's graph.

use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::tract_hir::internal::*;

use crate::runtime::schedule::{Policy, Schedule};
use crate::runtime::transformer::{Cells, Prepared, Thinning};

/// A transformer: of tokens, or of cells of a latent where it makes the tokens too.
#[derive(Debug, Clone)]
pub(super) struct TransformerOp {
    pub prepared: Arc<dyn Prepared>,
    pub width: usize,
    /// Tokens before those of patches, and cells of a patch, if tokens are made here.
    pub embed: Option<(usize, [usize; 2])>,
    /// Leaves out tokens that are made here.
    pub thin: Option<Arc<Thin>>,
}

/// Leaves out tokens.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Thin {
    /// What is left out; nothing if there is none.
    pub schedule: Mutex<Option<Schedule>>,
    pub blocks: usize,
    /// The patches that the last run was left with.
    pub left: Mutex<Vec<usize>>,
}

impl PartialEq for TransformerOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.prepared, &other.prepared)
    }
}

impl Eq for TransformerOp {}

impl TransformerOp {
    /// Height and width of `[1, channels, height, width]` or `[1, channels, width]`.
    fn grid<'a, T>(shape: &'a [T], one: &'a T) -> TractResult<[&'a T; 2]> {
        match shape {
            [_, _, height, width] => Ok([height, width]),
            [_, _, width] => Ok([one, width]),
            _ => bail!("a transformer of cells reads three or four dimensions"),
        }
    }

    /// Tokens of cells, behind the last block.
    fn run(&self, cells: Cells<'_>, grid: [usize; 2]) -> Result<Vec<f32>, String> {
        let schedule =
            |thin: &Arc<Thin>| thin.schedule.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let by = self.thin.as_ref().and_then(|thin| Some((thin, schedule(thin)?)));
        let (Some((thin, schedule)), Some((classes, patch))) = (by, self.embed) else {
            let mut tokens = self.prepared.embed(cells, grid, None)?;
            self.prepared.run(&mut tokens, None);
            return Ok(tokens);
        };
        let patches = [grid[0] / patch[0], grid[1] / patch[1]];
        let bits = match schedule.policy {
            Policy::Bits => cells.bits(grid, patch),
            _ => Vec::new(),
        };
        let mut thinning = Thinning::new(&schedule, thin.blocks, classes, patches, &bits);
        let mut tokens = self.prepared.embed(cells, grid, thinning.begins_with().as_deref())?;
        self.prepared.run(&mut tokens, Some(&mut thinning));
        *thin.left.lock().unwrap_or_else(PoisonError::into_inner) = thinning.places();
        Ok(tokens)
    }

    fn shape(&self, input: &[TDim]) -> TractResult<TVec<TDim>> {
        let Some((before, patch)) = self.embed else { return Ok(input.into()) };
        let [height, width] = Self::grid(input, &TDim::Val(1))?.map(Clone::clone);
        let patches = (height / patch[0]) * (width / patch[1]);
        Ok(tvec!(input[0].clone(), patches + before, self.width.to_dim()))
    }
}

impl Op for TransformerOp {
    fn name(&self) -> StaticName {
        "Transformer".into()
    }

    op_as_typed_op!();
}

impl EvalOp for TransformerOp {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        if self.embed.is_none() {
            let mut tokens = inputs.remove(0).into_tensor();
            let shape: TVec<usize> = tokens.shape().into();
            let [.., count, width] = shape[..] else { bail!("tokens have two dimensions") };
            if width != self.width {
                bail!("tokens of {width} numbers, needed are {}", self.width);
            }
            {
                let mut view = tokens.try_as_plain_ram_mut()?;
                let each = view.as_slice_mut::<f32>()?.chunks_mut((count * width).max(1));
                each.for_each(|one| self.prepared.run(one, None));
            }
            return Ok(tvec!(tokens.into()));
        }
        let grid = Self::grid(inputs[0].shape(), &1)?.map(|&n| n);
        let batch = inputs[0].shape()[0];
        let each = inputs[0].len() / batch.max(1);
        let mut all = Vec::new();
        for one in 0..batch {
            let (from, until) = (one * each, (one + 1) * each);
            let input = inputs[0].try_as_plain_ram()?;
            let cells = match inputs[0].datum_type() {
                DatumType::I16 => Cells::Latent(
                    &input.as_slice::<i16>()?[from..until],
                    inputs[1].try_as_plain_ram()?.as_slice::<f32>()?,
                ),
                _ => Cells::Floats(&input.as_slice::<f32>()?[from..until]),
            };
            all.extend(self.run(cells, grid).map_err(|why| format_err!("{why}"))?);
        }
        let shape = [batch, all.len() / self.width / batch.max(1), self.width];
        Ok(tvec!(Tensor::from_shape(&shape, &all)?.into()))
    }
}

impl TypedOp for TransformerOp {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.shape(&inputs[0].shape.to_tvec())?)))
    }

    as_op!();
}

impl Expansion for TransformerOp {
    fn name(&self) -> StaticName {
        "Transformer".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        s.equals(&outputs[0].datum_type, f32::datum_type())?;
        s.given(&inputs[0].shape, move |s, shape| {
            let out = self.shape(&shape)?;
            s.equals(&outputs[0].shape, out)
        })
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}
