//! Sample-rate conversion of sounds, whole or as they come.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::{Limits, RATE_LIMIT};
use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};

/// Time steps of the longer side of one transform, where the two rates allow.
const BLOCK_STEPS: u64 = 4096;

/// Longest transform; two rates without a common divisor need one as long as the higher.
const BLOCK_LIMIT: u64 = 400_000;

/// Converts sound to another rate, as `F32`, without delay.
///
/// Shape: `[round(steps * to / from)]`; beyond its ends the sound counts as silent.
///
/// # Errors
/// `Shape` if the frame is a picture, `Config` if the rate cannot be reached from the frame's,
/// `Limit` if the result would be too long.
pub fn resample(frame: &Frame, to_rate: u32) -> Result<Frame> {
    let Layout::Audio { rate } = frame.layout else {
        return Err(Error::shape("frame to resample", "sound", "a picture"));
    };
    if rate == to_rate {
        return Ok(frame.clone());
    }
    let channels = frame.channels;
    let mut converter = converter(rate, to_rate, channels)?;
    let (from, to) = (u64::from(rate), u64::from(to_rate));
    let steps = frame.positions();
    let wanted = (steps as u128 * u128::from(to) + u128::from(from) / 2) / u128::from(from);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    Limits::default().check_sound("resampled sound", wanted.saturating_mul(channels as u64))?;
    let wanted = wanted as usize;
    if wanted == 0 {
        return Frame::audio(to_rate, channels, Vec::new());
    }

    let floats;
    let input = match &frame.samples {
        Samples::F32(v) => v.as_slice(),
        Samples::I16(v) => {
            floats = v.iter().map(|&x| f32::from(x) / 32768.0).collect::<Vec<_>>();
            floats.as_slice()
        }
        _ => return Err(Error::shape("sound samples", "I16 or F32", "U8 or U16")),
    };
    let failed = |e: &dyn std::fmt::Display| failed(rate, to_rate, e);
    let adapter = InterleavedSlice::new(input, channels, steps).map_err(|e| failed(&e))?;
    let output = converter.process_all(&adapter, steps, None).map_err(|e| failed(&e))?;
    let mut values = output.take_data();
    // The converter rounds the length up, and may round the ratio.
    values.resize(wanted * channels, 0.0);
    Frame::audio(to_rate, channels, values)
}

/// A sound that is converted as it comes.
pub struct Resampling {
    converter: Fft<f32>,
    rates: [u32; 2],
    channels: usize,
    /// What is too short for a transform so far.
    waits: Vec<f32>,
    /// Steps that still belong to the delay of the converter.
    delay: usize,
    /// Time steps that came, and that were given.
    came: u64,
    gave: u64,
}

impl Resampling {
    /// Brings sound of `from` steps a second to `to`.
    ///
    /// # Errors
    /// `Config` if that cannot be done.
    pub fn new(from: u32, to: u32, channels: usize) -> Result<Self> {
        let converter = converter(from, to, channels)?;
        let delay = converter.output_delay();
        let (rates, waits, came, gave) = ([from, to], Vec::new(), 0, 0);
        Ok(Self { converter, rates, channels, waits, delay, came, gave })
    }

