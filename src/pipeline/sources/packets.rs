//! Packets of a `.tamis` file or stream as items.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;

use crate::bitstream::{Event, Limits, PacketReader, StreamHeader};
use crate::codec::Stamp;
use crate::error::{Error, Result};
use crate::pipeline::item::Item;

/// Bytes read at once.
const CHUNK: usize = 1 << 16;

/// Reads packets; damage becomes a lost item.
pub(super) struct Packets<R> {
    input: R,
    name: String,
    reader: PacketReader,
    headers: BTreeMap<u32, StreamHeader>,
    ready: VecDeque<Item>,
    chunk: Vec<u8>,
    ended: bool,
}

impl<R: Read> Packets<R> {
    pub fn new(input: R, name: &str) -> Self {
        Self {
            input,
            name: name.into(),
            reader: PacketReader::new(Limits::default()),
            headers: BTreeMap::new(),
            ready: VecDeque::new(),
            chunk: vec![0; CHUNK],
            ended: false,
        }
    }

    /// Says so if the stream ended without its footer.
    pub fn incomplete(&self) -> Option<&str> {
        let cut = self.ended && !self.reader.is_complete();
        cut.then_some("the recording is incomplete: it ends without an index")
    }

    pub fn next_item(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            match self.reader.next_event().map_err(|e| Error::input(&self.name, e))? {
                Some(Event::Header(header)) => {
                    self.headers.insert(header.stream, header);
                }
                Some(Event::Packet(packet)) => {
                    let mut item = Item { name: self.name.clone(), ..Item::default() };
                    item.header = self.headers.get(&packet.stamp.stream).cloned();
                    item.stamp = packet.stamp.clone();
                    if let Some(header) = &item.header {
                        item.stamp.boot = header.boot;
                        item.stamp.utc =
                            header.utc.and_then(|t| t.checked_add(packet.stamp.captured));
                    }
                    item.end = packet.header.span.end;
                    item.packet = Some(packet);
                    self.ready.push_back(item);
                }
                Some(Event::Damage { offset, bytes, reason, .. }) => {
                    let why = format!("{bytes} bytes skipped from byte {offset}: {reason}");
                    self.ready.push_back(Item::lost(Stamp::default(), &self.name, "damage", why));
                }
                Some(Event::Footer(_)) => {}
                None if self.ended => return Ok(None),
                None => {
                    let read = self.input.read(&mut self.chunk);
                    let n = match read {
                        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                            return Err(Error::input(&self.name, e));
                        }
                        read => read.map_err(|e| Error::io(&self.name, e))?,
                    };
                    if n == 0 {
                        self.ended = true;
                        self.reader.finish();
                    } else {
                        self.reader.push(&self.chunk[..n]);
                    }
                }
            }
        }
    }
}
