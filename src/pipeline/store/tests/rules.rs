//! Rotation, quota, staircase, names, numbers, the lock.

use std::io::ErrorKind;

use super::fake::FakeDisk;
use super::*;

/// A store in memory, and its disk.
fn fresh(settings: Settings) -> (Arc<Store>, FakeDisk) {
    let disk = FakeDisk::new(1);
    let (store, recovered) = again(&disk, settings);
    assert!(recovered.is_empty());
    (store, disk)
}

fn again(disk: &FakeDisk, settings: Settings) -> (Arc<Store>, Vec<Recovered>) {
    Store::open(Path::new("/s"), settings, Arc::new(disk.clone())).unwrap()
}

/// Writes packets from the next index on; what became of them.
fn put(writer: &mut StreamWriter, sound: bool, count: u64) -> Vec<Written> {
    let first = writer.next_index();
    (first..first + count)
        .map(|i| writer.write(&header(sound), &packet(sound, i, i.is_multiple_of(KEYS))).unwrap())
        .collect()
}

fn all_stored(written: &[Written]) -> bool {
    written.iter().all(|w| *w == Written::Stored)
}

#[test]
fn segments_end_before_a_packet_that_stands_alone() {
    for sound in [false, true] {
        let (store, disk) = fresh(Settings { quota_bytes: 1 << 20, ..small(Policy::Oldest) });
        let mut writer = store.stream("a").unwrap();
        assert!(all_stored(&put(&mut writer, sound, 100)));
        let segments = store.segments("a");
        assert!(segments.len() > 5, "{segments:?}");
        for s in &segments {
            assert_eq!((s.number, s.number % KEYS), (s.first_index, 0));
            assert_eq!(s.packets, s.last_index - s.first_index + 1);
            assert_eq!(s.is_closed, s.last_index != 99);
            let mut bytes = Vec::new();
            store.read("a", s.number).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!((parse(&bytes).len() as u64, bytes.len() as u64), (s.packets, s.bytes));
        }
        assert_eq!(read_back(&store, "a").len(), 100);
        drop(writer);
        assert_eq!(store.status().bytes, disk.used());
        assert!(store.segments("a").iter().all(|s| s.is_closed));
    }
}

#[test]
fn segments_end_after_a_time_and_ask_for_a_key() {
    let (store, disk) = fresh(Settings {
        segment_bytes: 1 << 20,
        segment_time: Duration::from_secs(60),
        quota_bytes: 1 << 30,
        ..small(Policy::Oldest)
    });
    let mut writer = store.stream("a").unwrap();
    let wish = writer.key_wish();
    assert!(writer.wants_key());
    let refused = writer.write(&header(false), &packet(false, 0, false)).unwrap();
    assert_eq!(refused, Written::Refused(Refused::NeedsKey));
    writer.write(&header(false), &packet(false, 1, true)).unwrap();
    assert!(!writer.wants_key());
    disk.wait(Duration::from_secs(61));
    store.tick();
    assert!(wish.load(std::sync::atomic::Ordering::Relaxed));
    // There is a segment to continue, so nothing is refused.
    assert_eq!(writer.write(&header(false), &packet(false, 2, false)).unwrap(), Written::Stored);
    assert!(writer.wants_key());
    writer.write(&header(false), &packet(false, 3, true)).unwrap();
    assert!(!writer.wants_key());
    assert_eq!(store.segments("a").len(), 2);
    let given_up = store.status().streams["a"].given_up.clone();
    assert_eq!(given_up[&Reason::Error].packets, 1);
}

#[test]
fn what_was_written_is_synced_in_time() {
    let (store, disk) = fresh(small(Policy::Oldest));
    let mut writer = store.stream("a").unwrap();
    put(&mut writer, false, 3);
    disk.wait(Duration::from_millis(500));
    store.tick();
    // Nobody ticks: the next packet sees to it.
    put(&mut writer, false, 1);
    disk.wait(Duration::from_millis(600));
    put(&mut writer, false, 1);
    disk.fail(0..u64::MAX, ErrorKind::Other);
    drop((writer, store));
    disk.cut_power(3);
    let (store, recovered) = again(&disk, small(Policy::Oldest));
    assert_eq!((recovered.len(), recovered[0].packets), (1, 5));
    assert_eq!(read_back(&store, "a").len(), 5);
}

