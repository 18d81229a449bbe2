//! The archive on disks that fail and lose power, and by senders that repeat themselves.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::bitstream::{Event, Limits, Packet, PacketReader, PacketWriter};
use crate::pipeline::store::tests::fake::FakeDisk;
use crate::pipeline::store::tests::{KEYS, Noise, header, packet};
use crate::pipeline::store::{Disk, RealDisk};

const DIR: &str = "dir";

fn batch(packets: &[Packet]) -> Vec<u8> {
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&header(false));
    packets.iter().for_each(|p| bytes.extend(writer.packet(p)));
    bytes
}

fn whole(count: u64) -> Vec<Packet> {
    (0..count).map(|i| packet(false, i, i % KEYS == 0)).collect()
}

/// All packets that a reader sees: each once, in order, from its first group on.
fn visible(disk: &dyn Disk) -> BTreeMap<u64, Packet> {
    let folder = Path::new(DIR).join("ridge").join("gate");
    let mut found = BTreeMap::new();
    let mut names: Vec<String> = disk.list(&folder).unwrap().into_iter().map(|e| e.name).collect();
    names.sort();
    for name in names.iter().filter(|n| n.ends_with(".tamis")) {
        let mut bytes = Vec::new();
        disk.open(&folder.join(name)).unwrap().read_to_end(&mut bytes).unwrap();
        if bytes.is_empty() {
            // What could not be written could not be removed either.
            continue;
        }
        let mut reader = PacketReader::new(Limits::default());
        reader.push(&bytes);
        reader.finish();
        let mut last = None;
        while let Some(event) = reader.next_event().unwrap() {
            if let Event::Packet(packet) = event {
                let index = packet.stamp.index;
                assert!(last < Some(index) && packet.header.first_group == 0, "{name}: {index}");
                last = Some(index);
                assert!(found.insert(index, packet).is_none(), "{index} is there twice");
            }
        }
    }
    found
}

fn check(disk: &dyn Disk, expected: &[Packet]) {
    let found: Vec<Packet> = visible(disk).into_values().collect();
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "other packets");
}

fn open(disk: &FakeDisk) -> Archive {
    Archive::open(Path::new(DIR), Arc::new(disk.clone())).unwrap()
}

#[test]
fn late_groups_are_joined_and_repetitions_are_known() {
    let disk = FakeDisk::new(1);
    let archive = open(&disk);
    let all = whole(40);
    let firsts: Vec<Packet> = all.iter().map(|p| p.part(0..1)).collect();
    let rests: Vec<Packet> = all.iter().map(|p| p.part(1..3)).collect();
    let taken = |stored, known| Taken { stored, known, ..Taken::default() };
    assert_eq!(archive.take("ridge", "gate", &batch(&firsts)).unwrap(), taken(40, 0));
    assert_eq!(archive.take("ridge", "gate", &batch(&firsts)).unwrap(), taken(0, 40));
    check(&disk, &firsts);
    assert_eq!(archive.take("ridge", "gate", &batch(&rests)).unwrap(), taken(40, 0));
    check(&disk, &firsts);
    disk.wait(Duration::from_secs(3));
    archive.tick();
    check(&disk, &all);
    assert_eq!(archive.take("ridge", "gate", &batch(&all)).unwrap(), taken(0, 40));
    let status = archive.status().into_values().next().unwrap();
    assert_eq!((status.packets, status.whole, status.partial()), (40, 40, 0));
    assert_eq!(status.group_packets, [40, 40, 40]);
    assert_eq!((status.first_index, status.last_index, status.late_bytes), (Some(0), Some(39), 0));
    drop(archive);
    let archive = open(&disk);
    assert_eq!(archive.status().into_values().next().unwrap().uncounted, 1);
    assert_eq!(archive.take("ridge", "gate", &batch(&all)).unwrap(), taken(0, 40));
    check(&disk, &all);
}

