//! Pictures to latents, block by block: pixels in, integers out, nothing in between but what the
//! first-level cache holds.
//!
//! A strip is as many rows as a register has lanes, a block of it as many cells. Its pixels become
//! planes and are transposed, so that a register holds one column of the strip; the packets of the
//! rows run along them, with a state that is carried from block to block. What they give, for each
//! of their bands one register a cell, is transposed back, so that a register holds a row of the
//! block, and the packets of the columns run down with a state that is carried from strip to strip.
//! Both leave out the bands that no channel reads. What comes out, four rows of cells later, is
//! projected and quantized while it is in registers and first-level cache.

use super::super::plan::{Plan, Row};
use super::dispatch::Kernel;
use super::lanes::{Isa, transpose};
use super::lift::{Between, Cells, DELAY, Packets2, Packets3, To};
use super::pixels::{MOST, Pixels, fetch};
use crate::codec::fixed::{self, BANDS, CELL, HALF_BANDS, LEVELS};
use crate::signal::{cells, mirror};

/// Rows of cells above it that a row of cells depends on, at most.
pub(super) const ABOVE: usize = DELAY + 1;

/// Rows of cells of a picture and where their latents go.
pub(super) struct Job<'a> {
    pub pixels: Pixels<'a>,
    /// Height and width in pixels.
    pub extent: [usize; 2],
    /// Rows of cells wanted.
    pub rows: std::ops::Range<usize>,
    /// Latents of these rows.
    pub out: Out<'a>,
}

/// Latents of some rows of cells, channel by channel.
pub(super) enum Out<'a> {
    /// Of all rows, which are so many values.
    All(&'a mut [i16], usize),
    /// Of some.
    Parts(Vec<&'a mut [i16]>),
}

impl Out<'_> {
    #[inline(always)]
    fn channel(&mut self, c: usize) -> &mut [i16] {
        match self {
            Self::All(values, each) => &mut values[c * *each..][..*each],
            Self::Parts(parts) => parts[c],
        }
    }
}

/// Memory of one thread, kept from picture to picture.
#[derive(Debug)]
pub(super) struct Scratch<V, const N: usize> {
    /// Rows on their way to columns, or back.
    squares: [[V; N]; 3],
    /// Pixels at the edge.
    padded: [u8; MOST],
    /// Columns of the sum of a block.
    sum: Vec<V>,
    /// Columns of both opponents, the one above the other, behind those of one cell that waited.
    half: Vec<V>,
    /// Bands of the rows of a block: `[bands, cells]`, of the sum, then of the opponents.
    across: Vec<V>,
    /// Bands of a block: `[bands, rows of cells in a strip]`.
    bands: Vec<V>,
    between: Between<V>,
    /// States of the rows of a strip.
    sum_rows: Packets3<V>,
    half_rows: Packets2<V>,
    /// States of the columns: `[blocks, bands of the rows]`.
    sum_columns: Vec<Packets3<V>>,
    /// And of both opponents, each with its rows of one cell that wait.
    half_columns: Vec<[(Packets2<V>, [V; 4]); 2]>,
}

impl Kernel for Plan {
    type Scratch<I: Isa<N>, const N: usize> = Scratch<I::V, N>;
    type Job<'a> = Job<'a>;

    fn scratch<I: Isa<N>, const N: usize>() -> Scratch<I::V, N> {
        let v = I::splat(0);
        Scratch {
            squares: [[v; N]; 3],
            padded: [0; MOST],
            sum: vec![v; N * CELL],
            half: vec![v; (N + 1) * CELL / 2],
            across: vec![v; (CELL + CELL / 2) * N],
            bands: vec![v; (BANDS + 2 * HALF_BANDS) * N / CELL],
            between: Between::new(N, v),
            sum_rows: Packets3::new(v),
            half_rows: Packets2::new(v),
            sum_columns: Vec::new(),
            half_columns: Vec::new(),
        }
    }

    #[inline(always)]
    fn run<I: Isa<N>, const N: usize>(&self, scratch: &mut Scratch<I::V, N>, job: &mut Job<'_>) {
        let plan = self;
        let picture = Picture::<N>::new(job.extent, plan.inputs == 3);
        picture.prepare::<I>(scratch);
        let first = job.rows.start.saturating_sub(ABOVE) / picture.per_strip;
        let last = (job.rows.end + DELAY).div_ceil(picture.per_strip);
        for t in first..last {
            let there = t * picture.per_strip < picture.grid[0];
            if there {
                picture.load::<I>(t, 0, DELAY, &job.pixels, scratch);
                picture.across::<I>(plan, 0, DELAY, scratch);
            }
            for block in 0..picture.blocks {
                if there {
                    let from = block * N + DELAY;
                    picture.load::<I>(t, from, N, &job.pixels, scratch);
                    picture.across::<I>(plan, from, N, scratch);
                }
                let rows = picture.rows(t);
                if rows.edge() {
                    picture.down::<I, true>(plan, rows, block, scratch);
                } else {
                    picture.down::<I, false>(plan, rows, block, scratch);
                }
                picture.project::<I>(plan, scratch, rows.first - DELAY as isize, block, job);
            }
        }
    }
}

