//! A segment written anew beside itself: without damage, with fewer groups, or both.

use std::io::{self, SeekFrom};
use std::path::Path;

use super::contents::each_chunk;
use super::disk::Disk;
use crate::bitstream::{Limits, Salvage, Salvaged};
use crate::error::Error;

/// Copies what is whole among the first `upto` bytes of `from`, `groups` groups of every packet, to
/// `to`. Returns its length; when this returns, its bytes outlast a power cut.
///
/// # Errors
/// `InvalidData` if no header is whole: nothing can be read. After any error `to` is removed if it can be.
pub(super) fn rewrite(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    upto: u64,
    groups: usize,
) -> io::Result<(u64, Salvaged)> {
    copy(disk, from, to, upto, groups).inspect_err(|_| {
        // What stays is removed at the next start.
        let _ = disk.remove(to);
    })
}

fn copy(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    upto: u64,
    groups: usize,
) -> io::Result<(u64, Salvaged)> {
    let mut input = disk.open(from)?;
    let mut salvage = Salvage::new(Limits::default()).cut(groups);
    let mut failed = None;
    each_chunk(input.as_mut(), upto, |bytes| {
        failed = bytes.and_then(|bytes| salvage.survey(bytes).err());
        failed.is_none()
    })?;
    failed.map_or(Ok(()), Err).and_then(|()| salvage.begin()).map_err(unreadable)?;
    // Made only now: what is no recording leaves no copy.
    let out = disk.create(to)?;
    let mut bytes = 0;
    let mut put = |piece: &[u8]| {
        bytes += piece.len() as u64;
        if piece.is_empty() { Ok(()) } else { out.append(piece) }
    };
    input.seek(SeekFrom::Start(0))?;
    let mut wrote = Ok(());
    each_chunk(input.as_mut(), upto, |piece| {
        if let Some(piece) = piece {
            wrote = salvage.push(piece).map_err(unreadable).and_then(|piece| put(&piece));
        }
        wrote.is_ok()
    })?;
    wrote?;
    let (end, found) = salvage.finish().map_err(unreadable)?;
    put(&end)?;
    out.sync()?;
    Ok((bytes, found))
}

fn unreadable(e: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, e)
}
