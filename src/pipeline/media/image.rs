//! Pictures.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageFormat,
    ImageReader,
};

use super::format::{Format, refusal, sniff};
use super::{Axes, Decoded, Limits, jpeg, read_npy, tiff};
use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};
use crate::pipeline::warning::Warning;

/// Memory a decoder may take before the number of pixels is known.
const HEADER_BYTES: u64 = 64 << 20;

/// Reads one picture: PNG, JPEG, WebP, TIFF, BMP, PNM or a NumPy array, decided by content.
///
/// Gray stays gray, 16 bits stay 16 bits, alpha is dropped, the camera's orientation is applied.
/// Shape: `[height, width]` after the orientation.
///
/// # Errors
/// `Input` if the bytes are damaged or no picture, `Limit` if it has too many pixels or bytes.
pub fn read_image(bytes: &[u8], name: &str, limits: &Limits) -> Result<Decoded> {
    let format = match sniff(bytes) {
        Some(Format::Png) => ImageFormat::Png,
        Some(Format::Jpeg) => ImageFormat::Jpeg,
        Some(Format::Webp) => ImageFormat::WebP,
        Some(Format::Tiff) => ImageFormat::Tiff,
        Some(Format::Bmp) => ImageFormat::Bmp,
        Some(Format::Pnm) => ImageFormat::Pnm,
        Some(Format::Npy) => return read_npy(bytes, name, limits, Axes::default()),
        Some(_) => return Err(Error::input(name, "is sound; a picture is needed here")),
        None => return Err(refusal(bytes, name)),
    };
    limits.check_bytes(name, bytes.len() as u64)?;

    if format == ImageFormat::Tiff
        && let Some(decoded) = tiff::read(bytes, name, limits)?
    {
        return Ok(decoded);
    }
    let mut warnings = Vec::new();
    let decoded = decode(bytes, name, format, limits).or_else(|e| {
        let fixed = (format == ImageFormat::Tiff).then(|| tiff::with_bounded_strips(bytes));
        let fixed = fixed.flatten().ok_or(e)?;
        warnings.push("a strip claims more rows than the picture has: cut to them".into());
        decode(&fixed, name, format, limits)
    });
    let (mut picture, orientation) = decoded?;
    if format == ImageFormat::Jpeg && !jpeg::is_whole(bytes) {
        warnings.push(Warning::missing("the end is missing: what the file does not hold is gray"));
    }
    if is_animated(bytes, format) {
        warnings.push("an animation: only its first picture is read".into());
    }
    picture.apply_orientation(orientation);
    if picture.color().has_alpha() {
        warnings.push("alpha channel dropped".into());
    }
    let frame = into_frame(picture, name, &mut warnings)?;
    Ok(Decoded { frame, warnings })
}

/// Decodes with the limits checked between the header and the pixels.
fn decode(
    bytes: &[u8],
    name: &str,
    format: ImageFormat,
    limits: &Limits,
) -> Result<(DynamicImage, Orientation)> {
    let damaged = |e| refuse(name, format, &e);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut bound = image::Limits::default();
    // Profiles and texts in a header may be compressed a thousandfold.
    bound.max_alloc = Some(HEADER_BYTES);
    reader.limits(bound.clone());
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    limits.check_picture(name, height.into(), width.into())?;
    // Four channels of 16 bits, and as much again for what a decoder keeps beside them.
    bound.max_alloc = Some(limits.pixels.saturating_mul(16).max(HEADER_BYTES));
    decoder.set_limits(bound).map_err(damaged)?;
    // A damaged tag must not cost the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok((picture, orientation))
}

/// Says what is wrong with a picture and what to do.
fn refuse(name: &str, format: ImageFormat, error: &ImageError) -> Error {
    let format = format!("{format:?}").to_uppercase();
    let advice = match error {
        ImageError::Unsupported(_) => "convert it to 8- or 16-bit PNG",
        ImageError::Limits(_) => "reduce it, or raise the limit on pixels",
        _ => "it is damaged or cut short: fetch it again",
    };
    Error::input(name, format!("cannot be read as {format}: {error}; {advice}"))
}

/// Whether a PNG or WebP announces more pictures than one.
fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::WebP => {
            bytes.get(12..16).is_some_and(|b| b == b"VP8X")
                && bytes.get(20).is_some_and(|flags| flags & 2 != 0)
        }
        // The control chunk stands before the first pixels.
        ImageFormat::Png => bytes.windows(4).take_while(|b| b != b"IDAT").any(|b| b == b"acTL"),
        _ => false,
    }
}

