//! One camera, whatever happens to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::super::clock::since_boot;
use super::super::super::pixels::Pixels;
use super::super::CameraSource;
use super::super::find::{Finder, Identity};
use super::super::source::Patience;
use super::super::video::{Colour, Fourcc, Mode, Shot, Wish};
use super::fake::{Fake, PATIENCE, Stage, grey, lock};
use super::pictures::jpeg;
use crate::codec::Samples;
use crate::pipeline::item::{Gone, Item};
use crate::pipeline::line::Source;

fn lost(item: &Item) -> (&'static str, &str) {
    match &item.gone {
        Some(Gone::Lost(kind, why)) => (kind, why),
        other => panic!("not lost: {other:?}"),
    }
}

fn first_byte(item: &Item) -> u8 {
    match item.frame.as_ref().map(|f| &f.samples) {
        Some(Samples::U8(v)) => v[0],
        other => panic!("no bytes: {other:?}, {:?}", item.gone),
    }
}

fn said(item: &Item, words: &str) -> bool {
    item.warnings.iter().any(|w| w.contains(words))
}

#[test]
fn pictures_come_in_order_with_place_name_and_time() {
    let mut stage = Stage::new();
    let before = since_boot();
    for i in 0..10 {
        stage.shoot(grey(i, i as u8));
    }
    for i in 0..10 {
        let item = stage.next();
        assert_eq!((item.stamp.index, first_byte(&item)), (i, i as u8));
        assert_eq!((item.name.as_str(), item.end), ("front", false));
        assert!(item.stamp.captured >= before && item.stamp.boot > 0 && item.stamp.utc.is_some());
        assert_eq!(item.lasts, Duration::from_secs_f64(1.0 / 30.0));
        assert!(item.warnings.is_empty(), "{:?}", item.warnings);
    }
    assert_eq!(stage.source.makes(), crate::pipeline::item::Parts::FRAME);
}

#[test]
fn what_the_driver_drops_is_counted() {
    let mut stage = Stage::new();
    for (sequence, value) in [(100, 1), (101, 2), (105, 3), (1105, 4), (0, 5), (1, 6)] {
        stage.shoot(grey(sequence, value));
    }
    assert_eq!(first_byte(&stage.next()), 1);
    let two = stage.next();
    let mut times = vec![two.stamp.captured];
    for i in 1..=3 {
        let item = stage.next();
        let (kind, why) = lost(&item);
        assert_eq!((kind, item.stamp.index), ("driver_dropped", 1 + i));
        assert!(why.contains(&format!("{i} of 3")), "{why}");
        times.push(item.stamp.captured);
    }
    let three = stage.next();
    assert_eq!((first_byte(&three), three.stamp.index), (3, 5));
    times.push(three.stamp.captured);
    assert!(times.is_sorted());
    // A thousand are said, not listed.
    for i in 1..=64 {
        let item = stage.next();
        let (kind, why) = lost(&item);
        assert_eq!(kind, "driver_dropped");
        assert_eq!(why.contains("935 more"), i == 64, "{why}");
    }
    assert_eq!(first_byte(&stage.next()), 4);
    // A count that begins anew is no gap.
    assert_eq!(first_byte(&stage.next()), 5);
    assert_eq!(first_byte(&stage.next()), 6);
}

#[test]
fn damaged_pictures_are_lost_and_the_next_follows() {
    let mut stage = Stage::new();
    stage.shoot(grey(0, 1));
    stage.shoot(Shot { damaged: true, ..grey(1, 2) });
    stage.shoot(Shot { bytes: vec![3; 3], ..grey(2, 3) });
    stage.shoot(Shot { bytes: vec![], ..grey(3, 3) });
    stage.shoot(grey(4, 4));
    assert_eq!(first_byte(&stage.next()), 1);
    for (index, words) in [(1, "driver says"), (2, "3 of 4 bytes"), (3, "0 of 4 bytes")] {
        let item = stage.next();
        let (kind, why) = lost(&item);
        assert_eq!((kind, item.stamp.index), ("damaged_frame", index));
        assert!(why.contains(words), "{why}");
    }
    let last = stage.next();
    assert_eq!((first_byte(&last), last.stamp.index), (4, 4));
}

#[test]
fn damaged_jpegs_are_lost_and_the_next_follows() {
    let link =
        |m: &super::fake::Machine| Identity::Link(m.link("by-id", "usb-Maker_Eye_7-video-index0"));
    let mut stage = Stage::of(link, Pixels::Mjpeg, [64, 32]);
    stage.plug(3);
    let whole = jpeg(64, 32, false);
    let shot = |sequence, bytes: &[u8]| Shot { bytes: bytes.into(), sequence, ..Shot::default() };
    stage.shoot(shot(0, &whole));
    stage.shoot(shot(1, &whole[..whole.len() / 2]));
    stage.shoot(shot(2, b"no picture"));
    stage.shoot(shot(3, &whole));
    assert!(stage.next().frame.is_some_and(|f| f.channels == 3));
    assert_eq!(lost(&stage.next()).0, "damaged_frame");
    assert_eq!(lost(&stage.next()).0, "damaged_frame");
    let last = stage.next();
    assert_eq!((last.stamp.index, last.frame.is_some()), (3, true));
}

