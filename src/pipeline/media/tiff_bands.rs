//! TIFF pictures of bands: read in strips, tiles and planes, written as one strip.
//!
//! Source: TIFF 6.0, sections 7 and 8.

use std::io::Cursor;

use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use super::npy::{finite, put_values};
use super::tiff::with_colours;
use super::{Decoded, Limits};
use crate::codec::{BANDS, Depth, Frame, Samples, bands};
use crate::error::{Error, Result};

/// Most that any compression of TIFF makes of one byte.
const RATIO: u64 = 4096;
/// Numbers of the photometric tag.
const GRAY: u16 = 1;
const RGB: u16 = 2;

/// Reads a TIFF of bands: samples beside gray that are no alpha, or beside red, green and blue; `None`
/// for any other.
pub(super) fn read(bytes: &[u8], name: &str, limits: &Limits) -> Result<Option<Decoded>> {
    // What is wrong with others is for their reader to say.
    let Some(looks) = look(bytes) else { return Ok(None) };
    if !looks.is_bands() {
        return Ok(None);
    }
    let refuse = |e: tiff::TiffError| {
        let reason = format!(
            "cannot be read as TIFF of bands: {e}; it is damaged or rare: save it as a NumPy array"
        );
        Error::input(name, reason)
    };
    if looks.samples > BANDS {
        let reason = format!("has {} bands, limit {BANDS}; save fewer", looks.samples);
        return Err(Error::input(name, reason));
    }
    let copy = match looks.colours {
        // The decoder drops what stands beside colours, but not what stands beside gray.
        RGB => Some(with_colours(bytes, RGB, GRAY).ok_or_else(|| {
            let reason = "is a BigTIFF of colours and more; write it with the photometric \
                          interpretation `minisblack`, or as a NumPy array";
            Error::input(name, reason)
        })?),
        _ => None,
    };
    let mut decoder =
        Decoder::new(Cursor::new(copy.as_deref().unwrap_or(bytes))).map_err(refuse)?;
    let (width, height) = decoder.dimensions().map_err(refuse)?;
    let count = looks.samples;
    limits.check_bands(name, [height.into(), width.into(), count as u64])?;
    if decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten().is_some_and(|o| o > 1) {
        let reason = "turned by its orientation tag, which is not read of bands; save it unturned";
        return Err(Error::input(name, reason));
    }
    let Ok(ColorType::Multiband { bit_depth, .. }) = decoder.colortype() else { return Ok(None) };
    let depth = depth(bit_depth, looks.format).ok_or_else(|| {
        let reason = format!(
            "has samples of {bit_depth} bits in format {}, needed 8 or 16 bits, or floats of 32; \
             convert it",
            looks.format
        );
        Error::input(name, reason)
    })?;
    let values = height as usize * width as usize * count;
    let claimed = (values * depth.bytes()) as u64;
    let held = bytes.len() as u64 * if looks.compressed { RATIO } else { 1 };
    if claimed > held {
        let reason = format!(
            "claims {claimed} bytes of samples, and its {} bytes cannot hold more than {held}; it is \
             damaged or cut short: fetch it again",
            bytes.len()
        );
        return Err(Error::input(name, reason));
    }
    let mut bound = tiff::decoder::Limits::default();
    bound.decoding_buffer_size = usize::try_from(claimed).unwrap_or(usize::MAX).max(1 << 16);
    bound.intermediate_buffer_size = bytes.len().max(1 << 16);
    let mut decoder = decoder.with_limits(bound);
    let mut samples = bands::zeros(depth, values);
    let planar = looks.planar && count > 1;
    let (wide, high) = decoder.chunk_dimensions();
    if wide == 0 || high == 0 {
        return Err(Error::input(name, "has strips without rows; save it anew"));
    }
    let (across, down) = (width.div_ceil(wide), height.div_ceil(high));
    for plane in 0..if planar { count as u32 } else { 1 } {
        for (row, column) in (0..down).flat_map(|r| (0..across).map(move |c| (r, c))) {
            let chunk = (plane * down + row) * across + column;
            let part = decoder.read_chunk(chunk).map_err(refuse)?;
            // Tiles of planes behind the first come with the rows that fill them.
            let (columns, rows) = decoder.chunk_data_dimensions(chunk);
            let size = [high.min(height - row * high), wide.min(width - column * wide)];
            let place = Place {
                first: [(row * high) as usize, (column * wide) as usize],
                size: size.map(|n| n as usize),
                held: [rows as usize, columns as usize],
                width: width as usize,
                bands: count,
                plane: planar.then_some(plane as usize),
            };
            put(&place, &part, &mut samples).ok_or_else(|| {
                Error::input(name, "has strips of other types than its tags say; save it anew")
            })?;
        }
    }
    let mut warnings = Vec::new();
    if let Samples::F32(v) = samples {
        samples = finite(v, &mut warnings);
    }
    let frame = Frame::bands(height as usize, width as usize, count, samples)?;
    Ok(Some(Decoded { frame, warnings }))
}

/// What the tags say.
struct Looks {
    samples: usize,
    colours: u16,
    /// What the first sample beside the colours is: 1 and 2 are alpha.
    extra: Option<u16>,
    /// 1 whole numbers, 2 with a sign, 3 floats.
    format: u16,
    compressed: bool,
    planar: bool,
}

impl Looks {
    fn is_bands(&self) -> bool {
        let alpha = matches!(self.extra, Some(1 | 2));
        match self.colours {
            GRAY => self.samples > if alpha { 2 } else { 1 },
            RGB => self.samples > 4 || (self.samples == 4 && self.extra == Some(0)),
            _ => false,
        }
    }
}

