//! The wavelet packets of [`crate::signal::fixed`] on lanes, with a state that is carried from one
//! piece of a signal to the next: across a row, or down a column.

use super::lanes::Isa;
use crate::signal::fixed::{ALPHA, BETA, DELTA, GAMMA};

/// Cells by which packets are behind what is pushed.
pub(super) const DELAY: usize = 4;

/// What one level carries from pair to pair: the last pair, and the steps that wait for the next.
///
/// Pair `n` in gives pair `n - 2` of the bands out.
#[derive(Debug, Clone, Copy)]
struct Level<V> {
    even: V,
    odd: V,
    d1: V,
    s1: V,
    d2: V,
}

impl<V: Copy> Level<V> {
    /// Any values do: what they would give is never read.
    fn new(v: V) -> Self {
        Self { even: v, odd: v, d1: v, s1: v, d2: v }
    }

    /// Takes pair `n` of `count` and gives pair `n - 2`; `EDGE` minds the mirrored ends, at which
    /// pairs beyond `count` only flush.
    #[inline(always)]
    fn step<I: Isa<N, V = V>, const N: usize, const EDGE: bool>(
        &mut self,
        [even, odd]: [V; 2],
        n: isize,
        count: isize,
    ) -> (V, V) {
        let even = if EDGE && n == count { self.even } else { even };
        let t = I::add(self.even, even);
        let d1 = I::sub(I::sub(self.odd, t), I::mul(t, I::splat(ALPHA)));
        let d1_before = if EDGE && n == 1 { d1 } else { self.d1 };
        let s1 = I::add(self.even, I::mul(I::add(d1, d1_before), I::splat(BETA)));
        let s1 = if EDGE && n == count + 1 { self.s1 } else { s1 };
        let d2 = I::add(self.d1, I::mul(I::add(self.s1, s1), I::splat(GAMMA)));
        let d2_before = if EDGE && n == 2 { d2 } else { self.d2 };
        let s2 = I::add(self.s1, I::mul(I::add(d2, d2_before), I::splat(DELTA)));
        *self = Self { even, odd, d1, s1, d2 };
        (s2, d2)
    }

    /// Takes pairs from number `n` on.
    #[inline(always)]
    fn push<I: Isa<N, V = V>, const N: usize, const EDGE: bool>(
        &mut self,
        input: &[V],
        low: &mut [V],
        high: &mut [V],
        n: isize,
        count: isize,
    ) {
        // A copy of its own stays in registers from pair to pair.
        let mut level = *self;
        let (pairs, _) = input.as_chunks::<2>();
        for (i, ((pair, low), high)) in pairs.iter().zip(low).zip(high).enumerate() {
            (*low, *high) = level.step::<I, N, EDGE>(*pair, n + i as isize, count);
        }
        *self = level;
    }
}

/// Bands on the way from level to level.
#[derive(Debug)]
pub(super) struct Between<V> {
    split: [Vec<V>; 2],
    /// Behind one that waited.
    deep: [Vec<V>; 2],
}

impl<V: Copy> Between<V> {
    /// For so many cells at most.
    pub fn new(cells: usize, v: V) -> Self {
        let split = || vec![v; 4 * cells];
        let deep = || vec![v; 2 * cells + 1];
        Self { split: [split(), split()], deep: [deep(), deep()] }
    }
}

/// Where bands go: band `b` to `count` lanes from `at[b]` on.
pub(super) struct To<'a, V, const BANDS: usize> {
    pub lanes: &'a mut [V],
    pub at: [usize; BANDS],
}

/// The cells that are pushed: the number of the first, how many, and of how many in all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells {
    pub first: isize,
    pub count: usize,
    pub all: isize,
}

impl Cells {
    /// Whether the ends of the signal are near.
    pub fn edge(self) -> bool {
        self.first <= DELAY as isize + 1 || self.first + self.count as isize > self.all
    }
}

/// Packets of three levels, eight bands: the state of one signal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packets3<V> {
    levels: [Level<V>; 7],
    /// Bands of the second level that wait for their pair.
    waiting: [V; 4],
}

impl<V: Copy> Packets3<V> {
    pub fn new(v: V) -> Self {
        Self { levels: [Level::new(v); 7], waiting: [v; 4] }
    }

