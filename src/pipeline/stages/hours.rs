//! Part of the day, or of every few minutes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::codec::{Frame, Layout};
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Stage;

const DAY: u64 = 86400;
/// Times of sounds shake by less.
const SHAKE: Duration = Duration::from_millis(50);

/// Keeps what comes at some hours of the day and in the first part of every period, by the clock on the wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// Beginnings and ends, in seconds of the day; through midnight if the end is no later. All day if there are none.
    pub of_day: Vec<(u64, u64)>,
    /// How much of every period, and the period; all if there is none.
    pub part: Option<(Duration, Duration)>,
}

impl Hours {
    /// Whether a time is kept.
    ///
    /// Units: `since` counts from 1970, UTC.
    pub fn holds(&self, since: Duration) -> bool {
        let second = since.as_secs() % DAY;
        let within = |&(from, to): &(u64, u64)| match from < to {
            true => (from..to).contains(&second),
            false => second >= from || second < to,
        };
        let hour = self.of_day.is_empty() || self.of_day.iter().any(within);
        let part = self.part.is_none_or(|(on, of)| {
            let of = of.as_millis().max(1);
            since.as_millis() % of < on.as_millis()
        });
        hour && part
    }
}

impl Stage for Hours {
    fn name(&self) -> &str {
        "schedule"
    }

    fn needs(&self) -> Parts {
        Parts::NONE
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            let utc = item.stamp.utc.unwrap_or_else(SystemTime::now);
            let since = utc.duration_since(UNIX_EPOCH).unwrap_or_default();
            if !self.holds(since) {
                item.drop_for("schedule");
            } else if let Some(length) = item.frame.as_ref().and_then(length) {
                // What is kept next is another sound.
                item.end |= !self.holds(since + length) || !self.holds(since + length + SHAKE);
            }
        }
        Ok(())
    }
}

/// How long a piece of sound is.
fn length(frame: &Frame) -> Option<Duration> {
    match frame.layout {
        Layout::Audio { rate } => {
            let steps = frame.positions() as f64;
            Duration::try_from_secs_f64(steps / f64::from(rate.max(1))).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Stamp;

    #[test]
    fn a_sound_ends_where_it_is_not_kept_any_more() {
        let (on, of) = (Duration::from_secs(2), Duration::from_secs(10));
        let mut hours = Hours { of_day: Vec::new(), part: Some((on, of)) };
        let mut items: Vec<Item> = (0..24)
            .map(|i| {
                let utc = UNIX_EPOCH + Duration::from_millis(1_000_000 + 500 * i);
                let frame = Frame::audio(1000, 1, vec![0.0; 500]).expect("sound");
                Item::new(Stamp { utc: Some(utc), ..Stamp::default() }, "ear", frame)
            })
            .collect();
        hours.run(&mut items).expect("no error");
        let kept: Vec<usize> = (0..24).filter(|&i| items[i].gone.is_none()).collect();
        assert_eq!(kept, [0, 1, 2, 3, 20, 21, 22, 23]);
        let ends: Vec<usize> = (0..24).filter(|&i| items[i].end).collect();
        assert_eq!(ends, [3, 23]);
    }

    #[test]
    fn hours_of_the_day_and_parts_of_a_period() {
        let at = |h: u64, m: u64, s: u64| Duration::from_secs(20_000 * DAY + 3600 * h + 60 * m + s);
        let minute = Duration::from_secs(60);
        let hours = Hours { of_day: vec![(5 * 3600, 9 * 3600), (22 * 3600, 3600)], part: None };
        let held: Vec<bool> =
            [4, 5, 8, 9, 21, 22, 23, 0, 1].map(|h| hours.holds(at(h, 0, 0))).into();
        assert_eq!(held, [false, true, true, false, false, true, true, true, false]);
        let part = Hours { of_day: Vec::new(), part: Some((minute, 10 * minute)) };
        assert!(part.holds(at(7, 0, 59)) && part.holds(at(7, 20, 0)));
        assert!(!part.holds(at(7, 1, 0)) && !part.holds(at(7, 9, 59)));
        let both = Hours { part: part.part, ..hours };
        assert!(
            both.holds(at(6, 30, 5)) && !both.holds(at(6, 31, 5)) && !both.holds(at(12, 30, 5))
        );
    }
}
