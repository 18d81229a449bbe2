//! A few tables that serve many histograms.

use rayon::prelude::*;

use crate::codec::{ALPHABET, PRECISION_BITS};

/// Rounds of the clustering.
const ROUNDS: usize = 12;
/// What a token never seen counts, as a share of one.
const FLOOR: f64 = 0.02;

/// Tables of frequencies, at most `count`, and for each histogram the table that codes it in the
/// fewest bits. A histogram weighs as much as it counts.
///
/// Shape: `counts` is `[histograms, ALPHABET]`, frequencies are `[tables, ALPHABET]`.
pub(super) fn cluster(counts: &[u32], count: usize) -> (Vec<u16>, Vec<u8>) {
    let rows = counts.as_chunks::<ALPHABET>().0;
    let mut seen: Vec<usize> =
        (0..rows.len()).filter(|&r| rows[r].iter().any(|&n| n > 0)).collect();
    let entropy: Vec<f64> = rows
        .iter()
        .map(|row| {
            let p = share(row);
            code_length(row, &bits(&p)) / total(row).max(1.0)
        })
        .collect();
    seen.sort_by(|&a, &b| entropy[a].total_cmp(&entropy[b]).then(a.cmp(&b)));
    let mut tables = first_tables(rows, &seen, count);
    let mut picks = vec![0usize; rows.len()];
    for _ in 0..ROUNDS {
        let costs: Vec<[f64; ALPHABET]> = tables.iter().map(bits).collect();
        picks = rows
            .par_iter()
            .map(|row| {
                let lengths = costs.iter().map(|cost| code_length(row, cost));
                let best = lengths.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
                best.map_or(0, |b| b.0)
            })
            .collect();
        let mut sums = vec![[0u64; ALPHABET]; tables.len()];
        for &r in &seen {
            sums[picks[r]].iter_mut().zip(&rows[r]).for_each(|(s, &n)| *s += u64::from(n));
        }
        for (table, sum) in tables.iter_mut().zip(&sums) {
            if sum.iter().any(|&n| n > 0) {
                *table = share(sum);
            }
        }
    }
    let frequencies = tables.iter().flat_map(integers).collect();
    (frequencies, picks.into_iter().map(|p| p as u8).collect())
}

/// Sums of the histograms in order of entropy, each of about as many bits.
fn first_tables(rows: &[[u32; ALPHABET]], order: &[usize], count: usize) -> Vec<[f64; ALPHABET]> {
    let weight = |r: usize| total(&rows[r]).sqrt();
    let all: f64 = order.iter().map(|&r| weight(r)).sum();
    let count = count.min(order.len()).max(1);
    let mut sums = vec![[0u64; ALPHABET]; count];
    let mut before = 0.0;
    for &r in order {
        let at = ((before / all * count as f64) as usize).min(count - 1);
        sums[at].iter_mut().zip(&rows[r]).for_each(|(s, &n)| *s += u64::from(n));
        before += weight(r);
    }
    sums.iter().map(share).collect()
}

fn total<T: Copy + Into<u64>>(row: &[T; ALPHABET]) -> f64 {
    row.iter().map(|&n| n.into()).sum::<u64>() as f64
}

fn share<T: Copy + Into<u64>>(row: &[T; ALPHABET]) -> [f64; ALPHABET] {
    let all = total(row) + FLOOR * ALPHABET as f64;
    row.map(|n| (n.into() as f64 + FLOOR) / all)
}

fn bits(table: &[f64; ALPHABET]) -> [f64; ALPHABET] {
    table.map(|p| -p.max(1.0 / f64::from(1u32 << PRECISION_BITS)).log2())
}

fn code_length(row: &[u32; ALPHABET], bits: &[f64; ALPHABET]) -> f64 {
    row.iter().zip(bits).map(|(&n, b)| f64::from(n) * b).sum()
}

/// Integer frequencies, each at least 1, that add up to 2^PRECISION_BITS.
fn integers(table: &[f64; ALPHABET]) -> [u16; ALPHABET] {
    let total = f64::from(1u32 << PRECISION_BITS) - ALPHABET as f64;
    let mut out = table.map(|p| 1 + (p * total) as u16);
    let sum: u32 = out.iter().map(|&f| u32::from(f)).sum();
    let most = (0..ALPHABET).max_by_key(|&t| out[t]).unwrap_or(0);
    out[most] += ((1u32 << PRECISION_BITS) - sum) as u16;
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_of_two_kinds_get_two_tables() {
        let mut counts = vec![0; 6 * ALPHABET];
        for r in 0..5 {
            counts[r * ALPHABET] = if r % 2 == 0 { 900 } else { 10 };
            counts[r * ALPHABET + 1] = if r % 2 == 0 { 10 } else { 900 };
        }
        let (tables, picks) = cluster(&counts, 2);
        assert_eq!(tables.len(), 2 * ALPHABET);
        assert!(picks[0] == picks[2] && picks[1] == picks[3] && picks[0] != picks[1]);
        for table in tables.chunks_exact(ALPHABET) {
            assert_eq!(table.iter().map(|&f| u32::from(f)).sum::<u32>(), 1 << PRECISION_BITS);
            assert!(table.iter().all(|&f| f > 0));
        }
        let frequent = &tables[usize::from(picks[0]) * ALPHABET..];
        assert!(frequent[0] > 30 * frequent[1]);
    }
}
