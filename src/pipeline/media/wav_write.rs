//! WAVE files and streams, written.

use std::io::{Cursor, Seek, SeekFrom, Write};

use super::check_sound_shape;
use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WavDepth {
    /// 16-bit PCM; what is louder than full scale is clipped.
    I16,
    /// 32-bit IEEE float.
    F32,
}

impl WavDepth {
    /// Bytes of one value.
    fn bytes(self) -> usize {
        match self {
            Self::I16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Writes sound frame by frame; a pipe will do, for the lengths are patched only where one can seek.
#[derive(Debug)]
pub struct WavWriter<W> {
    output: W,
    rate: u32,
    channels: usize,
    depth: WavDepth,
    bytes: u64,
    buffer: Vec<u8>,
}

impl<W: Write> WavWriter<W> {
    /// Writes a header whose lengths say "unknown".
    ///
    /// # Errors
    /// `Input` if rate or channels are out of range, `Io` if the output fails.
    pub fn new(mut output: W, rate: u32, channels: usize, depth: WavDepth) -> Result<Self> {
        check_sound_shape("WAV to write", rate, channels)?;
        let width = depth.bytes();
        let tag: u16 = if depth == WavDepth::F32 { 3 } else { 1 };
        let align = (channels * width) as u16;
        // Channels and rate are bounded above, but their product may pass 32 bits.
        let byte_rate = u32::try_from(u64::from(rate) * u64::from(align)).unwrap_or(u32::MAX);
        let mut head = Vec::with_capacity(44);
        head.extend_from_slice(b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0");
        head.extend_from_slice(&tag.to_le_bytes());
        head.extend_from_slice(&(channels as u16).to_le_bytes());
        head.extend_from_slice(&rate.to_le_bytes());
        head.extend_from_slice(&byte_rate.to_le_bytes());
        head.extend_from_slice(&align.to_le_bytes());
        head.extend_from_slice(&(8 * width as u16).to_le_bytes());
        head.extend_from_slice(b"data\xff\xff\xff\xff");
        output.write_all(&head).map_err(failed)?;
        Ok(Self { output, rate, channels, depth, bytes: 0, buffer: Vec::new() })
    }

    /// Appends a frame of the same rate and channels.
    ///
    /// # Errors
    /// `Shape` if the frame is not such sound, `Io` if the output fails.
    pub fn write(&mut self, frame: &Frame) -> Result<()> {
        let layout = Layout::Audio { rate: self.rate };
        if frame.layout != layout || frame.channels != self.channels {
            return Err(Error::shape(
                "frame to write as WAV",
                format!("{layout:?}, {} channels", self.channels),
                format!("{:?}, {} channels", frame.layout, frame.channels),
            ));
        }
        self.buffer.clear();
        put_samples(frame, self.depth, &mut self.buffer)?;
        self.output.write_all(&self.buffer).map_err(failed)?;
        self.bytes += self.buffer.len() as u64;
        Ok(())
    }

    /// Ends a stream that cannot seek; its lengths keep saying "unknown".
    ///
    /// # Errors
    /// `Io` if the output fails.
    pub fn finish_pipe(mut self) -> Result<W> {
        self.output.flush().map_err(failed)?;
        Ok(self.output)
    }
}

/// Appends the interleaved samples of a sound, low byte first.
///
/// # Errors
/// `Shape` if they are of a type that is not sound's.
pub fn put_samples(frame: &Frame, depth: WavDepth, out: &mut Vec<u8>) -> Result<()> {
    match (&frame.samples, depth) {
        (Samples::I16(v), WavDepth::I16) => {
            out.extend(v.iter().flat_map(|x| x.to_le_bytes()));
        }
        (Samples::F32(v), WavDepth::I16) => {
            // The cast saturates, and makes 0 of NaN.
            out.extend(v.iter().flat_map(|x| ((x * 32768.0).round() as i16).to_le_bytes()));
        }
        (Samples::I16(v), WavDepth::F32) => {
            out.extend(v.iter().flat_map(|&x| (f32::from(x) / 32768.0).to_le_bytes()));
        }
        (Samples::F32(v), WavDepth::F32) => {
            out.extend(v.iter().flat_map(|x| x.to_le_bytes()));
        }
        _ => return Err(Error::shape("sound samples", "I16 or F32", "U8 or U16")),
    }
    Ok(())
}

impl<W: Write + Seek> WavWriter<W> {
    /// Ends a file and fills in its lengths; beyond 4 GiB they keep saying "unknown".
    ///
    /// # Errors
    /// `Io` if the output fails.
    pub fn finish(mut self) -> Result<W> {
        if let Ok(bytes) = u32::try_from(self.bytes + 36) {
            let patches = [(4, bytes), (40, bytes - 36)];
            for (at, length) in patches {
                self.output.seek(SeekFrom::Start(at)).map_err(failed)?;
                self.output.write_all(&length.to_le_bytes()).map_err(failed)?;
            }
            self.output.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        self.finish_pipe()
    }
}

/// A sound as the bytes of a WAV file.
///
/// # Errors
/// `Shape` if the frame is a picture, `Input` if its rate or channels are out of range.
pub fn encode_wav(frame: &Frame, depth: WavDepth) -> Result<Vec<u8>> {
    let Layout::Audio { rate } = frame.layout else {
        return Err(Error::shape("frame to write as WAV", "sound", "a picture"));
    };
    let mut writer = WavWriter::new(Cursor::new(Vec::new()), rate, frame.channels, depth)?;
    writer.write(frame)?;
    Ok(writer.finish()?.into_inner())
}

/// The writer does not know its output's name; the caller does.
fn failed(source: std::io::Error) -> Error {
    Error::io("WAV output", source)
}