#[test]
fn the_oldest_goes_first_and_the_quota_holds() {
    let (store, disk) = fresh(small(Policy::Oldest));
    let mut writers = [store.stream("a").unwrap(), store.stream("b").unwrap()];
    for _ in 0..100 {
        for (k, writer) in writers.iter_mut().enumerate() {
            assert!(all_stored(&put(writer, k == 1, 1)));
            disk.wait(Duration::from_millis(40));
            assert!(disk.used() <= 16_000 && disk.used() <= store.status().bytes);
        }
    }
    let status = store.status();
    for name in ["a", "b"] {
        let found = read_back(&store, name);
        let oldest = status.streams[name].oldest.unwrap();
        assert!(found.keys().copied().eq(oldest.index..100), "the newest are there without gaps");
        assert!(oldest.index > 20 && found.len() > 20, "{name}: {oldest:?}");
        let gone = status.streams[name].given_up[&Reason::Oldest];
        assert_eq!((gone.packets, gone.cut), (oldest.index, 0));
        assert_eq!(status.streams[name].newest.unwrap().index, 99);
        let told = stones(&disk, &Path::new("/s").join(name));
        assert_eq!(told.iter().map(|t| t.packets).sum::<u64>(), gone.packets);
        assert_eq!(told.iter().map(|t| t.bytes).sum::<u64>(), gone.bytes);
    }
}

#[test]
fn outer_groups_go_before_packets() {
    const COUNT: u64 = 1500;
    let large = |policy| Settings { segment_bytes: 4000, quota_bytes: 64_000, ..small(policy) };
    let (store, disk) = fresh(large(Policy::Thin));
    let mut writer = store.stream("a").unwrap();
    let mut ticked = 0;
    for i in 0..COUNT {
        assert!(all_stored(&put(&mut writer, false, 1)));
        assert!(disk.used() <= 64_000);
        if i % 3 == 0 {
            store.tick();
            ticked += 1;
        }
        if i % 10 > 0 {
            continue;
        }
        let groups: Vec<usize> =
            read_back(&store, "a").values().map(|p| p.header.lengths.len()).collect();
        let given_up = &store.status().streams["a"].given_up;
        let gone = given_up.get(&Reason::Thin).map_or(0, |t| t.packets);
        // Nothing goes while there is something to cut, and the oldest are cut most.
        assert!(groups.is_sorted());
        assert!(gone == 0 || groups[0] == 1);
        assert_eq!(gone + groups.len() as u64, i + 1);
    }
    assert!(ticked > 0);
    let (found, told) = (read_back(&store, "a"), stones(&disk, Path::new("/s/a")));
    assert!(
        found[&(COUNT - 1)].header.lengths.len() == GROUPS
            && told.iter().any(|t| t.groups_left == 2)
    );
    for i in 0..COUNT {
        let made = packet(false, i, i.is_multiple_of(KEYS));
        assert_eq!(fault(&made, found.get(&i), &told), None);
    }
    // More of them than if they went whole.
    let (other, _) = fresh(large(Policy::Oldest));
    put(&mut other.stream("a").unwrap(), false, COUNT);
    let whole = read_back(&other, "a").len();
    assert!(found.len() as f64 > 1.5 * whole as f64, "{} {whole}", found.len());
}

#[test]
fn a_store_that_denies_keeps_what_it_has() {
    let (store, disk) = fresh(small(Policy::Deny));
    let mut writer = store.stream("a").unwrap();
    let written = put(&mut writer, false, 400);
    let stored = written.iter().filter(|w| **w == Written::Stored).count() as u64;
    assert!(written[stored as usize..].iter().all(|w| *w == Written::Refused(Refused::StoreFull)));
    assert!(stored > 50 && disk.used() <= 16_000);
    assert!(!writer.wants_key(), "nobody has use for it");
    disk.wait(Duration::from_secs(61));
    store.tick();
    let told = stones(&disk, Path::new("/s/a"));
    assert_eq!((told.len(), told[0].packets, told[0].reason), (1, 400 - stored, Reason::Deny));
    assert_eq!((told[0].first_index, told[0].last_index), (stored, 399));
    drop(writer);
    drop(store);
    // With more room it goes on, with a packet that stands alone.
    let (store, recovered) = again(&disk, Settings { quota_bytes: 1 << 20, ..small(Policy::Deny) });
    assert!(recovered.is_empty());
    let mut writer = store.stream("a").unwrap();
    assert_eq!(writer.next_index(), 400);
    assert!(writer.wants_key() && all_stored(&put(&mut writer, false, 20)));
    assert_eq!(read_back(&store, "a").len() as u64, stored + 20);
}

