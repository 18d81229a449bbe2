//! WAVE files and streams: RIFF, RIFX and RF64, every PCM width, 32- and 64-bit float.

use std::io::{Cursor, Read};

use super::{Limits, check_sound_shape, fill};
use crate::codec::Samples;
use crate::error::{Error, Result};
use crate::pipeline::warning::Warning;

/// Bytes that may stand before the samples; more is not a header but a damaged length.
const HEADER_BYTES: u64 = 64 << 20;

/// What a WAVE header says of the samples behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WavHeader {
    /// Time steps per second.
    pub rate: u32,
    /// Values per time step.
    pub channels: usize,
    /// Bytes of one stored value, its used bits being the high ones.
    pub sample_bytes: usize,
    /// Whether values are IEEE float, not integers.
    pub float: bool,
    /// Whether numbers are stored with the high byte first (RIFX).
    pub big_endian: bool,
    /// Time steps announced; `None` if the writer did not know, as on a pipe.
    pub steps: Option<u64>,
    /// What is odd in the header, one sentence each.
    pub warnings: Vec<Warning>,
    /// Bytes after the header already taken from the input to judge it.
    ahead: Vec<u8>,
}

/// The `fmt ` chunk as stored.
struct Shape {
    tag: u16,
    channels: u16,
    rate: u32,
    byte_rate: u32,
    align: u16,
    bits: u16,
}

impl WavHeader {
    /// Reads up to the first sample; never seeks, so the input may be a pipe.
    ///
    /// # Errors
    /// `Input` if it is not WAVE, has no samples chunk, or says something impossible.
    pub fn parse(input: &mut impl Read, name: &str) -> Result<Self> {
        let mut head = [0; 12];
        take(input, &mut head, name, "file header")?;
        let big_endian = head.starts_with(b"RIFX");
        let known = [b"RIFF", b"RIFX", b"RF64"].iter().any(|magic| head.starts_with(*magic));
        if !known || &head[8..] != b"WAVE" {
            let reason =
                "is not WAVE (RIFF, RIFX or RF64); give a WAV file, or name the raw format";
            return Err(Error::input(name, reason));
        }
        let int =
            |b: [u8; 4]| if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) };

        let (mut shape, mut long_size) = (None, None);
        let mut left = HEADER_BYTES;
        loop {
            let mut chunk = [0; 8];
            take(input, &mut chunk, name, "next chunk; no samples ('data' chunk) were found")?;
            let [i0, i1, i2, i3, size @ ..] = chunk;
            let size = int(size);
            match &[i0, i1, i2, i3] {
                b"data" => {
                    let shape = shape.ok_or_else(|| {
                        Error::input(
                            name,
                            "samples before their format ('fmt ' chunk); write it anew",
                        )
                    })?;
                    let bytes = if size == u32::MAX { long_size } else { Some(u64::from(size)) };
                    return Self::judge(input, name, &shape, bytes, big_endian);
                }
                b"fmt " if size >= 16 => {
                    let mut body = [0; 40];
                    let known = (size as usize).min(body.len());
                    take(input, &mut body[..known], name, "format ('fmt ' chunk)")?;
                    skip(
                        input,
                        u64::from(size) - known as u64 + u64::from(size & 1),
                        &mut left,
                        name,
                    )?;
                    shape = Some(Shape::parse(&body[..known], big_endian));
                }
                b"ds64" if size >= 16 => {
                    let mut body = [0; 16];
                    take(input, &mut body, name, "64-bit lengths ('ds64' chunk)")?;
                    skip(input, u64::from(size) - 16 + u64::from(size & 1), &mut left, name)?;
                    let [.., b0, b1, b2, b3, b4, b5, b6, b7] = body;
                    long_size = Some(u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]));
                }
                // Chunks of unknown content are bounded even when each is empty.
                _ => skip(input, u64::from(size) + u64::from(size & 1), &mut left, name)?,
            }
            left = left.saturating_sub(8);
        }
    }

    /// Turns the stored fields into a header that can be relied on.
    fn judge(
        input: &mut impl Read,
        name: &str,
        shape: &Shape,
        bytes: Option<u64>,
        big_endian: bool,
    ) -> Result<Self> {
        let channels = usize::from(shape.channels);
        check_sound_shape(name, shape.rate, channels)?;
        let mut warnings = Vec::new();
        let float = shape.check_tag(name)?;
        let sample_bytes = shape.sample_bytes(&mut warnings);
        let step_bytes = (sample_bytes * channels) as u64;

        let mut ahead = Vec::new();
        let steps = match bytes {
            // Writers that never came back to fill in the length leave 0.
            Some(0) => {
                fill(input, &mut ahead, 8).map_err(|e| Error::io(name, e))?;
                let chunk = ahead.len() < 8
                    || ahead[..4].iter().all(|b| b.is_ascii_alphanumeric() || *b == b' ');
                if chunk {
                    ahead.clear();
                }
                chunk.then_some(0)
            }
            Some(n) => Some(n / step_bytes),
            None => None,
        };
        if steps.is_none() {
            warnings.push("length not given: all that follows the header is read".into());
        }
        let rate = shape.rate;
        Ok(Self { rate, channels, sample_bytes, float, big_endian, steps, warnings, ahead })
    }
}

