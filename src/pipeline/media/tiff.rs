//! The TIFF pictures the general reader refuses: one float channel, palettes, and bands.

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use super::{Decoded, Limits, image, tiff_bands};
use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};

/// Numbers of the tag of colours.
const GRAY: u16 = 1;
const PALETTE: u16 = 3;

/// Reads a TIFF of one float channel, of 8-bit palette indices, or of bands; `None` for any other.
pub(super) fn read(bytes: &[u8], name: &str, limits: &Limits) -> Result<Option<Decoded>> {
    if let Some(decoded) = tiff_bands::read(bytes, name, limits)? {
        return Ok(Some(decoded));
    }
    let refuse = |e: tiff::TiffError| {
        let reason =
            format!("cannot be read as TIFF: {e}; it is damaged or rare: convert it to PNG");
        Error::input(name, reason)
    };
    // The decoder has no word for palettes but reads gray ones alike.
    let indices = with_colours(bytes, PALETTE, GRAY);
    let palette = indices.is_some();
    let bytes = indices.as_deref().unwrap_or(bytes);
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(refuse)?;
    // IEEE float is 3; the tag's default is unsigned integers.
    let float = decoder.find_tag_unsigned::<u16>(Tag::SampleFormat).ok().flatten() == Some(3);
    match decoder.colortype() {
        Ok(ColorType::Gray(8)) if palette => {}
        Ok(ColorType::Gray(_)) if float && !palette => {}
        Ok(_) if palette => {
            return Err(Error::input(name, "a palette of other than 8 bits; convert it to PNG"));
        }
        _ => return Ok(None),
    }
    let (width, height) = decoder.dimensions().map_err(refuse)?;
    limits.check_picture(name, height.into(), width.into())?;
    if decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten().is_some_and(|o| o > 1) {
        let reason = "turned by its orientation tag, which is read only for integer samples; \
                      convert it to PNG";
        return Err(Error::input(name, reason));
    }
    let colors =
        if palette { Some(decoder.get_tag_u16_vec(Tag::ColorMap).map_err(refuse)?) } else { None };
    let mut bound = tiff::decoder::Limits::default();
    let bytes_limit = limits.pixels.saturating_mul(8);
    bound.decoding_buffer_size = usize::try_from(bytes_limit).unwrap_or(usize::MAX);
    bound.intermediate_buffer_size = bound.decoding_buffer_size;
    let mut decoder = decoder.with_limits(bound);

    let mut warnings = Vec::new();
    let (layout, channels, samples) = match (decoder.read_image().map_err(refuse)?, colors) {
        (DecodingResult::U8(v), Some(map)) => (Layout::Rgb, 3, paint(&v, &map, name)?),
        (DecodingResult::F32(v), None) => {
            (Layout::Gray, 1, Samples::F32(image::finite(v, &mut warnings)))
        }
        (DecodingResult::F64(v), None) => {
            let v = v.into_iter().map(|x| x as f32).collect();
            (Layout::Gray, 1, Samples::F32(image::finite(v, &mut warnings)))
        }
        _ => {
            return Err(Error::input(name, "float of 16 bits, needed 32 or 64; convert it to PNG"));
        }
    };
    let frame = Frame::new(layout, channels, vec![height as usize, width as usize], samples)?;
    Ok(Some(Decoded { frame, warnings }))
}

/// A copy of a TIFF whose tag of colours says `new`; `None` if that of its first picture does not say
/// `old`, or if it is a BigTIFF.
pub(super) fn with_colours(bytes: &[u8], old: u16, new: u16) -> Option<Vec<u8>> {
    const COLORS: u16 = 262;
    let big_endian = bytes.starts_with(b"MM\0*");
    if !big_endian && !bytes.starts_with(b"II*\0") {
        return None;
    }
    let short = |at: usize| {
        let b: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    };
    let b: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    let at = if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) } as usize;
    let entry = (0..usize::from(short(at)?))
        .map(|i| at + 2 + 12 * i)
        .take_while(|&at| at < bytes.len())
        .find(|&at| short(at) == Some(COLORS))?;
    if short(entry + 8)? != old {
        return None;
    }
    let mut copy = bytes.to_vec();
    let new = if big_endian { new.to_be_bytes() } else { new.to_le_bytes() };
    copy.get_mut(entry + 8..entry + 10)?.copy_from_slice(&new);
    Some(copy)
}

/// Looks each index up in a colour map of 256 reds, greens and blues.
fn paint(indices: &[u8], map: &[u16], name: &str) -> Result<Samples> {
    if map.len() != 768 {
        let reason = format!("palette of {} values, needed 768; convert it to PNG", map.len());
        return Err(Error::input(name, reason));
    }
    // The map is 16 bits wide; what an 8-bit picture was made with is its high byte.
    let color = |i: u8, plane: usize| (map[plane * 256 + usize::from(i)] >> 8) as u8;
    Ok(Samples::U8(indices.iter().flat_map(|&i| [color(i, 0), color(i, 1), color(i, 2)]).collect()))
}

/// A copy of a JPEG-in-TIFF in which no inner JPEG claims more rows than its strip has; `None` if
/// none does. The strip's rows are the word of the TIFF, and readers cut what goes beyond.
pub(super) fn with_bounded_strips(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?;
    let (_, height) = decoder.dimensions().ok()?;
    let offsets = decoder.find_tag_unsigned_vec::<u64>(Tag::StripOffsets).ok()??;
    let lengths = decoder.find_tag_unsigned_vec::<u64>(Tag::StripByteCounts).ok()??;
    let per_strip = decoder.find_tag_unsigned::<u32>(Tag::RowsPerStrip).ok()?.unwrap_or(height);
    let per_strip = per_strip.clamp(1, height.max(1));
    let strips = height.div_ceil(per_strip).max(1);
    let mut fixed = bytes.to_vec();
    let mut changed = false;
    for (i, (&offset, &length)) in offsets.iter().zip(&lengths).enumerate() {
        // Planes of their own repeat the rows.
        let top = (i % strips as usize) as u32 * per_strip;
        let rows = per_strip.min(height - top);
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        let strip = fixed.get_mut(start..end)?;
        // The frame header: marker FF C0 to C2, length, precision, rows.
        let frame = strip.windows(7).position(|w| w[0] == 0xFF && (0xC0..=0xC2).contains(&w[1]));
        let Some(at) = frame else { continue };
        let claimed = u16::from_be_bytes([strip[at + 5], strip[at + 6]]);
        if u32::from(claimed) > rows {
            strip[at + 5..at + 7].copy_from_slice(&(rows as u16).to_be_bytes());
            changed = true;
        }
    }
    changed.then_some(fixed)
}
