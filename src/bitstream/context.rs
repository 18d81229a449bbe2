//! What surrounds a value in its group, and which table that makes likely.
//!
//! Sizes: a value r has the size min(255, round(16 sqrt |r|)), where r is what its prediction left. A
//! weighted sum of the sizes around a value estimates its own; the exponent and two bits of the sum
//! are its level. All sums are whole numbers, so every machine finds the same table.

use crate::codec::contexts::{FEATURES, FIRST_REFERENCE, LEVELS, REFERENCES, TAP_UNIT, TAPS};
use crate::codec::tokens::DIRECT_TOKENS;
use crate::wide::wide;

/// Empty cells left and right of a row, and rows above; one row follows below.
pub(crate) const PAD: usize = 2;
/// The feature that is always the same.
pub(crate) const ONE: i32 = 64;
/// Sums below have level 0.
const LEAST: i32 = 16;

/// Sizes of magnitudes below 255.
const SIZES: [u8; 256] = sizes();

const fn sizes() -> [u8; 256] {
    let mut out = [255; 256];
    let mut m = 0;
    while m < 254 {
        // The whole number s nearest to 16 sqrt(m): (2 s - 1)^2 <= 1024 m < (2 s + 1)^2.
        let mut s = 0;
        while (2 * s + 1) * (2 * s + 1) <= 1024 * m {
            s += 1;
        }
        out[m] = if s < 255 { s as u8 } else { 255 };
        m += 1;
    }
    out
}

/// Size of what a prediction left.
#[inline(always)]
pub(crate) fn size(rest: i16) -> u8 {
    SIZES[usize::from(rest.unsigned_abs().min(255))]
}

/// The same where the token is known, which is quicker for most.
#[inline(always)]
pub(crate) fn size_of(token: usize, rest: i16) -> u8 {
    match TOKEN_SIZES.get(token) {
        Some(&size) => size,
        None => size(rest),
    }
}

/// Sizes of the tokens that stand for one value.
const TOKEN_SIZES: [u8; DIRECT_TOKENS] = {
    let (mut out, mut token) = ([0; DIRECT_TOKENS], 0);
    while token < DIRECT_TOKENS {
        out[token] = SIZES[token.div_ceil(2)];
        token += 1;
    }
    out
};

/// Level of a weighted sum of sizes.
#[inline(always)]
pub(crate) fn level(sum: i32) -> usize {
    let sum = sum.clamp(LEAST, (1 << 16) - 1);
    // Exponent and two bits of a float: exact for 16 bits.
    ((sum as f32).to_bits() >> 21) as usize - ((127 + 4) << 2)
}

const _: () = assert!(LEVELS == 4 * 12);

/// Sizes of some channels of one grid, with empty cells around.
#[derive(Debug)]
pub(crate) struct Sizes {
    pub rows: usize,
    pub columns: usize,
    values: Vec<u8>,
}

impl Sizes {
    pub fn new(channels: usize, rows: usize, columns: usize) -> Self {
        let values = vec![0; channels * (rows + PAD + 1) * (columns + 2 * PAD)];
        Self { rows, columns, values }
    }

    fn at(&self, channel: usize, row: usize) -> usize {
        (channel * (self.rows + PAD + 1) + row) * (self.columns + 2 * PAD)
    }

    /// A row with what is left and right of it; `up` rows above `row`, or one below for -1.
    pub fn row(&self, channel: usize, row: usize, up: isize) -> &[u8] {
        let at = self.at(channel, (row + PAD).wrapping_add_signed(-up));
        &self.values[at..at + self.columns + 2 * PAD]
    }

    /// The inner cells of a row.
    pub fn row_mut(&mut self, channel: usize, row: usize) -> &mut [u8] {
        let at = self.at(channel, row + PAD) + PAD;
        &mut self.values[at..at + self.columns]
    }
}

