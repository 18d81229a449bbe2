//! Matrices of the closed-form fit: synthesis Gram matrix, symmetric eigenvectors.

use crate::codec::Kind;
use crate::signal::{Ends, PacketTransform};

/// Gram matrix of the synthesis atoms of one cell: `[bands, bands]`, row by row.
///
/// The 9/7 packets are not orthonormal; the squared error of a picture or sound is `e' G e` of the
/// error `e` of its bands, to the extent that atoms of other cells are orthogonal to these.
pub(super) fn gram(kind: Kind, levels: u32) -> Vec<f64> {
    // Wide enough that no atom reaches the edge.
    const CELLS: usize = 17;
    let plan = PacketTransform::new(levels, Ends::Mirror);
    let (bands, cells) = match kind {
        Kind::Image => (1usize << (2 * levels), CELLS * CELLS),
        Kind::Audio => (1usize << levels, CELLS),
    };
    let len = bands * cells;
    let mut scratch = vec![0.0; len];
    let atoms: Vec<Vec<f32>> = (0..bands)
        .map(|b| {
            let mut atom = vec![0.0; len];
            atom[b * cells + cells / 2] = 1.0;
            match kind {
                Kind::Image => plan.inverse_2d(&mut atom, CELLS * plan.cell(), &mut scratch),
                Kind::Audio => plan.inverse_1d(&mut atom, &mut scratch),
            }
            atom
        })
        .collect();
    let mut g = vec![0.0; bands * bands];
    for i in 0..bands {
        for j in 0..=i {
            let dot: f64 =
                atoms[i].iter().zip(&atoms[j]).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            g[i * bands + j] = dot;
            g[j * bands + i] = dot;
        }
    }
    g
}

/// Eigenvalues, falling, and eigenvectors as rows, of a symmetric `[n, n]` matrix.
///
/// Source: cyclic Jacobi rotations; Golub & Van Loan, Matrix Computations, 8.5.
pub(super) fn eigen(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut v = vec![0.0; n * n];
    for i in 0..n {
        v[i * n + i] = 1.0;
    }
    let total: f64 = a.iter().map(|x| x * x).sum();
    for _sweep in 0..60 {
        let off: f64 = (0..n)
            .flat_map(|p| (p + 1..n).map(move |q| (p, q)))
            .map(|(p, q)| a[p * n + q] * a[p * n + q])
            .sum();
        if off <= total * 1e-26 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    let mut vectors = Vec::with_capacity(n * n);
    for &i in &order {
        let row = &v[i * n..(i + 1) * n];
        // The sign is free; the largest entry is made positive so that a fit is reproducible.
        let largest = row.iter().fold(0.0f64, |m, &x| if x.abs() > m.abs() { x } else { m });
        vectors.extend(row.iter().map(|x| x * largest.signum()));
    }
    (values, vectors)
}

/// One Jacobi rotation that zeroes `a[p][q]`; `v` gathers the rotations as rows.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (kp, kq) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * kp - s * kq;
        a[k * n + q] = s * kp + c * kq;
    }
    for m in [a, v] {
        for k in 0..n {
            let (pk, qk) = (m[p * n + k], m[q * n + k]);
            m[p * n + k] = c * pk - s * qk;
            m[q * n + k] = s * pk + c * qk;
        }
    }
}

/// `matrix^power` of a symmetric positive `[n, n]` matrix.
pub(super) fn power(matrix: Vec<f64>, n: usize, power: f64) -> Vec<f64> {
    let (values, vectors) = eigen(matrix, n);
    let mut out = vec![0.0; n * n];
    for (value, u) in values.iter().zip(vectors.chunks_exact(n)) {
        let f = value.max(1e-12).powf(power);
        for i in 0..n {
            for j in 0..n {
                out[i * n + j] += f * u[i] * u[j];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_diagonalise() {
        let n = 12;
        let a: Vec<f64> = (0..n * n)
            .map(|k| {
                ((k / n + 1) * (k % n + 1)) as f64 % 7.0 + ((k / n == k % n) as u8 as f64) * 9.0
            })
            .collect();
        let (values, v) = eigen(a.clone(), n);
        for (i, u) in v.chunks(n).enumerate() {
            for r in 0..n {
                let au: f64 = (0..n).map(|c| a[r * n + c] * u[c]).sum();
                assert!((au - values[i] * u[r]).abs() < 1e-9);
            }
        }
        assert!(values.windows(2).all(|w| w[0] >= w[1]));
    }

    #[test]
    fn atoms_are_nearly_orthonormal() {
        let g = gram(Kind::Image, 3);
        let diagonal: Vec<f64> = (0..64).map(|i| g[i * 64 + i]).collect();
        let (low, high) = diagonal.iter().fold((9.0f64, 0.0f64), |(l, h), &d| (l.min(d), h.max(d)));
        // perf.md 2a: atom energies span 0.58 to 1.38.
        assert!((low - 0.58).abs() < 0.02 && (high - 1.38).abs() < 0.02, "{low} {high}");
    }
}
