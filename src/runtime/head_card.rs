//! What a head says of itself, what it reads, and what it answers.

use std::collections::HashMap;
use std::time::Duration;

use super::precision::{FloatLayers, LayerPlace};
use super::tuned::{TUNED, Tuned};
use crate::codec::{Bundle, CodecId, Kind, Latent, Quality};
use crate::error::{Error, Result};

/// The metadata of a head: the `tamis.*` properties of its ONNX file.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadCard {
    /// Name or path it was opened by.
    pub name: String,
    /// What it does.
    pub task: String,
    /// The codec whose latents it reads.
    pub codec: CodecId,
    /// Name of the bundle with that codec.
    pub bundle: String,
    /// Channels read.
    pub channels: usize,
    /// Lowest and highest quality it is good for.
    pub quality: (Quality, Quality),
    /// The only grid it takes; `None` if it pools over any.
    pub grid: Option<Vec<usize>>,
    /// Sample rate it was trained on, 0 for pictures.
    pub rate: u32,
    /// Names of its outputs.
    pub labels: Vec<String>,
    /// Licence of the weights.
    pub licence: String,
    /// Layers that stay floats when the others are quantised: block, and place in
    pub floats: Vec<LayerPlace>,
    /// What was measured of it, if it was.
    pub tuned: Option<Tuned>,
}

/// What a head answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Labels and their probabilities, the likeliest first.
    pub top: Vec<(String, f32)>,
    /// Cells the model looked at.
    pub tokens: usize,
    /// The patches that a transformer went on with to its end, row by row, of those that became one the first;
    /// empty if none were to be left out.
    pub patches: Vec<usize>,
    /// Rows and columns of patches, where these are known.
    pub grid: Option<[usize; 2]>,
    /// Time taken.
    pub elapsed: Duration,
}

impl HeadCard {
    /// Reads the `tamis.*` properties of an ONNX file.
    ///
    /// # Errors
    /// `Bundle`, naming the property that is missing or wrong.
    pub fn from_properties(name: &str, p: &HashMap<String, String>) -> Result<Self> {
        let text = |key: &str| {
            let key = format!("tamis.{key}");
            p.get(&key).cloned().ok_or_else(|| {
                Error::bundle(name, format!("has no property {key}; is it a head for tamis?"))
            })
        };
        let wrong = |key: &str, value: &str| {
            Error::bundle(name, format!("property tamis.{key} is {value:?}, which cannot be read"))
        };
        let channels = text("channels")?;
        let quality = text("quality")?;
        let grid = text("grid")?;
        let range = quality
            .split_once(',')
            .and_then(|(l, h)| {
                let low = Quality::new(l.trim().parse().ok()?).ok()?;
                Some((low, Quality::new(h.trim().parse().ok()?).ok()?))
            })
            .ok_or_else(|| wrong("quality", &quality))?;
        let grid = match grid.split_once(' ') {
            Some(("any", _)) => None,
            Some(("exact", size)) => {
                let size: Option<Vec<usize>> = size.split('x').map(|n| n.parse().ok()).collect();
                Some(size.ok_or_else(|| wrong("grid", &grid))?)
            }
            _ => return Err(wrong("grid", &grid)),
        };
        let floats = p.get("tamis.floats").map_or("", String::as_str);
        let tuned = Tuned::parse(p.get(TUNED).map_or("", String::as_str)).map_err(|why| {
            Error::bundle(name, format!("property {TUNED}: {why}; tune the head again"))
        })?;
        let rate = p.get("tamis.rate").map_or("0", String::as_str);
        Ok(Self {
            name: name.into(),
            task: text("task")?,
            codec: text("codec")?.parse().map_err(|e| Error::bundle(name, e))?,
            bundle: text("bundle")?,
            channels: channels.parse().map_err(|_| wrong("channels", &channels))?,
            quality: range,
            grid,
            rate: rate.parse().map_err(|_| wrong("rate", rate))?,
            labels: labels(&text("labels")?).ok_or_else(|| wrong("labels", "…"))?,
            licence: text("licence")?,
            floats: floats
                .parse()
                .map(|f: FloatLayers| f.0)
                .map_err(|_| wrong("floats", floats))?,
            tuned,
        })
    }

    /// Shapes of inputs that it takes, to look at the model with: two that have little in common if it
    /// takes any grid.
    #[cfg(feature = "onnx")]
    pub(super) fn usual_shapes(&self) -> Vec<Vec<usize>> {
        let with = |grid: &[usize]| {
            // Sound has one row, which its input leaves out.
            let grid = if self.rate > 0 { &grid[grid.len().saturating_sub(1)..] } else { grid };
            [&[1, self.channels], grid].concat()
        };
        match &self.grid {
            Some(grid) => vec![with(grid)],
            None => vec![with(&[16, 16]), with(&[23, 37])],
        }
    }