#[test]
fn groups_without_those_before_them_wait() {
    let disk = FakeDisk::new(2);
    let archive = open(&disk);
    let all = whole(6);
    let last: Vec<Packet> = all.iter().rev().map(|p| p.part(2..3)).collect();
    let first: Vec<Packet> = all.iter().map(|p| p.part(0..1)).collect();
    let mid: Vec<Packet> = all.iter().map(|p| p.part(1..2)).collect();
    for (part, seen) in [(&last, Vec::new()), (&first, first.clone()), (&mid, all.clone())] {
        assert_eq!(archive.take("ridge", "gate", &batch(part)).unwrap().stored, 6);
        archive.close();
        check(&disk, &seen);
    }
    assert_eq!(archive.status().into_values().next().unwrap().late_bytes, 0);
}

#[test]
fn another_packet_of_a_known_index_is_a_conflict() {
    let disk = FakeDisk::new(3);
    let archive = open(&disk);
    archive.take("ridge", "gate", &batch(&whole(4))).unwrap();
    let mut other = packet(false, 2, false);
    other.stamp.captured += Duration::from_secs(1);
    let taken = archive.take("ridge", "gate", &batch(&[other])).unwrap();
    assert_eq!((taken.conflicts, taken.conflict, taken.stored), (1, Some(2), 0));
    check(&disk, &whole(4));
}

/// Parts of packets in any order, some of them again and again.
fn shuffled(all: &[Packet], noise: &mut Noise) -> Vec<Vec<Packet>> {
    let mut parts: Vec<Packet> = all
        .iter()
        .flat_map(|p| {
            let cut = noise.below(4);
            [p.part(0..cut), p.part(cut..3)]
        })
        .collect();
    for i in (1..parts.len()).rev() {
        // Not far from where they were.
        parts.swap(i, i - noise.below(i.min(20) + 1));
    }
    let mut batches: Vec<Vec<Packet>> = Vec::new();
    while !parts.is_empty() {
        let count = (1 + noise.below(30)).min(parts.len());
        batches.push(parts.drain(..count).collect());
        if noise.below(4) == 0 {
            batches.push(batches[noise.below(batches.len())].clone());
        }
    }
    batches
}

#[test]
fn in_any_order_on_failing_disks_every_group_is_there_once() {
    for seed in 0..60 {
        let (disk, mut noise) = (FakeDisk::new(seed), Noise::new(seed));
        let all = whole(80);
        let mut archive = open(&disk);
        for part in shuffled(&all, &mut noise) {
            let bytes = batch(&part);
            loop {
                if noise.below(6) == 0 {
                    let kind = [ErrorKind::StorageFull, ErrorKind::Other][noise.below(2)];
                    let from = disk.calls() + noise.below(12) as u64;
                    disk.fail(from..from + 1 + noise.below(5) as u64, kind);
                }
                let taken = archive.take("ridge", "gate", &bytes);
                if noise.below(3) == 0 {
                    disk.wait(Duration::from_secs(noise.below(30) as u64));
                    archive.tick();
                }
                disk.works();
                visible(&disk);
                match taken {
                    Ok(taken) => {
                        assert_eq!(
                            taken.stored + taken.known,
                            part.len() as u64,
                            "{seed} {taken:?}"
                        );
                        break;
                    }
                    Err(e) => assert!(matches!(e, Error::Io { .. }), "{seed}: {e}"),
                }
            }
            if noise.below(12) == 0 {
                // As after `kill -9`: nothing is said to the archive.
                drop(archive);
                archive = open(&disk);
            }
        }
        archive.close();
        check(&disk, &all);
        drop(archive);
        let archive = open(&disk);
        archive.close();
        check(&disk, &all);
    }
}

