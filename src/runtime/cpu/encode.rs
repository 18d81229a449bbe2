//! Pictures to latents, strip by strip: pixels in, integers out, nothing in between but a few rows.
//!
//! A strip is as many rows as a register has lanes. Its pixels become planes and are transposed, so
//! that a register holds one column of the strip; the packets of the rows then run along memory.
//! Block by block of as many cells the strip is transposed back, and the packets of the columns run
//! down with a state that is carried from strip to strip, on the bands that channels read and on no
//! others. What comes out, four rows of cells later, is projected and quantized while it is in
//! registers and first-level cache.

use super::lanes::{Isa, Lane, transpose};
use super::lift::{Level, detail, halve, smooth, walk};
use super::pixels::Pixels;
use super::plan::{Plan, Row};
use super::{lanes, plan};
use crate::codec::fixed::{BANDS, CELL, HALF_BANDS};
use crate::signal::{cells, mirror};

/// Columns of pixels whose planes are made at once: their rows stay in the first-level cache.
const TILE: usize = 256;
/// Rows of cells that a band is behind its pixels.
const DELAY: usize = 4;
/// Registers of state a block has for each path through the rows' packets: of the sum, 7 levels and
/// 4 bands that wait for their pair; of an opponent, 3 levels and 3 bands.
type SumState<const N: usize> = ([Level<N>; 7], [Lane<N>; 4]);
type HalfState<const N: usize> = ([Level<N>; 3], [Lane<N>; 3]);

/// Rows of cells of a picture and where their latents go.
pub(super) struct Job<'a> {
    pub pixels: Pixels<'a>,
    /// Height and width in pixels.
    pub extent: [usize; 2],
    /// Rows of cells wanted.
    pub rows: std::ops::Range<usize>,
    /// Latents of these rows, channel by channel.
    pub out: Vec<&'a mut [i16]>,
}

/// Memory of one thread, kept from picture to picture.
#[derive(Debug)]
pub(super) struct Scratch<const N: usize> {
    /// Rows of the sum, and of both opponents at half height, of a tile.
    sum: Vec<i16>,
    half: Vec<i16>,
    /// Opponents of an even and an odd row of a tile.
    pair: Vec<i16>,
    /// Even row, odd row and detail of both opponents, carried down.
    carried: Vec<i16>,
    /// Columns of a strip.
    sum_columns: Vec<Lane<N>>,
    half_columns: Vec<Lane<N>>,
    sum_states: Vec<SumState<N>>,
    half_states: Vec<HalfState<N>>,
    /// Bands of a block: `[bands, rows of cells in a strip]`.
    bands: Vec<Lane<N>>,
    /// Bands on the way: of the first split, and of the second behind one that waited.
    split: [[Lane<N>; 16]; 2],
    deep: [[Lane<N>; 9]; 2],
}

impl<const N: usize> Default for Scratch<N> {
    fn default() -> Self {
        Self {
            sum: Vec::new(),
            half: Vec::new(),
            pair: Vec::new(),
            carried: Vec::new(),
            sum_columns: Vec::new(),
            half_columns: Vec::new(),
            sum_states: Vec::new(),
            half_states: Vec::new(),
            bands: Vec::new(),
            split: [[[0; N]; 16]; 2],
            deep: [[[0; N]; 9]; 2],
        }
    }
}

/// Encodes the rows of a job.
#[inline(always)]
pub(super) fn encode<I: Isa<N>, const N: usize>(
    plan: &Plan,
    scratch: &mut Scratch<N>,
    job: &mut Job<'_>,
) {
    let strip = Strip::new(job.extent, plan.inputs == 3);
    strip.prepare(scratch);
    // What a row depends on begins five rows of cells above it at most.
    let per_strip = N / CELL;
    let first = job.rows.start.saturating_sub(DELAY + 1) / per_strip;
    let last = (job.rows.end + DELAY).div_ceil(per_strip);
    for t in first..last {
        if t * per_strip <= strip.grid[0] {
            strip.load(t, &job.pixels, scratch);
            strip.across::<I>(plan, scratch);
        }
        let top = (t * per_strip) as isize - DELAY as isize;
        for block in 0..strip.blocks {
            if t * per_strip <= 2 * DELAY || (t + 1) * per_strip > strip.grid[0] {
                strip.down::<I, true>(plan, scratch, t, block);
            } else {
                strip.down::<I, false>(plan, scratch, t, block);
            }
            strip.project::<I>(plan, &scratch.bands, block, top, job);
        }
    }
}

