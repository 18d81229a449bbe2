//! The closed form in fixed point: a Karhunen-Loève transform with a few terms a channel.
//!
//! Packets of a sum and its opponents are nearly decorrelated, so that the leading terms of each row
//! carry it: the rest is dropped, and the inverse is fitted to what is left (perf.md 2f).

use rayon::prelude::*;

use super::klt;
use crate::codec::Projection;
use crate::codec::fixed::{self, BANDS, CELL, HALF_BANDS};
use crate::error::Result;

/// Largest sum of a row's weights without sign: a row of large bands still fits 16 bits.
const ROW: f64 = 1.8;
/// Largest weight of the inverse that fits.
const BACK: f64 = 1.999;
/// One part in 32768.
const UNIT: f64 = 32768.0;

/// The numbers of a sparse fixed-point codec.
pub(super) struct Sparse {
    pub analysis: Projection,
    pub bias: Vec<f32>,
    pub synthesis: Projection,
    pub offset: Vec<f32>,
    pub steps: Vec<f32>,
    pub deviation: Vec<f32>,
    /// For each end asked for: decibels that all terms would give more to so many channels.
    pub cost_db: Vec<(usize, f64)>,
}

/// Fits channels of `terms` terms to the mean and covariance of the bands: as many as the last of
/// the `ends` of their groups.
///
/// `step` is in samples that span one unit, as in floating point.
pub(super) fn sparse(
    inputs: usize,
    mean: &[f64],
    covariance: &[f64],
    ends: &[usize],
    terms: usize,
    step: f64,
) -> Result<Sparse> {
    let channels = ends.last().copied().unwrap_or(0);
    let n = mean.len();
    let gram = gram(inputs);
    let root = klt::power(gram.clone(), n, 0.5);
    let weighted = product(&product(&root, covariance, n), &root, n);
    let (_, vectors) = klt::eigen(weighted, n);
    let dense = product(&vectors[..channels * n], &root, n);
    // Bands that never moved count a little, or their channels would copy others' rounding errors.
    let least = (0..n).map(|k| covariance[k * n + k]).fold(0.0, f64::max) * 1e-9;
    let mut rows: Vec<Vec<(usize, f64)>> = dense
        .chunks_exact(n)
        .map(|w| {
            let mut order: Vec<usize> = (0..n).collect();
            let share = |k: usize| w[k] * w[k] * (covariance[k * n + k] + least);
            order.sort_by(|&a, &b| share(b).total_cmp(&share(a)).then(a.cmp(&b)));
            order.truncate(terms);
            order.sort_unstable();
            order.iter().map(|&k| (k, w[k])).collect()
        })
        .collect();
    let inverse = regression(&rows, covariance, n);
    for (c, row) in rows.iter_mut().enumerate() {
        // As large as 16 bits allow, but so large that the inverse fits them too.
        let sum: f64 = row.iter().map(|(_, w)| w.abs()).sum();
        let most = row.iter().map(|(_, w)| w.abs()).fold(0.0, f64::max);
        let back = column(&inverse, channels, c).map(f64::abs);
        let needed = back.fold(0.0, f64::max) / BACK;
        let scale = (ROW / sum).max(needed).min(0.999 / most);
        row.iter_mut().for_each(|(_, w)| *w = (*w * scale * UNIT).round() / UNIT);
    }
    let mut inverse = regression(&rows, covariance, n);
    for s in &mut inverse {
        *s = (s.clamp(-BACK, BACK) * UNIT / 2.0).round() / (UNIT / 2.0);
    }
    let latents = latent_covariance(&rows, covariance, n);
    let energy = |c: usize| {
        let column: Vec<f64> = column(&inverse, channels, c).collect();
        quadratic(&gram, &column, n)
    };
    let cost_db = ends
        .iter()
        .map(|&kept| {
            let all: Vec<Vec<(usize, f64)>> = dense[..kept * n]
                .chunks_exact(n)
                .map(|w| w.iter().copied().enumerate().collect())
                .collect();
            let best = regression(&all, covariance, n);
            let cut: Vec<f64> =
                inverse.chunks_exact(channels).flat_map(|row| &row[..kept]).copied().collect();
            let few = error(&gram, covariance, n, &rows[..kept], &cut);
            let full = error(&gram, covariance, n, &all, &best);
            // Samples of 8 bits are off by rounding, whatever a codec does.
            let rounding = (inputs * CELL * CELL) as f64 / (12.0 * 255.0 * 255.0);
            (kept, 10.0 * ((few + rounding) / (full + rounding)).log10())
        })
        .collect();
    let bias: Vec<f32> = rows
        .iter()
        .map(|row| -row.iter().map(|&(k, w)| w * mean[k]).sum::<f64>().round() as f32)
        .collect();
    Ok(Sparse {
        steps: (0..channels)
            .map(|c| (step / energy(c).sqrt().max(1e-9)).clamp(16.0, 16384.0) as f32)
            .collect(),
        deviation: (0..channels)
            .map(|c| latents[c * channels + c].max(0.0).sqrt() as f32)
            .collect(),
        analysis: projection(n, &rows)?,
        bias,
        synthesis: Projection::dense(channels, inverse.iter().map(|&w| w as f32).collect())?,
        offset: mean.iter().map(|m| 2.0 * (m / 2.0).round() as f32).collect(),
        cost_db,
    })
}

