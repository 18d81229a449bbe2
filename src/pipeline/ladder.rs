//! What a line gives up when its stages cannot keep up: quality of answers, then bytes, then channels, then frames.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::bitstream::Coder;
use crate::runtime::{Policy, Tokens};

/// Shares of tokens that a transformer goes on with, on the rungs that are its own.
const KEEP: [f32; 2] = [0.7, 0.5];
/// Of so many pictures one is kept, on the lowest rungs.
const EVERY: [u64; 3] = [2, 4, 8];

/// One way to run a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// The tokens that a head's transformer goes on with; `None`: as it was told.
    pub tokens: Option<Tokens>,
    /// The coder.
    pub coder: Coder,
    /// Channels that are coded.
    pub channels: usize,
    /// Of so many pictures one is kept.
    pub every: u64,
}

/// The rungs of a line, and the one it stands on: 0 gives up nothing.
#[derive(Debug)]
pub struct Ladder {
    rungs: Vec<Rung>,
    at: AtomicUsize,
    why: Mutex<String>,
}

impl Ladder {
    /// All rungs below `first`. `bounds` are the ends of the bundle's groups; `prunes` says whether there is a head that
    /// can go on with fewer tokens.
    pub fn new(first: Rung, bounds: &[usize], prunes: bool) -> Self {
        let mut rungs = vec![first];
        let mut add = |change: &dyn Fn(&mut Rung)| {
            let mut next = rungs[rungs.len() - 1].clone();
            change(&mut next);
            if next != rungs[rungs.len() - 1] {
                rungs.push(next);
            }
        };
        for keep in KEEP.into_iter().filter(|_| prunes) {
            add(&|r| r.tokens = Some(Tokens::Share(Policy::Merge, keep)));
        }
        add(&|r| r.coder = Coder::Fast);
        for part in [2, 4] {
            add(&|r| {
                let groups = bounds.iter().filter(|&&end| end <= r.channels).count();
                // Of all groups, not of those that are left.
                let all = bounds.len().min(groups.max(1));
                let kept = (bounds.len() / part).clamp(1, all);
                r.channels = bounds[kept - 1].min(r.channels);
            });
        }
        for every in EVERY {
            add(&|r| r.every = r.every.max(every));
        }
        Self { rungs, at: AtomicUsize::new(0), why: Mutex::default() }
    }

    /// The rung it stands on.
    pub fn rung(&self) -> &Rung {
        &self.rungs[self.step()]
    }

    /// Its place, and how many there are.
    pub fn step(&self) -> usize {
        self.at.load(Ordering::Relaxed).min(self.rungs.len() - 1)
    }

    /// How many rungs there are.
    pub fn steps(&self) -> usize {
        self.rungs.len()
    }

    /// Why it stands there.
    pub fn why(&self) -> String {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes to another rung.
    pub(super) fn go(&self, step: usize, why: String) {
        self.at.store(step.min(self.rungs.len() - 1), Ordering::Relaxed);
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_before_bytes_bytes_before_channels_and_frames_last() {
        let first = Rung { tokens: None, coder: Coder::Dense, channels: 48, every: 1 };
        let bounds: Vec<usize> = (1..=16).map(|g| 3 * g).collect();
        let ladder = Ladder::new(first.clone(), &bounds, true);
        let told: Vec<(bool, Coder, usize, u64)> = ladder
            .rungs
            .iter()
            .map(|r| (r.tokens.is_some(), r.coder, r.channels, r.every))
            .collect();
        let expected = [
            (false, Coder::Dense, 48, 1),
            (true, Coder::Dense, 48, 1),
            (true, Coder::Dense, 48, 1),
            (true, Coder::Fast, 48, 1),
            (true, Coder::Fast, 24, 1),
            (true, Coder::Fast, 12, 1),
            (true, Coder::Fast, 12, 2),
            (true, Coder::Fast, 12, 4),
            (true, Coder::Fast, 12, 8),
        ];
        assert_eq!(told, expected);
        // What is coded little already is not coded more.
        let few = Ladder::new(Rung { channels: 6, coder: Coder::Fast, ..first }, &bounds, false);
        assert!(few.rungs.iter().all(|r| r.channels == 6) && few.steps() == 4);
    }
}
