//! ONNX models of one input: read, their transformer replaced by ours, run.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{ModelProto, type_proto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::knobs;

use super::cpu::Simd;
use super::halves::widen;
use super::head_card::HeadCard;
use super::numbers::cosine;
use super::precision::{Engine, LayerPlace, Precision};
use super::recognise::{Recognised, Thin, recognise};
use super::schedule::Tokens;
use super::transformer::{Block, Cells, Transformer, prepare};
use crate::codec::{Bundle, Latent};
use crate::error::{Error, Result};

/// tract's switch for means over windows in two passes with a running sum: a window of 17 by 17 costs what one of 3 by 3
/// does. Sums are rounded in another order.
const POOLS: &str = "TRACT_AVGPOOL_SEPARABLE";

type Plan = Arc<TypedRunnableModel>;

/// Plans kept for different shapes; beyond it all are dropped and made anew.
const PLANS: usize = 16;
/// Sizes that open dimensions are tried with.
const OPEN: [usize; 2] = [64, 112];

/// A model that reads one tensor of floats and answers with another.
pub struct Model {
    name: String,
    model: InferenceModel,
    engine: Engine,
    /// Whether it has an input for what whole numbers are worth, and may read latents.
    latent: bool,
    /// By shape, and whether the input is whole numbers.
    plans: HashMap<(Vec<usize>, bool), Plan>,
    /// Leaves out tokens, and says which were left.
    thin: Option<Arc<Thin>>,
    /// Height and width of a patch of its transformer, in cells.
    patch: Option<[usize; 2]>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a model is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Numbers of the linear layers of a transformer.
    pub precision: Precision,
    /// Instructions it is compiled for; `None` leaves everything to tract.
    pub simd: Option<Simd>,
    /// The tokens that a transformer goes on with.
    pub tokens: Tokens,
}

impl Default for Options {
    fn default() -> Self {
        Self { precision: Precision::Float, simd: Some(Simd::best()), tokens: Tokens::All }
    }
}

/// An ONNX file, read but not prepared.
pub(super) struct File {
    name: String,
    proto: ModelProto,
}

impl File {
    /// # Errors
    /// `Bundle` if it is damaged.
    pub fn read(name: &str, mut onnx: &[u8]) -> Result<Self> {
        let read = || tract_onnx::onnx().proto_model_for_read(&mut onnx);
        let mut proto = guarded(name, read)?;
        // Older files list their weights as inputs, too.
        if let Some(graph) = &mut proto.graph {
            let weights: HashSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
            graph.input.retain(|i| !weights.contains(&*i.name));
            widen(graph);
        }
        Ok(Self { name: name.into(), proto })
    }

    /// Its metadata.
    pub fn properties(&self) -> HashMap<String, String> {
        let pairs = self.proto.metadata_props.iter();
        pairs.map(|p| (p.key.clone(), p.value.clone())).collect()
    }

