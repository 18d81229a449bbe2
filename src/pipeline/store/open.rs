//! The segment that is being written.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::contents::Contents;
use super::disk::{Disk, Growing, is_full};
use super::segment::{Broken, CLOSED, OPEN, Segment, path};
use crate::bitstream::{Packet, StreamHeader};
use crate::pipeline::records::Records;

/// Bytes of an index: at most this many, and this many for each packet.
const INDEX: (u64, u64) = (32, 4);

/// A segment whose records are whole up to `bytes`.
pub(super) struct Open {
    pub number: u64,
    pub file: Arc<dyn Growing>,
    records: Records,
    /// A record that the records count but that is not there: no index can be written.
    torn: bool,
    pub bytes: u64,
    pub synced: u64,
    /// Since when something waits to be synced.
    pub waits: Option<Duration>,
    /// When it was begun.
    pub since: Duration,
    pub contents: Contents,
    groups: usize,
}

/// How closing went.
pub(super) enum Closed {
    Whole(Segment),
    /// It was empty and is gone.
    Gone,
    Broken(Broken, io::Error),
}

impl Open {
    /// Begins a segment with this number.
    ///
    /// # Errors
    /// If it cannot be made, or it is not sure that it outlasts a power cut; it may be there.
    pub fn create(disk: &dyn Disk, folder: &Path, number: u64) -> io::Result<Self> {
        let file = disk.create(&path(folder, number, OPEN))?;
        disk.sync_folder(folder)?;
        Ok(Self {
            number,
            file,
            records: Records::default(),
            torn: false,
            bytes: 0,
            synced: 0,
            waits: None,
            since: disk.now(),
            contents: Contents::default(),
            groups: 0,
        })
    }

    /// Bytes it will have with its index.
    pub fn bytes_closed(&self) -> u64 {
        self.bytes + INDEX.0 + INDEX.1 * self.contents.packets
    }

    /// The bytes of the next packet, to be given to [`Self::append`], then [`Self::took`].
    pub fn record(&mut self, header: &StreamHeader, packet: &Packet) -> Vec<u8> {
        self.torn = true;
        self.records.next(header, packet)
    }

    /// Writes bytes, or leaves the file as it was; the flag says that it could not be left so.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), (io::Error, bool)> {
        self.file.append(bytes).map_err(|e| {
            let cut = self.file.truncate(self.bytes);
            (e, cut.is_err())
        })
    }

    /// Counts a packet whose bytes were written.
    pub fn took(&mut self, bytes: &[u8], header: &StreamHeader, packet: &Packet, now: Duration) {
        self.torn = false;
        self.bytes += bytes.len() as u64;
        self.waits.get_or_insert(now);
        self.contents.add(Some(header), packet);
        self.groups = self.groups.max(packet.header.first_group + packet.header.lengths.len());
    }

    /// Makes sure that what was written outlasts a power cut.
    ///
    /// # Errors
    /// If it is not sure: then some of it may be lost though it can be read.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.synced < self.bytes {
            self.file.sync()?;
            self.synced = self.bytes;
        }
        self.waits = None;
        Ok(())
    }

    /// What is left if no more can be done to it now.
    pub fn abandon(self, doubtful: bool) -> Broken {
        let found = Broken::found(self.number, self.bytes);
        Broken { expected: Some(self.contents), doubtful, ..found }
    }

    /// Completes it and gives it the name of a closed one.
    pub fn close(mut self, disk: &dyn Disk, folder: &Path, time: Duration) -> Closed {
        let (open, closed) = (path(folder, self.number, OPEN), path(folder, self.number, CLOSED));
        if self.contents.packets == 0 {
            return match disk.remove(&open) {
                Ok(()) => Closed::Gone,
                Err(e) => Closed::Broken(self.abandon(false), e),
            };
        }
        if !self.torn {
            let index = self.records.finish();
            match self.append(&index) {
                Ok(()) => self.bytes += index.len() as u64,
                // It can be read without.
                Err((e, false)) if is_full(&e) => {}
                Err((e, _)) => return Closed::Broken(self.abandon(false), e),
            }
        }
        if let Err(e) = self.sync() {
            return Closed::Broken(self.abandon(true), e);
        }
        if let Err(e) = disk.rename(&open, &closed) {
            return Closed::Broken(self.abandon(false), e);
        }
        let segment = Segment::new(self.number, self.contents, self.bytes, time);
        Closed::Whole(Segment { groups: Some(self.groups), ..segment })
    }
}
