//! The one-dimensional packet transform with carried state: a stream cut anywhere gives the
//! coefficients of the whole, bit for bit. Ends are mirrored, at the start and at `finish`.

use super::lifting::{ALPHA, BETA, DELTA, GAMMA, HIGH, HIGH_BACK, LOW, LOW_BACK};

/// The last values of one lifting ladder: two streams of pairs, each step one pair behind the last.
///
/// Analysis and synthesis are the same ladder with other coefficients; only which of the pair
/// leads differs.
#[derive(Debug, Clone, Default)]
struct Ladder {
    /// Pairs received.
    count: usize,
    /// The newest pair after each of the four steps, as far as it has got.
    even: [f32; 2],
    odd: [f32; 2],
    odd_before: [f32; 2],
    pending: Option<f32>,
}

impl Ladder {
    /// One pair of even and odd sample in, the low and high value of two pairs ago out.
    fn analyze(&mut self, even: f32, odd: f32, out: &mut impl FnMut(f32, f32)) {
        if self.count > 0 {
            self.analyze_step(even, out);
        }
        self.even[0] = even;
        self.odd[0] = odd;
        self.count += 1;
    }

    /// Completes the newest pair, given the even sample that follows it.
    fn analyze_step(&mut self, next: f32, out: &mut impl FnMut(f32, f32)) {
        let first = self.count == 1;
        let odd = self.odd[0] + ALPHA * (self.even[0] + next);
        let before = if first { odd } else { self.odd[1] };
        let even = self.even[0] + BETA * (odd + before);
        if !first {
            self.analyze_late(even, self.count == 2, out);
        }
        self.even[1] = even;
        self.odd[1] = odd;
    }

    /// Finishes the pair whose first two steps are done, given the even value that follows it.
    fn analyze_late(&mut self, next: f32, first: bool, out: &mut impl FnMut(f32, f32)) {
        let odd = self.odd[1] + GAMMA * (self.even[1] + next);
        let before = if first { odd } else { self.odd_before[1] };
        let even = self.even[1] + DELTA * (odd + before);
        self.odd_before[1] = odd;
        out(even * LOW, odd * HIGH);
    }

    fn analyze_end(&mut self, out: &mut impl FnMut(f32, f32)) {
        if self.count > 0 {
            self.analyze_step(self.even[0], out);
            self.analyze_late(self.even[1], self.count == 1, out);
        }
    }

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

/// Streaming analysis of one signal into 2^levels bands.
///
/// Shape: any number of samples in; each band grows by one value per 2^levels samples, about
/// 4 (2^levels - 1) samples behind the input.
/// Source: audio.md section 7.
#[derive(Debug, Clone)]
pub struct Analysis {
    levels: u32,
    ladders: Vec<Ladder>,
    bands: Vec<Vec<f32>>,
}

impl Analysis {
    /// A fresh stream: the next sample is the first, with mirrored samples before it.
    pub fn new(levels: u32) -> Self {
        Self {
            levels,
            ladders: vec![Ladder::default(); (1 << levels) - 1],
            bands: vec![Vec::new(); 1 << levels],
        }
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        self.run(samples, false);
    }

    /// Ends the stream with mirrored samples; what was pushed must be whole cells.
    ///
    /// # Panics
    /// If the number of samples pushed is not a multiple of 2^levels.
    pub fn finish(&mut self) {
        self.run(&[], true);
        assert!(self.ladders.iter().all(|l| l.pending.is_none()), "length must be whole cells");
    }

    /// Steps that are complete in every band.
    pub fn ready(&self) -> usize {
        self.bands.iter().map(Vec::len).min().unwrap_or(0)
    }

    /// Removes the first `steps` steps: `[2^levels, steps]`, in natural band order.
    ///
    /// # Panics
    /// If `steps` is more than [`Self::ready`].
    pub fn take(&mut self, steps: usize) -> Vec<f32> {
        self.bands.iter_mut().flat_map(|b| b.drain(..steps)).collect()
    }

    fn run(&mut self, samples: &[f32], end: bool) {
        let mut signals = vec![samples.to_vec()];
        let mut first = 0;
        for level in 0..self.levels {
            let mut next = Vec::with_capacity(2 << level);
            for (ladder, signal) in self.ladders[first..].iter_mut().zip(&signals) {
                let (mut low, mut high) = (Vec::new(), Vec::new());
                let mut out = |l, h| {
                    low.push(l);
                    high.push(h);
                };
                for &x in signal {
                    match ladder.pending.take() {
                        None => ladder.pending = Some(x),
                        Some(even) => ladder.analyze(even, x, &mut out),
                    }
                }
                if end {
                    ladder.analyze_end(&mut out);
                }
                next.push(low);
                next.push(high);
            }
            first += 1 << level;
            signals = next;
        }
        for (band, values) in self.bands.iter_mut().zip(signals) {
            band.extend(values);
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
                    let mut analysis = Analysis::new(levels);
                    let mut synthesis = Synthesis::new(levels);
                    let mut bands: Vec<Vec<f32>> = vec![Vec::new(); 1 << levels];
                    let mut back = Vec::new();
                    let mut collect = |analysis: &mut Analysis, back: &mut Vec<f32>| {
                        let steps = analysis.ready();
                        let part = analysis.take(steps);
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
}
