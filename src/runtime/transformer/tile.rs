//! The inner loops: a few rows times a panel of a matrix, kept in registers.

use super::lanes::Lanes;
use super::math::Activation;

/// Rows of a tile. With the two or four registers of a panel their sums fill what a machine has.
pub(super) const ROWS: usize = 6;
/// Inputs multiplied in a round of the inner loop.
const STEPS: usize = 4;
/// The same of whole numbers, in what is multiplied at once.
const SMALL_STEPS: usize = 2;
/// The widest panel.
const EDGE: usize = 64;
/// Sums of the largest tile.
const SUMS: usize = ROWS * EDGE;

/// Where results go, and what lies there.
#[derive(Clone, Copy)]
pub(super) struct To {
    /// Added to every row: as long as a panel, or null.
    pub bias: *const f32,
    pub out: *mut f32,
    /// Numbers from row to row.
    pub stride: usize,
    /// Columns that count: the rest of the panel is not written.
    pub columns: usize,
    /// Whether what is there is added.
    pub add: bool,
    /// And whether it may be coarse.
    pub activation: Option<(Activation, bool)>,
}

impl To {
    /// Whether sums are results, in whole registers, and go to their place at once.
    #[inline(always)]
    fn at_once<L: Lanes>(&self) -> bool {
        self.activation.is_none() && self.columns.is_multiple_of(L::N)
    }

    /// Where a tile puts its sums, and how far its rows lie apart.
    #[inline(always)]
    fn place<L: Lanes>(&self, sums: &mut [f32; SUMS]) -> (*mut f32, usize) {
        match self.at_once::<L>() {
            true => (self.out, self.stride),
            false => (sums.as_mut_ptr(), L::PANEL * L::N),
        }
    }

    /// What sums start with.
    #[inline(always)]
    fn start<L: Lanes>(&self) -> Start {
        let there = self.add && self.at_once::<L>();
        Start {
            bias: self.bias,
            there: if there { self.out } else { std::ptr::null() },
            stride: self.stride,
        }
    }
}

/// What the sums of a tile start with: nothing, or a row of bias, or what is there, or both.
#[derive(Clone, Copy)]
struct Start {
    bias: *const f32,
    there: *const f32,
    stride: usize,
}

impl Start {
    /// # Safety
    /// As [`floats`], for `M` rows.
    #[inline(always)]
    unsafe fn sums<L: Lanes, const M: usize, const V: usize>(self) -> [[L::F; V]; M] {
        let mut sums = [[L::splat(0.0); V]; M];
        // SAFETY: the caller's.
        unsafe {
            if !self.bias.is_null() {
                for v in 0..V {
                    let bias = L::load(self.bias.add(v * L::N));
                    for m in 0..M {
                        sums[m][v] = bias;
                    }
                }
            }
            if !self.there.is_null() {
                for m in 0..M {
                    for v in 0..V {
                        let there = L::load(self.there.add(m * self.stride + v * L::N));
                        sums[m][v] = L::add(sums[m][v], there);
                    }
                }
            }
        }
        sums
    }
}

/// Rows of floats and a panel of weights.
#[derive(Clone, Copy)]
pub(super) struct Floats {
    pub rows: *const f32,
    pub stride: usize,
    pub inputs: usize,
    /// `inputs` times the width of a panel.
    pub panel: *const f32,
    /// The panel that comes next, which is only fetched into the cache; may lie anywhere.
    pub ahead: *const f32,
}

/// Rows of quantised numbers and a panel of them.
pub(super) struct Smalls<L: Lanes> {
    pub rows: *const L::Small,
    pub stride: usize,
    /// Parts of the inputs, each of [`Lanes::DEEP`] groups.
    pub parts: usize,
    pub panel: *const L::Small,
    /// As in [`Floats`].
    pub ahead: *const L::Small,
    /// What a product in each column is worth, and the sum of its weights.
    pub worth: *const f32,
    pub weights: *const f32,
    /// What a number of each row is worth, and which stands for zero.
    pub scales: *const f32,
    pub zeros: *const f32,
}

