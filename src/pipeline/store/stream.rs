//! The segments of one stream.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::contents::Contents;
use super::disk::{Disk, is_full};
use super::open::{Closed, Open};
use super::segment::{Broken, Segment};
use super::stones::Stones;
use super::tombstone::{GivenUp, Reason, Tombstone, add};

/// First and longest wait after an error of the disk.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// One folder of the store.
pub(super) struct Stream {
    pub name: String,
    pub folder: PathBuf,
    /// Closed segments, oldest first.
    pub segments: VecDeque<Segment>,
    /// Bytes of these.
    pub closed_bytes: u64,
    pub broken: Vec<Broken>,
    pub open: Option<Open>,
    pub stones: Stones,
    /// Bytes of files that are none of ours.
    pub other_bytes: u64,
    /// Index after the last that was stored or given up.
    pub next: u64,
    /// Whether someone writes it.
    pub taken: bool,
    pub wish: Arc<AtomicBool>,
    /// No segment is begun before.
    pub not_before: Duration,
    wait: Duration,
    /// Packets refused, not yet on a tombstone.
    pub refused: BTreeMap<Reason, Tombstone>,
    pub refused_since: Option<Duration>,
    /// Tombstones of deeds that are done: there was no room for them before.
    pub late: Vec<Tombstone>,
    /// Why there is no open segment, if something is wrong.
    pub stopped: Reason,
    /// Whether names changed and it is not sure that they outlast a power cut.
    pub unsure: bool,
    /// The last error, for people.
    pub error: Option<String>,
}

impl Stream {
    pub fn new(name: String, folder: PathBuf, stones: Stones) -> Self {
        Self {
            name,
            folder,
            segments: VecDeque::new(),
            closed_bytes: 0,
            broken: Vec::new(),
            open: None,
            next: stones.last_index().map_or(0, |last| last.saturating_add(1)),
            stones,
            other_bytes: 0,
            taken: false,
            wish: Arc::default(),
            not_before: Duration::ZERO,
            wait: WAITS[0],
            refused: BTreeMap::new(),
            refused_since: None,
            late: Vec::new(),
            stopped: Reason::Error,
            unsure: false,
            error: None,
        }
    }

    /// Bytes on disk, with the index that the open segment will need.
    pub fn bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, Open::bytes_closed);
        let broken: u64 = self.broken.iter().map(|b| b.bytes).sum();
        self.closed_bytes + open + broken + self.stones.bytes() + self.other_bytes
    }

    /// Puts a closed segment in its place.
    pub fn insert(&mut self, segment: Segment) {
        self.closed_bytes += segment.bytes;
        self.saw(&segment.contents);
        let at = self.segments.partition_point(|s| s.number < segment.number);
        self.segments.insert(at, segment);
    }

    /// Numbers go on behind these.
    pub fn saw(&mut self, contents: &Contents) {
        if contents.packets > 0 {
            self.next = self.next.max(contents.last.saturating_add(1));
        }
    }

    /// Closes the open segment, if there is one; what cannot be closed is broken.
    pub fn close(&mut self, disk: &dyn Disk, time: Duration) {
        let Some(open) = self.open.take() else { return };
        match open.close(disk, &self.folder, time) {
            Closed::Whole(segment) => self.insert(segment),
            Closed::Gone => {}
            Closed::Broken(broken, e) => {
                self.broken.push(broken);
                self.failed(&e, disk.now());
                return;
            }
        }
        self.settle(disk);
    }

    /// Leaves the open segment as it is, after an error.
    pub fn abandon(&mut self, doubtful: bool, e: &io::Error, now: Duration) {
        self.broken.extend(self.open.take().map(|open| open.abandon(doubtful)));
        self.failed(e, now);
    }

    /// The disk failed: it is left alone for a while, longer each time. If it is full, room is made
    /// for the next packet.
    pub fn failed(&mut self, e: &io::Error, now: Duration) {
        self.error = Some(e.to_string());
        self.stopped = Reason::Error;
        if is_full(e) {
            return;
        }
        self.not_before = now + self.wait;
        self.wait = (self.wait * 2).min(WAITS[1]);
    }

    /// The disk works.
    pub fn worked(&mut self) {
        self.wait = WAITS[0];
    }

    /// Makes sure that names outlast a power cut; if that fails it is tried again later.
    pub fn settle(&mut self, disk: &dyn Disk) {
        self.unsure = disk.sync_folder(&self.folder).is_err();
    }

    /// Notes packets that were not taken.
    pub fn refuse(
        &mut self,
        reason: Reason,
        index: u64,
        bytes: u64,
        utc: SystemTime,
        now: Duration,
    ) {
        let stone = Tombstone {
            utc,
            segment: None,
            first_index: index,
            last_index: index,
            packets: 1,
            bytes,
            groups_left: 0,
            reason,
        };
        match self.refused.get_mut(&reason) {
            Some(sum) => sum.join(&stone),
            None => drop(self.refused.insert(reason, stone)),
        }
        self.refused_since.get_or_insert(now);
    }

    /// Writes down what was refused and what is late.
    ///
    /// # Errors
    /// If some could not be: it is kept for later.
    pub fn write_down(&mut self, disk: &dyn Disk) -> io::Result<()> {
        while let Some(stone) = self.late.first() {
            self.stones.set(disk, stone)?;
            self.late.remove(0);
        }
        while let Some((reason, stone)) = self.refused.pop_first() {
            if let Err(e) = self.stones.set(disk, &stone) {
                self.refused.insert(reason, stone);
                return Err(e);
            }
        }
        self.refused_since = None;
        Ok(())
    }

    /// All that was given up, also what is not yet on a tombstone.
    pub fn given_up(&self) -> GivenUp {
        let mut sums = self.stones.sums().clone();
        self.late.iter().chain(self.refused.values()).for_each(|stone| add(&mut sums, stone));
        sums
    }

    /// Says whether the next packet should stand alone.
    pub fn set_wish(&self, wish: bool) {
        self.wish.store(wish, Ordering::Relaxed);
    }
}
