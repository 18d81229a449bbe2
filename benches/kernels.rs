//! The kernels, one instruction set beside the other: `cargo bench --bench kernels`.

#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use tamis::codec::{Bundle, Frame, Latent, Layout, Quality, Samples};
use tamis::runtime::{Decoder, Encoder, Simd, find_bundle};

const HEIGHT: usize = 512;
const WIDTH: usize = 768;
/// Time steps of a chunk of sound.
const CHUNK: usize = 4096;

fn main() {
    divan::main();
}

/// Bytes without a pattern.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(n).collect()
}

fn rgb() -> Frame {
    Frame::rgb(HEIGHT, WIDTH, noise(3 * HEIGHT * WIDTH)).unwrap()
}

fn encode(bencher: Bencher<'_, '_>, bundle: &str, channels: usize, frame: &Frame, simd: Simd) {
    let bundle: Arc<Bundle> = Arc::new(find_bundle(bundle).unwrap());
    let mut encoder = Encoder::new(bundle, channels, Quality::DEFAULT).unwrap();
    encoder.set_simd(simd);
    let mut latent: Latent = encoder.push(frame, false).unwrap();
    bencher
        .counter(ItemsCount::new(frame.positions()))
        .bench_local(|| encoder.push_into(frame, false, &mut latent).unwrap());
}

#[divan::bench(args = Simd::all())]
fn rgb_to_12_channels(bencher: Bencher<'_, '_>, simd: Simd) {
    encode(bencher, "rgb", 12, &rgb(), simd);
}

#[divan::bench(args = Simd::all())]
fn rgb_to_48_channels(bencher: Bencher<'_, '_>, simd: Simd) {
    encode(bencher, "rgb", 48, &rgb(), simd);
}

#[divan::bench(args = Simd::all())]
fn nv12_to_12_channels(bencher: Bencher<'_, '_>, simd: Simd) {
    let samples = Samples::Nv12(noise(HEIGHT * WIDTH * 3 / 2));
    let frame = Frame::new(Layout::Rgb, 3, vec![HEIGHT, WIDTH], samples).unwrap();
    encode(bencher, "rgb", 12, &frame, simd);
}

#[divan::bench(args = Simd::all())]
fn yuyv_to_12_channels(bencher: Bencher<'_, '_>, simd: Simd) {
    let samples = Samples::Yuyv(noise(HEIGHT * WIDTH * 2));
    let frame = Frame::new(Layout::Rgb, 3, vec![HEIGHT, WIDTH], samples).unwrap();
    encode(bencher, "rgb", 12, &frame, simd);
}

#[divan::bench(args = Simd::all())]
fn gray_to_12_channels(bencher: Bencher<'_, '_>, simd: Simd) {
    let frame =
        Frame::new(Layout::Gray, 1, vec![HEIGHT, WIDTH], Samples::U8(noise(HEIGHT * WIDTH)));
    encode(bencher, "rgb", 12, &frame.unwrap(), simd);
}

#[divan::bench(args = Simd::all())]
fn rgb_16_bit_to_12_channels(bencher: Bencher<'_, '_>, simd: Simd) {
    let wide = noise(3 * HEIGHT * WIDTH).into_iter().map(|v| u16::from(v) * 257).collect();
    let frame = Frame::new(Layout::Rgb, 3, vec![HEIGHT, WIDTH], Samples::U16(wide)).unwrap();
    encode(bencher, "rgb", 12, &frame, simd);
}

#[divan::bench(args = Simd::all())]
fn preview_of_48_channels(bencher: Bencher<'_, '_>, simd: Simd) {
    let bundle: Arc<Bundle> = Arc::new(find_bundle("rgb").unwrap());
    let mut encoder = Encoder::new(bundle.clone(), 48, Quality::DEFAULT).unwrap();
    let latent = encoder.push(&rgb(), false).unwrap();
    let mut decoder = Decoder::new(bundle, 48);
    decoder.set_simd(simd);
    bencher
        .counter(ItemsCount::new(HEIGHT * WIDTH))
        .bench_local(|| decoder.push(&latent, Layout::Rgb).unwrap());
}

#[divan::bench]
fn stereo_chunk(bencher: Bencher<'_, '_>) {
    let samples = noise(2 * CHUNK).into_iter().map(|v| i16::from(v) * 128).collect();
    let layout = Layout::Audio { rate: 44100 };
    let frame = Frame::new(layout, 2, vec![CHUNK], Samples::I16(samples)).unwrap();
    encode(bencher, "stereo", 256, &frame, Simd::best());
}
