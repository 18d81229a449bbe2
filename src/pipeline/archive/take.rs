//! A batch comes: what of it is new, and where it goes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::segment::{Counts, Entry, LATE, MAIN, Segment, bits, path};
use super::stream::Stream;
use crate::bitstream::{Event, Limits, Packet, PacketReader, PacketWriter, StreamHeader};
use crate::error::{Error, Result};

/// Bytes parsed at once.
const CHUNK: usize = 1 << 16;
/// Segments that one batch begins at most, and streams of a recording that it has headers of.
const SCATTER: usize = 64;
/// Bytes of a segment that may wait for the groups before them.
const LATE_MOST: u64 = 64 << 20;

/// What became of the packets of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// Packets of which something was new.
    pub stored: u64,
    /// Packets that were there already.
    pub known: u64,
    /// Places that could not be read, and packets without a header.
    pub damaged: u64,
    /// Packets that were not stored, as another has their index.
    pub conflicts: u64,
    /// Which was the first of these.
    pub conflict: Option<u64>,
}

/// What a batch adds to the files of a segment.
#[derive(Default)]
struct Addition {
    main: Vec<u8>,
    late: Vec<u8>,
    headers: [BTreeMap<u32, Arc<StreamHeader>>; 2],
    last: Option<u64>,
}

