//! The lifting of [`crate::signal::fixed`] on lanes: along memory, or carried from strip to strip.

use super::lanes::{Isa, Lane, add, shift, sub};
use crate::signal::fixed::{ALPHA, BETA, DELTA, GAMMA};

/// What one level carries from pair to pair: the last pair, and the steps that wait for the next.
///
/// Pair `n` in gives pair `n - 2` of the bands out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level<const N: usize> {
    even: Lane<N>,
    odd: Lane<N>,
    d1: Lane<N>,
    s1: Lane<N>,
    d2: Lane<N>,
}

impl<const N: usize> Level<N> {
    pub const EMPTY: Self = Self { even: [0; N], odd: [0; N], d1: [0; N], s1: [0; N], d2: [0; N] };

    /// Takes pair `n` of `count` and gives pair `n - 2`; `EDGE` minds the mirrored ends, at which
    /// pairs beyond `count` only flush.
    #[inline(always)]
    pub fn step<I: Isa<N>, const EDGE: bool>(
        &mut self,
        even: Lane<N>,
        odd: Lane<N>,
        n: isize,
        count: isize,
    ) -> (Lane<N>, Lane<N>) {
        let even = if EDGE && n == count { self.even } else { even };
        let t = add(self.even, even);
        let d1 = sub(sub(self.odd, t), I::mul(t, ALPHA));
        let d1_before = if EDGE && n == 1 { d1 } else { self.d1 };
        let s1 = add(self.even, I::mul(add(d1, d1_before), BETA));
        let s1 = if EDGE && n == count + 1 { self.s1 } else { s1 };
        let d2 = add(self.d1, I::mul(add(self.s1, s1), GAMMA));
        let d2_before = if EDGE && n == 2 { d2 } else { self.d2 };
        let s2 = add(self.s1, I::mul(add(d2, d2_before), DELTA));
        *self = Self { even, odd, d1, s1, d2 };
        (s2, d2)
    }
}

/// One level in place over lanes that stand `stride` apart from `first` on: pairs become low and
/// high band, each where its even and odd sample was.
#[inline(always)]
pub(super) fn walk<I: Isa<N>, const N: usize>(data: &mut [Lane<N>], first: usize, stride: usize) {
    let pair = 2 * stride;
    let count = data.len() / pair;
    if count < 4 {
        return walk_short::<I, N>(data, first, stride);
    }
    let mut level = Level::EMPTY;
    for n in 0..3 {
        let at = first + n * pair;
        let out = level.step::<I, true>(data[at], data[at + stride], n as isize, count as isize);
        if n == 2 {
            (data[first], data[first + stride]) = out;
        }
    }
    for n in 3..count {
        let at = first + n * pair;
        let out = level.step::<I, false>(data[at], data[at + stride], 0, 0);
        (data[at - 2 * pair], data[at - 2 * pair + stride]) = out;
    }
    for n in count..count + 2 {
        let out = level.step::<I, true>([0; N], [0; N], n as isize, count as isize);
        let to = first + (n - 2) * pair;
        (data[to], data[to + stride]) = out;
    }
}

/// [`walk`] over one to three pairs.
#[inline(always)]
fn walk_short<I: Isa<N>, const N: usize>(data: &mut [Lane<N>], first: usize, stride: usize) {
    let pair = 2 * stride;
    let count = data.len() / pair;
    let mut level = Level::EMPTY;
    for n in 0..count + 2 {
        let at = first + n.min(count - 1) * pair;
        let (even, odd) = (data[at], data[at + stride]);
        let out = level.step::<I, true>(even, odd, n as isize, count as isize);
        if n >= 2 {
            let to = first + (n - 2) * pair;
            (data[to], data[to + stride]) = out;
        }
    }
}

/// The 5/3 low band of lanes side by side, into the first half of them.
#[inline(always)]
pub(super) fn halve<const N: usize>(data: &mut [Lane<N>]) {
    let count = data.len() / 2;
    let mut before: Option<Lane<N>> = None;
    for k in 0..count {
        let (even, odd) = (data[2 * k], data[2 * k + 1]);
        let next = if k + 1 < count { data[2 * k + 2] } else { even };
        let d = detail(even, odd, next);
        data[k] = smooth(even, before.unwrap_or(d), d);
        before = Some(d);
    }
}

/// What the 5/3 wavelet does not predict of an odd sample.
#[inline(always)]
pub(super) fn detail<const N: usize>(even: Lane<N>, odd: Lane<N>, next: Lane<N>) -> Lane<N> {
    sub(odd, shift(add(even, next), 1))
}

/// An even sample and a share of the details beside it.
#[inline(always)]
pub(super) fn smooth<const N: usize>(even: Lane<N>, before: Lane<N>, after: Lane<N>) -> Lane<N> {
    add(even, shift(add(add(before, after), [2; N]), 2))
}