impl Shape {
    /// The fields of a `fmt ` chunk of at least 16 bytes.
    fn parse(body: &[u8], big_endian: bool) -> Self {
        let byte = |at: usize| body.get(at).copied().unwrap_or(0);
        let short = |at: usize| {
            let b = [byte(at), byte(at + 1)];
            if big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) }
        };
        let long = |at: usize| {
            let b = [byte(at), byte(at + 1), byte(at + 2), byte(at + 3)];
            if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) }
        };
        // An extensible header keeps the format's tag in the first half of a GUID.
        let tag = if short(0) == 0xfffe && body.len() >= 26 { short(24) } else { short(0) };
        Self {
            tag,
            channels: short(2),
            rate: long(4),
            byte_rate: long(8),
            align: short(12),
            bits: short(14),
        }
    }

    /// Whether samples are float, once tag and width are known to be readable.
    fn check_tag(&self, name: &str) -> Result<bool> {
        let refuse = |what: String| {
            let reason = format!("{what}; convert it to 16-bit PCM or 32-bit float");
            Err(Error::input(name, reason))
        };
        match (self.tag, self.bits) {
            (1, 1..=64) => Ok(false),
            (3, 32 | 64) => Ok(true),
            (1, bits) => refuse(format!("PCM of {bits} bits, needed 1 to 64")),
            (3, bits) => refuse(format!("float of {bits} bits, needed 32 or 64")),
            (2 | 17, _) => refuse("ADPCM, not PCM".to_owned()),
            (6, _) => refuse("A-law, not PCM".to_owned()),
            (7, _) => refuse("mu-law, not PCM".to_owned()),
            (0x55, _) => refuse("MP3 inside WAVE, not PCM".to_owned()),
            (tag, _) => refuse(format!("format tag {tag}, needed 1 (PCM) or 3 (float)")),
        }
    }

    /// Bytes of one stored value.
    ///
    /// Widths that are no whole byte are stored in the next one; a wider container counts
    /// only if the byte rate agrees, for a damaged alignment is more common.
    fn sample_bytes(&self, warnings: &mut Vec<Warning>) -> usize {
        let by_bits = self.bits.div_ceil(8);
        let container = self.align / self.channels;
        if self.align == by_bits.saturating_mul(self.channels) {
            return usize::from(by_bits);
        }
        let whole = self.align.is_multiple_of(self.channels) && (by_bits..=8).contains(&container);
        let agrees = u64::from(self.byte_rate) == u64::from(self.rate) * u64::from(self.align);
        if self.tag == 1 && whole && agrees {
            return usize::from(container);
        }
        warnings.push(
            format!(
                "block of {} bytes for {} channels of {} bits: read as {} bytes a value",
                self.align, self.channels, self.bits, by_bits
            )
            .into(),
        );
        usize::from(by_bits)
    }
}

/// Reads exactly `buffer`, or says what is missing.
fn take(input: &mut impl Read, buffer: &mut [u8], name: &str, what: &str) -> Result<()> {
    input.read_exact(buffer).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::input(
            name,
            format!("ends before its {what}; it is cut short or not a WAV file: fetch it again"),
        ),
        _ => Error::io(name, e),
    })
}

/// Passes over `len` bytes without storing them, within what a header may take.
fn skip(input: &mut impl Read, len: u64, left: &mut u64, name: &str) -> Result<()> {
    if len > *left {
        let what = format!("{name}: bytes before the samples");
        return Err(Error::Limit { what, limit: HEADER_BYTES, actual: HEADER_BYTES - *left + len });
    }
    *left -= len;
    std::io::copy(&mut input.take(len), &mut std::io::sink())
        .map(drop)
        .map_err(|e| Error::io(name, e))
}

/// Reads samples block by block, from a file or from a pipe of unknown length.
#[derive(Debug)]
pub struct WavReader<R> {
    input: std::io::Chain<Cursor<Vec<u8>>, R>,
    name: String,
    header: WavHeader,
    limits: Limits,
    buffer: Vec<u8>,
    steps_read: u64,
    replaced: u64,
    ended: bool,
}

