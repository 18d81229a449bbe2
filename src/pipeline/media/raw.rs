//! Streams without any header: the caller says what they are.

use std::io::Read;

use serde::Deserialize;

use super::wav::finite;
use super::{Limits, check_sound_shape, fill};
use crate::codec::{Frame, Layout, Samples, yuv};
use crate::error::{Error, Result};
use crate::pipeline::warning::Warning;

/// How the pixels of raw frames are stored, by the names that ffmpeg has for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RawPixels {
    /// Red, green, blue bytes.
    #[default]
    Rgb24,
    /// One byte.
    Gray8,
    /// See [`Samples::Nv12`].
    Nv12,
    /// See [`Samples::Yuyv`].
    Yuyv422,
}

impl RawPixels {
    /// Finds a format by its name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "rgb24" => Self::Rgb24,
            "gray8" => Self::Gray8,
            "nv12" => Self::Nv12,
            "yuyv422" => Self::Yuyv422,
            _ => return None,
        })
    }

    /// Bytes of a frame.
    fn bytes(self, [height, width]: [usize; 2]) -> Option<usize> {
        match self {
            Self::Rgb24 => height.checked_mul(width)?.checked_mul(3),
            Self::Gray8 => height.checked_mul(width),
            Self::Nv12 => yuv::nv12_len([height, width]),
            Self::Yuyv422 => yuv::yuyv_len([height, width]),
        }
    }
}

/// Reads 8-bit frames of one size.
#[derive(Debug)]
pub struct RawVideo<R> {
    input: R,
    name: String,
    pixels: RawPixels,
    extent: [usize; 2],
    /// Bytes of a frame.
    bytes: usize,
    index: u64,
    lost: Option<String>,
}

impl<R: Read> RawVideo<R> {
    /// Takes what the bytes mean, and `[height, width]`.
    ///
    /// # Errors
    /// `Input` if a side is 0, `Limit` if frames are too large.
    pub fn new(
        input: R,
        pixels: RawPixels,
        extent: [usize; 2],
        name: &str,
        limits: &Limits,
    ) -> Result<Self> {
        limits.check_picture(name, extent[0] as u64, extent[1] as u64)?;
        let bytes = pixels
            .bytes(extent)
            .ok_or_else(|| Error::shape("raw frame", "fewer than 2^64 bytes", "more"))?;
        Ok(Self { input, name: name.to_owned(), pixels, extent, bytes, index: 0, lost: None })
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// `Io` if the input fails.
    pub fn next_frame(&mut self) -> Result<Option<Frame>> {
        let wanted = self.bytes;
        let mut bytes = Vec::new();
        let found =
            fill(&mut self.input, &mut bytes, wanted).map_err(|e| Error::io(&self.name, e))?;
        if found < wanted {
            if found > 0 {
                self.lost = Some(format!(
                    "frame {} is cut short ({found} of {wanted} bytes) and left out",
                    self.index
                ));
            }
            return Ok(None);
        }
        self.index += 1;
        let (layout, channels, samples) = match self.pixels {
            RawPixels::Rgb24 => (Layout::Rgb, 3, Samples::U8(bytes)),
            RawPixels::Gray8 => (Layout::Gray, 1, Samples::U8(bytes)),
            RawPixels::Nv12 => (Layout::Rgb, 3, Samples::Nv12(bytes)),
            RawPixels::Yuyv422 => (Layout::Rgb, 3, Samples::Yuyv(bytes)),
        };
        Frame::new(layout, channels, self.extent.to_vec(), samples).map(Some)
    }

    /// What was left out at the end of the stream, if anything.
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }
}

/// How raw sound is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RawDepth {
    /// 16-bit integers, low byte first.
    S16le,
    /// 32-bit IEEE float, low byte first.
    F32le,
}

/// Reads interleaved sound.
#[derive(Debug)]
pub struct RawAudio<R> {
    input: R,
    name: String,
    depth: RawDepth,
    rate: u32,
    channels: usize,
    buffer: Vec<u8>,
    replaced: u64,
    odd_bytes: usize,
}

impl<R: Read> RawAudio<R> {
    /// Takes what the bytes mean.
    ///
    /// # Errors
    /// `Input` if rate or channels are out of range.
    pub fn new(input: R, depth: RawDepth, rate: u32, channels: usize, name: &str) -> Result<Self> {
        check_sound_shape(name, rate, channels)?;
        let name = name.to_owned();
        Ok(Self {
            input,
            name,
            depth,
            rate,
            channels,
            buffer: Vec::new(),
            replaced: 0,
            odd_bytes: 0,
        })
    }

    /// The next `steps` time steps, fewer at the end, `None` after it.
    ///
    /// # Errors
    /// `Io` if the input fails.
    pub fn next_block(&mut self, steps: usize) -> Result<Option<Frame>> {
        let width = if self.depth == RawDepth::S16le { 2 } else { 4 };
        let step_bytes = width * self.channels;
        let wanted = steps.saturating_mul(step_bytes);
        let found = fill(&mut self.input, &mut self.buffer, wanted)
            .map_err(|e| Error::io(&self.name, e))?;
        let read = found / step_bytes;
        self.odd_bytes += found % step_bytes;
        if read == 0 {
            return Ok(None);
        }
        let values = &self.buffer[..read * step_bytes];
        let samples = match self.depth {
            RawDepth::S16le => {
                Samples::I16(values.as_chunks().0.iter().map(|&b| i16::from_le_bytes(b)).collect())
            }
            RawDepth::F32le => {
                let raw = values.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b));
                Samples::F32(raw.map(|x| finite(x, &mut self.replaced)).collect())
            }
        };
        Frame::new(Layout::Audio { rate: self.rate }, self.channels, vec![read], samples).map(Some)
    }

    /// What was replaced or left out so far, one sentence each.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut all = Vec::new();
        if self.replaced > 0 {
            all.push(format!("{} values were NaN or infinite: replaced", self.replaced).into());
        }
        if self.odd_bytes > 0 {
            all.push(Warning::missing(format!(
                "{} bytes of a time step at the end left out",
                self.odd_bytes
            )));
        }
        all
    }
}
