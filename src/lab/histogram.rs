//! Token counts of every anchor and channel, and the few tables that serve them all.

use super::cluster::cluster;
use crate::codec::{ALPHABET, Bundle, Quality, Tables, token};
use crate::error::Result;

/// Most tables a fit makes.
const TABLES: usize = 128;

/// Token counts: `[anchors, channels, ALPHABET]`.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    channels: usize,
    anchors: Vec<Quality>,
    counts: Vec<u32>,
}

impl Histogram {
    pub fn new(channels: usize, anchors: Vec<Quality>) -> Self {
        let counts = vec![0; anchors.len() * channels * ALPHABET];
        Self { channels, anchors, counts }
    }

    /// Counts the tokens of `[channels, cells]` reals at every anchor's quality.
    pub fn add(&mut self, bundle: &Bundle, reals: &[f32], cells: usize) {
        let mut values = vec![0i16; cells];
        let per_anchor = self.channels * ALPHABET;
        for (&quality, counts) in self.anchors.iter().zip(self.counts.chunks_exact_mut(per_anchor))
        {
            for ((c, row), counts) in
                reals.chunks(cells.max(1)).enumerate().zip(counts.chunks_exact_mut(ALPHABET))
            {
                bundle.quantize(c, quality, 0.0, row, &mut values);
                for v in &values {
                    counts[token(*v)] += 1;
                }
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.counts.iter_mut().zip(&other.counts) {
            *a += b;
        }
    }

    /// The few tables that serve all anchors and channels.
    pub fn tables(&self) -> Result<Tables> {
        let (frequencies, select) = cluster(&self.counts, TABLES);
        Tables::new(frequencies, select, self.channels)
    }
}