    /// Takes eight samples a cell and gives those bands, one bit each, that are `read`.
    #[inline(always)]
    pub fn push<I: Isa<N, V = V>, const N: usize, const EDGE: bool>(
        &mut self,
        input: &[V],
        cells: Cells,
        read: u8,
        between: &mut Between<V>,
        to: To<'_, V, 8>,
    ) {
        let Cells { first, count, all } = cells;
        let Between { split: [low, high], deep: [first_deep, second_deep] } = between;
        let (low, high) = (&mut low[..4 * count], &mut high[..4 * count]);
        self.levels[0].push::<I, N, EDGE>(&input[..8 * count], low, high, 4 * first, 4 * all);
        for (v1, from) in [&*low, &*high].into_iter().enumerate() {
            if read & (15 << (4 * v1)) == 0 {
                continue;
            }
            let (low, high) = (&mut first_deep[..2 * count + 1], &mut second_deep[..2 * count + 1]);
            let (n, all_pairs) = (2 * first - 1, 2 * all);
            self.levels[1 + v1].push::<I, N, EDGE>(
                from,
                &mut low[1..],
                &mut high[1..],
                n,
                all_pairs,
            );
            for (v2, from) in [low, high].into_iter().enumerate() {
                let v = 4 * v1 + 2 * v2;
                let wait = &mut self.waiting[2 * v1 + v2];
                from[0] = std::mem::replace(wait, from[2 * count]);
                if read & (3 << v) == 0 {
                    continue;
                }
                let [low, high] = two(to.lanes, to.at[v], to.at[v + 1], count);
                self.levels[3 + v / 2].push::<I, N, EDGE>(
                    &from[..2 * count],
                    low,
                    high,
                    first - 2,
                    all,
                );
            }
        }
    }
}

/// Packets of two levels, four bands: the state of one signal.
///
/// They are only three cells behind; push them one cell later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packets2<V> {
    levels: [Level<V>; 3],
}

impl<V: Copy> Packets2<V> {
    pub fn new(v: V) -> Self {
        Self { levels: [Level::new(v); 3] }
    }

    /// Takes four samples a cell and gives those bands, one bit each, that are `read`.
    #[inline(always)]
    pub fn push<I: Isa<N, V = V>, const N: usize, const EDGE: bool>(
        &mut self,
        input: &[V],
        cells: Cells,
        read: u8,
        between: &mut Between<V>,
        to: To<'_, V, 4>,
    ) {
        let Cells { first, count, all } = cells;
        let [low, high] = &mut between.split;
        let (low, high) = (&mut low[..2 * count], &mut high[..2 * count]);
        self.levels[0].push::<I, N, EDGE>(&input[..4 * count], low, high, 2 * first, 2 * all);
        for (v1, from) in [&*low, &*high].into_iter().enumerate() {
            let v = 2 * v1;
            if read & (3 << v) == 0 {
                continue;
            }
            let [low, high] = two(to.lanes, to.at[v], to.at[v + 1], count);
            self.levels[1 + v1].push::<I, N, EDGE>(from, low, high, first - 1, all);
        }
    }
}

/// What one level of the inverse carries: the last high band, and the steps that wait for the next.
///
/// Pair `n` of the bands in gives pair `n - 2` out.
#[derive(Debug, Clone, Copy)]
struct BackLevel<V> {
    d2: V,
    s1: V,
    d1: V,
    even: V,
}

impl<V: Copy> BackLevel<V> {
    fn new(v: V) -> Self {
        Self { d2: v, s1: v, d1: v, even: v }
    }

    #[inline(always)]
    fn step<I: Isa<N, V = V>, const N: usize, const EDGE: bool>(
        &mut self,
        low: V,
        high: V,
        n: isize,
        count: isize,
    ) -> [V; 2] {
        let d2_before = if EDGE && n == 0 { high } else { self.d2 };
        let s1 = I::sub(low, I::mul(I::add(d2_before, high), I::splat(DELTA)));
        let s1 = if EDGE && n == count { self.s1 } else { s1 };
        let d1 = I::sub(self.d2, I::mul(I::add(self.s1, s1), I::splat(GAMMA)));
        let d1_before = if EDGE && n == 1 { d1 } else { self.d1 };
        let even = I::sub(self.s1, I::mul(I::add(d1_before, d1), I::splat(BETA)));
        let even = if EDGE && n == count + 1 { self.even } else { even };
        let t = I::add(self.even, even);
        let odd = I::add(I::add(self.d1, I::mul(t, I::splat(ALPHA))), t);
        let out = [self.even, odd];
        *self = Self { d2: high, s1, d1, even };
        out
    }

