//! The segments of one stream: which is where, and what is due.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::merge::{Merged, merge};
use super::scan::scan;
use super::segment::{Counts, Entry, LATE, MAIN, PARTS, Segment, bits, parse, path};
use super::status::StreamStatus;
use crate::error::{Error, Result};
use crate::pipeline::store::Disk;

/// Bytes and packets from which on another segment is begun, with a packet that stands alone.
const FULL: (u64, usize) = (4 << 20, 1 << 14);
/// The same with any packet.
const MOST: (u64, usize) = (64 << 20, 1 << 16);
/// Bytes that are joined at once.
const JOIN: u64 = 8 << 20;
/// Nothing came for so long: what came late is joined.
const QUIET: Duration = Duration::from_secs(2);
/// Nothing came for so long: the segment gets its index, and is read again when it is needed.
const SILENT: Duration = Duration::from_secs(60);
/// What came late waits no longer, if it is much or not.
const WAITS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// One folder of an archive.
pub(super) struct Stream {
    pub disk: Arc<dyn Disk>,
    pub folder: PathBuf,
    pub segments: BTreeMap<u64, Segment>,
    pub error: Option<String>,
    /// Nothing is joined before, after an error.
    rest: Duration,
}

impl Stream {
    /// What is in a folder, which is not looked through yet.
    pub fn open(disk: Arc<dyn Disk>, folder: PathBuf) -> Result<Self> {
        let io = |e| Error::io(&folder, e);
        let mut segments: BTreeMap<u64, Segment> = BTreeMap::new();
        for entry in disk.list(&folder).map_err(io)? {
            let Some((number, ending)) = parse(&entry.name) else { continue };
            if PARTS.contains(&ending) {
                // Left by a crash; the files they should have replaced are there.
                disk.remove(&path(&folder, number, ending)).map_err(io)?;
                continue;
            }
            let segment = segments.entry(number).or_default();
            match ending {
                MAIN => segment.bytes = entry.bytes,
                _ => segment.late = entry.bytes,
            }
        }
        Ok(Self { disk, folder, segments, error: None, rest: Duration::ZERO })
    }

    /// In numbers.
    pub fn status(&self) -> StreamStatus {
        let mut status = StreamStatus { error: self.error.clone(), ..StreamStatus::default() };
        for segment in self.segments.values() {
            status.bytes += segment.bytes + segment.late;
            status.late_bytes += segment.late;
            status.segments += 1;
            match &segment.counts {
                Some(counts) => status.add(counts),
                None => status.uncounted += 1,
            }
        }
        status
    }

    /// Knows what is in a segment, and that all of it outlasts a power cut.
    ///
    /// # Errors
    /// The disk's own.
    pub fn load(&mut self, number: u64) -> io::Result<()> {
        let Some(segment) = self.segments.get(&number) else { return Ok(()) };
        if segment.entries.is_some() && !segment.doubtful {
            return Ok(());
        }
        let mut entries: BTreeMap<u64, Entry> = BTreeMap::new();
        let [main, late] = [MAIN, LATE].map(|e| {
            scan(self.disk.as_ref(), &path(&self.folder, number, e), |header, packet| {
                let new = Entry::new(header, &packet);
                entries.entry(packet.stamp.index).or_insert(new).groups |= bits(&packet);
                Ok(())
            })
        });
        let (main, late) = (main?, late?);
        let now = self.disk.now();
        let Some(segment) = self.segments.get_mut(&number) else { return Ok(()) };
        (segment.bytes, segment.late) = (main.bytes, late.bytes);
        if late.bytes > segment.waiting {
            segment.since.get_or_insert(now);
        }
        segment.counts = Some(Counts::of(&entries));
        segment.entries = Some(entries);
        // What a crash left: the end of a segment may be a piece of a packet.
        let torn = main.damaged || late.damaged || (main.bytes > 0 && !main.complete);
        if torn || segment.doubtful {
            self.join(number)?;
        }
        Ok(())
    }

    /// Writes a segment anew, with what came late.
    ///
    /// # Errors
    /// The disk's own; then it is as it was.
    pub fn join(&mut self, number: u64) -> io::Result<()> {
        let now = self.disk.now();
        let done = merge(self.disk.as_ref(), &self.folder, number);
        let Some(segment) = self.segments.get_mut(&number) else { return Ok(()) };
        match done {
            Ok(Merged { bytes, late, last }) => {
                (segment.bytes, segment.late, segment.last) = (bytes, late, last);
                (segment.waiting, segment.since) = (late, None);
                (segment.grows, segment.doubtful) = (false, false);
                Ok(())
            }
            Err(e) => {
                // Perhaps the segment is the new one, and what was late still there: to be read again.
                (segment.entries, segment.grows) = (None, false);
                self.error = Some(e.to_string());
                self.rest = now + WAITS[0];
                Err(e)
            }
        }
    }

