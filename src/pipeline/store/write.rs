//! A packet comes: where it goes, or why not.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Store;
use super::disk::is_full;
use super::open::Open;
use super::segment::{OPEN, path};
use super::settings::Policy;
use super::state::State;
use super::tombstone::Reason;
use crate::bitstream::{Packet, StreamHeader};
use crate::error::{Error, Result};

/// Bytes that come with a packet at most: headers before it, its line of the index.
pub(super) const SLACK: u64 = 1024;
/// Times that a packet is written, if the disk is full and room was made.
const TRIES: usize = 4;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is in the store, and outlasts a power cut once it is synced.
    Stored,
    /// It is not, and is counted on a tombstone.
    Refused(Refused),
}

/// Why a packet is not in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// There is no room, and the policy gives none.
    StoreFull,
    /// The disk failed, or did a short while ago.
    StoreError,
    /// It continues packets that are not in the store: one that stands alone must come first.
    NeedsKey,
}

impl Refused {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::StoreFull => "store_full",
            Self::StoreError => "store_error",
            Self::NeedsKey => "needs_key",
        }
    }
}

/// Writes one stream of a store. Dropped, it closes its segment.
pub struct StreamWriter {
    store: Arc<Store>,
    /// Place among the store's streams.
    s: usize,
    wish: Arc<AtomicBool>,
}

impl StreamWriter {
    pub(super) fn new(store: Arc<Store>, s: usize, wish: Arc<AtomicBool>) -> Self {
        Self { store, s, wish }
    }

    /// Index after the last that was stored or given up: a stream that begins again numbers on.
    pub fn next_index(&self) -> u64 {
        self.store.state().streams[self.s].next
    }

    /// Whether the next packet should stand alone.
    pub fn wants_key(&self) -> bool {
        self.wish.load(Ordering::Relaxed)
    }

    /// The same, for whoever makes the packets.
    pub fn key_wish(&self) -> Arc<AtomicBool> {
        self.wish.clone()
    }

    /// Stores a packet. A full or failing disk is no error: the packet is refused, and the store
    /// goes on when the disk does.
    ///
    /// # Errors
    /// `Shape` if the header is another stream's, `Input` if a packet of this index or a later one
    /// came before.
    pub fn write(&mut self, header: &StreamHeader, packet: &Packet) -> Result<Written> {
        let stamp = &packet.stamp;
        if header.stream != stamp.stream {
            return Err(Error::shape("stream of a packet", header.stream, stamp.stream));
        }
        let mut state = self.store.state();
        let stream = &state.streams[self.s];
        // Groups that come later belong to a packet that is there.
        let later = u64::from(packet.header.first_group > 0);
        if stamp.index.saturating_add(later) < stream.next {
            let reason = format!("packet {} after packet {}", stamp.index, stream.next - 1);
            return Err(Error::input(&stream.name, reason));
        }
        let written = state.write(self.s, header, packet);
        self.store.publish(&state);
        Ok(written)
    }

    /// Closes the open segment; the next packet begins another.
    ///
    /// # Errors
    /// `Io` if it could not be closed. It is when the disk works again, at the next start at the latest.
    pub fn finish(&mut self) -> Result<()> {
        let mut state = self.store.state();
        let done = state.finish_stream(self.s);
        self.store.publish(&state);
        let folder = state.streams[self.s].folder.clone();
        done.map_err(|e| Error::io(folder, e))
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        // Who wants to know calls it himself.
        let _ = self.finish();
        self.store.state().streams[self.s].taken = false;
    }
}

impl State {
    /// Stores a packet or notes that it was not.
    fn write(&mut self, s: usize, header: &StreamHeader, packet: &Packet) -> Written {
        let now = self.disk.now();
        let done = self.store(s, header, packet, now);
        let (disk, sync) = (self.disk.clone(), self.settings.sync);
        let stream = &mut self.streams[s];
        stream.next = stream.next.max(packet.stamp.index.saturating_add(1));
        let written = match done {
            Ok(()) => {
                if !stream.refused.is_empty() {
                    // Kept for later if it cannot be written now.
                    let _ = stream.write_down(disk.as_ref());
                }
                self.sync_if_due(s, now, sync);
                Written::Stored
            }
            Err(why) => {
                let reason = match why {
                    Refused::StoreFull => Reason::Deny,
                    Refused::StoreError => Reason::Error,
                    Refused::NeedsKey => stream.stopped,
                };
                let (index, bytes) = (packet.stamp.index, packet.bytes() as u64);
                stream.refuse(reason, index, bytes, disk.utc(), now);
                Written::Refused(why)
            }
        };
        self.set_wish(s);
        written
    }