    #[inline(always)]
    fn push<I: Isa<N, V = V>, const N: usize, const EDGE: bool>(
        &mut self,
        low: &[V],
        high: &[V],
        to: &mut [V],
        n: isize,
        count: isize,
    ) {
        let mut level = *self;
        let (pairs, _) = to.as_chunks_mut::<2>();
        for (i, ((pair, low), high)) in pairs.iter_mut().zip(low).zip(high).enumerate() {
            *pair = level.step::<I, N, EDGE>(*low, *high, n + i as isize, count);
        }
        *self = level;
    }
}

/// The inverse of [`Packets3`]: samples are 28 behind the cells pushed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Back3<V> {
    levels: [BackLevel<V>; 7],
}

impl<V: Copy> Back3<V> {
    pub fn new(v: V) -> Self {
        Self { levels: [BackLevel::new(v); 7] }
    }

    /// Takes eight bands, which stand `at` these places, and gives eight samples a cell.
    #[inline(always)]
    pub fn push<I: Isa<N, V = V>, const N: usize, const EDGE: bool>(
        &mut self,
        bands: &[V],
        at: [usize; 8],
        cells: Cells,
        between: &mut Between<V>,
        to: &mut [V],
    ) {
        let Cells { first, count, all } = cells;
        let Between { split, deep: [low, high] } = between;
        for (v1, split) in split.iter_mut().enumerate() {
            for (v2, deep) in [&mut *low, &mut *high].into_iter().enumerate() {
                let v = 4 * v1 + 2 * v2;
                let (low, high) = (&bands[at[v]..][..count], &bands[at[v + 1]..][..count]);
                let deep = &mut deep[..2 * count];
                self.levels[3 + v / 2].push::<I, N, EDGE>(low, high, deep, first, all);
            }
            let (low, high, split) =
                (&low[..2 * count], &high[..2 * count], &mut split[..4 * count]);
            self.levels[1 + v1].push::<I, N, EDGE>(low, high, split, 2 * first - 4, 2 * all);
        }
        let [low, high] = split;
        let (low, high) = (&low[..4 * count], &high[..4 * count]);
        let (n, all) = (4 * first - 12, 4 * all);
        self.levels[0].push::<I, N, EDGE>(low, high, &mut to[..8 * count], n, all);
    }
}

/// The inverse of [`Packets2`]: samples are 12 behind the cells pushed, of four each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Back2<V> {
    levels: [BackLevel<V>; 3],
}

impl<V: Copy> Back2<V> {
    pub fn new(v: V) -> Self {
        Self { levels: [BackLevel::new(v); 3] }
    }

    /// Takes four bands, which stand `at` these places, and gives four samples a cell.
    #[inline(always)]
    pub fn push<I: Isa<N, V = V>, const N: usize, const EDGE: bool>(
        &mut self,
        bands: &[V],
        at: [usize; 4],
        cells: Cells,
        between: &mut Between<V>,
        to: &mut [V],
    ) {
        let Cells { first, count, all } = cells;
        for (v1, split) in between.split.iter_mut().enumerate() {
            let v = 2 * v1;
            let (low, high) = (&bands[at[v]..][..count], &bands[at[v + 1]..][..count]);
            let split = &mut split[..2 * count];
            self.levels[1 + v1].push::<I, N, EDGE>(low, high, split, first, all);
        }
        let [low, high] = &between.split;
        let (low, high) = (&low[..2 * count], &high[..2 * count]);
        let (n, all) = (2 * first - 4, 2 * all);
        self.levels[0].push::<I, N, EDGE>(low, high, &mut to[..4 * count], n, all);
    }
}

/// Two runs of lanes: of the low band and of the high one, which stands behind it wherever they go.
#[inline(always)]
fn two<V>(lanes: &mut [V], low: usize, high: usize, count: usize) -> [&mut [V]; 2] {
    let (a, b) = lanes.split_at_mut(high);
    [&mut a[low..low + count], &mut b[..count]]
}
