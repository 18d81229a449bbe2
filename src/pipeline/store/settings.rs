//! What a store is told.

use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};

/// What is given up when the store is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The oldest segment.
    #[default]
    Oldest,
    /// What comes.
    Deny,
    /// The outer groups of the oldest segments, then the oldest segment.
    Thin,
}

/// How a store is written and what it may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Bytes from which on a segment ends. All that are written at once take a quarter of the
    /// store at most.
    pub segment_bytes: u64,
    /// Time after which a segment ends.
    pub segment_time: Duration,
    /// Longest time that what was written waits to be synced.
    pub sync: Duration,
    /// Bytes that all files of the store may take. A segment being cut has a copy beside it, which
    /// is not counted.
    pub quota_bytes: u64,
    /// Bytes that stay free on the file system.
    pub keep_free_bytes: u64,
    /// What is given up when one of both is reached.
    pub policy: Policy,
    /// Segments that are so old keep so many groups, whether room is needed or not; 0 removes them.
    pub staircase: Vec<(Duration, usize)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            segment_time: Duration::from_secs(60),
            sync: Duration::from_millis(500),
            quota_bytes: 1 << 30,
            keep_free_bytes: 128 << 20,
            policy: Policy::default(),
            staircase: Vec::new(),
        }
    }
}

impl Settings {
    /// Groups that a segment of this age keeps; `None` if all.
    pub(super) fn groups_at(&self, age: Duration) -> Option<usize> {
        self.staircase.iter().filter(|(from, _)| age >= *from).map(|&(_, groups)| groups).min()
    }
}

/// Name of the file that is locked.
pub(super) const LOCK: &str = "lock";
/// Longest name of a stream.
const NAME: usize = 64;

/// Whether this is the name of a stream.
pub(super) fn is_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    // The store's own lock stands beside the streams.
    (1..=NAME).contains(&name.len())
        && name != LOCK
        && !name.starts_with('.')
        && name.bytes().all(letter)
}

/// Refuses a name that is none: names become folders.
///
/// # Errors
/// `Config` if so.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    let reason =
        "a name has 1 to 64 of A-Z a-z 0-9 . _ -, does not begin with a dot, and is not `lock`";
    Err(Error::config(format!("stream {name:?}"), reason))
}
