//! Where records begin and end in bytes that are held by somebody else.

use tamis::bitstream::{Event, Limits, Packet, PacketReader, PacketWriter, StreamHeader};
use tamis::codec::Layout;

/// Bytes passed over at once: the base class takes more for a stream that it cannot read.
const SKIP: usize = 1 << 20;

/// What the bytes at hand led to.
pub enum Step {
    /// More bytes are needed; so many at the front are done with.
    More { skip: usize },
    /// A packet ends behind so many bytes.
    Packet(Box<Found>),
    /// The index ends behind so many bytes.
    Footer { len: usize },
    /// So many bytes are no record, or records that nobody asked for.
    Damage { bytes: u64, reason: String },
}

/// A packet of the stream that is read.
pub struct Found {
    /// Bytes up to its end.
    pub len: usize,
    pub packet: Packet,
    pub header: StreamHeader,
    /// Its records, if they do not stand in the bytes as they should be handed on.
    pub records: Option<Vec<u8>>,
    /// Packets missing before it.
    pub gap: u64,
    /// Packets of other streams passed over before it.
    pub skipped: u64,
}

/// Finds the packets of one stream of pictures.
///
/// The bytes at hand are given again and again, those that were done with taken off at the front.
pub struct Stream {
    reader: PacketReader,
    /// Bytes at the front of those at hand that the reader has.
    fed: usize,
    /// Offset of the first byte at hand.
    base: u64,
    /// Offset behind the last record that was found.
    behind: u64,
    /// Offset behind the last bytes that are no record.
    junk: u64,
    /// A record that ends behind the bytes at hand, and where: fewer may be given than were before.
    held: Option<(Event, u64)>,
    /// The stream that is read: the first of pictures.
    header: Option<StreamHeader>,
    /// Headers found since the last packet, that must stand before the next.
    headers: Vec<StreamHeader>,
    /// Whether something stood before the next packet that is not to be handed on.
    torn: bool,
    /// Place of the next packet, if the one before is known.
    next: Option<u64>,
    skipped: u64,
    /// Whether a sound or a second stream was said to be passed over.
    said: bool,
    /// Whether any record was found.
    began: bool,
}

impl Stream {
    /// A reader at byte `offset` of a recording.
    pub fn at(offset: u64) -> Self {
        Self {
            reader: match offset {
                0 => PacketReader::new(Limits::default()),
                _ => PacketReader::midway_at(offset, Limits::default()),
            },
            fed: 0,
            base: offset,
            behind: offset,
            junk: offset,
            held: None,
            header: None,
            headers: Vec::new(),
            torn: false,
            next: None,
            skipped: 0,
            said: false,
            began: false,
        }
    }

    /// The same after a jump to byte `offset`: the header is known, and that bytes are no record is no
    /// damage until the first.
    pub fn jump(&mut self, offset: u64) {
        let header = self.header.take();
        *self = Self {
            reader: PacketReader::midway_at(offset, Limits::default()),
            headers: header.iter().cloned().collect(),
            torn: true,
            header,
            said: self.said,
            ..Self::at(offset)
        };
    }

    /// Offset of the first byte at hand.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Whether an index closed what was read.
    pub fn is_complete(&self) -> bool {
        self.reader.is_complete()
    }

    /// Whether any record was found.
    pub fn began(&self) -> bool {
        self.began
    }

    /// Says that so many bytes at the front are done with.
    pub fn consume(&mut self, len: usize) {
        self.base += len as u64;
        self.fed = self.fed.saturating_sub(len);
    }

