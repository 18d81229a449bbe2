//! Every instruction set and any number of threads against the plain codec, bit for bit.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Noise, fixed_bundle, picture};
use proptest::prelude::*;
use tamis::codec::{Bundle, Frame, Layout, Quality, Samples, plain};
use tamis::runtime::{Decoder, Encoder, Simd};

fn check(bundle: &Arc<Bundle>, frame: &Frame, quality: Quality, threads: usize) {
    let n = bundle.channels();
    let truth = plain::encode(bundle, frame, n, quality).unwrap();
    for simd in Simd::all() {
        let mut encoder = Encoder::new(bundle.clone(), n, quality).unwrap();
        encoder.set_simd(simd);
        encoder.set_threads(threads);
        // Memory that was used before must not show.
        encoder.push(&noise_frame(40, 333, 5, 3), false).unwrap();
        let fast = encoder.push(frame, false).unwrap();
        let wrong = fast.values.iter().zip(&truth.values).filter(|(a, b)| a != b).count();
        let at = fast.values.iter().zip(&truth.values).position(|(a, b)| a != b);
        assert_eq!(
            wrong,
            0,
            "{} of {:?}: first at {at:?} of {:?}, {threads} threads",
            simd.name(),
            frame.extent,
            truth.grid
        );
        assert_eq!(fast, truth);
    }
}

fn noise_frame(height: usize, width: usize, seed: u64, channels: usize) -> Frame {
    let mut noise = Noise(seed);
    let layout = if channels == 3 { Layout::Rgb } else { Layout::Gray };
    let samples = (0..height * width * channels).map(|_| (noise.next() * 256.0) as u8).collect();
    Frame::new(layout, channels, vec![height, width], Samples::U8(samples)).unwrap()
}

#[test]
fn any_size_is_the_same_everywhere() {
    let bundle = fixed_bundle(3, 24, 1);
    for (h, w) in
        [(1, 1), (1, 300), (300, 1), (8, 8), (9, 17), (31, 129), (64, 128), (65, 257), (200, 520)]
    {
        check(&bundle, &picture(h, w, 3), Quality::DEFAULT, 1);
        check(&bundle, &noise_frame(h, w, 4, 3), Quality::MAX, 1);
    }
    let gray = fixed_bundle(1, 16, 2);
    for (h, w) in [(1, 1), (33, 150), (130, 40)] {
        check(&gray, &noise_frame(h, w, 6, 1), Quality::DEFAULT, 1);
        check(&bundle, &noise_frame(h, w, 6, 1), Quality::DEFAULT, 1);
    }
}

#[test]
fn extremes_saturate_alike() {
    let bundle = fixed_bundle(3, 40, 7);
    let (h, w) = (72, 150);
    let of = |f: &dyn Fn(usize, usize, usize) -> u8| {
        let samples = (0..h * w * 3).map(|i| f(i / 3 / w, i / 3 % w, i % 3)).collect();
        Frame::rgb(h, w, samples).unwrap()
    };
    let mut noise = Noise(9);
    let coins: Vec<u8> = (0..h * w * 3).map(|_| if noise.next() < 0.5 { 0 } else { 255 }).collect();
    for frame in [
        of(&|_, _, _| 255),
        of(&|_, _, _| 0),
        of(&|y, x, _| if (x + y) % 2 == 0 { 255 } else { 0 }),
        of(&|_, x, c| if x % 2 == c % 2 { 255 } else { 0 }),
        of(&|y, _, c| if y / 8 % 2 == 0 && c == 1 { 255 } else { 0 }),
        of(&|y, x, c| coins[(y * w + x) * 3 + c]),
    ] {
        check(&bundle, &frame, Quality::MAX, 1);
    }
}

#[test]
fn other_samples_are_the_same_everywhere() {
    let bundle = fixed_bundle(3, 24, 11);
    let (h, w) = (50, 70);
    let mut noise = Noise(3);
    let wide = (0..h * w * 3).map(|_| (noise.next() * 65536.0) as u16).collect();
    let real =
        (0..h * w * 3).map(|i| if i % 97 == 0 { f32::NAN } else { noise.next() * 1.4 - 0.2 });
    let real = Samples::F32(real.collect());
    for samples in [Samples::U16(wide), real] {
        let frame = Frame::new(Layout::Rgb, 3, vec![h, w], samples).unwrap();
        check(&bundle, &frame, Quality::DEFAULT, 2);
    }
}

#[test]
fn strips_decode_to_the_whole_picture() {
    for (bundle, layout) in
        [(fixed_bundle(3, 24, 5), Layout::Rgb), (fixed_bundle(1, 16, 6), Layout::Gray)]
    {
        for (h, w) in [(1, 1), (128, 8), (129, 40), (300, 33), (520, 17)] {
            let frame = noise_frame(h, w, 8, bundle.inputs);
            let n = bundle.channels();
            let latent = plain::encode(&bundle, &frame, n, Quality::DEFAULT).unwrap();
            for channels in [n, 5] {
                let strips = Decoder::new(bundle.clone(), channels).push(&latent, layout).unwrap();
                let whole = plain::decode(&bundle, &latent, channels).unwrap();
                assert_eq!(strips, whole, "{h}x{w}, {channels} channels");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_pictures_on_any_threads(
        h in 1usize..180, w in 1usize..300, seed: u64, threads in 1usize..6, quality in 1u8..=100,
    ) {
        let bundle = fixed_bundle(3, 12, seed);
        check(&bundle, &picture(h, w, seed), Quality::new(quality).unwrap(), threads);
    }
}