/// The sizes of a picture in strips of `N` rows and blocks of `N` cells.
struct Picture<const N: usize> {
    extent: [usize; 2],
    grid: [usize; 2],
    blocks: usize,
    /// Rows of cells in a strip.
    per_strip: usize,
    colour: bool,
}

impl<const N: usize> Picture<N> {
    fn new(extent: [usize; 2], colour: bool) -> Self {
        let grid = extent.map(|e| cells(e, CELL));
        Self { extent, grid, blocks: grid[1].div_ceil(N), per_strip: N / CELL, colour }
    }

    #[inline(always)]
    fn prepare<I: Isa<N>>(&self, s: &mut Scratch<I::V, N>) {
        let v = I::splat(0);
        s.sum_columns.resize(self.blocks * CELL, Packets3::new(v));
        if self.colour {
            let empty = (Packets2::new(v), [v; 4]);
            s.half_columns.resize(self.blocks * CELL / 2, [empty; 2]);
        }
    }

    /// The rows of cells of strip `t`.
    fn rows(&self, t: usize) -> Cells {
        let (count, all) = (self.per_strip, self.grid[0] as isize);
        Cells { first: (t * count) as isize, count, all }
    }

    /// Planes of strip `t`, transposed: `count` cells from `first` on.
    #[inline(always)]
    fn load<I: Isa<N>>(
        &self,
        t: usize,
        first: usize,
        count: usize,
        pixels: &Pixels<'_>,
        s: &mut Scratch<I::V, N>,
    ) {
        let (height, width) = (self.grid[0] * CELL, self.grid[1] * CELL);
        // Rows lie too far apart for the processor to see where a strip goes on, or the next begins.
        let ahead = match first + N {
            next if next < self.grid[1] => N * CELL,
            _ => (N * self.extent[1]).saturating_sub(first * CELL),
        };
        let squares = &mut s.squares;
        let (sum, _) = s.sum.as_chunks_mut::<N>();
        let (half, _) = s.half[CELL / 2..].as_chunks_mut::<N>();
        for chunk in 0..(count * CELL).div_ceil(2 * N) {
            let left = first * CELL + chunk * 2 * N;
            if left >= width {
                break;
            }
            for k in 0..N / 2 {
                let y = t * N + 2 * k;
                if y < height {
                    let rows = (mirror(y, self.extent[0]), mirror(y + 1, self.extent[0]));
                    let width = self.extent[1];
                    let quads = pixels.quads::<I, N>(rows, left, width, ahead, &mut s.padded);
                    let [[a, b], [c, d]] = quads.sum;
                    (squares[0][2 * k], squares[0][2 * k + 1]) = (a, c);
                    (squares[1][2 * k], squares[1][2 * k + 1]) = (b, d);
                    [squares[2][k], squares[2][N / 2 + k]] = quads.opponents;
                }
            }
            transpose::<I, N>(&squares[0], &mut sum[2 * chunk]);
            transpose::<I, N>(&squares[1], &mut sum[2 * chunk + 1]);
            if self.colour {
                transpose::<I, N>(&squares[2], &mut half[chunk]);
            }
        }
    }

    /// The packets of the rows of a strip: `count` cells from `first` on, four of them behind.
    #[inline(always)]
    fn across<I: Isa<N>>(&self, plan: &Plan, first: usize, count: usize, s: &mut Scratch<I::V, N>) {
        let cells = Cells { first: first as isize, count, all: self.grid[1] as isize };
        if cells.edge() {
            self.across_cells::<I, true>(plan, cells, s);
        } else {
            self.across_cells::<I, false>(plan, cells, s);
        }
    }

