//! How many bits the next packet may take.

use std::time::Duration;

/// How long it may take to pay back what was spent too much, or to spend what was saved.
const PAYBACK: f64 = 2.0;

/// A leaky bucket: what packets put in runs out at a rate.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Bits a second.
    rate: f64,
    /// Bits above what has run out; below zero, what was saved.
    level: f64,
}

impl Bucket {
    /// A bucket from which `rate` bits run out in a second.
    pub fn new(rate: f64) -> Self {
        Self { rate, level: 0.0 }
    }

    /// Bits that a packet of so much time should take: its share, and a part of what is owed or saved.
    pub fn budget(&self, time: Duration) -> f64 {
        let share = self.rate * time.as_secs_f64();
        (share - self.level * time.as_secs_f64() / PAYBACK).max(0.1 * share)
    }

    /// Bits a second that run out.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Bits that were saved and may still be spent.
    pub fn saved(&self) -> f64 {
        (-self.level).max(0.0)
    }

    /// Puts the bits of a packet of so much time in.
    pub fn spend(&mut self, bits: f64, time: Duration) {
        self.level += bits - self.rate * time.as_secs_f64();
        // What was saved beyond the payback is gone, or quiet hours would pay for a flood.
        self.level = self.level.max(-PAYBACK * self.rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_too_much_is_paid_back() {
        let mut bucket = Bucket::new(8000.0);
        let second = Duration::from_secs(1);
        assert_eq!(bucket.budget(second), 8000.0);
        bucket.spend(16000.0, second);
        assert_eq!(bucket.budget(second), 4000.0);
        bucket.spend(0.0, Duration::from_secs(100));
        assert_eq!(bucket.budget(second), 16000.0);
    }
}
