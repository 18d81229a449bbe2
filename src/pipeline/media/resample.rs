//! Sample-rate conversion of whole sounds.

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

    let channels = frame.channels;
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
    let failed = |e: &dyn std::fmt::Display| {
        Error::config("sample rate", format!("{from} Hz to {to} Hz: {e}; choose a rounder rate"))
    };
    // One transform a block: sharper at the band's edge than several short ones. An even number
    // of periods, so that the delay, half a block, is a whole number of steps on both sides.
    let periods = 2 * (BLOCK_STEPS / (2 * block)).max(1);
    let chunk = (periods * from / gcd(from, to)) as usize;
    let window = WindowFunction::BlackmanHarris2;
    let (a, b) = (rate as usize, to_rate as usize);
    let mut converter = Fft::<f32>::new_custom(a, b, chunk, 1, channels, window, FixedSync::Both)
        .map_err(|e| failed(&e))?;
    let adapter = InterleavedSlice::new(input, channels, steps).map_err(|e| failed(&e))?;
    let output = converter.process_all(&adapter, steps, None).map_err(|e| failed(&e))?;
    let mut values = output.take_data();
    // The converter rounds the length up, and may round the ratio.
    values.resize(wanted * channels, 0.0);
    Frame::audio(to_rate, channels, values)
}

/// Greatest common divisor; both are at least 1.
fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