    /// Shapes of its input: one if it is fixed, two if some of it is open. A batch is of one.
    fn shapes(&self) -> Vec<Vec<usize>> {
        let input = self.proto.graph.as_ref().and_then(|g| g.input.first());
        let kind = input.and_then(|i| i.r#type.as_ref()).and_then(|t| t.value.as_ref());
        let dims = kind.and_then(|type_proto::Value::TensorType(t)| t.shape.as_ref());
        let dims = dims.map_or(&[][..], |s| &s.dim);
        let with = |open: usize| -> Vec<usize> {
            let size = |(i, d): (usize, &Dimension)| match d.value {
                Some(dimension::Value::DimValue(v)) => usize::try_from(v).unwrap_or(1).max(1),
                _ if i == 0 => 1,
                _ => open,
            };
            dims.iter().enumerate().map(size).collect()
        };
        let [one, other] = OPEN.map(with);
        if one == other { vec![one] } else { vec![one, other] }
    }

    /// The transformer in it, when it is run with these shapes: the same with all.
    fn recognise(&self, shapes: &[Vec<usize>]) -> std::result::Result<Recognised, String> {
        let framework = tract_onnx::onnx();
        let search = |shape: &Vec<usize>| {
            let search = || recognise(&framework, &self.proto, shape);
            catch_unwind(AssertUnwindSafe(search)).unwrap_or_else(|_| Err("it is damaged".into()))
        };
        let [first, others @ ..] = shapes else { return Err("it has no input".into()) };
        let found = search(first)?;
        for shape in others {
            if !search(shape)?.is(&found) {
                return Err(format!("it is another for {shape:?} than for {first:?}"));
            }
        }
        Ok(found)
    }

    /// Prepares it for inputs like these; with `latent` it may take whole numbers.
    ///
    /// # Errors
    /// `Bundle` if it uses operators that are not known, or is to keep layers that it does not have.
    pub fn prepare(self, shapes: &[Vec<usize>], latent: bool, options: &Options) -> Result<Model> {
        let why = match options.simd.map(|simd| (simd, self.recognise(shapes))) {
            Some((simd, Ok(found))) => {
                self.check_floats(&found, &options.precision)?;
                match self.replaced(&found, simd, shapes, latent, &options.precision) {
                    Ok(mut model) => return model.keep(&options.tokens).map(|()| model),
                    Err(why) => why.to_string(),
                }
            }
            Some((_, Err(why))) => why,
            None => "it was asked for".into(),
        };
        let parse = || tract_onnx::onnx().model_for_proto_model(&self.proto);
        let model = guarded(&self.name, parse)?;
        let (engine, plans) = (Engine::Plain { why }, HashMap::new());
        let (name, latent) = (self.name, false);
        let mut model = Model { name, model, engine, latent, plans, thin: None, patch: None };
        model.keep(&options.tokens).map(|()| model)
    }

    /// Refuses to keep layers that are not there.
    fn check_floats(&self, found: &Recognised, precision: &Precision) -> Result<()> {
        let blocks = found.encoder.blocks.len();
        if let Precision::Int8 { floats } = precision
            && let Some(layer) =
                floats.iter().find(|l| matches!(l, LayerPlace::Block(at, _) if *at >= blocks))
        {
            let reason = format!("keeps layer {layer} in floats, but has {blocks} blocks");
            return Err(Error::bundle(&self.name, reason));
        }
        Ok(())
    }

    /// The model with its transformer replaced, and tried: what tract does not take is left to it whole.
    fn replaced(
        &self,
        found: &Recognised,
        simd: Simd,
        shapes: &[Vec<usize>],
        latent: bool,
        precision: &Precision,
    ) -> Result<Model> {
        let encoder = &found.encoder;
        let blocks = encoder.blocks.len();
        let small = |layer: LayerPlace| precision.is_small(layer);
        let layers = LayerPlace::all(found.no_embed.is_none(), blocks);
        let engine = Engine::Transformer {
            blocks,
            width: encoder.width,
            heads: encoder.heads,
            int8: layers.filter(|&layer| small(layer)).count(),
            schedule: None,
            no_embed: found.no_embed.clone(),
            simd,
        };
        let thin = found.no_embed.is_none().then(|| Arc::new(Thin { blocks, ..Thin::default() }));
        let prepared = Arc::from(prepare(encoder, simd, small));
        let framework = tract_onnx::onnx();
        let replace = || found.replace(&framework, &self.proto, prepared, latent, thin.clone());
        let (model, latent) = guarded(&self.name, replace)?;
        let (name, plans) = (self.name.clone(), HashMap::new());
        let patch = encoder.embed.as_ref().map(|e| e.patch);
        let mut model = Model { name, model, engine, latent, plans, thin, patch };
        guarded(&self.name, || model.plan(&shapes[0], latent))?;
        Ok(model)
    }
}

impl Model {
    /// Reads an ONNX model and prepares it for inputs of the shape that it names.
    ///
    /// # Errors
    /// `Bundle` if the model is damaged or uses operators that are not known.
    pub fn from_onnx(name: &str, onnx: &[u8], options: &Options) -> Result<Self> {
        let file = File::read(name, onnx)?;
        let shapes = file.shapes();
        file.prepare(&shapes, false, options)
    }

    /// A shape that the input of an ONNX file may have.
    ///
    /// # Errors
    /// `Bundle` if it is damaged.
    pub fn shape_of(name: &str, onnx: &[u8]) -> Result<Vec<usize>> {
        Ok(File::read(name, onnx)?.shapes().swap_remove(0))
    }

    /// What runs it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Goes on with other tokens from now on.
    ///
    /// # Errors
    /// `Bundle` if tokens are to be left out that are not made here, or in blocks that are not there.
    pub fn keep(&mut self, tokens: &Tokens) -> Result<()> {
        let refuse = |why: String| Err(Error::bundle(&self.name, why));
        let why = match &mut self.engine {
            Engine::Transformer { blocks, schedule, no_embed, .. } => {
                let asked = match tokens.schedule(*blocks) {
                    Ok(asked) => asked,
                    Err(why) => return refuse(why),
                };
                if let Some(thin) = &self.thin {
                    schedule.clone_from(&asked);
                    *thin.schedule.lock().unwrap_or_else(PoisonError::into_inner) = asked;
                    thin.left.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    return Ok(());
                }
                format!("tract makes them: {}", no_embed.as_deref().unwrap_or_default())
            }
            Engine::Plain { why } => format!("it runs in plain tract: {why}"),
            Engine::Absent => "it is not run".into(),
        };
        match tokens {
            Tokens::All => Ok(()),
            _ => refuse(format!("leaves out no tokens, since {why}")),
        }
    }

