//! One microphone, whatever happens to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::super::clock::since_boot;
use super::super::super::depth::Depth;
use super::super::MicrophoneSource;
use super::super::find::{Finder, Identity};
use super::super::listen::{Break, Chunk, Heard, Offer, Wish};
use super::super::source::Patience;
use super::fake::{Fake, PATIENCE, PIECE, RATE, Stage, length, lock};
use crate::codec::{Layout, Samples};
use crate::pipeline::item::{Gone, Item};
use crate::pipeline::line::Source;

/// Time steps of a block.
const BLOCK: usize = 16384;

fn lost(item: &Item) -> (&'static str, &str) {
    match &item.gone {
        Some(Gone::Lost(kind, why)) => (kind, why),
        other => panic!("not lost: {other:?}, {:?}", item.frame.as_ref().map(|f| &f.extent)),
    }
}

fn samples(item: &Item) -> &[f32] {
    match item.frame.as_ref().map(|f| &f.samples) {
        Some(Samples::F32(v)) => v,
        _ => panic!("no sound: {:?}", item.gone),
    }
}

/// Whether a block goes on as a ramp does from this number.
fn goes_on(item: &Item, number: i16) -> bool {
    let expected = |i: usize| f32::from(number.wrapping_add(i as i16)) / 32768.0;
    samples(item).iter().enumerate().all(|(i, x)| *x == expected(i))
}

fn said(item: &Item, words: &str) -> bool {
    item.warnings.iter().any(|w| w.contains(words))
}

#[test]
fn sound_comes_in_blocks_with_place_name_and_time() {
    let mut stage = Stage::new();
    let begin = lock(&stage.world).at;
    // As they come: short, long, one time step, none.
    let pieces = [1, 4800, 0, 20000, 3, 4800, 4800, 4800, 4800, 5200];
    pieces.iter().for_each(|&steps| stage.play(steps));
    let mut at = 0;
    for i in 0..3 {
        let item = stage.next();
        assert_eq!(item.frame.as_ref().map(|f| f.layout), Some(Layout::Audio { rate: RATE }));
        assert_eq!((item.stamp.index, samples(&item).len(), item.end), (i, BLOCK, false));
        assert!(goes_on(&item, at as i16) && item.name == "ear" && item.warnings.is_empty());
        assert!(item.stamp.boot > 0 && item.stamp.utc.is_some());
        // The machine may have slept, but not since the test began.
        let slept = since_boot().saturating_sub(super::fake::monotonic());
        let off = item.stamp.captured.abs_diff(begin + slept + length(at));
        assert!(off < Duration::from_millis(3), "{off:?}");
        at += BLOCK;
    }
    stage.stop.store(true, Ordering::Relaxed);
    // Nothing of what came is kept back, and the sound ends.
    let last = stage.next();
    assert_eq!((samples(&last).len(), last.end), (pieces.iter().sum::<usize>() - 3 * BLOCK, true));
    assert!(goes_on(&last, at as i16));
    assert!(stage.source.next().expect("no error").is_none() && stage.source.close().is_empty());
    assert_eq!(stage.source.makes(), crate::pipeline::item::Parts::FRAME);
}

#[test]
fn what_plays_when_the_line_is_closed_is_given() {
    let mut stage = Stage::new();
    [BLOCK, 100].iter().for_each(|&steps| stage.play(steps));
    assert!(!stage.next().end);
    let rest = stage.source.close();
    assert_eq!((rest.len(), rest[0].end, samples(&rest[0]).len()), (1, true, 100));
    assert_eq!(lock(&stage.world).open, 0);
}