    #[inline(always)]
    fn across_cells<I: Isa<N>, const EDGE: bool>(
        &self,
        plan: &Plan,
        cells: Cells,
        s: &mut Scratch<I::V, N>,
    ) {
        let to = To { lanes: &mut s.across, at: [0, 1, 2, 3, 4, 5, 6, 7].map(|b| b * N) };
        s.sum_rows.push::<I, N, EDGE>(&s.sum, cells, plan.sum_across, &mut s.between, to);
        if self.colour {
            let to = To { lanes: &mut s.across[CELL * N..], at: [0, 1, 2, 3].map(|b| b * N) };
            // One cell later.
            let before = Cells { first: cells.first - 1, ..cells };
            let read = plan.half_across;
            s.half_rows.push::<I, N, EDGE>(&s.half, before, read, &mut s.between, to);
            let end = cells.count * CELL / 2;
            s.half.copy_within(end..end + CELL / 2, 0);
        }
    }

    /// The packets of the columns of a block, with the state they had in the strip above.
    #[inline(always)]
    fn down<I: Isa<N>, const EDGE: bool>(
        &self,
        plan: &Plan,
        rows: Cells,
        block: usize,
        s: &mut Scratch<I::V, N>,
    ) {
        let (squares, _) = s.across.as_chunks::<N>();
        for (across, &read) in plan.sum.iter().enumerate().filter(|(_, read)| **read != 0) {
            transpose::<I, N>(&squares[across], &mut s.squares[0]);
            let at = [0, 1, 2, 3, 4, 5, 6, 7]
                .map(|down| fixed::band(LEVELS, across, down) * self.per_strip);
            let to = To { lanes: &mut s.bands, at };
            let state = &mut s.sum_columns[block * CELL + across];
            state.push::<I, N, EDGE>(&s.squares[0], rows, read, &mut s.between, to);
        }
        if !self.colour {
            return;
        }
        let before = Cells { first: rows.first - 1, ..rows };
        for (across, read) in plan.half.iter().enumerate().filter(|(_, read)| **read != [0; 2]) {
            let [both, input, _] = &mut s.squares;
            transpose::<I, N>(&squares[CELL + across], both);
            let states = &mut s.half_columns[block * CELL / 2 + across];
            for (p, (&read, (state, waited))) in read.iter().zip(states).enumerate() {
                if read == 0 {
                    continue;
                }
                input[..4].copy_from_slice(waited);
                input[4..N / 2].copy_from_slice(&both[p * N / 2..][..N / 2 - 4]);
                waited.copy_from_slice(&both[p * N / 2..][N / 2 - 4..N / 2]);
                let first = BANDS + p * HALF_BANDS;
                let at = [0, 1, 2, 3]
                    .map(|down| (first + fixed::band(LEVELS - 1, across, down)) * self.per_strip);
                let to = To { lanes: &mut s.bands, at };
                state.push::<I, N, EDGE>(&*input, before, read, &mut s.between, to);
            }
        }
    }

    /// Channels of the rows of cells of a block that the job wants.
    #[inline(always)]
    fn project<I: Isa<N>>(
        &self,
        plan: &Plan,
        s: &mut Scratch<I::V, N>,
        top: isize,
        block: usize,
        job: &mut Job<'_>,
    ) {
        let (left, width) = (block * N, self.grid[1]);
        let len = N.min(width - left);
        // Channels lie far apart too: where the next block goes, or the first of the next strip.
        let ahead = if left + N < width { N } else { self.per_strip * width - left };
        for (c, row) in plan.rows.iter().enumerate() {
            let Row { bias, divisor, ref terms } = *row;
            let [factor, part, back] =
                [divisor.factor, divisor.part, divisor.back].map(|v| I::splat(v));
            let out = job.out.channel(c);
            // Rows side by side, so that a weight is spread once and sums do not wait for each other.
            let mut sums = [I::splat(bias); 4];
            let sums = &mut sums[..N / CELL];
            for &(band, weight) in terms {
                let weight = I::splat(weight);
                let band = &s.bands[usize::from(band) * (N / CELL)..][..N / CELL];
                for (sum, x) in sums.iter_mut().zip(band) {
                    *sum = I::add(*sum, I::mul(*x, weight));
                }
            }
            for (i, sum) in sums.iter().enumerate() {
                let y = top + i as isize;
                if y < job.rows.start as isize || y >= job.rows.end as isize {
                    continue;
                }
                let scaled = I::mul(*sum, factor);
                let down = I::and(I::shift(scaled, 15), back);
                let scaled = I::add(I::add(scaled, part), down);
                let values = I::values(I::shift(scaled, divisor.shift));
                let at = (y as usize - job.rows.start) * width + left;
                fetch(out, at + ahead + N - 1);
                // Whole registers where they fit: a known length is one instruction.
                match out[at..].first_chunk_mut::<N>() {
                    Some(to) if len == N => *to = values,
                    _ => out[at..at + len].copy_from_slice(&values[..len]),
                }
            }
        }
    }
}
