//! The fixed-point codec for pictures, step by step: the truth of its fast paths.
//!
//! ```text
//! samples --> planes: the sum of the colours, and two opponents at half size
//!         --> bands:  packets of 3 levels of the sum, of 2 levels of the opponents
//!         --> reals:  the projection, a few terms a channel
//!         --> integers: a multiplication and a shift
//! ```
//!
//! Every step is a 16-bit saturating sum or a product rounded once, so latents are the same on every
//! machine, whatever its lanes. "Reals" are whole numbers here. Units: 24 to an 8-bit level of gray,
//! times 1.2301 for each level of the transform and axis at DC.

use super::bundle::Bundle;
use super::frame::{FrameRef, SamplesRef};
use super::latent::Latent;
use super::quality::Quality;
use super::yuv;
use crate::signal::fixed::{double, halve, mul};
use crate::signal::{Ends, PacketTransform, cells, mirror};

/// Levels of the transform; the opponents have one less.
pub(crate) const LEVELS: u32 = 3;
/// Samples per cell and axis.
pub(crate) const CELL: usize = 1 << LEVELS;
/// Bands of the sum.
pub(crate) const BANDS: usize = 1 << (2 * LEVELS);
/// Bands of an opponent.
pub(crate) const HALF_BANDS: usize = BANDS / 4;
/// Half the range of the sum: mid-gray becomes 0.
pub(crate) const CENTRE: i16 = 3060;

/// Bands of all planes of a codec of `inputs` colours.
pub(crate) const fn inner(inputs: usize) -> usize {
    BANDS + if inputs == 3 { 2 * HALF_BANDS } else { 0 }
}

/// Sample `i` of the interleaved values, 8 to an 8-bit level.
fn value(samples: SamplesRef<'_>, i: usize) -> i16 {
    let wide = |v: u32| ((v * 2040 + 32767) / 65535) as i16;
    match samples {
        SamplesRef::U8(v) | SamplesRef::Nv12(v) | SamplesRef::Yuyv(v) => i16::from(v[i]) * 8,
        SamplesRef::U16(v) => wide(v[i].into()),
        SamplesRef::I16(v) => wide((i32::from(v[i]) + 32768) as u32),
        // NaN becomes 0.
        SamplesRef::F32(v) => wide((v[i].clamp(0.0, 1.0) * 65535.0).round() as u32),
    }
}

/// Brightness of video range, 32 to a level, to the sum of the colours.
pub(crate) const LUMA: i16 = 28617;
/// Colour differences, blue and red, 128 to a level, to the sum and to both opponents.
pub(crate) const CHROMA: [[i16; 2]; 3] = [[3329, 1604], [-4131, 3269], [-5736, -6599]];

/// The sum of the colours of a pixel, and both opponents.
///
/// Opponents are red - blue and 2 green - red - blue. Gray feeds every input of a colour codec.
pub(crate) fn pixel(frame: FrameRef<'_>, y: usize, x: usize) -> [i16; 3] {
    let extent = [frame.extent[0], frame.extent[1]];
    let [luma, blue, red] = match frame.samples {
        SamplesRef::Nv12(v) => yuv::nv12(v, extent, y, x),
        SamplesRef::Yuyv(v) => yuv::yuyv(v, extent, y, x),
        samples => {
            let at = (y * extent[1] + x) * frame.channels;
            let [r, g, b] = [0, 1, 2].map(|c| value(samples, at + c.min(frame.channels - 1)));
            return [r + g + b - CENTRE, r - b, 2 * g - r - b];
        }
    };
    let luma = mul((i16::from(luma) - 16) << 5, LUMA) - CENTRE;
    let [blue, red] = [blue, red].map(|v| (i16::from(v) - 128) << 7);
    let [sum, a, b] = CHROMA.map(|[of_blue, of_red]| mul(blue, of_blue) + mul(red, of_red));
    [luma + sum, a, b]
}

/// The sum and, for three inputs, the opponents of half size, all of whole cells.
fn planes(inputs: usize, frame: FrameRef<'_>) -> [Vec<i16>; 3] {
    let (h, w) = (frame.extent[0], frame.extent[1]);
    let (height, width) = (cells(h, CELL) * CELL, cells(w, CELL) * CELL);
    let mut out: [Vec<i16>; 3] = Default::default();
    for y in 0..height {
        for x in 0..width {
            let [sum, a, b] = pixel(frame, mirror(y, h), mirror(x, w));
            out[0].push(sum);
            if inputs == 3 {
                out[1].push(a);
                out[2].push(b);
            }
        }
    }
    for plane in &mut out[1..] {
        *plane = halve(plane, width);
    }
    out
}

