//! The power goes, after each call of the disk; what stays of what was not synced is drawn at random.

use std::io::ErrorKind;

use super::fake::FakeDisk;
use super::*;

const NAMES: [&str; 2] = ["a", "b"];

#[derive(Default)]
struct Log {
    /// Packets of each stream that were stored.
    stored: [Vec<Packet>; 2],
    /// How many of these were synced for sure.
    synced: [usize; 2],
}

/// Writes, rotates, thins and deletes until the power goes.
fn run(disk: &FakeDisk, settings: &Settings, log: &mut Log, off: u64) -> Result<()> {
    let (store, _) = Store::open(Path::new("/s"), settings.clone(), Arc::new(disk.clone()))?;
    let mut writers = [store.stream(NAMES[0])?, store.stream(NAMES[1])?];
    for step in 0..30u64 {
        for (k, writer) in writers.iter_mut().enumerate() {
            // Some segments are closed before any tick has synced what is in them.
            for _ in 0..1 + step % 4 {
                let key = writer.wants_key() || writer.next_index() % KEYS == 0;
                let packet = packet(k == 1, writer.next_index(), key);
                if writer.write(&header(k == 1), &packet)? == Written::Stored {
                    log.stored[k].push(packet);
                }
            }
        }
        disk.wait(Duration::from_millis(501));
        store.tick();
        if disk.calls() >= off {
            break;
        }
        let whole = store.status().streams.values().all(|s| s.broken == 0);
        if whole {
            log.synced = [0, 1].map(|k| log.stored[k].len());
        }
    }
    // The process has no more to say.
    disk.fail(0..u64::MAX, ErrorKind::Other);
    Ok(())
}

fn check(disk: &FakeDisk, settings: &Settings, log: &Log, what: &str) {
    let (store, recovered) = Store::open(Path::new("/s"), settings.clone(), Arc::new(disk.clone()))
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(recovered.iter().all(|r| r.problem.is_none()), "{what}: {recovered:?}");
    for (k, name) in NAMES.iter().enumerate() {
        let folder = Path::new("/s").join(name);
        let (found, told) = (read_back(&store, name), stones(disk, &folder));
        for (at, packet) in log.stored[k].iter().enumerate() {
            let there = found.get(&packet.stamp.index);
            if at < log.synced[k] {
                assert_eq!(fault(packet, there, &told), None, "{what} {name}: {}", lines(&told));
            } else if let Some(there) = there {
                let mut made = packet.clone();
                made.cut(there.header.lengths.len());
                assert_eq!(*there, made, "{what}");
            }
        }
        let mut writer = store.stream(name).unwrap();
        let (next, last) = (writer.next_index(), found.keys().next_back().copied());
        let synced = log.synced[k].checked_sub(1).map(|at| log.stored[k][at].stamp.index);
        assert!(last.max(synced).is_none_or(|last| last < next), "{what}: {next} after {last:?}");
        let written = writer.write(&header(k == 1), &packet(k == 1, next, true)).unwrap();
        assert_eq!(written, Written::Stored, "{what}");
        writer.finish().unwrap();
        assert!(read_back(&store, name).contains_key(&next), "{what}");
    }
    assert_eq!(store.status().bytes, disk.used(), "{what}");
    drop(store);
    // Nothing is left to be done.
    let (_, recovered) =
        Store::open(Path::new("/s"), settings.clone(), Arc::new(disk.clone())).unwrap();
    assert_eq!(recovered, [], "{what}");
    assert!(!disk.names().iter().any(|n| n.ends_with("part") || n.ends_with("open")), "{what}");
}

fn settings(policy: Policy) -> Settings {
    let staircase = vec![(Duration::from_secs(12), 2)];
    // One that denies would have no room for what comes after.
    let quota_bytes = if policy == Policy::Deny { 64_000 } else { 16_000 };
    Settings { staircase, quota_bytes, ..small(policy) }
}

/// Power cuts after every call, with errors of the disk before them if `faults`.
fn every_call(policy: Policy, seeds: u64, faults: bool) {
    let settings = settings(policy);
    let whole = FakeDisk::new(1);
    run(&whole, &settings, &mut Log::default(), u64::MAX).unwrap();
    let calls = whole.calls();
    assert!(calls > 200, "{calls}");
    for off in 1..=calls {
        for seed in 0..seeds {
            let what = format!("{policy:?}: off at {off} of {calls}, seed {seed}, faults {faults}");
            let (disk, mut log) = (FakeDisk::new(1), Log::default());
            if faults {
                let mut noise = Noise::new(off * seeds + seed);
                let at = noise.below(off as usize) as u64;
                let kind = [ErrorKind::Other, ErrorKind::StorageFull][noise.below(2)];
                let row = 1 + noise.below(3) as u64;
                disk.fail(at..at + row, kind);
            } else {
                disk.fail(off..u64::MAX, ErrorKind::Other);
            }
            // It may go while the store is being opened.
            let _ = run(&disk, &settings, &mut log, off);
            disk.cut_power(seed * 7919 + off);
            check(&disk, &settings, &log, &what);
        }
    }
}

#[test]
fn what_was_synced_outlasts_a_power_cut_at_every_call() {
    for policy in [Policy::Oldest, Policy::Thin, Policy::Deny] {
        every_call(policy, 4, false);
    }
}

#[test]
fn what_was_synced_outlasts_errors_before_a_power_cut() {
    for policy in [Policy::Oldest, Policy::Thin] {
        every_call(policy, 2, true);
    }
}

#[test]
fn a_power_cut_while_a_store_is_opened_costs_nothing_more() {
    let settings = settings(Policy::Thin);
    for seed in 0..60 {
        let (disk, mut log) = (FakeDisk::new(1), Log::default());
        disk.fail(150 + seed * 7..u64::MAX, ErrorKind::Other);
        let _ = run(&disk, &settings, &mut log, 150 + seed * 7);
        disk.cut_power(seed);
        for k in 0..30 {
            let from = disk.calls();
            disk.fail(from + k..u64::MAX, ErrorKind::Other);
            let _ = Store::open(Path::new("/s"), settings.clone(), Arc::new(disk.clone()));
            disk.cut_power(seed * 31 + k);
        }
        check(&disk, &settings, &log, &format!("seed {seed}"));
    }
}
