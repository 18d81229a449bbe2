//! Orders of channels: what each channel is worth by weights alone or by statistics, and what a
//! recording keeps when only the first of an order are sent.
//!
//! Source: algorithms.md A.4 and E.2; what was found is in docs/orders.md.

use std::str::FromStr;
use std::sync::Arc;

use super::metrics::{audio, image};
use super::{klt, sparse};
use crate::codec::tokens::raw_bits;
use crate::codec::{ALPHABET, Arithmetic, Bundle, Frame, Latent, Quality, token};
use crate::error::{Error, Result};
use crate::runtime::{Decoder, Encoder};

/// Weight of the bias in a saliency; the two others have 1.
const BIAS: f64 = 0.5;
/// Share of the energy of all channels that the Salient-Core holds.
const CORE: f64 = 0.9;
/// Added to a spread, so that a statistic in which channels do not differ tells none apart.
const EPSILON: f64 = 1e-3;

/// What channels are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// As the bundle has them.
    Natural,
    /// Parameter saliency, from weights with the step in them: in units of steps.
    Saliency,
    /// Parameter saliency, from weights as they stand.
    SaliencyUnfolded,
    /// Variance of the latent, in steps.
    Variance,
    /// Variance of the latent times what one unit of it adds to the output.
    Relevance,
    /// Neuron strength: absolute weights into the channel and out of it.
    Strength,
    /// Chance, with a seed.
    Random(u64),
}

impl By {
    /// Every order, with one draw of chance.
    pub const ALL: [Self; 7] = [
        Self::Natural,
        Self::Saliency,
        Self::SaliencyUnfolded,
        Self::Variance,
        Self::Relevance,
        Self::Strength,
        Self::Random(1),
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Natural => "natural",
            Self::Saliency => "saliency",
            Self::SaliencyUnfolded => "saliency-unfolded",
            Self::Variance => "variance",
            Self::Relevance => "relevance",
            Self::Strength => "strength",
            Self::Random(_) => "random",
        }
    }
}

impl FromStr for By {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|by| by.name()).collect();
            Error::config("--by", format!("{name:?} is none of {}", names.join(", ")))
        })
    }
}

/// Channels in an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// What each channel is worth, channel by channel; comparable within one order only.
    pub scores: Vec<f64>,
    /// Channels, the most important first.
    pub channels: Vec<usize>,
    /// Channels of the Salient-Core, which stand first; none in orders that have no such thing.
    pub core: Option<usize>,
}

impl Order {
    /// By falling score, ties by channel.
    pub fn of(scores: Vec<f64>) -> Self {
        let channels = falling(&scores, 0..scores.len());
        Self { scores, channels, core: None }
    }

    /// Place of each channel, channel by channel.
    pub fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.channels.len()];
        self.channels.iter().enumerate().for_each(|(k, &c)| places[c] = k);
        places
    }
}

/// Scores of the channels of one bundle.
#[derive(Debug)]
pub struct Scores<'a> {
    bundle: &'a Bundle,
    gains: Vec<f64>,
}

impl<'a> Scores<'a> {
    /// Works out what the linear decoder makes of each channel.
    pub fn new(bundle: &'a Bundle) -> Self {
        Self { bundle, gains: gains(bundle) }
    }

    /// Squared error of the output for one unit in one value of each channel.
    ///
    /// Units: samples that span one unit. This is `||d xhat / d y_c||^2`: the decoder's column
    /// under the Gram matrix of the inverse transform, so that bands count as loud as they are.
    pub fn gains(&self) -> &[f64] {
        &self.gains
    }