/// `[rows, width]` to `[width, rows]`.
fn transpose(data: &[i16], width: usize) -> Vec<i16> {
    let rows = data.len() / width.max(1);
    (0..data.len()).map(|k| data[k % rows * width + k / rows]).collect()
}

/// Number of the band that is `across` in the packets of the rows and `down` in those of the columns.
pub(crate) fn band(levels: u32, across: usize, down: usize) -> usize {
    (0..levels).rev().fold(0, |b, l| 4 * b + 2 * (across >> l & 1) + (down >> l & 1))
}

/// Bands of a plane: first the packets of every row, then those of every column of them.
///
/// Shape: `[height, width]` to `[4^levels, height / cell, width / cell]`.
fn forward(plane: &mut [i16], width: usize, levels: u32) -> Vec<i16> {
    let plan = PacketTransform::new(levels, Ends::Mirror);
    let height = plane.len() / width;
    let mut scratch = vec![0; width.max(height)];
    plane.chunks_exact_mut(width).for_each(|row| plan.forward_1d(row, &mut scratch));
    let mut columns = transpose(plane, width);
    columns.chunks_exact_mut(height).for_each(|c| plan.forward_1d(c, &mut scratch));
    let mut bands = vec![0; plane.len()];
    places(width, height, levels).zip(&columns).for_each(|(to, &v)| bands[to] = v);
    bands
}

/// The inverse of [`forward`].
fn inverse(bands: &[i16], width: usize, levels: u32) -> Vec<i16> {
    let plan = PacketTransform::new(levels, Ends::Mirror);
    let height = bands.len() / width;
    let mut scratch = vec![0; width.max(height)];
    let mut columns: Vec<i16> = places(width, height, levels).map(|at| bands[at]).collect();
    columns.chunks_exact_mut(height).for_each(|c| plan.inverse_1d(c, &mut scratch));
    let mut plane = transpose(&columns, height);
    plane.chunks_exact_mut(width).for_each(|row| plan.inverse_1d(row, &mut scratch));
    plane
}

/// A plane of the width of the picture from its bands; that of an opponent is doubled.
pub(crate) fn plane(bands: &[i16], width: usize, opponent: bool) -> Vec<i16> {
    if !opponent {
        return inverse(bands, width, LEVELS);
    }
    let half = inverse(bands, width / 2, LEVELS - 1);
    let rows = half.len() / (width / 2);
    double(&transpose(&double(&transpose(&half, width / 2), rows), rows), width)
}

/// Place among the bands of every value of the transformed columns, column by column.
fn places(width: usize, height: usize, levels: u32) -> impl Iterator<Item = usize> {
    let (wide, high) = (width >> levels, height >> levels);
    (0..width * height).map(move |k| {
        let (x, y) = (k / height, k % height);
        let band = band(levels, x / wide, y / high);
        (band * high + y % high) * wide + x % wide
    })
}

/// Band values of a frame: `[inner, cells]`.
pub(crate) fn bands(inputs: usize, frame: FrameRef<'_>) -> Vec<i16> {
    let width = cells(frame.extent[1], CELL) * CELL;
    if frame.positions() == 0 {
        return Vec::new();
    }
    let mut planes = planes(inputs, frame);
    let mut all = Vec::new();
    for (p, plane) in planes.iter_mut().enumerate().filter(|(_, plane)| !plane.is_empty()) {
        let half = u32::from(p > 0);
        all.extend(forward(plane, width >> half, LEVELS - half));
    }
    all
}

/// Terms of a projection with whole weights, 32768 to `unit`.
pub(crate) fn whole(weight: f32, unit: f32) -> i16 {
    (f64::from(weight) / f64::from(unit) * 32768.0).round() as i16
}

/// Reals of a frame before quantization: `[channels, cells]`, whole numbers.
pub(crate) fn reals(bundle: &Bundle, frame: FrameRef<'_>, channels: usize) -> Vec<i16> {
    let bands = bands(bundle.inputs, frame);
    let cells = bands.len() / inner(bundle.inputs);
    let mut out = vec![0; channels * cells];
    for (c, out) in out.chunks_exact_mut(cells.max(1)).enumerate() {
        out.fill(bundle.bias[c] as i16);
        for (k, weight) in bundle.analysis.row(c) {
            let (from, weight) = (&bands[k * cells..][..cells], whole(weight, 1.0));
            out.iter_mut().zip(from).for_each(|(y, &x)| *y = y.saturating_add(mul(x, weight)));
        }
    }
    out
}

/// Division by a step of at least 1, towards zero: a factor in 1/32768, a part of one, and a shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Divisor {
    pub factor: i16,
    pub shift: u32,
    /// What is added before the shift.
    pub part: i16,
    /// What is added besides to what is below zero, so that both sides are alike.
    pub back: i16,
}

