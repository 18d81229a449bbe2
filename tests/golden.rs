//! The plain path against the reference package `walloc`; see `tests/data/make_golden.py`.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use safetensors::SafeTensors;
use tamis::codec::{Bundle, Frame, Kind, Projection, Quality, Quantizer, Samples, plain};
use tamis::signal::{Ends, PacketTransform};

struct Golden {
    bytes: Vec<u8>,
}

impl Golden {
    fn open() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/golden.safetensors");
        Self { bytes: std::fs::read(path).unwrap() }
    }

    fn data<const N: usize>(&self, name: &str) -> Vec<[u8; N]> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        tensors.tensor(name).unwrap().data().as_chunks::<N>().0.to_vec()
    }

    fn f32(&self, name: &str) -> Vec<f32> {
        self.data(name).into_iter().map(f32::from_le_bytes).collect()
    }

    fn f64(&self, name: &str) -> Vec<f32> {
        self.data(name).into_iter().map(|b| f64::from_le_bytes(b) as f32).collect()
    }

    fn i16(&self, name: &str) -> Vec<i16> {
        self.data(name).into_iter().map(i16::from_le_bytes).collect()
    }

    fn u8(&self, name: &str) -> Vec<u8> {
        self.data::<1>(name).into_iter().map(|b| b[0]).collect()
    }
}

/// Largest difference as a share of the largest value.
fn relative(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0.0f32, |m, (x, y)| m.max((x - y).abs())) / largest
}

/// Transforms each plane, checks the bands, and transforms them back.
fn check(input: &[f32], width: usize, planes: usize, levels: u32, ends: Ends, bands: &[f32]) {
    let plan = PacketTransform::new(levels, ends);
    let mut data = input.to_vec();
    let mut scratch = vec![f32::NAN; data.len()];
    let plane = data.len() / planes;
    for data in data.chunks_exact_mut(plane) {
        match width {
            0 => plan.forward_1d(data, &mut scratch),
            _ => plan.forward_2d(data, width, &mut scratch),
        }
    }
    let error = relative(&data, bands);
    assert!(error < 1e-5, "levels {levels} {ends:?}: bands differ by {error}");
    for data in data.chunks_exact_mut(plane) {
        match width {
            0 => plan.inverse_1d(data, &mut scratch),
            _ => plan.inverse_2d(data, width, &mut scratch),
        }
    }
    let error = relative(&data, input);
    assert!(error < 1e-5, "levels {levels} {ends:?}: inverse differs by {error}");
}

#[test]
fn transforms_are_those_of_the_reference() {
    let g = Golden::open();
    let j12 = g.f32("image.j12.input");
    check(&g.f32("image.j3.input"), 48, 3, 3, Ends::Periodic, &g.f32("image.j3.bands"));
    check(&j12, 48, 1, 1, Ends::Periodic, &g.f32("image.j1.bands"));
    check(&j12, 48, 1, 2, Ends::Periodic, &g.f32("image.j2.bands"));
    let j4: Vec<f32> =
        g.u8("image.j4.input_u8").iter().map(|&x| f32::from(x) / 255.0 - 0.5).collect();
    check(&j4, 96, 1, 4, Ends::Periodic, &g.f32("image.j4.bands"));
    check(&g.f32("audio.j8.input"), 0, 2, 8, Ends::Periodic, &g.f32("audio.j8.bands"));
}

#[test]
fn mirrored_ends_are_those_of_the_filters() {
    let g = Golden::open();
    for (name, width, levels) in [("audio64", 0, 3), ("audio256", 0, 7), ("image", 24, 3)] {
        let input = g.f64(&format!("mirror.{name}.input"));
        check(&input, width, 1, levels, Ends::Mirror, &g.f64(&format!("mirror.{name}.bands")));
    }
}

/// Integers equal the reference's wherever its real value is no tie.
fn same_integers(ours: &[i16], g: &Golden, name: &str) {
    let theirs = g.i16(&format!("{name}.integers"));
    let ties = g.u8(&format!("{name}.near_tie"));
    assert_eq!(ours.len(), theirs.len());
    for (i, ((a, b), tie)) in ours.iter().zip(&theirs).zip(&ties).enumerate() {
        assert!(a == b || *tie == 1, "{name} value {i}: {a}, reference {b}");
    }
    assert!(ties.iter().filter(|t| **t == 1).count() < ties.len() / 20, "too many ties to tell");
}