fn look(bytes: &[u8]) -> Option<Looks> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?;
    let mut number = |tag| decoder.find_tag_unsigned_vec::<u16>(tag).ok().flatten();
    let first = |v: Option<Vec<u16>>, or: u16| v.and_then(|v| v.first().copied()).unwrap_or(or);
    Some(Looks {
        samples: first(number(Tag::SamplesPerPixel), 1).into(),
        colours: first(number(Tag::PhotometricInterpretation), 0),
        extra: number(Tag::ExtraSamples).and_then(|v| v.first().copied()),
        format: first(number(Tag::SampleFormat), 1),
        compressed: first(number(Tag::Compression), 1) != 1,
        planar: first(number(Tag::PlanarConfiguration), 1) == 2,
    })
}

fn depth(bits: u8, format: u16) -> Option<Depth> {
    match (bits, format) {
        (8, 1) => Some(Depth::U8),
        (16, 1) => Some(Depth::U16),
        (16, 2) => Some(Depth::I16),
        (32, 3) => Some(Depth::F32),
        _ => None,
    }
}

/// Where a strip or tile belongs.
struct Place {
    first: [usize; 2],
    size: [usize; 2],
    /// Rows and columns that there are, those that fill it among them.
    held: [usize; 2],
    width: usize,
    bands: usize,
    /// The band that it holds; all of them if `None`.
    plane: Option<usize>,
}

/// Puts a strip or tile in its place; `None` if it is not what it should be.
fn put(place: &Place, part: &DecodingResult, to: &mut Samples) -> Option<()> {
    match (part, to) {
        (DecodingResult::U8(from), Samples::U8(to)) => copy(place, from, to),
        (DecodingResult::U16(from), Samples::U16(to)) => copy(place, from, to),
        (DecodingResult::I16(from), Samples::I16(to)) => copy(place, from, to),
        (DecodingResult::F32(from), Samples::F32(to)) => copy(place, from, to),
        _ => None,
    }
}

fn copy<T: Copy>(place: &Place, from: &[T], to: &mut [T]) -> Option<()> {
    let ([top, left], [high, wide], bands) = (place.first, place.size, place.bands);
    let per_pixel = if place.plane.is_some() { 1 } else { bands };
    let [rows, columns] = place.held;
    if from.len() != rows * columns * per_pixel || rows < high || columns < wide {
        return None;
    }
    let lines = from.chunks_exact((columns * per_pixel).max(1)).map(|l| &l[..wide * per_pixel]);
    for (r, line) in lines.take(high).enumerate() {
        let start = ((top + r) * place.width + left) * bands;
        let row = to.get_mut(start..start + wide * bands)?;
        match place.plane {
            None => row.copy_from_slice(line),
            Some(band) => {
                row[band..].iter_mut().step_by(bands).zip(line).for_each(|(to, &x)| *to = x)
            }
        }
    }
    Some(())
}

/// Writes a picture of bands as TIFF: those of a pixel side by side, without compression.
///
/// # Errors
/// `Shape` if the frame is none, `Limit` if it takes more than the 4 GiB that a TIFF can address.
pub fn encode_tiff(frame: &Frame) -> Result<Vec<u8>> {
    let (&[height, width], Some(depth), true) =
        (&frame.extent[..], frame.samples.depth(), frame.layout.is_bands())
    else {
        return Err(Error::shape("frame to write as TIFF", "of bands", "another"));
    };
    let (bands, data) = (frame.channels, frame.samples.len() * depth.bytes());
    // Tags and the numbers of each band, of which there are few.
    let limit = u64::from(u32::MAX) - (1 << 16);
    if data as u64 > limit || height == 0 || width == 0 {
        let what = "picture as TIFF, in bytes (a NumPy array may be larger),".into();
        return Err(Error::Limit { what, limit, actual: data as u64 });
    }
    let format = match depth {
        Depth::U8 | Depth::U16 => 1,
        Depth::I16 => 2,
        Depth::F32 => 3,
    };
    let mut out = b"II*\0".to_vec();
    let numbers = 8 + data.next_multiple_of(2);
    let short = |tag: u16, value: u16| (tag, 3u16, vec![value]);
    let extra = vec![0; bands - 1];
    let lists = [
        (258, 3, vec![8 * depth.bytes() as u16; bands]),
        short(259, 1),
        short(262, GRAY),
        short(277, bands as u16),
        short(284, 1),
        (338, 3, extra),
        (339, 3, vec![format; bands]),
    ];
    let longs = [
        (256, width as u32),
        (257, height as u32),
        (273, 8),
        (278, height as u32),
        (279, data as u32),
    ];
    let mut beside: Vec<u8> = Vec::new();
    let mut entries: Vec<(u16, u16, u32, [u8; 4])> =
        longs.iter().map(|&(tag, value)| (tag, 4, 1, value.to_le_bytes())).collect();
    for (tag, kind, list) in lists.into_iter().filter(|l| !l.2.is_empty()) {
        let bytes: Vec<u8> = list.iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut value = ((numbers + beside.len()) as u32).to_le_bytes();
        if bytes.len() <= 4 {
            value = [0; 4];
            value[..bytes.len()].copy_from_slice(&bytes);
        } else {
            beside.extend(bytes);
        }
        entries.push((tag, kind, list.len() as u32, value));
    }
    entries.sort_unstable_by_key(|e| e.0);
    out.extend_from_slice(&((numbers + beside.len()) as u32).to_le_bytes());
    out.reserve(data + beside.len() + 256);
    put_values(&frame.samples, &mut out);
    out.resize(numbers, 0);
    out.extend(beside);
    out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&value);
    }
    out.extend_from_slice(&[0; 4]);
    Ok(out)
}
