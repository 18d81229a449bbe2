//! What an encoder of the first channels of a bundle must compute, decided once.

use crate::codec::fixed::{self, BANDS, CELL, Divisor, HALF_BANDS, LEVELS};
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
    /// For each band of the rows of the sum, the bands of its columns that are read, one bit each.
    pub sum: [u8; CELL],
    /// The same for both opponents.
    pub half: [[u8; 2]; CELL / 2],
    /// The bands of the rows that are read at all.
    pub sum_across: u8,
    pub half_across: u8,
}

impl Plan {
    pub fn new(bundle: &Bundle, channels: usize, quality: Quality, thrift: f32) -> Self {
        let rows: Vec<Row> = (0..channels)
            .map(|c| Row {
                bias: bundle.bias[c] as i16,
                divisor: Divisor::of(bundle, c, quality, thrift),
                terms: bundle
                    .analysis
                    .row(c)
                    .map(|(k, w)| (k as u16, fixed::whole(w, 1.0)))
                    .collect(),
            })
            .collect();
        let mut read = vec![false; bundle.inner()];
        rows.iter().flat_map(|r| &r.terms).for_each(|&(k, _)| read[usize::from(k)] = true);
        let bits = |first: usize, levels: u32, across: usize| {
            let there = |down: &usize| read[first + fixed::band(levels, across, *down)];
            (0..1 << levels).filter(there).fold(0, |bits, down| bits | 1 << down)
        };
        let sum = [0, 1, 2, 3, 4, 5, 6, 7].map(|across| bits(0, LEVELS, across));
        let half = [0, 1, 2, 3].map(|across| match bundle.inputs {
            3 => [BANDS, BANDS + HALF_BANDS].map(|first| bits(first, LEVELS - 1, across)),
            _ => [0; 2],
        });
        let any = |reads: &[bool]| {
            reads.iter().enumerate().fold(0, |bits, (k, &read)| bits | u8::from(read) << k)
        };
        Self {
            inputs: bundle.inputs,
            rows,
            sum,
            half,
            sum_across: any(&sum.map(|bits| bits != 0)),
            half_across: any(&half.map(|bits| bits != [0; 2])),
        }
    }

    /// Changes what reals are divided by.
    pub fn set_quality(&mut self, bundle: &Bundle, quality: Quality, thrift: f32) {
        for (c, row) in self.rows.iter_mut().enumerate() {
            row.divisor = Divisor::of(bundle, c, quality, thrift);
        }
    }
}
