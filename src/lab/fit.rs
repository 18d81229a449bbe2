//! `fit`: a codec for your sensor, in closed form.
//!
//! Pictures: a Karhunen-Loève transform over the packet bands, weighted by the synthesis Gram
//! matrix, with the optimal linear decoder (perf.md 2a). Bands: `spectral.rs`. Sounds: mid/side and one scale per band,
//! in order of variance, since a rotation gains nothing there (audio.md section 2).

use rayon::prelude::*;

use super::contexts::{Sample, Samples};
use super::histogram::Histogram;
use super::klt;
use super::sparse;
use super::spectral;
use crate::codec::{
    Arithmetic, Bundle, Card, Contexts, Frame, Kind, Parts, Projection, Quantizer, Tables,
    anchor_qualities, fixed, plain,
};
use crate::error::{Error, Result};
use crate::signal::Ends;

/// Step of every picture channel at quality 75; samples span one unit.
const IMAGE_STEP: f32 = 0.1;
/// Step of every sound channel at quality 75; samples span one unit.
const AUDIO_STEP: f32 = 0.02;
/// Files that are read and transformed at once; sums run in file order, so the result does not
/// depend on threads.
pub(super) const AT_ONCE: usize = 16;

/// What to fit.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Pictures or sounds.
    pub kind: Kind,
    /// Fixed point with this many terms a channel, for pictures of 1 or 3 colours and 3 levels;
    /// floating point with all terms if `None`.
    pub terms: Option<usize>,
    /// Pictures are of bands: one rotation of the spectrum for all packet bands.
    pub spectral: bool,
    /// Colours, bands or sound channels coded together.
    pub inputs: usize,
    /// Levels of the packet transform.
    pub levels: u32,
    /// Channels kept.
    pub channels: usize,
    /// Nominal sample rate of a sound codec, else 0.
    pub rate: u32,
    /// Words for the bundle's card.
    pub card: Card,
}

impl Fit {
    /// Bands of all inputs.
    fn inner(&self) -> usize {
        if self.terms.is_some() {
            return fixed::inner(self.inputs);
        }
        self.inputs << (self.levels * if self.kind == Kind::Image { 2 } else { 1 })
    }
}

/// First and second moments of the bands.
struct Moments {
    cells: u64,
    sum: Vec<f64>,
    /// `[inner, inner]` for pictures, the diagonal for sounds.
    products: Vec<f64>,
}

/// A bundle, and what it gives up for speed.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The bundle.
    pub bundle: Bundle,
    /// For each group of channels of a sparse bundle: its last channel, and the decibels that all
    /// terms would give more on the files it was fitted on.
    pub cost_db: Vec<(usize, f64)>,
    /// For bands: the fidelity that the channels left out allow on those files, in decibels of the range
    /// of their samples.
    pub most_db: Option<f64>,
}

/// Fits a bundle on `files`, reading each twice with `read`; `done` is called after each reading.
///
/// Files that cannot be read or hold another number of channels are passed over: `read` says so
/// with `None`.
///
/// # Errors
/// `Shape` if levels or channels are out of range, `Input` if nothing could be read.
pub fn fit<F: Sync>(
    options: &Fit,
    files: &[F],
    read: impl Fn(&F) -> Option<Frame> + Sync,
    done: impl Fn() + Sync,
) -> Result<Fitted> {
    let inner = options.inner();
    if options.channels == 0 || options.channels > inner {
        return Err(Error::shape("channels", format!("1 to {inner}"), options.channels));
    }
    let frame = |file: &F| {
        let frame = read(file).filter(|f| f.channels == options.inputs && f.positions() > 0);
        done();
        frame
    };
    if options.spectral {
        let fitted = spectral::fit(options, files, frame)?;
        let mut parts = fitted.parts;
        let draft = Bundle::new(parts.clone())?;
        (parts.tables, parts.contexts, _) = entropy(&draft, files, frame)?;
        let most_db = Some(fitted.most_db).filter(|db| db.is_finite());
        return Ok(Fitted { bundle: Bundle::new(parts)?, cost_db: Vec::new(), most_db });
    }
    let identity = match options.terms {
        Some(_) => None,
        None => Some(Bundle::new(identity(options)?)?),
    };
    let full = options.kind == Kind::Image;
    let mut moments = Moments::new(inner, full);
    for part in files.chunks(AT_ONCE) {
        let parts: Vec<Option<Moments>> = part
            .par_iter()
            .map(|file| {
                let frame = frame(file)?;
                let bands = match &identity {
                    Some(identity) => plain::reals(identity, &frame, inner).ok()?,
                    None => fixed::bands(options.inputs, frame.view())
                        .into_iter()
                        .map(f32::from)
                        .collect(),
                };
                Some(Moments::of(&bands, inner, full))
            })
            .collect();
        parts.iter().flatten().for_each(|m| moments.add(m));
    }
    if moments.cells < inner as u64 {
        let reason = format!(
            "{} cells of {} samples with {} channels were found, a fit needs {inner}",
            moments.cells,
            (1usize << options.levels).pow(if full { 2 } else { 1 }),
            options.inputs
        );
        return Err(Error::input("fit", reason));
    }
    let mut cost_db = Vec::new();
    let mut parts = match (options.kind, options.terms) {
        (Kind::Image, Some(terms)) => few_terms(options, &moments, terms, &mut cost_db)?,
        (Kind::Image, None) => rotation(options, &moments)?,
        (Kind::Audio, _) => scales(options, &moments)?,
    };
    let draft = Bundle::new(parts.clone())?;
    (parts.tables, parts.contexts, _) = entropy(&draft, files, frame)?;
    Ok(Fitted { bundle: Bundle::new(parts)?, cost_db, most_db: None })
}