/// `N` values from `at` on.
#[inline(always)]
fn read<const N: usize>(values: &[i16], at: usize) -> Lane<N> {
    let mut lane = [0; N];
    lane.copy_from_slice(&values[at..at + N]);
    lane
}

/// The first `N` columns of the rows of a tile.
#[inline(always)]
fn columns_of<const N: usize>(rows: &[i16]) -> [Lane<N>; N] {
    let mut square = [[0; N]; N];
    for (r, row) in square.iter_mut().enumerate() {
        *row = read(rows, r * TILE);
    }
    transpose(&square)
}

/// The sizes of a picture in strips of `N` rows.
struct Strip<const N: usize> {
    extent: [usize; 2],
    grid: [usize; 2],
    /// Width in pixels of whole cells.
    width: usize,
    /// Blocks of `N` cells.
    blocks: usize,
    colour: bool,
}

impl<const N: usize> Strip<N> {
    fn new(extent: [usize; 2], colour: bool) -> Self {
        let grid = extent.map(|e| cells(e, CELL));
        let blocks = grid[1].div_ceil(N);
        Self { extent, grid, width: grid[1] * CELL, blocks, colour }
    }

    fn prepare(&self, s: &mut Scratch<N>) {
        let padded = self.blocks * N * CELL;
        s.sum.resize(N * TILE, 0);
        s.pair.resize(4 * TILE, 0);
        s.sum_columns.resize(padded, [0; N]);
        s.sum_states.resize(self.blocks * 8, ([Level::EMPTY; 7], [[0; N]; 4]));
        s.bands.resize((BANDS + 2 * HALF_BANDS) * N / CELL, [0; N]);
        if self.colour {
            s.half.resize(N * TILE, 0);
            s.carried.resize(6 * padded, 0);
            s.half_columns.resize(padded, [0; N]);
            s.half_states.resize(self.blocks * 8, ([Level::EMPTY; 3], [[0; N]; 3]));
        }
    }

    /// Planes of strip `t`, transposed: the sum at full width, opponents not yet halved across.
    #[inline(always)]
    fn load(&self, t: usize, pixels: &Pixels<'_>, s: &mut Scratch<N>) {
        let height = self.grid[0] * CELL;
        for left in (0..self.width).step_by(TILE) {
            let columns = left..(left + TILE).min(self.width);
            let len = columns.len();
            for k in 0..N / 2 {
                let y = t * N + 2 * k;
                for (odd, row) in [y, y + 1].into_iter().enumerate() {
                    if row < height {
                        let row = mirror(row, self.extent[0]);
                        let (a, b) = s.pair[odd * 2 * TILE..][..2 * TILE].split_at_mut(TILE);
                        let wanted = if self.colour { len } else { 0 };
                        let (a, b) = (&mut a[..wanted], &mut b[..wanted]);
                        let sum = &mut s.sum[(2 * k + odd) * TILE..][..len];
                        pixels.planes(row, columns.clone(), self.extent[1], sum, a, b);
                    }
                }
                if self.colour && y <= height {
                    self.halve_down(y, k, columns.clone(), s);
                }
            }
            // Whole squares: what lies beyond the picture is never read as a cell of it.
            for x in (0..len).step_by(N) {
                s.sum_columns[left + x..][..N].copy_from_slice(&columns_of(&s.sum[x..]));
                if self.colour {
                    s.half_columns[left + x..][..N].copy_from_slice(&columns_of(&s.half[x..]));
                }
            }
        }
    }

