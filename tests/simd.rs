//! Every instruction set, any number of threads and every GPU against the plain codec, bit for bit.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[cfg(feature = "cuda")]
#[path = "common/gpu.rs"]
mod gpu;

use std::sync::Arc;

use common::{Noise, fixed_bundle, picture};
use proptest::prelude::*;
use tamis::codec::{Bundle, Frame, Latent, Layout, Quality, Samples, plain};
use tamis::runtime::{Decoder, Device, Encoder, Simd};
use tamis::signal::{Ends, PacketTransform};

/// Set where this suite runs once more, on the GPU of `tests/cuda`.
#[cfg(feature = "cuda")]
const AGAIN: &str = "TAMIS_TEST_GPU";

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
    if Device::Cuda(0).check().is_ok() {
        check_gpu(bundle, frame, quality, &truth);
    }
}

/// A GPU, alone and in a batch, after other pictures.
fn check_gpu(bundle: &Arc<Bundle>, frame: &Frame, quality: Quality, truth: &Latent) {
    let n = bundle.channels();
    let mut encoder = Encoder::new(bundle.clone(), n, Quality::DEFAULT).unwrap();
    if !matches!(frame.samples, Samples::U8(_) | Samples::Nv12(_) | Samples::Yuyv(_)) {
        encoder.set_device(Device::Cuda(0)).unwrap();
        let refused = encoder.push(frame, false).unwrap_err().to_string();
        assert!(refused.contains("takes pictures of 8 bits, not "), "{refused}");
        assert_eq!(encoder.set_device(Device::Auto).unwrap(), None);
        encoder.set_quality(quality);
        assert_eq!(&encoder.push(frame, false).unwrap(), truth);
        return;
    }
    encoder.set_device(Device::Cuda(0)).unwrap();
    let other = noise_frame(40, 333, 5, 3);
    let before = encoder.push(&other, false).unwrap();
    encoder.set_quality(quality);
    let alone = encoder.push(frame, false).unwrap();
    let at = alone.values.iter().zip(&truth.values).position(|(a, b)| a != b);
    assert_eq!(at, None, "{} of {:?}, grid {:?}", encoder.device(), frame.extent, truth.grid);
    assert_eq!(&alone, truth);
    let all = encoder.push_all(&[frame, frame, &other, frame].map(Frame::view)).unwrap();
    assert!(all.iter().enumerate().all(|(i, l)| i == 2 || l == truth));
    assert_eq!(all[2].extent, before.extent);
}

#[test]
fn gpus_are_tested_where_they_are() {
    match Device::Cuda(0).check() {
        Ok(found) => eprintln!("on {} too", found.name),
        Err(e) => eprintln!("skipped on GPUs: {e}"),
    }
}

