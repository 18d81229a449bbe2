//! Attention of all tokens to all, head by head.

use super::buffer::Buffer;
use super::dispatch::{Isa, Kernel};
use super::math;
use super::tile::{self, Floats, ROWS, To};

/// Memory that attention needs while it runs.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    keys: Buffer<f32>,
    values: Buffer<f32>,
    scores: Buffer<f32>,
}

/// `softmax(q k') v` of each head; queries are scaled already.
///
/// Shape: qkv `[n, 3 width]` -> out `[n, width]`, map `[heads, n, n]`: what each query gives to each key,
/// of which a row sums to 1. The bias, `[n]`, is added to the scores of each key.
///
/// Source: Vaswani et al. 2017, equation 1.
pub(super) struct Attention<'a> {
    pub qkv: &'a [f32],
    pub width: usize,
    pub heads: usize,
    pub out: &'a mut [f32],
    pub bias: Option<&'a [f32]>,
    pub map: Option<&'a mut [f32]>,
    pub scratch: &'a mut Scratch,
}

impl Kernel for Attention<'_> {
    #[inline(always)]
    fn run<L: Isa>(mut self) {
        let width = self.width;
        let n = self.out.len() / width;
        let d = width / self.heads;
        assert!(self.qkv.len() == 3 * self.out.len() && width == d * self.heads, "attention");
        assert!(self.bias.is_none_or(|b| b.len() == n), "attention");
        let panel = L::PANEL * L::N;
        let keys = n.next_multiple_of(panel);
        let deep = d.next_multiple_of(panel);
        // Registers are whole: scores that no key has are put at the end.
        let padded = n.next_multiple_of(L::N);
        let s = &mut *self.scratch;
        s.keys.fit(keys * d);
        s.values.fit(n * deep);
        s.scores.fit(ROWS * keys);
        for head in 0..self.heads {
            let at = head * d;
            for first in (0..n).step_by(panel) {
                let count = panel.min(n - first);
                let from = self.qkv[(first * 3 + 1) * width + at..].as_ptr();
                let to = s.keys[first * d..(first + panel) * d].as_mut_ptr();
                for i in 0..count {
                    for k in 0..d {
                        // SAFETY: keys of `count` tokens from the first on, and room for a panel.
                        unsafe { *to.add(k * panel + i) = *from.add(i * 3 * width + k) }
                    }
                }
            }
            for (i, token) in self.qkv.chunks_exact(3 * width).enumerate() {
                let value = &token[2 * width + at..][..d];
                for (from, part) in value.chunks(panel).enumerate() {
                    s.values[(from * n + i) * panel..][..part.len()].copy_from_slice(part);
                }
            }
            for (row, m) in tile::tiles(n, ROWS) {
                for first in (0..n).step_by(panel) {
                    let a = Floats {
                        rows: self.qkv[row * 3 * width + at..].as_ptr(),
                        stride: 3 * width,
                        inputs: d,
                        panel: s.keys[first * d..(first + panel) * d].as_ptr(),
                        ahead: std::ptr::null(),
                    };
                    let to = To {
                        bias: std::ptr::null(),
                        out: s.scores[first..].as_mut_ptr(),
                        stride: keys,
                        columns: panel.min(padded - first),
                        add: false,
                        activation: None,
                    };
                    // SAFETY: rows of tokens and of scores are as long as the strides say.
                    unsafe { tile::floats::<L>(m, a, to) }
                }
                let mut inverse = [0.0; ROWS];
                for r in 0..m {
                    let scores = &mut s.scores[r * keys..][..padded];
                    if let Some(bias) = self.bias {
                        scores.iter_mut().zip(bias).for_each(|(s, b)| *s += b);
                    }
                    scores[n..].fill(f32::NEG_INFINITY);
                    inverse[r] = 1.0 / softmax::<L>(scores);
                    if let Some(map) = &mut self.map {
                        let to = &mut map[(head * n + row + r) * n..][..n];
                        to.iter_mut().zip(&*scores).for_each(|(to, x)| *to = x * inverse[r]);
                    }
                }
                for first in (0..d).step_by(panel) {
                    let a = Floats {
                        rows: s.scores.as_ptr(),
                        stride: keys,
                        inputs: n,
                        panel: s.values[first * n..(first + panel) * n].as_ptr(),
                        ahead: std::ptr::null(),
                    };
                    let to = To {
                        bias: std::ptr::null(),
                        out: self.out[row * width + at + first..].as_mut_ptr(),
                        stride: width,
                        columns: panel.min(d - first),
                        add: false,
                        activation: None,
                    };
                    // SAFETY: as above; the last columns of a panel that `d` does not fill are not written.
                    unsafe { tile::floats::<L>(m, a, to) }
                }
                for r in 0..m {
                    for x in &mut self.out[(row + r) * width + at..][..d] {
                        *x *= inverse[r];
                    }
                }
            }
        }
    }
}

/// `e^(x - most)` in place; the sum is returned. Registers are whole.
#[inline(always)]
fn softmax<L: Isa>(scores: &mut [f32]) -> f32 {
    let x = scores.as_mut_ptr();
    // SAFETY: the length is a multiple of a register's.
    unsafe {
        let mut most = L::load(x);
        for i in (L::N..scores.len()).step_by(L::N) {
            most = L::max(most, L::load(x.add(i)));
        }
        let most = L::splat(math::highest::<L>(most));
        let mut sums = L::splat(0.0);
        for i in (0..scores.len()).step_by(L::N) {
            let e = math::exp_of_negative::<L>(L::sub(L::load(x.add(i)), most));
            sums = L::add(sums, e);
            L::store(e, x.add(i));
        }
        math::sum::<L>(sums)
    }
}
