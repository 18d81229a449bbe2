//! A segment written anew: what came late is joined, an index closes it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::scan::scan;
use super::segment::{LATE, MAIN, PARTS, path};
use crate::bitstream::{Packet, PacketWriter, StreamHeader};
use crate::pipeline::store::{Disk, Growing};

/// Packets between two repetitions of a header.
const REPEAT: u64 = 32;
/// Bytes written at once.
const CHUNK: usize = 1 << 16;

type Parts = BTreeMap<u64, Vec<(Arc<StreamHeader>, Packet)>>;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Merged {
    /// Bytes of the segment.
    pub bytes: u64,
    /// Bytes that still wait for what should stand before them.
    pub late: u64,
    /// The last packet of the segment.
    pub last: Option<u64>,
}

/// Writes a segment anew. When this returns, it outlasts a power cut; until then the old one is there as it was.
///
/// # Errors
/// The disk's own.
pub(super) fn merge(disk: &dyn Disk, folder: &Path, number: u64) -> io::Result<Merged> {
    let [main, late] = [MAIN, LATE].map(|e| path(folder, number, e));
    let [part, late_part] = PARTS.map(|e| path(folder, number, e));
    let mut parts = Parts::new();
    scan(disk, &late, |header, packet| {
        parts.entry(packet.stamp.index).or_default().push((header.clone(), packet));
        Ok(())
    })?;
    parts.values_mut().for_each(|p| p.sort_by_key(|(_, packet)| packet.header.first_group));
    let mut left = Parts::new();
    let mut out = Out::new(disk.create(&part)?);
    let mut last = None;
    scan(disk, &main, |header, packet| {
        let index = packet.stamp.index;
        // Only what comes behind the last is ever appended: this is the same again, after an error.
        if last.is_some_and(|last| index <= last) {
            return Ok(());
        }
        let behind = parts.split_off(&index);
        for found in std::mem::replace(&mut parts, behind).into_values() {
            last = out.joined(found, &mut left)?.or(last);
        }
        let mut found = vec![(header.clone(), packet)];
        found.extend(parts.remove(&index).unwrap_or_default());
        last = out.joined(found, &mut left)?.or(last);
        Ok(())
    })?;
    for found in parts.into_values() {
        last = out.joined(found, &mut left)?.or(last);
    }
    if out.packets > 0 {
        let bytes = out.finish()?;
        let late = rest(disk, &late_part, &left)?;
        disk.rename(&part, &main)?;
        replace(disk, folder, number, late)?;
        return Ok(Merged { bytes, late, last });
    }
    // Nothing begins with its first group yet.
    disk.remove(&part)?;
    let late = rest(disk, &late_part, &left)?;
    replace(disk, folder, number, late)?;
    Ok(Merged { bytes: 0, late, last: None })
}

/// Puts what still waits in its place.
fn replace(disk: &dyn Disk, folder: &Path, number: u64, late: u64) -> io::Result<()> {
    // The segment's name comes first: what is in both is known twice, what is in neither is lost.
    disk.sync_folder(folder)?;
    let [from, to] = [PARTS[1], LATE].map(|e| path(folder, number, e));
    match late {
        0 => match disk.remove(&to) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        },
        _ => disk.rename(&from, &to)?,
    }
    disk.sync_folder(folder)
}

/// Writes what still waits; its length.
fn rest(disk: &dyn Disk, to: &Path, left: &Parts) -> io::Result<u64> {
    if left.is_empty() {
        return Ok(0);
    }
    let mut out = Out::new(disk.create(to)?);
    for (header, packet) in left.values().flatten() {
        out.packet(header, packet)?;
    }
    out.flush()?;
    out.file.sync()?;
    Ok(out.bytes)
}

/// A file that is written.
struct Out {
    file: Arc<dyn Growing>,
    writer: PacketWriter,
    headers: BTreeMap<u32, Arc<StreamHeader>>,
    ready: Vec<u8>,
    bytes: u64,
    packets: u64,
}

impl Out {
    fn new(file: Arc<dyn Growing>) -> Self {
        let (writer, headers, ready) = (PacketWriter::new(), BTreeMap::new(), Vec::new());
        Self { file, writer, headers, ready, bytes: 0, packets: 0 }
    }

    /// Writes the parts of one packet as far as they go from its first group on; the rest is left. Returns its
    /// index, if something was written.
    fn joined(
        &mut self,
        found: Vec<(Arc<StreamHeader>, Packet)>,
        left: &mut Parts,
    ) -> io::Result<Option<u64>> {
        let mut whole: Option<(Arc<StreamHeader>, Packet)> = None;
        for (header, packet) in found {
            let index = packet.stamp.index;
            let joined = whole.as_mut().is_some_and(|(_, whole)| whole.join(&packet));
            if whole.is_none() && packet.header.first_group == 0 {
                whole = Some((header, packet));
            } else if !joined {
                left.entry(index).or_default().push((header, packet));
            }
        }
        let Some((header, packet)) = whole else { return Ok(None) };
        self.packet(&header, &packet)?;
        Ok(Some(packet.stamp.index))
    }

    fn packet(&mut self, header: &Arc<StreamHeader>, packet: &Packet) -> io::Result<()> {
        if self.headers.get(&header.stream) != Some(header) {
            self.ready.extend(self.writer.header(header));
            self.headers.insert(header.stream, header.clone());
        } else if self.packets.is_multiple_of(REPEAT) {
            self.ready.extend(self.writer.repeat(header));
        }
        self.ready.extend(self.writer.packet(packet));
        self.packets += 1;
        if self.ready.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bytes += self.ready.len() as u64;
        self.file.append(&std::mem::take(&mut self.ready))
    }

    /// Writes the index; the length of all.
    fn finish(mut self) -> io::Result<u64> {
        self.ready.extend(std::mem::take(&mut self.writer).finish());
        self.flush()?;
        self.file.sync()?;
        Ok(self.bytes)
    }
}
