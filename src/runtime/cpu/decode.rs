//! Latents to pictures, block by block: the way of [`super::encode`] back.
//!
//! Registers hold a row of cells of a block while channels become bands and the packets of the
//! columns are undone, with a state that is carried from strip to strip; then one column of a strip
//! each, while the packets of the rows are undone and opponents are doubled across; then a row of
//! pixels each, while opponents are doubled down and everything becomes colours. Rows and columns
//! come out 28 behind the cells that went in.

use std::ops::Range;

use super::dispatch::Kernel;
use super::lanes::{Isa, transpose};
use super::lift::{Back2, Back3, Between, Cells, DELAY};
use super::pixels::{ask, fetch};
use crate::codec::fixed::{self, BANDS, CELL, HALF_BANDS, LEVELS};
use crate::codec::{Bundle, Latent};
use crate::signal::fixed::QUARTER;

/// Samples by which undone packets are behind, along each axis.
const BEHIND: usize = 28;

/// How bands come back from channels, decided once.
#[derive(Debug, Clone)]
pub(super) struct BackPlan {
    inputs: usize,
    /// Channels that are read.
    pub channels: usize,
    /// For each four bands half of what they are without channels, and their weights, channel by
    /// channel.
    bands: Vec<([i16; 4], Vec<[i16; 4]>)>,
}

impl BackPlan {
    /// For latents of which so many channels are read.
    pub fn new(bundle: &Bundle, channels: usize) -> Self {
        let bands = (0..bundle.inner() / 4)
            .map(|k| {
                let four = [4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3];
                let weights = four.map(|k| fixed::back_weights(bundle, k, channels));
                let rows = (0..channels).map(|c| [0, 1, 2, 3].map(|i| weights[i][c])).collect();
                (four.map(|k| (bundle.offset[k] / 2.0) as i16), rows)
            })
            .collect();
        Self { inputs: bundle.inputs, channels, bands }
    }
}

/// What bands come from.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// The channels of a latent, of which these are read, and the step of each.
    Latent(&'a Latent, &'a [f32]),
    /// Themselves: `[inner, rows of the job, width]`.
    Bands(&'a [i16]),
}

/// A picture or some of its rows, and where its samples go.
pub(super) struct Job<'a> {
    pub from: Input<'a>,
    /// Rows and columns of cells of the whole picture.
    pub grid: [usize; 2],
    /// Height and width of the whole picture.
    pub extent: [usize; 2],
    /// Rows of cells that are pushed now, behind those of the last job; their samples come out as
    /// far as they are known. The end is a multiple of [`ROWS`] or that of the picture.
    pub rows: Range<usize>,
    /// One byte a pixel instead of three.
    pub gray: bool,
    /// Samples of the whole picture.
    pub out: &'a mut [u8],
}

/// Rows of cells that strips of every width are made of.
pub(super) const ROWS: usize = 4;

/// Opponents are doubled from rows and columns before and behind: so many are kept.
const KEPT: usize = 3;

/// Memory of a decoder, kept from picture to picture.
#[derive(Debug)]
pub(super) struct Scratch<V, const N: usize> {
    /// Channels of a block as reals: `[channels, rows of cells in a strip]`.
    reals: Vec<V>,
    /// Its bands: `[bands, rows of cells in a strip]`.
    bands: Vec<V>,
    squares: [[V; N]; 3],
    /// Bands of the rows of a block: `[bands, cells]`, of the sum, then of both opponents.
    across: Vec<V>,
    between: Between<V>,
    /// Columns of the sum.
    sum: Vec<V>,
    /// Columns of both opponents, one above the other, behind those that were kept.
    half: Vec<V>,
    sum_rows: Back3<V>,
    half_rows: Back2<V>,
    sum_columns: Vec<Back3<V>>,
    half_columns: Vec<[Back2<V>; 2]>,
    /// Rows of both opponents that were kept: `[squares of columns]`.
    kept: Vec<[[V; KEPT]; 2]>,
}

impl Kernel for BackPlan {
    type Scratch<I: Isa<N>, const N: usize> = Scratch<I::V, N>;
    type Job<'a> = Job<'a>;

