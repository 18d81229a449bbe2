//! A segment that was not closed becomes one that is.

use std::io;
use std::time::{Duration, SystemTime};

use super::contents::{Contents, Survey, survey};
use super::disk::Disk;
use super::rewrite::rewrite;
use super::segment::{Broken, CLOSED, OPEN, PART, Segment, path};
use super::stream::Stream;
use super::tombstone::{Reason, Tombstone};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Saved {
    /// Packets that are there.
    pub packets: u64,
    /// Bytes that are not.
    pub skipped: u64,
}

/// Saves what can be read of a broken segment of `stream`, which closes it, or removes it if that is
/// nothing.
///
/// # Errors
/// If the disk fails: it stays broken, and can be tried again.
pub(super) fn repair(
    disk: &dyn Disk,
    stream: &mut Stream,
    broken: &mut Broken,
    now: Duration,
) -> io::Result<Saved> {
    let folder = stream.folder.clone();
    let [open, part, closed] = [OPEN, PART, CLOSED].map(|e| path(&folder, broken.number, e));
    let found = match disk.open(&open) {
        Ok(mut file) => survey(file.as_mut(), broken.upto)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Survey::default(),
        Err(e) => return Err(e),
    };
    let mut bytes = broken.upto.min(broken.bytes);
    let mut saved = Saved { packets: found.contents.packets, skipped: 0 };
    // What an index closes is as it should be.
    if found.contents.packets > 0 && (!found.whole || broken.doubtful) {
        match rewrite(disk, &open, &part, broken.upto, usize::MAX) {
            Ok((len, salvaged)) => {
                let lost = match broken.expected {
                    Some(expected) => expected.packets.saturating_sub(salvaged.packets),
                    None => broken.torn(&found.damage) + salvaged.headless,
                };
                saved.skipped = if salvaged.has_losses() { salvaged.skipped() } else { 0 };
                mourn(disk, stream, broken, &found, (lost, saved.skipped))?;
                disk.rename(&part, &open)?;
                (broken.upto, broken.bytes, bytes) = (len, len, len);
                (broken.doubtful, broken.expected) = (false, Some(found.contents));
                disk.sync_folder(&folder)?;
            }
            // No header is left: nobody can read the rest.
            Err(e) if e.kind() == io::ErrorKind::InvalidData => saved.packets = 0,
            Err(e) => return Err(e),
        }
    }
    if saved.packets == 0 {
        let torn = broken.torn(&found.damage) + found.contents.packets;
        let lost = broken.expected.map_or(torn, |e| e.packets);
        saved.skipped = if lost > 0 || !found.damage.is_empty() { bytes } else { 0 };
        let none = Survey { contents: Contents::default(), ..found };
        mourn(disk, stream, broken, &none, (lost, saved.skipped))?;
        match disk.remove(&open) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        stream.settle(disk);
        return Ok(saved);
    }
    disk.rename(&open, &closed)?;
    stream.settle(disk);
    let at = closed_at(&found.contents, None, now);
    let segment = Segment::new(broken.number, found.contents, bytes, at);
    stream.insert(Segment { groups: Some(found.groups), ..segment });
    Ok(saved)
}

/// Writes down which packets and bytes are lost, if any are.
fn mourn(
    disk: &dyn Disk,
    stream: &mut Stream,
    broken: &mut Broken,
    found: &Survey,
    lost: (u64, u64),
) -> io::Result<()> {
    if broken.mourned {
        return Ok(());
    }
    let (number, expected) = (broken.number, broken.expected.map_or(0, |e| e.last));
    let first = found.damage.first().map_or(found.contents.last, |d| d.first).max(number);
    let last = found.damage.last().map_or(first, |d| d.last).max(expected).max(first);
    let stone = Tombstone {
        utc: disk.utc(),
        segment: Some(number),
        first_index: first,
        last_index: last,
        packets: lost.0,
        bytes: lost.1,
        groups_left: 0,
        reason: Reason::Error,
    };
    let cut = found.cut.filter(|_| found.contents.packets > 0).map(|cut| Tombstone {
        first_index: cut.first,
        last_index: cut.last,
        packets: cut.packets,
        // The bytes of all that is damaged stand on one of both.
        bytes: if lost.0 > 0 { 0 } else { lost.1 },
        groups_left: cut.groups,
        ..stone.clone()
    });
    let gone = lost.0 > 0 || (lost.1 > 0 && cut.is_none());
    for stone in gone.then_some(stone).into_iter().chain(cut) {
        // A power cut may have come between this and the deed.
        if !broken.told.iter().any(|t| t.says_the_same(&stone)) {
            stream.stones.set(disk, &stone)?;
            broken.told.push(stone.clone());
        }
        stream.next = stream.next.max(stone.last_index.saturating_add(1));
    }
    broken.mourned = true;
    Ok(())
}

/// Closes a broken segment as it stands, where there is no room for a copy.
///
/// # Errors
/// If the disk fails.
pub(super) fn adopt(
    disk: &dyn Disk,
    stream: &mut Stream,
    broken: &Broken,
    now: Duration,
) -> io::Result<()> {
    let [open, closed] = [OPEN, CLOSED].map(|e| path(&stream.folder, broken.number, e));
    let contents = match broken.expected {
        Some(contents) => contents,
        None => survey(disk.open(&open)?.as_mut(), broken.upto)?.contents,
    };
    if contents.packets == 0 {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let file = disk.extend(&open)?;
    file.truncate(broken.upto)?;
    file.sync()?;
    disk.rename(&open, &closed)?;
    stream.settle(disk);
    let at = closed_at(&contents, None, now);
    stream.insert(Segment::new(broken.number, contents, broken.upto, at));
    Ok(())
}

/// When something was closed, on the clock of the store: when its last packet was captured, or else
/// when the file was written, or else now.
pub(super) fn closed_at(
    contents: &Contents,
    modified: Option<SystemTime>,
    now: Duration,
) -> Duration {
    let at = contents.ends.or(modified).map(|at| at.duration_since(SystemTime::UNIX_EPOCH));
    at.map_or(now, |at| at.unwrap_or_default().min(now))
}
