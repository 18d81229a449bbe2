//! The time of capture of what comes in live.

use std::time::{Duration, SystemTime};

use crate::codec::Stamp;

/// Stamps with the time since the machine was started, and that of the clock on the wall.
#[derive(Debug, Clone)]
pub struct Clock {
    boot: u64,
}

impl Clock {
    /// A clock of this boot.
    pub fn new() -> Self {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        // 0 is for files.
        Self { boot: u64::from_str_radix(&digits, 16).unwrap_or(1).max(1) }
    }

    /// Writes boot, time and date into a stamp.
    pub fn stamp(&self, stamp: &mut Stamp) {
        stamp.boot = self.boot;
        stamp.captured = since_boot();
        stamp.utc = Some(SystemTime::now());
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Time since the machine was started, that in which it slept included.
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}