#[test]
fn times_that_go_back_repeat_or_jump_become_those_of_arrival() {
    let mut stage = Stage::new();
    // The monotonic clock is that since boot, where a machine never slept; the fake says both alike.
    let monotonic = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
    };
    let now = monotonic();
    let ms = Duration::from_millis;
    let early = |t: u64| Some(now.saturating_sub(ms(t)));
    let hour = Duration::from_secs(3600);
    for (i, time) in
        [early(90), early(60), early(60), Some(Duration::ZERO), Some(now + hour), early(30), None]
            .into_iter()
            .enumerate()
    {
        stage.shoot(Shot { time, ..grey(i as u32, i as u8) });
    }
    let (mut last, mut repaired, mut warnings) = (Duration::ZERO, 0, 0);
    for i in 0..7 {
        let item = stage.next();
        assert_eq!(item.stamp.index, i);
        assert!(item.stamp.captured > last, "picture {i}");
        last = item.stamp.captured;
        let age = since_boot().saturating_sub(last);
        repaired += u32::from(age < ms(29));
        warnings += item.warnings.iter().filter(|w| w.contains("times of capture")).count();
        if i < 2 {
            assert!(age >= ms(59), "the driver's time is kept: {age:?}");
        }
    }
    assert_eq!((repaired, warnings), (5, 1), "at most one word a minute");
}

#[test]
fn a_plug_pulled_and_put_elsewhere_100_times_of_100() {
    let mut stage = Stage::new();
    lock(&stage.world).endless = true;
    let (mut at, mut longest) = (0, Duration::ZERO);
    assert!(stage.next().frame.is_some());
    for i in 0..100 {
        stage.unplug(at);
        // The number it had is taken by another.
        stage.machine.plug(at, "Other", "1-9", ["1234", "5678", ""], ("1.0", 0));
        lock(&stage.world).plugged.insert(stage.machine.node(at), "other".into());
        let item = stage.next();
        assert_eq!(lost(&item).0, "camera_gone", "round {i}");
        let other = at;
        at = (at + 1) % 7;
        stage.plug(at);
        let begin = Instant::now();
        let item = stage.next();
        longest = longest.max(begin.elapsed());
        assert!(item.frame.is_some() && said(&item, "is back"), "round {i}: {item:?}");
        let opened = lock(&stage.world).opened.last().cloned();
        assert_eq!(opened, Some(stage.machine.node(at)), "round {i}");
        stage.unplug(other);
    }
    let opened = lock(&stage.world).opened.len();
    assert_eq!((opened, lock(&stage.world).open), (101, 1), "each opened once, and let go");
    println!("longest way back {longest:?}");
    assert!(longest < PATIENCE.back_off[1] + Duration::from_millis(500), "{longest:?}");
}

#[test]
fn a_way_back_takes_no_longer_than_the_longest_pause() {
    let mut stage = Stage::new();
    lock(&stage.world).endless = true;
    assert!(stage.next().frame.is_some());
    stage.unplug(0);
    assert_eq!(lost(&stage.next()).0, "camera_gone");
    let (world, stop) = (stage.world.clone(), stage.stop.clone());
    std::thread::scope(|scope| {
        let machine = &stage.machine;
        let source = &mut stage.source;
        let waiting = scope.spawn(move || {
            let item = source.next().expect("no error").expect("no end");
            (Instant::now(), item)
        });
        std::thread::sleep(Duration::from_millis(400));
        machine.plug(5, "Eye", "1-4", ["046d", "0825", "7"], ("1.0", 0));
        lock(&world).plugged.insert(machine.node(5), "eye".into());
        let begin = Instant::now();
        machine.name("by-id", "usb-Maker_Eye_7-video-index0", 5);
        let (end, item) = waiting.join().expect("no panic");
        assert!(item.frame.is_some() && said(&item, "is back after 0."), "{item:?}");
        let took = end.saturating_duration_since(begin);
        assert!(took < PATIENCE.back_off[1] + Duration::from_millis(300), "{took:?}");
    });
    assert!(!stop.load(Ordering::Relaxed));
}

#[test]
fn no_camera_at_the_start_is_one_that_is_gone() {
    let mut stage = Stage::new();
    stage.unplug(0);
    let item = stage.next();
    let (kind, why) = lost(&item);
    assert_eq!(kind, "camera_gone");
    assert!(why.contains("by-id") && why.contains("is looked for"), "{why}");
    stage.plug(2);
    stage.shoot(grey(0, 9));
    let item = stage.next();
    assert_eq!((first_byte(&item), item.stamp.index), (9, 0));
    assert!(said(&item, "is back"));
    assert!(lock(&stage.world).opened.len() == 1);
}

