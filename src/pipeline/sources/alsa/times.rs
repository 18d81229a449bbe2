//! When sound was captured: reckoned from its samples, led by what the driver says.

use std::time::Duration;

/// A time of capture may lie so far behind its arrival: more does not wait in a device.
const LATE: Duration = Duration::from_secs(10);
/// It may lie so far ahead of it: clocks are not read at once.
const EARLY: Duration = Duration::from_millis(100);
/// Where less time lies between two pieces than that, or the time of two periods, nothing is missing: what the driver
/// says of times is no finer.
const FINE: Duration = Duration::from_millis(100);
/// The part of a difference that a piece makes good, and of its own length at most: quartzes differ.
const PART: u32 = 16;
const STRETCH: u32 = 4;
/// So many pieces in a row that are said to be early are.
const STAYS: u32 = 25;
/// How often repairs are spoken of, at most.
const SPEAK: Duration = Duration::from_secs(60);

/// Follows the times of a sound, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Where the sound goes on, if there is one.
    next: Option<Duration>,
    /// Where the last sound ended.
    last: Duration,
    /// It is known that something is missing before the next piece.
    broken: bool,
    /// Pieces in a row that were said to begin long before the one before them ended.
    behind: u32,
    repaired: u64,
    spoke: Option<Duration>,
}

/// Where a piece of sound lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it begins. Units: since boot.
    pub begin: Duration,
    /// What is missing before it.
    pub missing: Duration,
}

impl Times {
    /// The sound broke off and goes on: before the next piece something is missing.
    pub fn breaks(&mut self) {
        self.broken = self.next.is_some();
    }

    /// The sound has ended; another may begin at any time after it.
    pub fn end(&mut self) {
        (self.next, self.broken) = (None, false);
    }

