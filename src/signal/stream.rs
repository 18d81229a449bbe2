//! The one-dimensional packet transform with carried state: a stream cut anywhere gives the
//! coefficients of the whole, bit for bit. Ends are mirrored, at the start and at `finish`.

use std::ops::Range;

use super::lifting::{ALPHA, BETA, DELTA, GAMMA, HIGH, HIGH_BACK, LOW, LOW_BACK};
use crate::wide::wide;

/// Streaming analysis of signals side by side, each into 2^levels bands.
///
/// Shape: any number of samples in; each band grows by one value per 2^levels samples, about
/// 4 (2^levels - 1) samples behind the input.
/// Source: audio.md section 7.
#[derive(Debug, Clone)]
pub struct Analysis {
    signals: usize,
    levels: Vec<Level>,
    /// Rows of all bands of all signals that are complete; in a row the signals stand together, and
    /// the band of a place is its number with the bits turned round.
    rows: Vec<f32>,
    /// Rows on their way from level to level.
    between: [Vec<f32>; 2],
}

/// Samples of all signals that go through the levels at once: they stay in the first-level cache.
const TILE: usize = 2048;

impl Analysis {
    /// Fresh streams: the next samples are the first, with mirrored samples before them.
    pub fn new(levels: u32, signals: usize) -> Self {
        let levels = (0..levels).map(|level| Level::new(signals << level)).collect();
        Self { signals, levels, rows: Vec::new(), between: Default::default() }
    }

    /// Takes the next samples, those of one time together.
    ///
    /// # Panics
    /// If the signals do not get the same number.
    pub fn push(&mut self, samples: &[f32]) {
        assert!(samples.len().is_multiple_of(self.signals), "every signal needs its sample");
        for tile in samples.chunks(TILE.next_multiple_of(self.signals)) {
            run(&mut self.levels, &mut self.between, tile, false, &mut self.rows);
        }
    }

    /// Ends the streams with mirrored samples; what was pushed must be whole cells.
    ///
    /// # Panics
    /// If the number of samples pushed is not a multiple of 2^levels.
    pub fn finish(&mut self) {
        run(&mut self.levels, &mut self.between, &[], true, &mut self.rows);
        let whole = self.levels.iter().all(|l| l.even.len() == l.odd.len());
        assert!(whole, "length must be whole cells");
    }

    /// Steps that are complete in every band.
    pub fn ready(&self) -> usize {
        self.rows.len() / (self.signals << self.levels.len())
    }

    /// Steps `steps` of what is complete: `[signals, 2^levels, steps]`, in natural band order.
    ///
    /// # Panics
    /// If they end behind [`Self::ready`].
    pub fn read(&self, steps: Range<usize>, to: &mut Vec<f32>) {
        let levels = self.levels.len() as u32;
        to.resize((self.signals << levels) * steps.len(), 0.0);
        turn(&self.rows[(self.signals << levels) * steps.start..], self.signals, levels, to);
    }

    /// Forgets the first `steps` steps of what is complete.
    ///
    /// # Panics
    /// If `steps` is more than [`Self::ready`].
    pub fn discard(&mut self, steps: usize) {
        self.rows.drain(..(self.signals << self.levels.len()) * steps);
    }
}

wide! {
    /// Rows of all bands to bands of all steps.
    fn turn(rows: &[f32], signals: usize, levels: u32, to: &mut [f32]) {
        let (bands, width) = (1usize << levels, signals << levels);
        let steps = to.len() / width;
        for place in 0..bands {
            let band = place.reverse_bits() >> (usize::BITS - levels).min(usize::BITS - 1);
            for signal in 0..signals {
                let to = &mut to[(signal * bands + band) * steps..][..steps];
                let from = rows.iter().skip(place * signals + signal).step_by(width);
                to.iter_mut().zip(from).for_each(|(to, &x)| *to = x);
            }
        }
    }
}

wide! {
    /// Puts samples through all levels, and complete rows behind `rows`.
    fn run(
        levels: &mut [Level],
        between: &mut [Vec<f32>; 2],
        samples: &[f32],
        end: bool,
        rows: &mut Vec<f32>,
    ) {
        let [input, output] = between;
        input.clear();
        input.extend_from_slice(samples);
        for level in levels {
            output.clear();
            level.push(input, end, output);
            std::mem::swap(input, output);
        }
        rows.extend_from_slice(input);
    }
}

