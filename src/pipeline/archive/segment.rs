//! One file of packets, and what is known of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bitstream::{Packet, StreamHeader};

/// Ending of a segment.
pub(super) const MAIN: &str = "tamis";
/// Ending of what is to be joined to one.
pub(super) const LATE: &str = "late";
/// Ending of a segment, or of what is to be joined to one, that is written anew.
pub(super) const PARTS: [&str; 2] = ["part", "late-part"];
/// Digits of a number in a name: names in order are segments in order.
const DIGITS: usize = 20;

/// Where a file stands.
pub(super) fn path(folder: &Path, number: u64, ending: &str) -> PathBuf {
    folder.join(format!("{number:0DIGITS$}.{ending}"))
}

/// Number and ending of a file's name; `None` if it is none of ours.
pub(super) fn parse(name: &str) -> Option<(u64, &str)> {
    let (digits, ending) = name.split_once('.')?;
    let number = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let known = [MAIN, LATE].contains(&ending) || PARTS.contains(&ending);
    if number && known { Some((digits.parse().ok()?, ending)) } else { None }
}

/// A segment: packets from its number on, up to the number of the next.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// Bytes of the packets in order.
    pub bytes: u64,
    /// Bytes of what is to be joined.
    pub late: u64,
    /// Bytes of these that could not be joined yet, as groups before them are missing.
    pub waiting: u64,
    /// Since when something is to be joined.
    pub since: Option<Duration>,
    /// When it was last added to.
    pub touched: Duration,
    /// Whether it has no index and packets may be appended.
    pub grows: bool,
    /// The last packet of those in order.
    pub last: Option<u64>,
    /// What is in both files; read again when it is needed.
    pub entries: Option<BTreeMap<u64, Entry>>,
    /// How much of what is in it, if that is known.
    pub counts: Option<Counts>,
    /// Whether it is not sure that all of it outlasts a power cut, or all can be read: it must be written anew first.
    pub doubtful: bool,
}

/// What is there of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// A bit for each group.
    pub groups: u16,
    /// The same, if it were whole.
    pub all: u16,
    /// What all of its parts have in common.
    pub identity: u32,
}

impl Entry {
    /// Nothing of a packet yet.
    pub fn new(header: &StreamHeader, packet: &Packet) -> Self {
        let all = header.groups.iter().take(15).fold(0, |all, _| all << 1 | 1);
        Self { groups: 0, all, identity: identity(header, packet) }
    }
}

/// How much is in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub ends: Option<(u64, u64)>,
    pub packets: u64,
    pub whole: u64,
    pub groups: Vec<u64>,
}

impl Counts {
    pub fn of(entries: &BTreeMap<u64, Entry>) -> Self {
        let any = entries.values().fold(0, |any, e| any | e.groups);
        let count = |g| entries.values().filter(|e| e.groups >> g & 1 == 1).count() as u64;
        Self {
            ends: entries.keys().next().copied().zip(entries.keys().next_back().copied()),
            packets: entries.len() as u64,
            whole: entries.values().filter(|e| e.groups == e.all).count() as u64,
            groups: (0..16 - any.leading_zeros()).map(count).collect(),
        }
    }
}

/// What all parts of a packet have in common: all that stands before its groups, and what its stream says of it.
fn identity(header: &StreamHeader, packet: &Packet) -> u32 {
    let mut sum = packet.identity();
    let mut add = |bytes: &[u8]| sum = crc32c::crc32c_append(sum, bytes);
    add(&header.codec.0);
    add(&header.tables.0);
    add(&header.boot.to_le_bytes());
    add(&(header.channels as u64).to_le_bytes());
    add(&[header.layout.number()]);
    add(&header.rate().to_le_bytes());
    header.groups.iter().for_each(|&g| add(&(g as u64).to_le_bytes()));
    sum
}

/// The bits of the groups of a packet.
pub(super) fn bits(packet: &Packet) -> u16 {
    packet.groups().fold(0, |bits, g| bits | 1 << g)
}
