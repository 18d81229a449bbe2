//! A process that ends in the middle of a record.

use super::*;

#[test]
fn a_torn_record_is_all_that_is_lost() {
    for sound in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let disk = Arc::new(RealDisk::default());
            Store::open(folder.path(), small(Policy::Oldest), disk).unwrap()
        };
        let (store, _) = open();
        let mut writer = store.stream("a").unwrap();
        let mut ends = Vec::new();
        for i in 0..6 {
            writer.write(&header(sound), &packet(sound, i, i == 0)).unwrap();
            ends.push(store.segments("a")[0].bytes as usize);
        }
        let path = folder.path().join("a").join(&store.segments("a")[0].name);
        let bytes = std::fs::read(&path).unwrap();
        drop(writer);
        drop(store);
        // Real disks take their time.
        let step = if sound { 7 } else { 1 };
        for len in (ends[3]..=bytes.len()).step_by(step) {
            std::fs::remove_dir_all(folder.path().join("a")).unwrap();
            std::fs::create_dir(folder.path().join("a")).unwrap();
            std::fs::write(&path, &bytes[..len]).unwrap();
            let whole = ends.iter().filter(|&&end| end <= len).count() as u64;
            let (store, recovered) = open();
            assert_eq!((recovered.len(), &recovered[0].problem), (1, &None));
            let found = read_back(&store, "a");
            // Of the torn one perhaps its first groups.
            assert!((whole..=whole + 1).contains(&(found.len() as u64)), "{len}: {}", found.len());
            for i in 0..whole {
                assert_eq!(found[&i], packet(sound, i, i == 0), "cut at {len}");
            }
            if let Some(last) = found.get(&whole) {
                let mut made = packet(sound, whole, false);
                made.cut(last.header.lengths.len());
                assert_eq!(*last, made);
            }
            let torn = !ends.contains(&len);
            let gone = store.status().streams["a"].given_up.get(&Reason::Error).copied();
            assert_eq!(gone.is_some(), torn, "cut at {len}: {gone:?}");
            assert!(store.segments("a").iter().all(|s| s.is_closed && s.first_index == 0));
            let mut writer = store.stream("a").unwrap();
            let next = writer.next_index();
            assert!((whole..=whole + 1).contains(&next) && next >= found.len() as u64);
            if len % 10 > 0 {
                continue;
            }
            let key = packet(sound, next, true);
            assert_eq!(writer.write(&header(sound), &key).unwrap(), Written::Stored);
        }
    }
}