/// Fits the tables and contexts of both coders of a bundle to `files` anew; its codec stays.
///
/// Files that `read` passes over with `None`, or that the bundle does not code, are left out;
/// `done` is called after each reading.
///
/// # Errors
/// `Input` if no file is left.
pub fn refit<F: Sync>(
    bundle: &Bundle,
    files: &[F],
    read: impl Fn(&F) -> Option<Frame> + Sync,
    done: impl Fn() + Sync,
) -> Result<Bundle> {
    let frame = |file: &F| {
        let frame = read(file).filter(|f| f.channels == bundle.inputs && f.positions() > 0);
        done();
        frame
    };
    let (tables, contexts, found) = entropy(bundle, files, frame)?;
    if found == 0 {
        let kind = if bundle.kind == Kind::Image { "pictures" } else { "sounds" };
        let reason = format!(
            "none of {} files is one of the {kind} with {} channels that the bundle codes",
            files.len(),
            bundle.inputs
        );
        return Err(Error::input("refit", reason));
    }
    Bundle::new(Parts { tables, contexts, ..Parts::clone(bundle) })
}

/// Tables and contexts of a bundle from the latents of `files`, and the number of files they are from.
fn entropy<F: Sync>(
    bundle: &Bundle,
    files: &[F],
    frame: impl Fn(&F) -> Option<Frame> + Sync,
) -> Result<(Tables, Contexts, usize)> {
    let (channels, anchors) = (bundle.channels(), anchor_qualities()?);
    let mut histogram = Histogram::new(channels, anchors.clone());
    let mut samples = Samples::default();
    let mut found = 0;
    for part in files.chunks(AT_ONCE) {
        let counts: Vec<Option<(Histogram, Vec<Sample>)>> = part
            .par_iter()
            .map(|file| {
                let frame = frame(file)?;
                let reals = plain::reals(bundle, &frame, channels).ok()?;
                let grid = plain::grid(bundle, &plain::extent(bundle, &frame).ok()?).ok()?;
                let mut h = Histogram::new(channels, anchors.clone());
                h.add(bundle, &reals, reals.len() / channels);
                Some((h, Samples::of(bundle, &grid, &reals)))
            })
            .collect();
        for (h, some) in counts.into_iter().flatten() {
            histogram.merge(&h);
            samples.add(some);
            found += 1;
        }
    }
    Ok((histogram.tables()?, samples.contexts(bundle)?, found))
}

impl Moments {
    fn new(inner: usize, full: bool) -> Self {
        let products = vec![0.0; if full { inner * inner } else { inner }];
        Self { cells: 0, sum: vec![0.0; inner], products }
    }

    fn of(bands: &[f32], inner: usize, full: bool) -> Self {
        let mut m = Self::new(inner, full);
        let cells = bands.len() / inner;
        m.cells = cells as u64;
        let rows: Vec<&[f32]> = bands.chunks_exact(cells.max(1)).collect();
        for (i, row) in rows.iter().enumerate() {
            m.sum[i] = row.iter().map(|&x| f64::from(x)).sum();
            if full {
                for (j, other) in rows[..=i].iter().enumerate() {
                    m.products[i * inner + j] = dot(row, other);
                }
            } else {
                m.products[i] = dot(row, row);
            }
        }
        m
    }