    /// One row of half height of both opponents, which pair `y`, `y + 1` completes.
    #[inline(always)]
    fn halve_down(&self, y: usize, k: usize, columns: std::ops::Range<usize>, s: &mut Scratch<N>) {
        let stride = self.blocks * N * CELL;
        let (first, flush) = (y == 2, y == self.grid[0] * CELL);
        for plane in 0..2 {
            let (even, rest) = s.carried[plane * 3 * stride..][..3 * stride].split_at_mut(stride);
            let (odd, before) = rest.split_at_mut(stride);
            let next = &s.pair[plane * TILE..][..TILE];
            let next_odd = &s.pair[(2 + plane) * TILE..][..TILE];
            let out = &mut s.half[(plane * N / 2 + k) * TILE..][..TILE];
            // Whole registers: what lies beyond the columns is room to spare.
            for x in (0..columns.len()).step_by(N) {
                let at = columns.start + x;
                let (e, o) = (read(even, at), read(odd, at));
                let next = if flush { e } else { read(next, x) };
                let d = detail::<N>(e, o, next);
                let low = smooth(e, if first { d } else { read(before, at) }, d);
                out[x..x + N].copy_from_slice(&low);
                before[at..at + N].copy_from_slice(&d);
                even[at..at + N].copy_from_slice(&next);
                odd[at..at + N].copy_from_slice(&read::<N>(next_odd, x));
            }
        }
    }

    /// The packets of the rows, along memory.
    #[inline(always)]
    fn across<I: Isa<N>>(&self, plan: &Plan, s: &mut Scratch<N>) {
        let columns = &mut s.sum_columns[..self.width];
        walk::<I, N>(columns, 0, 1);
        for first in 0..2 {
            if plan.sum_reads(first, 1) {
                walk::<I, N>(columns, first, 2);
            }
        }
        for first in 0..4 {
            if plan.sum_reads(first, 3) {
                walk::<I, N>(columns, first, 4);
            }
        }
        if self.colour {
            halve(&mut s.half_columns[..self.width]);
            let columns = &mut s.half_columns[..self.width / 2];
            walk::<I, N>(columns, 0, 1);
            for first in 0..2 {
                if plan.half_reads(first, 1) {
                    walk::<I, N>(columns, first, 2);
                }
            }
        }
    }