#[test]
fn one_hundred_breaks_are_one_hundred_gaps_of_the_right_length() {
    let mut stage = Stage::new();
    let why = [Break::Overrun, Break::Suspended, Break::Stopped];
    for i in 0..100 {
        stage.play(PIECE);
        stage.cut(Some(why[i % 3]), 100 + i * 7);
    }
    stage.play(BLOCK + 1);
    let (mut number, mut last, mut index) = (0_i16, Duration::ZERO, 0);
    for i in 0..100 {
        let item = stage.next();
        assert!(item.end && goes_on(&item, number), "sound {i} ends");
        assert!(item.stamp.captured > last && item.stamp.index == index);
        last = item.stamp.captured;
        number = number.wrapping_add(PIECE as i16);
        let item = stage.next();
        let (kind, words) = lost(&item);
        assert_eq!(kind, why[i % 3].kind());
        let steps: f64 = words.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        let expected = 100 + i * 7;
        assert!((steps - expected as f64).abs() <= 1.0, "{words}: {expected}");
        assert_eq!(item.stamp.index, index + 1, "a gap has a place");
        // The fake's clock and its ramp count the same.
        number = number.wrapping_add(expected as i16);
        index += 2;
        assert!(item.stamp.captured >= last);
    }
    let item = stage.next();
    assert!(goes_on(&item, number) && !item.end && item.stamp.captured > last);
}

#[test]
fn what_the_driver_swallows_without_a_word_is_a_gap() {
    let mut stage = Stage::new();
    for _ in 0..20 {
        stage.play(PIECE);
        stage.cut(None, 9600);
    }
    let mut found = 0;
    for _ in 0..19 {
        assert!(stage.next().end);
        let item = stage.next();
        assert_eq!(lost(&item).0, "driver_dropped");
        assert!(lost(&item).1.starts_with("9600 time steps (0.200 s)"), "{:?}", item.gone);
        found += 1;
    }
    assert_eq!(found, 19);
}

#[test]
fn breaks_without_end_are_no_busy_loop_and_the_microphone_is_opened_anew() {
    let mut stage = Stage::new();
    stage.play(PIECE);
    for _ in 0..100_000 {
        stage.cut(Some(Break::Overrun), 0);
    }
    assert!(stage.next().end);
    let item = stage.next();
    assert!(lost(&item).1.contains("no sound for"), "{:?}", item.gone);
    assert!(lock(&stage.world).next.len() > 99_900, "{}", lock(&stage.world).next.len());
}

#[test]
fn times_that_go_back_or_jump_leave_no_gap() {
    let mut stage = Stage::new();
    let hour = Duration::from_secs(3600);
    let mut plain = Vec::new();
    for i in 0..160 {
        let mut world = lock(&stage.world);
        let mut chunk = world.piece(PIECE);
        plain.push(chunk.time);
        chunk.time = match i % 4 {
            1 => Some(Duration::ZERO),
            2 => chunk.time.map(|t| t + hour),
            3 => chunk.time.and_then(|t| t.checked_sub(Duration::from_millis(400))),
            _ => chunk.time,
        };
        world.next.push_back(Heard::Sound(chunk));
    }
    let (mut last, mut warnings, mut number) = (Duration::ZERO, 0, 0_i16);
    for _ in 0..160 * PIECE / BLOCK {
        let item = stage.next();
        assert!(goes_on(&item, number) && !item.end && item.stamp.captured > last);
        number = number.wrapping_add(BLOCK as i16);
        if !last.is_zero() {
            let off = (item.stamp.captured - last).abs_diff(length(BLOCK));
            assert!(off < Duration::from_millis(2), "{off:?}");
        }
        last = item.stamp.captured;
        warnings += item.warnings.iter().filter(|w| w.contains("times of capture")).count();
    }
    assert_eq!(warnings, 1, "at most one word a minute");
}