/// Moves a decoded picture into a frame without a second copy of the pixels.
fn into_frame(picture: DynamicImage, name: &str, warnings: &mut Vec<Warning>) -> Result<Frame> {
    let extent = vec![picture.height() as usize, picture.width() as usize];
    let gray = !picture.color().has_color();
    let samples = match picture {
        DynamicImage::ImageLuma8(p) => Samples::U8(p.into_raw()),
        DynamicImage::ImageLumaA8(p) => Samples::U8(drop_last(p.into_raw(), 2)),
        DynamicImage::ImageRgb8(p) => Samples::U8(p.into_raw()),
        DynamicImage::ImageRgba8(p) => Samples::U8(drop_last(p.into_raw(), 4)),
        DynamicImage::ImageLuma16(p) => Samples::U16(p.into_raw()),
        DynamicImage::ImageLumaA16(p) => Samples::U16(drop_last(p.into_raw(), 2)),
        DynamicImage::ImageRgb16(p) => Samples::U16(p.into_raw()),
        DynamicImage::ImageRgba16(p) => Samples::U16(drop_last(p.into_raw(), 4)),
        DynamicImage::ImageRgb32F(p) => Samples::F32(finite(p.into_raw(), warnings)),
        DynamicImage::ImageRgba32F(p) => Samples::F32(finite(drop_last(p.into_raw(), 4), warnings)),
        other => {
            let reason =
                format!("pixels of type {:?}; convert it to 8- or 16-bit PNG", other.color());
            return Err(Error::input(name, reason));
        }
    };
    let (layout, channels) = if gray { (Layout::Gray, 1) } else { (Layout::Rgb, 3) };
    Frame::new(layout, channels, extent, samples)
}

/// Removes the last of `channels` interleaved channels, in place.
fn drop_last<T: Copy>(mut values: Vec<T>, channels: usize) -> Vec<T> {
    let kept = channels - 1;
    let pixels = values.len() / channels;
    for pixel in 0..pixels {
        values.copy_within(pixel * channels..pixel * channels + kept, pixel * kept);
    }
    values.truncate(pixels * kept);
    values.shrink_to_fit();
    values
}

/// Replaces what is not a number, and reports values the codec will clamp.
pub(super) fn finite(mut values: Vec<f32>, warnings: &mut Vec<Warning>) -> Vec<f32> {
    let (mut replaced, mut outside) = (0_u64, 0_u64);
    for v in &mut values {
        if v.is_nan() {
            *v = 0.0;
            replaced += 1;
        } else if v.is_infinite() {
            *v = if *v > 0.0 { 1.0 } else { 0.0 };
            replaced += 1;
        } else if !(0.0..=1.0).contains(v) {
            outside += 1;
        }
    }
    if replaced > 0 {
        warnings.push(format!("{replaced} values were NaN or infinite: replaced by 0 or 1").into());
    }
    if outside > 0 {
        warnings.push(format!("{outside} values lie outside 0..1: they will be clamped").into());
    }
    values
}

/// The picture's height, width and samples as bytes, 16-bit ones in the order `wide` gives.
fn parts(frame: &Frame, wide: fn(u16) -> [u8; 2]) -> Result<(u32, u32, Vec<u8>)> {
    let &[height, width] = frame.extent.as_slice() else {
        return Err(Error::shape("frame to write as a picture", "a picture", "sound"));
    };
    let side = |n: usize| {
        u32::try_from(n).map_err(|_| Error::shape("picture side", "at most 4294967295", n))
    };
    if frame.layout.is_bands() {
        let expected = "gray or colours: choose one band or three";
        return Err(Error::shape(
            "picture to write",
            expected,
            format!("{} bands", frame.channels),
        ));
    }
    let bytes = match &frame.samples {
        Samples::U8(v) => v.clone(),
        Samples::U16(v) => v.iter().flat_map(|&x| wide(x)).collect(),
        _ => {
            return Err(Error::shape("picture samples", "U8 or U16: quantize first", "I16 or F32"));
        }
    };
    Ok((side(height)?, side(width)?, bytes))
}

/// Writes a picture as PNG.
///
/// # Errors
/// `Shape` if the frame is sound, empty, or of a sample type PNG does not have.
pub fn encode_png(frame: &Frame) -> Result<Vec<u8>> {
    let (height, width, bytes) = parts(frame, u16::to_ne_bytes)?;
    let color = match (frame.layout, &frame.samples) {
        (Layout::Gray, Samples::U8(_)) => ExtendedColorType::L8,
        (Layout::Gray, _) => ExtendedColorType::L16,
        (_, Samples::U8(_)) => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgb16,
    };
    let mut out = Vec::new();
    PngEncoder::new(&mut out)
        .write_image(&bytes, width, height, color)
        .map_err(|e| Error::shape("picture to write as PNG", "at least 1x1 pixels", e))?;
    Ok(out)
}

/// Writes a picture as binary PGM (gray) or PPM (colour), with a 16-bit maximum for `U16`.
///
/// # Errors
/// `Shape` if the frame is sound or of a sample type PNM does not have.
pub fn encode_ppm(frame: &Frame) -> Result<Vec<u8>> {
    let (height, width, bytes) = parts(frame, u16::to_be_bytes)?;
    let magic = if frame.layout == Layout::Gray { "P5" } else { "P6" };
    let top = if matches!(frame.samples, Samples::U8(_)) { 255 } else { 65535 };
    let mut out = format!("{magic}\n{width} {height}\n{top}\n").into_bytes();
    out.extend_from_slice(&bytes);
    Ok(out)
}