/// Fetches the next panel, a line with every round of the inner loop: weights of large models come from
/// memory, nothing else foresees the jump to the next panel, and many lines at once are waited for.
#[derive(Clone, Copy)]
struct Ahead {
    line: *const u8,
    /// Bytes to the next.
    step: usize,
}

impl Ahead {
    /// A panel of `bytes`, while so many rounds run.
    #[inline(always)]
    fn new(panel: *const u8, bytes: usize, rounds: usize) -> Self {
        // Of more than a line at once, as for few rows, the machine sees by itself that they follow.
        Self { line: panel, step: bytes.div_ceil(rounds.max(1)).min(64) }
    }

    #[inline(always)]
    fn fetch<L: Lanes>(&mut self) {
        L::prefetch(self.line);
        self.line = self.line.wrapping_add(self.step);
    }
}

/// How many rows each tile has: no more than `most`, and as even as can be, since a tile of few rows
/// takes almost as long.
pub(super) fn tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = rows.div_ceil(most);
    (0..count).map(move |i| (i * rows / count, (i + 1) * rows / count - i * rows / count))
}

/// Calls a function for a number of rows and registers that the compiler knows.
macro_rules! sized {
    ($function:ident, $rows:expr, $registers:expr, ($($arg:expr),*)) => {
        match $registers {
            1 => sized!(@rows $function, $rows, 1, ($($arg),*)),
            2 => sized!(@rows $function, $rows, 2, ($($arg),*)),
            // Not compiled for panels that are no wider.
            3 if L::PANEL > 2 => sized!(@rows $function, $rows, 3, ($($arg),*)),
            _ if L::PANEL > 2 => sized!(@rows $function, $rows, 4, ($($arg),*)),
            _ => {}
        }
    };
    (@rows $function:ident, $rows:expr, $v:literal, ($($arg:expr),*)) => {
        match $rows {
            1 => $function::<L, 1, $v>($($arg),*),
            2 => $function::<L, 2, $v>($($arg),*),
            3 => $function::<L, 3, $v>($($arg),*),
            4 => $function::<L, 4, $v>($($arg),*),
            5 => $function::<L, 5, $v>($($arg),*),
            _ => $function::<L, 6, $v>($($arg),*),
        }
    };
}

/// Registers that hold so many columns.
#[inline(always)]
fn registers<L: Lanes>(columns: usize) -> usize {
    columns.div_ceil(L::N).min(L::PANEL)
}

/// All rows times a panel.
///
/// # Safety
/// `a` and `to` describe memory for `rows` rows; the panel and the bias are whole.
#[inline(always)]
pub(super) unsafe fn floats<L: Lanes>(rows: usize, a: Floats, to: To) {
    let registers = registers::<L>(to.columns);
    let mut sums = [0.0; SUMS];
    let bytes = a.inputs * L::PANEL * L::N * size_of::<f32>();
    let rounds = rows.div_ceil(ROWS) * (a.inputs / STEPS);
    let mut ahead = match a.ahead.is_null() {
        // What is there already costs nothing.
        true => Ahead::new(a.panel.cast(), 0, rounds),
        false => Ahead::new(a.ahead.cast(), bytes, rounds),
    };
    for (row, m) in tiles(rows, ROWS) {
        // SAFETY: the caller's, for these rows.
        unsafe {
            let part = Floats { rows: a.rows.add(row * a.stride), ..a };
            let to = To { out: to.out.add(row * to.stride), ..to };
            let (out, stride) = to.place::<L>(&mut sums);
            sized!(float_tile, m, registers, (part, to.start::<L>(), &mut ahead, out, stride));
            finish::<L>(m, &sums, to);
        }
    }
}

