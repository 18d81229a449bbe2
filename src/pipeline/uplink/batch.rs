//! What is sent at once: the bytes of a `.tamis` stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::books::Done;
use crate::bitstream::{Packet, PacketWriter, StreamHeader};

/// Parts of packets of one stream, oldest first, and what they stand for.
#[derive(Debug, Default)]
pub struct Batch {
    /// Name of the stream.
    pub stream: String,
    /// 0 for the groups that go first.
    pub pass: usize,
    /// Headers and packets: a `.tamis` stream without an index.
    pub bytes: Vec<u8>,
    /// Packets in it.
    pub packets: u64,
    /// Index of its first packet, and of its last.
    pub indices: Option<(u64, u64)>,
    pub(super) done: Vec<Done>,
    writer: PacketWriter,
    headers: BTreeMap<u32, Arc<StreamHeader>>,
}

impl Batch {
    pub(super) fn new(stream: &str, pass: usize) -> Self {
        Self { stream: stream.into(), pass, ..Self::default() }
    }

    /// Adds a packet, unless it is full with it: one at least always fits.
    pub(super) fn add(&mut self, header: &Arc<StreamHeader>, packet: &Packet, most: usize) -> bool {
        if self.packets > 0 && self.bytes.len() + packet.bytes() > most {
            return false;
        }
        // Headers are as the store has them, to the last bit: a receiver writes the same.
        if self.headers.get(&header.stream) != Some(header) {
            self.bytes.extend(self.writer.header(header));
            self.headers.insert(header.stream, header.clone());
        }
        self.bytes.extend(self.writer.packet(packet));
        self.packets += 1;
        let index = packet.stamp.index;
        let (first, last) = self.indices.unwrap_or((index, index));
        self.indices = Some((first.min(index), last.max(index)));
        self.note(Done { groups: packet.groups(), first: index, last: index });
        true
    }

    /// Adds places of which nothing is left when what came before is acknowledged.
    pub(super) fn note(&mut self, done: Done) {
        if let Some(before) = self.done.last_mut()
            && before.groups == done.groups
            && done.first <= before.last.saturating_add(1)
            && done.first >= before.first
        {
            before.last = before.last.max(done.last);
            return;
        }
        self.done.push(done);
    }
}
