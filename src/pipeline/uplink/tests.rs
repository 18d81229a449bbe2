//! What is sent when, on a simulated link.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::pipeline::store::tests::{KEYS, Noise, header, packet, parse};
use crate::pipeline::store::{self, tests::fake::FakeDisk};
use crate::pipeline::store::{Policy, RealDisk, StreamWriter, Written};

const STORE: &str = "store";

fn settings() -> crate::pipeline::store::Settings {
    crate::pipeline::store::Settings {
        segment_bytes: 1500,
        segment_time: Duration::from_secs(3600),
        sync: Duration::ZERO,
        quota_bytes: 1 << 20,
        keep_free_bytes: 0,
        policy: Policy::Oldest,
        staircase: Vec::new(),
    }
}

/// A store with two streams and an uplink.
struct Scene {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    store: Arc<Store>,
    writers: Vec<StreamWriter>,
    uplink: Uplink,
    /// How often each group of each packet arrived.
    arrived: BTreeMap<(String, u64, usize), u32>,
}

const STREAMS: [&str; 2] = ["a", "b"];

impl Scene {
    fn new(disk: Arc<dyn Disk>, folder: &Path) -> Self {
        Self::with(disk, folder, settings())
    }

    fn with(disk: Arc<dyn Disk>, folder: &Path, settings: store::Settings) -> Self {
        let (store, _) = Store::open(folder, settings, disk.clone()).unwrap();
        let writers = STREAMS.iter().map(|n| store.stream(n).unwrap()).collect();
        let uplink = Self::uplink(&store, &disk, folder);
        let folder = folder.to_owned();
        Self { disk, folder, store, writers, uplink, arrived: BTreeMap::new() }
    }

    fn uplink(store: &Arc<Store>, disk: &Arc<dyn Disk>, folder: &Path) -> Uplink {
        let settings = Settings { to: "here".into(), first: Some(1) };
        let names = STREAMS.map(String::from);
        Uplink::open(store.clone(), disk.clone(), folder.into(), &names, settings)
    }

    /// As after a restart of the daemon; the books may be a little old.
    fn restart(&mut self) {
        self.uplink = Self::uplink(&self.store, &self.disk, &self.folder);
    }

    fn write(&mut self, stream: usize, index: u64) {
        let key = index.is_multiple_of(KEYS) || self.writers[stream].wants_key();
        let written = self.writers[stream].write(&header(false), &packet(false, index, key));
        assert_eq!(written.unwrap(), Written::Stored);
    }

    fn next(&mut self, most: usize) -> Option<Batch> {
        self.store.tick();
        self.uplink.looked = None;
        self.uplink.next(most)
    }

    fn arrives(&mut self, batch: &Batch) {
        for packet in parse(&batch.bytes) {
            for g in packet.groups() {
                let id = (batch.stream.clone(), packet.stamp.index, g);
                *self.arrived.entry(id).or_default() += 1;
            }
        }
    }
}

#[test]
fn first_groups_of_all_come_before_outer_groups_of_any() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut scene = Scene::new(Arc::new(RealDisk::default()), &folder.path().join(STORE));
        (0..60).for_each(|i| (0..2).for_each(|s| scene.write(s, i)));
        let (mut passes, mut streams) = (Vec::new(), Vec::new());
        let mut new = 60;
        while let Some(batch) = scene.next(400) {
            assert!(batch.bytes.len() <= 400 || batch.packets == 1);
            scene.arrives(&batch);
            // Some fail and come again.
            if passes.len() % 7 == 3 {
                scene.uplink.failed(&batch);
            } else {
                scene.uplink.acknowledged(&batch);
            }
            // New ones come while old groups are sent: they overtake.
            if batch.pass > 0 && new < 70 {
                scene.write(0, new);
                let next = scene.next(400).unwrap();
                assert_eq!((next.pass, next.indices), (0, Some((new, new))));
                scene.arrives(&next);
                scene.uplink.acknowledged(&next);
                new += 1;
            }
            passes.push(batch.pass);
            streams.push(batch.stream);
        }
        assert!(passes.windows(2).all(|w| w[0] <= w[1]) && passes.ends_with(&[3]), "{passes:?}");
        let first = &streams[..passes.iter().position(|&p| p > 0).unwrap()];
        assert!(first.windows(2).filter(|w| w[0] == w[1]).count() < 3, "{first:?}");
        let expected = 3 * (60 + 70);
        assert_eq!(scene.arrived.len(), expected);
        assert_eq!(scene.uplink.backlog().bytes, 0);
    }
}

#[test]
fn all_is_sent_once_over_restarts_if_nothing_fails() {
    for seed in 0..5 {
        let mut noise = Noise::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut scene = Scene::new(Arc::new(RealDisk::default()), &folder.path().join(STORE));
        let mut index = [0, 1000];
        for _ in 0..150 {
            for _ in 0..noise.below(4) {
                let s = noise.below(2);
                scene.write(s, index[s]);
                // Some are dropped before they are stored.
                index[s] += 1 + noise.below(5) as u64 / 4;
            }
            for _ in 0..noise.below(3) {
                if let Some(batch) = scene.next(200 + noise.below(2000)) {
                    scene.arrives(&batch);
                    scene.uplink.acknowledged(&batch);
                }
            }
            if noise.below(10) == 0 {
                scene.uplink.save(true).unwrap();
                scene.restart();
            }
        }
        while let Some(batch) = scene.next(5000) {
            scene.arrives(&batch);
            scene.uplink.acknowledged(&batch);
        }
        assert!(scene.arrived.values().all(|&n| n == 1), "seed {seed}");
        let stored: u64 =
            STREAMS.iter().flat_map(|s| scene.store.segments(s)).map(|s| s.packets).sum();
        assert_eq!(scene.arrived.len() as u64, 3 * stored, "seed {seed}");
        assert_eq!(scene.uplink.backlog().bytes, 0, "seed {seed}");
        let books = serde_json::to_string(&scene.uplink.books).unwrap();
        assert!(books.len() < 9000, "{} bytes", books.len());
    }
}