impl Stream {
    /// Takes a batch.
    ///
    /// # Errors
    /// `Bitstream` if it is no stream, `Limit` if it scatters too much, `Io` if the disk fails.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Taken> {
        let mut additions = BTreeMap::new();
        let done = self.sort(bytes, &mut additions).and_then(|taken| {
            let touched: Vec<u64> = additions.keys().copied().collect();
            self.write(std::mem::take(&mut additions))?;
            self.added(&touched);
            Ok(taken)
        });
        if let Err(e) = &done {
            if matches!(e, Error::Io { .. }) {
                self.error = Some(e.to_string());
            }
            // What was noted of these is not on disk: they are read again, and those that were only begun are none.
            for number in additions.keys() {
                self.forget(*number);
            }
        }
        done
    }

    /// Sorts the packets of a batch by where they go, and notes them.
    fn sort(&mut self, bytes: &[u8], additions: &mut BTreeMap<u64, Addition>) -> Result<Taken> {
        let packet_bytes = bytes.len() as u64;
        let mut reader = PacketReader::new(Limits { packet_bytes, ..Limits::default() });
        let mut headers: BTreeMap<u32, Arc<StreamHeader>> = BTreeMap::new();
        let mut taken = Taken::default();
        let mut chunks = bytes.chunks(CHUNK);
        let mut ended = false;
        loop {
            match reader.next_event()? {
                Some(Event::Header(header)) => {
                    let known = headers.get(&header.stream);
                    if known.is_none_or(|k| **k != header) {
                        headers.insert(header.stream, Arc::new(header));
                    }
                    limit("streams of one batch", headers.len())?;
                }
                Some(Event::Packet(packet)) => match headers.get(&packet.stamp.stream) {
                    Some(header) => self.note(header, &packet, additions, &mut taken)?,
                    None => taken.damaged += 1,
                },
                Some(Event::Footer(_)) => {}
                Some(Event::Damage { .. }) => taken.damaged += 1,
                None => match chunks.next() {
                    Some(chunk) => reader.push(chunk),
                    None if ended => return Ok(taken),
                    None => {
                        reader.finish();
                        ended = true;
                    }
                },
            }
        }
    }

    /// Notes one packet: what is new of it.
    fn note(
        &mut self,
        header: &Arc<StreamHeader>,
        packet: &Packet,
        additions: &mut BTreeMap<u64, Addition>,
        taken: &mut Taken,
    ) -> Result<()> {
        if packet.header.lengths.is_empty() {
            taken.known += 1;
            return Ok(());
        }
        let index = packet.stamp.index;
        let sound = header.rate() > 0;
        let alone = packet.header.first_group == 0
            && packet.header.continues.is_none()
            && (!sound || packet.header.span.reset);
        let folder = &self.folder.clone();
        let (number, begins) = self.place(index, alone).map_err(|e| Error::io(folder, e))?;
        if begins {
            let (grows, entries) = (true, Some(BTreeMap::new()));
            self.segments.insert(number, Segment { grows, entries, ..Segment::default() });
        }
        // Noted first: whatever fails from here on, what is known of the segment is read again.
        let addition = additions.entry(number).or_default();
        let Some(segment) = self.segments.get_mut(&number) else { return Ok(()) };
        let Some(entries) = &mut segment.entries else { return Ok(()) };
        let fresh = Entry::new(header, packet);
        let entry = entries.entry(index).or_insert(fresh);
        if entry.identity != fresh.identity {
            taken.conflicts += 1;
            taken.conflict.get_or_insert(index);
            return Ok(());
        }
        let new = bits(packet) & !entry.groups;
        entry.groups |= new;
        if new == 0 {
            taken.known += 1;
            return Ok(());
        }
        taken.stored += 1;
        for part in runs(packet, new) {
            let behind = addition.last.or(segment.last).is_none_or(|last| index > last);
            let in_order = segment.grows && behind && part.header.first_group == 0;
            let (file, headers) = match in_order {
                true => (&mut addition.main, &mut addition.headers[0]),
                false => (&mut addition.late, &mut addition.headers[1]),
            };
            // Each batch says again what stands before its packets.
            if headers.get(&header.stream) != Some(header) {
                file.extend(PacketWriter::new().header(header));
                headers.insert(header.stream, header.clone());
            }
            file.extend(PacketWriter::new().packet(&part));
            if in_order {
                addition.last = Some(index);
                segment.bytes += part.bytes() as u64;
            } else {
                segment.late += part.bytes() as u64;
            }
        }
        if segment.late > LATE_MOST + segment.bytes {
            let (what, actual) = ("bytes that wait for groups before them".into(), segment.late);
            return Err(Error::Limit { what, limit: LATE_MOST, actual });
        }
        limit("segments of one batch", additions.len())
    }

    /// Writes what was sorted.
    fn write(&mut self, additions: BTreeMap<u64, Addition>) -> Result<()> {
        let mut done = Ok(());
        for (number, addition) in additions {
            // After an error the rest is not tried, but must not stay noted.
            if done.is_ok() {
                done = self.write_one(number, addition);
            }
            if done.is_err() {
                self.forget(number);
            }
        }
        done.map_err(|e| Error::io(&self.folder, e))
    }

    fn write_one(&mut self, number: u64, addition: Addition) -> io::Result<()> {
        let now = self.disk.now();
        let Some(segment) = self.segments.get_mut(&number) else { return Ok(()) };
        let mut made = false;
        for (ending, bytes) in [(MAIN, &addition.main), (LATE, &addition.late)] {
            if bytes.is_empty() {
                continue;
            }
            let path = path(&self.folder, number, ending);
            let before = match self.disk.open(&path) {
                Ok(mut file) => Some(file.seek(io::SeekFrom::End(0))?),
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                Err(e) => return Err(e),
            };
            made |= before.is_none();
            let file = self.disk.extend(&path)?;
            let written = file.append(bytes).and_then(|()| file.sync());
            if let Err(e) = written {
                // A piece of it may be there, or all of it in memory only.
                segment.doubtful = true;
                let _ = match before {
                    Some(before) => file.truncate(before),
                    // An empty file is no recording.
                    None => self.disk.remove(&path),
                };
                return Err(e);
            }
            let len = before.unwrap_or(0) + bytes.len() as u64;
            match ending {
                MAIN => segment.bytes = len,
                _ => segment.late = len,
            }
        }
        if made {
            segment.doubtful = true;
            self.disk.sync_folder(&self.folder)?;
            segment.doubtful = false;
        }
        segment.last = addition.last.or(segment.last);
        if !addition.late.is_empty() {
            segment.since.get_or_insert(now);
        }
        segment.touched = now;
        segment.counts = segment.entries.as_ref().map(Counts::of);
        Ok(())
    }

    /// Forgets what is known of a segment, so that it is read again.
    fn forget(&mut self, number: u64) {
        let exists = [MAIN, LATE].iter().any(|e| {
            let there = self.disk.open(&path(&self.folder, number, e));
            !there.is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
        });
        match self.segments.get_mut(&number) {
            Some(segment) if exists => {
                (segment.entries, segment.counts, segment.grows) = (None, None, false);
            }
            _ => drop(self.segments.remove(&number)),
        }
    }
}

/// Parts of a packet that carry these groups: one for every run of them.
fn runs(packet: &Packet, bits: u16) -> Vec<Packet> {
    let mut parts = Vec::new();
    let mut at = 0;
    while bits >> at != 0 {
        let start = at + (bits >> at).trailing_zeros() as usize;
        let end = start + (bits >> start).trailing_ones() as usize;
        parts.push(packet.part(start..end));
        if end >= 16 {
            break;
        }
        at = end;
    }
    parts
}

fn limit(what: &str, actual: usize) -> Result<()> {
    match actual > SCATTER {
        true => {
            Err(Error::Limit { what: what.into(), limit: SCATTER as u64, actual: actual as u64 })
        }
        false => Ok(()),
    }
}
