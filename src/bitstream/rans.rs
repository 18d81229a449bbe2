//! Range asymmetric numeral system over integer frequencies, up to four states side by side.
//!
//! Source: Duda 2013, arXiv 1311.2540; interleaved states after Giesen 2014, arXiv 1402.3392. States
//! of 32 bits, words of 16, so that coding a symbol moves one word at most.

use crate::codec::tokens::{ALPHABET, PRECISION_BITS};
use crate::error::Result;

use super::bytes::Cursor;

/// States that may run side by side.
pub(super) const STATES: usize = 4;
/// A state lies in `LOW..LOW << 16`.
const LOW: u32 = 1 << 16;
/// Room for the compares of a whole register.
const LANES: usize = 32;

/// One table, ready to encode with.
#[derive(Debug, Clone)]
pub(super) struct Table {
    symbols: [Symbol; ALPHABET],
}

/// A division by a frequency, as a multiplication.
#[derive(Debug, Clone, Copy, Default)]
struct Symbol {
    /// 2^64 / frequency, rounded up.
    inverse: u64,
    bias: u32,
    rest: u32,
    /// States from here on give up a word first.
    full: u64,
}

impl Table {
    pub fn new(frequencies: &[u16]) -> Self {
        let mut symbols = [Symbol::default(); ALPHABET];
        let mut start = 0u32;
        for (symbol, &f) in symbols.iter_mut().zip(frequencies) {
            let whole = 1u32 << PRECISION_BITS;
            // A frequency of 1 divides by the largest inverse, which gives one less; the bias knows.
            let (inverse, bias) = match f {
                0 | 1 => (u64::MAX, start + whole - 1),
                _ => (u64::MAX / u64::from(f) + 1, start),
            };
            let full = u64::from(f) << (32 - PRECISION_BITS);
            *symbol = Symbol { inverse, bias, rest: whole - u32::from(f), full };
            start += u32::from(f);
        }
        Self { symbols }
    }
}

/// One table, ready to decode with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slots {
    /// The last slot of each token but the last; behind them, what no slot is above.
    bounds: [i16; LANES],
    /// Frequency and start of each token.
    spans: [(u16, u16); LANES],
}

impl Slots {
    pub fn new(frequencies: &[u16]) -> Self {
        let mut slots = Self { bounds: [i16::MAX; LANES], spans: [(0, 0); LANES] };
        let mut start = 0u16;
        for (token, &f) in frequencies.iter().enumerate() {
            slots.spans[token] = (f, start);
            if token > 0 {
                slots.bounds[token - 1] = start as i16 - 1;
            }
            start += f;
        }
        slots
    }
}

/// How the token of a slot is found: by comparing it with all bounds, which leaves no table of slots
/// to miss in.
pub(super) trait Find {
    /// The token of a slot.
    fn find(bounds: &[i16; LANES], slot: i16) -> usize;
}

/// With what every machine has.
pub(super) struct Plain;

impl Find for Plain {
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    #[allow(unsafe_code)]
    fn find(bounds: &[i16; LANES], slot: i16) -> usize {
        use std::arch::x86_64::{
            __m128i, _mm_cmpgt_epi16, _mm_loadu_si128, _mm_movemask_epi8, _mm_packs_epi16,
            _mm_set1_epi16,
        };
        // SAFETY: every x86-64 has SSE2; 64 bytes are read of as many.
        let mask = unsafe {
            let slot = _mm_set1_epi16(slot);
            let at = bounds.as_ptr().cast::<__m128i>();
            let above = |k| _mm_cmpgt_epi16(slot, _mm_loadu_si128(at.add(k)));
            let low = _mm_movemask_epi8(_mm_packs_epi16(above(0), above(1)));
            let high = _mm_movemask_epi8(_mm_packs_epi16(above(2), above(3)));
            low | high << 16
        };
        // Bounds rise, so that ones come first.
        (!mask).trailing_zeros() as usize % LANES
    }

    #[cfg(not(target_arch = "x86_64"))]
    #[inline(always)]
    fn find(bounds: &[i16; LANES], slot: i16) -> usize {
        let mut token = 0u16;
        for &bound in bounds {
            token += u16::from(slot > bound);
        }
        usize::from(token) % LANES
    }
}

