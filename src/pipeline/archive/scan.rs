//! The packets of a file, one after the other.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use crate::bitstream::{Event, Limits, Packet, PacketReader, StreamHeader};
use crate::pipeline::store::Disk;

/// Bytes read at once.
const CHUNK: usize = 1 << 16;

/// How a file was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    /// Its length.
    pub bytes: u64,
    /// Whether an index closes it.
    pub complete: bool,
    /// Whether bytes of it could not be read as packets.
    pub damaged: bool,
}

/// Gives every packet of a file with its header. Nothing if there is no such file.
///
/// # Errors
/// The disk's own, and those of `take`.
pub(super) fn scan(
    disk: &dyn Disk,
    path: &Path,
    mut take: impl FnMut(&Arc<StreamHeader>, Packet) -> io::Result<()>,
) -> io::Result<Shape> {
    let mut shape = Shape::default();
    let mut file = match disk.open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(shape),
        file => file?,
    };
    let mut reader = PacketReader::midway(Limits::default());
    let mut headers: BTreeMap<u32, Arc<StreamHeader>> = BTreeMap::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = match file.read(&mut chunk) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            n => n?,
        };
        shape.bytes += n as u64;
        match n {
            0 => reader.finish(),
            n => reader.push(&chunk[..n]),
        }
        while let Some(event) = reader.next_event().map_err(io::Error::other)? {
            match event {
                Event::Header(header) => {
                    headers.insert(header.stream, Arc::new(header));
                }
                Event::Packet(packet) => match headers.get(&packet.stamp.stream) {
                    Some(header) => take(header, packet)?,
                    None => shape.damaged = true,
                },
                Event::Footer(_) => {}
                Event::Damage { .. } => shape.damaged = true,
            }
        }
        if n == 0 {
            shape.complete = reader.is_complete();
            return Ok(shape);
        }
    }
}
