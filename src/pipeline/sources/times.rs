//! Times of capture that only go forward, whatever a driver or a sender says.

use std::time::Duration;

/// A time of capture may lie so far behind its arrival: longer exposures and queues there are not.
const LATE: Duration = Duration::from_secs(10);
/// It may lie so far ahead of it: some drivers say when the picture will be whole, or reckon the camera's own clock.
const EARLY: Duration = Duration::from_millis(100);
/// How often repairs are spoken of, at most.
const SPEAK: Duration = Duration::from_secs(60);

/// Repairs times of capture, and counts how many.
#[derive(Debug, Default)]
pub(super) struct Times {
    last: Duration,
    repaired: u64,
    spoke: Option<Duration>,
}

impl Times {
    /// The time of the last picture.
    pub fn last(&self) -> Duration {
        self.last
    }

    /// The time of capture of a picture that arrived at `arrival`: what is said of it, or if that goes back,
    /// repeats or jumps, the arrival.
    ///
    /// Units: since boot.
    pub fn mend(&mut self, said: Option<Duration>, arrival: Duration) -> Duration {
        let good = |t: &Duration| {
            *t > self.last && *t <= arrival + EARLY && t.saturating_add(LATE) >= arrival
        };
        let time = said.filter(good).unwrap_or_else(|| {
            self.repaired += u64::from(said.is_some());
            arrival.max(self.last + Duration::from_nanos(1))
        });
        self.last = time;
        time
    }

    /// What is to be said of repairs now: of all since it was said last.
    pub fn warning(&mut self, now: Duration) -> Option<String> {
        let quiet = self.spoke.is_some_and(|spoke| now < spoke.saturating_add(SPEAK));
        if self.repaired == 0 || quiet {
            return None;
        }
        self.spoke = Some(now);
        let n = std::mem::take(&mut self.repaired);
        Some(format!(
            "{n} of the times of capture that were given went back, repeated or jumped: the time of arrival stands there"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_forward_and_repairs_are_told_once_a_minute() {
        let ms = Duration::from_millis;
        let mut times = Times::default();
        let mut mend = |said, arrival| times.mend(Some(ms(said)), ms(arrival));
        assert_eq!(mend(100_000, 100_005), ms(100_000));
        assert_eq!(mend(100_033, 100_038), ms(100_033));
        // Repeated, back, an hour ahead, a minute behind.
        assert_eq!(mend(100_033, 100_071), ms(100_071));
        assert_eq!(mend(90_000, 100_104), ms(100_104));
        assert_eq!(mend(3_700_000, 100_138), ms(100_138));
        assert_eq!(mend(40_000, 100_171), ms(100_171));
        assert_eq!(mend(100_200, 100_205), ms(100_200));
        // No later than the time of the last, which lay ahead.
        assert_eq!(mend(100_220, 100_210), ms(100_220));
        assert_eq!(mend(0, 100_215), ms(100_220) + Duration::from_nanos(1));
        assert!(times.warning(ms(100_215)).is_some_and(|w| w.starts_with("5 of")));
        assert_eq!(times.warning(ms(200_000)), None);
        // Where nothing is said nothing is repaired.
        assert_eq!(times.mend(None, ms(200_000)), ms(200_000));
        assert_eq!(times.warning(ms(200_000)), None);
        times.mend(Some(ms(0)), ms(200_001));
        assert!(times.warning(ms(200_001)).is_some_and(|w| w.starts_with("1 of")));
        times.mend(Some(ms(0)), ms(200_002));
        times.mend(Some(ms(0)), ms(260_000));
        assert_eq!(times.warning(ms(260_000)), None);
        assert!(times.warning(ms(260_001)).is_some_and(|w| w.starts_with("2 of")));
    }
}
