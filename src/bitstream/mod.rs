//! Latents to packets to bytes and back. Integers only: any machine reads what any other wrote.
//!
//! Sans I/O: [`PacketReader`] is pushed bytes and gives events; [`PacketWriter`] gives bytes.
//!
//! A stream is a row of records. Each record is
//!
//! | bytes | field |
//! |---|---|
//! | 4 | marker: `D5 74 6D` and the kind: `48` header, `50` packet, `46` footer |
//! | varint | length of the head in bytes |
//! | n | head |
//! | 4 | CRC-32C of kind and head, little endian |
//! | … | packets only: the groups, whose lengths stand in the head |
//!
//! Varints hold 7 bits a byte, low bits first, the high bit set on all but the last.
//!
//! Header head: version (1 byte, 1), stream (varint), layout (1 byte: 0 gray, 1 RGB, 2 sound), channels of the frame
//! (varint), rate (varint; samples per second of sound, 0 for pictures), codec id (8 bytes),
//! tables id (8 bytes), groups (1 byte) and their ends (varints), wall clock at capture time 0 (varint,
//! microseconds since 1970, 0 if unknown), boot id (varint), bundle name and device (each a length byte and UTF-8).
//! It opens the stream, where it stands twice, and may be repeated anywhere.
//!
//! Packet head: stream, index (varints), flags (1 byte: 1 reset, 2 end), capture time (varint, microseconds), extent (two varints:
//! height and width, or channels and time steps), position (varint: first cell of a sound packet), quality (1 byte), first group (1 byte),
//! groups (1 byte), their lengths in bytes (varints).
//!
//! Group: CRC-32C (4 bytes), then length of the raw bits in bytes (varint), raw bits (low bits first), rANS bytes. A group of
//! length 0 holds only zeros. A group is coded from itself alone, so any prefix of groups decodes.
//!
//! Footer head: packets (varint), then for each the bytes since the record before it (varint: offset of its
//! marker minus that of the last packet's, or minus 0 for the first). A stream without a footer is incomplete.

mod bytes;
pub(crate) mod context;
mod dense;
mod fast;
mod group;
mod header;
mod indexes;
mod packet;
mod rans;
mod raw;
mod reader;
mod salvage;
mod writer;

pub use group::Coder;
pub use header::{Footer, StreamHeader};
pub use indexes::Indexes;
pub use packet::{Before, Continues, Packer, Packet, PacketHeader, Unpacked, pack, unpack};
pub use reader::{Event, Limits, PacketReader, begins_stream};
pub use salvage::{Damage, Salvage, Salvaged};
pub use writer::PacketWriter;

/// First three bytes of every record.
pub const MARKER: [u8; 3] = [0xD5, b't', b'm'];