/// The kernels, and all that calls them, on a driver that runs them on this processor.
#[cfg(feature = "cuda")]
#[test]
fn the_whole_suite_holds_for_the_kernels_of_gpus() {
    if std::env::var_os(AGAIN).is_some() {
        return;
    }
    let folder = match gpu::driver(false) {
        Ok(folder) => folder,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    for how in ["whole", "sync"] {
        let mut suite = std::process::Command::new(std::env::current_exe().unwrap());
        suite.args(["--nocapture", "--test-threads", "2"]);
        let out = suite.env("LD_LIBRARY_PATH", &folder).env(AGAIN, how).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr) + String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{said}");
        assert!(said.contains("on cuda:0 (a processor in its place) too"), "{said}");
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
    // The last two are longer than what a block of a GPU walks.
    for (h, w) in [
        (1, 1),
        (1, 300),
        (300, 1),
        (8, 8),
        (9, 17),
        (31, 129),
        (64, 128),
        (65, 257),
        (200, 520),
        (1061, 30),
        (20, 1100),
    ] {
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

/// What a sample in the middle of a signal does to a band of packets, for each of them.
fn response(levels: u32, len: usize, band: usize) -> Vec<f32> {
    let plan = PacketTransform::new(levels, Ends::Mirror);
    let cells = len >> levels;
    let of = |i: usize| {
        let (mut signal, mut scratch) = (vec![0f32; len], vec![0f32; len]);
        signal[i] = 1.0;
        plan.forward_1d(&mut signal, &mut scratch);
        signal[band * cells + cells / 2]
    };
    (0..len).map(of).collect()
}

/// Pictures that drive one band of the sum, or of an opponent, as far as pixels can: every sum saturates
/// somewhere.
#[test]
fn the_worst_pictures_saturate_alike() {
    let bundle = fixed_bundle(3, 96, 17);
    // Long enough for several walks of a GPU, which begin anywhere.
    let mut noise = Noise(5);
    let coins = (0..1100 * 16 * 3).map(|_| if noise.next() < 0.5 { 0 } else { 255 }).collect();
    check(&bundle, &Frame::rgb(1100, 16, coins).unwrap(), Quality::MAX, 1);
    let (h, w) = (72, 80);
    let sign = |v: f32| if v > 0.0 { 255 } else { 0 };
    for across in 0..8 {
        let along = response(3, w, across);
        for down in 0..8 {
            let fall = response(3, h, down);
            let pixel = |i: usize| sign(along[i / 3 % w] * fall[i / 3 / w]);
            let frame = Frame::rgb(h, w, (0..h * w * 3).map(pixel).collect()).unwrap();
            check(&bundle, &frame, Quality::MAX, 1);
        }
    }
    for across in 0..4 {
        let along = response(2, w / 2, across);
        for down in 0..4 {
            let fall = response(2, h / 2, down);
            let pixel = |i: usize| {
                let v = along[i / 3 % w / 2] * fall[i / 3 / w / 2];
                // Green against the others, or red against blue.
                let turn =
                    if (across + down) % 2 == 0 { [-1.0, 1.0, -1.0] } else { [1.0, 0.0, -1.0] };
                sign(v * turn[i % 3])
            };
            let frame = Frame::rgb(h, w, (0..h * w * 3).map(pixel).collect()).unwrap();
            check(&bundle, &frame, Quality::MAX, 1);
        }
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
fn camera_pixels_are_the_same_everywhere() {
    for bundle in [fixed_bundle(3, 24, 21), fixed_bundle(1, 16, 22)] {
        for (h, w) in [(1usize, 1usize), (2, 64), (49, 71), (64, 256), (65, 257), (31, 130)] {
            let mut noise = Noise(h as u64);
            let mut bytes = |n: usize| (0..n).map(|_| (noise.next() * 256.0) as u8).collect();
            let nv12 = Samples::Nv12(bytes(h * w + h.div_ceil(2) * 2 * w.div_ceil(2)));
            let yuyv = Samples::Yuyv(bytes(h * 4 * w.div_ceil(2)));
            for samples in [nv12, yuyv] {
                let frame = Frame::new(Layout::Rgb, 3, vec![h, w], samples).unwrap();
                check(&bundle, &frame, Quality::MAX, 2);
            }
        }
    }
}

/// Brightness and colour differences of a picture give nearly the latents of its colours.
#[test]
fn camera_pixels_mean_what_their_colours_mean() {
    let bundle = fixed_bundle(3, 12, 23);
    let (h, w) = (64, 96);
    let colours = [[255u8, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]];
    let codes = [[235u8, 128, 128], [16, 128, 128], [81, 90, 240], [145, 54, 34], [41, 240, 110]];
    for ([r, g, b], [y, blue, red]) in colours.into_iter().zip(codes) {
        let mut nv12 = vec![y; h * w];
        nv12.extend([blue, red].repeat(h * w / 4));
        let yuyv = [y, blue, y, red].repeat(h * w / 2);
        let rgb = Frame::rgb(h, w, [r, g, b].repeat(h * w)).unwrap();
        let truth = plain::encode(&bundle, &rgb, 12, Quality::MAX).unwrap();
        for samples in [Samples::Nv12(nv12.clone()), Samples::Yuyv(yuyv.clone())] {
            let frame = Frame::new(Layout::Rgb, 3, vec![h, w], samples).unwrap();
            let latent = plain::encode(&bundle, &frame, 12, Quality::MAX).unwrap();
            let scale = truth.values.iter().map(|v| v.unsigned_abs()).max().unwrap();
            for (a, b) in latent.values.iter().zip(&truth.values) {
                assert!(a.abs_diff(*b) <= 2 + scale / 40, "{a} {b} of {scale}");
            }
        }
    }
}

fn check_decoder(bundle: &Arc<Bundle>, latent: &Latent, channels: usize) {
    let truth = plain::decode(bundle, latent, channels).unwrap();
    for simd in Simd::all() {
        let mut decoder = Decoder::new(bundle.clone(), channels);
        decoder.set_simd(simd);
        // Memory that was used before must not show.
        let other = plain::encode(
            bundle,
            &noise_frame(40, 333, 5, bundle.inputs),
            bundle.channels(),
            Quality::MAX,
        );
        let mut used = decoder.push(&other.unwrap(), truth.layout).unwrap();
        let fast = decoder.push(latent, truth.layout).unwrap();
        // Nor that of the frame: of another size, then of the same.
        for _ in 0..2 {
            decoder.push_into(latent, truth.layout, &mut used).unwrap();
            assert!(used == fast);
            let Samples::U8(samples) = &mut used.samples else { panic!() };
            samples.fill(7);
        }
        let (Samples::U8(a), Samples::U8(b)) = (&fast.samples, &truth.samples) else { panic!() };
        let at = a.iter().zip(b).position(|(a, b)| a != b);
        assert_eq!(at, None, "{} of {:?}, {channels} channels", simd.name(), latent.extent);
        assert_eq!(fast.extent, truth.extent);
    }
}

#[test]
fn any_size_decodes_the_same_everywhere() {
    for bundle in [fixed_bundle(3, 24, 5), fixed_bundle(1, 16, 6)] {
        for (h, w) in
            [(1, 1), (1, 300), (128, 8), (129, 40), (33, 300), (520, 17), (65, 257), (40, 256)]
        {
            let frame = noise_frame(h, w, 8, bundle.inputs);
            let n = bundle.channels();
            let latent = plain::encode(&bundle, &frame, n, Quality::DEFAULT).unwrap();
            for channels in [n, 5] {
                check_decoder(&bundle, &latent, channels);
            }
        }
    }
}

#[test]
fn any_integers_decode_the_same_everywhere() {
    let bundle = fixed_bundle(3, 24, 12);
    let frame = noise_frame(70, 150, 2, 3);
    let mut noise = Noise(4);
    for quality in [1, 50, 100] {
        let quality = Quality::new(quality).unwrap();
        let mut latent = plain::encode(&bundle, &frame, 24, quality).unwrap();
        latent.values.fill_with(|| ((noise.next() - 0.5) * 65536.0) as i16);
        check_decoder(&bundle, &latent, 24);
    }
}

#[test]
fn gray_of_a_colour_codec_is_the_sum_alone() {
    let bundle = fixed_bundle(3, 24, 13);
    let latent = plain::encode(&bundle, &noise_frame(50, 70, 3, 1), 24, Quality::MAX).unwrap();
    let mut all = Vec::new();
    for simd in Simd::all() {
        let mut decoder = Decoder::new(bundle.clone(), 24);
        decoder.set_simd(simd);
        let frame = decoder.push(&latent, Layout::Gray).unwrap();
        assert_eq!((frame.channels, &frame.extent[..]), (1, &[50, 70][..]));
        all.push(frame);
    }
    assert!(all.windows(2).all(|w| w[0] == w[1]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_pictures_on_any_threads(
        h in 1usize..180, w in 1usize..300, seed: u64, threads in 1usize..6, quality in 1u8..=100,
    ) {
        let bundle = fixed_bundle(3, 12, seed);
        let quality = Quality::new(quality).unwrap();
        check(&bundle, &picture(h, w, seed), quality, threads);
        let latent = plain::encode(&bundle, &picture(h, w, seed), 12, quality).unwrap();
        check_decoder(&bundle, &latent, 12);
    }
}
