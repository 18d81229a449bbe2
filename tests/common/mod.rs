//! Signals and bundles that tests share, made in code.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use tamis::bitstream::{Event, Limits, PacketReader, Salvage, Salvaged};
use tamis::codec::{
    Arithmetic, Bundle, Card, Contexts, Frame, Kind, Layout, Parts, Projection, Quantizer, Samples,
    Tables,
};
use tamis::signal::Ends;

/// Reproducible numbers in [0, 1).
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f32) as usize
    }
}

/// A picture with smooth parts, edges and noise.
pub fn picture(height: usize, width: usize, seed: u64) -> Frame {
    let mut noise = Noise(seed);
    let samples = (0..height * width)
        .flat_map(|i| {
            let (y, x) = ((i / width) as f32, (i % width) as f32);
            let wave = 60.0 * (x / 9.0).sin() + 50.0 * (y / 13.0).cos();
            let edge = if (x - y).abs() < 10.0 { 70.0 } else { 0.0 };
            let n = noise.next() * 12.0;
            [128.0 + wave + n, 110.0 + edge + n, 90.0 - wave / 2.0 + edge / 2.0 + n]
        })
        .map(|v: f32| v.clamp(0.0, 255.0) as u8)
        .collect();
    Frame::rgb(height, width, samples).unwrap()
}

/// A picture of bands: mixtures of three smooth spectra with an edge, light and noise, 12 bits in 16.
pub fn cube(height: usize, width: usize, bands: usize, seed: u64) -> Frame {
    let mut noise = Noise(seed.wrapping_mul(77).wrapping_add(5));
    let turn = noise.next() * 6.0;
    let mut samples = Vec::with_capacity(height * width * bands);
    for i in 0..height * width {
        let (y, x) = ((i / width) as f32, (i % width) as f32);
        let wood = 0.5 + 0.4 * (x / 11.0 + turn).sin();
        let water = if (x - y + 7.0 * turn).rem_euclid(60.0) < 25.0 { 0.9 } else { 0.1 };
        let light = 0.8 + 0.2 * (y / 17.0 + turn).cos();
        for b in 0..bands {
            let at = b as f32 / bands as f32;
            let spectra =
                [0.3 + 0.5 * at, 0.8 * (-12.0 * (at - 0.4) * (at - 0.4)).exp(), 0.6 - 0.4 * at];
            let mix = wood * spectra[0] + water * spectra[1] + (1.0 - wood) * spectra[2];
            let sample = 2000.0 * light * mix + 12.0 * (noise.next() + noise.next() - 1.0) + 60.0;
            samples.push(sample.clamp(0.0, 4095.0) as u16);
        }
    }
    Frame::bands(height, width, bands, Samples::U16(samples)).unwrap()
}

/// A sound with two tones and noise.
pub fn sound(steps: usize, channels: usize, rate: u32, seed: u64) -> Frame {
    let mut noise = Noise(seed);
    let samples = (0..steps * channels)
        .map(|i| {
            let (t, c) = ((i / channels) as f32, (i % channels) as f32);
            let tones = 0.3 * (t * 0.05 + c).sin() + 0.2 * (t * 0.31).sin();
            ((tones + 0.02 * (noise.next() - 0.5)) * 32000.0) as i16
        })
        .collect();
    Frame::new(Layout::Audio { rate }, channels, vec![steps], Samples::I16(samples)).unwrap()
}

