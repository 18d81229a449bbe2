//! Segments: their names, and what is known of those that are not being written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::contents::{Contents, Place};
use super::tombstone::Tombstone;

/// Ending of a segment that is being written.
pub(super) const OPEN: &str = "open";
/// Ending of a segment that is closed.
pub(super) const CLOSED: &str = "tamis";
/// Ending of a segment that is written anew.
pub(super) const PART: &str = "part";
/// Digits of a number in a name: names in order are segments in order.
const DIGITS: usize = 20;

/// Where a segment stands.
pub(super) fn path(folder: &Path, number: u64, ending: &str) -> PathBuf {
    folder.join(format!("{number:0DIGITS$}.{ending}"))
}

/// Number and ending of a segment's name; `None` if it is none.
pub(super) fn parse(name: &str) -> Option<(u64, &str)> {
    let (digits, ending) = name.split_once('.')?;
    let number = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let known = [OPEN, CLOSED, PART].contains(&ending);
    if number && known { Some((digits.parse().ok()?, ending)) } else { None }
}

/// A closed segment.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Its number: the index of the first packet it was made for.
    pub number: u64,
    pub contents: Contents,
    pub bytes: u64,
    /// When it was closed, on the clock of the store.
    pub closed: Duration,
    /// Most groups of a packet, where known.
    pub groups: Option<usize>,
    /// What a tombstone says has happened to it, but has not yet.
    pub owed: Option<Owed>,
    /// Whether it is being read by someone who does not hold the lock.
    pub busy: bool,
}

impl Segment {
    pub fn new(number: u64, contents: Contents, bytes: u64, closed: Duration) -> Self {
        Self { number, contents, bytes, closed, groups: None, owed: None, busy: false }
    }
}

/// A deed that a tombstone stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    /// It goes.
    Removal,
    /// What lies beside it takes its place.
    Thinner { bytes: u64, groups: usize },
}

/// A segment that could not be written on or closed. What is in it is saved when the disk works again.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    pub number: u64,
    /// Bytes that count; behind them may stand a packet that was refused.
    pub upto: u64,
    /// Length of the file, as far as it is known.
    pub bytes: u64,
    /// What was written, where known.
    pub expected: Option<Contents>,
    /// Whether what was written may not be what is on disk, though it can be read.
    pub doubtful: bool,
    /// Whether what is lost of it stands on a tombstone.
    pub mourned: bool,
    /// Tombstones that may tell of it.
    pub told: Vec<Tombstone>,
}

impl Broken {
    /// One that was found so, with this length.
    pub fn found(number: u64, bytes: u64) -> Self {
        let (expected, told) = (None, Vec::new());
        Self { number, upto: bytes, bytes, expected, doubtful: false, mourned: false, told }
    }

    /// Packets that were torn, but for those that stand on a tombstone as they were refused.
    pub fn torn(&self, damage: &[Place]) -> u64 {
        let covers = |t: &Tombstone, d: &Place| {
            let (first, last) = (d.first.max(self.number), d.last.max(self.number));
            t.groups_left == 0 && t.first_index <= first && last <= t.last_index
        };
        let refused = |d: &Place| self.told.iter().any(|t| covers(t, d));
        damage.iter().filter(|d| d.packet && !refused(d)).count() as u64
    }
}
