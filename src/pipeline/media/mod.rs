//! Readers and writers of pictures, sound and simple video streams.
//!
//! The format is decided by content, never by a file's name; every size is checked
//! against [`Limits`] before memory is taken for it.

mod audio;
mod format;
mod image;
mod jpeg;
mod npy;
mod raw;
mod resample;
mod tiff;
mod tiff_bands;
mod view;
mod wav;
mod wav_write;
mod y4m;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub use self::audio::{read_audio, read_wav};
pub(crate) use self::format::refusal;
pub use self::format::{Format, Kind, sniff};
pub use self::image::{encode_png, encode_ppm, read_image};
pub use self::npy::{encode_npy, read_npy};
pub use self::raw::{RawAudio, RawDepth, RawPixels, RawVideo};
pub use self::resample::{Resampling, resample};
pub use self::tiff_bands::encode_tiff;
pub use self::view::{select_bands, some_bands, view};
pub use self::wav::{WavHeader, WavReader};
pub(crate) use self::wav_write::put_samples;
pub use self::wav_write::{WavDepth, WavWriter, encode_wav};
pub use self::y4m::{Chroma, Y4mHeader, Y4mReader};

use crate::codec::Frame;
use crate::error::{Error, Result};
use crate::pipeline::warning::Warning;

/// Highest sample rate accepted; above it a rate is a damaged header, not a microphone.
///
/// Units: time steps per second.
pub const RATE_LIMIT: u32 = 3_072_000;

/// Frames per second accepted; beyond, times would not fit what holds them.
pub const FPS: std::ops::RangeInclusive<f64> = 1e-3..=1e6;

/// Most channels of sound accepted.
pub const CHANNELS_LIMIT: usize = 64;

/// Largest sizes a reader accepts from a file or stream it does not trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pixels of one picture.
    pub pixels: u64,
    /// Values of one sound: time steps times channels.
    pub samples: u64,
    /// Values of one picture of bands: pixels times bands.
    pub values: u64,
    /// Bytes of one file as stored.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pixels: 100_000_000, samples: 1 << 31, values: 1 << 30, bytes: 1 << 32 }
    }
}

impl Limits {
    /// Checks a picture's height and width before its pixels are allocated.
    ///
    /// # Errors
    /// `Input` if a side is 0, `Limit` if there are too many pixels.
    pub fn check_picture(&self, name: &str, height: u64, width: u64) -> Result<()> {
        if height == 0 || width == 0 {
            return Err(Error::input(
                name,
                format!("claims {width}x{height} pixels, at least 1x1 is needed; write it anew"),
            ));
        }
        let actual = height.saturating_mul(width);
        if actual > self.pixels {
            let what = format!("{name}: {width}x{height} picture, number of pixels");
            return Err(Error::Limit { what, limit: self.pixels, actual });
        }
        Ok(())
    }

    /// Checks the size of a picture of bands, `[height, width, bands]`, before it is allocated.
    ///
    /// # Errors
    /// `Input` if a side is 0, `Limit` if there are too many pixels or values.
    pub fn check_bands(&self, name: &str, [height, width, bands]: [u64; 3]) -> Result<()> {
        self.check_picture(name, height, width)?;
        let actual = height.saturating_mul(width).saturating_mul(bands);
        if actual > self.values {
            let what = format!(
                "{name}: {width}x{height} picture of {bands} bands, number of values (cut it into parts)"
            );
            return Err(Error::Limit { what, limit: self.values, actual });
        }
        Ok(())
    }

    /// Checks the number of values of a sound.
    ///
    /// # Errors
    /// `Limit` if there are too many.
    pub fn check_sound(&self, name: &str, values: u64) -> Result<()> {
        if values > self.samples {
            let what = format!("{name}: number of sound values (steps x channels)");
            return Err(Error::Limit { what, limit: self.samples, actual: values });
        }
        Ok(())
    }

    /// Checks the stored size of a file.
    ///
    /// # Errors
    /// `Limit` if it is too large.
    pub fn check_bytes(&self, name: &str, actual: u64) -> Result<()> {
        if actual > self.bytes {
            let what = format!("{name}: file size in bytes");
            return Err(Error::Limit { what, limit: self.bytes, actual });
        }
        Ok(())
    }
}

