//! Bytes to packets, without I/O.

use super::MARKER;
use super::bytes::Cursor;
use super::header::{Footer, StreamHeader};
use super::packet::Packet;
use crate::error::{Error, Result};

/// What a reader will hold at most, whatever a stream claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Pixels, or time steps times channels, of one packet.
    pub positions: u64,
    /// Time steps times channels of one sound packet; twice the most that `encode` writes.
    pub sound: u64,
    /// Pixels times bands of one picture of bands.
    pub values: u64,
    /// Bytes of one packet.
    pub packet_bytes: u64,
    /// Bytes of one latent.
    pub latent_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            positions: 100_000_000,
            sound: 1 << 21,
            values: 1 << 30,
            packet_bytes: 256 << 20,
            latent_bytes: 1 << 30,
        }
    }
}

/// First bytes of a stream.
const OPENING: [u8; 4] = [MARKER[0], MARKER[1], MARKER[2], b'H'];
/// Largest head of a header or packet record.
const HEAD: u64 = 4096;
/// Largest footer.
const FOOTER: u64 = 64 << 20;

/// [`Event::Damage::kind`] of groups that a packet lost: what stands before them was read.
pub const GROUP: u8 = b'G';

/// What a reader finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A stream header, the first or a repeated one.
    Header(StreamHeader),
    /// A packet. Its groups are whole; if it had others, damage follows it.
    Packet(Packet),
    /// The index at the end.
    Footer(Footer),
    /// Bytes that are no record: damage that was skipped.
    Damage {
        /// Offset of the first byte skipped.
        offset: u64,
        /// Bytes skipped.
        bytes: u64,
        /// What was wrong at the first.
        reason: String,
        /// Kind of the record that began there, if one did; [`GROUP`] where a packet's group did.
        kind: Option<u8>,
    },
}

/// Whether bytes begin like a stream: one of the first four may be damaged, as the header that they
/// open stands there twice.
pub fn begins_stream(head: &[u8]) -> bool {
    head.iter().zip(OPENING).filter(|&(&a, b)| a == b).count() >= OPENING.len() - 1
}

/// Reads a stream from bytes pushed in pieces of any size.
#[derive(Debug)]
pub struct PacketReader {
    limits: Limits,
    buffer: Vec<u8>,
    /// Consumed bytes of `buffer`.
    at: usize,
    /// Offset of `buffer[0]` in the stream.
    offset: u64,
    damage: Option<(u64, String, Option<u8>)>,
    /// Bytes of false footers whose CRC was computed.
    wasted: u64,
    opened: bool,
    ended: bool,
    complete: bool,
}

