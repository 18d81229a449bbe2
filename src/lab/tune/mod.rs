//! Which layers of a head may be quantised: by scores of importance, and by what it does to answers.

mod propose;
mod search;
mod staircase;
mod trial;

pub use search::{Asked, Found, search};
pub use staircase::Staircase;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::codec::{Bundle, Latent};
use crate::error::{Error, Result};
use crate::runtime::{
    Head, LayerPlace, Options, Precision, Transformer, block_similarities, cosine, encoder_of,
};

/// Latents that each layer is tried on alone, at most.
const TRIED: usize = 16;

/// What must be kept.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Mean cosine of the logits to those of floats.
    pub cosine: f64,
    /// Share of latents with the same first label.
    pub agreement: f64,
}

/// A layer, and how much it matters.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Which.
    pub place: LayerPlace,
    /// Share of weights further than a deviation from their mean (ZD); the fewer, the more it matters.
    pub zd: f64,
    /// Minus the cosine of what goes into its block and what comes out (LIM), the mean over latents;
    /// the higher, the more it matters. `None` for the embedding, and if tokens are not made by ours.
    pub lim: Option<f64>,
    /// One minus the cosine of the logits if only this layer is quantised.
    pub error: f64,
    /// Whether it stays in floats.
    pub float: bool,
}

/// What was chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// All layers, the one that matters most first.
    pub layers: Vec<Layer>,
    /// What it keeps: mean cosine, and share of the same first label.
    pub kept: Goal,
    /// The same with every layer quantised.
    pub all_int8: Goal,
}

impl Choice {
    /// Layers that stay floats.
    pub fn floats(&self) -> Vec<LayerPlace> {
        let mut floats: Vec<_> = self.layers.iter().filter(|l| l.float).map(|l| l.place).collect();
        floats.sort_unstable();
        floats
    }
}

/// Quantises as many layers as the goal allows; `None` if it is stopped before. Layers are given back to floats in the order of the sum
/// of their ranks by LIM, ZD and measured error.
///
/// Source: LIM and ZD of Dumitru et al. 2024 (arXiv 2406.17415), as re-implemented by others: its own
/// equations are not public.
///
/// # Errors
/// `Bundle` if no transformer is recognised in the head, or it does not run on the latents; `Input` if
/// there are no latents.
pub fn tune(
    name: &str,
    onnx: &[u8],
    bundle: &Bundle,
    latents: &[Latent],
    goal: Goal,
    stop: &AtomicBool,
    mut progress: impl FnMut(usize, usize),
) -> Result<Option<Choice>> {
    if latents.is_empty() {
        return Err(Error::input(name, "there are no latents to tune on"));
    }
    let encoder = encoder_of(name, onnx)?;
    let head = |floats: Vec<LayerPlace>| {
        let options = Options { precision: Precision::Int8 { floats }, ..Options::default() };
        Head::from_onnx_as(name, onnx, &options)
    };
    let all: Vec<LayerPlace> =
        LayerPlace::all(encoder.embed.is_some(), encoder.blocks.len()).collect();
    let steps = all.len() + 2;
    progress(0, steps);
    let Some(truth) = answers(&mut head(all.clone())?, bundle, latents, stop)? else {
        return Ok(None);
    };
    progress(1, steps);
    // Files of one kind lie side by side.
    let some: Vec<usize> = search::spread(latents.len()).into_iter().take(TRIED).collect();
    let few: Vec<Latent> = some.iter().map(|&i| latents[i].clone()).collect();
    let few_truth: Vec<Vec<f32>> = some.iter().map(|&i| truth[i].clone()).collect();
    let lims = block_similarities(&encoder, &head(Vec::new())?, bundle, &few)?;
    let mut layers = Vec::new();
    for (i, &place) in all.iter().enumerate() {
        let others = all.iter().copied().filter(|&l| l != place).collect();
        let Some(found) = answers(&mut head(others)?, bundle, &few, stop)? else {
            return Ok(None);
        };
        let error = 1.0 - kept(&few_truth, &found).cosine;
        let zd = zd(&encoder, place);
        let lim = match place {
            LayerPlace::Embed => None,
            LayerPlace::Block(block, _) => lims.as_ref().map(|l| -l[block]),
        };
        layers.push(Layer { place, zd, lim, error, float: false });
        progress(i + 2, steps);
    }
    order(&mut layers);
    let mut all_int8 = None;
    loop {
        let floats = layers.iter().filter(|l| l.float).map(|l| l.place).collect();
        let Some(found) = answers(&mut head(floats)?, bundle, latents, stop)? else {
            return Ok(None);
        };
        let kept = kept(&truth, &found);
        let before = *all_int8.get_or_insert(kept);
        let met = kept.cosine >= goal.cosine && kept.agreement >= goal.agreement;
        match layers.iter_mut().find(|l| !l.float) {
            Some(next) if !met => next.float = true,
            _ => {
                progress(steps, steps);
                return Ok(Some(Choice { layers, kept, all_int8: before }));
            }
        }
    }
}

/// Logits of every latent; `None` if stopped.
fn answers(
    head: &mut Head,
    bundle: &Bundle,
    latents: &[Latent],
    stop: &AtomicBool,
) -> Result<Option<Vec<Vec<f32>>>> {
    let answer = |latent| match stop.load(Ordering::Relaxed) {
        true => Ok(None),
        false => head.logits(bundle, latent).map(Some),
    };
    latents.iter().map(answer).collect()
}

fn kept(truth: &[Vec<f32>], found: &[Vec<f32>]) -> Goal {
    let count = found.len() as f64;
    let pairs = || truth.iter().zip(found);
    Goal {
        cosine: pairs().map(|(a, b)| cosine(a, b)).sum::<f64>() / count,
        agreement: pairs().filter(|(a, b)| first(a) == first(b)).count() as f64 / count,
    }
}

/// The one in the middle; nothing of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Place of the largest.
fn first(x: &[f32]) -> Option<usize> {
    (0..x.len()).max_by(|&a, &b| x[a].total_cmp(&x[b]))
}

/// The most important first.
fn order(layers: &mut Vec<Layer>) {
    let rank = |value: &dyn Fn(&Layer) -> f64| -> Vec<usize> {
        layers
            .iter()
            .map(|l| layers.iter().filter(|o| value(o).total_cmp(&value(l)).is_gt()).count())
            .collect()
    };
    let by_error = rank(&|l| l.error);
    let by_zd = rank(&|l| -l.zd);
    let by_lim = rank(&|l| l.lim.unwrap_or(0.0));
    let mut places: Vec<usize> = (0..layers.len()).collect();
    places.sort_by_key(|&i| by_error[i] + by_zd[i] + by_lim[i]);
    *layers = places.into_iter().map(|i| layers[i].clone()).collect();
}

/// Share of weights of a layer that lie further than a deviation from their mean.
fn zd(encoder: &Transformer, place: LayerPlace) -> f64 {
    let weights = match (place, &encoder.embed) {
        (LayerPlace::Block(block, layer), _) => &encoder.blocks[block].layers()[layer].weights[..],
        (LayerPlace::Embed, embed) => embed.as_ref().map_or(&[][..], |e| &e.layer.weights),
    };
    let count = weights.len() as f64;
    let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / count;
    let square = |&w: &f32| (f64::from(w) - mean).powi(2);
    // Of a sample, as in the re-implementation.
    let deviation = (weights.iter().map(square).sum::<f64>() / (count - 1.0)).sqrt();
    let far = |w: &&f32| ((f64::from(**w) - mean) / deviation).abs() > 1.0;
    weights.iter().filter(far).count() as f64 / count
}