/// A WaLLoC bundle with the reference's projection.
fn walloc(g: &Golden, kind: Kind, inputs: usize, levels: u32, bits: u32, gain: f32) -> Bundle {
    let name = if kind == Kind::Image { "image" } else { "audio" };
    let scaled = |v: Vec<f32>| v.into_iter().map(|x| x * gain).collect::<Vec<f32>>();
    let mut parts = common::identity(kind, inputs, levels, Ends::Periodic);
    let inner = parts.offset.len();
    let bias = scaled(g.f32(&format!("{name}.bias")));
    let channels = bias.len();
    parts.analysis = Projection::dense(inner, scaled(g.f32(&format!("{name}.weight")))).unwrap();
    parts.synthesis = Projection::dense(channels, vec![0.0; inner * channels]).unwrap();
    parts.bias = bias;
    parts.padding = usize::from(kind == Kind::Audio);
    parts.quantizer = Quantizer::Companding { bits };
    parts.steps = vec![1.0; channels];
    parts.deviation = vec![1.0; channels];
    parts.groups = vec![channels];
    parts.tables = tamis::codec::Tables::generic(channels).unwrap();
    parts.contexts = tamis::codec::Contexts::generic(channels);
    Bundle::new(parts).unwrap()
}

/// `[channels, positions]` to interleaved samples.
fn interleave(planar: &[f32], channels: usize, map: impl Fn(f32) -> f32) -> Vec<f32> {
    let n = planar.len() / channels;
    (0..planar.len()).map(|i| map(planar[i % channels * n + i / channels])).collect()
}

#[test]
fn picture_latents_are_the_references_integers() {
    let g = Golden::open();
    let bundle = walloc(&g, Kind::Image, 3, 3, 8, 1.0);
    let samples = interleave(&g.f32("image.j3.input"), 3, |x| x + 0.5);
    let frame =
        Frame::new(tamis::codec::Layout::Rgb, 3, vec![64, 48], Samples::F32(samples)).unwrap();
    let reals = plain::reals(&bundle, &frame, 12).unwrap();
    assert!(relative(&reals, &g.f32("image.projected")) < 1e-5);
    let latent = plain::encode(&bundle, &frame, 12, Quality::DEFAULT).unwrap();
    assert_eq!(latent.grid, [8, 6]);
    same_integers(&latent.values, &g, "image.b8");
    let mut back = vec![0.0; latent.values.len()];
    bundle.quantizer.dequantize(&g.i16("image.b8.integers"), 1.0, Quality::DEFAULT, &mut back);
    assert!(relative(&back, &g.f32("image.b8.normal")) < 1e-5);
}

#[test]
fn sound_latents_are_the_references_integers() {
    let g = Golden::open();
    let samples = interleave(&g.f32("audio.j8.input"), 2, |x| 2.0 * x);
    let frame = Frame::audio(44100, 2, samples).unwrap();
    for (bits, gain) in [(8, 1.0), (4, g.f32("audio.b4.gain")[0])] {
        let bundle = walloc(&g, Kind::Audio, 2, 8, bits, gain);
        let latent = plain::encode(&bundle, &frame, 27, Quality::DEFAULT).unwrap();
        // Two columns more than the bands have: walloc.md 1.4.
        assert_eq!(latent.grid, [1, 18]);
        same_integers(&latent.values, &g, &format!("audio.b{bits}"));
    }
}

#[test]
fn dequantised_values_are_the_references() {
    let g = Golden::open();
    for bits in [2, 3, 4, 6, 8] {
        let m = (1i16 << (bits - 1)) - 1;
        let integers: Vec<i16> = (-m..=m).collect();
        let mut back = vec![0.0; integers.len()];
        Quantizer::Companding { bits }.dequantize(&integers, 1.0, Quality::DEFAULT, &mut back);
        let theirs = g.f32(&format!("compand.b{bits}.normal"));
        assert!(relative(&back, &theirs) < 1e-5, "bits {bits}");
    }
}