/// Checks a sample rate and a channel count found in a header or given by a caller.
pub(crate) fn check_sound_shape(name: &str, rate: u32, channels: usize) -> Result<()> {
    if rate == 0 || rate > RATE_LIMIT {
        let reason = format!(
            "sample rate {rate} Hz, needed 1 to {RATE_LIMIT}; write the file anew with its real rate"
        );
        return Err(Error::input(name, reason));
    }
    if channels == 0 || channels > CHANNELS_LIMIT {
        let reason = format!(
            "{channels} channels, needed 1 to {CHANNELS_LIMIT}; write the file anew with a number in that range"
        );
        return Err(Error::input(name, reason));
    }
    Ok(())
}

/// What a reader made of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The picture or sound.
    pub frame: Frame,
    /// What was dropped, replaced or missing, one sentence each; empty for a sound file.
    pub warnings: Vec<Warning>,
}

/// Where the bands of a NumPy array stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Axes {
    /// `[height, width, bands]`.
    #[default]
    BandsLast,
    /// `[bands, height, width]`.
    BandsFirst,
}

impl Axes {
    /// Bands first if that is so.
    pub fn bands_first(first: bool) -> Self {
        if first { Self::BandsFirst } else { Self::BandsLast }
    }
}

/// Reads a picture or a sound from a file, by its content.
///
/// # Errors
/// `Io` if the file cannot be read, `Input` if it is damaged or of no known format,
/// `Limit` if it is too large.
pub fn read(path: &Path, limits: &Limits) -> Result<Decoded> {
    read_with(path, limits, Axes::default())
}

/// As [`read`]; `axes` says where the bands of a NumPy array stand.
///
/// # Errors
/// As [`read`].
pub fn read_with(path: &Path, limits: &Limits, axes: Axes) -> Result<Decoded> {
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let size = file.metadata().map_err(|e| Error::io(path, e))?;
    if size.is_dir() {
        return Err(Error::input(name, "is a folder; name the files in it"));
    }
    limits.check_bytes(&name, size.len())?;

    let mut bytes = Vec::new();
    let head = format::SNIFF_BYTES as u64;
    file.by_ref().take(head).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    let found = sniff(&bytes).ok_or_else(|| format::refusal(&bytes, &name))?;
    if found == Format::Wav {
        // Read in blocks: the bytes of a long recording need not stand in memory as well.
        let start = std::io::Cursor::new(bytes);
        return read_wav(start.chain(BufReader::new(file)), &name, limits);
    }
    // A file may grow, or be a pipe that claims no size: the limit holds while reading too.
    let rest = limits.bytes.saturating_sub(bytes.len() as u64).saturating_add(1);
    file.take(rest).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    limits.check_bytes(&name, bytes.len() as u64)?;
    read_bytes_with(&bytes, &name, limits, axes)
}

/// Reads a picture or a sound that stands in memory.
///
/// # Errors
/// `Input` if it is damaged or of no known format, `Limit` if it is too large.
pub fn read_bytes(bytes: &[u8], name: &str, limits: &Limits) -> Result<Decoded> {
    read_bytes_with(bytes, name, limits, Axes::default())
}

/// As [`read_bytes`]; `axes` says where the bands of a NumPy array stand.
///
/// # Errors
/// As [`read_bytes`].
pub fn read_bytes_with(bytes: &[u8], name: &str, limits: &Limits, axes: Axes) -> Result<Decoded> {
    let format = sniff(bytes).ok_or_else(|| format::refusal(bytes, name))?;
    match format.kind() {
        _ if format == Format::Npy => read_npy(bytes, name, limits, axes),
        Kind::Image => read_image(bytes, name, limits),
        Kind::Audio => read_audio(bytes, name, limits),
    }
}

/// Reads at most `len` bytes into `buffer`, which grows only as bytes arrive.
pub(crate) fn fill(
    input: &mut impl Read,
    buffer: &mut Vec<u8>,
    len: usize,
) -> std::io::Result<usize> {
    buffer.clear();
    input.take(len as u64).read_to_end(buffer)
}
