//! A way through the stored packets of one stream, oldest first, for some of their groups.

use std::collections::{BTreeMap, VecDeque};
use std::io::SeekFrom;
use std::ops::Range;
use std::sync::Arc;

use super::books::{Book, Done};
use crate::bitstream::{Event, Limits, Packet, PacketReader, StreamHeader};
use crate::error::{Error, Result};
use crate::pipeline::store::{Readable, SegmentInfo, Store};

/// Bytes read at once.
const CHUNK: usize = 1 << 16;

/// What comes next on the way.
pub(super) enum Step {
    /// A part of a packet to be sent.
    Part(Arc<StreamHeader>, Packet),
    /// Places of which nothing is there to be sent, if what was given before is acknowledged.
    Nothing(Done),
}

/// What a pass is about.
pub(super) struct Pass {
    /// A packet is due as long as one of these groups was not sent.
    pub due: Range<usize>,
    /// What is sent of a packet that is due, as far as it was not.
    pub give: Range<usize>,
}

/// Where one pass over a stream stands.
#[derive(Default)]
pub(super) struct Walk {
    reading: Option<Reading>,
    /// Steps that were found and not yet given.
    ready: VecDeque<Step>,
    /// Segments below this number are done for now: what was given of them is not acknowledged yet.
    beyond: u64,
}

/// A segment that is being read.
struct Reading {
    number: u64,
    file: Box<dyn Readable>,
    reader: PacketReader,
    headers: BTreeMap<u32, Arc<StreamHeader>>,
    /// Bytes read of it.
    at: u64,
    /// Its length when it was last looked at: a shorter one of its name is another file.
    known: u64,
    /// Place from which on nothing is noted yet.
    from: u64,
    /// The groups by which the packets so far were judged.
    due: Option<Range<usize>>,
    /// Packets read of it.
    packets: u64,
    /// Its length if it was closed when it was opened: then it is read as it is now.
    whole: Option<u64>,
}

impl Walk {
    /// All that was given is acknowledged: segments that are not done are to be looked at again.
    pub fn acknowledged(&mut self) {
        self.beyond = 0;
    }

    /// Gives a step again.
    pub fn back(&mut self, step: Step) {
        self.ready.push_front(step);
    }

    /// The next step; `None` if there is nothing more for now. `pass` tells what is wanted, by the book.
    ///
    /// # Errors
    /// `Io` if the store cannot be read.
    pub fn next(
        &mut self,
        store: &Store,
        stream: &str,
        segments: &[SegmentInfo],
        book: &mut Book,
        pass: impl Fn(&Book) -> Pass,
    ) -> Result<Option<Step>> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some(step));
            }
            let Some(reading) = &mut self.reading else {
                let due = |s: &&SegmentInfo| {
                    s.number >= self.beyond
                        && s.synced_bytes > 0
                        && !(book.groups > 0
                            && book.has(pass(book).due, s.first_index, s.last_index))
                };
                let Some(info) = segments.iter().find(due) else { return Ok(None) };
                // What cannot be read, or is given up by now, does not stop the others.
                self.beyond = info.number.saturating_add(1);
                if let Some(file) = store.read(stream, info.number)? {
                    self.reading = Some(Reading::new(info, file)?);
                }
                continue;
            };
            if let Some((header, packet)) = reading.packet() {
                book.groups = book.groups.max(header.groups.len());
                book.weigh(packet.header.first_group, &packet.header.lengths);
                let Pass { due, give } = pass(book);
                if reading.due.get_or_insert_with(|| due.clone()) != &due {
                    // Those before were judged by others: what was passed over may be due now.
                    (self.beyond, self.reading) = (reading.number, None);
                    continue;
                }
                reading.packets += 1;
                let index = packet.stamp.index;
                if index > reading.from {
                    // What stood before it is read, with groups that came later.
                    let (first, last) = (reading.from, index - 1);
                    self.ready.push_back(Step::Nothing(Done { groups: due.clone(), first, last }));
                    reading.from = index;
                }
                if book.has(due, index, index) {
                    continue;
                }
                let wanted = packet.part(book.open(give, index));
                if !wanted.header.lengths.is_empty() {
                    self.ready.push_back(Step::Part(header, wanted));
                }
                continue;
            }
            let number = reading.number;
            let info = segments.iter().find(|s| s.number == number);
            match info {
                Some(info) if info.bytes >= reading.known && info.synced_bytes > reading.at => {
                    reading.known = info.bytes;
                    match reading.read(info.synced_bytes) {
                        Ok(true) => continue,
                        Ok(false) => {}
                        Err(e) => {
                            (self.reading, self.beyond) = (None, number.saturating_add(1));
                            return Err(Error::io(&info.name, e));
                        }
                    }
                }
                // More may come, unless others came behind it: then it waits to be mended.
                Some(info)
                    if !info.is_closed
                        && reading.at == info.synced_bytes
                        && segments.last().is_none_or(|s| s.number <= number) =>
                {
                    return Ok(None);
                }
                Some(info) if info.is_closed && reading.at == info.bytes => {
                    if reading.whole != Some(info.bytes) && reading.packets < info.packets {
                        // It was closed and thinned since it was opened: another file, which is read from its beginning.
                        (self.beyond, self.reading) = (number, None);
                        continue;
                    }
                    let (first, last) = (reading.from, info.last_index);
                    if first <= last {
                        let groups = reading.due.clone().unwrap_or_else(|| pass(book).due);
                        self.ready.push_back(Step::Nothing(Done { groups, first, last }));
                    }
                }
                // Given up, thinned or mended: another file has its name, or none.
                _ => {}
            }
            (self.reading, self.beyond) = (None, number.saturating_add(1));
        }
    }
}

impl Reading {
    fn new(info: &SegmentInfo, mut file: Box<dyn Readable>) -> Result<Self> {
        file.seek(SeekFrom::Start(0)).map_err(|e| Error::io(&info.name, e))?;
        Ok(Self {
            number: info.number,
            file,
            reader: PacketReader::midway(Limits::default()),
            headers: BTreeMap::new(),
            at: 0,
            known: info.bytes,
            from: info.first_index,
            due: None,
            packets: 0,
            whole: info.is_closed.then_some(info.bytes),
        })
    }

    /// Reads on, to `upto` at most; whether there was something.
    fn read(&mut self, upto: u64) -> std::io::Result<bool> {
        let mut chunk = vec![0; CHUNK.min(upto.saturating_sub(self.at) as usize)];
        loop {
            match self.file.read(&mut chunk) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                read => {
                    let n = read?;
                    self.at += n as u64;
                    self.reader.push(&chunk[..n]);
                    return Ok(n > 0);
                }
            }
        }
    }

    /// The next packet that is read, with its header. Damage is passed over: nobody can read it.
    fn packet(&mut self) -> Option<(Arc<StreamHeader>, Packet)> {
        while let Ok(Some(event)) = self.reader.next_event() {
            match event {
                Event::Header(header) => {
                    let known = self.headers.get(&header.stream);
                    if known.is_none_or(|k| **k != header) {
                        self.headers.insert(header.stream, Arc::new(header));
                    }
                }
                Event::Packet(packet) => {
                    if let Some(header) = self.headers.get(&packet.stamp.stream) {
                        return Some((header.clone(), packet));
                    }
                }
                _ => {}
            }
        }
        None
    }
}
