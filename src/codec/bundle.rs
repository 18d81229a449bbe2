//! Bundles: every number of a codec, checked and named.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::contexts::Contexts;
use super::fixed;
use super::latent::{CodecId, Latent};
use super::projection::Projection;
use super::quality::Quality;
use super::quantize::Quantizer;
use super::tables::Tables;
use crate::error::{Error, Result};
use crate::signal::Ends;

/// What a codec codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Pictures: two dimensions, 1 to 4 levels.
    Image,
    /// Sound: one dimension, 1 to 9 levels.
    Audio,
}

/// How a codec counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// Each input is a plane of its own, in single precision.
    #[default]
    Float,
    /// Pictures of one or three colours as a sum and two opponents of half size, in 16-bit fixed
    /// point: fast, and the same integers on every machine. Weights are whole 1/32768 (analysis)
    /// and 1/16384 (synthesis), biases whole, offsets even; steps are at least 16.
    Fixed,
}

/// Words about a bundle; no number depends on them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Card {
    /// Short name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it was fitted on.
    pub data: String,
    /// Licence of the bundle and of its data.
    pub licence: String,
    /// Command that made it.
    pub command: String,
}

/// The numbers of a codec, before they are checked.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Words about it.
    pub card: Card,
    /// What it codes.
    pub kind: Kind,
    /// How it counts.
    pub arithmetic: Arithmetic,
    /// Colours or sound channels coded together.
    pub inputs: usize,
    /// Levels of the packet transform.
    pub levels: u32,
    /// What stands beyond the edges.
    pub ends: Ends,
    /// Cells of pure bias before and after a sound; 1 in WaLLoC's one-dimensional codecs.
    pub padding: usize,
    /// Nominal sample rate of a sound codec, else 0.
    pub rate: u32,
    /// How reals become integers.
    pub quantizer: Quantizer,
    /// Bands to channels: `[channels, inputs * bands]`.
    pub analysis: Projection,
    /// Added after `analysis`: `[channels]`.
    pub bias: Vec<f32>,
    /// Channels to bands: `[inputs * bands, channels]`.
    pub synthesis: Projection,
    /// Added after `synthesis`: `[inputs * bands]`.
    pub offset: Vec<f32>,
    /// Step of each channel at quality 75.
    pub steps: Vec<f32>,
    /// Standard deviation of each channel on the training data.
    pub deviation: Vec<f32>,
    /// Ends of the groups of channels; the last is the number of channels.
    pub groups: Vec<usize>,
    /// Entropy tables of the fast coder.
    pub tables: Tables,
    /// Numbers of the dense coder.
    pub contexts: Contexts,
}

/// A codec: transform, projection, quantizer, order, tables, each checked.
#[derive(Debug, Clone)]
pub struct Bundle {
    parts: Parts,
    codec: CodecId,
    tables: CodecId,
    /// Where it was opened.
    pub(super) folder: Option<PathBuf>,
}

impl std::ops::Deref for Bundle {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Bundle {
    /// Checks the parts and names them.
    ///
    /// # Errors
    /// `Shape` if the parts do not fit together, `Limit` if one is too large.
    pub fn new(parts: Parts) -> Result<Self> {
        check(&parts)?;
        let codec = hash(|h| hash_codec(h, &parts));
        let tables = hash(|h| {
            h.update(b"tamis tables 2");
            h.update(le(parts.tables.frequencies(), |f| f.to_le_bytes()));
            h.update(parts.tables.choices());
            let c = &parts.contexts;
            h.update(le(&c.references, |r| r.to_le_bytes()));
            h.update(le(&c.taps, |t| t.to_le_bytes()));
            for choice in std::iter::once(&c.alone).chain(&c.continued) {
                h.update(le(&choice.weights, |w| w.to_le_bytes()));
                h.update(&choice.select);
            }
            h.update(le(&c.frequencies, |f| f.to_le_bytes()));
        });
        Ok(Self { parts, codec, tables, folder: None })
    }

    /// Latent channels, all of them.
    pub fn channels(&self) -> usize {
        self.parts.analysis.rows()
    }

    /// Samples per cell and axis.
    pub fn cell(&self) -> usize {
        1 << self.parts.levels
    }

    /// Bands per input, if each input is a plane of its own.
    pub fn bands(&self) -> usize {
        self.inner() / self.parts.inputs
    }

    /// Whether sounds are coded whole: the first cells need the last samples, or come before them.
    pub fn is_whole(&self) -> bool {
        let p = &self.parts;
        p.kind == Kind::Audio && (p.ends == Ends::Periodic || p.padding > 0)
    }

