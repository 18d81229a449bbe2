//! Measures between two pictures.

use super::{ratio_db, same_shape};
use crate::codec::Frame;
use crate::error::{Error, Result};

/// Exponents of the five scales, finest first; their sum is 1.
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);

/// Peak signal-to-noise ratio over all samples of all channels.
///
/// Units: dB of 255; samples of other types are brought to the scale 0..255 first.
/// `f64::INFINITY` for equal and for empty pictures.
///
/// # Errors
/// `Shape` if the frames are not pictures of one layout and extent.
pub fn psnr_db(reference: &Frame, other: &Frame) -> Result<f64> {
    pictures(reference, other)?;
    let count = reference.positions() * reference.channels;
    let sum: f64 = (0..count).map(|i| (level(reference, i) - level(other, i)).powi(2)).sum();
    Ok(ratio_db(255.0 * 255.0 * count as f64, sum))
}

/// Multi-scale structural similarity, computed on each of R, G, B and averaged.
///
/// Five scales; between them a mean over 2x2 pixels, an odd last row or column being dropped.
/// Window 11x11, Gaussian of sigma 1.5, only where it lies wholly inside. A negative mean
/// contrast term counts as 0.
///
/// A picture whose smaller side is below 176 has no room for the window at the fifth scale: it
/// gets as many scales as have room, with the weights of those divided by their sum. Below 11
/// pixels one scale is left and the window is as long as the side. An empty picture gives 1.
///
/// Units: 1 for equal pictures, 0 for unrelated ones.
/// Source: Wang, Simoncelli, Bovik 2003, eq. 7; K1 = 0.01, K2 = 0.03, L = 255.
///
/// # Errors
/// `Shape` if the frames are not pictures of one layout and extent.
pub fn ms_ssim(reference: &Frame, other: &Frame) -> Result<f64> {
    pictures(reference, other)?;
    if reference.samples.is_empty() {
        return Ok(1.0);
    }
    let sum: f64 = (0..reference.channels)
        .map(|c| plane_ms_ssim(Plane::new(reference, c), Plane::new(other, c)))
        .sum();
    Ok(sum / reference.channels as f64)
}

fn pictures(reference: &Frame, other: &Frame) -> Result<()> {
    if reference.is_audio() {
        return Err(Error::shape("image measure", "a picture", "sound"));
    }
    same_shape("image measure", reference, other)
}

/// Sample `i` on the scale 0..255.
fn level(frame: &Frame, i: usize) -> f64 {
    (f64::from(frame.value(i)) + 0.5) * 255.0
}

fn plane_ms_ssim(mut a: Plane, mut b: Plane) -> f64 {
    let side = a.height.min(a.width);
    let scales = (1..WEIGHTS.len()).take_while(|&s| side >> s >= WINDOW).count() + 1;
    let total: f64 = WEIGHTS[..scales].iter().sum();
    let mut product = 1.0;
    for (scale, weight) in WEIGHTS[..scales].iter().enumerate() {
        let last = scale + 1 == scales;
        let (ssim, contrast) = similarity(&a, &b);
        let term = if last { ssim } else { contrast };
        product *= term.max(0.0).powf(weight / total);
        if !last {
            (a, b) = (a.halved(), b.halved());
        }
    }
    product
}

/// Means of the whole SSIM map and of its contrast-structure part.
fn similarity(a: &Plane, b: &Plane) -> (f64, f64) {
    let (mean_a, mean_b) = (a.blurred(), b.blurred());
    let square_a = a.times(a).blurred();
    let square_b = b.times(b).blurred();
    let cross = a.times(b).blurred();
    let (mut ssim, mut contrast) = (0.0, 0.0);
    for i in 0..cross.values.len() {
        let (ma, mb) = (mean_a.values[i], mean_b.values[i]);
        let variance_a = square_a.values[i] - ma * ma;
        let variance_b = square_b.values[i] - mb * mb;
        let covariance = cross.values[i] - ma * mb;
        let c = (2.0 * covariance + C2) / (variance_a + variance_b + C2);
        contrast += c;
        ssim += c * (2.0 * ma * mb + C1) / (ma * ma + mb * mb + C1);
    }
    let count = cross.values.len() as f64;
    (ssim / count, contrast / count)
}

/// One channel of a picture on the scale 0..255.
struct Plane {
    height: usize,
    width: usize,
    values: Vec<f64>,
}

impl Plane {
    fn new(frame: &Frame, channel: usize) -> Self {
        let step = frame.channels;
        let values = (0..frame.positions()).map(|i| level(frame, i * step + channel)).collect();
        Self { height: frame.extent[0], width: frame.extent[1], values }
    }

    fn times(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a * b).collect();
        Self { values, ..*self }
    }

    fn halved(&self) -> Self {
        let (height, width) = (self.height / 2, self.width / 2);
        let mut values = Vec::with_capacity(height * width);
        for pair in self.values.chunks_exact(2 * self.width).take(height) {
            let (upper, lower) = pair.split_at(self.width);
            let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
            values.extend(pairs.map(|(u, l)| 0.25 * (u[0] + u[1] + l[0] + l[1])));
        }
        Self { height, width, values }
    }

    /// The Gaussian mean at every place where the window lies inside.
    fn blurred(&self) -> Self {
        let (down, across) = (window(self.height), window(self.width));
        let height = self.height + 1 - down.len();
        let width = self.width + 1 - across.len();
        let mut values = vec![0.0; height * width];
        let mut row = vec![0.0; self.width];
        for (y, out) in values.chunks_exact_mut(width).enumerate() {
            row.fill(0.0);
            for (k, weight) in down.iter().enumerate() {
                let source = &self.values[(y + k) * self.width..][..self.width];
                row.iter_mut().zip(source).for_each(|(r, s)| *r += weight * s);
            }
            for (k, weight) in across.iter().enumerate() {
                out.iter_mut().zip(&row[k..]).for_each(|(o, r)| *o += weight * r);
            }
        }
        Self { height, width, values }
    }
}

/// Gaussian weights that sum to 1, no longer than the side they slide along.
fn window(side: usize) -> Vec<f64> {
    let length = side.min(WINDOW);
    let middle = (length - 1) as f64 / 2.0;
    let bell = |k: usize| (-(k as f64 - middle).powi(2) / (2.0 * SIGMA * SIGMA)).exp();
    let sum: f64 = (0..length).map(bell).sum();
    (0..length).map(|k| bell(k) / sum).collect()
}
