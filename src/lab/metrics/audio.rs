//! Measures between two sounds.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex64;

use super::{ratio_db, same_shape};
use crate::codec::Frame;
use crate::error::{Error, Result};

const WINDOW: usize = 2048;
const HOP: usize = 1024;
/// -80 dB as a ratio of powers.
const FLOOR: f64 = 1e-8;

/// Peak signal-to-noise ratio over all samples of all channels.
///
/// Units: dB of the full scale 2.0 that sound in [-1, 1] has: `10 log10(4 / mse)`.
/// `f64::INFINITY` for equal and for empty sounds.
/// Source: audio.md 1.
///
/// # Errors
/// `Shape` if the frames are not sounds of one rate, length and channel count.
pub fn psnr_db(reference: &Frame, other: &Frame) -> Result<f64> {
    let (_, noise) = energies(reference, other)?;
    Ok(ratio_db(4.0 * reference.samples.len() as f64, noise))
}

/// Signal-to-noise ratio over the whole file, all channels together.
///
/// Units: dB. `f64::INFINITY` for equal and for empty sounds, `f64::NEG_INFINITY` where the
/// reference is silent and the other is not.
/// Source: audio.md 1.
///
/// # Errors
/// `Shape` if the frames are not sounds of one rate, length and channel count.
pub fn snr_db(reference: &Frame, other: &Frame) -> Result<f64> {
    let (signal, noise) = energies(reference, other)?;
    Ok(ratio_db(signal, noise))
}

/// Log-spectral distance, measured in each channel and averaged.
///
/// Windows of 2048 samples, periodic Hann, one each 1024 samples; the last is filled up with
/// silence, so that every sample is seen and a short sound gives one window. Powers are relative
/// to the peak of a full-scale sine and at least -80 dB; the difference in dB is taken rms over
/// the 1025 bins, then the mean over windows. An empty sound gives 0.
///
/// Units: dB; 0 for equal sounds.
/// Source: audio.md 1.
///
/// # Errors
/// `Shape` if the frames are not sounds of one rate, length and channel count.
pub fn lsd_db(reference: &Frame, other: &Frame) -> Result<f64> {
    sounds(reference, other)?;
    let (steps, channels) = (reference.positions(), reference.channels);
    if steps == 0 {
        return Ok(0.0);
    }
    let hann: Vec<f64> = (0..WINDOW)
        .map(|i| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / WINDOW as f64).cos())
        .collect();
    // A sine of amplitude 1 peaks at half the sum of the window.
    let unit = (hann.iter().sum::<f64>() / 2.0).powi(2);
    let fft = FftPlanner::new().plan_fft_forward(WINDOW);
    let mut scratch = vec![Complex64::default(); fft.get_inplace_scratch_len()];
    let mut buffer = vec![Complex64::default(); WINDOW];
    let windows = steps.saturating_sub(WINDOW).div_ceil(HOP) + 1;
    let mut sum = 0.0;
    for channel in 0..channels {
        for start in (0..windows).map(|w| w * HOP) {
            for (k, value) in buffer.iter_mut().enumerate() {
                let i = (start + k) * channels + channel;
                *value = if start + k < steps {
                    hann[k] * Complex64::new(amplitude(reference, i), amplitude(other, i))
                } else {
                    Complex64::default()
                };
            }
            fft.process_with_scratch(&mut buffer, &mut scratch);
            sum += spectral_distance_db(&buffer, unit);
        }
    }
    Ok(sum / (windows * channels) as f64)
}

/// Rms difference in dB of the two real signals transformed as real and imaginary part.
fn spectral_distance_db(spectrum: &[Complex64], unit: f64) -> f64 {
    let bins = WINDOW / 2 + 1;
    let decibels = |power: f64| 10.0 * (power / unit).max(FLOOR).log10();
    let square = |k: usize| {
        // The even part of the spectrum belongs to the real signal, the odd part to the other.
        let (z, mirror) = (spectrum[k], spectrum[(WINDOW - k) % WINDOW].conj());
        let (a, b) = ((z + mirror) * 0.5, (z - mirror) * 0.5);
        (decibels(a.norm_sqr()) - decibels(b.norm_sqr())).powi(2)
    };
    ((0..bins).map(square).sum::<f64>() / bins as f64).sqrt()
}

/// Energies of the reference and of the difference.
fn energies(reference: &Frame, other: &Frame) -> Result<(f64, f64)> {
    sounds(reference, other)?;
    Ok((0..reference.samples.len()).fold((0.0, 0.0), |(signal, noise), i| {
        let (a, b) = (amplitude(reference, i), amplitude(other, i));
        (signal + a * a, noise + (a - b) * (a - b))
    }))
}

fn sounds(reference: &Frame, other: &Frame) -> Result<()> {
    if !reference.is_audio() {
        return Err(Error::shape("audio measure", "sound", "a picture"));
    }
    same_shape("audio measure", reference, other)
}

/// Sample `i` in [-1, 1].
fn amplitude(frame: &Frame, i: usize) -> f64 {
    f64::from(frame.value(i)) * 2.0
}
