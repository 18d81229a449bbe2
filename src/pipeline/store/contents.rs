//! What is in a segment: at a glance, or read whole.

use std::io::{self, Read, SeekFrom};
use std::time::SystemTime;

use super::disk::Readable;
use crate::bitstream::{Event, GROUP, Limits, MARKER, Packet, PacketReader, StreamHeader};

/// Bytes read at once.
pub(super) const CHUNK: usize = 1 << 16;
/// Bytes from the start in which the first packet is looked for.
const HEAD: u64 = 1 << 20;
/// Bytes from the end in which the index is looked for, first few, then more.
const TAILS: [u64; 2] = [1 << 16, 1 << 20];

/// The packets of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Contents {
    /// Index of the first packet.
    pub first: u64,
    /// Index of the last packet.
    pub last: u64,
    /// How many.
    pub packets: u64,
    /// When the first was captured.
    pub begins: Option<SystemTime>,
    /// When the last was captured.
    pub ends: Option<SystemTime>,
}

impl Contents {
    /// Takes in one more packet.
    pub fn add(&mut self, header: Option<&StreamHeader>, packet: &Packet) {
        let (index, utc) = (packet.stamp.index, captured(header, packet));
        if self.packets == 0 {
            *self = Self { first: index, last: index, packets: 1, begins: utc, ends: utc };
            return;
        }
        self.first = self.first.min(index);
        self.last = self.last.max(index);
        self.packets += 1;
        self.ends = utc.or(self.ends);
    }
}

/// When a packet was captured.
fn captured(header: Option<&StreamHeader>, packet: &Packet) -> Option<SystemTime> {
    header?.utc?.checked_add(packet.stamp.captured)
}

/// What reading a whole segment tells.
#[derive(Debug, Clone, Default)]
pub(super) struct Survey {
    pub contents: Contents,
    /// Most groups of a packet, counted from the first group of the stream.
    pub groups: usize,
    /// Bytes of each group, over all packets.
    pub group_bytes: Vec<u64>,
    /// Packets that carry each group.
    pub group_packets: Vec<u64>,
    pub damage: Vec<Place>,
    /// Packets that lost groups to damage.
    pub cut: Option<Shortened>,
    /// Groups of the last packet.
    pub last_groups: usize,
    /// Whether an index closed it and nothing was damaged.
    pub whole: bool,
}

/// A place of damage: indices of the packets that it took, as far as they can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub first: u64,
    pub last: u64,
    /// Whether it began with a packet.
    pub packet: bool,
}

/// Packets that lost groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shortened {
    pub first: u64,
    pub last: u64,
    pub packets: u64,
    /// Most groups that one of them has left.
    pub groups: usize,
}

/// Reads the first `bytes` of a segment.
pub(super) fn survey(file: &mut dyn Readable, bytes: u64) -> io::Result<Survey> {
    let mut reader = PacketReader::midway(Limits::default());
    let (mut found, mut header) = (Survey::default(), None);
    file.seek(SeekFrom::Start(0))?;
    each_chunk(file, bytes, |bytes| {
        match bytes {
            Some(bytes) => reader.push(bytes),
            None => reader.finish(),
        }
        while let Ok(Some(event)) = reader.next_event() {
            match event {
                Event::Header(h) => header = Some(h),
                Event::Packet(packet) => found.packet(header.as_ref(), &packet),
                Event::Footer(_) => {}
                Event::Damage { kind: Some(GROUP), .. } => found.cut(),
                Event::Damage { kind, .. } => {
                    let next = found.contents.last + u64::from(found.contents.packets > 0);
                    let packet = kind == Some(b'P');
                    found.damage.push(Place { first: next, last: next, packet });
                }
            }
        }
        true
    })?;
    found.whole = reader.is_complete() && found.damage.is_empty() && found.cut.is_none();
    Ok(found)
}

impl Survey {
    fn packet(&mut self, header: Option<&StreamHeader>, packet: &Packet) {
        // Damage ends before the next packet.
        if let Some(last) = self.damage.last_mut()
            && last.first > self.contents.last
        {
            last.last = last.first.max(packet.stamp.index.saturating_sub(1));
        }
        self.contents.add(header, packet);
        let first = packet.header.first_group;
        let end = first + packet.header.lengths.len();
        self.last_groups = end;
        self.groups = self.groups.max(end);
        // A packet's groups are few, whatever it says: its reader has seen to it.
        self.group_bytes.resize(self.groups, 0);
        self.group_packets.resize(self.groups, 0);
        for (g, &len) in (first..).zip(&packet.header.lengths) {
            self.group_bytes[g] += len as u64;
            self.group_packets[g] += 1;
        }
    }