/// Column `c` of the inverse.
fn column(inverse: &[f64], channels: usize, c: usize) -> impl Iterator<Item = f64> {
    inverse.iter().skip(c).step_by(channels).copied()
}

/// Covariance of band `k` with a latent.
fn cross(row: &[(usize, f64)], covariance: &[f64], n: usize, k: usize) -> f64 {
    row.iter().map(|&(i, w)| w * covariance[k * n + i]).sum()
}

fn latent_covariance(rows: &[Vec<(usize, f64)>], covariance: &[f64], n: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(rows.len() * rows.len());
    for a in rows {
        for b in rows {
            out.push(a.iter().map(|&(k, w)| w * cross(b, covariance, n, k)).sum());
        }
    }
    out
}

/// Least squares: each band from all latents, `[bands, channels]`.
fn regression(rows: &[Vec<(usize, f64)>], covariance: &[f64], n: usize) -> Vec<f64> {
    let channels = rows.len();
    let mut system = latent_covariance(rows, covariance, n);
    (0..channels).for_each(|c| system[c * channels + c] *= 1.0 + 1e-9);
    (0..n)
        .flat_map(|k| {
            solve(system.clone(), rows.iter().map(|row| cross(row, covariance, n, k)).collect())
        })
        .collect()
}

/// Solves a symmetric positive system by Cholesky's method; a silent row gives 0.
pub(super) fn solve(mut a: Vec<f64>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            let rest = a[i * n + j] - sum;
            a[i * n + j] = match (i == j, a[j * n + j]) {
                (true, _) => rest.max(0.0).sqrt(),
                (false, pivot) if pivot > 0.0 => rest / pivot,
                _ => 0.0,
            };
        }
    }
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| a[i * n + k] * b[k]).sum();
        b[i] = if a[i * n + i] > 0.0 { (b[i] - sum) / a[i * n + i] } else { 0.0 };
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| a[k * n + i] * b[k]).sum();
        b[i] = if a[i * n + i] > 0.0 { (b[i] - sum) / a[i * n + i] } else { 0.0 };
    }
    b
}

/// Squared error of the samples of a cell, on the mean, when bands come back from latents.
fn error(
    gram: &[f64],
    covariance: &[f64],
    n: usize,
    rows: &[Vec<(usize, f64)>],
    inverse: &[f64],
) -> f64 {
    // Bands - inverse * rows * bands.
    let mut residue = vec![0.0; n * n];
    for (k, back) in inverse.chunks_exact(rows.len()).enumerate() {
        residue[k * n + k] = 1.0;
        for (row, s) in rows.iter().zip(back) {
            row.iter().for_each(|&(i, w)| residue[k * n + i] -= s * w);
        }
    }
    let left = product(gram, &residue, n);
    let right = product(&residue, covariance, n);
    left.iter().zip(&right).map(|(a, b)| a * b).sum()
}

/// `v' matrix v`.
pub(super) fn quadratic(matrix: &[f64], v: &[f64], n: usize) -> f64 {
    matrix
        .chunks_exact(n)
        .zip(v)
        .map(|(row, a)| a * row.iter().zip(v).map(|(m, b)| m * b).sum::<f64>())
        .sum()
}

/// Rows of `a` times the square matrix `b`.
fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; a.len()];
    for (row, out) in a.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        for (x, from) in row.iter().zip(b.chunks_exact(n)).filter(|(x, _)| **x != 0.0) {
            out.iter_mut().zip(from).for_each(|(y, z)| *y += x * z);
        }
    }
    out
}