#[test]
fn a_full_disk_is_like_a_full_store_in_the_same_call() {
    for policy in [Policy::Oldest, Policy::Thin, Policy::Deny] {
        for keep_free_bytes in [0, 3000] {
            let settings = Settings { quota_bytes: 32_000, keep_free_bytes, ..small(policy) };
            let (store, disk) = fresh(settings);
            disk.hold(14_000);
            let mut writer = store.stream("a").unwrap();
            let mut written = Vec::new();
            for _ in 0..300 {
                written.extend(put(&mut writer, true, 1));
                disk.wait(Duration::from_millis(100));
            }
            assert_eq!(
                all_stored(&written),
                policy != Policy::Deny,
                "{policy:?} {keep_free_bytes}"
            );
            drop(writer);
            let (found, told) = (read_back(&store, "a"), stones(&disk, Path::new("/s/a")));
            let gone: u64 = told.iter().filter(|t| t.groups_left == 0).map(|t| t.packets).sum();
            // On a disk that is full to the last byte no tombstone of what was denied can be set.
            if policy != Policy::Deny || keep_free_bytes > 0 {
                assert_eq!(found.len() as u64 + gone, 300, "{policy:?} {keep_free_bytes}");
            }
            assert!(found.len() > 20, "{policy:?} {keep_free_bytes}: {} {told:?}", found.len());
        }
    }
}

#[test]
fn segments_age_down_the_staircase() {
    let day = Duration::from_secs(86_400);
    let settings = Settings {
        quota_bytes: 1 << 30,
        staircase: vec![(day, 2), (3 * day, 1), (9 * day, 0)],
        ..small(Policy::Deny)
    };
    let (store, disk) = fresh(settings.clone());
    let mut writer = store.stream("a").unwrap();
    put(&mut writer, false, 60);
    let groups = |store: &Arc<Store>| {
        (0..40).for_each(|_| store.tick());
        let found = read_back(store, "a");
        let oldest = found.values().next().unwrap().header.lengths.len();
        (found.len(), oldest, found.values().next_back().unwrap().header.lengths.len())
    };
    assert_eq!(groups(&store), (60, 3, 3));
    disk.wait(day * 2);
    assert_eq!(groups(&store), (60, 2, 3));
    drop((writer, store));
    let (store, _) = again(&disk, settings);
    disk.wait(day * 2);
    // By now the last is closed too, and as old as its packets.
    assert_eq!(groups(&store), (60, 1, 1));
    let mut writer = store.stream("a").unwrap();
    put(&mut writer, false, 4);
    disk.wait(day * 8);
    assert_eq!(groups(&store), (4, 3, 3));
    let given_up = store.status().streams["a"].given_up[&Reason::Staircase];
    assert_eq!(given_up.packets, 60);
}

#[test]
fn numbers_go_on_whatever_is_left() {
    let (store, disk) = fresh(small(Policy::Oldest));
    put(&mut store.stream("a").unwrap(), false, 10);
    assert_eq!(store.stream("a").unwrap().next_index(), 10);
    drop(store);
    let tiny = Settings { quota_bytes: 600, ..small(Policy::Oldest) };
    let (store, _) = again(&disk, tiny.clone());
    store.tick();
    assert_eq!(store.segments("a"), []);
    drop(store);
    let (store, _) = again(&disk, tiny);
    let mut writer = store.stream("a").unwrap();
    assert_eq!(writer.next_index(), 10);
    let late = writer.write(&header(false), &packet(false, 4, true)).unwrap_err();
    assert!(matches!(late, Error::Input { .. }), "{late}");
    let other = StreamHeader { stream: 3, ..header(false) };
    assert!(matches!(writer.write(&other, &packet(false, 99, true)), Err(Error::Shape { .. })));
}

#[test]
fn names_that_are_no_names_are_refused() {
    let (store, _) = fresh(small(Policy::Oldest));
    for name in ["../x", "", "..", ".a", "a/b", "ä", "a b", "lock", &"x".repeat(65)] {
        assert!(matches!(store.stream(name), Err(Error::Config { .. })), "{name}");
        assert!(store.read(name, 0).is_err());
    }
    for name in ["a", "A-b_c.9", "-", &"x".repeat(64)] {
        store.stream(name).unwrap();
    }
    let _writer = store.stream("a").unwrap();
    assert!(matches!(store.stream("a"), Err(Error::Config { .. })));
}