#[test]
fn one_that_opens_and_gives_nothing_is_gone_once() {
    let mut stage = Stage::new();
    stage.shoot(grey(0, 1));
    assert_eq!(first_byte(&stage.next()), 1);
    let begin = Instant::now();
    let item = stage.next();
    assert!(lost(&item).1.contains("no picture for"));
    assert!(begin.elapsed() >= PATIENCE.silence);
    let stop = Arc::clone(&stage.stop);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            stop.store(true, Ordering::Relaxed);
        });
        assert!(stage.source.next().expect("no error").is_none(), "said once");
    });
    assert!(lock(&stage.world).opened.len() >= 3, "opened anew and anew");
    assert!(stage.source.close().is_empty() && lock(&stage.world).open == 0);
}

#[test]
fn one_that_another_program_uses_is_waited_for() {
    let mut stage = Stage::new();
    lock(&stage.world).refuses = true;
    assert!(lost(&stage.next()).1.contains("another program"));
    lock(&stage.world).refuses = false;
    stage.shoot(grey(0, 1));
    assert_eq!(first_byte(&stage.next()), 1);
    assert_eq!(lock(&stage.world).open, 1);
}

#[test]
fn a_picture_that_never_changes_is_told_once() {
    let mut stage = Stage::new();
    let mut told = 0;
    for i in 0..30 {
        stage.shoot(grey(i, 7));
        told += usize::from(said(&stage.next(), "the same picture"));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(told, 1);
    for i in 30..60 {
        stage.shoot(grey(i, i as u8));
        assert!(stage.next().warnings.is_empty());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_stops_within_a_tenth_of_a_second_whatever_it_waits_for() {
    for away in [true, false] {
        // A busy machine may not let it run in time; once it must.
        let took = (0..5).map(|_| time_to_stop(away)).min().expect("some");
        assert!(took < Duration::from_millis(100), "{took:?}");
    }
}

/// How long a source that waits takes to end when it is told to.
fn time_to_stop(away: bool) -> Duration {
    let mut stage = Stage::new();
    let long = Duration::from_secs(60);
    let patience = Patience { back_off: [long; 2], silence: long, still: long };
    let finder = Finder::new(stage.machine.tree.clone(), stage.identity());
    let wish = Wish { width: 4, height: 1, fps: 30.0, pixels: Some(Pixels::Grey) };
    let (video, stop) = (Fake::new(&stage.world), stage.stop.clone());
    stage.source = CameraSource::patient("front", finder, wish, video, stop, patience);
    if away {
        stage.unplug(0);
        assert_eq!(lost(&stage.next()).0, "camera_gone");
    } else {
        stage.shoot(grey(0, 1));
        assert_eq!(first_byte(&stage.next()), 1);
    }
    let stop = Arc::clone(&stage.stop);
    std::thread::scope(|scope| {
        let stopped = scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(120));
            stop.store(true, Ordering::Relaxed);
            Instant::now()
        });
        assert!(stage.source.next().expect("no error").is_none());
        Instant::now().saturating_duration_since(stopped.join().expect("no panic"))
    })
}

#[test]
fn what_is_not_as_wished_is_said_once() {
    let mut stage = Stage::new();
    let yuyv = Fourcc::new(*b"YUYV");
    {
        let mut world = lock(&stage.world);
        world.modes = vec![Mode { fourcc: yuyv, size: [4, 2], rates: vec![15.0] }];
        world.stride = 16;
        world.colour = Colour { matrix: Some("BT.709"), full: Some(true) };
    }
    let wish = Wish { width: 640, height: 480, fps: 30.0, pixels: None };
    let finder = Finder::new(stage.machine.tree.clone(), Identity::Numbered(stage.machine.node(0)));
    let (video, stop) = (Fake::new(&stage.world), stage.stop.clone());
    stage.source = CameraSource::patient("front", finder, wish, video, stop, PATIENCE);
    let shot = |sequence| Shot { bytes: vec![sequence as u8; 32], sequence, ..Shot::default() };
    stage.shoot(shot(0));
    stage.shoot(shot(1));
    let item = stage.next();
    for words in ["by-id/usb-Maker", "4x2 is nearest", "15.000 pictures", "BT.709", "full range"] {
        assert!(said(&item, words), "{words}: {:?}", item.warnings);
    }
    let frame = item.frame.expect("a frame");
    assert!(matches!(frame.samples, Samples::Yuyv(v) if v.len() == 16));
    assert!(stage.next().warnings.is_empty());
    // After it was away nothing of that is new.
    stage.unplug(0);
    assert_eq!(lost(&stage.next()).0, "camera_gone");
    stage.plug(1);
    stage.shoot(shot(2));
    let item = stage.next();
    assert_eq!(item.warnings.len(), 1, "{:?}", item.warnings);
    assert!(said(&item, "is back"));
}