/// One level of all bands of all signals, side by side: rows of `width` values in, rows of their low
/// and high bands out.
///
/// The steps are those of [`super::lifting`] on whole runs of rows. Every queue keeps the row that
/// the next step still needs.
#[derive(Debug, Clone)]
struct Level {
    width: usize,
    even: Vec<f32>,
    odd: Vec<f32>,
    /// Odd rows after their first step and even rows after theirs, from the row before on.
    d1: Vec<f32>,
    s1: Vec<f32>,
    d2: Vec<f32>,
}

impl Level {
    fn new(width: usize) -> Self {
        let empty = Vec::new;
        Self { width, even: empty(), odd: empty(), d1: empty(), s1: empty(), d2: empty() }
    }

    #[inline(always)]
    fn push(&mut self, rows: &[f32], end: bool, out: &mut Vec<f32>) {
        let Self { width: w, even, odd, d1, s1, d2 } = self;
        let w = *w;
        let mut rows = rows;
        if even.len() > odd.len() && !rows.is_empty() {
            odd.extend_from_slice(&rows[..w]);
            rows = &rows[w..];
        }
        match w {
            1 => part::<1>(rows, even, odd),
            2 => part::<2>(rows, even, odd),
            4 => part::<4>(rows, even, odd),
            8 => part::<8>(rows, even, odd),
            _ => {
                for pair in rows.chunks(2 * w) {
                    even.extend_from_slice(&pair[..w]);
                    odd.extend_from_slice(&pair[w..]);
                }
            }
        }
        if end && even.len() >= w {
            even.extend_from_within(even.len() - w..);
        }
        let ready = odd.len().min(even.len().saturating_sub(w));
        if ready == 0 {
            return;
        }
        let first = d1.is_empty();
        let (from, next) = (&even[..ready], &even[w..]);
        // Before the first row stands the row itself: the mirror.
        let before = d1.len().max(w);
        if first {
            d1.resize(w, 0.0);
        }
        zip(d1, [&odd[..ready], from, next], |o, a, b| o + ALPHA * (a + b));
        if first {
            d1.copy_within(w..2 * w, 0);
        }
        zip(s1, [from, &d1[before - w..], &d1[before..]], |e, a, b| e + BETA * (a + b));
        even.drain(..ready);
        odd.drain(..ready);
        if end {
            s1.extend_from_within(s1.len() - w..);
            even.clear();
        }
        let ready = s1.len() - w;
        if ready == 0 {
            return;
        }
        let behind = d1.len() - ready - if end { 0 } else { w };
        let first = d2.is_empty();
        let before = d2.len().max(w);
        if first {
            d2.resize(w, 0.0);
        }
        zip(d2, [&d1[behind..], s1, &s1[w..]], |o, a, b| o + GAMMA * (a + b));
        if first {
            d2.copy_within(w..2 * w, 0);
        }
        let to = out.len();
        out.resize(to + 2 * ready, 0.0);
        let highs = (&d2[before - w..], &d2[before..]);
        match w {
            1 => join::<1>(&mut out[to..], s1, highs),
            2 => join::<2>(&mut out[to..], s1, highs),
            4 => join::<4>(&mut out[to..], s1, highs),
            8 => join::<8>(&mut out[to..], s1, highs),
            _ => {
                let lows = s1.chunks_exact(w).zip(highs.0.chunks_exact(w));
                let pairs = out[to..].chunks_exact_mut(2 * w);
                for (pair, ((low, a), b)) in pairs.zip(lows.zip(highs.1.chunks_exact(w))) {
                    let (to_low, to_high) = pair.split_at_mut(w);
                    for (((to, &e), &a), &b) in to_low.iter_mut().zip(low).zip(a).zip(b) {
                        *to = (e + DELTA * (a + b)) * LOW;
                    }
                    to_high.iter_mut().zip(b).for_each(|(to, d)| *to = d * HIGH);
                }
            }
        }
        keep(d1, w);
        keep(s1, w);
        keep(d2, w);
    }
}

