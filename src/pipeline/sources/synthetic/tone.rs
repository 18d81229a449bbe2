//! A sound with everything that is hard on a codec: steady tones, attacks, a glide, noise.

use std::f64::consts::{FRAC_PI_2, TAU};

use super::hash;
use crate::codec::{Frame, Layout, Samples};

/// A deterministic sound: a melody of fading notes, a drum each half second, a chirp, faint noise.
#[derive(Debug, Clone)]
pub struct Tone {
    rate: u32,
    channels: usize,
    seed: u64,
}

/// Pitches of the melody, one each quarter second, in half-tones above 220 Hz.
const MELODY: [i32; 16] = [0, 7, 12, 16, 14, 12, 7, 9, 5, 9, 12, 17, 16, 12, 7, 4];
/// Strength of each harmonic of a note.
const HARMONICS: [f64; 5] = [1.0, 0.5, 0.3, 0.18, 0.1];
/// Notes that sound together before the oldest is let go.
const VOICES: u64 = 4;

impl Tone {
    /// A sound of `rate` steps a second; a rate or channel count of 0 becomes 1.
    pub fn new(rate: u32, channels: usize, seed: u64) -> Self {
        Self { rate: rate.max(1), channels: channels.max(1), seed }
    }

    /// The stretch of `steps` time steps from `start` on, from nothing but its place.
    ///
    /// Any two stretches agree where they overlap.
    ///
    /// Shape: `F32`, `[steps]`, interleaved.
    pub fn samples(&self, start: u64, steps: usize) -> Frame {
        let mut values = Vec::with_capacity(steps * self.channels);
        for step in 0..steps as u64 {
            self.step(start.wrapping_add(step), &mut values);
        }
        Frame {
            layout: Layout::Audio { rate: self.rate },
            channels: self.channels,
            extent: vec![steps],
            samples: Samples::F32(values),
        }
    }

    fn step(&self, at: u64, values: &mut Vec<f32>) {
        let beat = u64::from(self.rate / 4).max(1);
        let bar = beat * 16;
        let mut parts = [(0.0, 0.5); VOICES as usize + 2];
        for (voice, part) in parts.iter_mut().take(VOICES as usize).enumerate() {
            // Before the first note there was none.
            let Some(place) = (at / beat).checked_sub(voice as u64) else { continue };
            let age = self.seconds(at - place * beat);
            let fade = 1.0 - age * self.rate as f64 / (beat * VOICES) as f64;
            let pan = 0.5 + 0.3 * libm::cos(place as f64 % 16.0 * 2.4);
            *part = (0.2 * fade * self.note(place, age), pan);
        }
        parts[VOICES as usize] = (0.3 * self.drum(at, at % (2 * beat)), 0.6);
        let glide = self.seconds(at % bar);
        parts[VOICES as usize + 1] = (0.1 * self.chirp(glide), (glide - 1.0).clamp(0.0, 1.0));
        for channel in 0..self.channels {
            let side = match self.channels {
                1 => 0.5,
                n => channel as f64 / (n - 1) as f64,
            };
            let sum: f64 = parts.iter().map(|(x, pan)| x * gain(side, *pan)).sum();
            let hiss = 0.002 * self.noise(at.wrapping_mul(64).wrapping_add(channel as u64 + 1));
            values.push((sum + hiss).clamp(-1.0, 1.0) as f32);
        }
    }

    fn seconds(&self, steps: u64) -> f64 {
        steps as f64 / f64::from(self.rate)
    }

    /// A plucked note: harmonics, the higher ones fading sooner.
    fn note(&self, place: u64, age: f64) -> f64 {
        let pitch = 220.0 * libm::exp2(f64::from(MELODY[(place % 16) as usize]) / 12.0);
        let angle = TAU * pitch * age;
        let (sin, cos) = (libm::sin(angle), libm::cos(angle));
        let decay = libm::exp(-3.0 * age);
        // sin((n + 1) a) = 2 cos(a) sin(n a) - sin((n - 1) a)
        let (mut before, mut now, mut strength) = (0.0, sin, 1.0);
        let mut sum = 0.0;
        for (n, harmonic) in HARMONICS.iter().enumerate() {
            if pitch * (n + 1) as f64 >= f64::from(self.rate) / 2.0 {
                break;
            }
            strength *= decay;
            sum += harmonic * strength * now;
            (before, now) = (now, 2.0 * cos * now - before);
        }
        let attack = (age / 0.004).min(1.0);
        attack * sum
    }

    /// A burst of noise that is over in a tenth of a second.
    fn drum(&self, at: u64, age: u64) -> f64 {
        let age = self.seconds(age);
        if age > 0.2 { 0.0 } else { libm::exp(-age / 0.025) * self.noise(at.wrapping_mul(64)) }
    }

    /// A glide from 200 Hz up over several octaves in the second second of each bar.
    fn chirp(&self, time: f64) -> f64 {
        let u = time - 1.0;
        if !(0.0..1.0).contains(&u) {
            return 0.0;
        }
        let top = (0.4 * f64::from(self.rate)).min(8000.0);
        let octaves = libm::log(top / 200.0);
        if octaves <= 0.0 {
            return 0.0;
        }
        let turns = 200.0 / octaves * (libm::exp(octaves * u) - 1.0);
        libm::sin(TAU * turns) * libm::sin(std::f64::consts::PI * u)
    }

    /// Noise in [-1, 1], each value from its counter alone.
    fn noise(&self, counter: u64) -> f64 {
        let bits = hash(self.seed ^ hash(counter)) >> 32;
        bits as f64 / (1u64 << 31) as f64 - 1.0
    }
}

/// How much of a source at `pan` a channel at `side` hears: equal power for two channels.
fn gain(side: f64, pan: f64) -> f64 {
    libm::cos(FRAC_PI_2 * (side - pan))
}
