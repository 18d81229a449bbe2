//! The TIFF pictures the general reader refuses: one float channel, and palettes.

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use super::{Decoded, Limits, image};
use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};

/// Reads a TIFF of one float channel or of 8-bit palette indices; `None` for any other.
pub(super) fn read(bytes: &[u8], name: &str, limits: &Limits) -> Result<Option<Decoded>> {
    let refuse = |e: tiff::TiffError| {
        let reason =
            format!("cannot be read as TIFF: {e}; it is damaged or rare: convert it to PNG");
        Error::input(name, reason)
    };
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(refuse)?;
    // IEEE float is 3; the tag's default is unsigned integers.
    let float = decoder.find_tag_unsigned::<u16>(Tag::SampleFormat).ok().flatten() == Some(3);
    let palette = match decoder.colortype() {
        Ok(ColorType::Palette(8)) => true,
        Ok(ColorType::Gray(_)) if float => false,
        _ => return Ok(None),
    };
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
            return Err(Error::input(name, "16-bit float or odd palette; convert it to 8-bit PNG"));
        }
    };
    let frame = Frame::new(layout, channels, vec![height as usize, width as usize], samples)?;
    Ok(Some(Decoded { frame, warnings }))
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
