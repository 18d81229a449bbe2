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
//! A packet holds groups of channels, each coded from itself alone: by [`Coder::Fast`], a table for
//! each channel, or by [`Coder::Dense`], a table for each value, chosen by what surrounds it. A group
//! of a picture may also continue the same group of an earlier packet. `docs/format.md` is the
//! specification, field by field.

mod bytes;
pub(crate) mod context;
mod dense;
mod fast;
mod fits;
mod group;
mod header;
mod indexes;
mod packet;
mod part;
mod rans;
mod raw;
mod reader;
mod salvage;
mod writer;

pub use group::Coder;
pub use header::{Footer, StreamHeader};
pub use indexes::Indexes;
pub use packet::{Before, Continues, Packer, Packet, PacketHeader, Unpacked, pack, unpack};
pub use reader::{Event, GROUP, Limits, PacketReader, begins_stream};
pub use salvage::{Damage, Salvage, Salvaged};
pub use writer::PacketWriter;

/// First three bytes of every record.
pub const MARKER: [u8; 3] = [0xD5, b't', b'm'];