    fn store(
        &mut self,
        s: usize,
        header: &StreamHeader,
        packet: &Packet,
        now: Duration,
    ) -> std::result::Result<(), Refused> {
        let key = stands_alone(header, packet);
        let need = (packet.bytes() as u64 + SLACK).max(self.needs_to_begin(s));
        if key && self.is_due(s, now) {
            self.close(s);
        }
        if self.streams[s].open.is_none() {
            if now < self.streams[s].not_before {
                return Err(Refused::StoreError);
            }
            if !key {
                self.ask_free(false);
                let full = self.settings.policy == Policy::Deny && self.lacks(need) > 0;
                return Err(if full { Refused::StoreFull } else { Refused::NeedsKey });
            }
        }
        if !self.make_room(need, false) {
            // A gap begins here; and what is closed can be given up.
            let closed = self.streams[s].open.is_some();
            self.close(s);
            let again = closed && key && now >= self.streams[s].not_before;
            if !(again && self.make_room(need, false)) {
                return Err(self.full(s));
            }
        }
        if self.streams[s].open.is_none() {
            self.begin(s, packet.stamp.index, need)?;
        }
        self.append(s, header, packet, need, now)
    }

    /// Begins a segment.
    fn begin(&mut self, s: usize, number: u64, need: u64) -> std::result::Result<(), Refused> {
        let disk = self.disk.clone();
        let mut tries = 0;
        loop {
            tries += 1;
            let stream = &mut self.streams[s];
            let e = match Open::create(disk.as_ref(), &stream.folder, number) {
                Ok(open) => {
                    stream.open = Some(open);
                    return Ok(());
                }
                Err(e) => e,
            };
            // An empty one may be there; if it stays it is removed at the next start.
            let _ = disk.remove(&path(&stream.folder, number, OPEN));
            if !is_full(&e) {
                stream.failed(&e, disk.now());
                return Err(Refused::StoreError);
            }
            if tries == TRIES || !self.make_room(need, true) {
                return Err(self.full(s));
            }
        }
    }

    /// Writes a packet into the open segment.
    fn append(
        &mut self,
        s: usize,
        header: &StreamHeader,
        packet: &Packet,
        need: u64,
        now: Duration,
    ) -> std::result::Result<(), Refused> {
        let Some(open) = &mut self.streams[s].open else { return Err(Refused::NeedsKey) };
        let bytes = open.record(header, packet);
        for _ in 0..TRIES {
            let stream = &mut self.streams[s];
            let Some(open) = &mut stream.open else { break };
            match open.append(&bytes) {
                Ok(()) => {
                    open.took(&bytes, header, packet, now);
                    stream.worked();
                    stream.stopped = Reason::Error;
                    self.wrote(bytes.len() as u64);
                    return Ok(());
                }
                Err((e, torn)) if torn || !is_full(&e) => {
                    stream.abandon(false, &e, now);
                    return Err(Refused::StoreError);
                }
                Err(_) if self.make_room(need, true) => {}
                Err(_) => break,
            }
        }
        self.close(s);
        Err(self.full(s))
    }

    /// Bytes that must fit before a stream that was denied begins again: else it would for every
    /// packet that is small enough.
    fn needs_to_begin(&self, s: usize) -> u64 {
        let stream = &self.streams[s];
        let denied = self.settings.policy == Policy::Deny && stream.stopped == Reason::Deny;
        if denied && stream.open.is_none() { self.segment_bytes() } else { 0 }
    }

    fn full(&mut self, s: usize) -> Refused {
        self.streams[s].stopped = Reason::Deny;
        Refused::StoreFull
    }

    /// Syncs the open segment if what was written waits for so long.
    fn sync_if_due(&mut self, s: usize, now: Duration, sync: Duration) {
        let stream = &mut self.streams[s];
        let Some(open) = &mut stream.open else { return };
        if open.waits.is_some_and(|since| now.saturating_sub(since) >= sync)
            && let Err(e) = open.sync()
        {
            stream.abandon(true, &e, now);
        }
    }

    /// Closes the open segment of a stream.
    pub fn close(&mut self, s: usize) {
        let (disk, time) = (self.disk.clone(), self.time());
        let index =
            self.streams[s].open.as_ref().map_or(0, |open| open.bytes_closed() - open.bytes);
        self.wrote(index);
        self.streams[s].close(disk.as_ref(), time);
    }

    fn finish_stream(&mut self, s: usize) -> io::Result<()> {
        let broken = self.streams[s].broken.len();
        self.close(s);
        let disk = self.disk.clone();
        let stream = &mut self.streams[s];
        stream.write_down(disk.as_ref())?;
        match &stream.error {
            Some(e) if stream.broken.len() > broken => Err(io::Error::other(e.clone())),
            _ => Ok(()),
        }
    }

    /// Says whether the next packet of a stream should stand alone: not while nothing could be
    /// stored anyway, as such packets are large.
    pub fn set_wish(&mut self, s: usize) {
        let now = self.disk.now();
        let due = self.is_due(s, now);
        let full = self.streams[s].stopped == Reason::Deny
            && self.lacks(SLACK.max(self.needs_to_begin(s))) > 0;
        let stream = &self.streams[s];
        let begin = stream.open.is_none() && now >= stream.not_before && !full;
        stream.set_wish(due || begin);
    }
}

/// Whether a packet can be read without any before it.
fn stands_alone(header: &StreamHeader, packet: &Packet) -> bool {
    let h = &packet.header;
    if header.rate() > 0 { h.span.reset } else { h.continues.is_none() && h.first_group == 0 }
}