/// What a row of a channel is surrounded by, as far as it is known before the row.
pub(crate) struct Above<'a> {
    /// The channel's rows above, one and two up.
    pub own: [&'a [u8]; 2],
    /// The same row of the others of its block, summed, one up.
    pub others: &'a [u16],
    /// Of each earlier channel it looks at: the row above, the row, the row below.
    pub references: [[&'a [u8]; 3]; REFERENCES],
    /// Sizes of the values of the packet that it continues, or empty.
    pub before: &'a [u8],
}

/// Weighted sums of what is known before a row.
pub(crate) fn sum_above(above: &Above<'_>, weights: &[i16; FEATURES], out: &mut [i32]) {
    let w = weights.map(i32::from);
    near(above.own, above.others, &w, out);
    for (r, rows) in above.references.iter().enumerate() {
        let [here, around] = [0, 1].map(|k| w[FIRST_REFERENCE + 2 * r + k]);
        if here != 0 || around != 0 {
            reference(*rows, here, around, out);
        }
    }
    if !above.before.is_empty() {
        add(above.before, w[14], out);
    }
}

wide! {
    fn near(own: [&[u8]; 2], others: &[u16], w: &[i32; FEATURES], out: &mut [i32]) {
        let n = out.len();
        let (north, west, east) = (&own[0][2..2 + n], &own[0][1..1 + n], &own[0][3..3 + n]);
        let far = &own[1][2..2 + n];
        let (others_north, others_east) = (&others[2..2 + n], &others[3..3 + n]);
        for x in 0..n {
            out[x] = ONE * w[0]
                + w[3] * i32::from(north[x])
                + w[4] * i32::from(far[x])
                + w[5] * i32::from(west[x])
                + w[6] * i32::from(east[x])
                + w[8] * i32::from(others_north[x])
                + w[9] * i32::from(others_east[x]);
        }
    }
}

wide! {
    fn reference(rows: [&[u8]; 3], here: i32, around: i32, out: &mut [i32]) {
        let n = out.len();
        let (above, below) = (&rows[0][2..2 + n], &rows[2][2..2 + n]);
        let (left, middle, right) = (&rows[1][1..1 + n], &rows[1][2..2 + n], &rows[1][3..3 + n]);
        for x in 0..n {
            let four = i32::from(above[x])
                + i32::from(below[x])
                + i32::from(left[x])
                + i32::from(right[x]);
            out[x] += here * i32::from(middle[x]) + around * four;
        }
    }
}

wide! {
    fn add(sizes: &[u8], weight: i32, out: &mut [i32]) {
        for (o, &s) in out.iter_mut().zip(sizes) {
            *o += weight * i32::from(s);
        }
    }
}

wide! {
    /// Completes the sums with what stands left in the same row, once that is known.
    pub(crate) fn sum_left(own: &[u8], others: &[u16], weights: &[i16; FEATURES], out: &mut [i32]) {
        let n = out.len();
        let (left, far) = (&own[1..1 + n], &own[..n]);
        let others = &others[1..1 + n];
        let [one, two, beside] = [1, 2, 7].map(|k| i32::from(weights[k]));
        for x in 0..n {
            out[x] += one * i32::from(left[x])
                + two * i32::from(far[x])
                + beside * i32::from(others[x]);
        }
    }
}

/// The taps of a row: where there is nothing above, what is left stands for it.
pub(crate) fn taps_of_row(taps: &[i16], row: usize) -> [i32; TAPS] {
    let [w, n, nw, ne, ww, nn] = [0, 1, 2, 3, 4, 5].map(|k| i32::from(taps[k]));
    match row {
        0 => [w + n + nw + ne + nn, 0, 0, 0, ww, 0],
        1 => [w, n + nn, nw, ne, ww, 0],
        _ => [w, n, nw, ne, ww, nn],
    }
}

/// A prediction: its whole part, how far it is from the middle between two, and to which side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Prediction {
    pub value: i16,
    pub phase: usize,
    pub flip: bool,
}

impl Prediction {
    /// From a sum of neighbours times taps.
    #[inline(always)]
    pub fn of_sum(sum: i32) -> Self {
        let whole = (sum + TAP_UNIT / 2) >> TAP_UNIT.ilog2();
        let rest = sum - (whole << TAP_UNIT.ilog2());
        let value = whole.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        let phase = ((6 * rest.abs()) >> TAP_UNIT.ilog2()).min(2) as usize;
        Self { value, phase, flip: rest < 0 }
    }

    /// From the value that stood here in the packet before.
    #[inline(always)]
    pub fn of_before(value: i16) -> Self {
        Self { value, phase: usize::from(value.unsigned_abs().min(2)), flip: value > 0 }
    }

    /// What it leaves of a value: positive on the likelier side.
    #[inline(always)]
    pub fn rest(self, value: i16) -> i16 {
        let rest = value.wrapping_sub(self.value);
        if self.flip { rest.wrapping_neg() } else { rest }
    }

    /// The value of what it left.
    #[inline(always)]
    pub fn value(self, rest: i16) -> i16 {
        let rest = if self.flip { rest.wrapping_neg() } else { rest };
        rest.wrapping_add(self.value)
    }
}

/// Values of one channel with what a prediction takes for its surroundings.
#[derive(Debug)]
pub(crate) struct Padded {
    columns: usize,
    values: Vec<i16>,
}

impl Padded {
    /// Two empty rows above the first.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { columns, values: vec![0; (rows + PAD) * (columns + 2 * PAD)] }
    }

    /// A row with its edges, `up` rows above `row`.
    pub fn row(&self, row: usize, up: usize) -> &[i16] {
        let width = self.columns + 2 * PAD;
        &self.values[(row + PAD - up) * width..][..width]
    }

    /// A row to write, with its left edge in place: the first value of the row above.
    pub fn open(&mut self, row: usize) -> &mut [i16] {
        let width = self.columns + 2 * PAD;
        let first = self.row(row, 1)[PAD];
        let out = &mut self.values[(row + PAD) * width..][..width];
        out[..PAD].fill(first);
        out
    }

    /// Puts the right edge in place: the last value of the row.
    pub fn close(&mut self, row: usize) {
        let width = self.columns + 2 * PAD;
        let out = &mut self.values[(row + PAD) * width..][..width];
        let last = out[PAD + self.columns - 1];
        out[PAD + self.columns..].fill(last);
    }
}

