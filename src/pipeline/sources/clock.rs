//! The time of capture of what comes in live.

use std::time::{Duration, SystemTime};

use rustix::time::ClockId;

use crate::codec::Stamp;

/// Clocks that differ by less are the same.
const CLOSE: Duration = Duration::from_millis(1);

/// Stamps with the time since the machine was started, and that of the clock on the wall.
#[derive(Debug, Clone)]
pub struct Clock {
    boot: u64,
    /// What the monotonic clock lacks: the time in which the machine slept.
    slept: Duration,
}

impl Clock {
    /// A clock of this boot.
    pub fn new() -> Self {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        // 0 is for files.
        Self { boot: u64::from_str_radix(&digits, 16).unwrap_or(1).max(1), slept: Duration::ZERO }
    }

    /// Writes boot, time and date into a stamp.
    pub fn stamp(&self, stamp: &mut Stamp) {
        self.stamp_at(stamp, since_boot());
    }

    /// Writes boot, a time since boot and its date into a stamp.
    pub fn stamp_at(&self, stamp: &mut Stamp, captured: Duration) {
        stamp.boot = self.boot;
        stamp.captured = captured;
        let (now, date) = (since_boot(), SystemTime::now());
        stamp.utc = match now.checked_sub(captured) {
            Some(age) => date.checked_sub(age),
            None => date.checked_add(captured.saturating_sub(now)),
        };
    }

    /// The time since boot, of one that the monotonic clock gave.
    pub fn since_boot(&mut self, monotonic: Duration) -> Duration {
        let (before, boot, after) =
            (read(ClockId::Monotonic), since_boot(), read(ClockId::Monotonic));
        let slept = boot.saturating_sub((before + after) / 2);
        // Whoever was interrupted between the clocks has read nothing; and what is noise must not shake the stamps.
        if after.saturating_sub(before) < CLOSE && slept.abs_diff(self.slept) > CLOSE {
            self.slept = slept;
        }
        monotonic.saturating_add(self.slept)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Time since the machine was started, that in which it slept included.
pub(super) fn since_boot() -> Duration {
    read(ClockId::Boottime)
}

fn read(clock: ClockId) -> Duration {
    let time = rustix::time::clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_of_the_kernel_become_one() {
        let mut clock = Clock::new();
        let mut last = Duration::ZERO;
        for _ in 0..1000 {
            let (before, monotonic, after) = (since_boot(), read(ClockId::Monotonic), since_boot());
            let found = clock.since_boot(monotonic);
            assert!(found + CLOSE >= before && found <= after + CLOSE);
            assert!(found >= last);
            last = found;
        }
        let mut stamp = Stamp::default();
        clock.stamp_at(&mut stamp, since_boot().saturating_sub(Duration::from_secs(2)));
        let age = stamp.utc.and_then(|d| SystemTime::now().duration_since(d).ok());
        assert!(age.is_some_and(|a| (1.9..2.5).contains(&a.as_secs_f64())), "{age:?}");
    }
}