/// A projection of rows of few terms; shorter rows are filled up with zeros.
fn projection(cols: usize, rows: &[Vec<(usize, f64)>]) -> Result<Projection> {
    let terms = rows.iter().map(Vec::len).max().unwrap_or(1).max(1);
    let (mut index, mut weight) = (Vec::new(), Vec::new());
    for row in rows {
        for t in 0..terms {
            let (k, w) = row.get(t).copied().unwrap_or((0, 0.0));
            index.push(k as u16);
            weight.push(w as f32);
        }
    }
    Projection::sparse(cols, terms, index, weight)
}

/// Gram matrix of what one unit of each band adds to the colours of a picture, which span one unit.
pub(super) fn gram(inputs: usize) -> Vec<f64> {
    /// Cells and axis: so many that no atom reaches the edge.
    const CELLS: usize = 17;
    /// Height of an impulse: its rounding errors are small, its sums do not saturate.
    const IMPULSE: i16 = 2048;
    let n = fixed::inner(inputs);
    let mut out = vec![0.0; n * n];
    let mut first = 0;
    // The colour matrix has orthogonal rows: squares of what one unit of a plane, 8 to a level of
    // 255, adds to the colours.
    let levels_squared = 64.0 * 255.0 * 255.0;
    let weights: &[f64] =
        if inputs == 3 { &[1.0 / 3.0, 1.0 / 2.0, 1.0 / 6.0] } else { &[1.0 / 9.0] };
    for (p, weight) in weights.iter().enumerate() {
        let bands = if p == 0 { BANDS } else { HALF_BANDS };
        // What the decoder makes of an impulse, its doubling of the opponents included: with another
        // weight for them the wrong channels stand last.
        let atoms: Vec<Vec<i16>> = (0..bands)
            .into_par_iter()
            .map(|b| {
                let mut impulse = vec![0; bands * CELLS * CELLS];
                impulse[b * CELLS * CELLS + CELLS * CELLS / 2] = IMPULSE;
                fixed::plane(&impulse, CELLS * CELL, p > 0)
            })
            .collect();
        for i in 0..bands {
            for j in 0..=i {
                let dot: i64 = atoms[i]
                    .iter()
                    .zip(&atoms[j])
                    .map(|(&a, &b)| i64::from(a) * i64::from(b))
                    .sum();
                let value = dot as f64 * weight / (levels_squared * f64::from(IMPULSE).powi(2));
                out[(first + i) * n + first + j] = value;
                out[(first + j) * n + first + i] = value;
            }
        }
        first += bands;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved() {
        let x = solve(vec![4.0, 2.0, 2.0, 3.0], vec![10.0, 8.0]);
        assert!((x[0] - 1.75).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12);
        assert_eq!(solve(vec![0.0], vec![0.0]), [0.0]);
    }

    #[test]
    fn enough_terms_lose_little() -> Result<()> {
        let n = fixed::inner(3);
        let covariance: Vec<f64> = (0..n * n)
            .map(|k| {
                let (i, j) = (k / n, k % n);
                if i == j { 1e6 / (1.0 + i as f64) } else { 1e3 / ((1 + i) * (1 + j)) as f64 }
            })
            .collect();
        let few = sparse(3, &vec![3.0; n], &covariance, &[3, 12, 24], 6, 0.1)?;
        assert_eq!(few.cost_db.len(), 3);
        for (kept, db) in few.cost_db {
            assert!((-1e-3..0.2).contains(&db), "{kept} channels: {db} dB");
        }
        Ok(())
    }

    #[test]
    fn silent_bands_have_silent_channels() -> Result<()> {
        // Gray pictures in colour files: only the sum ever moves.
        let n = fixed::inner(3);
        let covariance: Vec<f64> =
            (0..n * n).map(|k| if k / n == k % n && k / n < 10 { 1e6 } else { 0.0 }).collect();
        let few = sparse(3, &vec![0.0; n], &covariance, &[48], 8, 0.1)?;
        assert!(few.deviation[..10].iter().all(|&d| d > 100.0));
        assert!(few.deviation[10..].iter().all(|&d| d < 1.0));
        assert!(few.cost_db[0].1.abs() < 0.1);
        Ok(())
    }
}
