//! Packets to bytes, without I/O.

use super::MARKER;
use super::bytes::put_varint;
use super::header::{Footer, StreamHeader};
use super::packet::Packet;

/// Writes one stream. Each call returns the bytes to append.
#[derive(Debug, Default)]
pub struct PacketWriter {
    written: u64,
    footer: Footer,
}

impl PacketWriter {
    /// A writer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The header that begins a stream or changes it: twice, as without it nothing behind can be
    /// read.
    pub fn header(&mut self, header: &StreamHeader) -> Vec<u8> {
        let mut out = self.repeat(header);
        out.extend(self.repeat(header));
        out
    }

    /// A header again, for those who join late.
    pub fn repeat(&mut self, header: &StreamHeader) -> Vec<u8> {
        self.record(b'H', &header.write(), &[])
    }

    /// A packet record.
    pub fn packet(&mut self, packet: &Packet) -> Vec<u8> {
        self.footer.offsets.push(self.written);
        self.record(b'P', &packet.write_head(), &packet.payload)
    }

    /// The footer that completes the stream.
    pub fn finish(mut self) -> Vec<u8> {
        let head = std::mem::take(&mut self.footer).write();
        self.record(b'F', &head, &[])
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn record(&mut self, kind: u8, head: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(head.len() + payload.len() + 16);
        out.extend_from_slice(&MARKER);
        out.push(kind);
        put_varint(&mut out, head.len() as u64);
        out.extend_from_slice(head);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&[kind]), head);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(payload);
        self.written += out.len() as u64;
        out
    }
}