impl Divisor {
    /// The division of a channel's reals at a quality.
    pub fn of(bundle: &Bundle, channel: usize, quality: Quality, thrift: f32) -> Self {
        let step = bundle.steps[channel] * quality.factor();
        Self::new(step, bundle.rounding(channel, quality, thrift))
    }

    /// Division by `step` after which `rounding` is added and what is behind the point dropped.
    fn new(step: f32, rounding: f32) -> Self {
        let mut inverse = 1.0 / f64::from(step);
        let mut shift = 0;
        while inverse < 0.5 && shift < 15 {
            inverse *= 2.0;
            shift += 1;
        }
        let one = f32::from(2u16.pow(shift));
        let part = (rounding * one) as i16;
        let back = (i32::from(2u16.pow(shift)) - 1 - 2 * i32::from(part)) as i16;
        Self { factor: (inverse * 32768.0).round().min(32767.0) as i16, shift, part, back }
    }

    pub fn divide(self, value: i16) -> i16 {
        let scaled = mul(value, self.factor);
        let down = scaled >> 15 & self.back;
        scaled.saturating_add(self.part).saturating_add(down) >> self.shift
    }
}

/// The integer times the step as a whole real.
pub(crate) fn dequantize(value: i16, step: f32) -> i16 {
    (f32::from(value) * step).round_ties_even() as i16
}

/// Weights of a band, channel by channel, 32768 to 2.
pub(crate) fn back_weights(bundle: &Bundle, band: usize, channels: usize) -> Vec<i16> {
    let mut weights = vec![0i16; channels];
    for (c, weight) in bundle.synthesis.row(band).filter(|&(c, _)| c < channels) {
        // A column may stand twice in a row; -32768 has no product.
        weights[c] = i16::max(weights[c].saturating_add(whole(weight, 2.0)), -i16::MAX);
    }
    weights
}

/// 8-bit samples of a picture: colours, or the gray of them.
pub(crate) fn decode(bundle: &Bundle, latent: &Latent, channels: usize, gray: bool) -> Vec<u8> {
    let (cells, width) = (latent.cells(), latent.grid[1] * CELL);
    if cells == 0 {
        return Vec::new();
    }
    let mut reals = Vec::with_capacity(channels * cells);
    for c in 0..channels {
        let step = bundle.steps[c] * latent.quality.factor();
        reals.extend(latent.channel(c).iter().map(|&q| dequantize(q, step)));
    }
    let mut bands = vec![0; bundle.inner() * cells];
    for (k, out) in bands.chunks_exact_mut(cells).enumerate() {
        // Half of each band, so that weights up to 2 fit 16 bits.
        out.fill((bundle.offset[k] / 2.0) as i16);
        for (from, weight) in reals.chunks_exact(cells).zip(back_weights(bundle, k, channels)) {
            out.iter_mut().zip(from).for_each(|(y, &x)| *y = y.saturating_add(mul(x, weight)));
        }
        out.iter_mut().for_each(|y| *y = y.saturating_add(*y));
    }
    let (sum, rest) = bands.split_at(BANDS * cells);
    let sum = plane(sum, width, false);
    let opponents: Vec<Vec<i16>> = if gray { &[] } else { rest }
        .chunks_exact(HALF_BANDS * cells)
        .map(|bands| plane(bands, width, true))
        .collect();
    let mut out = Vec::with_capacity(latent.extent[0] * latent.extent[1] * opponents.len().max(1));
    for y in 0..latent.extent[0] {
        for at in (y * width..).take(latent.extent[1]) {
            match &opponents[..] {
                [a, b] => out.extend(colours(sum[at], a[at], b[at])),
                _ => out.push(gray_of(sum[at])),
            }
        }
    }
    out
}

/// A third, a half and a sixth, in 1/32768.
pub(crate) const THIRD: i16 = 10923;
pub(crate) const HALF: i16 = 16384;
pub(crate) const SIXTH: i16 = 5461;
/// A third of mid-gray, and half a level for the rounding.
pub(crate) const MIDDLE: i16 = CENTRE / 3 + 4;

/// A third of the sum, 8 to a level, and half a level for the rounding.
fn third(sum: i16) -> i16 {
    mul(sum, THIRD).saturating_add(MIDDLE)
}

fn gray_of(sum: i16) -> u8 {
    (third(sum) >> 3).clamp(0, 255) as u8
}

/// Red, green and blue of a sum and its opponents.
fn colours(sum: i16, a: i16, b: i16) -> [u8; 3] {
    let (third, a, b) = (third(sum), mul(a, HALF), mul(b, SIXTH));
    let rb = third.saturating_sub(b);
    [rb.saturating_add(a), third.saturating_add(b).saturating_add(b), rb.saturating_sub(a)]
        .map(|c| (c >> 3).clamp(0, 255) as u8)
}
