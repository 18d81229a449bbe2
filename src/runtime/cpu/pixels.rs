//! Pixels of a frame to its planes: the sum of the colours and two opponents of half size.

use super::lanes::Isa;
use crate::codec::fixed::{self, CELL, CENTRE};
use crate::codec::{Frame, Samples};
use crate::signal::{cells, mirror};

/// Bytes of the pixels that the widest registers take at once.
pub(super) const MOST: usize = 192;

/// Bytes of a cache line.
const LINE: usize = 64;

/// The pixels of a frame, by how they lie in memory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pixels<'a> {
    /// Red, green, blue bytes.
    Rgb8(&'a [u8]),
    /// One byte.
    Gray8(&'a [u8]),
    /// Anything else, sample by sample.
    Other { samples: &'a Samples, channels: usize },
}

/// Planes of `2 N` columns of two rows.
pub(super) struct Quads<V> {
    /// The sum, row by row.
    pub sum: [[V; 2]; 2],
    /// Opponents, one value for four pixels.
    pub opponents: [V; 2],
}

/// Planes of `2 N` pixels.
struct Row<V> {
    sum: [V; 2],
    /// Opponents, not yet halved: 1 to a level of bytes, 8 of others.
    opponents: [[V; 2]; 2],
}

impl<'a> Pixels<'a> {
    pub fn of(frame: &'a Frame) -> Self {
        match (&frame.samples, frame.channels) {
            (Samples::U8(v), 3) => Self::Rgb8(v),
            (Samples::U8(v), 1) => Self::Gray8(v),
            (samples, channels) => Self::Other { samples, channels },
        }
    }

    /// Planes of two rows of `width` pixels from column `left` on, mirrored beyond the last one.
    #[inline(always)]
    pub fn quads<I: Isa<N>, const N: usize>(
        &self,
        (upper, lower): (usize, usize),
        left: usize,
        width: usize,
        padded: &mut [u8; MOST],
    ) -> Quads<I::V> {
        let upper = self.row::<I, N>(upper * width, left, width, padded);
        let lower = self.row::<I, N>(lower * width, left, width, padded);
        let mut opponents = [I::splat(0); 2];
        for (p, to) in opponents.iter_mut().enumerate() {
            let (a, b) = (upper.opponents[p], lower.opponents[p]);
            let sums = I::pairs(I::add(a[0], b[0]), I::add(a[1], b[1]));
            *to = match self {
                Self::Other { .. } => I::shift(I::add(sums, I::splat(2)), 2),
                _ => I::add(sums, sums),
            };
        }
        Quads { sum: [upper.sum, lower.sum], opponents }
    }

    #[inline(always)]
    fn row<I: Isa<N>, const N: usize>(
        &self,
        first: usize,
        left: usize,
        width: usize,
        padded: &mut [u8; MOST],
    ) -> Row<I::V> {
        let nothing = [I::splat(0); 2];
        let mut out = Row { sum: nothing, opponents: [nothing; 2] };
        match *self {
            Self::Rgb8(pixels) => {
                let pixels = piece::<3>(pixels, first, left, width, 2 * N, padded);
                for (k, [red, green, blue]) in I::part(pixels).into_iter().enumerate() {
                    let both = I::add(red, blue);
                    let all = I::add(both, green);
                    let twice = I::add(all, all);
                    let fourfold = I::add(twice, twice);
                    out.sum[k] = I::add(fourfold, I::sub(fourfold, I::splat(CENTRE)));
                    out.opponents[0][k] = I::sub(red, blue);
                    out.opponents[1][k] = I::sub(I::add(green, green), both);
                }
            }
            Self::Gray8(pixels) => {
                let pixels = piece::<1>(pixels, first, left, width, 2 * N, padded);
                for (sum, pixels) in out.sum.iter_mut().zip(pixels.chunks_exact(N)) {
                    let mut values = [0; N];
                    for (value, &p) in values.iter_mut().zip(pixels) {
                        *value = i16::from(p) * 24 - CENTRE;
                    }
                    *sum = I::of(values);
                }
            }
            Self::Other { samples, channels } => {
                let last = channels - 1;
                for k in 0..2 {
                    let (mut sum, mut a, mut b) = ([0; N], [0; N], [0; N]);
                    for (i, ((sum, a), b)) in sum.iter_mut().zip(&mut a).zip(&mut b).enumerate() {
                        let at = (first + mirror(left + k * N + i, width)) * channels;
                        let red = fixed::value(samples, at);
                        let green = fixed::value(samples, at + last.min(1));
                        let blue = fixed::value(samples, at + last.min(2));
                        *sum = red + green + blue - CENTRE;
                        (*a, *b) = (red - blue, 2 * green - red - blue);
                    }
                    out.sum[k] = I::of(sum);
                    (out.opponents[0][k], out.opponents[1][k]) = (I::of(a), I::of(b));
                }
            }
        }
        out
    }
}

/// `count` pixels of `C` bytes of the row of `width` pixels that begins at pixel `first`, as they
/// are or mirrored into `padded`.
#[inline(always)]
fn piece<'a, const C: usize>(
    pixels: &'a [u8],
    first: usize,
    left: usize,
    width: usize,
    count: usize,
    padded: &'a mut [u8; MOST],
) -> &'a [u8] {
    let from = C * (first + left);
    if left + count <= width {
        // Rows lie too far apart for the processor to see where a strip goes on.
        let ahead = from + C * CELL * count / 2;
        for line in 0..(C * count).div_ceil(LINE) {
            fetch(pixels, ahead + line * LINE);
        }
        return &pixels[from..][..C * count];
    }
    mirrored::<C>(&pixels[C * first..][..C * width], left, width, &mut padded[..C * count]);
    &padded[..C * count]
}

/// Asks for the cache line of a byte that will soon be read.
#[inline(always)]
#[allow(unsafe_code)]
fn fetch(pixels: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(byte) = pixels.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint; every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (pixels, at);
}

#[inline(never)]
fn mirrored<const C: usize>(row: &[u8], left: usize, width: usize, to: &mut [u8]) {
    let there = (C * width.saturating_sub(left)).min(to.len());
    let (inside, beyond) = to.split_at_mut(there);
    inside.copy_from_slice(&row[row.len().min(C * left)..][..there]);
    // Columns of the last cell; beyond it nothing is read.
    let columns = left.max(width)..cells(width, CELL) * CELL;
    for (x, to) in columns.zip(beyond.chunks_exact_mut(C)) {
        to.copy_from_slice(&row[C * mirror(x, width)..][..C]);
    }
}