    /// Notes that the packet before has lost groups.
    fn cut(&mut self) {
        let (last, groups) = (self.contents.last, self.last_groups);
        let before = self.cut.unwrap_or(Shortened { first: last, last, packets: 0, groups });
        self.cut = Some(Shortened {
            last,
            packets: before.packets + 1,
            groups: before.groups.max(groups),
            ..before
        });
    }

    /// Bytes of the groups from `groups` on.
    pub fn behind(&self, groups: usize) -> u64 {
        self.group_bytes.iter().skip(groups).sum()
    }
}

/// What the two ends of a closed segment tell; `None` if they don't: then it must be read whole.
pub(super) fn glance(file: &mut dyn Readable, bytes: u64) -> io::Result<Option<Contents>> {
    let mut footer = None;
    for tail in TAILS {
        let from = bytes.saturating_sub(tail);
        footer = find_footer(file, from, bytes)?;
        if footer.is_some() || from == 0 {
            break;
        }
    }
    let Some((footer, end)) = footer else { return Ok(None) };
    let (Some(&last_at), packets) = (footer.last(), footer.len() as u64) else { return Ok(None) };
    let (header, first) = first_packet(file, 0, end.min(HEAD))?;
    let (_, Some(last)) = first_packet(file, last_at, end)? else { return Ok(None) };
    let mut contents = Contents::default();
    contents.add(header.as_ref(), first.as_ref().unwrap_or(&last));
    contents.add(header.as_ref(), &last);
    if first.is_none() {
        contents.begins = None;
    }
    Ok(Some(Contents { packets, ..contents }))
}

/// The offsets in the index, and where it stands.
fn find_footer(file: &mut dyn Readable, from: u64, to: u64) -> io::Result<Option<(Vec<u64>, u64)>> {
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(to - from).read_to_end(&mut tail)?;
    let mark = [MARKER[0], MARKER[1], MARKER[2], b'F'];
    let Some(at) = tail.windows(4).rposition(|w| w == mark) else { return Ok(None) };
    let place = from + at as u64;
    let mut reader = PacketReader::midway_at(place, Limits::default());
    reader.push(&tail[at..]);
    reader.finish();
    match reader.next_event() {
        Ok(Some(Event::Footer(footer))) => Ok(Some((footer.offsets, place))),
        _ => Ok(None),
    }
}

/// The first packet from `from` on, and the header before it.
fn first_packet(
    file: &mut dyn Readable,
    from: u64,
    to: u64,
) -> io::Result<(Option<StreamHeader>, Option<Packet>)> {
    let mut reader = PacketReader::midway_at(from, Limits::default());
    let (mut header, mut packet) = (None, None);
    file.seek(SeekFrom::Start(from))?;
    each_chunk(file, to.saturating_sub(from), |bytes| {
        match bytes {
            Some(bytes) => reader.push(bytes),
            None => reader.finish(),
        }
        while packet.is_none() {
            match reader.next_event() {
                Ok(Some(Event::Header(h))) => header = Some(h),
                Ok(Some(Event::Packet(p))) => packet = Some(p),
                Ok(Some(_)) => {}
                _ => break,
            }
        }
        packet.is_none()
    })?;
    Ok((header, packet))
}

/// Gives the next `bytes` of a file piece by piece, then `None`; until `take` says that it is enough.
pub(super) fn each_chunk(
    file: &mut dyn Readable,
    bytes: u64,
    mut take: impl FnMut(Option<&[u8]>) -> bool,
) -> io::Result<()> {
    let mut left = bytes;
    let mut chunk = vec![0; CHUNK];
    while left > 0 {
        let want = left.min(CHUNK as u64) as usize;
        match file.read(&mut chunk[..want]) {
            Ok(0) => break,
            Ok(n) => {
                left -= n as u64;
                if !take(Some(&chunk[..n])) {
                    return Ok(());
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    take(None);
    Ok(())
}
