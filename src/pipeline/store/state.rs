//! All that the store knows, behind one lock.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::disk::{Disk, is_full};
use super::segment::{CLOSED, Owed, PART, path};
use super::settings::Settings;
use super::stream::Stream;
use super::thin::Thinner;
use super::tombstone::{Reason, Tombstone};

/// How often the file system is asked for its free bytes.
const ASK: Duration = Duration::from_secs(1);

pub(super) struct State {
    pub disk: Arc<dyn Disk>,
    pub settings: Settings,
    pub folder: PathBuf,
    pub streams: Vec<Stream>,
    /// Free bytes as they were when asked for, less what was written since.
    pub free: Option<u64>,
    asked: Option<Duration>,
    /// What is to be added to the disk's clock to get the store's, which began in 1970 once.
    zero: Duration,
    /// No segment is thinned or repaired by [`super::Store::tick`] before.
    pub rest: Duration,
}

impl State {
    pub fn new(disk: Arc<dyn Disk>, settings: Settings, folder: PathBuf) -> Self {
        let utc = disk.utc().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let zero = utc.saturating_sub(disk.now());
        let (streams, free, asked) = (Vec::new(), None, None);
        Self { disk, settings, folder, streams, free, asked, zero, rest: Duration::ZERO }
    }

    /// The store's clock: no jump of the clock on the wall makes what it closed old.
    pub fn time(&self) -> Duration {
        self.zero + self.disk.now()
    }

    /// Bytes that all files take.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().map(Stream::bytes).sum()
    }

    /// Bytes of a segment from which on it is due: all that are open together take no more than a
    /// quarter of the store.
    pub fn segment_bytes(&self) -> u64 {
        let writers = self.streams.iter().filter(|s| s.taken).count().max(1) as u64;
        self.settings.segment_bytes.min(self.settings.quota_bytes / (4 * writers)).max(1)
    }

    /// Whether the open segment should end.
    pub fn is_due(&self, s: usize, now: Duration) -> bool {
        self.streams[s].open.as_ref().is_some_and(|open| {
            open.bytes >= self.segment_bytes()
                || now.saturating_sub(open.since) >= self.settings.segment_time
        })
    }

    /// Asks for the free bytes, if that is some time ago or `sure` is set.
    pub fn ask_free(&mut self, sure: bool) {
        let now = self.disk.now();
        if !sure && self.asked.is_some_and(|at| now.saturating_sub(at) < ASK) {
            return;
        }
        self.asked = Some(now);
        self.free = self.disk.free_bytes(&self.folder).ok();
    }

    /// Notes bytes that were written.
    pub fn wrote(&mut self, bytes: u64) {
        self.free = self.free.map(|free| free.saturating_sub(bytes));
    }

    /// Gives up the `k`th closed segment of a stream.
    ///
    /// # Errors
    /// If the disk fails. The tombstone may stand by then; the deed is owed.
    pub fn give_up(&mut self, s: usize, k: usize, reason: Reason) -> io::Result<()> {
        let disk = self.disk.clone();
        let stream = &mut self.streams[s];
        let segment = &stream.segments[k];
        let bytes = match segment.owed {
            Some(Owed::Thinner { bytes, .. }) => bytes,
            _ => segment.bytes,
        };
        let stone = Tombstone {
            utc: disk.utc(),
            segment: Some(segment.number),
            first_index: segment.contents.first,
            last_index: segment.contents.last,
            packets: segment.contents.packets,
            bytes,
            groups_left: 0,
            reason,
        };
        match stream.stones.set(disk.as_ref(), &stone) {
            Ok(()) => {}
            // The disk is so full that not even a line fits: here, and only here, the deed comes first.
            Err(e) if is_full(&e) => stream.late.push(stone),
            Err(e) => return Err(e),
        }
        stream.segments[k].owed = Some(Owed::Removal);
        self.pay(s, k)?;
        // What is kept for later is no failure now.
        let stream = &mut self.streams[s];
        if !stream.late.is_empty() {
            let _ = stream.write_down(disk.as_ref());
        }
        Ok(())
    }

    /// Puts a cut segment in the place of the `k`th closed one of a stream.
    ///
    /// # Errors
    /// As [`Self::give_up`].
    pub fn thin(&mut self, s: usize, k: usize, thinner: Thinner, reason: Reason) -> io::Result<()> {
        let disk = self.disk.clone();
        let stream = &mut self.streams[s];
        let segment = &mut stream.segments[k];
        let stone = Tombstone {
            utc: disk.utc(),
            segment: Some(segment.number),
            first_index: thinner.contents.first,
            last_index: thinner.contents.last,
            packets: thinner.packets,
            bytes: segment.bytes.saturating_sub(thinner.bytes),
            groups_left: thinner.groups,
            reason,
        };
        if let Err(e) = stream.stones.set(disk.as_ref(), &stone) {
            // What stays is removed at the next start.
            let _ = disk.remove(&path(&stream.folder, segment.number, PART));
            return Err(e);
        }
        segment.owed = Some(Owed::Thinner { bytes: thinner.bytes, groups: thinner.groups });
        self.pay(s, k)
    }

    /// Does what the `k`th closed segment of a stream is owed.
    ///
    /// # Errors
    /// If the disk fails: it is still owed.
    pub fn pay(&mut self, s: usize, k: usize) -> io::Result<()> {
        let disk = self.disk.clone();
        let stream = &mut self.streams[s];
        let segment = &mut stream.segments[k];
        let [closed, part] = [CLOSED, PART].map(|e| path(&stream.folder, segment.number, e));
        let before = segment.bytes;
        let after = match segment.owed {
            None => return Ok(()),
            Some(Owed::Removal) => {
                match disk.remove(&closed) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
                // It is there if it should have taken its place.
                let _ = disk.remove(&part);
                stream.segments.remove(k);
                0
            }
            Some(Owed::Thinner { bytes, groups }) => {
                disk.rename(&part, &closed)?;
                (segment.owed, segment.groups, segment.bytes) = (None, Some(groups), bytes);
                bytes
            }
        };
        stream.closed_bytes = stream.closed_bytes - before + after;
        stream.settle(disk.as_ref());
        self.free = self.free.map(|free| free.saturating_add(before.saturating_sub(after)));
        Ok(())
    }
}