/// # Safety
/// As [`floats`], for one input of `M` rows.
#[inline(always)]
unsafe fn step<L: Lanes, const M: usize, const V: usize>(
    sums: &mut [[L::F; V]; M],
    low: *const f32,
    high: *const f32,
    stride: usize,
    panel: *const f32,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut weights = [L::splat(0.0); V];
        for v in 0..V {
            weights[v] = L::load(panel.add(v * L::N));
        }
        for m in 0..M {
            let row = if m < 3 { low.add(m * stride) } else { high.add((m - 3) * stride) };
            let x = L::splat(*row);
            for v in 0..V {
                sums[m][v] = L::fma(x, weights[v], sums[m][v]);
            }
        }
    }
}

/// # Safety
/// As [`floats`], for `M` rows; there is room for a tile of sums, `out_stride` from row to row.
#[inline(always)]
unsafe fn float_tile<L: Lanes, const M: usize, const V: usize>(
    a: Floats,
    start: Start,
    ahead: &mut Ahead,
    out: *mut f32,
    out_stride: usize,
) {
    let width = L::PANEL * L::N;
    // SAFETY: the caller's.
    unsafe {
        let mut sums = start.sums::<L, M, V>();
        // Two pointers and a stride reach all rows; one for each would not fit in registers.
        let mut low = a.rows;
        let mut high = std::hint::black_box(a.rows.wrapping_add(3 * a.stride));
        let mut panel = a.panel;
        for _ in 0..a.inputs / STEPS {
            ahead.fetch::<L>();
            for k in 0..STEPS {
                step::<L, M, V>(
                    &mut sums,
                    low.add(k),
                    high.wrapping_add(k),
                    a.stride,
                    panel.add(k * width),
                );
            }
            low = low.add(STEPS);
            high = high.wrapping_add(STEPS);
            panel = panel.add(STEPS * width);
        }
        for k in 0..a.inputs % STEPS {
            step::<L, M, V>(
                &mut sums,
                low.add(k),
                high.wrapping_add(k),
                a.stride,
                panel.add(k * width),
            );
        }
        // To memory before anything else is done with them, or they are kept there all along.
        for m in 0..M {
            for v in 0..V {
                L::store(sums[m][v], out.add(m * out_stride + v * L::N));
            }
        }
    }
}

/// All rows times a panel, in whole numbers.
///
/// # Safety
/// As [`floats`].
#[inline(always)]
pub(super) unsafe fn smalls<L: Lanes>(rows: usize, a: &Smalls<L>, to: To) {
    let registers = registers::<L>(to.columns);
    let mut sums = [0.0; SUMS];
    let count = a.parts * part::<L>() * L::PANEL * L::N;
    let rounds = rows.div_ceil(L::SMALL_ROWS) * (a.parts / SMALL_STEPS);
    let mut ahead = Ahead::new(a.ahead.cast(), count * size_of::<L::Small>(), rounds);
    for (row, m) in tiles(rows, L::SMALL_ROWS) {
        // SAFETY: the caller's, for these rows.
        unsafe {
            let part = Smalls {
                rows: a.rows.add(row * a.stride),
                scales: a.scales.add(row),
                zeros: a.zeros.add(row),
                ..*a
            };
            let to = To { out: to.out.add(row * to.stride), ..to };
            let (out, stride) = to.place::<L>(&mut sums);
            let start = to.start::<L>();
            sized!(small_tile, m, registers, (part, start, &mut ahead, out, stride));
            finish::<L>(m, &sums, to);
        }
    }
}

/// Inputs that are multiplied at once.
pub(super) const fn part<L: Lanes>() -> usize {
    L::DEEP * L::GROUP
}

/// # Safety
/// As [`smalls`], for one part of the inputs of `M` rows.
#[inline(always)]
unsafe fn small_step<L: Lanes, const M: usize, const V: usize>(
    sums: &mut [[L::I; V]; M],
    low: *const L::Small,
    high: *const L::Small,
    stride: usize,
    panel: *const L::Small,
) {
    let group = L::PANEL * L::N * L::GROUP;
    for m in 0..M {
        for v in 0..V {
            // SAFETY: the caller's.
            unsafe {
                let row = if m < 3 { low.add(m * stride) } else { high.add((m - 3) * stride) };
                let weights = panel.add(v * L::N * L::GROUP);
                sums[m][v] = L::dot(sums[m][v], weights, group, row);
            }
        }
    }
}