    /// Looks at the bytes at hand; `last` if none will follow.
    ///
    /// # Errors
    /// In words, if they are no recording.
    pub fn step(&mut self, bytes: &[u8], last: bool) -> Result<Step, String> {
        if self.fed < bytes.len() {
            self.reader.push(&bytes[self.fed..]);
            self.fed = bytes.len();
        }
        if last {
            self.reader.finish();
        }
        let there = self.base + bytes.len() as u64;
        loop {
            let (event, here) = match self.held.take() {
                Some((event, here)) => (Some(event), here),
                None => {
                    let event = self.reader.next_event().map_err(|e| e.to_string())?;
                    (event, self.reader.position())
                }
            };
            let before = self.behind;
            match event {
                Some(event @ (Event::Packet(_) | Event::Footer(_))) if here > there => {
                    self.held = Some((event, here));
                    return Ok(Step::More { skip: 0 });
                }
                None => {
                    if here > before {
                        (self.torn, self.behind, self.junk) = (true, here, here);
                    }
                    let done = if last { here } else { self.junk };
                    let skip = done.saturating_sub(self.base) as usize;
                    return Ok(Step::More { skip: skip.min(bytes.len()).min(SKIP) });
                }
                Some(Event::Damage { bytes, reason, .. }) => {
                    // A jump ends anywhere, and a reader that joins begins anywhere.
                    let joined = !self.began && self.base > 0;
                    (self.torn, self.behind) = (true, here);
                    if !joined {
                        return Ok(Step::Damage { bytes, reason });
                    }
                }
                Some(Event::Header(header)) => {
                    (self.began, self.behind) = (true, here);
                    if let Some(reason) = self.take(header) {
                        return Ok(Step::Damage { bytes: 0, reason });
                    }
                }
                Some(Event::Footer(_)) => {
                    (self.began, self.behind) = (true, here);
                    self.next = None;
                    return Ok(Step::Footer { len: (here - self.base) as usize });
                }
                Some(Event::Packet(packet)) => {
                    (self.began, self.behind) = (true, here);
                    if let Some(found) = self.found(packet, here, here - before) {
                        return Ok(Step::Packet(found.into()));
                    }
                }
            }
        }
    }

    /// Takes a header; gives what is to be said if its stream is passed over.
    fn take(&mut self, header: StreamHeader) -> Option<String> {
        let pictures = matches!(header.layout, Layout::Gray | Layout::Rgb);
        let ours = self.header.as_ref().is_none_or(|h| h.stream == header.stream);
        if pictures && ours {
            // At the start it stands twice, and so it goes on; more of them say nothing new.
            if self.headers.len() == 2 {
                self.headers.remove(0);
                self.pass_over();
            }
            self.headers.push(header.clone());
            self.header = Some(header);
            return None;
        }
        self.pass_over();
        if std::mem::replace(&mut self.said, true) {
            return None;
        }
        let what = if pictures {
            "another stream of pictures"
        } else {
            "no stream of gray or RGB pictures"
        };
        Some(format!(
            "stream {} is {what}; tamisparse hands on the first of those only, `tamis decode` reads all",
            header.stream
        ))
    }

    /// Lets the record found last, and what stands before it, not be handed on as it stands.
    fn pass_over(&mut self) {
        (self.torn, self.junk) = (true, self.behind);
    }

    /// Makes a packet ready, if it is one of our stream. Its record has `len` bytes.
    fn found(&mut self, packet: Packet, here: u64, len: u64) -> Option<Found> {
        let header = self.header.as_ref().filter(|h| h.stream == packet.stamp.stream);
        let Some(header) = header.cloned() else {
            self.skipped += 1;
            self.pass_over();
            return None;
        };
        let index = packet.stamp.index;
        let gap = self.next.map_or(0, |next| index.saturating_sub(next));
        self.next = Some(index.saturating_add(1));
        // Some of its groups are damaged: those before are a packet still.
        let cut = packet.bytes() as u64 != len;
        let headers = std::mem::take(&mut self.headers);
        let records = (std::mem::take(&mut self.torn) || cut).then(|| {
            let mut writer = PacketWriter::new();
            let mut records: Vec<u8> = headers.iter().flat_map(|h| writer.repeat(h)).collect();
            records.extend(writer.packet(&packet));
            records
        });
        let skipped = std::mem::take(&mut self.skipped);
        let len = (here - self.base) as usize;
        Some(Found { len, packet, header, records, gap, skipped })
    }
}