#[test]
fn a_plug_pulled_and_put_elsewhere_100_times_of_100() {
    let mut stage = Stage::new();
    lock(&stage.world).endless = true;
    let (mut at, mut longest) = (0, Duration::ZERO);
    assert!(!stage.next().end);
    for i in 0..100 {
        stage.unplug(at);
        // The number it had is taken by another.
        stage.machine.plug(at, "Other", "", [""; 3], &[0]);
        lock(&stage.world).plugged.insert(stage.machine.node(at, 0), "other".into());
        let mut item = stage.next();
        while !item.end {
            assert!(item.gone.is_none());
            item = stage.next();
        }
        assert_eq!(lost(&stage.next()).0, "microphone_gone", "round {i}");
        let other = at;
        at = (at + 1) % 7;
        stage.plug(at);
        let begin = Instant::now();
        let item = stage.next();
        longest = longest.max(begin.elapsed());
        assert!(samples(&item).len() == BLOCK && said(&item, "is back"), "round {i}: {item:?}");
        let opened = lock(&stage.world).opened.last().cloned();
        assert_eq!(opened, Some(stage.machine.node(at, 0)), "round {i}");
        stage.unplug(other);
    }
    let opened = lock(&stage.world).opened.len();
    assert_eq!((opened, lock(&stage.world).open), (101, 1), "each opened once, and let go");
    println!("longest way back {longest:?}");
    assert!(longest < PATIENCE.back_off[1] + Duration::from_millis(500), "{longest:?}");
}

#[test]
fn no_microphone_at_the_start_is_one_that_is_gone() {
    let mut stage = Stage::new();
    stage.unplug(0);
    let item = stage.next();
    let (kind, why) = lost(&item);
    assert_eq!(kind, "microphone_gone");
    assert!(why.contains("hw:CARD=Mic,DEV=0") && why.contains("is looked for"), "{why}");
    stage.plug(2);
    stage.play(BLOCK + 1);
    let item = stage.next();
    assert_eq!(item.stamp.index, 0);
    assert!(said(&item, "is back"));
}

#[test]
fn a_silent_one_is_said_once_and_opened_anew() {
    let mut stage = Stage::new();
    stage.play(PIECE);
    let begin = Instant::now();
    assert!(stage.next().end, "what came is not kept");
    assert!(lost(&stage.next()).1.contains("no sound for"));
    assert!(begin.elapsed() >= PATIENCE.silence);
    let stop = Arc::clone(&stage.stop);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(900));
            stop.store(true, Ordering::Relaxed);
        });
        assert!(stage.source.next().expect("no error").is_none(), "said once");
    });
    assert!(lock(&stage.world).opened.len() >= 3, "opened anew and anew");
    assert!(stage.source.close().is_empty() && lock(&stage.world).open == 0);
}

#[test]
fn one_that_nobody_listened_to_for_long_was_not_silent() {
    let mut stage = Stage::new();
    stage.play(BLOCK + 1);
    assert!(goes_on(&stage.next(), 0));
    std::thread::sleep(2 * PATIENCE.silence);
    stage.cut(Some(Break::Overrun), 1000);
    stage.play(BLOCK + 1);
    assert!(stage.next().end && lost(&stage.next()).0 == "overrun");
    assert_eq!(samples(&stage.next()).len(), BLOCK);
    assert_eq!(lock(&stage.world).opened.len(), 1);
}

#[test]
fn one_that_another_program_uses_is_waited_for() {
    let mut stage = Stage::new();
    lock(&stage.world).refuses = true;
    assert!(lost(&stage.next()).1.contains("another program"));
    lock(&stage.world).refuses = false;
    stage.play(BLOCK + 1);
    assert!(goes_on(&stage.next(), 0));
    assert_eq!(lock(&stage.world).open, 1);
}

#[test]
fn bytes_that_are_no_time_steps_are_a_fault_of_the_device() {
    let mut stage = Stage::new();
    stage.play(PIECE);
    stage.hear(Heard::Sound(Chunk { bytes: vec![0; 7], time: None }));
    assert_eq!(samples(&stage.next()).len(), PIECE);
    assert!(lost(&stage.next()).1.contains("7 bytes, where a time step has 2"));
    stage.play(BLOCK + 1);
    assert!(said(&stage.next(), "is back"));
}