    /// Where a piece lies that is `length` long and arrived at `arrival`, when the driver says that it began at `said`.
    ///
    /// Units: since boot.
    pub fn place(
        &mut self,
        said: Option<Duration>,
        arrival: Duration,
        length: Duration,
        period: Duration,
    ) -> Place {
        let good = |t: &Duration| *t <= arrival + EARLY && t.saturating_add(LATE) >= arrival;
        let believed = said.filter(good);
        // Without a word of the driver it is reckoned from the arrival, which is never early.
        let reckoned = arrival.saturating_sub(length);
        let time = believed.unwrap_or(reckoned);
        let broken = std::mem::take(&mut self.broken);
        let mut odd = said.is_some() && believed.is_none();
        let (mut begin, mut missing) = match self.next {
            None => (time, Duration::ZERO),
            Some(next) if broken => (time, time.saturating_sub(next)),
            Some(next) if odd => (next, Duration::ZERO),
            Some(next) => {
                let fine = FINE.max(2 * period);
                let (ahead, behind) = (time.saturating_sub(next), next.saturating_sub(time));
                let most = length / STRETCH;
                if ahead > fine && believed.is_some() {
                    (time, ahead)
                } else if behind > fine && believed.is_some() {
                    // A clock that jumped is not followed; one that stays there was right.
                    self.behind += 1;
                    odd = true;
                    let back = if self.behind > STAYS { most } else { Duration::ZERO };
                    (next.saturating_sub(back), Duration::ZERO)
                } else {
                    // One of the two is nothing.
                    self.behind = 0;
                    let begin = next + (ahead / PART).min(most);
                    (begin.saturating_sub((behind / PART).min(most)), Duration::ZERO)
                }
            }
        };
        if missing > Duration::ZERO || broken {
            self.behind = 0;
        }
        // No sound ends after it is there, nor begins before the one before it ended.
        let latest = (arrival + EARLY).saturating_sub(length);
        begin = begin.min(latest);
        if self.next.is_none() || !missing.is_zero() || broken {
            begin = begin.max(self.last);
        } else {
            begin = begin.max(self.last.saturating_sub(length / STRETCH));
        }
        missing = missing.min(begin.saturating_sub(self.last));
        self.repaired += u64::from(odd);
        self.last = begin + length;
        self.next = Some(self.last);
        Place { begin, missing }
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
            "{n} of the microphone's times of capture went back or jumped: they are reckoned from the samples"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: Duration = Duration::from_millis(40);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Where pieces lie, of when they were said to begin; each arrives 5 ms after its end.
    fn play(times: &mut Times, said: u64) -> (u64, u64) {
        let place = times.place(Some(ms(said)), ms(said + 45), PIECE, PIECE);
        (place.begin.as_millis() as u64, place.missing.as_millis() as u64)
    }

    #[test]
    fn times_follow_the_samples_and_gaps_are_found() {
        let mut times = Times::default();
        assert_eq!(play(&mut times, 10_000), (10_000, 0));
        assert_eq!(play(&mut times, 10_040), (10_040, 0));
        // Said 16 ms late: a part of it is believed, and taken back.
        assert_eq!(play(&mut times, 10_096), (10_081, 0));
        assert_eq!(play(&mut times, 10_121), (10_121, 0));
        // Half a second is missing.
        assert_eq!(play(&mut times, 10_661), (10_661, 500));
        assert_eq!(play(&mut times, 10_701), (10_701, 0));
        // After a break all that is missing counts, however little.
        times.breaks();
        assert_eq!(play(&mut times, 10_753), (10_753, 12));
        times.breaks();
        assert_eq!(play(&mut times, 10_780), (10_793, 0));
        assert_eq!(times.warning(ms(10_800)), None);
        // Another sound begins anywhere.
        times.end();
        times.breaks();
        assert_eq!(play(&mut times, 99_000), (99_000, 0));
    }

    #[test]
    fn times_that_jump_are_reckoned_from_the_samples() {
        let mut times = Times::default();
        let at = |said: Option<u64>, arrival| (said.map(ms), ms(arrival));
        let mut last = Duration::ZERO;
        let said = [
            at(Some(50_000), 50_045),
            at(Some(40_100), 50_085),
            at(Some(49_800), 50_125),
            at(Some(0), 50_165),
            at(Some(4_000_000), 50_205),
            at(None, 50_245),
            at(Some(50_240), 50_285),
        ];
        for (i, (said, arrival)) in said.into_iter().enumerate() {
            let place = times.place(said, arrival, PIECE, PIECE);
            assert_eq!(place.missing, Duration::ZERO, "{i}");
            assert!(place.begin.abs_diff(ms(50_000 + 40 * i as u64)) < ms(2), "{i}: {place:?}");
            assert!(place.begin > last, "{i}");
            last = place.begin;
        }
        assert!(times.warning(ms(50_300)).is_some_and(|w| w.starts_with("4 of")));
        times.place(Some(ms(0)), ms(50_325), PIECE, PIECE);
        assert_eq!(times.warning(ms(50_400)), None);
        assert!(times.warning(ms(110_300)).is_some_and(|w| w.starts_with("1 of")));
    }

    #[test]
    fn a_gap_that_was_none_is_made_good_in_a_while() {
        let mut times = Times::default();
        assert_eq!(play(&mut times, 10_000), (10_000, 0));
        assert_eq!(play(&mut times, 10_540), (10_540, 500));
        let mut last = 10_540;
        for i in 0..200 {
            // What was missing comes at once, and the rest in time.
            let (said, arrival) = (10_080 + 40 * i, 10_700 + 40 * i);
            let place = times.place(Some(ms(said)), ms(arrival), PIECE, PIECE);
            let begin = place.begin.as_millis() as u64;
            assert!(begin > last && place.missing.is_zero(), "{i}");
            assert!(i < 150 || begin - said < 30, "{i}: {begin} {said}");
            last = begin;
        }
    }

    #[test]
    fn quartzes_that_differ_leave_no_gap_and_no_time_goes_back() {
        for percent in [99.0, 99.99, 100.01, 101.0] {
            let (mut times, mut last) = (Times::default(), Duration::ZERO);
            for i in 0..20_000_u64 {
                let real = 100.0 + 0.04 * i as f64 * percent / 100.0;
                // Times of a device are no finer than what it gives at once.
                let said = real + 0.01 * ((i * 7919) % 10) as f64 / 10.0;
                let arrival = Duration::from_secs_f64(real + 0.06);
                let said = Some(Duration::from_secs_f64(said));
                let place = times.place(said, arrival, PIECE, ms(10));
                assert_eq!(place.missing, Duration::ZERO, "{percent}: {i}");
                assert!(place.begin > last);
                assert!((place.begin.as_secs_f64() - real).abs() < 0.03, "{percent}: {i}");
                last = place.begin;
            }
            assert_eq!(times.warning(ms(1 << 40)), None);
        }
    }
}
