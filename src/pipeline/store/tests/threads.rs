//! Several lines write while the store is tended: nobody waits for ever, and the accounts hold.

use std::sync::atomic::{AtomicBool, Ordering};

use super::fake::FakeDisk;
use super::*;

#[test]
fn writers_and_ticks_do_not_get_in_each_others_way() {
    const COUNT: u64 = 600;
    let names = ["a", "b", "c"];
    let disk = FakeDisk::new(1);
    let staircase = vec![(Duration::from_secs(15), 2), (Duration::from_secs(60), 0)];
    let settings = Settings { staircase, quota_bytes: 40_000, ..small(Policy::Thin) };
    let (store, _) = Store::open(Path::new("/s"), settings, Arc::new(disk.clone())).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ticks = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.tick();
                assert!(store.status().bytes <= 40_000 + SPARE);
            }
        });
        let writers: Vec<_> = names
            .iter()
            .map(|name| {
                let (store, disk) = (store.clone(), disk.clone());
                scope.spawn(move || {
                    let mut writer = store.stream(name).unwrap();
                    for i in 0..COUNT {
                        let packet = packet(false, i, i.is_multiple_of(KEYS));
                        assert_eq!(writer.write(&header(false), &packet).unwrap(), Written::Stored);
                        disk.wait(Duration::from_millis(50));
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|w| w.join().unwrap());
        done.store(true, Ordering::Relaxed);
        ticks.join().unwrap();
    });
    for name in names {
        let (found, told) = (read_back(&store, name), stones(&disk, &Path::new("/s").join(name)));
        for i in 0..COUNT {
            let made = packet(false, i, i.is_multiple_of(KEYS));
            assert_eq!(fault(&made, found.get(&i), &told), None, "{name} {}", lines(&told));
        }
    }
    assert_eq!(store.status().bytes, disk.used());
}

/// An index and a tombstone may come on top before room is made for them.
const SPARE: u64 = 1000;