#[test]
fn a_store_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path(), small(Policy::Oldest), Arc::new(RealDisk::default()));
    let (store, _) = open().unwrap();
    let e = open().err().unwrap().to_string();
    assert!(e.contains(folder.path().to_str().unwrap()) && e.contains("another process"), "{e}");
    drop(store);
    open().unwrap();
}

#[test]
fn tombstones_are_summed_up_when_they_are_many() {
    let disk = FakeDisk::new(1);
    let folder = Path::new("/s/a");
    let (mut file, _) = stones::Stones::load(&disk, folder, u64::MAX).unwrap();
    let stone = |i: u64| Tombstone {
        utc: SystemTime::UNIX_EPOCH + Duration::from_secs(i),
        segment: Some(i),
        first_index: i,
        last_index: i,
        packets: 1,
        bytes: 10,
        groups_left: (i % 2) as usize,
        reason: Reason::ALL[(i % 5) as usize],
    };
    let count = 9000;
    (0..count).for_each(|i| file.set(&disk, &stone(i)).unwrap());
    assert!(file.bytes() == disk.used() && disk.used() < (1 << 20) + 200);
    let (again, lines) = stones::Stones::load(&disk, folder, u64::MAX).unwrap();
    assert_eq!((again.sums(), again.last_index()), (file.sums(), Some(count - 1)));
    assert!(lines.len() < count as usize && lines.last() == Some(&stone(count - 1)));
    let sum: u64 = again.sums().values().map(|a| a.bytes).sum();
    assert_eq!(sum, 10 * count);
}

#[test]
fn damage_in_closed_segments_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let disk = Arc::new(RealDisk::default());
        Store::open(folder.path(), Settings { quota_bytes: 1 << 20, ..small(Policy::Thin) }, disk)
    };
    let (store, _) = open().unwrap();
    put(&mut store.stream("a").unwrap(), false, 80);
    let segments = store.segments("a");
    assert!(segments.len() >= 5);
    drop(store);
    for (k, segment) in segments.iter().enumerate() {
        let path = folder.path().join("a").join(&segment.name);
        let mut bytes = std::fs::read(&path).unwrap();
        match k {
            0 => bytes.clear(),
            1 => bytes.truncate(bytes.len() - 9),
            2 => bytes.fill(7),
            3 => bytes[..150].fill(0),
            _ => {}
        }
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::write(folder.path().join("a/notes.txt"), "mine").unwrap();
    let (store, recovered) = open().unwrap();
    assert!(recovered.is_empty());
    let now = store.segments("a");
    for (k, (now, then)) in now.iter().zip(&segments).enumerate() {
        assert_eq!(
            (now.number, now.last_index),
            match k {
                0 | 2 => (then.number, then.number),
                _ => (then.number, then.last_index),
            }
        );
    }
    let writer = store.stream("a").unwrap();
    assert_eq!(writer.next_index(), 80);
    // They can all be given up.
    drop(store);
    drop(writer);
    let tight = Settings { quota_bytes: 5000, ..small(Policy::Thin) };
    let (store, _) = Store::open(folder.path(), tight, Arc::new(RealDisk::default())).unwrap();
    store.tick();
    assert!(store.status().bytes <= 5000);
    assert!(all_stored(&put(&mut store.stream("a").unwrap(), false, 9)));
    assert!(folder.path().join("a/notes.txt").exists());
}

#[test]
fn many_segments_are_opened_at_a_glance() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(RealDisk::default());
    let settings = Settings { quota_bytes: 1 << 30, ..small(Policy::Oldest) };
    let (store, _) = Store::open(folder.path(), settings.clone(), disk()).unwrap();
    let mut writer = store.stream("a").unwrap();
    for i in 0..300 {
        assert!(all_stored(&[writer.write(&header(true), &packet(true, i, true)).unwrap()]));
        writer.finish().unwrap();
    }
    drop(writer);
    let before = store.segments("a");
    drop(store);
    let start = std::time::Instant::now();
    let (store, _) = Store::open(folder.path(), settings, disk()).unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!((store.segments("a"), before.len()), (before, 300));
}