    /// Bands of all planes.
    pub fn inner(&self) -> usize {
        self.parts.analysis.cols()
    }

    /// What is added to the size of a channel's real in steps before it is cut to a whole number.
    ///
    /// Less than a half where values are rare: what they would cost is more than they repair. The
    /// more a step is against the channel's deviation, the more the rate of a value rises with it;
    /// the slope is the measured best on photographs. An encoder's choice: no decoder knows it, and
    /// an encoder that must save more takes some `thrift` off, up to 0.2.
    pub fn rounding(&self, channel: usize, quality: Quality, thrift: f32) -> f32 {
        let step = self.parts.steps[channel] * quality.factor();
        (0.5 - 0.07 * step / self.parts.deviation[channel]).clamp(0.25, 0.5) - thrift
    }

    /// Integers of a channel's reals.
    pub fn quantize(
        &self,
        channel: usize,
        quality: Quality,
        thrift: f32,
        reals: &[f32],
        out: &mut [i16],
    ) {
        let step = self.parts.steps[channel] * quality.factor();
        let rounding = self.rounding(channel, quality, thrift);
        self.parts.quantizer.quantize(reals, step, rounding, out);
    }

    /// Reals of the first `channels` channels of a latent, each divided by its deviation: what heads
    /// read, so that its meaning does not depend on quality.
    ///
    /// Shape: `[channels, grid...]`; channels that the latent lacks are zero.
    ///
    /// # Errors
    /// `Bundle` if the latent is of another codec, `Shape` if the bundle has fewer channels or the
    /// latent's parts disagree.
    pub fn scaled(&self, latent: &Latent, channels: usize) -> Result<Vec<f32>> {
        if latent.codec != self.codec {
            let reason = format!("latent is of codec {}, not {}", latent.codec, self.codec);
            return Err(Error::bundle(&self.parts.card.name, reason));
        }
        if channels.max(latent.channels) > self.channels() {
            let (all, asked) = (self.channels(), channels.max(latent.channels));
            return Err(Error::shape("channels", format!("at most {all}"), asked));
        }
        let cells = latent.cells();
        if latent.values.len() != latent.channels * cells {
            let expected = latent.channels * cells;
            return Err(Error::shape("latent values", expected, latent.values.len()));
        }
        let mut values = vec![0.0; channels * cells];
        let present = latent.channels.min(channels);
        for (c, out) in values.chunks_exact_mut(cells.max(1)).take(present).enumerate() {
            let step = self.parts.steps[c];
            self.parts.quantizer.dequantize(latent.channel(c), step, latent.quality, out);
            let deviation = self.parts.deviation[c];
            out.iter_mut().for_each(|x| *x /= deviation);
        }
        Ok(values)
    }

    /// Names the numbers of its latents.
    pub fn codec_id(&self) -> CodecId {
        self.codec
    }