    fn add(&mut self, other: &Self) {
        self.cells += other.cells;
        self.sum.iter_mut().zip(&other.sum).for_each(|(a, b)| *a += b);
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| *a += b);
    }

    fn means(&self) -> Vec<f64> {
        self.sum.iter().map(|s| s / self.cells as f64).collect()
    }

    /// Covariance of the bands, if all products were taken.
    fn covariance(&self) -> Vec<f64> {
        let (inner, means) = (self.sum.len(), self.means());
        (0..inner * inner)
            .map(|k| {
                let (i, j) = (k / inner, k % inner);
                let product = self.products[i.max(j) * inner + i.min(j)];
                product / self.cells as f64 - means[i] * means[j]
            })
            .collect()
    }
}

/// Dot product: single precision in short runs, double between them.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.chunks(256)
        .zip(b.chunks(256))
        .map(|(a, b)| {
            let mut lanes = [0.0f32; 8];
            let (a8, a_rest) = a.as_chunks::<8>();
            let (b8, b_rest) = b.as_chunks::<8>();
            for (x, y) in a8.iter().zip(b8) {
                for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
                    *lane += x * y;
                }
            }
            let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
            f64::from(lanes.iter().sum::<f32>() + rest)
        })
        .sum()
}

/// A codec whose latents are the bands themselves, of mid and side for stereo.
fn identity(o: &Fit) -> Result<Parts> {
    let inner = o.inner();
    let (index, weight) = mix(o);
    let one = Projection::sparse(inner, index.len() / inner, index, weight)?;
    parts(o, one.clone(), one, vec![0.0; inner], vec![0.0; inner], vec![1.0; inner])
}

/// Terms of the matrix that mixes the inputs, band by band: `[[1, 1], [1, -1]] / sqrt 2` for stereo
/// sound, else one. It is its own inverse.
fn mix(o: &Fit) -> (Vec<u16>, Vec<f32>) {
    let (inner, bands) = (o.inner(), o.inner() / o.inputs);
    if o.kind == Kind::Image || o.inputs != 2 {
        return ((0..inner as u16).collect(), vec![1.0; inner]);
    }
    let half = std::f32::consts::FRAC_1_SQRT_2;
    let index = (0..inner).flat_map(|i| [(i % bands) as u16, (bands + i % bands) as u16]).collect();
    let weight = (0..inner).flat_map(|i| [half, if i < bands { half } else { -half }]).collect();
    (index, weight)
}

pub(super) fn parts(
    o: &Fit,
    analysis: Projection,
    synthesis: Projection,
    bias: Vec<f32>,
    offset: Vec<f32>,
    deviation: Vec<f32>,
) -> Result<Parts> {
    let channels = analysis.rows();
    let step = if o.kind == Kind::Image { IMAGE_STEP } else { AUDIO_STEP };
    Ok(Parts {
        card: o.card.clone(),
        kind: o.kind,
        arithmetic: if o.terms.is_some() { Arithmetic::Fixed } else { Arithmetic::Float },
        inputs: o.inputs,
        levels: o.levels,
        ends: Ends::Mirror,
        padding: 0,
        rate: o.rate,
        quantizer: Quantizer::Step,
        analysis,
        bias,
        synthesis,
        offset,
        steps: vec![step; channels],
        // Silent bands still need a scale.
        deviation: deviation.iter().map(|d| d.max(1e-5)).collect(),
        groups: groups(channels),
        tables: Tables::generic(channels)?,
        contexts: Contexts::generic(channels),
    })
}

/// Ends of groups that double from a sixteenth of the channels to all of them.
fn groups(channels: usize) -> Vec<usize> {
    let mut ends: Vec<usize> = (0..5).rev().map(|k| channels >> k).filter(|&e| e > 0).collect();
    ends.dedup();
    ends
}

/// The sparse transform of fixed point.
fn few_terms(
    o: &Fit,
    moments: &Moments,
    terms: usize,
    cost_db: &mut Vec<(usize, f64)>,
) -> Result<Parts> {
    let (mean, covariance) = (moments.means(), moments.covariance());
    let (ends, step) = (groups(o.channels), f64::from(IMAGE_STEP));
    let few = sparse::sparse(o.inputs, &mean, &covariance, &ends, terms, step)?;
    *cost_db = few.cost_db;
    let parts = parts(o, few.analysis, few.synthesis, few.bias, few.offset, few.deviation)?;
    Ok(Parts { steps: few.steps, ..parts })
}

