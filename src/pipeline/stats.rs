//! Frame accounting: nothing is lost silently.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::item::{Gone, Item};
use super::warning::Warning;

/// Latencies kept for the percentiles: the newest so many, and those of so much time before the newest.
const LATENCIES: usize = 1024;
const RECENT: Duration = Duration::from_secs(60);

/// What became of every item of a line.
///
/// At the end `received = delivered + dropped + lost`; while the line runs, the rest is in flight: see [`Ledger`](super::Ledger).
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Items the source gave.
    pub received: u64,
    /// Items that every sink took.
    pub delivered: u64,
    /// Items given up on purpose, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Items that could not be handled, by reason.
    pub lost: BTreeMap<&'static str, u64>,
    /// The first of the lost: name and reason, at most a hundred.
    pub lost_names: Vec<(String, String)>,
    /// Warnings seen.
    pub warnings: u64,
    /// Items of which a part was missing; delivered all the same, with a warning.
    pub incomplete: u64,
    /// The line was stopped before its source came to an end.
    pub unread: bool,
    /// Bytes of the packets delivered.
    pub packet_bytes: u64,
    /// Pixels, or time steps times channels, delivered.
    pub positions: u64,
    /// When the newest items came to their end, and how long that took since the source gave them.
    pub latencies: VecDeque<(Instant, Duration)>,
    /// Items on their way, counted by themselves.
    pub(super) aboard: u64,
}

impl Report {
    /// Whether anything that was asked for is missing.
    pub fn has_losses(&self) -> bool {
        self.lost_count() > 0 || self.incomplete > 0 || self.unread
    }

    /// Items lost, whatever the reason.
    pub fn lost_count(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Items dropped, whatever the reason.
    pub fn dropped_count(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Items that are still on their way.
    pub fn in_flight(&self) -> u64 {
        self.aboard
    }

    /// Items that neither ended nor are on their way: there should be none.
    pub fn unaccounted(&self) -> i64 {
        let found = self.delivered + self.dropped_count() + self.lost_count() + self.aboard;
        self.received as i64 - found as i64
    }

    /// The latency that a share `p` of the newest items stays under; zero if there are none.
    pub fn latency(&self, p: f64) -> Duration {
        let mut sorted: Vec<_> = self.latencies.iter().map(|l| l.1).collect();
        sorted.sort();
        let at = (p * sorted.len() as f64) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// Counts an item at the end of its way.
    pub(super) fn count(&mut self, item: &Item, since: Instant) {
        self.warnings += item.warnings.len() as u64;
        self.incomplete += u64::from(item.warnings.iter().any(Warning::is_missing));
        match &item.gone {
            None => {
                self.delivered += 1;
                self.packet_bytes += item.packet.as_ref().map_or(0, |p| p.payload.len() as u64);
                let extent = item.packet.as_ref().map(|p| p.header.extent);
                self.positions += extent.map_or(0, |[a, b]| a as u64 * b as u64);
                let now = Instant::now();
                let old = |l: &(Instant, Duration)| now - l.0 > RECENT;
                while self.latencies.len() == LATENCIES || self.latencies.front().is_some_and(old) {
                    self.latencies.pop_front();
                }
                self.latencies.push_back((now, now - since));
            }
            Some(Gone::Dropped(why)) => *self.dropped.entry(why).or_default() += 1,
            Some(Gone::Lost(why, what)) => {
                *self.lost.entry(why).or_default() += 1;
                if self.lost_names.len() < 100 {
                    self.lost_names.push((item.name.clone(), what.clone()));
                }
            }
        }
    }
}