/// Leaves the last row of a queue.
fn keep(queue: &mut Vec<f32>, w: usize) {
    queue.drain(..queue.len() - w);
}

/// Puts `step` of three runs, value by value, behind a queue: as many as the shortest has.
#[inline(always)]
fn zip(queue: &mut Vec<f32>, [x, a, b]: [&[f32]; 3], step: impl Fn(f32, f32, f32) -> f32) {
    queue.extend(x.iter().zip(a).zip(b).map(|((&x, &a), &b)| step(x, a, b)));
}

/// Even and odd rows of `W` values; an even one may be left over.
#[inline(always)]
fn part<const W: usize>(rows: &[f32], even: &mut Vec<f32>, odd: &mut Vec<f32>) {
    let (rows, _) = rows.as_chunks::<W>();
    let (pairs, rest) = rows.as_chunks::<2>();
    let (e, o) = (even.len(), odd.len());
    even.resize(e + pairs.len() * W, 0.0);
    odd.resize(o + pairs.len() * W, 0.0);
    let evens = even[e..].as_chunks_mut::<W>().0.iter_mut();
    for ((pair, even), odd) in pairs.iter().zip(evens).zip(odd[o..].as_chunks_mut::<W>().0) {
        (*even, *odd) = (pair[0], pair[1]);
    }
    even.extend_from_slice(rest.as_flattened());
}

/// The last step, and low and high rows of `W` values in turn.
#[inline(always)]
fn join<const W: usize>(out: &mut [f32], s1: &[f32], (before, d2): (&[f32], &[f32])) {
    let (pairs, _) = out.as_chunks_mut::<W>();
    let (pairs, _) = pairs.as_chunks_mut::<2>();
    let lows = s1.as_chunks::<W>().0.iter().zip(before.as_chunks::<W>().0);
    for ((pair, (low, a)), b) in pairs.iter_mut().zip(lows).zip(d2.as_chunks::<W>().0) {
        for i in 0..W {
            pair[0][i] = (low[i] + DELTA * (a[i] + b[i])) * LOW;
            pair[1][i] = b[i] * HIGH;
        }
    }
}

/// The last values of one lifting ladder: two streams of pairs, each step one pair behind the last.
#[derive(Debug, Clone, Default)]
struct Ladder {
    /// Pairs received.
    count: usize,
    /// The newest pair after each of the four steps, as far as it has got.
    even: [f32; 2],
    odd: [f32; 2],
}

impl Ladder {
    /// One pair of low and high value in, the even and odd sample of two pairs ago out.
    fn synthesize(&mut self, low: f32, high: f32, out: &mut impl FnMut(f32, f32)) {
        let (even, odd) = (low * LOW_BACK, high * HIGH_BACK);
        let before = if self.count == 0 { odd } else { self.odd[0] };
        let even = even - DELTA * (odd + before);
        if self.count > 0 {
            self.synthesize_step(even, out);
        }
        self.even[0] = even;
        self.odd[0] = odd;
        self.count += 1;
    }

    fn synthesize_step(&mut self, next: f32, out: &mut impl FnMut(f32, f32)) {
        let first = self.count == 1;
        let odd = self.odd[0] - GAMMA * (self.even[0] + next);
        let before = if first { odd } else { self.odd[1] };
        let even = self.even[0] - BETA * (odd + before);
        if !first {
            self.synthesize_late(even, out);
        }
        self.even[1] = even;
        self.odd[1] = odd;
    }

    fn synthesize_late(&mut self, next: f32, out: &mut impl FnMut(f32, f32)) {
        out(self.even[1], self.odd[1] - ALPHA * (self.even[1] + next));
    }

    fn synthesize_end(&mut self, out: &mut impl FnMut(f32, f32)) {
        if self.count > 0 {
            self.synthesize_step(self.even[0], out);
            self.synthesize_late(self.even[1], out);
        }
    }
}

/// Streaming synthesis of one signal from 2^levels bands: the inverse of [`Analysis`].
#[derive(Debug, Clone)]
pub struct Synthesis {
    levels: u32,
    ladders: Vec<Ladder>,
}

impl Synthesis {
    /// A fresh stream.
    pub fn new(levels: u32) -> Self {
        Self { levels, ladders: vec![Ladder::default(); (1 << levels) - 1] }
    }

