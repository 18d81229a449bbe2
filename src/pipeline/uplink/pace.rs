//! How fast is sent.

use std::time::Duration;

/// Time that a batch should take: what is new waits no longer for what is old.
const BATCH: f64 = 2.0;
/// Bytes of a batch at least: what it costs to ask and answer is then little.
const LEAST: usize = 8 << 10;
/// Time for which what was not sent in time is made up for: small batches of many streams begin late, each a little.
const LATE: Duration = Duration::from_secs(1);
/// What one batch counts in the speed that is measured.
const NEW: f64 = 0.3;

/// A rate that is not exceeded, and the speed that there was.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Bits a second at most.
    rate: Option<f64>,
    /// Bits a second, as measured; `None` before the first batch.
    speed: Option<f64>,
    /// When the next batch may be sent.
    free: Duration,
}

impl Pace {
    /// A pace of `rate` bits a second at most.
    pub fn new(rate: Option<f64>) -> Self {
        Self { rate, speed: None, free: Duration::ZERO }
    }

    /// How long the next batch has to wait.
    pub fn wait(&self, now: Duration) -> Duration {
        self.free.saturating_sub(now)
    }

    /// Notes bytes that were sent from `begin` to `end`.
    pub fn sent(&mut self, bytes: usize, begin: Duration, end: Duration) {
        let bits = 8.0 * bytes as f64;
        if let Some(rate) = self.rate {
            let share = Duration::try_from_secs_f64(bits / rate).unwrap_or(Duration::MAX);
            self.free = self.free.max(begin.saturating_sub(LATE)).saturating_add(share);
        }
        let speed = bits / end.saturating_sub(begin).as_secs_f64().max(1e-3);
        self.speed = Some(self.speed.map_or(speed, |s| s + NEW * (speed - s)));
    }

    /// Bytes of the next batch, at most `most`.
    pub fn bytes(&self, most: usize) -> usize {
        let speed = match (self.rate, self.speed) {
            (Some(rate), Some(speed)) => Some(speed.min(rate)),
            (rate, speed) => rate.or(speed),
        };
        // As many bytes as a float holds at most: then they are clamped.
        let bytes = speed.map_or(LEAST, |s| (s / 8.0 * BATCH) as usize);
        bytes.clamp(LEAST.min(most), most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_batches_are_short() {
        let mut pace = Pace::new(Some(80_000.0));
        let mut now = Duration::ZERO;
        let mut sent = 0;
        while now < Duration::from_secs(100) {
            now += pace.wait(now);
            let bytes = pace.bytes(1 << 20);
            assert!((8192..=20_000).contains(&bytes), "{bytes}");
            pace.sent(bytes, now, now + Duration::from_millis(5));
            sent += bytes;
        }
        assert!((1_000_000..1_050_000).contains(&sent), "{sent}");
        // What was not used for hours is not made up for.
        pace.sent(20_000, now * 100, now * 100);
        assert_eq!(pace.wait(now * 100), Duration::from_secs(1));
    }

    #[test]
    fn batches_that_begin_late_do_not_slow_the_rest() {
        let mut pace = Pace::new(Some(80_000.0));
        let (mut now, mut sent) = (Duration::ZERO, 0);
        while now < Duration::from_secs(100) {
            // What there is to send is looked for meanwhile.
            now += pace.wait(now) + Duration::from_millis(100);
            pace.sent(5_000, now, now + Duration::from_millis(5));
            sent += 5_000;
        }
        assert!((985_000..=1_015_000).contains(&sent), "{sent}");
    }

    #[test]
    fn a_slow_link_gets_small_batches() {
        let mut pace = Pace::new(None);
        let second = Duration::from_secs(1);
        for _ in 0..20 {
            pace.sent(50_000, second, second * 2);
        }
        assert!((99_000..101_000).contains(&pace.bytes(1 << 20)), "{pace:?}");
        assert_eq!(
            (pace.bytes(50_000), pace.bytes(100), pace.wait(second)),
            (50_000, 100, Duration::ZERO)
        );
    }
}
