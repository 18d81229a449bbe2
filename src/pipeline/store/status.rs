//! What is in a store, for people and for the uplink.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::segment::{CLOSED, OPEN, path};
use super::state::State;
use super::stream::Stream;
use super::tombstone::GivenUp;

/// A store at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that are free on the file system, where known.
    pub free_bytes: Option<u64>,
    /// The streams by name.
    pub streams: BTreeMap<String, StreamStatus>,
}

/// One stream of a store at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamStatus {
    /// Bytes of its files.
    pub bytes: u64,
    /// Segments, with the open one.
    pub segments: usize,
    /// The oldest packet.
    pub oldest: Option<Place>,
    /// The newest packet.
    pub newest: Option<Place>,
    /// What was given up, since the store was made.
    pub given_up: GivenUp,
    /// Segments that could not be closed yet, and 1 if it is not sure that names outlast a power cut.
    pub broken: usize,
    /// The last error of the disk.
    pub error: Option<String>,
}

/// Place and time of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its index.
    pub index: u64,
    /// When it was captured, where known.
    pub utc: Option<SystemTime>,
}

/// One segment of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// Name of its file.
    pub name: String,
    /// Index of its first packet.
    pub first_index: u64,
    /// Index of its last packet.
    pub last_index: u64,
    /// Packets in it.
    pub packets: u64,
    /// When the first was captured, where known.
    pub begins: Option<SystemTime>,
    /// Its length.
    pub bytes: u64,
    /// Bytes of these that outlast a power cut: what may be sent, as the numbers of packets behind may be given again.
    pub synced_bytes: u64,
    /// Whether nothing more is written to it.
    pub is_closed: bool,
}

pub(super) fn status(state: &State) -> Status {
    let streams = state.streams.iter().map(|s| (s.name.clone(), stream(s))).collect();
    Status { bytes: state.bytes(), free_bytes: state.free, streams }
}

fn stream(s: &Stream) -> StreamStatus {
    let closed = || s.segments.iter().map(|x| &x.contents).filter(|c| c.packets > 0);
    let open = s.open.as_ref().map(|o| &o.contents).filter(|c| c.packets > 0);
    let first = closed().next().or(open);
    let last = open.or_else(|| closed().next_back());
    StreamStatus {
        bytes: s.bytes(),
        segments: s.segments.len() + usize::from(s.open.is_some()),
        oldest: first.map(|c| Place { index: c.first, utc: c.begins }),
        newest: last.map(|c| Place { index: c.last, utc: c.ends }),
        given_up: s.given_up(),
        broken: s.broken.len() + usize::from(s.unsure),
        error: s.error.clone(),
    }
}

/// The segments of a stream, oldest first.
pub(super) fn segments(s: &Stream) -> Vec<SegmentInfo> {
    let name = |number, ending| {
        let path = path(&s.folder, number, ending);
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    let info = |number, ending, c: &super::contents::Contents, bytes, synced_bytes| SegmentInfo {
        number,
        name: name(number, ending),
        first_index: c.first,
        last_index: c.last,
        packets: c.packets,
        begins: c.begins,
        bytes,
        synced_bytes,
        is_closed: ending == CLOSED,
    };
    let mut all: Vec<SegmentInfo> = s
        .segments
        .iter()
        .map(|x| info(x.number, CLOSED, &x.contents, x.bytes, x.bytes))
        .chain(s.broken.iter().filter_map(|b| Some(info(b.number, OPEN, &b.expected?, b.upto, 0))))
        .chain(s.open.iter().map(|o| info(o.number, OPEN, &o.contents, o.bytes, o.synced)))
        .collect();
    all.sort_by_key(|x| x.number);
    all
}
