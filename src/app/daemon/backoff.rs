//! How long is waited before something that failed is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The first wait, and the longest.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Waits that double from a second to a minute.
#[derive(Debug)]
pub struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        Self(WAITS[0])
    }
}

impl BackOff {
    /// The next wait, less up to a half at random: many that lost the same peer do not come back together.
    pub fn wait(&mut self) -> Duration {
        // Each has keys of its own.
        let random = RandomState::new().hash_one(self.0) % 1000;
        let wait = self.0.mul_f64(0.5 + random as f64 / 2000.0);
        self.0 = (2 * self.0).min(WAITS[1]);
        wait
    }

    /// It went well: the next wait is short again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let mut back_off = BackOff::default();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (most, wait) = (Duration::from_secs(seconds), back_off.wait());
            assert!(most / 2 <= wait && wait <= most, "{wait:?} of {most:?}");
        }
        back_off.reset();
        assert!(back_off.wait() <= Duration::from_secs(1));
    }
}
