//! What was acknowledged, kept beside what is stored.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::spans::Spans;
use crate::pipeline::store::Disk;

/// Name of the file.
const NAME: &str = "uplink.json";
/// Name while it is written.
const PART: &str = "uplink.json.part";
/// Largest file read.
const MOST: u64 = 64 << 20;
/// Groups of a packet at most.
pub(super) const GROUPS: usize = 15;

/// The books of all streams.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Books {
    /// Who acknowledged: another receiver has nothing yet.
    pub to: String,
    pub streams: BTreeMap<String, Book>,
}

/// The book of one stream.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Book {
    /// Groups that packets of the stream have, as its newest header says; 0 until one was read.
    pub groups: usize,
    /// Bytes that each group took, of the newest packets: what is left is estimated by them.
    pub weights: Vec<u64>,
    /// Of each group, the places where nothing is left to send.
    done: Vec<Spans>,
}

/// Places of which these groups were sent, or are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub groups: Range<usize>,
    pub first: u64,
    pub last: u64,
}

impl Book {
    /// Notes that nothing of this is left to send.
    pub fn add(&mut self, done: &Done) {
        let end = done.groups.end.min(GROUPS);
        if self.done.len() < end {
            self.done.resize(end, Spans::default());
        }
        for g in done.groups.start..end {
            self.done[g].add(done.first, done.last);
        }
    }

    /// Whether nothing of these groups is left to send, from place to place.
    pub fn has(&self, groups: Range<usize>, first: u64, last: u64) -> bool {
        let groups = groups.start..groups.end.min(GROUPS);
        groups.into_iter().all(|g| self.done.get(g).is_some_and(|d| d.has(first, last)))
    }

    /// Of these groups, from the first to the last that is to be sent of a place.
    pub fn open(&self, groups: Range<usize>, index: u64) -> Range<usize> {
        let open = |g: &usize| !self.has(*g..*g + 1, index, index);
        let first = groups.clone().find(open).unwrap_or(groups.end);
        let last = groups.rev().find(open).map_or(first, |g| g + 1);
        first..last
    }

    /// Takes in what the groups of a packet took.
    pub fn weigh(&mut self, first_group: usize, lengths: &[usize]) {
        if self.weights.len() != GROUPS {
            self.weights.resize(GROUPS, 0);
        }
        // Old packets count less and less.
        if self.weights.iter().sum::<u64>() > 64 << 20 {
            self.weights.iter_mut().for_each(|w| *w /= 2);
        }
        for (w, &len) in self.weights.iter_mut().skip(first_group).zip(lengths) {
            *w += len as u64;
        }
    }

    /// What the first `groups` took of the newest packets, in no unit; a little each where nothing is known.
    pub fn weight(&self, groups: usize) -> f64 {
        (0..groups).map(|g| 1.0 + self.weights.get(g).copied().unwrap_or(0) as f64).sum()
    }

    /// About which part of places `first` to `last` is still to be sent: all groups, by their weights.
    pub fn left(&self, first: u64, last: u64) -> f64 {
        let span = last.saturating_sub(first).saturating_add(1) as f64;
        let groups = if self.groups == 0 { 1 } else { self.groups.min(GROUPS) };
        let weight = |g: usize| 1.0 + self.weights.get(g).copied().unwrap_or(0) as f64;
        let left = |g: usize| match self.done.get(g) {
            Some(done) => 1.0 - done.count(first, last) as f64 / span,
            None => 1.0,
        };
        let all: f64 = (0..groups).map(weight).sum();
        (0..groups).map(|g| weight(g) * left(g)).sum::<f64>() / all
    }

    /// Forgets what was done, if it cannot be of the stream that ends at `newest`.
    pub fn doubt(&mut self, newest: u64) -> bool {
        let beyond = self.done.iter().filter_map(Spans::last).any(|last| last > newest);
        if beyond {
            self.done.clear();
        }
        beyond
    }
}

impl Books {
    /// Reads them; empty if there are none, if they cannot be read, or if they are those of another receiver. What
    /// is sent twice for that is kept once.
    pub fn load(disk: &dyn Disk, folder: &Path, to: &str) -> Self {
        let mut bytes = Vec::new();
        let read = disk.open(&folder.join(NAME)).and_then(|f| f.take(MOST).read_to_end(&mut bytes));
        let books = read.ok().and_then(|_| serde_json::from_slice::<Self>(&bytes).ok());
        let mut books = books.filter(|b| b.to == to).unwrap_or_default();
        books.to = to.into();
        books
    }

    /// Writes them, so that a crash leaves either these or those before.
    ///
    /// # Errors
    /// The disk's own.
    pub fn save(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(io::Error::other)?;
        let part = folder.join(PART);
        let file = disk.create(&part)?;
        file.append(&bytes)?;
        file.sync()?;
        disk.rename(&part, &folder.join(NAME))?;
        disk.sync_folder(folder)
    }
}