    fn scratch<I: Isa<N>, const N: usize>() -> Scratch<I::V, N> {
        let v = I::splat(0);
        Scratch {
            reals: Vec::new(),
            bands: vec![v; (BANDS + 2 * HALF_BANDS) * N / CELL],
            squares: [[v; N]; 3],
            across: vec![v; (CELL + CELL / 2) * N],
            between: Between::new(N, v),
            sum: vec![v; CELL * N],
            half: vec![v; CELL / 2 * N + KEPT],
            sum_rows: Back3::new(v),
            half_rows: Back2::new(v),
            sum_columns: Vec::new(),
            half_columns: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Decodes a picture of at least one cell.
    #[inline(always)]
    fn run<I: Isa<N>, const N: usize>(&self, s: &mut Scratch<I::V, N>, job: &mut Job<'_>) {
        let grid = job.grid;
        let picture = Picture::<N> {
            grid,
            per_strip: N / CELL,
            colour: self.inputs == 3 && !job.gray,
            blocks: (grid[1] + DELAY).div_ceil(N),
        };
        let v = I::splat(0);
        if let Input::Latent(_, steps) = job.from {
            s.reals.resize(steps.len() * picture.per_strip, v);
        }
        s.sum_columns.resize(picture.blocks * CELL, Back3::new(v));
        s.half_columns.resize(picture.blocks * CELL / 2, [Back2::new(v); 2]);
        s.kept.resize(picture.blocks * CELL, [[v; KEPT]; 2]);
        // What is behind is flushed when the last rows are there.
        let end = if job.rows.end < grid[0] { job.rows.end } else { grid[0] + DELAY };
        for t in job.rows.start / picture.per_strip..end.div_ceil(picture.per_strip) {
            let rows = Cells {
                first: (t * picture.per_strip) as isize,
                count: picture.per_strip,
                all: grid[0] as isize,
            };
            for block in 0..picture.blocks {
                if block * N < grid[1] {
                    match job.from {
                        Input::Latent(latent, steps) => {
                            picture.bands::<I>(self, rows, block, latent, steps, s);
                        }
                        Input::Bands(bands) => {
                            picture.load::<I>(bands, &job.rows, rows, block, s);
                        }
                    }
                    if rows.edge() {
                        picture.down::<I, true>(rows, block, s);
                    } else {
                        picture.down::<I, false>(rows, block, s);
                    }
                }
                let columns = Cells {
                    first: (block * N) as isize,
                    count: N.min(grid[1] + DELAY - block * N),
                    all: grid[1] as isize,
                };
                if columns.edge() {
                    picture.across::<I, true>(columns, s);
                } else {
                    picture.across::<I, false>(columns, s);
                }
                picture.pixels::<I>(rows, columns, block, job, s);
            }
        }
    }
}

/// The sizes of a picture in strips of `N` rows and blocks of `N` cells.
struct Picture<const N: usize> {
    grid: [usize; 2],
    /// Rows of cells in a strip.
    per_strip: usize,
    colour: bool,
    /// Blocks, and one more if the last cells only come out behind it.
    blocks: usize,
}

impl<const N: usize> Picture<N> {
    /// Bands of some rows of cells of a block.
    #[inline(always)]
    fn bands<I: Isa<N>>(
        &self,
        plan: &BackPlan,
        rows: Cells,
        block: usize,
        latent: &Latent,
        steps: &[f32],
        s: &mut Scratch<I::V, N>,
    ) {
        let (wide, m) = (self.grid[1], self.per_strip);
        let len = N.min(wide - block * N);
        // Channels lie too far apart for the processor to see where the next block goes on.
        let ahead = if (block + 1) * N < wide { N } else { m * wide - block * N };
        let there = (self.grid[0] - (rows.first as usize).min(self.grid[0])).min(m);
        for (c, &step) in steps.iter().enumerate() {
            let values = latent.channel(c);
            for i in 0..there {
                let at = (rows.first as usize + i) * wide + block * N;
                fetch(values, at + ahead + N - 1);
                s.reals[c * m + i] = dequantize::<I, N>(&padded::<N>(&values[at..], len), step);
            }
        }
        let fours = if self.colour { plan.bands.len() } else { BANDS / 4 };
        for ((offsets, weights), to) in plan.bands[..fours].iter().zip(s.bands.chunks_mut(4 * m)) {
            // Four bands side by side: every channel is read once for them.
            let mut sums = [[I::splat(0); 4]; 4];
            for (sums, &offset) in sums.iter_mut().zip(offsets) {
                *sums = [I::splat(offset); 4];
            }
            for (weights, reals) in weights.iter().zip(s.reals.chunks_exact(m)) {
                for (sums, &weight) in sums.iter_mut().zip(weights) {
                    let weight = I::splat(weight);
                    for (sum, x) in sums[..N / CELL].iter_mut().zip(reals) {
                        *sum = I::add(*sum, I::mul(*x, weight));
                    }
                }
            }
            for (to, sums) in to.chunks_exact_mut(m).zip(&sums) {
                for (to, &sum) in to.iter_mut().zip(sums) {
                    *to = I::add(sum, sum);
                }
            }
        }
    }

    /// Bands of some rows of cells of a block that are there already, in rows `from` on.
    #[inline(always)]
    fn load<I: Isa<N>>(
        &self,
        bands: &[i16],
        from: &Range<usize>,
        rows: Cells,
        block: usize,
        s: &mut Scratch<I::V, N>,
    ) {
        let (wide, m) = (self.grid[1], self.per_strip);
        let len = N.min(wide - block * N);
        // Rows beyond the last are never read.
        let first = (rows.first as usize).min(from.end) - from.start;
        let there = (from.len() - first).min(m);
        let count = if self.colour { BANDS + 2 * HALF_BANDS } else { BANDS };
        let bands = bands.chunks_exact(from.len() * wide);
        for (band, to) in bands.take(count).zip(s.bands.chunks_exact_mut(m)) {
            for (row, to) in band[first * wide..].chunks_exact(wide).zip(&mut to[..there]) {
                *to = I::of(padded(&row[block * N..], len));
            }
        }
    }

    /// Undoes the packets of the columns of a block.
    #[inline(always)]
    fn down<I: Isa<N>, const EDGE: bool>(
        &self,
        rows: Cells,
        block: usize,
        s: &mut Scratch<I::V, N>,
    ) {
        let (across, _) = s.across.as_chunks_mut::<N>();
        let [square, ..] = &mut s.squares;
        for (p, to) in across[..CELL].iter_mut().enumerate() {
            let at = [0, 1, 2, 3, 4, 5, 6, 7].map(|d| fixed::band(LEVELS, p, d) * self.per_strip);
            let state = &mut s.sum_columns[block * CELL + p];
            state.push::<I, N, EDGE>(&s.bands, at, rows, &mut s.between, square);
            transpose::<I, N>(square, to);
        }
        if !self.colour {
            return;
        }
        for p in 0..CELL / 2 {
            let states = &mut s.half_columns[block * CELL / 2 + p];
            for (o, (state, rows_of)) in
                states.iter_mut().zip(square.chunks_exact_mut(N / 2)).enumerate()
            {
                let first = BANDS + o * HALF_BANDS;
                let at =
                    [0, 1, 2, 3].map(|d| (first + fixed::band(LEVELS - 1, p, d)) * self.per_strip);
                state.push::<I, N, EDGE>(&s.bands, at, rows, &mut s.between, rows_of);
            }
            transpose::<I, N>(square, &mut across[CELL + p]);
        }
    }

    /// Undoes the packets of the rows of a strip.
    #[inline(always)]
    fn across<I: Isa<N>, const EDGE: bool>(&self, cells: Cells, s: &mut Scratch<I::V, N>) {
        let at = [0, 1, 2, 3, 4, 5, 6, 7].map(|b| b * N);
        s.sum_rows.push::<I, N, EDGE>(&s.across, at, cells, &mut s.between, &mut s.sum);
        if self.colour {
            let end = CELL / 2 * N;
            // Of the block before, whole.
            s.half.copy_within(end..end + KEPT, 0);
            let at = [0, 1, 2, 3].map(|b| (CELL + b) * N);
            let to = &mut s.half[KEPT..];
            s.half_rows.push::<I, N, EDGE>(&s.across, at, cells, &mut s.between, to);
        }
    }

    /// Colours of a block, as far as it is in the picture.
    #[inline(always)]
    fn pixels<I: Isa<N>>(
        &self,
        rows: Cells,
        columns: Cells,
        block: usize,
        job: &mut Job<'_>,
        s: &mut Scratch<I::V, N>,
    ) {
        let [height, width] = job.extent;
        let (top, left) = (rows.first * CELL as isize, columns.first * CELL as isize);
        let (top, left) = (top - BEHIND as isize, left - BEHIND as isize);
        let last = [self.grid[0], self.grid[1]].map(|cells| (cells * CELL / 2) as isize - 1);
        let (sums, _) = s.sum.as_chunks::<N>();
        let [sum, half, doubled] = &mut s.squares;
        let count = (columns.count * CELL).div_ceil(N);
        for (square, sums) in sums[..count].iter().enumerate() {
            let left = left + (square * N) as isize;
            if left + N as isize <= 0 || left >= width as isize {
                continue;
            }
            transpose::<I, N>(sums, sum);
            let kept = &mut s.kept[block * CELL + square];
            if self.colour {
                for (i, [even, odd]) in doubled.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    // The pair of columns that half column `at` becomes stands two behind it.
                    let at = square * N / 2 + i;
                    let column = left / 2 + i as isize;
                    let (x, before, after) = (s.half[at + 1], s.half[at], s.half[at + 2]);
                    let before = if column == 0 { x } else { before };
                    let after = if column == last[1] { x } else { after };
                    (*even, *odd) = (between::<I, N>(x, before), between::<I, N>(x, after));
                }
                transpose::<I, N>(doubled, half);
            }
            let inside = (-left).max(0) as usize..N.min((width as isize - left) as usize);
            for i in 0..N / 2 {
                let row = top / 2 + i as isize;
                let mut opponents = [[I::splat(0); 2]; 2];
                if self.colour {
                    for (o, to) in opponents.iter_mut().enumerate() {
                        let new = &half[o * N / 2..][..N / 2];
                        let get = |k: usize| if k < KEPT { kept[o][k] } else { new[k - KEPT] };
                        let (before, x, after) = (get(i), get(i + 1), get(i + 2));
                        let before = if row == 0 { x } else { before };
                        let after = if row == last[0] { x } else { after };
                        *to = [between::<I, N>(x, before), between::<I, N>(x, after)];
                    }
                }
                for k in 0..2 {
                    let y = top + (2 * i + k) as isize;
                    if y < 0 || y >= height as isize {
                        continue;
                    }
                    let first = y as usize * width;
                    let from = (left + inside.start as isize) as usize;
                    let third = third::<I, N>(sum[2 * i + k]);
                    if self.colour {
                        let colours = colours::<I, N>(third, opponents[0][k], opponents[1][k]);
                        ask::<3>(job.out, first + from + CELL * N, inside.len());
                        let out = &mut job.out[3 * (first + from)..][..3 * inside.len()];
                        if inside.len() == N {
                            I::join(colours, out);
                        } else {
                            let mut bytes = [0; 96];
                            I::join(colours, &mut bytes[..3 * N]);
                            out.copy_from_slice(&bytes[3 * inside.start..3 * inside.end]);
                        }
                    } else {
                        let gray = I::values(I::shift(third, 3));
                        let out = &mut job.out[first + from..][..inside.len()];
                        for (to, v) in out.iter_mut().zip(&gray[inside.clone()]) {
                            *to = (*v).clamp(0, 255) as u8;
                        }
                    }
                }
            }
            if self.colour {
                for (kept, new) in kept.iter_mut().zip(half.chunks_exact(N / 2)) {
                    kept.copy_from_slice(&new[N / 2 - KEPT..]);
                }
            }
        }
    }
}

/// The first `len` values, and nothing behind them.
#[inline(always)]
fn padded<const N: usize>(values: &[i16], len: usize) -> [i16; N] {
    match values.first_chunk::<N>() {
        Some(values) if len == N => *values,
        _ => {
            let mut padded = [0; N];
            padded[..len].copy_from_slice(&values[..len]);
            padded
        }
    }
}

/// Integers times the step, as [`fixed::dequantize`] has it.
#[inline(always)]
fn dequantize<I: Isa<N>, const N: usize>(values: &[i16; N], step: f32) -> I::V {
    /// Added and taken away again, it leaves a whole number, rounded half to even: not every
    /// processor has an instruction for that.
    const ROUND: f32 = 12_582_912.0;
    let mut out = [0; N];
    for (to, &q) in out.iter_mut().zip(values) {
        *to = (f32::from(q) * step + ROUND - ROUND) as i16;
    }
    I::of(out)
}

/// A quarter of the way from `a` to `b`: see [`crate::signal::fixed::quarter_way`].
#[inline(always)]
fn between<I: Isa<N>, const N: usize>(a: I::V, b: I::V) -> I::V {
    I::add(a, I::shift(I::add(I::sub(b, a), I::splat(QUARTER)), 2))
}

/// See [`fixed::third`].
#[inline(always)]
fn third<I: Isa<N>, const N: usize>(sum: I::V) -> I::V {
    I::add(I::mul(sum, I::splat(fixed::THIRD)), I::splat(fixed::MIDDLE))
}

/// Red, green and blue, not yet held to bytes: see [`fixed::colours`].
#[inline(always)]
fn colours<I: Isa<N>, const N: usize>(third: I::V, a: I::V, b: I::V) -> [I::V; 3] {
    let (a, b) = (I::mul(a, I::splat(fixed::HALF)), I::mul(b, I::splat(fixed::SIXTH)));
    let rb = I::sub(third, b);
    [
        I::shift(I::add(rb, a), 3),
        I::shift(I::add(I::add(third, b), b), 3),
        I::shift(I::sub(rb, a), 3),
    ]
}