wide! {
    /// The part of a prediction that is known before its row.
    pub(crate) fn predict_above(rows: [&[i16]; 2], taps: &[i32; TAPS], out: &mut [i32]) {
        let n = out.len();
        let (north, west, east) = (&rows[0][2..2 + n], &rows[0][1..1 + n], &rows[0][3..3 + n]);
        let far = &rows[1][2..2 + n];
        for x in 0..n {
            out[x] = taps[1] * i32::from(north[x])
                + taps[2] * i32::from(west[x])
                + taps[3] * i32::from(east[x])
                + taps[5] * i32::from(far[x]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_roots() {
        for m in 0..=400i16 {
            let exact = (16.0 * f64::from(m).sqrt()).round().min(255.0);
            assert_eq!(f64::from(size(m)), exact, "{m}");
            assert_eq!(size(-m), size(m));
        }
    }

    #[test]
    fn levels_are_logarithms() {
        for sum in -5..70000 {
            let held = f64::from(sum.clamp(16, 65535));
            let octave = held.log2().floor();
            let quarter = (4.0 * (held / octave.exp2() - 1.0)).floor();
            assert_eq!(level(sum), (4.0 * (octave - 4.0) + quarter) as usize, "{sum}");
        }
        assert_eq!(level(i32::MAX), LEVELS - 1);
    }

    #[test]
    fn predictions_are_taken_back() {
        for sum in (-40_000_000..40_000_000).step_by(31_337) {
            for p in [Prediction::of_sum(sum), Prediction::of_before((sum >> 11) as i16)] {
                assert!(p.phase < 3);
                for value in [i16::MIN, -700, -1, 0, 1, 5, i16::MAX] {
                    assert_eq!(p.value(p.rest(value)), value);
                }
            }
        }
    }
}
