//! Pixels of a frame to its planes: the sum of the colours and two opponents of half size.

use super::lanes::Isa;
use crate::codec::fixed::{self, CELL, CENTRE};
use crate::codec::{FrameRef, SamplesRef};
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
    /// Brightness of all pixels, and colour differences of every two rows and columns.
    Nv12(&'a [u8], &'a [u8], FrameRef<'a>),
    /// Brightness and colour differences in turn.
    Yuyv(&'a [u8], FrameRef<'a>),
    /// Anything else, pixel by pixel.
    Other(FrameRef<'a>),
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
    pub fn of(frame: FrameRef<'a>) -> Self {
        match (frame.samples, frame.channels) {
            (SamplesRef::U8(v), 3) => Self::Rgb8(v),
            (SamplesRef::U8(v), 1) => Self::Gray8(v),
            (SamplesRef::Nv12(v), _) => {
                let (luma, chroma) = v.split_at(frame.positions());
                Self::Nv12(luma, chroma, frame)
            }
            (SamplesRef::Yuyv(v), _) => Self::Yuyv(v, frame),
            _ => Self::Other(frame),
        }
    }

    /// Planes of two rows of `width` pixels from column `left` on, mirrored beyond the last one.
    /// What stands so many pixels `ahead` is asked for.
    #[inline(always)]
    pub fn quads<I: Isa<N>, const N: usize>(
        &self,
        (upper, lower): (usize, usize),
        left: usize,
        width: usize,
        ahead: usize,
        padded: &mut [u8; MOST],
    ) -> Quads<I::V> {
        // Two rows that share their colour, and nothing mirrored.
        if upper + 1 == lower && left + 2 * N <= width {
            match *self {
                Self::Nv12(luma, chroma, _) => {
                    return nv12::<I, N>(luma, chroma, upper, left, width);
                }
                Self::Yuyv(pixels, _) => return yuyv::<I, N>(pixels, upper, left, width),
                _ => {}
            }
        }
        let upper = self.row::<I, N>(upper, left, width, ahead, padded);
        let lower = self.row::<I, N>(lower, left, width, ahead, padded);
        let mut opponents = [I::splat(0); 2];
        for (p, to) in opponents.iter_mut().enumerate() {
            let (a, b) = (upper.opponents[p], lower.opponents[p]);
            let sums = I::pairs(I::add(a[0], b[0]), I::add(a[1], b[1]));
            *to = match self {
                Self::Rgb8(_) | Self::Gray8(_) => I::add(sums, sums),
                _ => I::shift(I::add(sums, I::splat(2)), 2),
            };
        }
        Quads { sum: [upper.sum, lower.sum], opponents }
    }

    #[inline(always)]
    fn row<I: Isa<N>, const N: usize>(
        &self,
        row: usize,
        left: usize,
        width: usize,
        ahead: usize,
        padded: &mut [u8; MOST],
    ) -> Row<I::V> {
        let first = row * width;
        let nothing = [I::splat(0); 2];
        let mut out = Row { sum: nothing, opponents: [nothing; 2] };
        match *self {
            Self::Rgb8(pixels) => {
                ask::<3>(pixels, first + left + ahead, 2 * N);
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
                ask::<1>(pixels, first + left + ahead, 2 * N);
                let pixels = piece::<1>(pixels, first, left, width, 2 * N, padded);
                for (sum, pixels) in out.sum.iter_mut().zip(pixels.chunks_exact(N)) {
                    let mut values = [0; N];
                    for (value, &p) in values.iter_mut().zip(pixels) {
                        *value = i16::from(p) * 24 - CENTRE;
                    }
                    *sum = I::of(values);
                }
            }
            Self::Nv12(_, _, frame) | Self::Yuyv(_, frame) | Self::Other(frame) => {
                for k in 0..2 {
                    let (mut sum, mut a, mut b) = ([0; N], [0; N], [0; N]);
                    for (i, ((sum, a), b)) in sum.iter_mut().zip(&mut a).zip(&mut b).enumerate() {
                        let column = mirror(left + k * N + i, width);
                        [*sum, *a, *b] = fixed::pixel(frame, row, column);
                    }
                    out.sum[k] = I::of(sum);
                    (out.opponents[0][k], out.opponents[1][k]) = (I::of(a), I::of(b));
                }
            }
        }
        out
    }
}

/// [`Pixels::quads`] of an NV12 picture.
#[inline(always)]
fn nv12<I: Isa<N>, const N: usize>(
    luma: &[u8],
    chroma: &[u8],
    upper: usize,
    left: usize,
    width: usize,
) -> Quads<I::V> {
    let row = upper / 2 * 2 * width.div_ceil(2) + left;
    let (mut blue, mut red) = ([0; N], [0; N]);
    let pairs = chroma[row..row + 2 * N].as_chunks::<2>().0;
    for ((blue, red), pair) in blue.iter_mut().zip(&mut red).zip(pairs) {
        *blue = (i16::from(pair[0]) - 128) << 7;
        *red = (i16::from(pair[1]) - 128) << 7;
    }
    let (blue, red) = (I::of(blue), I::of(red));
    let [sum, a, b] = fixed::CHROMA.map(|[of_blue, of_red]| {
        I::add(I::mul(blue, I::splat(of_blue)), I::mul(red, I::splat(of_red)))
    });
    let sum = twice::<I, N>(sum);
    let bright = |row: usize| {
        let from = &luma[row * width + left..][..2 * N];
        [
            I::add(brightness::<I, N>(from[..N].iter().copied()), sum[0]),
            I::add(brightness::<I, N>(from[N..].iter().copied()), sum[1]),
        ]
    };
    Quads { sum: [bright(upper), bright(upper + 1)], opponents: [a, b] }
}

/// [`Pixels::quads`] of a YUYV picture.
#[inline(always)]
fn yuyv<I: Isa<N>, const N: usize>(
    pixels: &[u8],
    upper: usize,
    left: usize,
    width: usize,
) -> Quads<I::V> {
    let stride = 4 * width.div_ceil(2);
    let mut sums = [[I::splat(0); 2]; 2];
    let mut opponents = [[I::splat(0); 2]; 2];
    for (k, to) in sums.iter_mut().enumerate() {
        let from = &pixels[(upper + k) * stride + 2 * left..][..4 * N];
        let (low, high) = from.split_at(2 * N);
        let (low, high) = (low.as_chunks::<2>().0, high.as_chunks::<2>().0);
        let chroma = [differences::<I, N>(low), differences::<I, N>(high)];
        let mut of = [I::splat(0); 3];
        for (to, weights) in of.iter_mut().zip(fixed::CHROMA) {
            // Blue stands where the column is even, red where it is odd.
            let mut both = [0; N];
            both.iter_mut().enumerate().for_each(|(i, w)| *w = weights[i % 2]);
            let both = I::of(both);
            *to = I::pairs(I::mul(chroma[0], both), I::mul(chroma[1], both));
        }
        let sum = twice::<I, N>(of[0]);
        to[0] = I::add(brightness::<I, N>(low.iter().map(|p| p[0])), sum[0]);
        to[1] = I::add(brightness::<I, N>(high.iter().map(|p| p[0])), sum[1]);
        (opponents[0][k], opponents[1][k]) = (of[1], of[2]);
    }
    // The mean of four, of which two and two are the same.
    let opponents = opponents.map(|[a, b]| {
        let both = I::add(a, b);
        I::shift(I::add(I::add(both, both), I::splat(2)), 2)
    });
    Quads { sum: sums, opponents }
}

/// What brightness adds to the sum: see [`fixed::pixel`].
#[inline(always)]
fn brightness<I: Isa<N>, const N: usize>(bytes: impl Iterator<Item = u8>) -> I::V {
    let mut values = [0; N];
    values.iter_mut().zip(bytes).for_each(|(to, y)| *to = (i16::from(y) - 16) << 5);
    I::sub(I::mul(I::of(values), I::splat(fixed::LUMA)), I::splat(CENTRE))
}

/// Colour differences of YUYV, 128 to a level.
#[inline(always)]
fn differences<I: Isa<N>, const N: usize>(pixels: &[[u8; 2]]) -> I::V {
    let mut values = [0; N];
    values.iter_mut().zip(pixels).for_each(|(to, p)| *to = (i16::from(p[1]) - 128) << 7);
    I::of(values)
}

/// Every value twice.
#[inline(always)]
fn twice<I: Isa<N>, const N: usize>(a: I::V) -> [I::V; 2] {
    let a = I::values(a);
    let (mut low, mut high) = ([0; N], [0; N]);
    for i in 0..N {
        low[i] = a[i / 2];
        high[i] = a[N / 2 + i / 2];
    }
    [I::of(low), I::of(high)]
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
        return &pixels[from..][..C * count];
    }
    mirrored::<C>(&pixels[C * first..][..C * width], left, width, &mut padded[..C * count]);
    &padded[..C * count]
}

/// Asks for `count` pixels of `C` bytes from pixel `first` on.
#[inline(always)]
pub(super) fn ask<const C: usize>(pixels: &[u8], first: usize, count: usize) {
    for line in 0..(C * count).div_ceil(LINE) {
        fetch(pixels, C * first + line * LINE);
    }
}

/// Asks for the cache line of a value that will soon be read or written.
///
/// To the second level: what is at hand needs all of the first.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) fn fetch<T>(values: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = values.get(at) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a hint; every x86-64 has it.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
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
