//! The closed-form fit of bands: one rotation of the spectrum, then every packet band by itself.
//!
//! With x[b, p] the packet band p of spectral band b in a cell, and G[p] the energy of the atom of p,
//! channel (k, p) is sqrt(G[p]) u[k]' (x[., p] - mean[., p]). The rows u[k] are the eigenvectors of
//! sum over p of G[p] C[p], where C[p] is the covariance over spectral bands in packet band p: the
//! covariance of pixels. So a channel reads as many values as there are bands, and a cube is enough,
//! where a rotation of all packet bands of all spectral bands would read thousands and need as many
//! cells. Channels stand in order of variance.

use rayon::prelude::*;

use super::fit::{AT_ONCE, Fit, dot, parts};
use super::klt;
use crate::codec::{BANDS, Frame, Kind, Parts, Projection, plain};
use crate::error::{Error, Result};
use crate::signal::{Ends, cells};

/// Rows of cells that are transformed at once.
const STRIP: usize = 16;
/// Share of the channels whose deviations are below what counts as noise.
const QUIET: f64 = 0.25;
/// Steps at quality 75 that the range of the samples is divided into, at least and at most.
const STEPS: [f64; 2] = [10.0, 65536.0];

/// What pixels of bands fitted to files are.
pub(super) struct Spectral {
    /// The bundle, its tables still general.
    pub parts: Parts,
    /// Decibels, of the range of the samples, that the channels left out allow.
    pub most_db: f64,
}

/// Rotates the spectrum and keeps the channels of most variance.
///
/// # Errors
/// `Shape` if the options are out of range, `Input` if there are too few cells.
pub(super) fn fit<F: Sync>(
    options: &Fit,
    files: &[F],
    frame: impl Fn(&F) -> Option<Frame> + Sync,
) -> Result<Spectral> {
    let (bands, packets) = (options.inputs, 1usize << (2 * options.levels));
    // Columns of a sparse projection are numbered in 16 bits.
    if options.kind != Kind::Image || !(1..=BANDS).contains(&bands) || options.levels > 4 {
        return Err(Error::shape("bands of a picture", format!("1 to {BANDS}"), bands));
    }
    let mut moments = Moments::new(bands, packets);
    for part in files.chunks(AT_ONCE) {
        let found: Vec<Option<Moments>> = part
            .par_iter()
            .map(|file| Some(Moments::of(&frame(file)?, options.levels, packets)))
            .collect();
        found.iter().flatten().for_each(|m| moments.add(m));
    }
    // Every cell holds many pixels: twice as many as bands make a rotation.
    if moments.cells * (packets as u64) < 2 * bands as u64 {
        let reason = format!(
            "{} pixels of {bands} bands were found, a fit needs {}",
            moments.cells * packets as u64,
            2 * bands
        );
        return Err(Error::input("fit", reason));
    }
    build(options, &moments)
}

fn build(options: &Fit, moments: &Moments) -> Result<Spectral> {
    let (bands, packets) = (moments.bands, moments.packets);
    let inner = bands * packets;
    let gram = klt::gram(options.kind, options.levels);
    let energy: Vec<f64> = (0..packets).map(|p| gram[p * packets + p]).collect();
    let covariances: Vec<Vec<f64>> = (0..packets).map(|p| moments.covariance(p)).collect();
    let mut pixels = vec![0.0; bands * bands];
    for (c, g) in covariances.iter().zip(&energy) {
        pixels.iter_mut().zip(c).for_each(|(sum, c)| *sum += g * c);
    }
    let (_, vectors) = klt::eigen(pixels, bands);
    // Variance of channel (k, p).
    let variances: Vec<Vec<f64>> = covariances
        .par_iter()
        .zip(&energy)
        .map(|(c, g)| {
            let along = |u: &[f64]| -> f64 {
                let rows = c.chunks_exact(bands).zip(u);
                rows.map(|(row, a)| a * row.iter().zip(u).map(|(c, b)| c * b).sum::<f64>()).sum()
            };
            vectors.chunks_exact(bands).map(|u| (g * along(u)).max(0.0)).collect()
        })
        .collect();
    let variance = |&(k, p): &(usize, usize)| variances[p][k];
    let mut order: Vec<(usize, usize)> =
        (0..bands).flat_map(|k| (0..packets).map(move |p| (k, p))).collect();
    order.sort_by(|a, b| variance(b).total_cmp(&variance(a)).then(a.cmp(b)));
    let quiet = order[((1.0 - QUIET) * (inner - 1) as f64) as usize];
    let lost: f64 = order[options.channels..].iter().map(variance).sum();
    order.truncate(options.channels);

    let (mut index, mut weight, mut bias) = (Vec::new(), Vec::new(), Vec::new());
    let mut back: Vec<Vec<(u16, f32)>> = vec![Vec::new(); inner];
    for (c, &(k, p)) in order.iter().enumerate() {
        let root = energy[p].sqrt();
        let mut mean = 0.0;
        for (b, u) in vectors[k * bands..][..bands].iter().enumerate() {
            let column = b * packets + p;
            index.push(column as u16);
            weight.push((root * u) as f32);
            mean += root * u * moments.mean(column);
            back[column].push((c as u16, (u / root) as f32));
        }
        bias.push(-mean as f32);
    }
    let terms = back.iter().map(Vec::len).max().unwrap_or(1).max(1);
    // Rows of fewer terms are filled with zeros, which nothing reads.
    back.iter_mut().for_each(|row| row.resize(terms, (0, 0.0)));
    let back = back.concat();
    let parts = parts(
        options,
        Projection::sparse(inner, bands, index, weight)?,
        Projection::sparse(
            options.channels,
            terms,
            back.iter().map(|t| t.0).collect(),
            back.iter().map(|t| t.1).collect(),
        )?,
        bias,
        (0..inner).map(|column| moments.mean(column) as f32).collect(),
        order.iter().map(|at| variance(at).sqrt() as f32).collect(),
    )?;
    let range = f64::from(moments.range[1]) - f64::from(moments.range[0]);
    // A step of sqrt 12 deviations adds as much noise as there is.
    let step = (12.0 * variance(&quiet)).sqrt().clamp(range / STEPS[1], range / STEPS[0]);
    let steps = vec![step.clamp(1e-6, 1e6) as f32; options.channels];
    let most_db = 10.0 * (range * range * inner as f64 / lost).log10();
    Ok(Spectral { parts: Parts { steps, ..parts }, most_db })
}