    /// The packets of the columns of a block, with the state they had in the strip above.
    #[inline(always)]
    fn down<I: Isa<N>, const EDGE: bool>(
        &self,
        plan: &Plan,
        s: &mut Scratch<N>,
        t: usize,
        block: usize,
    ) {
        let (height, per_strip) = (self.grid[0] as isize, N / CELL);
        let first = (t * per_strip) as isize;
        for place in (0..8).filter(|&p| plan.sum[p] != 0) {
            let columns = &s.sum_columns[block * N * CELL..][..N * CELL];
            let mut square = [[0; N]; N];
            for (i, column) in square.iter_mut().enumerate() {
                *column = columns[i * CELL + place];
            }
            let rows = transpose(&square);
            let (levels, waiting) = &mut s.sum_states[block * 8 + place];
            let reads = plan.sum[place];
            let split = &mut s.split;
            // A copy of its own stays in registers from pair to pair.
            let mut level = levels[0];
            for i in 0..N / 2 {
                let n = 4 * first + i as isize;
                let out = level.step::<I, EDGE>(rows[2 * i], rows[2 * i + 1], n, 4 * height);
                (split[0][i], split[1][i]) = out;
            }
            levels[0] = level;
            for v1 in (0..2).filter(|v| reads & (15 << (4 * v)) != 0) {
                let deep = &mut s.deep;
                let mut level = levels[1 + v1];
                for i in 0..N / 4 {
                    let n = 2 * first - 1 + i as isize;
                    let (even, odd) = (split[v1][2 * i], split[v1][2 * i + 1]);
                    let out = level.step::<I, EDGE>(even, odd, n, 2 * height);
                    (deep[0][i + 1], deep[1][i + 1]) = out;
                }
                levels[1 + v1] = level;
                for v2 in 0..2 {
                    let down = 4 * v1 + 2 * v2;
                    let wait = &mut waiting[2 * v1 + v2];
                    deep[v2][0] = std::mem::replace(wait, deep[v2][N / 4]);
                    if reads & (3 << down) == 0 {
                        continue;
                    }
                    let to = plan::sum_band(place, down) * per_strip;
                    for i in 0..per_strip {
                        let n = first - 2 + i as isize;
                        let (even, odd) = (deep[v2][2 * i], deep[v2][2 * i + 1]);
                        let level = &mut levels[3 + 2 * v1 + v2];
                        let (low, high) = level.step::<I, EDGE>(even, odd, n, height);
                        s.bands[to + i] = low;
                        s.bands[to + per_strip + i] = high;
                    }
                }
            }
        }
        if !self.colour {
            return;
        }
        for place in (0..4).filter(|&p| plan.half[0][p] | plan.half[1][p] != 0) {
            let columns = &s.half_columns[block * N * CELL / 2..][..N * CELL / 2];
            let mut square = [[0; N]; N];
            for (i, column) in square.iter_mut().enumerate() {
                *column = columns[i * CELL / 2 + place];
            }
            let rows = transpose(&square);
            for plane in (0..2).filter(|&p| plan.half[p][place] != 0) {
                let (levels, waiting) = &mut s.half_states[(block * 2 + plane) * 4 + place];
                let rows = &rows[plane * N / 2..][..N / 2];
                let split = &mut s.deep;
                let mut before = std::mem::replace(&mut waiting[2], rows[N / 2 - 1]);
                let mut level = levels[0];
                for i in 0..N / 4 {
                    let n = 2 * first - 1 + i as isize;
                    let even = std::mem::replace(&mut before, rows[2 * i + 1]);
                    let out = level.step::<I, EDGE>(even, rows[2 * i], n, 2 * height);
                    (split[0][i + 1], split[1][i + 1]) = out;
                }
                levels[0] = level;
                for v1 in 0..2 {
                    let wait = &mut waiting[v1];
                    split[v1][0] = std::mem::replace(wait, split[v1][N / 4]);
                    if plan.half[plane][place] & (3 << (2 * v1)) == 0 {
                        continue;
                    }
                    let to = plan::half_band(plane, place, 2 * v1) * per_strip;
                    for i in 0..per_strip {
                        let n = first - 2 + i as isize;
                        let (even, odd) = (split[v1][2 * i], split[v1][2 * i + 1]);
                        let (low, high) = levels[1 + v1].step::<I, EDGE>(even, odd, n, height);
                        s.bands[to + i] = low;
                        s.bands[to + per_strip + i] = high;
                    }
                }
            }
        }
    }

    /// Channels of the rows of cells of a block that the job wants.
    #[inline(always)]
    fn project<I: Isa<N>>(
        &self,
        plan: &Plan,
        bands: &[Lane<N>],
        block: usize,
        top: isize,
        job: &mut Job<'_>,
    ) {
        let per_strip = N / CELL;
        let (left, width) = (block * N, self.grid[1]);
        let len = N.min(width - left);
        for (row, out) in plan.rows.iter().zip(&mut job.out) {
            let Row { bias, divisor, ref terms } = *row;
            let half = [divisor.half(); N];
            for i in 0..per_strip {
                let y = top + i as isize;
                if y < job.rows.start as isize || y >= job.rows.end as isize {
                    continue;
                }
                let mut sum = [bias; N];
                for &(band, weight) in terms {
                    sum = lanes::add(sum, I::mul(bands[usize::from(band) * per_strip + i], weight));
                }
                let scaled = lanes::add(I::mul(sum, divisor.factor), half);
                let values = lanes::shift(scaled, divisor.shift);
                let at = (y as usize - job.rows.start) * width + left;
                out[at..at + len].copy_from_slice(&values[..len]);
            }
        }
    }
}