/// With AVX2: all bounds in two registers.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// Whether this machine has it, and what comes with it.
    pub fn is_here() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
    }

    #[target_feature(enable = "avx2,popcnt")]
    #[inline]
    fn count(bounds: &[i16; LANES], slot: i16) -> u32 {
        use std::arch::x86_64::{
            __m256i, _mm256_cmpgt_epi16, _mm256_loadu_si256, _mm256_movemask_epi8,
            _mm256_packs_epi16, _mm256_set1_epi16,
        };
        let at = bounds.as_ptr().cast::<__m256i>();
        // SAFETY: 64 bytes are read of as many.
        #[allow(unsafe_code)]
        let (low, high) = unsafe { (_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))) };
        let slot = _mm256_set1_epi16(slot);
        let above = |bounds| _mm256_cmpgt_epi16(slot, bounds);
        // In whatever order: they are counted.
        _mm256_movemask_epi8(_mm256_packs_epi16(above(low), above(high))).count_ones()
    }
}

#[cfg(target_arch = "x86_64")]
impl Find for Avx2 {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn find(bounds: &[i16; LANES], slot: i16) -> usize {
        // SAFETY: whoever chooses this kind has asked `is_here`.
        let count = unsafe { Self::count(bounds, slot) };
        count as usize % LANES
    }
}

/// With AVX-512: all bounds in one register.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// Whether this machine has it, and what comes with it.
    pub fn is_here() -> bool {
        is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
    }

    #[target_feature(enable = "avx512bw,popcnt")]
    #[inline]
    fn count(bounds: &[i16; LANES], slot: i16) -> u32 {
        use std::arch::x86_64::{_mm512_cmpgt_epi16_mask, _mm512_loadu_epi16, _mm512_set1_epi16};
        // SAFETY: 64 bytes are read of as many.
        #[allow(unsafe_code)]
        let bounds = unsafe { _mm512_loadu_epi16(bounds.as_ptr()) };
        _mm512_cmpgt_epi16_mask(_mm512_set1_epi16(slot), bounds).count_ones()
    }
}

#[cfg(target_arch = "x86_64")]
impl Find for Avx512 {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn find(bounds: &[i16; LANES], slot: i16) -> usize {
        // SAFETY: whoever chooses this kind has asked `is_here`.
        let count = unsafe { Self::count(bounds, slot) };
        count as usize % LANES
    }
}

/// Encodes tokens, last first; the words come out backwards and are turned round at the end.
#[derive(Debug)]
pub(super) struct Encoder {
    states: [u32; STATES],
    words: Vec<u16>,
    /// Words used, from the end.
    at: usize,
}

impl Encoder {
    /// An encoder of at most `symbols` symbols.
    pub fn new(symbols: usize) -> Self {
        Self { states: [LOW; STATES], words: vec![0; symbols + 1], at: symbols + 1 }
    }

    /// Encodes one token.
    #[inline(always)]
    pub fn put(&mut self, state: usize, table: &Table, token: usize) {
        let mut x = self.states[state];
        put(&mut x, &table.symbols[token], &mut self.words, &mut self.at);
        self.states[state] = x;
    }

    /// Encodes tokens that take turns between all states, from the last to the first.
    pub fn put_row(&mut self, table: &Table, tokens: &[u8]) {
        let (fours, rest) = tokens.as_chunks::<STATES>();
        for (k, &token) in rest.iter().enumerate().rev() {
            self.put(k, table, token.into());
        }
        // Copies that no pointer reaches stay in registers.
        let ([mut a, mut b, mut c, mut d], mut at) = (self.states, self.at);
        let words = &mut self.words[..];
        for four in fours.iter().rev() {
            let [p, q, r, s] = four.map(|token| &table.symbols[usize::from(token)]);
            put(&mut d, s, words, &mut at);
            put(&mut c, r, words, &mut at);
            put(&mut b, q, words, &mut at);
            put(&mut a, p, words, &mut at);
        }
        (self.states, self.at) = ([a, b, c, d], at);
    }