    /// The segment that a packet belongs to, and whether it is yet to be begun.
    ///
    /// # Errors
    /// The disk's own.
    pub fn place(&mut self, index: u64, alone: bool) -> io::Result<(u64, bool)> {
        let Some(number) = self.segments.range(..=index).next_back().map(|(&n, _)| n) else {
            return Ok((index, true));
        };
        self.load(number)?;
        let Some(segment) = self.segments.get(&number) else { return Ok((index, true)) };
        let entries = segment.entries.as_ref();
        let behind = entries.and_then(|e| e.last_key_value()).is_none_or(|(&last, _)| index > last);
        let count = entries.map_or(0, BTreeMap::len);
        let size = segment.bytes + segment.late;
        let over = |(bytes, packets): (u64, usize)| size >= bytes || count >= packets;
        // One that has its index is not written anew for every packet, if it is worth a file.
        let ended = !segment.grows && size >= FULL.0 / 4;
        let begins = behind && index > number && (alone && (over(FULL) || ended) || over(MOST));
        Ok(if begins { (index, true) } else { (number, false) })
    }

    /// Joins what is due after something was added to segments.
    pub fn added(&mut self, touched: &[u64]) {
        for &number in touched {
            let Some(segment) = self.segments.get(&number) else { continue };
            if segment.late - segment.waiting.min(segment.late) >= JOIN {
                // What could not be joined now will be.
                let _ = self.join(number);
            }
        }
    }

    /// Joins and closes what is due; looks through one segment that nobody has looked through. Whether anything was done.
    pub fn tick(&mut self) -> bool {
        let now = self.disk.now();
        if now < self.rest {
            return false;
        }
        let due: Vec<u64> =
            self.segments.iter().filter(|(_, s)| s.is_due(now)).map(|(&n, _)| n).collect();
        // The one that is written to is the last; those before it are full.
        let newest = self.segments.last_key_value().map(|(&n, _)| n);
        let full = self.segments.iter().filter(|(n, s)| s.grows && Some(**n) != newest);
        let full: Vec<u64> =
            full.filter(|(_, s)| now >= s.touched + QUIET).map(|(&n, _)| n).collect();
        let mut done = false;
        for number in due.into_iter().chain(full) {
            done = true;
            // One that cannot be joined now does not keep others waiting.
            let _ = self.load(number).and_then(|()| self.join(number));
        }
        for segment in self.segments.values_mut() {
            if segment.since.is_none() && !segment.grows && now >= segment.touched + SILENT {
                segment.entries = None;
            }
        }
        let unknown = self.segments.iter().find(|(_, s)| s.counts.is_none()).map(|(&n, _)| n);
        let Some(number) = unknown else { return done };
        if let Err(e) = self.load(number) {
            self.error = Some(e.to_string());
            self.rest = now + WAITS[0];
            // It is not counted, but others are.
            if let Some(segment) = self.segments.get_mut(&number) {
                segment.counts.get_or_insert_default();
            }
        }
        if let Some(segment) = self.segments.get_mut(&number).filter(|s| s.since.is_none()) {
            segment.entries = None;
        }
        true
    }

    /// Joins and closes everything.
    pub fn close(&mut self) -> bool {
        let open = self.segments.iter().filter(|(_, s)| s.grows || s.late > s.waiting);
        let open: Vec<u64> = open.map(|(&n, _)| n).collect();
        for number in open {
            // What cannot be joined now is at the next start.
            let _ = self.load(number).and_then(|()| self.join(number));
        }
        true
    }
}

impl Segment {
    /// Whether what came late is to be joined, or the end has come.
    fn is_due(&self, now: Duration) -> bool {
        let silent = self.grows && now >= self.touched + SILENT;
        let Some(since) = self.since else { return silent };
        let much = 4 * (self.late - self.waiting.min(self.late)) >= self.bytes;
        silent
            || now >= self.touched + QUIET
            || much && now >= since + WAITS[0]
            || now >= since + WAITS[1]
    }
}
