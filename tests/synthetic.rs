//! The scene and the tone: from their place alone, alike on every machine, rich and bounded.
#![cfg(feature = "pipeline")]

use tamis::codec::{Frame, Layout, Samples};
use tamis::pipeline::sources::synthetic::{Scene, Tone};

fn bytes(frame: &Frame) -> &[u8] {
    match &frame.samples {
        Samples::U8(v) => v,
        other => panic!("not 8 bits: {} values", other.len()),
    }
}

fn floats(frame: &Frame) -> &[f32] {
    match &frame.samples {
        Samples::F32(v) => v,
        other => panic!("not floats: {} values", other.len()),
    }
}

/// Root of the mean square over a slice.
fn rms(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    (values.map(|x| x * x).sum::<f64>() / count).sqrt()
}

#[test]
fn a_frame_depends_on_its_index_and_seed_only() {
    let scene = Scene::new(160, 90, 5);
    let (a, b) = (scene.frame(7), scene.frame(8));
    assert_eq!(scene.frame(7), a);
    assert_eq!(Scene::new(160, 90, 5).frame(8), b);
    assert_ne!(a, b);
    assert_ne!(Scene::new(160, 90, 6).frame(7), a);
    assert_eq!((a.layout, a.channels, &a.extent[..]), (Layout::Rgb, 3, &[90, 160][..]));
    assert_eq!(bytes(&a).len(), 90 * 160 * 3);
}

/// The picture is part of what a release promises: whoever changes it changes these sums.
#[test]
fn scene_and_tone_are_the_same_on_every_machine() {
    let frame = Scene::new(320, 180, 1).frame(42);
    assert_eq!(crc32c::crc32c(bytes(&frame)), SCENE);
    let sound = Tone::new(16_000, 2, 1).samples(15_000, 4000);
    let sound: Vec<u8> = floats(&sound).iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(crc32c::crc32c(&sound), TONE);
}

const SCENE: u32 = 130_874_796;
const TONE: u32 = 903_711_917;

#[test]
fn sensor_noise_is_two_levels() {
    let scene = Scene::new(640, 360, 3);
    // One whole period apart everything but noise and words is the same; no word stands here.
    let (a, b) = (scene.frame(10), scene.frame(10 + 18_000));
    let part = |f: &Frame| -> Vec<f64> {
        (0..280)
            .flat_map(|y| bytes(f)[(y * 640 + 320) * 3..(y + 1) * 640 * 3].to_vec())
            .map(f64::from)
            .collect()
    };
    let (a, b) = (part(&a), part(&b));
    let difference: Vec<f64> = a.iter().zip(&b).map(|(x, y)| x - y).collect();
    let noise = rms(difference.iter().copied()) / 2f64.sqrt();
    // Rounding to whole levels adds a twelfth to the square.
    assert!((noise - (4.0f64 + 1.0 / 12.0).sqrt()).abs() < 0.05, "{noise}");
    let mean = difference.iter().sum::<f64>() / difference.len() as f64;
    assert!(mean.abs() < 0.05, "{mean}");
}

#[test]
fn the_scene_moves_and_has_contrast() {
    let scene = Scene::new(640, 360, 3);
    let (a, b) = (scene.frame(0), scene.frame(45));
    let moved = bytes(&a).iter().zip(bytes(&b)).filter(|(x, y)| x.abs_diff(**y) > 12).count();
    assert!(moved * 5 > bytes(&a).len(), "{moved}");
    let mean = bytes(&a).iter().map(|x| f64::from(*x)).sum::<f64>() / bytes(&a).len() as f64;
    assert!((80.0..160.0).contains(&mean), "{mean}");
    assert!(rms(bytes(&a).iter().map(|x| f64::from(*x) - mean)) > 30.0);
}

#[test]
fn the_counter_can_be_read() {
    let (a, b) = (Scene::new(640, 360, 3).frame(1), Scene::new(640, 360, 3).frame(7));
    // The dots of the last digit are two pixels wide: 1 has its foot where 7 has nothing.
    let (left, top) = (22 + 11 * 12, 20 + 54);
    let level = |f: &Frame, column: usize, row: usize| {
        bytes(f)[((top + 2 * row) * 640 + left + 2 * column) * 3]
    };
    assert!(level(&a, 3, 6) > 225 && level(&b, 3, 6) < 200);
    assert!(level(&b, 0, 0) > 225 && level(&a, 0, 0) < 200);
}

#[test]
fn odd_sizes_and_far_places_work() {
    for (w, h) in [(0, 0), (1, 1), (3, 200), (200, 3), (17, 13), (64, 48)] {
        let frame = Scene::new(w, h, 9).frame(u64::MAX);
        assert_eq!(bytes(&frame).len(), 3 * w.max(1) * h.max(1));
    }
    for (rate, channels) in [(0, 0), (1, 1), (3, 2), (400, 1), (8000, 7)] {
        let tone = Tone::new(rate, channels, 9);
        let frame = tone.samples(u64::MAX - 50, 100);
        assert_eq!((frame.extent[0], frame.channels), (100, channels.max(1)));
        assert!(floats(&frame).iter().all(|x| x.abs() <= 1.0));
    }
    assert!(Tone::new(8000, 1, 0).samples(3, 0).samples.is_empty());
}

#[test]
fn chunks_of_sound_join() {
    let tone = Tone::new(8000, 2, 4);
    let whole = tone.samples(1000, 5000);
    let mut joined = Vec::new();
    for (start, steps) in [(1000, 1), (1001, 999), (2000, 2500), (4500, 1500)] {
        joined.extend_from_slice(floats(&tone.samples(start, steps)));
    }
    assert_eq!(floats(&whole), joined);
    assert_ne!(Tone::new(8000, 2, 5).samples(1000, 5000), whole);
}

#[test]
fn the_sound_has_drums_sides_and_headroom() {
    let sound = Tone::new(44_100, 2, 1).samples(0, 4 * 44_100);
    let side = |c: usize| -> Vec<f64> {
        floats(&sound).iter().skip(c).step_by(2).map(|x| f64::from(*x)).collect()
    };
    let (left, right) = (side(0), side(1));
    let peak = left.iter().chain(&right).fold(0.0f64, |p, x| p.max(x.abs()));
    assert!((0.2..0.95).contains(&peak), "{peak}");
    // First differences weigh the noise of a drum against the low notes.
    let rough = |from: usize| rms(left[from..from + 441].windows(2).map(|p| p[1] - p[0]));
    for beat in 1..8 {
        let at = beat * 22_050;
        assert!(
            rough(at) > 4.0 * rough(at - 600),
            "beat {beat}: {} {}",
            rough(at),
            rough(at - 600)
        );
    }
    let apart = rms(left.iter().zip(&right).map(|(l, r)| l - r));
    assert!(apart > 0.2 * rms(left.iter().copied()), "{apart}");
}
