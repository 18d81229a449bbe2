//! `eval`: rate and distortion of a codec on a frame.

use std::sync::Arc;

use super::metrics::{audio, bands, image};
use crate::bitstream::{Packer, PacketWriter, StreamHeader};
use crate::codec::{Bundle, Frame, Layout, Quality, Samples, Stamp};
use crate::error::{Error, Result};
use crate::runtime::{Decoder, Encoder, Neural};

/// Time steps of sound in one packet, as `encode` writes them.
const BLOCK: usize = 16384;

/// What a codec spent on a frame, and what it gave back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// Bytes of the whole file: headers, packets, index.
    pub bytes: usize,
    /// Bits per pixel, or per sample value of a sound or of bands.
    pub bits: f64,
    /// Peak signal-to-noise ratio; full scale 255 for pictures, 2 for sound (audio.md section 1), the range
    /// of the samples for bands.
    pub psnr_db: f64,
    /// The second measure: MS-SSIM of pictures, signal-to-noise ratio of sounds, degrees between spectra
    /// of bands.
    pub second: f64,
    /// The third measure: log-spectral distance of sounds; 0 for pictures.
    pub third: f64,
}

/// Codes a frame into a whole file in memory and back, with the linear inverse or a neural decoder.
///
/// # Errors
/// `Shape` if the frame does not fit the bundle or has nothing to measure.
pub fn measure(
    bundle: &Arc<Bundle>,
    frame: &Frame,
    channels: usize,
    quality: Quality,
    neural: Option<&Arc<Neural>>,
) -> Result<Measure> {
    if frame.samples.is_empty() {
        return Err(Error::shape("frame to measure", "at least one sample", 0));
    }
    let mut encoder = Encoder::new(bundle.clone(), channels, quality)?;
    let mut decoder = match neural {
        Some(neural) => Decoder::with_neural(bundle.clone(), channels, neural.clone())?,
        None => Decoder::new(bundle.clone(), channels),
    };
    let packer = Packer::new(bundle);
    let header = StreamHeader::new(bundle, frame.layout, frame.channels, &Stamp::default());
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&header).len();
    let mut back = Vec::new();
    let pieces = frame.is_audio() && !bundle.is_whole();
    let blocks = if pieces { split(frame)? } else { vec![frame.clone()] };
    let last = blocks.len() - 1;
    for (index, block) in blocks.iter().enumerate() {
        let stamp = Stamp { index: index as u64, ..Stamp::default() };
        let latent = encoder.push(block, index == last)?;
        let packet = packer.pack(bundle, &latent, stamp, None)?;
        bytes += writer.packet(&packet).len();
        let unpacked = packer.unpack(bundle, &header, &packet, None, &Default::default())?;
        back.push(decoder.push(&unpacked.latent, frame.layout)?);
    }
    bytes += writer.finish().len();
    let apart = frame.is_audio() || frame.layout.is_bands();
    let values = frame.positions() * if apart { frame.channels } else { 1 };
    let bits = bytes as f64 * 8.0 / values as f64;
    if let Layout::Audio { rate } = frame.layout {
        let samples = back.into_iter().flat_map(|f| match f.samples {
            Samples::F32(v) => v,
            _ => Vec::new(),
        });
        let back = Frame::audio(rate, frame.channels, samples.collect())?;
        return Ok(Measure {
            bytes,
            bits,
            psnr_db: audio::psnr_db(frame, &back)?,
            second: audio::snr_db(frame, &back)?,
            third: audio::lsd_db(frame, &back)?,
        });
    }
    let back = &back[0];
    if frame.layout.is_bands() {
        let (psnr_db, second) = (bands::psnr_db(frame, back)?, bands::angle_degrees(frame, back)?);
        return Ok(Measure { bytes, bits, psnr_db, second, third: 0.0 });
    }
    Ok(Measure {
        bytes,
        bits,
        psnr_db: image::psnr_db(frame, back)?,
        second: image::ms_ssim(frame, back)?,
        third: 0.0,
    })
}

fn split(frame: &Frame) -> Result<Vec<Frame>> {
    let part = |from: usize, to: usize| {
        let n = frame.channels;
        let samples = match &frame.samples {
            Samples::I16(v) => Samples::I16(v[from * n..to * n].to_vec()),
            Samples::F32(v) => Samples::F32(v[from * n..to * n].to_vec()),
            _ => {
                return Err(Error::shape("sound samples", "I16 or F32", "those of pictures"));
            }
        };
        Frame::new(frame.layout, n, vec![to - from], samples)
    };
    let len = frame.extent[0];
    (0..len).step_by(BLOCK).map(|from| part(from, (from + BLOCK).min(len))).collect()
}