    /// Writes the first `states` states and all words.
    pub fn finish(self, states: usize, out: &mut Vec<u8>) {
        self.states[..states].iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
        out.extend(self.words[self.at..].iter().flat_map(|w| w.to_le_bytes()));
    }
}

/// Encodes a symbol into a state, and the word that it gives up, if any, before `at`.
#[inline(always)]
fn put(state: &mut u32, s: &Symbol, words: &mut [u16], at: &mut usize) {
    let x = *state;
    let full = u64::from(x) >= s.full;
    words[*at - 1] = x as u16;
    *at -= usize::from(full);
    let x = if full { x >> 16 } else { x };
    let quotient = ((u128::from(s.inverse) * u128::from(x)) >> 64) as u32;
    *state = x.wrapping_add(s.bias).wrapping_add(quotient.wrapping_mul(s.rest));
}

/// Decodes tokens in order.
#[derive(Debug, Clone)]
pub(super) struct Decoder<'a> {
    states: [u32; STATES],
    words: &'a [[u8; 2]],
    at: usize,
    /// Words that were asked for and are not there.
    missing: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder with so many states over bytes that may hold more than its words.
    pub fn new(mut bytes: Cursor<'a>, states: usize) -> Result<Self> {
        let mut all = [LOW; STATES];
        for x in &mut all[..states] {
            *x = u32::from_le_bytes(bytes.array()?);
        }
        Ok(Self { states: all, words: bytes.rest().as_chunks().0, at: 0, missing: 0 })
    }

    /// The next token. Words that are missing are zeros; [`Self::finish`] refuses them.
    #[inline(always)]
    pub fn get<F: Find>(&mut self, state: usize, table: &Slots) -> usize {
        let x = self.states[state];
        let slot = x as u16 & ((1u32 << PRECISION_BITS) - 1) as u16;
        let token = F::find(&table.bounds, slot as i16);
        let (f, start) = table.spans[token];
        // Cannot overflow: x >> 15 is below 2^17 and the frequency below 2^15.
        let x = u32::from(f) * (x >> PRECISION_BITS) + u32::from(slot) - u32::from(start);
        let low = x < LOW;
        let word = match self.words.get(self.at) {
            Some(&word) => u16::from_le_bytes(word),
            None => {
                self.missing += usize::from(low);
                0
            }
        };
        self.states[state] = if low { x << 16 | u32::from(word) } else { x };
        self.at += usize::from(low);
        token
    }

    /// Bytes of words read; refuses missing ones and a state that no encoder starts from.
    pub fn finish(self, bytes: &Cursor<'_>) -> Result<usize> {
        if self.missing > 0 {
            return Err(bytes.error("entropy coder runs out of words"));
        }
        if self.states.iter().any(|&x| x != LOW) {
            return Err(bytes.error("entropy coder ends in the wrong state"));
        }
        Ok(2 * self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frequencies that add up to the whole, some of them 1.
    fn frequencies(seed: u32) -> [u16; ALPHABET] {
        let mut left = 1u32 << PRECISION_BITS;
        let mut state = seed;
        std::array::from_fn(|k| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let others = (ALPHABET - 1 - k) as u32;
            let f = match others {
                0 => left,
                _ if state & 1 << 20 != 0 => 1,
                _ => 1 + (state >> 8) % (left - others).div_ceil(2),
            };
            left -= f;
            f as u16
        })
    }

    #[test]
    fn tokens_are_found_by_every_way() {
        for seed in 0..50 {
            let f = frequencies(seed);
            let slots = Slots::new(&f);
            let tokens = f.iter().enumerate().flat_map(|(t, &n)| std::iter::repeat_n(t, n.into()));
            for (slot, token) in tokens.enumerate() {
                assert_eq!(Plain::find(&slots.bounds, slot as i16), token, "{seed} {slot}");
                #[cfg(target_arch = "x86_64")]
                if Avx2::is_here() {
                    assert_eq!(Avx2::find(&slots.bounds, slot as i16), token, "{seed} {slot}");
                }
                #[cfg(target_arch = "x86_64")]
                if Avx512::is_here() {
                    assert_eq!(Avx512::find(&slots.bounds, slot as i16), token, "{seed} {slot}");
                }
            }
        }
    }
}
