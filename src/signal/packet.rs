//! The full wavelet packet transform, in one and in two dimensions.

use super::lifting::{Ends, Sample};

/// A packet transform of `levels` levels: every band is split again at every level.
///
/// Shape: in one dimension `[len]` to `[2^levels, len / 2^levels]`; in two dimensions
/// `[height, width]` to `[4^levels, height / 2^levels, width / 2^levels]`. Bands stand in natural
/// (Paley) order, the first split slowest: `f1 * B^(levels-1) + ... + f_levels`, where in two
/// dimensions f is 0 = low low, 1 = (width low, height high), 2 = (width high, height low),
/// 3 = high high.
/// Units: each level has gain sqrt(2) at DC per dimension; 1.2301 in fixed point (`i16`).
/// Source: Jacobellis & Yadwadkar 2024, `wavelet_analysis`; walloc.md 1.2 and 1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketTransform {
    levels: u32,
    ends: Ends,
}

impl PacketTransform {
    /// A transform of `levels` levels.
    pub fn new(levels: u32, ends: Ends) -> Self {
        Self { levels, ends }
    }

    /// Samples per cell and dimension: 2^levels.
    pub fn cell(&self) -> usize {
        1 << self.levels
    }

    /// Transforms a signal in place; `scratch` may hold anything.
    ///
    /// # Panics
    /// If the length is not a multiple of [`Self::cell`] or `scratch` is shorter than `data`.
    pub fn forward_1d<T: Sample>(&self, data: &mut [T], scratch: &mut [T]) {
        assert_eq!(data.len() % self.cell(), 0, "length must be whole cells");
        let len = data.len();
        for level in 0..self.levels {
            for block in data.chunks_exact_mut((len >> level).max(1)) {
                let half = block.len() / 2;
                let (even, odd) = scratch[..block.len()].split_at_mut(half);
                for (k, pair) in block.chunks_exact(2).enumerate() {
                    even[k] = pair[0];
                    odd[k] = pair[1];
                }
                Sample::analyze(even, odd, 1, self.ends);
                block.copy_from_slice(&scratch[..2 * half]);
            }
        }
    }

    /// The inverse of [`Self::forward_1d`].
    ///
    /// # Panics
    /// As [`Self::forward_1d`].
    pub fn inverse_1d<T: Sample>(&self, data: &mut [T], scratch: &mut [T]) {
        assert_eq!(data.len() % self.cell(), 0, "length must be whole cells");
        let len = data.len();
        for level in (0..self.levels).rev() {
            for block in data.chunks_exact_mut((len >> level).max(1)) {
                let half = block.len() / 2;
                let (even, odd) = block.split_at_mut(half);
                Sample::synthesize(even, odd, 1, self.ends);
                for (k, pair) in scratch[..2 * half].chunks_exact_mut(2).enumerate() {
                    pair[0] = even[k];
                    pair[1] = odd[k];
                }
                block.copy_from_slice(&scratch[..2 * half]);
            }
        }
    }

    /// Transforms a plane of `width` columns in place; `scratch` may hold anything.
    ///
    /// # Panics
    /// If height or width is not a multiple of [`Self::cell`] or `scratch` is shorter than `data`.
    pub fn forward_2d(&self, data: &mut [f32], width: usize, scratch: &mut [f32]) {
        self.check_plane(data.len(), width);
        let size = data.len();
        for level in 0..self.levels {
            let width = width >> level;
            for block in data.chunks_exact_mut((size >> (2 * level)).max(1)) {
                let scratch = &mut scratch[..block.len()];
                analyze_rows(block, width, scratch, self.ends);
                analyze_columns(scratch, width / 2, block, self.ends);
            }
        }
    }

    /// The inverse of [`Self::forward_2d`].
    ///
    /// # Panics
    /// As [`Self::forward_2d`].
    pub fn inverse_2d(&self, data: &mut [f32], width: usize, scratch: &mut [f32]) {
        self.check_plane(data.len(), width);
        let size = data.len();
        for level in (0..self.levels).rev() {
            let width = width >> level;
            for block in data.chunks_exact_mut((size >> (2 * level)).max(1)) {
                let scratch = &mut scratch[..block.len()];
                synthesize_columns(block, width / 2, scratch, self.ends);
                synthesize_rows(scratch, width, block, self.ends);
            }
        }
    }

    fn check_plane(&self, len: usize, width: usize) {
        assert_eq!(width % self.cell(), 0, "width must be whole cells");
        if width > 0 {
            assert_eq!(len % (width * self.cell()), 0, "height must be whole cells");
        }
    }
}

/// `[height, width]` to a low and a high plane of `[height, width / 2]`.
fn analyze_rows(plane: &[f32], width: usize, out: &mut [f32], ends: Ends) {
    let (low, high) = out.split_at_mut(plane.len() / 2);
    let half = width / 2;
    for ((row, even), odd) in
        plane.chunks_exact(width).zip(low.chunks_exact_mut(half)).zip(high.chunks_exact_mut(half))
    {
        for ((pair, e), o) in row.chunks_exact(2).zip(&mut *even).zip(&mut *odd) {
            *e = pair[0];
            *o = pair[1];
        }
        Sample::analyze(even, odd, 1, ends);
    }
}

/// A low and a high plane of `[height, half]` to four bands of `[height / 2, half]`.
fn analyze_columns(planes: &[f32], half: usize, out: &mut [f32], ends: Ends) {
    let plane = planes.len() / 2;
    for (from, to) in planes.chunks_exact(plane).zip(out.chunks_exact_mut(plane)) {
        let (even, odd) = to.split_at_mut(plane / 2);
        for ((rows, e), o) in from
            .chunks_exact(2 * half)
            .zip(even.chunks_exact_mut(half))
            .zip(odd.chunks_exact_mut(half))
        {
            e.copy_from_slice(&rows[..half]);
            o.copy_from_slice(&rows[half..]);
        }
        Sample::analyze(even, odd, half, ends);
    }
}

fn synthesize_columns(bands: &mut [f32], half: usize, out: &mut [f32], ends: Ends) {
    let plane = bands.len() / 2;
    for (from, to) in bands.chunks_exact_mut(plane).zip(out.chunks_exact_mut(plane)) {
        let (even, odd) = from.split_at_mut(plane / 2);
        Sample::synthesize(even, odd, half, ends);
        for ((rows, e), o) in
            to.chunks_exact_mut(2 * half).zip(even.chunks_exact(half)).zip(odd.chunks_exact(half))
        {
            rows[..half].copy_from_slice(e);
            rows[half..].copy_from_slice(o);
        }
    }
}

fn synthesize_rows(planes: &mut [f32], width: usize, out: &mut [f32], ends: Ends) {
    let (low, high) = planes.split_at_mut(out.len() / 2);
    let half = width / 2;
    for ((row, even), odd) in
        out.chunks_exact_mut(width).zip(low.chunks_exact_mut(half)).zip(high.chunks_exact_mut(half))
    {
        Sample::synthesize(even, odd, 1, ends);
        for ((pair, e), o) in row.chunks_exact_mut(2).zip(&*even).zip(&*odd) {
            pair[0] = *e;
            pair[1] = *o;
        }
    }
}