impl<R: Read> WavReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// As [`WavHeader::parse`].
    pub fn new(mut input: R, name: &str, limits: &Limits) -> Result<Self> {
        let mut header = WavHeader::parse(&mut input, name)?;
        let ahead = Cursor::new(std::mem::take(&mut header.ahead));
        Ok(Self {
            input: ahead.chain(input),
            name: name.to_owned(),
            header,
            limits: *limits,
            buffer: Vec::new(),
            steps_read: 0,
            replaced: 0,
            ended: false,
        })
    }

    /// The header as read.
    pub fn header(&self) -> &WavHeader {
        &self.header
    }

    /// The next `steps` time steps, fewer at the end, `None` after it.
    ///
    /// Shape: interleaved. Units: `I16` for 16-bit PCM, else `F32` of full scale 1.
    ///
    /// # Errors
    /// `Io` if the input fails, `Limit` if the sound is longer than allowed.
    pub fn next_block(&mut self, steps: usize) -> Result<Option<Samples>> {
        if self.ended {
            return Ok(None);
        }
        let announced = self.header.steps.map_or(u64::MAX, |n| n - self.steps_read);
        let step_bytes = self.header.sample_bytes * self.header.channels;
        let wanted = announced.min(steps as u64).min((usize::MAX / step_bytes) as u64) as usize;
        let found = fill(&mut self.input, &mut self.buffer, wanted * step_bytes)
            .map_err(|e| Error::io(&self.name, e))?;
        let read = found / step_bytes;
        self.steps_read += read as u64;
        self.limits.check_sound(&self.name, self.steps_read * self.header.channels as u64)?;
        if read < wanted || wanted < steps {
            self.end(found % step_bytes);
        }
        if read == 0 {
            return Ok(None);
        }
        Ok(Some(self.convert(read * step_bytes)))
    }

    /// What was odd so far, one sentence each; complete once `next_block` gave `None`.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut all = self.header.warnings.clone();
        if self.replaced > 0 {
            all.push(
                format!(
                    "{} values were NaN or infinite: replaced by 0 or full scale",
                    self.replaced
                )
                .into(),
            );
        }
        all
    }

    /// Notes what is missing at the end.
    fn end(&mut self, odd_bytes: usize) {
        self.ended = true;
        let warnings = &mut self.header.warnings;
        if let Some(n) = self.header.steps.filter(|&n| n > self.steps_read) {
            warnings.push(Warning::missing(format!(
                "cut short: {} of {n} time steps are there",
                self.steps_read
            )));
        } else if odd_bytes > 0 {
            warnings.push(Warning::missing(format!(
                "{odd_bytes} bytes of a time step at the end left out"
            )));
        }
    }

    /// Values of the first `len` buffered bytes.
    fn convert(&mut self, len: usize) -> Samples {
        let width = self.header.sample_bytes;
        let big_endian = self.header.big_endian;
        let values = self.buffer[..len].chunks_exact(width);
        // The value's bytes in the high end of 64 bits, as a number of full scale 2^63.
        let high = |bytes: &[u8]| {
            let mut wide = [0; 8];
            if big_endian {
                wide[..width].copy_from_slice(bytes);
                u64::from_be_bytes(wide)
            } else {
                wide[8 - width..].copy_from_slice(bytes);
                u64::from_le_bytes(wide)
            }
        };
        const SCALE: f64 = 1.0 / 9_223_372_036_854_775_808.0;
        match (self.header.float, width) {
            (true, 4) => {
                let raw = values.map(|b| f32::from_bits((high(b) >> 32) as u32));
                Samples::F32(raw.map(|x| finite(x, &mut self.replaced)).collect())
            }
            (true, _) => {
                let raw = values.map(|b| f64::from_bits(high(b)) as f32);
                Samples::F32(raw.map(|x| finite(x, &mut self.replaced)).collect())
            }
            (false, 2) => Samples::I16(values.map(|b| (high(b) >> 48) as i16).collect()),
            // One byte is the only width stored without a sign.
            (false, 1) => Samples::F32(values.map(|b| (f32::from(b[0]) - 128.0) / 128.0).collect()),
            _ => Samples::F32(values.map(|b| (high(b) as i64 as f64 * SCALE) as f32).collect()),
        }
    }
}

/// The value, or what stands for it if it is no number; counts the latter.
pub(super) fn finite(x: f32, replaced: &mut u64) -> f32 {
    if x.is_finite() {
        return x;
    }
    *replaced += 1;
    if x.is_nan() { 0.0 } else { x.signum() }
}