/// First and second moments of bands, packet band by packet band.
struct Moments {
    bands: usize,
    packets: usize,
    cells: u64,
    /// `[bands, packets]`.
    sum: Vec<f64>,
    /// Lower halves of products: `[packets, bands, bands]`.
    products: Vec<f64>,
    /// Least and greatest sample.
    range: [f32; 2],
}

impl Moments {
    fn new(bands: usize, packets: usize) -> Self {
        let (sum, products) = (vec![0.0; bands * packets], vec![0.0; packets * bands * bands]);
        Self { bands, packets, cells: 0, sum, products, range: [f32::INFINITY, f32::NEG_INFINITY] }
    }

    fn of(frame: &Frame, levels: u32, packets: usize) -> Self {
        let bands = frame.channels;
        let mut m = Self::new(bands, packets);
        let rows = cells(frame.extent[0], 1 << levels);
        for top in (0..rows).step_by(STRIP) {
            let strip = top..(top + STRIP).min(rows);
            m.strip(plain::bands_of_rows(levels, Ends::Mirror, bands, frame.view(), strip));
        }
        for x in (0..frame.samples.len()).map(|i| frame.value(i)) {
            m.range = [m.range[0].min(x), m.range[1].max(x)];
        }
        m
    }

    /// Values of a strip stand far from zero and close to each other, so they are taken about their
    /// own mean: products of single precision would hold nothing else.
    fn strip(&mut self, mut values: Vec<f32>) {
        let n = values.len() / self.sum.len();
        let mut means = vec![0.0; self.sum.len()];
        for ((row, mean), sum) in
            values.chunks_exact_mut(n.max(1)).zip(&mut means).zip(&mut self.sum)
        {
            let total: f64 = row.iter().map(|&x| f64::from(x)).sum();
            *sum += total;
            // As it is subtracted, so it is put back.
            let pivot = (total / n as f64) as f32;
            row.iter_mut().for_each(|x| *x -= pivot);
            *mean = f64::from(pivot);
        }
        let row = |column: usize| &values[column * n..][..n];
        let rests: Vec<f64> = (0..means.len())
            .map(|column| row(column).iter().map(|&x| f64::from(x)).sum())
            .collect();
        for p in 0..self.packets {
            let products = &mut self.products[p * self.bands * self.bands..];
            for i in 0..self.bands {
                let a = i * self.packets + p;
                for j in 0..=i {
                    let b = j * self.packets + p;
                    products[i * self.bands + j] += dot(row(a), row(b))
                        + means[a] * rests[b]
                        + means[b] * rests[a]
                        + means[a] * means[b] * n as f64;
                }
            }
        }
        self.cells += n as u64;
    }

    fn add(&mut self, other: &Self) {
        self.cells += other.cells;
        self.sum.iter_mut().zip(&other.sum).for_each(|(a, b)| *a += b);
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| *a += b);
        self.range = [self.range[0].min(other.range[0]), self.range[1].max(other.range[1])];
    }

    fn mean(&self, column: usize) -> f64 {
        self.sum[column] / self.cells as f64
    }

    /// Covariance over spectral bands in packet band `p`.
    fn covariance(&self, p: usize) -> Vec<f64> {
        let products = &self.products[p * self.bands * self.bands..];
        let at = |i: usize, j: usize| {
            let product = products[i.max(j) * self.bands + i.min(j)];
            let mean = |b: usize| self.mean(b * self.packets + p);
            product / self.cells as f64 - mean(i) * mean(j)
        };
        (0..self.bands).flat_map(|i| (0..self.bands).map(move |j| at(i, j))).collect()
    }
}