/// A codec whose latents are the bands, with the given ends.
pub fn identity(kind: Kind, inputs: usize, levels: u32, ends: Ends) -> Parts {
    let bands = match kind {
        Kind::Image => 1usize << (2 * levels),
        Kind::Audio => 1 << levels,
    };
    let n = inputs * bands;
    let one = Projection::sparse(n, 1, (0..n as u16).collect(), vec![1.0; n]).unwrap();
    let mut groups = vec![n];
    if n > 1 {
        groups.insert(0, n / 2);
    }
    Parts {
        arithmetic: Arithmetic::Float,
        card: Card { name: "test".into(), ..Card::default() },
        kind,
        inputs,
        levels,
        ends,
        padding: 0,
        rate: if kind == Kind::Audio { 44100 } else { 0 },
        quantizer: Quantizer::Step,
        analysis: one.clone(),
        bias: vec![0.0; n],
        synthesis: one,
        offset: vec![0.0; n],
        steps: vec![0.01; n],
        deviation: vec![1.0; n],
        groups,
        tables: Tables::generic(n).unwrap(),
        contexts: Contexts::generic(n),
    }
}

pub fn image_bundle() -> Arc<Bundle> {
    Arc::new(Bundle::new(identity(Kind::Image, 3, 3, Ends::Mirror)).unwrap())
}

pub fn audio_bundle(inputs: usize) -> Arc<Bundle> {
    Arc::new(Bundle::new(identity(Kind::Audio, inputs, 5, Ends::Mirror)).unwrap())
}

/// A fixed-point codec of pictures with random sparse weights over random bands.
pub fn fixed_bundle(inputs: usize, channels: usize, seed: u64) -> Arc<Bundle> {
    let n = if inputs == 3 { 96 } else { 64 };
    let mut noise = Noise(seed);
    let mut random = |rows: usize, cols: usize, terms: usize, most: f32, unit: f32| {
        let index = (0..rows * terms).map(|_| noise.below(cols) as u16).collect();
        let weight =
            (0..rows * terms).map(|_| ((noise.next() * 2.0 - 1.0) * most / unit).round() * unit);
        Projection::sparse(cols, terms, index, weight.collect()).unwrap()
    };
    let parts = Parts {
        arithmetic: Arithmetic::Fixed,
        analysis: random(channels, n, 4, 0.9, 1.0 / 32768.0),
        bias: (0..channels).map(|c| c as f32 - 3.0).collect(),
        synthesis: random(n, channels, 3, 1.9, 1.0 / 16384.0),
        offset: (0..n).map(|k| 2.0 * k as f32).collect(),
        steps: (0..channels).map(|c| 20.0 + 37.0 * c as f32).collect(),
        deviation: vec![1.0; channels],
        groups: vec![channels],
        tables: Tables::generic(channels).unwrap(),
        contexts: Contexts::generic(channels),
        ..identity(Kind::Image, inputs, 3, Ends::Mirror)
    };
    Arc::new(Bundle::new(parts).unwrap())
}

/// Says the seed of a trial that fails.
pub fn say_seed(what: &str, seed: u64) -> impl Drop {
    struct Seed(String);
    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("{}", self.0);
            }
        }
    }
    Seed(format!("{what}: failed at seed {seed}"))
}

/// Reads bytes pushed in pieces of this size.
pub fn events(bytes: &[u8], piece: usize) -> tamis::Result<(Vec<Event>, bool)> {
    let mut reader = PacketReader::new(Limits::default());
    let mut events = Vec::new();
    for part in bytes.chunks(piece.max(1)) {
        reader.push(part);
        while let Some(event) = reader.next_event()? {
            events.push(event);
        }
    }
    reader.finish();
    while let Some(event) = reader.next_event()? {
        events.push(event);
    }
    Ok((events, reader.is_complete()))
}

/// Both readings of a salvage: the copy, and what it found.
pub fn salvage(bytes: &[u8], piece: usize) -> tamis::Result<(Vec<u8>, Salvaged)> {
    let mut salvage = Salvage::new(Limits::default());
    for part in bytes.chunks(piece.max(1)) {
        salvage.survey(part)?;
    }
    salvage.begin()?;
    let mut copy = Vec::new();
    for part in bytes.chunks(piece.max(1)) {
        copy.extend(salvage.push(part)?);
    }
    let (rest, found) = salvage.finish()?;
    copy.extend(rest);
    Ok((copy, found))
}
