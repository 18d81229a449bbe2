//! What encoding asks of the allocator: nothing once it runs, and little more than its input.

#![allow(missing_docs, unsafe_code, clippy::unwrap_used)]

mod common;

use std::alloc::{GlobalAlloc, Layout as Size, System};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{audio_bundle, fixed_bundle, picture, sound};
use tamis::codec::{Frame, Quality};
use tamis::runtime::{Decoder, Encoder, Simd};

/// Counts what is asked for, and the most that was held.
struct Counting;

thread_local! {
    /// Of this thread alone: the harness allocates beside the test whenever it likes.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}
static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
/// Tests count one at a time.
static TURN: Mutex<()> = Mutex::new(());

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, size: Size) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        let held = HELD.fetch_add(size.size(), Relaxed) + size.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, size: Size) {
        HELD.fetch_sub(size.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Calls of the allocator during some work on this thread.
fn calls(work: impl FnOnce()) -> usize {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

/// The most that some work held at once, beyond what was held before.
fn most(work: impl FnOnce()) -> usize {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    work();
    MOST.load(Relaxed) - before
}

#[test]
fn frames_after_the_first_allocate_nothing() {
    let _turn = TURN.lock();
    let bundle = fixed_bundle(3, 24, 1);
    let frames: Vec<Frame> = (0..3).map(|seed| picture(120, 333, seed)).collect();
    for simd in Simd::all() {
        let mut encoder = Encoder::new(bundle.clone(), 24, Quality::DEFAULT).unwrap();
        encoder.set_simd(simd);
        let mut latent = encoder.push(&frames[0], false).unwrap();
        let count = calls(|| {
            for frame in &frames {
                encoder.push_into(frame, false, &mut latent).unwrap();
            }
        });
        assert_eq!(count, 0, "{}", simd.name());
        let mut decoder = Decoder::new(bundle.clone(), 24);
        decoder.set_simd(simd);
        let mut frame = decoder.push(&latent, frames[0].layout).unwrap();
        let count = calls(|| {
            for _ in 0..3 {
                decoder.push_into(&latent, frames[0].layout, &mut frame).unwrap();
            }
        });
        assert_eq!(count, 0, "{}, back", simd.name());
    }
}

#[test]
fn chunks_of_sound_after_the_first_allocate_nothing() {
    let _turn = TURN.lock();
    let bundle = audio_bundle(2);
    let chunks: Vec<Frame> = (0..40).map(|seed| sound(1000, 2, 8000, seed)).collect();
    let mut encoder = Encoder::new(bundle.clone(), bundle.channels(), Quality::DEFAULT).unwrap();
    let mut latent = encoder.push(&chunks[0], false).unwrap();
    for chunk in &chunks[..20] {
        encoder.push_into(chunk, false, &mut latent).unwrap();
    }
    let count = calls(|| {
        for chunk in &chunks[20..] {
            encoder.push_into(chunk, false, &mut latent).unwrap();
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn twelve_megapixels_need_little_beyond_input_and_output() {
    let _turn = TURN.lock();
    const SPARE: usize = 8 << 20;
    let (height, width) = (3072, 4096);
    let bundle = fixed_bundle(3, 48, 1);
    let mut input = None;
    let held = most(|| {
        let samples = (0..height * width * 3).map(|i| (i * 7 + i / 8192) as u8);
        let mut bytes = Vec::with_capacity(height * width * 3);
        bytes.extend(samples);
        input = Some(Frame::rgb(height, width, bytes).unwrap());
    });
    let frame = input.unwrap();
    assert!(held >= height * width * 3);
    for (simd, threads) in [(Simd::Portable, 1), (Simd::best(), 1), (Simd::best(), 2)] {
        let mut latent = None;
        let held = most(|| {
            let mut encoder = Encoder::new(bundle.clone(), 48, Quality::DEFAULT).unwrap();
            encoder.set_simd(simd);
            encoder.set_threads(threads);
            latent = Some(encoder.push(&frame, false).unwrap());
        });
        let latent = latent.unwrap();
        let spare = held - 2 * latent.values.len();
        println!("{}, {threads} threads: {:.2} MB", simd.name(), spare as f64 / 1e6);
        assert!(spare <= SPARE, "{spare} bytes beyond the latents");
        let held = most(|| {
            let mut decoder = Decoder::new(bundle.clone(), 48);
            decoder.set_simd(simd);
            drop(decoder.push(&latent, frame.layout).unwrap());
        });
        let spare = held - height * width * 3;
        println!("{}, back: {:.2} MB", simd.name(), spare as f64 / 1e6);
        assert!(spare <= SPARE, "{spare} bytes beyond the picture");
    }
}

/// Lines that run for long hold no more than they did. `TAMIS_CAMPAIGN=full` looks after 5 and after 30 minutes.
#[cfg(feature = "cli")]
#[test]
fn lines_that_run_on_hold_no_more() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};
    use tamis::pipeline::config::{Config, Place};
    use tamis::pipeline::{Full, Ledger, Live};

    let _turn = TURN.lock();
    let long = std::env::var("TAMIS_CAMPAIGN").is_ok_and(|v| v == "full");
    let [first, second] = if long { [300, 1800] } else { [6, 12] }.map(Duration::from_secs);
    let (streams, fps) = if long { (16, 5) } else { (4, 25) };
    let folder = tempfile::tempdir().unwrap();
    let mut text = format!(
        "[store]\nfolder = {:?}\nquota = \"4 MiB\"\nsegment = \"64 KiB\"\nsegment_time = \"2 s\"\nkeep_free = \"0 B\"\n",
        folder.path().join("store")
    );
    for s in 0..streams {
        text += &format!(
            "[[stream]]\nname = \"s{s}\"\nsource = {{ kind = \"scene\", width = 160, height = 120, fps = {fps}, seed = {s} }}\n\
             codec = {{ bundle = \"rgb\", quality = 60 }}\n[[stream.sink]]\nkind = \"store\"\n"
        );
    }
    let config = Config::parse(&text, "test").unwrap();
    let (store, _) = config.store.as_ref().unwrap().open().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = config
        .streams
        .into_iter()
        .map(|stream| {
            let place =
                Place { stop: stop.clone(), store: Some(store.clone()), ..Place::default() };
            std::thread::spawn(move || {
                let live = Live {
                    stop: place.stop.clone(),
                    ledger: Arc::new(Ledger::default()),
                    full: Full::DropOldest,
                    hang: Duration::from_secs(30),
                    drain: Duration::from_secs(5),
                };
                stream.build(&place).unwrap().run_live(&live, |_, _| ()).unwrap()
            })
        })
        .collect();
    let begin = Instant::now();
    // What is under way differs from moment to moment: the least of many looks.
    let held = |until: Duration| {
        while begin.elapsed() < until {
            store.tick();
            std::thread::sleep(Duration::from_millis(100));
        }
        let looks = (0..200).map(|_| {
            store.tick();
            std::thread::sleep(Duration::from_millis(10));
            HELD.load(Relaxed)
        });
        looks.min().unwrap()
    };
    let (before, after) = (held(first), held(second));
    stop.store(true, Relaxed);
    let reports: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert!(reports.iter().all(|r| r.delivered > 20 && r.unaccounted() == 0));
    let frames: u64 = reports.iter().map(|r| r.delivered).sum();
    println!(
        "campaign: {streams} streams, {frames} frames: {before} bytes held after {first:?}, {after} after {second:?}"
    );
    assert!(after < before + streams * 65536, "{before} then {after}");
}