    /// Refuses a bundle whose latents the model was not trained on.
    ///
    /// # Errors
    /// `Bundle`, naming both codecs.
    pub fn check(&self, bundle: &Bundle) -> Result<()> {
        if self.codec == bundle.codec_id() {
            return Ok(());
        }
        let reason = format!(
            "reads latents of codec {} (bundle {:?}), these are of codec {} (bundle {:?})",
            self.codec,
            self.bundle,
            bundle.codec_id(),
            bundle.card.name
        );
        Err(Error::bundle(&self.name, reason))
    }

    /// The shape of the model's input.
    ///
    /// Shape: `[1, channels, height, width]` for pictures, `[1, channels, steps]` for sound.
    ///
    /// # Errors
    /// `Bundle` if the latent is of another codec, has a grid the model does not take, or is empty.
    pub fn shape(&self, bundle: &Bundle, latent: &Latent) -> Result<Vec<usize>> {
        self.check(bundle)?;
        if latent.codec != self.codec {
            let reason = format!("latent is of codec {}, needed is {}", latent.codec, self.codec);
            return Err(Error::bundle(&self.name, reason));
        }
        if self.channels > bundle.channels() {
            let reason = format!("reads {} channels of {}", self.channels, bundle.channels());
            return Err(Error::bundle(&self.name, reason));
        }
        let cells = latent.cells();
        let mut shape = vec![1, self.channels];
        match bundle.kind {
            Kind::Image => shape.extend(&latent.grid),
            Kind::Audio if latent.grid[0] == 1 => shape.push(latent.grid[1]),
            Kind::Audio => {
                let reason = format!(
                    "reads sound of {} channels, this has {}; mix it down first",
                    bundle.inputs, latent.extent[0]
                );
                return Err(Error::bundle(&self.name, reason));
            }
        }
        if cells == 0 {
            return Err(Error::bundle(&self.name, "there is nothing in this latent to classify"));
        }
        if let Some(grid) = &self.grid
            && *grid != latent.grid
        {
            // Width first, as everywhere that sizes are typed.
            let words = |grid: &[usize]| {
                let sides = grid.iter().rev().take(if bundle.kind == Kind::Image { 2 } else { 1 });
                let sides: Vec<String> = sides.map(|g| (g * bundle.cell()).to_string()).collect();
                sides.join("x")
            };
            let what = if bundle.kind == Kind::Image { "pixels" } else { "samples" };
            let (one, this) = (words(grid), words(&latent.grid));
            let reason = format!("takes {one} {what} only, this has {this}; make it {one} first");
            return Err(Error::bundle(&self.name, reason));
        }
        Ok(shape)
    }

    /// The model's input: dequantised, divided by the deviations, zero beyond the prefix.
    ///
    /// # Errors
    /// As [`Self::shape`].
    pub fn input(&self, bundle: &Bundle, latent: &Latent) -> Result<(Vec<usize>, Vec<f32>)> {
        let shape = self.shape(bundle, latent)?;
        let values = bundle.scaled(latent, self.channels)?;
        Ok((shape, values))
    }

    /// What a whole number of each of the first channels is worth in the model's input; `None` if that
    /// is not the same for all numbers.
    #[cfg(feature = "onnx")]
    pub(super) fn worth(&self, bundle: &Bundle, latent: &Latent) -> Option<Vec<f32>> {
        let channels = latent.channels.min(self.channels);
        let steps = bundle.steps[..channels].iter().zip(&bundle.deviation);
        let worth = |(step, deviation): (&f32, &f32)| step * latent.quality.factor() / deviation;
        (bundle.quantizer == crate::codec::Quantizer::Step).then(|| steps.map(worth).collect())
    }

    /// Probabilities from logits.
    ///
    /// # Errors
    /// `Bundle` if there are not as many logits as labels.
    pub fn prediction(
        &self,
        logits: &[f32],
        tokens: usize,
        elapsed: Duration,
    ) -> Result<Prediction> {
        if logits.len() != self.labels.len() {
            let reason = format!("gives {} values for {} labels", logits.len(), self.labels.len());
            return Err(Error::bundle(&self.name, reason));
        }
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = logits.iter().map(|x| (x - max).exp()).collect();
        let sum: f32 = powers.iter().sum();
        let mut top: Vec<(String, f32)> =
            self.labels.iter().cloned().zip(powers.iter().map(|p| p / sum)).collect();
        top.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(Prediction { top, tokens, patches: Vec::new(), grid: None, elapsed })
    }
}

/// The strings of a JSON list of strings, without escapes.
fn labels(json: &str) -> Option<Vec<String>> {
    let inner = json.trim().strip_prefix('[')?.strip_suffix(']')?;
    inner
        .split(',')
        .map(|s| Some(s.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned()))
        .collect()
}
