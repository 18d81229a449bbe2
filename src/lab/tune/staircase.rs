//! How long a transformer takes for so many tokens on this machine: in steps, since kernels work on tiles.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::runtime::{LayerPlace, Schedule, Simd, Transformer, noise, prepare};

/// Numbers of tokens that are timed, about; the fewest, as a share of all.
const POINTS: usize = 80;
const FEWEST: f64 = 0.2;
/// Rounds over all numbers: at least, at most, and for how long.
const ROUNDS: [usize; 2] = [3, 15];
const TIME: Duration = Duration::from_secs(4);
/// A step ends where time rises by more than this part, and no further than this part of tokens away.
const RISE: f64 = 0.005;
const AWAY: f64 = 0.06;

/// Time for numbers of tokens that rise; it never falls. Empty if tokens are not made by the transformer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Staircase {
    /// Tokens, those of classes included, and the median of milliseconds.
    pub steps: Vec<(usize, f64)>,
}

impl Staircase {
    /// Times the blocks of an encoder on one thread, in floats and with the layers that `small` names in
    /// int8, in turns; `None` if stopped.
    ///
    /// Source: Eliopoulos et al. 2025 (arXiv 2407.05941): the number of tokens is to end a step.
    pub(super) fn measure(
        encoder: &Transformer,
        small: &dyn Fn(LayerPlace) -> bool,
        tokens: usize,
        stop: &AtomicBool,
        mut progress: impl FnMut(usize, usize),
    ) -> Option<[Self; 2]> {
        let blocks = Transformer { embed: None, ..encoder.clone() };
        let simd = Simd::best();
        let prepared = [prepare(&blocks, simd, |_| false), prepare(&blocks, simd, small)];
        let fewest = ((tokens as f64 * FEWEST) as usize).max(1);
        let every = (tokens.saturating_sub(fewest) / POINTS).max(1);
        let mut counts: Vec<usize> = (fewest..=tokens).rev().step_by(every).collect();
        counts.reverse();
        let x = noise(tokens * encoder.width, 1);
        let mut times = [vec![Vec::new(); counts.len()], vec![Vec::new(); counts.len()]];
        let begin = Instant::now();
        for round in 0..ROUNDS[1] {
            if round >= ROUNDS[0] && begin.elapsed() > TIME {
                break;
            }
            progress(round, ROUNDS[1]);
            for (prepared, times) in prepared.iter().zip(&mut times) {
                // The other's weights are in the caches.
                prepared.run(&mut x.clone(), None);
                for (&n, times) in counts.iter().zip(times) {
                    if stop.load(Ordering::Relaxed) {
                        return None;
                    }
                    let mut tokens = x[..n * encoder.width].to_vec();
                    let before = Instant::now();
                    prepared.run(&mut tokens, None);
                    times.push(before.elapsed().as_secs_f64() * 1e3);
                }
            }
        }
        let of = |times: Vec<Vec<f64>>| {
            Self::rising(counts.iter().copied().zip(times.into_iter().map(super::median)).collect())
        };
        Some(times.map(of))
    }

    /// What more tokens take less time for is noise.
    fn rising(mut steps: Vec<(usize, f64)>) -> Self {
        let mut least = f64::INFINITY;
        for (_, ms) in steps.iter_mut().rev() {
            least = least.min(*ms);
            *ms = least;
        }
        Self { steps }
    }

    /// Milliseconds for so many tokens, between what was measured on a line.
    pub fn ms(&self, tokens: usize) -> f64 {
        let at = self.steps.partition_point(|s| s.0 < tokens);
        match (at.checked_sub(1).map(|i| self.steps[i]), self.steps.get(at)) {
            (Some((a, low)), Some(&(b, high))) => {
                low + (high - low) * (tokens - a) as f64 / (b - a) as f64
            }
            (Some((_, ms)), None) | (None, Some(&(_, ms))) => ms,
            (None, None) => 0.0,
        }
    }

    /// The most tokens that take hardly longer than so many.
    pub(super) fn edge(&self, tokens: usize) -> usize {
        let (ms, far) = (self.ms(tokens) * (1.0 + RISE), tokens as f64 * (1.0 + AWAY));
        let within = |s: &&(usize, f64)| s.0 > tokens && s.0 as f64 <= far && s.1 <= ms;
        self.steps.iter().filter(within).map(|s| s.0).max().unwrap_or(tokens)
    }

    /// The part of the time for all tokens that a schedule should take, but for what choosing takes.
    pub(super) fn part(
        &self,
        schedule: &Schedule,
        blocks: usize,
        classes: usize,
        patches: usize,
    ) -> f64 {
        let (mut n, mut ms) = (patches, 0.0);
        for block in 0..blocks {
            // Tokens are left out in the middle of a block.
            let left = schedule.left(block, patches).unwrap_or(n).min(n);
            ms += (self.ms(classes + n) + self.ms(classes + left)) / 2.0;
            n = left;
        }
        ms / (blocks as f64 * self.ms(classes + patches))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stairs() -> Staircase {
        // Steps of six tokens.
        let step = |n: usize| (n, n.div_ceil(6) as f64);
        Staircase::rising((20..=109).map(step).collect())
    }

    #[test]
    fn a_step_is_used_to_its_edge() {
        let stairs = stairs();
        assert_eq!((stairs.edge(50), stairs.edge(54), stairs.edge(55)), (53, 54, 58));
        assert_eq!((stairs.ms(54), stairs.ms(55), stairs.ms(3)), (9.0, 10.0, 4.0));
        assert_eq!(stairs.ms(500), stairs.ms(109));
    }

    #[test]
    fn noise_is_no_step() {
        let stairs = Staircase::rising(vec![(10, 1.0), (20, 3.0), (30, 2.0), (40, 4.0)]);
        assert_eq!(stairs.steps, [(10, 1.0), (20, 2.0), (30, 2.0), (40, 4.0)]);
        assert_eq!((stairs.ms(15), stairs.edge(25)), (1.5, 25));
    }

    #[test]
    fn fewer_tokens_are_a_smaller_part() {
        let schedule = |text: &str| text.parse().expect("schedule");
        let part = |text| stairs().part(&schedule(text), 6, 1, 108);
        assert_eq!(part("merge 1:1"), 1.0);
        assert!(part("merge 1:0.5") < part("merge 3:0.5") && part("merge 1:0.5") > 0.5);
    }
}