    /// The patches that the last run went on with to its end; empty if tokens are not left out.
    pub(super) fn left(&self) -> Vec<usize> {
        self.thin.as_ref().map_or_else(Vec::new, |thin| {
            std::mem::take(&mut *thin.left.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// Height and width of the patches that tokens are made of here.
    pub(super) fn patch(&self) -> Option<[usize; 2]> {
        self.patch
    }

    /// Whether it reads latents as they are.
    pub(super) fn reads_latents(&self) -> bool {
        self.latent
    }

    /// The first output, number by number.
    ///
    /// # Errors
    /// `Bundle` if the model fails on this shape or gives no floats.
    pub fn run(&mut self, shape: &[usize], values: &[f32]) -> Result<Vec<f32>> {
        let name = self.name.clone();
        guarded(&name, || {
            let mut inputs: TVec<TValue> = tvec!(Tensor::from_shape(shape, values)?.into());
            if self.latent {
                inputs.push(tensor1(&[1.0f32]).into());
            }
            self.floats(shape, false, inputs)
        })
    }

    /// The same for a latent's whole numbers, and what one of each channel is worth.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) fn run_latent(
        &mut self,
        shape: &[usize],
        values: &[i16],
        worth: &[f32],
    ) -> Result<Vec<f32>> {
        let name = self.name.clone();
        guarded(&name, || {
            let latent = Tensor::from_shape(shape, values)?.into();
            let inputs = tvec!(latent, Tensor::from_shape(&[worth.len()], worth)?.into());
            self.floats(shape, true, inputs)
        })
    }

    fn floats(
        &mut self,
        shape: &[usize],
        whole: bool,
        inputs: TVec<TValue>,
    ) -> TractResult<Vec<f32>> {
        let outputs = self.plan(shape, whole)?.run(inputs)?;
        let Some(output) = outputs.first() else {
            return Err(TractError::msg("it has no output"));
        };
        Ok(output.to_plain_array_view::<f32>()?.iter().copied().collect())
    }

    /// The plan for an input shape: dimensions are fixed before optimising, which tract rewards.
    fn plan(&mut self, shape: &[usize], whole: bool) -> TractResult<Plan> {
        let key = (shape.to_vec(), whole);
        if let Some(plan) = self.plans.get(&key) {
            return Ok(plan.clone());
        }
        let mut model = self.model.clone();
        let kind = if whole { i16::fact(shape) } else { f32::fact(shape) };
        model.set_input_fact(0, kind.into())?;
        if self.latent {
            let worth = if whole { shape[1] } else { 1 };
            model.set_input_fact(1, f32::fact([worth]).into())?;
        }
        knobs::set_config_global(POOLS, "1")?;
        let plan = model.into_optimized()?.into_runnable()?;
        if self.plans.len() == PLANS {
            self.plans.clear();
        }
        self.plans.insert(key, plan.clone());
        Ok(plan)
    }
}

/// The transformer that is recognised in a head.
///
/// # Errors
/// `Bundle` if it is no head, or none is recognised: the reason names what did not fit.
// Studies call it.
#[cfg_attr(not(feature = "pipeline"), allow(dead_code))]
pub fn encoder_of(name: &str, onnx: &[u8]) -> Result<Transformer> {
    let file = File::read(name, onnx)?;
    let card = HeadCard::from_properties(name, &file.properties())?;
    let found = file.recognise(&card.usual_shapes());
    let refuse = |why| Error::bundle(name, format!("no transformer is recognised in it: {why}"));
    found.map(|f| f.encoder).map_err(refuse)
}

/// Cosine of what goes into each block and what comes out, the mean over latents; `None` if tokens are
/// not made of them by its embedding.
///
/// # Errors
/// As [`super::Head::run`].
// Studies call it.
#[cfg_attr(not(feature = "pipeline"), allow(dead_code))]
pub fn block_similarities(
    encoder: &Transformer,
    head: &super::Head,
    bundle: &Bundle,
    latents: &[Latent],
) -> Result<Option<Vec<f64>>> {
    if encoder.embed.is_none() {
        return Ok(None);
    }
    let alone = |block: &Block| Transformer {
        blocks: vec![block.clone()],
        last: None,
        embed: None,
        ..encoder.clone()
    };
    let simd = Simd::best();
    let float = |_| false;
    let blocks: Vec<_> = encoder.blocks.iter().map(|b| prepare(&alone(b), simd, float)).collect();
    let start = prepare(&Transformer { blocks: Vec::new(), ..encoder.clone() }, simd, float);
    let mut sums = vec![0.0; blocks.len()];
    for latent in latents {
        let (shape, values) = head.card().input(bundle, latent)?;
        let grid = match shape[..] {
            [_, _, height, width] => [height, width],
            _ => [1, shape[2]],
        };
        let refuse = |why| Error::bundle(&head.card().name, why);
        let mut tokens = start.embed(Cells::Floats(&values), grid, None).map_err(refuse)?;
        for (block, sum) in blocks.iter().zip(&mut sums) {
            let before = tokens.clone();
            block.run(&mut tokens, None);
            *sum += cosine(&before, &tokens) / latents.len() as f64;
        }
    }
    Ok(Some(sums))
}

/// What the engine makes of a file that may hold anything: some graphs that make no sense are met with
/// a panic.
pub(super) fn guarded<T>(name: &str, call: impl FnOnce() -> TractResult<T>) -> Result<T> {
    // Nothing is left half done: plans are added when they are whole.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Error::bundle(name, format!("{e:#}"))),
        Err(_) => Err(Error::bundle(name, "is no model that can be run; is the file damaged?")),
    }
}