#[test]
fn what_was_acknowledged_outlasts_power_cuts() {
    for seed in 0..150 {
        let (disk, mut noise) = (FakeDisk::new(seed), Noise::new(seed));
        let all = whole(60);
        let mut archive = open(&disk);
        let mut known: BTreeMap<u64, u16> = BTreeMap::new();
        for part in shuffled(&all, &mut noise) {
            if noise.below(5) == 0 {
                let from = disk.calls() + noise.below(12) as u64;
                disk.fail(from..from + 3, ErrorKind::Other);
            }
            if archive.take("ridge", "gate", &batch(&part)).is_ok() {
                for p in &part {
                    *known.entry(p.stamp.index).or_default() |= segment::bits(p);
                }
            }
            if noise.below(4) == 0 {
                disk.wait(Duration::from_secs(20));
                archive.tick();
            }
            disk.works();
            if noise.below(6) == 0 {
                drop(archive);
                disk.cut_power(noise.below(1000) as u64);
                archive = open(&disk);
                archive.tick();
            }
        }
        drop(archive);
        disk.cut_power(seed);
        let archive = open(&disk);
        archive.tick();
        // Sent again, all of it is known.
        for (index, bits) in &known {
            for g in (0..3).filter(|g| bits >> g & 1 == 1) {
                let part = all[*index as usize].part(g..g + 1);
                let taken = archive.take("ridge", "gate", &batch(&[part])).unwrap();
                assert_eq!(
                    (taken.known, taken.stored),
                    (1, 0),
                    "seed {seed}: group {g} of {index}"
                );
            }
        }
        archive.take("ridge", "gate", &batch(&all)).unwrap();
        archive.close();
        check(&disk, &all);
    }
}

#[test]
fn full_segments_end_and_others_begin() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(folder.path(), Arc::new(RealDisk::default())).unwrap();
    let all = whole(36_000);
    for part in all.chunks(2000) {
        archive.take("ridge", "gate", &batch(part)).unwrap();
    }
    archive.close();
    let status = archive.status().into_values().next().unwrap();
    assert_eq!((status.packets, status.whole, status.segments), (36_000, 36_000, 3));
    let names: Vec<_> = std::fs::read_dir(folder.path().join("ridge/gate")).unwrap().collect();
    assert_eq!(names.len(), 3);
}

#[test]
fn hostile_batches_are_refused_and_leave_nothing() {
    let disk = FakeDisk::new(4);
    let archive = open(&disk);
    for bytes in [&b""[..], b"x", b"GIF89a", &[0xD5, b't', b'm', b'H'], &[0; 5000]] {
        let e = archive.take("ridge", "gate", bytes).unwrap_err();
        assert!(matches!(e, Error::Bitstream { .. }), "{e}");
    }
    for name in ["", "..", ".x", "a/b", "lock", "a b", "\u{e9}"] {
        assert!(matches!(archive.take(name, "gate", &batch(&whole(1))), Err(Error::Config { .. })));
        assert!(matches!(
            archive.take("ridge", name, &batch(&whole(1))),
            Err(Error::Config { .. })
        ));
    }
    // One after the other before the first: each would be a file.
    let scattered: Vec<Packet> = (0..500).rev().map(|i| packet(false, i, true)).collect();
    let e = archive.take("ridge", "gate", &batch(&scattered)).unwrap_err();
    assert!(matches!(e, Error::Limit { .. }), "{e}");
    assert_eq!(visible(&disk).len(), 0);
    // The ends of the numbers.
    let ends: Vec<Packet> =
        [u64::MAX, 0, u64::MAX - 1].into_iter().map(|i| packet(false, i % 1000, true)).collect();
    let mut ends = ends;
    for (p, i) in ends.iter_mut().zip([u64::MAX, 0, u64::MAX - 1]) {
        p.stamp.index = i;
    }
    assert_eq!(archive.take("ridge", "gate", &batch(&ends)).unwrap().stored, 3);
    assert_eq!(archive.take("ridge", "gate", &batch(&ends)).unwrap().known, 3);
    archive.close();
    assert_eq!(visible(&disk).len(), 3);
    // Flipped and cut.
    let bytes = batch(&whole(8));
    let mut noise = Noise::new(9);
    for _ in 0..500 {
        let mut bytes = bytes.clone();
        let at = noise.below(bytes.len());
        bytes[at] ^= 1 << noise.below(8);
        bytes.truncate(noise.below(bytes.len() + 1));
        let _ = archive.take("odd", "gate", &bytes);
    }
}