#[test]
fn what_the_store_gave_up_is_passed_over_and_counted() {
    let disk: Arc<dyn Disk> = Arc::new(FakeDisk::new(3));
    let mut scene = Scene::new(disk.clone(), Path::new(STORE));
    (0..40).for_each(|i| scene.write(0, i));
    let batch = scene.next(600).unwrap();
    scene.uplink.acknowledged(&batch);
    let before = scene.uplink.backlog();
    let gone = scene.store.segments("a")[0].clone();
    scene.writers.clear();
    scene.store = {
        let s =
            crate::pipeline::store::Settings { staircase: vec![(Duration::ZERO, 1)], ..settings() };
        drop(std::mem::replace(
            &mut scene.uplink,
            Scene::new(Arc::new(FakeDisk::new(4)), Path::new("x")).uplink,
        ));
        let empty = Scene::new(Arc::new(FakeDisk::new(5)), Path::new("y")).store;
        drop(std::mem::replace(&mut scene.store, empty));
        Store::open(Path::new(STORE), s, disk.clone()).unwrap().0
    };
    scene.restart();
    scene.uplink.acknowledged(&batch);
    scene.uplink.look();
    // Every closed segment loses its outer groups.
    for _ in 0..40 {
        scene.store.tick();
    }
    scene.uplink.look();
    let after = scene.uplink.backlog();
    assert!(after.passed_bytes > 0 && after.bytes < before.bytes, "{after:?} {before:?} {gone:?}");
    while let Some(batch) = scene.next(600) {
        assert_eq!(batch.pass, 0, "there are no others");
        scene.arrives(&batch);
        scene.uplink.acknowledged(&batch);
    }
    assert_eq!(scene.uplink.backlog().bytes, 0);
}

#[test]
fn a_segment_that_is_thinned_while_it_is_read_is_sent_to_its_end() {
    for read in 1..8 {
        let disk = FakeDisk::new(9);
        let staircase = vec![(Duration::from_secs(5), 2)];
        let settings = store::Settings { segment_bytes: 4000, staircase, ..settings() };
        let mut scene = Scene::with(Arc::new(disk.clone()), Path::new(STORE), settings);
        (0..read).for_each(|i| scene.write(0, i));
        // Read is what is there of the open segment.
        for _ in 0..read {
            let batch = scene.next(1).unwrap();
            scene.arrives(&batch);
            scene.uplink.acknowledged(&batch);
        }
        (read..60).for_each(|i| scene.write(0, i));
        let before = scene.store.segments("a");
        disk.wait(Duration::from_secs(9));
        (0..50).for_each(|_| scene.store.tick());
        let after = scene.store.segments("a");
        assert!(before[0].is_closed && after[0].bytes < before[0].bytes, "{after:?}");
        while let Some(batch) = scene.next(500) {
            scene.arrives(&batch);
            scene.uplink.acknowledged(&batch);
        }
        for index in 0..60 {
            for group in 0..2 {
                let id = ("a".to_owned(), index, group);
                assert_eq!(scene.arrived.get(&id), Some(&1), "{id:?} after {read} were read");
            }
        }
    }
}

#[test]
fn a_stream_begun_anew_under_its_name_is_sent_again() {
    let disk: Arc<dyn Disk> = Arc::new(FakeDisk::new(6));
    let mut scene = Scene::new(disk, Path::new(STORE));
    (0..30).for_each(|i| scene.write(0, i));
    while let Some(batch) = scene.next(5000) {
        scene.uplink.acknowledged(&batch);
    }
    let book = scene.uplink.books.streams.get_mut("a").unwrap();
    book.add(&Done { groups: 0..3, first: 30, last: 900 });
    while let Some(batch) = scene.next(5000) {
        scene.arrives(&batch);
        scene.uplink.acknowledged(&batch);
    }
    assert_eq!(scene.arrived.len(), 90);
}

#[test]
fn a_stream_that_is_held_does_not_hold_others() {
    let disk = FakeDisk::new(7);
    let mut scene = Scene::new(Arc::new(disk.clone()), Path::new(STORE));
    (0..4).for_each(|i| (0..2).for_each(|s| scene.write(s, i)));
    scene.uplink.hold("a", Duration::from_secs(9), "why");
    while let Some(batch) = scene.next(5000) {
        assert_eq!(batch.stream, "b");
        scene.uplink.acknowledged(&batch);
    }
    disk.wait(Duration::from_secs(10));
    assert_eq!(scene.next(5000).unwrap().stream, "a");
}

#[test]
fn what_is_not_synced_is_not_sent() {
    let disk = FakeDisk::new(8);
    let late = crate::pipeline::store::Settings { sync: Duration::from_secs(5), ..settings() };
    let (store, _) = Store::open(Path::new(STORE), late, Arc::new(disk.clone())).unwrap();
    let mut writer = store.stream("a").unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut uplink = Scene::uplink(&store, &shared, Path::new(STORE));
    writer.write(&header(false), &packet(false, 0, true)).unwrap();
    store.tick();
    assert!(uplink.next(5000).is_none());
    disk.wait(Duration::from_secs(6));
    store.tick();
    assert_eq!(uplink.next(5000).unwrap().packets, 1);
}