impl PacketReader {
    /// A reader at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            at: 0,
            offset: 0,
            damage: None,
            wasted: 0,
            opened: false,
            ended: false,
            complete: false,
        }
    }

    /// A reader that may start anywhere in a stream: packets may come before the first header.
    pub fn midway(limits: Limits) -> Self {
        Self { opened: true, ..Self::new(limits) }
    }

    /// As [`Self::midway`], where the first byte pushed is byte `offset` of the stream.
    pub fn midway_at(offset: u64, limits: Limits) -> Self {
        Self { offset, ..Self::midway(limits) }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.offset += self.at as u64;
            self.at = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that no byte will follow.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether a footer closed the stream.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The next event, or `None` until more bytes are pushed (after [`Self::finish`]: for good).
    ///
    /// # Errors
    /// `Bitstream` if the first bytes are none that [begin a stream](begins_stream), or if no header
    /// came at all: the bytes are no tamis stream. Any other damage is an event, not an error.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        loop {
            match self.record() {
                Ok(Some(Record { event, len, lost })) => {
                    if let Some(damage) = self.take_damage() {
                        return Ok(Some(damage));
                    }
                    self.at += len;
                    let here = self.position();
                    self.damage = lost.map(|reason| (here, reason, Some(GROUP)));
                    self.opened = true;
                    self.complete = matches!(event, Event::Footer(_));
                    return Ok(Some(event));
                }
                Ok(None) if !self.ended => return Ok(None),
                Ok(None) => {
                    // A record that the end cut off, or nothing.
                    let left = self.buffer.len() - self.at;
                    if left == 0 {
                        if !self.opened {
                            let why = self.damage.take().map(|d| d.1);
                            return Err(self.not_tamis(why.as_deref().unwrap_or("it is empty")));
                        }
                        return Ok(self.take_damage());
                    }
                    self.skip(format!("record cut off by the end, {left} bytes left"));
                }
                Err(e) if !self.opened && !self.starts_like_one() => {
                    return Err(self.not_tamis(&e.to_string()));
                }
                Err(Error::Bitstream { reason, .. }) => self.skip(reason),
                Err(e) => return Err(e),
            }
        }
    }

    /// Offset of the first byte behind the last event.
    pub fn position(&self) -> u64 {
        self.offset + self.at as u64
    }

    fn not_tamis(&self, why: &str) -> Error {
        Error::Bitstream { offset: 0, reason: format!("not a tamis stream: {why}") }
    }

    /// Whether the first bytes begin a stream, or did: what follows may be damaged.
    fn starts_like_one(&self) -> bool {
        self.position() > 0 || begins_stream(&self.buffer)
    }

    /// Steps over one byte and on to the next possible marker.
    fn skip(&mut self, reason: String) {
        let here = self.position();
        let record = &self.buffer[self.at..];
        let alike = record.iter().zip(MARKER).filter(|&(&a, b)| a == b).count();
        let kind = record.get(MARKER.len()).filter(|_| alike >= MARKER.len() - 1);
        self.damage.get_or_insert((here, reason, kind.copied()));
        let rest = &self.buffer[self.at + 1..];
        let next = rest.windows(3).position(|w| w == MARKER);
        // The last two bytes may begin a marker.
        let step = next
            .unwrap_or_else(|| if self.ended { rest.len() } else { rest.len().saturating_sub(2) });
        self.at += 1 + step;
    }

    fn take_damage(&mut self) -> Option<Event> {
        let (offset, reason, kind) = self.damage.take()?;
        let bytes = self.position() - offset;
        Some(Event::Damage { offset, bytes, reason, kind })
    }

    /// The record at the current byte; `None` if it is not all there yet.
    fn record(&mut self) -> Result<Option<Record>> {
        let bytes = &self.buffer[self.at..];
        let offset = self.position();
        if !self.opened && offset == 0 && bytes.len() < OPENING.len() && !self.ended {
            return Ok(None);
        }
        let start = MARKER.len().min(bytes.len());
        if bytes[..start] != MARKER[..start] {
            let reason = format!("{:02x?} is no record marker", &bytes[..start]);
            return Err(Error::Bitstream { offset, reason });
        }
        if bytes.len() < 4 {
            return Ok(None);
        }
        let mut c = Cursor::new(bytes, offset);
        c.take(3)?;
        let kind = c.byte()?;
        let limit = match kind {
            b'H' | b'P' => HEAD,
            b'F' => FOOTER,
            _ => return Err(c.error(format!("record kind {kind:#04x}"))),
        };
        if !self.opened && kind != b'H' {
            return Err(c.error("no header before it; `tamis recover` would use a later one"));
        }
        let Some(head_len) = complete(c.bounded("head length", limit), bytes.len(), 10)? else {
            return Ok(None);
        };
        // One after the other they would be summed over and over.
        if kind == b'F' && self.wasted + head_len > FOOTER + offset {
            return Err(c.error("an index behind too many false ones"));
        }
        let head_len = head_len as usize;
        let start = c.at();
        if bytes.len() < start + head_len + 4 {
            return Ok(None);
        }
        let head = c.take(head_len)?;
        let stated = u32::from_le_bytes(c.array()?);
        let found = crc32c::crc32c_append(crc32c::crc32c(&[kind]), head);
        if stated != found {
            if kind == b'F' {
                self.wasted += head_len as u64;
            }
            return Err(c.error(format!("record CRC is {found:08x}, should be {stated:08x}")));
        }
        let head = Cursor::new(head, offset + start as u64);
        let event = match kind {
            b'H' => Event::Header(StreamHeader::read(head)?),
            b'F' => Event::Footer(Footer::read(head, head_len, offset)?),
            _ => {
                let packet = Packet::read_head(head, &self.limits)?;
                return self.packet(packet, c.at(), offset);
            }
        };
        Ok(Some(Record { event, len: c.at(), lost: None }))
    }

    /// A packet whose groups stand at `at`: as many of them as are whole. What stands behind is looked
    /// through for records, since bytes may be missing in the group that is damaged.
    fn packet(&self, mut packet: Packet, at: usize, offset: u64) -> Result<Option<Record>> {
        let all = packet.header.lengths.len();
        let len: usize = packet.header.lengths.iter().sum();
        let there = &self.buffer[self.at + at..];
        if there.len() < len && !self.ended {
            return Ok(None);
        }
        let groups = &there[..len.min(there.len())];
        let whole = packet.intact_groups(groups);
        let lost = (whole < all).then(|| {
            let (index, stream) = (packet.stamp.index, packet.stamp.stream);
            let group = packet.header.first_group + whole + 1;
            let begins: usize = packet.header.lengths[..=whole].iter().sum();
            let how = if begins > groups.len() { "cut off by the end" } else { "damaged" };
            format!(
                "packet {index} of stream {stream}: group {group} of {} is {how}",
                packet.header.first_group + all
            )
        });
        match lost {
            Some(reason) if whole == 0 => Err(Error::Bitstream { offset, reason }),
            lost => {
                packet.header.lengths.truncate(whole);
                let len = packet.header.lengths.iter().sum();
                packet.payload = groups[..len].into();
                Ok(Some(Record { event: Event::Packet(packet), len: at + len, lost }))
            }
        }
    }
}

/// What stands at a place.
struct Record {
    event: Event,
    /// Bytes of it.
    len: usize,
    /// Why what follows it is lost, if it is.
    lost: Option<String>,
}

/// Turns "ran out of bytes" into `None` while fewer than `enough` bytes are there.
fn complete<T>(field: Result<T>, have: usize, enough: usize) -> Result<Option<T>> {
    match field {
        Ok(value) => Ok(Some(value)),
        Err(_) if have < enough => Ok(None),
        Err(e) => Err(e),
    }
}