    /// The channels in an order.
    pub fn order(&self, by: By) -> Order {
        let b = self.bundle;
        let channels = 0..b.channels();
        match by {
            By::Natural => Order::of(channels.rev().map(|k| (k + 1) as f64).collect()),
            By::Saliency => self.saliency(true),
            By::SaliencyUnfolded => self.saliency(false),
            By::Variance => {
                let steps = |c: usize| f64::from(b.deviation[c]) / f64::from(b.steps[c]);
                Order::of(channels.map(|c| steps(c).powi(2)).collect())
            }
            By::Relevance => {
                let variance = |c: usize| f64::from(b.deviation[c]).powi(2);
                Order::of(channels.map(|c| variance(c) * self.gains[c]).collect())
            }
            By::Strength => {
                let mut strength: Vec<f64> = channels.map(|c| sum_of_sizes(b, c)).collect();
                for k in 0..b.inner() {
                    b.synthesis.row(k).for_each(|(c, w)| strength[c] += f64::from(w.abs()));
                }
                Order::of(strength)
            }
            By::Random(seed) => {
                let mut state = seed;
                Order::of(channels.map(|_| next(&mut state)).collect())
            }
        }
    }

    /// Salient-Core and Salient-Auxiliary channels from the weights alone.
    ///
    /// Our stand-in for ISCS, whose formulas are not public. A channel's score is
    /// `z(ln v) + z(|b|) / 2 + z(ln g)` with the variance v of its analysis row, its bias b, its
    /// gain g, and z the distance from the median in median deviations. The core is the shortest
    /// run of the best that holds nine tenths of the sum of `v g`, an eighth of the channels at
    /// least and half at most. Every other channel belongs to the core channel whose row correlates
    /// most with its own; they follow by the score of that channel, then by the correlation.
    ///
    /// Source: algorithms.md A.4.
    fn saliency(&self, folded: bool) -> Order {
        let b = self.bundle;
        let channels = b.channels();
        let step = |c: usize| if folded { f64::from(b.steps[c]) } else { 1.0 };
        let rows: Vec<Vec<f64>> = (0..channels).map(|c| centred(b, c, step(c))).collect();
        let variance: Vec<f64> = rows.iter().map(|r| product(r, r) / r.len() as f64).collect();
        let bias = (0..channels).map(|c| f64::from(b.bias[c].abs()) / step(c)).collect();
        let gains: Vec<f64> = (0..channels).map(|c| self.gains[c] * step(c).powi(2)).collect();
        let ln = |x: &Vec<f64>| x.iter().map(|x| x.max(f64::MIN_POSITIVE).ln()).collect();
        let (v, m, g) = (spread(ln(&variance)), spread(bias), spread(ln(&gains)));
        let scores: Vec<f64> = (0..channels).map(|c| v[c] + BIAS * m[c] + g[c]).collect();

        let best = falling(&scores, 0..channels);
        let energy: Vec<f64> = best.iter().map(|&c| variance[c] * gains[c]).collect();
        let enough = CORE * energy.iter().sum::<f64>();
        let mut held = 0.0;
        let below = energy.iter().take_while(|e| {
            held += **e;
            held < enough
        });
        let (least, most) = ((channels / 8).max(1), (channels / 2).max(1));
        let core = (below.count() + 1).clamp(least, most);
        let (core, rest) = best.split_at(core.min(channels));
        let mut auxiliary: Vec<(f64, f64, usize)> = rest
            .iter()
            .map(|&c| {
                let with = core.iter().map(|&s| (s, correlation(&rows[c], &rows[s])));
                let partner = with.reduce(|a, b| if b.1 > a.1 { b } else { a });
                partner.map_or((0.0, 0.0, c), |(s, r)| (scores[s], r, c))
            })
            .collect();
        auxiliary.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
        let channels = core.iter().copied().chain(auxiliary.iter().map(|a| a.2)).collect();
        Order { channels, core: Some(core.len()), scores }
    }
}

/// What one unit in one value of each channel adds to the squared output.
fn gains(b: &Bundle) -> Vec<f64> {
    let (inner, channels) = (b.inner(), b.channels());
    let (gram, block) = match b.arithmetic {
        Arithmetic::Fixed => (sparse::gram(b.inputs), inner),
        Arithmetic::Float => (klt::gram(b.kind, b.levels), b.bands()),
    };
    let mut columns = vec![0.0; channels * inner];
    for k in 0..inner {
        b.synthesis.row(k).for_each(|(c, w)| columns[c * inner + k] += f64::from(w));
    }
    // The Gram matrix acts within each input.
    columns
        .chunks_exact(inner)
        .map(|d| d.chunks_exact(block).map(|d| sparse::quadratic(&gram, d, block)).sum())
        .collect()
}