#[test]
fn a_sound_that_never_moves_is_told_once() {
    let mut stage = Stage::new();
    let (mut told, bytes) = (0, vec![0; 2 * PIECE]);
    for _ in 0..600 {
        stage.hear(Heard::Sound(Chunk { bytes: bytes.clone(), time: None }));
    }
    for _ in 0..600 * PIECE / BLOCK {
        told += usize::from(said(&stage.next(), "is muted"));
    }
    assert_eq!(told, 1);
}

#[test]
fn odd_formats_rates_and_channels_are_brought_to_what_is_wished_and_said_once() {
    let offers = |depth, channels, rate| [Offer { depth, channels, rates: vec![rate] }];
    let wish = |rate, channels| Wish { rate, channels, depth: None };
    // Three bytes, two channels, of which the mean is taken.
    let mut stage = Stage::of(&offers(Depth::S24in3, 2, 48000), wish(48000, 1));
    let step = [0, 0, 0x40, 0, 0, 0x20];
    let chunk = || Heard::Sound(Chunk { bytes: step.repeat(BLOCK + 1), time: None });
    stage.hear(chunk());
    let item = stage.next();
    assert!(samples(&item).iter().all(|x| *x == 0.375) && said(&item, "2 channels: their mean"));
    stage.unplug(0);
    assert!(stage.next().end && lost(&stage.next()).0 == "microphone_gone");
    stage.plug(0);
    stage.hear(chunk());
    let item = stage.next();
    assert_eq!(item.warnings.len(), 1, "{:?}", item.warnings);
    // The first two of four, a third as often.
    let mut stage = Stage::of(&offers(Depth::Float, 4, 48000), wish(16000, 2));
    let step = [0.5_f32, 0.25, f32::NAN, 0.0].map(f32::to_le_bytes).concat();
    for _ in 0..200 {
        stage.hear(Heard::Sound(Chunk { bytes: step.repeat(PIECE), time: None }));
    }
    let item = stage.next();
    for words in ["no 16000 Hz: 48000 Hz", "first 2 are taken", "no number"] {
        assert!(said(&item, words), "{words}: {:?}", item.warnings);
    }
    assert_eq!(item.frame.as_ref().map(|f| f.layout), Some(Layout::Audio { rate: 16000 }));
    let middle = &samples(&item)[8000..8004];
    let off = middle.iter().zip([0.5, 0.25, 0.5, 0.25]).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f32::max) < 1e-3, "{middle:?}");
    stage.stop.store(true, Ordering::Relaxed);
    let last = stage.next();
    assert!(last.end);
    let taken = 200 - lock(&stage.world).next.len();
    assert_eq!(samples(&item).len() + samples(&last).len(), 2 * taken * PIECE / 3);
    // Nothing that fits.
    let mut stage = Stage::of(&offers(Depth::S32, 1, 8000), wish(48000, 2));
    assert!(lost(&stage.next()).1.contains("it offers 1 channels of s32 at 8000 Hz"));
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
    let patience = Patience { back_off: [long; 2], silence: long, mute: long };
    let identity = Identity::parse("hw:CARD=Mic,DEV=0").expect("a name");
    let finder = Finder::new(stage.machine.tree.clone(), identity);
    let wish = Wish { rate: RATE, channels: 1, depth: None };
    let (fake, stop) = (Fake::new(&stage.world), stage.stop.clone());
    stage.source = MicrophoneSource::patient("ear", finder, wish, fake, stop, patience);
    if away {
        stage.unplug(0);
        assert_eq!(lost(&stage.next()).0, "microphone_gone");
    } else {
        stage.play(BLOCK + 1);
        assert!(goes_on(&stage.next(), 0));
    }
    let stop = Arc::clone(&stage.stop);
    std::thread::scope(|scope| {
        let stopped = scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(120));
            stop.store(true, Ordering::Relaxed);
            Instant::now()
        });
        while stage.source.next().expect("no error").is_some() {}
        Instant::now().saturating_duration_since(stopped.join().expect("no panic"))
    })
}
