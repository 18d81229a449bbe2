//! Token counts of every anchor and channel, and the few tables that serve them all.

use crate::codec::{ALPHABET, Bundle, PRECISION_BITS, Quality, Tables, token};
use crate::error::Result;

/// Most tables a fit makes.
const TABLES: usize = 128;
/// Rounds of the clustering.
const ROUNDS: usize = 12;

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
                bundle.quantizer.quantize(row, bundle.steps[c], quality, &mut values);
                for v in &values {
                    counts[token(v.unsigned_abs())] += 1;
                }
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.counts.iter_mut().zip(&other.counts) {
            *a += b;
        }
    }

    /// Clusters the histograms by code length: alternately each histogram picks its cheapest table
    /// and each table becomes the mean of those that picked it.
    pub fn tables(&self) -> Result<Tables> {
        let rows: Vec<Vec<f64>> = self.counts.chunks_exact(ALPHABET).map(smooth).collect();
        let mut by_entropy: Vec<usize> = (0..rows.len()).collect();
        let entropy: Vec<f64> = rows.iter().map(|r| code_length(r, &bits(r))).collect();
        by_entropy.sort_by(|&a, &b| entropy[a].total_cmp(&entropy[b]).then(a.cmp(&b)));
        let count = TABLES.min(rows.len());
        let mut tables: Vec<Vec<f64>> = (0..count)
            .map(|t| rows[by_entropy[(2 * t + 1) * rows.len() / (2 * count)]].clone())
            .collect();
        let mut picks = vec![0; rows.len()];
        for _ in 0..ROUNDS {
            let costs: Vec<Vec<f64>> = tables.iter().map(|t| bits(t)).collect();
            for (pick, row) in picks.iter_mut().zip(&rows) {
                let mut best = f64::INFINITY;
                for (t, cost) in costs.iter().enumerate() {
                    let length = code_length(row, cost);
                    if length < best {
                        (best, *pick) = (length, t);
                    }
                }
            }
            let mut sums = vec![vec![0.0; ALPHABET]; count];
            let mut members = vec![0; count];
            for (&pick, row) in picks.iter().zip(&rows) {
                members[pick] += 1;
                sums[pick].iter_mut().zip(row).for_each(|(s, p)| *s += p);
            }
            for ((table, sum), &n) in tables.iter_mut().zip(&sums).zip(&members) {
                if n > 0 {
                    *table = sum.iter().map(|s| s / f64::from(n)).collect();
                }
            }
        }
        let frequencies = tables.iter().flat_map(|t| integers(t)).collect();
        let select = picks.iter().map(|&p| p as u8).collect();
        Tables::new(frequencies, select, self.channels)
    }
}

/// Probabilities with a floor: a token never seen is given what one in a few thousand would have.
fn smooth(counts: &[u32]) -> Vec<f64> {
    let sum: f64 = counts.iter().map(|&c| f64::from(c)).sum();
    let floor = 0.02;
    let total = sum + floor * ALPHABET as f64;
    counts.iter().map(|&c| (f64::from(c) + floor) / total).collect()
}

fn bits(table: &[f64]) -> Vec<f64> {
    table.iter().map(|p| -p.max(1.0 / f64::from(1u32 << PRECISION_BITS)).log2()).collect()
}

fn code_length(row: &[f64], bits: &[f64]) -> f64 {
    row.iter().zip(bits).map(|(p, b)| p * b).sum()
}

/// Integer frequencies, each at least 1, that add up to 2^PRECISION_BITS.
fn integers(table: &[f64]) -> Vec<u16> {
    let total = f64::from(1u32 << PRECISION_BITS) - ALPHABET as f64;
    let mut out: Vec<u16> = table.iter().map(|p| 1 + (p * total) as u16).collect();
    let sum: u32 = out.iter().map(|&f| u32::from(f)).sum();
    let mut largest = 0;
    for t in 0..ALPHABET {
        if out[t] > out[largest] {
            largest = t;
        }
    }
    out[largest] += ((1u32 << PRECISION_BITS) - sum) as u16;
    out
}