/// Channels by falling score, ties by channel.
fn falling(scores: &[f64], channels: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut order: Vec<usize> = channels.collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order
}

/// A row of the analysis without its mean, in steps.
fn centred(b: &Bundle, channel: usize, step: f64) -> Vec<f64> {
    let mut row = vec![0.0; b.inner()];
    b.analysis.row(channel).for_each(|(k, w)| row[k] += f64::from(w) / step);
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    row.iter_mut().for_each(|w| *w -= mean);
    row
}

fn sum_of_sizes(b: &Bundle, channel: usize) -> f64 {
    b.analysis.row(channel).map(|(_, w)| f64::from(w.abs())).sum()
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Size of the correlation of two rows without mean; 0 if one is silent.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let norm = (product(a, a) * product(b, b)).sqrt();
    if norm > 0.0 { product(a, b).abs() / norm } else { 0.0 }
}

/// Distances from the median, in median deviations scaled to those of a normal distribution.
fn spread(values: Vec<f64>) -> Vec<f64> {
    let middle = median(values.clone());
    let deviation = 1.4826 * median(values.iter().map(|v| (v - middle).abs()).collect());
    values.iter().map(|v| (v - middle) / (deviation + EPSILON)).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { 0.0 } else { (values[(n - 1) / 2] + values[n / 2]) / 2.0 }
}

/// Reproducible numbers in [0, 1).
fn next(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 11) as f64 / (1u64 << 53) as f64
}

/// Rank correlation of two scores of the same channels, -1 to 1; ties share their mean rank.
///
/// `None` if one of them does not tell channels apart.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let centred = |scores: &[f64]| {
        let middle = (scores.len() as f64 - 1.0) / 2.0;
        ranks(scores).into_iter().map(|r| r - middle).collect::<Vec<f64>>()
    };
    let (a, b) = (centred(a), centred(b));
    let norm = (product(&a, &a) * product(&b, &b)).sqrt();
    (a.len() == b.len() && norm > 0.0).then(|| product(&a, &b) / norm)
}

fn ranks(scores: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let mut ranks = vec![0.0; scores.len()];
    let mut first = 0;
    for same in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let mean = first as f64 + (same.len() as f64 - 1.0) / 2.0;
        same.iter().for_each(|&c| ranks[c] = mean);
        first += same.len();
    }
    ranks
}