    /// Takes whole time steps, and adds to `out` what can be given so far.
    ///
    /// # Errors
    /// `Config` if the converter refuses.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<()> {
        self.came += (samples.len() / self.channels) as u64;
        self.waits.extend_from_slice(samples);
        let chunk = self.converter.input_frames_next() * self.channels;
        let whole = self.waits.len() / chunk * chunk;
        let waits = std::mem::take(&mut self.waits);
        for some in waits[..whole].chunks_exact(chunk) {
            self.convert(some, out)?;
        }
        self.waits.extend_from_slice(&waits[whole..]);
        Ok(())
    }

    /// Adds the rest to `out`: what follows is taken for silence, and the next sound begins anew.
    ///
    /// # Errors
    /// `Config` if the converter refuses.
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Result<()> {
        let [from, to] = self.rates.map(u128::from);
        let wanted = (u128::from(self.came) * to + from / 2) / from;
        let missing = wanted.saturating_sub(u128::from(self.gave)) as usize;
        let (begin, chunk) = (out.len(), self.converter.input_frames_next() * self.channels);
        while out.len() - begin < missing * self.channels {
            let mut some = std::mem::take(&mut self.waits);
            some.resize(chunk, 0.0);
            self.convert(&some, out)?;
        }
        out.truncate(begin + missing * self.channels);
        self.converter.reset();
        (self.delay, self.came, self.gave) = (self.converter.output_delay(), 0, 0);
        Ok(())
    }

    fn convert(&mut self, some: &[f32], out: &mut Vec<f32>) -> Result<()> {
        let failed = |e: &dyn std::fmt::Display| failed(self.rates[0], self.rates[1], e);
        let steps = some.len() / self.channels;
        let adapter = InterleavedSlice::new(some, self.channels, steps).map_err(|e| failed(&e))?;
        let made = self.converter.process(&adapter, None).map_err(|e| failed(&e))?.take_data();
        let late = self.delay.min(made.len() / self.channels);
        self.delay -= late;
        self.gave += (made.len() / self.channels - late) as u64;
        out.extend_from_slice(&made[late * self.channels..]);
        Ok(())
    }
}

fn failed(from: u32, to: u32, why: &dyn std::fmt::Display) -> Error {
    Error::config("sample rate", format!("{from} Hz to {to} Hz: {why}; choose a rounder rate"))
}

/// What converts sound of `channels` channels from one rate to another.
fn converter(rate: u32, to_rate: u32, channels: usize) -> Result<Fft<f32>> {
    for value in [rate, to_rate] {
        if value == 0 || value > RATE_LIMIT {
            let reason = format!("{value} Hz, needed 1 to {RATE_LIMIT}");
            return Err(Error::config("sample rate", reason));
        }
    }
    let (from, to) = (u64::from(rate), u64::from(to_rate));
    let block = from.max(to) / gcd(from, to);
    if block > BLOCK_LIMIT {
        let reason = format!(
            "{from} Hz to {to} Hz share no divisor that keeps a block within {BLOCK_LIMIT} steps \
             (it is {block}); choose a rounder rate, such as 48000"
        );
        return Err(Error::config("sample rate", reason));
    }
    // One transform a block: sharper at the band's edge than several short ones. An even number
    // of periods, so that the delay, half a block, is a whole number of steps on both sides.
    let periods = 2 * (BLOCK_STEPS / (2 * block)).max(1);
    let chunk = (periods * from / gcd(from, to)) as usize;
    let window = WindowFunction::BlackmanHarris2;
    let (a, b) = (rate as usize, to_rate as usize);
    Fft::<f32>::new_custom(a, b, chunk, 1, channels, window, FixedSync::Both)
        .map_err(|e| failed(rate, to_rate, &e))
}

/// Greatest common divisor; both are at least 1.
fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_in_pieces_is_what_the_whole_would_be() {
        for (from, to) in [(48000, 16000), (48000, 44100), (44100, 48000), (8000, 48000)] {
            let wave = |i: usize| (0.01 * i as f32).sin() * 0.5 + (i % 7) as f32 * 0.01;
            let sound: Vec<f32> = (0..2 * 30_001).map(wave).collect();
            let frame = Frame::audio(from, 2, sound.clone()).expect("a sound");
            let Samples::F32(whole) = resample(&frame, to).expect("rates that can be").samples
            else {
                panic!("no floats")
            };
            let mut pieces = Resampling::new(from, to, 2).expect("rates that can be");
            // Twice: what ended leaves nothing behind.
            for lengths in [[1, 999, 0, 5000], [4096, 3, 12_000, 77]] {
                let (mut out, mut at) = (Vec::new(), 0);
                for length in lengths.into_iter().cycle() {
                    let end = sound.len().min(at + 2 * length);
                    pieces.push(&sound[at..end], &mut out).expect("no error");
                    at = end;
                    if at == sound.len() {
                        break;
                    }
                }
                pieces.finish(&mut out).expect("no error");
                assert_eq!(out.len(), whole.len(), "{from} {to}");
                let off = out.iter().zip(&whole).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 1e-5, "{from} {to}: {off}");
            }
            let mut out = Vec::new();
            pieces.finish(&mut out).expect("no error");
            assert!(out.is_empty());
        }
    }
}
