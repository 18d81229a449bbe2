//! The one linear layer.

use crate::error::{Error, Result};
use crate::wide::wide;

/// Positions that are projected together: their inputs stay in the second-level cache.
const BLOCK: usize = 128;

/// A matrix `[rows, cols]`, dense or with a few terms per row.
///
/// Sums run over the terms in their stored order, so a result depends on nothing but its own
/// column: strips, chunks and threads cannot change it.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    cols: usize,
    terms: usize,
    /// Column of each term; absent if dense.
    index: Option<Vec<u16>>,
    weight: Vec<f32>,
}

impl Projection {
    /// A dense matrix, row by row.
    ///
    /// # Errors
    /// `Shape` if `weight` is not whole rows of finite numbers.
    pub fn dense(cols: usize, weight: Vec<f32>) -> Result<Self> {
        Self { cols, terms: cols, index: None, weight }.checked()
    }

    /// `terms` terms per row: the columns they read and their weights.
    ///
    /// # Errors
    /// `Shape` if a column does not exist or the lengths disagree.
    pub fn sparse(cols: usize, terms: usize, index: Vec<u16>, weight: Vec<f32>) -> Result<Self> {
        if index.len() != weight.len() {
            return Err(Error::shape("sparse projection index", weight.len(), index.len()));
        }
        if let Some(&bad) = index.iter().find(|&&i| usize::from(i) >= cols) {
            return Err(Error::shape("sparse projection column", format!("below {cols}"), bad));
        }
        Self { cols, terms, index: Some(index), weight }.checked()
    }

    fn checked(self) -> Result<Self> {
        if self.terms == 0
            || self.weight.is_empty()
            || !self.weight.len().is_multiple_of(self.terms)
        {
            let expected = format!("whole rows of {}", self.terms);
            return Err(Error::shape("projection weights", expected, self.weight.len()));
        }
        if let Some(bad) = self.weight.iter().find(|w| !w.is_finite()) {
            return Err(Error::shape("projection weight", "a finite number", bad));
        }
        Ok(self)
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.weight.len() / self.terms
    }

    /// Columns of the matrix.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Terms per row.
    pub fn terms(&self) -> usize {
        self.terms
    }

    /// Columns of the terms, if sparse.
    pub fn index(&self) -> Option<&[u16]> {
        self.index.as_deref()
    }

    /// Weights, row by row.
    pub fn weight(&self) -> &[f32] {
        &self.weight
    }

    /// Column and weight of every term of row `r` that is not 0, in their stored order.
    pub fn row(&self, r: usize) -> impl Iterator<Item = (usize, f32)> {
        (r * self.terms..(r + 1) * self.terms)
            .map(move |t| {
                let k = self.index.as_ref().map_or(t - r * self.terms, |i| usize::from(i[t]));
                (k, self.weight[t])
            })
            .filter(|&(_, weight)| weight != 0.0)
    }

    /// `out[r][p] = offset[r] + sum over k of weight[r][k] * input[k][p]`, for the rows that fit
    /// `out` and reading only the columns that `input` has.
    ///
    /// Shape: `input` is `[k, positions]` with `k` up to `cols`; `out` is `[r, positions]`.
    ///
    /// # Panics
    /// If `input` or `out` is not whole rows of `positions`.
    pub fn apply(&self, input: &[f32], positions: usize, offset: &[f32], out: &mut [f32]) {
        apply(self, input, positions, offset, out);
    }
}

wide! {
    fn apply(
        projection: &Projection,
        input: &[f32],
        positions: usize,
        offset: &[f32],
        out: &mut [f32],
    ) {
        if positions == 0 {
            return;
        }
        assert!(input.len().is_multiple_of(positions) && out.len().is_multiple_of(positions));
        let have = input.len() / positions;
        for start in (0..positions).step_by(BLOCK) {
            let len = BLOCK.min(positions - start);
            for (r, row) in out.chunks_exact_mut(positions).enumerate() {
                let row = &mut row[start..start + len];
                row.fill(offset[r]);
                for (k, weight) in projection.row(r).filter(|&(k, _)| k < have) {
                    let from = &input[k * positions + start..][..len];
                    for (y, x) in row.iter_mut().zip(from) {
                        *y += weight * x;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_equals_dense() -> Result<()> {
        let dense = Projection::dense(3, vec![0.0, 2.0, 0.5, 1.0, 0.0, 0.0])?;
        let sparse = Projection::sparse(3, 2, vec![1, 2, 0, 0], vec![2.0, 0.5, 1.0, 0.0])?;
        let positions = BLOCK + 3;
        let input: Vec<f32> = (0..3 * positions).map(|i| i as f32).collect();
        let (mut a, mut b) = (vec![f32::NAN; 2 * positions], vec![f32::NAN; 2 * positions]);
        dense.apply(&input, positions, &[1.0, -1.0], &mut a);
        sparse.apply(&input, positions, &[1.0, -1.0], &mut b);
        assert_eq!(a, b);
        assert_eq!(a[0], 1.0 + 2.0 * positions as f32 + positions as f32);
        Ok(())
    }

    #[test]
    fn missing_columns_are_left_out() -> Result<()> {
        let dense = Projection::dense(2, vec![1.0, 10.0])?;
        let mut out = [0.0];
        dense.apply(&[3.0], 1, &[0.0], &mut out);
        assert_eq!(out, [3.0]);
        Ok(())
    }

    #[test]
    fn wrong_tables_are_refused() {
        assert!(Projection::dense(3, vec![0.0; 4]).is_err());
        assert!(Projection::dense(1, vec![f32::NAN]).is_err());
        assert!(Projection::sparse(2, 1, vec![2], vec![1.0]).is_err());
    }
}