/// # Safety
/// As [`smalls`], for `M` rows; there is room for a tile of sums.
#[inline(always)]
unsafe fn small_tile<L: Lanes, const M: usize, const V: usize>(
    a: Smalls<L>,
    start: Start,
    ahead: &mut Ahead,
    out: *mut f32,
    out_stride: usize,
) {
    let width = L::PANEL * L::N;
    let part = part::<L>();
    // SAFETY: the caller's.
    unsafe {
        let mut sums = [[L::no_sums(); V]; M];
        let mut low = a.rows;
        let mut high = std::hint::black_box(a.rows.wrapping_add(3 * a.stride));
        let mut panel = a.panel;
        for _ in 0..a.parts / SMALL_STEPS {
            ahead.fetch::<L>();
            for k in 0..SMALL_STEPS {
                let (low, high) = (low.add(k * part), high.wrapping_add(k * part));
                let panel = panel.add(k * part * width);
                small_step::<L, M, V>(&mut sums, low, high, a.stride, panel);
            }
            low = low.add(SMALL_STEPS * part);
            high = high.wrapping_add(SMALL_STEPS * part);
            panel = panel.add(SMALL_STEPS * part * width);
        }
        for k in 0..a.parts % SMALL_STEPS {
            let (low, high) = (low.add(k * part), high.wrapping_add(k * part));
            small_step::<L, M, V>(&mut sums, low, high, a.stride, panel.add(k * part * width));
        }
        let starts = start.sums::<L, M, V>();
        for m in 0..M {
            let (scale, zero) = (L::splat(*a.scales.add(m)), L::splat(-*a.zeros.add(m)));
            for v in 0..V {
                let worth = L::mul(scale, L::load(a.worth.add(v * L::N)));
                let sum = L::fma(zero, L::load(a.weights.add(v * L::N)), L::floats(sums[m][v]));
                L::store(L::fma(sum, worth, starts[m][v]), out.add(m * out_stride + v * L::N));
            }
        }
    }
}

/// What a tile does not do itself: applies the activation, writes the columns that count.
///
/// # Safety
/// As [`floats`], for `rows` rows.
#[inline(always)]
unsafe fn finish<L: Lanes>(rows: usize, sums: &[f32; SUMS], to: To) {
    if to.at_once::<L>() {
        return;
    }
    let width = L::PANEL * L::N;
    let mut edge = [0.0f32; EDGE];
    for m in 0..rows {
        // SAFETY: the caller's; beyond the columns that count nothing is read or written.
        unsafe {
            let sums = sums.as_ptr().add(m * width);
            let place = to.out.add(m * to.stride);
            if to.columns == width {
                finish_row::<L>(sums, place, to);
            } else {
                if to.add {
                    place.copy_to_nonoverlapping(edge.as_mut_ptr(), to.columns);
                }
                finish_row::<L>(sums, edge.as_mut_ptr(), to);
                edge.as_ptr().copy_to_nonoverlapping(place, to.columns);
            }
        }
    }
}

/// # Safety
/// As [`floats`], for one row of a whole panel.
#[inline(always)]
unsafe fn finish_row<L: Lanes>(sums: *const f32, out: *mut f32, to: To) {
    // SAFETY: the caller's.
    unsafe {
        // Two registers at a time: their chains of products interleave.
        for at in (0..L::PANEL * L::N).step_by(2 * L::N) {
            let (mut x, mut y) = (L::load(sums.add(at)), L::load(sums.add(at + L::N)));
            if to.add {
                x = L::add(x, L::load(out.add(at)));
                y = L::add(y, L::load(out.add(at + L::N)));
            }
            if let Some((activation, coarse)) = to.activation {
                (x, y) = activation.of::<L>(x, y, coarse);
            }
            L::store(x, out.add(at));
            L::store(y, out.add(at + L::N));
        }
    }
}