/// Numbers of channels at which orders are compared: falling by half an octave from all of them, and
/// the ends of the groups.
pub fn counts(bundle: &Bundle) -> Vec<usize> {
    let all = bundle.channels();
    let ladder = (0..9).map(|k| (all as f64 / f64::from(k).exp2().sqrt()).round() as usize);
    let mut counts: Vec<usize> = ladder.chain(bundle.groups.iter().copied()).collect();
    counts.retain(|&n| n > 0);
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// A frame in latents, from which any channels can be kept.
#[derive(Debug)]
pub struct Trial {
    frame: Frame,
    latent: Latent,
    bits: Vec<f64>,
}

impl Trial {
    /// Encodes a frame, all channels of it.
    ///
    /// # Errors
    /// `Shape` if the frame does not fit the bundle or has nothing to measure.
    pub fn new(bundle: &Arc<Bundle>, frame: &Frame, quality: Quality) -> Result<Self> {
        if frame.samples.is_empty() {
            return Err(Error::shape("frame to measure", "at least one sample", 0));
        }
        let latent = Encoder::new(bundle.clone(), bundle.channels(), quality)?.push(frame, true)?;
        let values = frame.positions() * if frame.is_audio() { frame.channels } else { 1 };
        let bits =
            (0..latent.channels).map(|c| entropy_bits(latent.channel(c)) / values as f64).collect();
        Ok(Self { frame: frame.clone(), latent, bits })
    }

    /// Bits of each channel by its own entropy, no context: what a table made for this channel of
    /// this frame spends.
    ///
    /// Units: bits per pixel, or per sample value of a sound.
    pub fn bits(&self) -> &[f64] {
        &self.bits
    }

    /// Peak signal-to-noise ratio of what the linear decoder makes of some channels, the others
    /// being 0; as [`super::eval::measure`] has it.
    ///
    /// # Errors
    /// `Shape` if the bundle is not the one that encoded.
    pub fn psnr_db(&self, bundle: &Arc<Bundle>, kept: &[usize]) -> Result<f64> {
        let latent = self.keeping(kept);
        let back =
            Decoder::new(bundle.clone(), latent.channels).push(&latent, self.frame.layout)?;
        if self.frame.is_audio() {
            return audio::psnr_db(&self.frame, &back);
        }
        image::psnr_db(&self.frame, &back)
    }

    /// The latent with some of its channels, the others being 0.
    pub fn keeping(&self, kept: &[usize]) -> Latent {
        let (l, cells) = (&self.latent, self.latent.cells());
        let mut values = vec![0; l.values.len()];
        for &c in kept.iter().filter(|c| **c < l.channels) {
            values[c * cells..][..cells].copy_from_slice(l.channel(c));
        }
        Latent { grid: l.grid.clone(), extent: l.extent.clone(), values, ..*l }
    }

    /// Rise of the mean squared error when a channel is left out of all, for each.
    ///
    /// Units: the square of full scale.
    ///
    /// # Errors
    /// As [`Self::psnr_db`].
    pub fn ablation(&self, bundle: &Arc<Bundle>) -> Result<Vec<f64>> {
        let error = |db: f64| 10f64.powf(-db / 10.0);
        let all: Vec<usize> = (0..self.latent.channels).collect();
        let whole = error(self.psnr_db(bundle, &all)?);
        let without = |c: usize| {
            let kept: Vec<usize> = all.iter().copied().filter(|&k| k != c).collect();
            Ok(error(self.psnr_db(bundle, &kept)?) - whole)
        };
        all.iter().map(|&c| without(c)).collect()
    }
}

/// Bits of values by the entropy of their tokens, with the raw bits behind tokens.
fn entropy_bits(values: &[i16]) -> f64 {
    let mut counts = [0u32; ALPHABET];
    values.iter().for_each(|&v| counts[token(v)] += 1);
    let total = values.len() as f64;
    let of = |(t, &n): (usize, &u32)| {
        let n = f64::from(n);
        if n > 0.0 { n * ((total / n).log2() + f64::from(raw_bits(t).0)) } else { 0.0 }
    };
    counts.iter().enumerate().map(of).sum()
}

/// Decibels that a curve lies above another on the mean, at equal x on a logarithmic scale, over the
/// x that both have. Points are `(x, dB)` of rising x, joined by straight lines.
///
/// `None` if they have no x in common.
pub fn mean_gain_db(curve: &[(f64, f64)], base: &[(f64, f64)]) -> Option<f64> {
    const PARTS: usize = 200;
    let logarithmic = |c: &[(f64, f64)]| -> Vec<(f64, f64)> {
        c.iter().filter(|p| p.0 > 0.0 && p.1.is_finite()).map(|p| (p.0.ln(), p.1)).collect()
    };
    let (curve, base) = (logarithmic(curve), logarithmic(base));
    let low = curve.first()?.0.max(base.first()?.0);
    let high = curve.last()?.0.min(base.last()?.0);
    let at = |c: &[(f64, f64)], x: f64| -> f64 {
        let k = c.partition_point(|p| p.0 < x).clamp(1, c.len().max(2) - 1);
        let (Some(a), Some(b)) = (c.get(k - 1), c.get(k)) else { return c[0].1 };
        if b.0 > a.0 { a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0) } else { b.1 }
    };
    (high >= low).then(|| {
        let x = |k: usize| low + (high - low) * (k as f64 + 0.5) / PARTS as f64;
        (0..PARTS).map(|k| at(&curve, x(k)) - at(&base, x(k))).sum::<f64>() / PARTS as f64
    })
}
