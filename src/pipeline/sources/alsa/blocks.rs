//! Pieces of sound, as they come, in blocks as they go on.

use std::time::Duration;

use crate::error::Result;
use crate::pipeline::media::Resampling;

/// Gathers one sound.
pub(super) struct Blocks {
    channels: usize,
    /// Time steps a second: those that come, those that go on.
    rates: [u32; 2],
    resampling: Option<Resampling>,
    /// Time steps of a block.
    steps: usize,
    waits: Vec<f32>,
    /// Time steps that came and that went on.
    came: u64,
    gone: u64,
    /// When the last that came was captured.
    until: Duration,
}

/// Time steps that go on together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub begin: Duration,
    pub samples: Vec<f32>,
}

impl Blocks {
    /// A sound whose rate is brought from the first to the second.
    ///
    /// # Errors
    /// `Config` if it cannot be.
    pub fn new(rates: [u32; 2], channels: usize, steps: usize) -> Result<Self> {
        let [from, to] = rates;
        let resampling =
            (from != to).then(|| Resampling::new(from, to, channels.max(1))).transpose()?;
        let (waits, until) = (Vec::new(), Duration::ZERO);
        let (steps, channels) = (steps.max(1), channels.max(1));
        Ok(Self { channels, rates, resampling, steps, waits, came: 0, gone: 0, until })
    }

    /// Takes whole time steps, the last of which ends at `until`, and gives the blocks that are full.
    ///
    /// A step at least is kept: when the sound ends, something must be left that says so.
    ///
    /// # Errors
    /// `Config` if the rate cannot be converted.
    pub fn push(&mut self, samples: &[f32], until: Duration) -> Result<Vec<Block>> {
        self.came += (samples.len() / self.channels) as u64;
        self.until = until;
        match &mut self.resampling {
            Some(resampling) => resampling.push(samples, &mut self.waits)?,
            None => self.waits.extend_from_slice(samples),
        }
        let (mut full, len) = (Vec::new(), self.steps * self.channels);
        while self.waits.len() > len {
            let rest = self.waits.split_off(len);
            full.extend(self.block_with(rest));
        }
        Ok(full)
    }

    /// Ends the sound, and gives what is left; the next that comes is another.
    ///
    /// # Errors
    /// `Config` if the rate cannot be converted.
    pub fn finish(&mut self) -> Result<Option<Block>> {
        if let Some(resampling) = &mut self.resampling {
            resampling.finish(&mut self.waits)?;
        }
        let last = self.block_with(Vec::new());
        (self.came, self.gone) = (0, 0);
        Ok(last)
    }

    /// All that waits, which `rest` takes the place of.
    fn block_with(&mut self, rest: Vec<f32>) -> Option<Block> {
        let seconds = |steps: u64, rate: u32| steps as f64 / f64::from(rate);
        let age = seconds(self.came, self.rates[0]) - seconds(self.gone, self.rates[1]);
        let age = Duration::try_from_secs_f64(age).unwrap_or_default();
        let samples = std::mem::replace(&mut self.waits, rest);
        self.gone += (samples.len() / self.channels) as u64;
        let begin = self.until.saturating_sub(age);
        (!samples.is_empty()).then_some(Block { begin, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of a ramp that comes in pieces, with how long it was in steps.
    fn gather(rates: [u32; 2], pieces: &[usize]) -> Vec<Block> {
        let mut blocks = Blocks::new(rates, 2, 100).expect("rates that can be");
        let (mut all, mut at) = (Vec::new(), 0_usize);
        for &piece in pieces {
            let samples: Vec<f32> = (2 * at..2 * (at + piece)).map(|i| i as f32).collect();
            at += piece;
            let until =
                Duration::from_secs(10) + Duration::from_secs_f64(at as f64 / f64::from(rates[0]));
            all.extend(blocks.push(&samples, until).expect("no error"));
        }
        all.extend(blocks.finish().expect("no error"));
        assert_eq!(blocks.finish().expect("no error"), None);
        all
    }

    #[test]
    fn nothing_is_lost_and_something_is_kept_for_the_end() {
        for pieces in [&[1_usize, 99, 1][..], &[350], &[100], &[0, 200, 0], &[7; 91], &[1]] {
            let (blocks, steps) = (gather([1000, 1000], pieces), pieces.iter().sum::<usize>());
            let all: Vec<f32> = blocks.iter().flat_map(|b| b.samples.clone()).collect();
            assert!(all.iter().enumerate().all(|(i, x)| *x == i as f32), "{pieces:?}");
            assert_eq!(all.len(), 2 * steps);
            assert_eq!(blocks.len(), steps.div_ceil(100));
            for (i, block) in blocks.iter().enumerate() {
                let expected = Duration::from_millis(10_000 + 100 * i as u64);
                assert!(block.begin.abs_diff(expected) < Duration::from_micros(1), "{block:?}");
            }
        }
        assert!(gather([1000, 1000], &[]).is_empty() && gather([1000, 1000], &[0]).is_empty());
    }

    #[test]
    fn a_rate_is_converted_as_sound_comes() {
        let blocks = gather([48000, 16000], &[480; 200]);
        assert_eq!(blocks.iter().map(|b| b.samples.len()).sum::<usize>(), 2 * 32000);
        for (i, block) in blocks.iter().enumerate() {
            let expected = Duration::from_secs_f64(10.0 + i as f64 * 100.0 / 16000.0);
            assert!(block.begin.abs_diff(expected) < Duration::from_micros(10), "{i}");
        }
    }
}