    /// The folder that it was opened from, in which neural decoders may stand beside it.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Names its entropy tables.
    pub fn tables_id(&self) -> CodecId {
        self.tables
    }
}

fn check(p: &Parts) -> Result<()> {
    let (levels, bands) = match p.kind {
        Kind::Image => (1..=4, 4usize),
        Kind::Audio => (1..=9, 2),
    };
    if !levels.contains(&p.levels) {
        let expected = format!("{} to {}", levels.start(), levels.end());
        return Err(Error::shape("levels", expected, p.levels));
    }
    if p.inputs == 0 || p.inputs > 256 {
        return Err(Error::shape("inputs", "1 to 256", p.inputs));
    }
    let inner = match p.arithmetic {
        Arithmetic::Float => p.inputs * bands.pow(p.levels),
        Arithmetic::Fixed => fixed::inner(p.inputs),
    };
    let channels = p.analysis.rows();
    let lengths = [
        ("analysis columns", inner, p.analysis.cols()),
        ("synthesis rows", inner, p.synthesis.rows()),
        ("synthesis columns", channels, p.synthesis.cols()),
        ("bias", channels, p.bias.len()),
        ("offset", inner, p.offset.len()),
        ("steps", channels, p.steps.len()),
        ("deviation", channels, p.deviation.len()),
        ("entropy table channels", channels, p.tables.channels()),
    ];
    if channels > inner {
        return Err(Error::shape("channels", format!("at most {inner}"), channels));
    }
    for (what, expected, actual) in lengths {
        if expected != actual {
            return Err(Error::shape(what, expected, actual));
        }
    }
    if let Some(bad) = p.bias.iter().chain(&p.offset).find(|x| !x.is_finite()) {
        return Err(Error::shape("bias or offset", "a finite number", bad));
    }
    if let Some(bad) =
        p.steps.iter().chain(&p.deviation).find(|x| !(1e-6..=1e6).contains(&x.abs()) || **x < 0.0)
    {
        return Err(Error::shape("step or deviation", "between 1e-6 and 1e6", bad));
    }
    let rising = p.groups.windows(2).all(|w| w[0] < w[1]);
    if !rising || p.groups.len() > 15 || p.groups[..].first() == Some(&0) {
        return Err(Error::shape("groups", "at most 15 rising ends", format!("{:?}", p.groups)));
    }
    if p.groups.last() != Some(&channels) {
        let expected = format!("a last end of {channels}");
        return Err(Error::shape("groups", expected, format!("{:?}", p.groups)));
    }
    p.contexts.check(&p.groups)?;
    if p.padding > 1 || (p.padding > 0 && p.kind == Kind::Image) {
        return Err(Error::shape("padding", "0, or 1 for sound", p.padding));
    }
    if let Quantizer::Companding { bits } = p.quantizer
        && !(2..=8).contains(&bits)
    {
        return Err(Error::shape("companding bits", "2 to 8", bits));
    }
    if p.arithmetic == Arithmetic::Fixed { check_fixed(p) } else { Ok(()) }
}

/// What fixed point asks for beyond the rest.
fn check_fixed(p: &Parts) -> Result<()> {
    let form = (p.kind, p.levels, p.ends, p.quantizer);
    if form != (Kind::Image, fixed::LEVELS, Ends::Mirror, Quantizer::Step)
        || ![1, 3].contains(&p.inputs)
    {
        let expected = "pictures of 1 or 3 colours, 3 levels, mirrored ends, steps";
        return Err(Error::shape("fixed point", expected, format!("{form:?}, {}", p.inputs)));
    }
    // Quality 100 divides steps by 8.7, and a step below 1 has no whole divisor.
    if let Some(bad) = p.steps.iter().find(|s| !(16.0..=16384.0).contains(*s)) {
        return Err(Error::shape("fixed-point step", "16 to 16384", bad));
    }
    let whole = |values: &[f32], unit: f32, limit: f32| {
        values.iter().all(|v| (v / unit).fract() == 0.0 && v.abs() <= limit)
    };
    let fits = whole(p.analysis.weight(), 1.0 / 32768.0, 1.0 - 1.0 / 32768.0)
        && whole(p.synthesis.weight(), 1.0 / 16384.0, 2.0 - 1.0 / 16384.0)
        && whole(&p.bias, 1.0, 32767.0)
        && whole(&p.offset, 2.0, 32766.0);
    match fits {
        true => Ok(()),
        false => {
            let expected = "analysis in 1/32768 below 1, synthesis in 1/16384 below 2, whole \
                            biases, even offsets";
            Err(Error::shape("fixed-point weights", expected, "others"))
        }
    }
}

fn hash(feed: impl FnOnce(&mut Sha256)) -> CodecId {
    let mut h = Sha256::new();
    feed(&mut h);
    let mut id = [0; 8];
    id.copy_from_slice(&h.finalize()[..8]);
    CodecId(id)
}

fn hash_codec(h: &mut Sha256, p: &Parts) {
    h.update(b"tamis codec 1");
    let (quantizer, bits) = match p.quantizer {
        Quantizer::Step => (0, 0),
        Quantizer::Companding { bits } => (1, bits),
    };
    let index = p.analysis.index();
    let numbers = [
        u32::from(p.kind == Kind::Audio),
        p.inputs as u32,
        p.levels,
        u32::from(p.ends == Ends::Mirror),
        p.padding as u32,
        quantizer,
        bits,
        p.analysis.rows() as u32,
        p.analysis.terms() as u32,
        u32::from(index.is_some()),
    ];
    h.update(le(&numbers, |n| n.to_le_bytes()));
    if p.arithmetic == Arithmetic::Fixed {
        h.update(b"fixed 1");
    }
    h.update(le(index.unwrap_or(&[]), |i| i.to_le_bytes()));
    // Deviations change no latent, but they scale what heads read, and heads bind to this id.
    for v in [p.analysis.weight(), &p.bias, &p.steps, &p.deviation] {
        h.update(le(v, |x| x.to_le_bytes()));
    }
}

/// Bytes of numbers, one behind the other.
pub(super) fn le<T, const N: usize>(values: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(bytes).collect()
}