/// The weighted Karhunen-Loève transform.
///
/// With G the Gram matrix and C the covariance of the bands, U holds the leading eigenvectors of
/// G^1/2 C G^1/2; analysis is U' G^1/2, synthesis G^-1/2 U.
fn rotation(o: &Fit, moments: &Moments) -> Result<Parts> {
    let (inner, bands) = (o.inner(), o.inner() / o.inputs);
    let gram = klt::gram(o.kind, o.levels);
    let root = klt::power(gram.clone(), bands, 0.5);
    let back = klt::power(gram, bands, -0.5);
    let covariance = moments.covariance();
    // The Gram matrix acts within each colour.
    let left = blocks(&root, bands, &covariance, inner);
    let weighted = blocks(&root, bands, &transpose(&left, inner), inner);
    let (values, vectors) = klt::eigen(weighted, inner);
    let kept = &vectors[..o.channels * inner];
    // Rows of `kept` times the symmetric block matrices.
    let rows = |block: &[f64]| -> Vec<f64> {
        let mut out = vec![0.0; kept.len()];
        for (u, y) in kept.chunks_exact(inner).zip(out.chunks_exact_mut(inner)) {
            for (u, y) in u.chunks_exact(bands).zip(y.chunks_exact_mut(bands)) {
                for (i, y) in y.iter_mut().enumerate() {
                    *y = (0..bands).map(|k| block[i * bands + k] * u[k]).sum();
                }
            }
        }
        out
    };
    let (analysis, synthesis) = (rows(&root), rows(&back));
    let mean = moments.means();
    let bias = analysis
        .chunks_exact(inner)
        .map(|w| -w.iter().zip(&mean).map(|(w, m)| w * m).sum::<f64>() as f32)
        .collect();
    let mut columns = vec![0.0f32; synthesis.len()];
    for c in 0..o.channels {
        for k in 0..inner {
            columns[k * o.channels + c] = synthesis[c * inner + k] as f32;
        }
    }
    parts(
        o,
        Projection::dense(inner, analysis.iter().map(|&w| w as f32).collect())?,
        Projection::dense(o.channels, columns)?,
        bias,
        mean.iter().map(|&m| m as f32).collect(),
        values[..o.channels].iter().map(|v| v.max(0.0).sqrt() as f32).collect(),
    )
}

/// Block-diagonal matrix (one block per input) times a square matrix.
fn blocks(block: &[f64], bands: usize, matrix: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for i in 0..n {
        let first = i / bands * bands;
        for k in 0..bands {
            let w = block[(i - first) * bands + k];
            let from = &matrix[(first + k) * n..][..n];
            out[i * n..][..n].iter_mut().zip(from).for_each(|(y, x)| *y += w * x);
        }
    }
    out
}

fn transpose(matrix: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|k| matrix[k % n * n + k / n]).collect()
}

/// One scale per band of the mixed inputs, the channels of largest variance first.
fn scales(o: &Fit, moments: &Moments) -> Result<Parts> {
    let (inner, bands) = (o.inner(), o.inner() / o.inputs);
    let gram = klt::gram(o.kind, o.levels);
    let energy: Vec<f64> = (0..inner)
        .map(|i| {
            let band = i % bands;
            moments.products[i] / moments.cells as f64 * gram[band * bands + band]
        })
        .collect();
    let mut order: Vec<usize> = (0..inner).collect();
    order.sort_by(|&a, &b| energy[b].total_cmp(&energy[a]).then(a.cmp(&b)));
    order.truncate(o.channels);
    let (mix_index, mix_weight) = mix(o);
    let terms = mix_index.len() / inner;
    let (mut index, mut weight) = (Vec::new(), Vec::new());
    let mut back_index = vec![0u16; inner * terms];
    let mut back_weight = vec![0.0f32; inner * terms];
    for (c, &i) in order.iter().enumerate() {
        let (input, band) = (i / bands, i % bands);
        let scale = gram[band * bands + band].sqrt() as f32;
        for t in i * terms..(i + 1) * terms {
            index.push(mix_index[t]);
            weight.push(mix_weight[t] * scale);
            let to = usize::from(mix_index[t]) * terms + if terms > 1 { input } else { 0 };
            back_index[to] = c as u16;
            back_weight[to] = mix_weight[t] / scale;
        }
    }
    let deviation = order.iter().map(|&i| energy[i].sqrt() as f32).collect();
    parts(
        o,
        Projection::sparse(inner, terms, index, weight)?,
        Projection::sparse(o.channels, terms, back_index, back_weight)?,
        vec![0.0; o.channels],
        vec![0.0; inner],
        deviation,
    )
}
