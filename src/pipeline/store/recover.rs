//! A stream's folder as it was left, in order again.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::contents::{Contents, glance, survey};
use super::disk::{Disk, Entry};
use super::repair::{closed_at, repair};
use super::segment::{Broken, CLOSED, OPEN, Owed, PART, Segment, parse, path};
use super::stones::Stones;
use super::stream::Stream;
use super::tombstone::{Reason, Tombstone};

/// A segment that was not closed when the store was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its stream.
    pub stream: String,
    /// Its number.
    pub segment: u64,
    /// Packets that are still there; without any it was removed.
    pub packets: u64,
    /// Bytes that are not.
    pub skipped_bytes: u64,
    /// Why it could not be closed yet, if so.
    pub problem: Option<String>,
}

/// Reads the folder of a stream, and closes what a crash left open. Closed segments are not read
/// whole, but for those whose index is damaged. `quota` is that of the store.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn load(
    disk: &dyn Disk,
    folder: &Path,
    name: &str,
    quota: u64,
    now: Duration,
) -> io::Result<(Stream, Vec<Recovered>)> {
    let (stones, told) = Stones::load(disk, folder, quota)?;
    let mut stream = Stream::new(name.into(), folder.into(), stones);
    let mut entries = Vec::new();
    for entry in disk.list(folder)? {
        match parse(&entry.name).map(|(number, ending)| (number, ending.to_string())) {
            Some((number, ending)) => entries.push((number, ending, entry)),
            None => stray(disk, &mut stream, &entry),
        }
    }
    entries.sort_by_key(|(number, ..)| *number);
    let of = |wanted: &'static str| entries.iter().filter(move |(_, ending, _)| ending == wanted);
    for (number, _, entry) in of(CLOSED) {
        let part = of(PART).find(|(n, ..)| n == number).map(|(.., part)| part.bytes);
        closed(disk, &mut stream, *number, entry, part, &told, now);
    }
    for (number, ..) in of(PART) {
        // One that is still needed has another name by now. What stays does no harm.
        let owed = stream.segments.iter().any(|s| s.number == *number && s.owed.is_some());
        if !owed {
            let _ = disk.remove(&path(folder, *number, PART));
        }
    }
    let mut recovered = Vec::new();
    for (number, _, entry) in of(OPEN) {
        recovered.push(left_open(disk, &mut stream, *number, entry.bytes, &told, now));
    }
    stream.settle(disk);
    Ok((stream, recovered))
}

/// A file that is no segment.
fn stray(disk: &dyn Disk, stream: &mut Stream, entry: &Entry) {
    // Tombstones that were being written anew.
    if entry.name == super::stones::PART && disk.remove(&stream.folder.join(&entry.name)).is_ok() {
        return;
    }
    if entry.name != super::stones::NAME && !entry.is_folder {
        stream.other_bytes += entry.bytes;
    }
}

/// A closed segment; if a tombstone tells of a deed that a power cut came before, it is done now.
fn closed(
    disk: &dyn Disk,
    stream: &mut Stream,
    number: u64,
    entry: &Entry,
    part: Option<u64>,
    told: &[Tombstone],
    now: Duration,
) {
    let (whole, beside) =
        (path(&stream.folder, number, CLOSED), path(&stream.folder, number, PART));
    let deed = told
        .iter()
        .rfind(|t| t.segment == Some(number) && !matches!(t.reason, Reason::Deny | Reason::Error));
    let left = deed.map(|t| t.groups_left);
    // One that some failed attempt left is another, and is removed.
    let part =
        part.filter(|&len| deed.is_some_and(|t| entry.bytes.checked_sub(len) == Some(t.bytes)));
    if left == Some(0) && disk.remove(&whole).is_ok() {
        return;
    }
    let mut bytes = entry.bytes;
    let mut owed = (left == Some(0)).then_some(Owed::Removal);
    if let (Some(groups @ 1..), Some(len)) = (left, part)
        && is_cut(disk, &beside, len, groups)
    {
        match disk.rename(&beside, &whole) {
            Ok(()) => bytes = len,
            Err(_) => owed = Some(Owed::Thinner { bytes: len, groups }),
        }
    }
    // What cannot be read now stands in its place all the same.
    let none = Contents { first: number, last: number, ..Contents::default() };
    let contents = look(disk, &whole, bytes).unwrap_or(none);
    let at = closed_at(&contents, Some(entry.modified), now);
    stream.next = stream.next.max(number.saturating_add(1));
    stream.insert(Segment { groups: left, owed, ..Segment::new(number, contents, bytes, at) });
}

/// Whether a file is a whole segment of so many groups at most.
fn is_cut(disk: &dyn Disk, file: &Path, bytes: u64, groups: usize) -> bool {
    let found = disk.open(file).and_then(|mut file| survey(file.as_mut(), bytes));
    found.is_ok_and(|found| found.whole && found.groups <= groups)
}

fn look(disk: &dyn Disk, file: &Path, bytes: u64) -> Option<Contents> {
    let mut file = disk.open(file).ok()?;
    let contents = match glance(file.as_mut(), bytes) {
        Ok(Some(contents)) => contents,
        _ => survey(file.as_mut(), bytes).ok()?.contents,
    };
    (contents.packets > 0).then_some(contents)
}

fn left_open(
    disk: &dyn Disk,
    stream: &mut Stream,
    number: u64,
    bytes: u64,
    told: &[Tombstone],
    now: Duration,
) -> Recovered {
    let mut broken = Broken::found(number, bytes);
    broken.told = told
        .iter()
        .filter(|t| t.segment.is_none_or(|n| n == number))
        .filter(|t| matches!(t.reason, Reason::Error | Reason::Deny))
        .cloned()
        .collect();
    let (name, segment) = (stream.name.clone(), number);
    match repair(disk, stream, &mut broken, now) {
        Ok(saved) => {
            let (packets, skipped_bytes) = (saved.packets, saved.skipped);
            Recovered { stream: name, segment, packets, skipped_bytes, problem: None }
        }
        Err(e) => {
            // Its numbers are taken, whether it can be saved or not.
            let open = path(&stream.folder, number, OPEN);
            let found = disk.open(&open).and_then(|mut file| survey(file.as_mut(), bytes));
            let contents = found.map(|found| found.contents).unwrap_or_default();
            stream.next = stream.next.max(number.saturating_add(1));
            stream.saw(&contents);
            stream.error = Some(e.to_string());
            stream.broken.push(broken);
            let problem = Some(e.to_string());
            Recovered {
                stream: name,
                segment,
                packets: contents.packets,
                skipped_bytes: 0,
                problem,
            }
        }
    }
}
