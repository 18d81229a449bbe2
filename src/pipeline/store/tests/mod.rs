//! The store on disks that fail, fill up and lose power.

#![allow(clippy::unwrap_used)]

pub(crate) mod fake;
mod faults;
mod kill;
mod power;
mod rules;
mod threads;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::bitstream::StreamHeader;
use crate::bitstream::{Coder, Continues, Event, Limits, Packet, PacketHeader, PacketReader};
use crate::codec::{CodecId, Layout, Quality, Span, Stamp};

/// Reproducible numbers.
pub struct Noise(u64);

impl Noise {
    /// Seeds that are near each other are no nearer in what follows.
    pub fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// Groups of every packet.
pub const GROUPS: usize = 3;
/// Every so many packets one stands alone.
pub const KEYS: u64 = 4;

pub fn header(sound: bool) -> StreamHeader {
    StreamHeader {
        stream: 0,
        layout: if sound { Layout::Audio { rate: 8000 } } else { Layout::Rgb },
        channels: if sound { 1 } else { 3 },
        codec: CodecId([1; 8]),
        tables: CodecId([2; 8]),
        groups: vec![2, 4, 6],
        utc: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
        boot: 7,
        bundle: "test".into(),
        device: "cpu".into(),
    }
}

/// A packet that is like no other; nothing decodes it.
pub fn packet(sound: bool, index: u64, key: bool) -> Packet {
    let mut noise = Noise::new(index * 2 + u64::from(sound) + 99);
    let (mut payload, mut lengths) = (Vec::new(), Vec::new());
    for _ in 0..GROUPS {
        let coded: Vec<u8> = (0..8 + noise.below(40)).map(|_| noise.below(256) as u8).collect();
        payload.extend(crc32c::crc32c(&coded).to_le_bytes());
        payload.extend(&coded);
        lengths.push(coded.len() + 4);
    }
    let continues = (!sound && !key).then_some(Continues { back: 1, groups: 7 });
    let span = match sound {
        true => Span { position: index * 10 + 1, reset: key, end: false },
        false => Span::default(),
    };
    Packet {
        stamp: Stamp { index, captured: Duration::from_millis(index * 40), ..Stamp::default() },
        header: PacketHeader {
            extent: [16, 16],
            span,
            quality: Quality::new(50).unwrap(),
            coder: Coder::Dense,
            continues,
            first_group: 0,
            lengths,
        },
        payload: payload.into(),
    }
}

/// The packets of all segments of a stream, by index; each may be there once.
pub fn read_back(store: &Arc<Store>, stream: &str) -> BTreeMap<u64, Packet> {
    let mut packets = BTreeMap::new();
    for segment in store.segments(stream) {
        let mut bytes = Vec::new();
        store.read(stream, segment.number).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
        let found = parse(&bytes);
        assert!(found.len() as u64 >= segment.packets, "{segment:?} has {}", found.len());
        for packet in found {
            let index = packet.stamp.index;
            assert!(packets.insert(index, packet).is_none(), "index {index} is there twice");
        }
    }
    packets
}

/// The packets of a file, which must begin like one.
pub fn parse(bytes: &[u8]) -> Vec<Packet> {
    let mut reader = PacketReader::new(Limits::default());
    reader.push(bytes);
    reader.finish();
    let mut packets = Vec::new();
    while let Some(event) = reader.next_event().unwrap() {
        if let Event::Packet(packet) = event {
            packets.push(packet);
        }
    }
    packets
}

/// The tombstones of a stream.
pub fn stones(disk: &dyn Disk, folder: &Path) -> Vec<Tombstone> {
    let mut text = String::new();
    match disk.open(&folder.join("given-up.jsonl")) {
        Ok(mut file) => drop(file.read_to_string(&mut text).unwrap()),
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::NotFound),
    }
    text.lines().filter_map(Tombstone::from_line).collect()
}

/// The same, for people.
pub fn lines(stones: &[Tombstone]) -> String {
    stones.iter().map(|t| format!("\n{}", t.to_line())).collect()
}

/// Why a packet that was stored is not accounted for, if it is not.
pub fn fault(stored: &Packet, found: Option<&Packet>, stones: &[Tombstone]) -> Option<String> {
    let index = stored.stamp.index;
    let covers = |t: &&Tombstone| (t.first_index..=t.last_index).contains(&index);
    let Some(found) = found else {
        let gone = stones.iter().filter(covers).any(|t| t.groups_left == 0);
        return (!gone).then(|| format!("packet {index} is missing"));
    };
    let groups = found.header.lengths.len();
    let mut cut = stored.clone();
    cut.cut(groups);
    if *found != cut {
        return Some(format!("packet {index} is another: {found:?} for {stored:?}"));
    }
    // A tombstone is a promise.
    let deeds = [Reason::Oldest, Reason::Thin, Reason::Staircase];
    let mut promised = stones.iter().filter(covers).filter(|t| t.segment.is_some());
    if promised.any(|t| deeds.contains(&t.reason) && t.groups_left < groups) {
        return Some(format!("packet {index} has {groups} groups left, though fewer were kept"));
    }
    let told = groups == GROUPS || stones.iter().filter(covers).any(|t| t.groups_left <= groups);
    (!told).then(|| format!("packet {index} has {groups} groups left, and no tombstone says so"))
}

pub fn small(policy: Policy) -> Settings {
    Settings {
        segment_bytes: 1500,
        segment_time: Duration::from_secs(3600),
        quota_bytes: 16_000,
        keep_free_bytes: 0,
        policy,
        ..Settings::default()
    }
}
