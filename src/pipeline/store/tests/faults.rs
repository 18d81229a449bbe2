//! Every call of the disk fails once, and several in a row.

use std::io::ErrorKind;

use super::fake::FakeDisk;
use super::*;

const NAMES: [&str; 2] = ["a", "b"];

/// What was written and what became of it.
type Log = [Vec<(Packet, Written)>; 2];

/// Some hundred calls: rotation, deletion or thinning, ticks. Errors at the start end it. Returns
/// whether the disk still fails at the end.
fn run(disk: &FakeDisk, settings: Settings, log: &mut Log) -> Result<bool> {
    let (store, _) = Store::open(Path::new("/s"), settings, Arc::new(disk.clone()))?;
    let mut writers = [store.stream(NAMES[0])?, store.stream(NAMES[1])?];
    for step in 0..60u64 {
        for (k, writer) in writers.iter_mut().enumerate() {
            let key = writer.wants_key() || step % KEYS == 0;
            let packet = packet(k == 1, writer.next_index(), key);
            let written = writer.write(&header(k == 1), &packet)?;
            log[k].push((packet, written));
        }
        disk.wait(Duration::from_millis(300));
        store.tick();
    }
    Ok(disk.fails())
}

/// Runs on after the failure, starts again, and looks whether everything is accounted for.
fn check(
    disk: &FakeDisk,
    settings: Settings,
    log: &mut Log,
    (row, ended): (u64, bool),
    what: &str,
) {
    disk.works();
    let open = || Store::open(Path::new("/s"), settings.clone(), Arc::new(disk.clone())).unwrap();
    for start in 0..2 {
        let (store, _) = open();
        for (k, name) in NAMES.iter().enumerate() {
            let mut writer = store.stream(name).unwrap();
            disk.wait(Duration::from_secs(100));
            store.tick();
            let next = writer.next_index();
            let last = log[k].iter().rfind(|(_, w)| !ended || *w == Written::Stored);
            assert!(last.is_none_or(|(p, _)| p.stamp.index < next), "{what}");
            let packet = packet(k == 1, next, true);
            let written = writer.write(&header(k == 1), &packet).unwrap();
            assert_eq!(written, Written::Stored, "{what}: {start}");
            log[k].push((packet, written));
        }
        store.tick();
        let status = store.status();
        assert_eq!((status.bytes, status.streams["a"].broken), (disk.used(), 0), "{what}: {start}");
    }
    let (store, recovered) = open();
    assert_eq!(recovered, [], "{what}");
    for (k, name) in NAMES.iter().enumerate() {
        let (found, told) = (read_back(&store, name), stones(disk, &Path::new("/s").join(name)));
        let mut twice = 0;
        for (packet, written) in &log[k] {
            let index = packet.stamp.index;
            if *written == Written::Stored {
                assert_eq!(
                    fault(packet, found.get(&index), &told),
                    None,
                    "{what}: {}",
                    lines(&told)
                );
            } else if found.contains_key(&index) {
                // Written, but neither the error that followed nor the failure to cut it off again
                // was the last before the process ended.
                assert!(row > 1, "{what}: {index} was refused, but is there");
                twice += 1;
            }
        }
        let gone: u64 = told.iter().filter(|t| t.groups_left == 0).map(|t| t.packets).sum();
        let accounts = found.len() as u64 + gone - twice;
        let all = log[k].len() as u64;
        // Else what was refused last is known to who wrote it alone.
        assert!(ended || accounts == all, "{what}: {name} {accounts} of {all} {}", lines(&told));
    }
    assert!(!disk.names().iter().any(|n| n.ends_with("part") || n.ends_with("open")), "{what}");
}

fn every_call(policy: Policy, kind: ErrorKind, row: u64) {
    let staircase = vec![(Duration::from_secs(15), 2)];
    // What is denied is what the disk denies.
    let quota_bytes = if policy == Policy::Deny { 32_000 } else { 16_000 };
    let settings = Settings { staircase, quota_bytes, ..small(policy) };
    let (disk, mut log) = (FakeDisk::new(5), Log::default());
    run(&disk, settings.clone(), &mut log).unwrap();
    let calls = disk.calls();
    assert!(calls > 250, "{calls}");
    check(&disk, settings.clone(), &mut log, (1, false), "no fault");
    for n in 1..=calls {
        let what = format!("{policy:?} {kind:?} at {n}+{row} of {calls}");
        let (disk, mut log) = (FakeDisk::new(n), Log::default());
        disk.fail(n..n + row, kind);
        // The start may fail, and says so; what comes later goes on.
        let ran = run(&disk, settings.clone(), &mut log);
        assert!(ran.is_ok() || log[0].is_empty(), "{what}: {ran:?}");
        if kind == ErrorKind::StorageFull && row == 1 && policy != Policy::Deny && n > calls / 2 {
            let refused = log.iter().flatten().find(|(_, w)| *w != Written::Stored);
            assert!(refused.is_none(), "{what}: the policy acts within the call: {refused:?}");
        }
        check(&disk, settings.clone(), &mut log, (row, ran.unwrap_or(false)), &what);
    }
}

#[test]
fn a_full_disk_at_every_call() {
    for policy in [Policy::Oldest, Policy::Thin, Policy::Deny] {
        every_call(policy, ErrorKind::StorageFull, 1);
        every_call(policy, ErrorKind::StorageFull, 7);
    }
}

#[test]
fn a_broken_disk_at_every_call() {
    for policy in [Policy::Oldest, Policy::Thin, Policy::Deny] {
        every_call(policy, ErrorKind::Other, 1);
        every_call(policy, ErrorKind::Other, 7);
    }
}

#[test]
fn a_dead_disk_is_left_alone() {
    let (disk, settings) = (FakeDisk::new(1), small(Policy::Oldest));
    let (store, _) = Store::open(Path::new("/s"), settings, Arc::new(disk.clone())).unwrap();
    let mut writer = store.stream("a").unwrap();
    for i in 0..20 {
        writer.write(&header(false), &packet(false, i, true)).unwrap();
    }
    disk.fail(0..u64::MAX, ErrorKind::Other);
    let before = disk.calls();
    // An hour of it.
    for i in 0..36_000u64 {
        disk.wait(Duration::from_millis(100));
        let written = writer.write(&header(false), &packet(false, 20 + i, i % 10 == 0)).unwrap();
        assert!(written != Written::Stored);
        store.tick();
    }
    let calls = disk.calls() - before;
    assert!(calls < 6 * 3600, "{calls} calls");
    disk.works();
    disk.wait(Duration::from_secs(61));
    store.tick();
    assert!(writer.wants_key());
    let key = packet(false, writer.next_index(), true);
    assert_eq!(writer.write(&header(false), &key).unwrap(), Written::Stored);
    let told = store.status().streams["a"].given_up[&Reason::Error];
    assert_eq!(told.packets, 36_000);
}
