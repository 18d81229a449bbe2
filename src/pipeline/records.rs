//! The records of a recording, in the order in which they are written.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bitstream::{Packet, PacketWriter, StreamHeader};

/// Packets between two repetitions of the headers, so that a stream joined late can be read.
const REPEAT: u64 = 32;
/// Clocks that differ less are one clock.
const TOGETHER: Duration = Duration::from_millis(100);

/// The records of a recording, in the order in which they are written.
#[derive(Default)]
pub(super) struct Records {
    writer: PacketWriter,
    /// Headers of the streams whose sound has not ended.
    headers: BTreeMap<u32, StreamHeader>,
    packets: u64,
}

impl Records {
    /// The bytes of the next packet, with the headers that must stand before it.
    pub fn next(&mut self, header: &StreamHeader, packet: &Packet) -> Vec<u8> {
        let mut bytes = Vec::new();
        let stream = header.stream;
        // A stream's first header holds; a later frame of another layout needs a new one.
        let known = self.headers.get(&stream).is_some_and(|h| says_the_same(h, header));
        if !known {
            bytes.extend(self.writer.header(header));
            self.headers.insert(stream, header.clone());
        } else if self.packets.is_multiple_of(REPEAT) {
            for header in self.headers.values() {
                bytes.extend(self.writer.repeat(header));
            }
        }
        bytes.extend(self.writer.packet(packet));
        self.packets += 1;
        if packet.header.span.end {
            // It need not be repeated; should the sound go on, it has a header again.
            self.headers.remove(&stream);
        }
        bytes
    }

    /// The footer; nothing if there was no packet: a stream with no header is no stream.
    pub fn finish(&mut self) -> Vec<u8> {
        let writer = std::mem::take(self);
        if writer.packets == 0 { Vec::new() } else { writer.writer.finish() }
    }
}

/// Whether packets of one header can be read with the other, at the same times.
fn says_the_same(a: &StreamHeader, b: &StreamHeader) -> bool {
    // Two clocks that are read one after the other are never quite together.
    let apart = match (a.utc, b.utc) {
        (Some(a), Some(b)) => a.duration_since(b).or(b.duration_since(a)).unwrap_or_default(),
        (None, None) => Duration::ZERO,
        _ => Duration::MAX,
    };
    let rest = |h: &StreamHeader| StreamHeader { utc: None, ..h.clone() };
    apart < TOGETHER && rest(a) == rest(b)
}