    /// Takes `[2^levels, steps]` band values, returns the samples that are complete.
    ///
    /// # Panics
    /// If the number of values is not a multiple of 2^levels.
    pub fn push(&mut self, bands: &[f32]) -> Vec<f32> {
        assert_eq!(bands.len() % (1 << self.levels), 0, "every band must have the same length");
        let steps = bands.len() >> self.levels;
        let signals = match steps {
            0 => vec![Vec::new(); 1 << self.levels],
            _ => bands.chunks_exact(steps).map(<[f32]>::to_vec).collect(),
        };
        self.run(signals, false)
    }

    /// Ends the stream and returns the samples still held back.
    pub fn finish(&mut self) -> Vec<f32> {
        self.run(vec![Vec::new(); 1 << self.levels], true)
    }

    fn run(&mut self, mut signals: Vec<Vec<f32>>, end: bool) -> Vec<f32> {
        for level in (0..self.levels).rev() {
            let first = (1usize << level) - 1;
            let mut next = Vec::with_capacity(1 << level);
            for (ladder, pair) in self.ladders[first..].iter_mut().zip(signals.chunks_exact(2)) {
                let mut merged = Vec::with_capacity(2 * pair[0].len() + 4);
                let mut out = |even, odd| merged.extend([even, odd]);
                for (&low, &high) in pair[0].iter().zip(&pair[1]) {
                    ladder.synthesize(low, high, &mut out);
                }
                if end {
                    ladder.synthesize_end(&mut out);
                }
                next.push(merged);
            }
            signals = next;
        }
        signals.swap_remove(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::{Ends, PacketTransform};

    fn noise(len: usize) -> Vec<f32> {
        let mut state = 1u32;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_whole() {
        for levels in 1..=9u32 {
            for cells in [1usize, 2, 3, 7] {
                let x = noise(cells << levels);
                let plan = PacketTransform::new(levels, Ends::Mirror);
                let mut whole = x.clone();
                plan.forward_1d(&mut whole, &mut vec![f32::NAN; x.len()]);
                for chunk in [1, 5, 64, 1000] {
                    let mut analysis = Analysis::new(levels, 1);
                    let mut synthesis = Synthesis::new(levels);
                    let mut bands: Vec<Vec<f32>> = vec![Vec::new(); 1 << levels];
                    let mut back = Vec::new();
                    let mut collect = |analysis: &mut Analysis, back: &mut Vec<f32>| {
                        let steps = analysis.ready();
                        let mut part = Vec::new();
                        analysis.read(0..steps, &mut part);
                        analysis.discard(steps);
                        for (band, values) in bands.iter_mut().zip(part.chunks(steps.max(1))) {
                            band.extend(values);
                        }
                        back.extend(synthesis.push(&part));
                    };
                    for part in x.chunks(chunk) {
                        analysis.push(part);
                        collect(&mut analysis, &mut back);
                    }
                    analysis.finish();
                    collect(&mut analysis, &mut back);
                    back.extend(synthesis.finish());
                    assert_eq!(
                        bands.concat(),
                        whole,
                        "levels {levels} cells {cells} chunk {chunk}"
                    );
                    let mut inverse = whole.clone();
                    plan.inverse_1d(&mut inverse, &mut vec![f32::NAN; x.len()]);
                    assert_eq!(back, inverse);
                    assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() < 2e-5));
                }
            }
        }
    }

    #[test]
    fn signals_side_by_side_are_those_alone() {
        let (a, b, c) = (noise(640), noise(647), noise(699));
        let mixed: Vec<f32> = (0..640).flat_map(|t| [a[t], b[t + 7], c[t + 59]]).collect();
        let mut together = Analysis::new(4, 3);
        for part in mixed.chunks(3 * 7) {
            together.push(part);
        }
        together.finish();
        let (mut all, mut one) = (Vec::new(), Vec::new());
        together.read(0..40, &mut all);
        for (signal, all) in [&a, &b[7..], &c[59..]].into_iter().zip(all.chunks(640)) {
            let mut alone = Analysis::new(4, 1);
            alone.push(&signal[..640]);
            alone.finish();
            alone.read(0..40, &mut one);
            assert_eq!(one, all);
        }
    }
}
