//! What an encoder of the first channels of a bundle must compute, decided once.

use crate::codec::fixed::{self, BANDS, Divisor, HALF_BANDS, LEVELS};
use crate::codec::{Bundle, Quality};

/// A channel: where it starts, what it adds up, how it is divided.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub bias: i16,
    pub divisor: Divisor,
    /// Bands and their weights, in the order of the sum.
    pub terms: Vec<(u16, i16)>,
}

/// The bands that are read, and the channels that read them.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub inputs: usize,
    pub rows: Vec<Row>,
    /// For each place in a cell of transformed rows, the bands down its columns that are read, one
    /// bit each.
    pub sum: [u8; 8],
    /// The same for both opponents.
    pub half: [[u8; 4]; 2],
}

impl Plan {
    pub fn new(bundle: &Bundle, channels: usize, quality: Quality) -> Self {
        let rows: Vec<Row> = (0..channels)
            .map(|c| Row {
                bias: bundle.bias[c] as i16,
                divisor: Divisor::new(bundle.steps[c], quality),
                terms: bundle
                    .analysis
                    .row(c)
                    .map(|(k, w)| (k as u16, fixed::whole(w, 1.0)))
                    .collect(),
            })
            .collect();
        let mut read = vec![false; bundle.inner()];
        rows.iter().flat_map(|r| &r.terms).for_each(|&(k, _)| read[usize::from(k)] = true);
        let mut plan = Self { inputs: bundle.inputs, rows, sum: [0; 8], half: [[0; 4]; 2] };
        for place in 0..8 {
            for down in (0..8).filter(|&d| read[sum_band(place, d)]) {
                plan.sum[place] |= 1 << down;
            }
        }
        if bundle.inputs == 3 {
            for (plane, place) in [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)] {
                for down in (0..4).filter(|&d| read[half_band(plane, place, d)]) {
                    plan.half[plane][place] |= 1 << down;
                }
            }
        }
        plan
    }

    /// Changes what reals are divided by.
    pub fn set_quality(&mut self, bundle: &Bundle, quality: Quality) {
        for (row, &step) in self.rows.iter_mut().zip(&bundle.steps) {
            row.divisor = Divisor::new(step, quality);
        }
    }

    /// Whether a band of the sum is read whose place in its cell is `first` under `mask`.
    pub fn sum_reads(&self, first: usize, mask: usize) -> bool {
        (0..8).any(|p| p & mask == first && self.sum[p] != 0)
    }

    /// The same for the opponents, which are transformed together.
    pub fn half_reads(&self, first: usize, mask: usize) -> bool {
        (0..4).any(|p| p & mask == first && (self.half[0][p] | self.half[1][p]) != 0)
    }
}

/// Band of the sum at a place in the cell of a row and `down` its columns.
///
/// Rows are transformed in place, so that the first split is the lowest bit of the place.
pub(super) fn sum_band(place: usize, down: usize) -> usize {
    let across = (place & 1) << 2 | place & 2 | place >> 2;
    fixed::band(LEVELS, across, down)
}

/// The same for an opponent.
pub(super) fn half_band(plane: usize, place: usize, down: usize) -> usize {
    let across = (place & 1) << 1 | place >> 1;
    BANDS + plane * HALF_BANDS + fixed::band(LEVELS - 1, across, down)
}
