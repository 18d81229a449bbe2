//! NumPy arrays as pictures of bands, and back.
//!
//! Source: NumPy's `numpy.lib.format`, versions 1.0 to 3.0.

use super::{Axes, Decoded, Limits};
use crate::codec::{BANDS, Depth, Frame, Samples};
use crate::error::{Error, Result};
use crate::pipeline::warning::Warning;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest head read, in bytes; NumPy itself reads 10000.
const HEAD: usize = 10_000;
/// What heads are padded to a multiple of.
const ALIGN: usize = 64;

/// Reads an array of `[height, width]` or `[height, width, bands]`, or with the bands first.
///
/// # Errors
/// `Input` if it is damaged or of another kind, `Limit` if it is too large.
pub fn read_npy(bytes: &[u8], name: &str, limits: &Limits, axes: Axes) -> Result<Decoded> {
    limits.check_bytes(name, bytes.len() as u64)?;
    let wrong = |reason: String| Error::input(name, reason);
    let (head, data) = split(bytes).map_err(wrong)?;
    let head = Head::parse(head).map_err(|e| {
        wrong(format!("the head of the array {e}; write it anew with `numpy.save`"))
    })?;
    if head.fortran {
        let reason =
            "is in Fortran order; write it as `numpy.save(path, numpy.ascontiguousarray(a))`";
        return Err(wrong(reason.into()));
    }
    let Some(kind) = Kind::named(&head.descr) else {
        let reason = format!(
            "holds values of type {:?}, needed u1, u2, i2 or f4; convert it, as in \
             `a.astype(numpy.float32)`",
            head.descr
        );
        return Err(wrong(reason));
    };
    let mut warnings: Vec<Warning> = Vec::new();
    let (place, [height, width, bands]) = shape(&head.shape, axes, &mut warnings).map_err(wrong)?;
    limits.check_bands(name, [height, width, bands])?;
    // Bounded by the limit on values, so nothing here can overflow.
    let count = (height * width * bands) as usize;
    let needed = count * kind.depth.bytes();
    if data.len() != needed {
        let reason = format!(
            "holds {} bytes of values, its shape {:?} needs {needed}; it is damaged or cut short: \
             fetch or save it again",
            data.len(),
            head.shape
        );
        return Err(wrong(reason));
    }
    let pixels = (height * width) as usize;
    let order = Order { place, pixels, bands: bands as usize };
    let samples = match (kind.depth, kind.big) {
        (Depth::U8, _) => Samples::U8(order.values(data, |[b]: [u8; 1]| b)),
        (Depth::U16, false) => Samples::U16(order.values(data, u16::from_le_bytes)),
        (Depth::U16, true) => Samples::U16(order.values(data, u16::from_be_bytes)),
        (Depth::I16, false) => Samples::I16(order.values(data, i16::from_le_bytes)),
        (Depth::I16, true) => Samples::I16(order.values(data, i16::from_be_bytes)),
        (Depth::F32, false) => finite(order.values(data, f32::from_le_bytes), &mut warnings),
        (Depth::F32, true) => finite(order.values(data, f32::from_be_bytes), &mut warnings),
    };
    let frame = Frame::bands(height as usize, width as usize, bands as usize, samples)?;
    Ok(Decoded { frame, warnings })
}

/// Writes a picture of bands as an array of `[height, width, bands]`, low bytes first.
///
/// # Errors
/// `Shape` if the frame is none.
pub fn encode_npy(frame: &Frame) -> Result<Vec<u8>> {
    let (&[height, width], true) = (&frame.extent[..], frame.layout.is_bands()) else {
        return Err(Error::shape("frame to write as an array", "of bands", "another"));
    };
    let descr = match frame.samples.depth() {
        Some(Depth::U8) => "|u1",
        Some(Depth::I16) => "<i2",
        Some(Depth::F32) => "<f4",
        _ => "<u2",
    };
    let bands = frame.channels;
    let words = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({height}, {width}, {bands}), }}"
    );
    let whole = (MAGIC.len() + 4 + words.len() + 1).next_multiple_of(ALIGN);
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&((whole - MAGIC.len() - 4) as u16).to_le_bytes());
    out.extend_from_slice(words.as_bytes());
    out.resize(whole - 1, b' ');
    out.push(b'\n');
    put_values(&frame.samples, &mut out);
    Ok(out)
}

/// Appends samples as they are, low bytes first.
pub(super) fn put_values(samples: &Samples, out: &mut Vec<u8>) {
    match samples {
        Samples::U8(v) | Samples::Nv12(v) | Samples::Yuyv(v) => out.extend_from_slice(v),
        Samples::U16(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Samples::I16(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Samples::F32(v) => out.extend(v.iter().flat_map(|x| x.to_le_bytes())),
    }
}

/// Replaces what is not a number, and says how much of it there was.
pub(super) fn finite(mut values: Vec<f32>, warnings: &mut Vec<Warning>) -> Samples {
    let mut replaced = 0u64;
    for v in values.iter_mut().filter(|v| !v.is_finite()) {
        *v = 0.0;
        replaced += 1;
    }
    if replaced > 0 {
        warnings.push(format!("{replaced} values were NaN or infinite: replaced by 0").into());
    }
    Samples::F32(values)
}

/// The head in words, and the values behind it.
fn split(bytes: &[u8]) -> std::result::Result<(&str, &[u8]), String> {
    let cut = || "the head of the array is cut short; fetch it again".to_string();
    let rest = bytes.strip_prefix(MAGIC).ok_or("is no NumPy array")?;
    let (&version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (len, rest) = match version {
        [1, 0] => rest
            .split_first_chunk()
            .map(|(&l, rest)| (usize::from(u16::from_le_bytes(l)), rest))
            .ok_or_else(cut)?,
        [2 | 3, 0] => rest
            .split_first_chunk()
            .map(|(&l, rest)| (u32::from_le_bytes(l) as usize, rest))
            .ok_or_else(cut)?,
        [major, minor] => {
            return Err(format!(
                "is an array of format {major}.{minor}, read are 1.0, 2.0 and 3.0; write it anew \
                 with `numpy.save`"
            ));
        }
    };
    if len > HEAD {
        return Err(format!(
            "the head of the array claims {len} bytes, limit {HEAD}; write it anew with `numpy.save`"
        ));
    }
    let (head, data) = rest.split_at_checked(len).ok_or_else(cut)?;
    let head = std::str::from_utf8(head)
        .map_err(|_| "the head of the array is no text; write it anew with `numpy.save`")?;
    Ok((head, data))
}

/// A type of values, and which byte comes first.
struct Kind {
    depth: Depth,
    big: bool,
}

impl Kind {
    fn named(descr: &str) -> Option<Self> {
        let (order, kind) = descr.split_at_checked(1)?;
        let depth = match kind {
            "u1" => Depth::U8,
            "u2" => Depth::U16,
            "i2" => Depth::I16,
            "f4" => Depth::F32,
            _ => return None,
        };
        let big = match order {
            "<" => false,
            ">" => true,
            "|" if depth == Depth::U8 => false,
            _ => return None,
        };
        Some(Self { depth, big })
    }
}

/// Where bands stand in the array.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    First,
    Last,
}

/// Height, width and bands of an array of this shape.
fn shape(
    shape: &[u64],
    axes: Axes,
    warnings: &mut Vec<Warning>,
) -> std::result::Result<(Place, [u64; 3]), String> {
    let most = BANDS as u64;
    let (place, [height, width, bands]) = match (shape, axes) {
        (&[h, w], _) => (Place::Last, [h, w, 1]),
        (&[b, h, w], Axes::BandsFirst) => (Place::First, [h, w, b]),
        // More than any picture has, so they are columns.
        (&[b, h, w], Axes::BandsLast) if w > most && b <= most => {
            let text = format!(
                "its shape {shape:?} was read as [bands, height, width]: the last axis has more than \
                 {most}"
            );
            warnings.push(text.into());
            (Place::First, [h, w, b])
        }
        (&[h, w, b], Axes::BandsLast) => {
            if h < w.min(b) {
                let text = format!(
                    "its shape {shape:?} was read as [height, width, bands]; if the bands come \
                     first, say --bands-first"
                );
                warnings.push(text.into());
            }
            (Place::Last, [h, w, b])
        }
        _ => {
            return Err(format!(
                "is an array of {} axes {shape:?}, needed 2 or 3; save each picture as an array of \
                 [height, width, bands]",
                shape.len()
            ));
        }
    };
    if bands == 0 || bands > most {
        return Err(format!(
            "has {bands} bands in its shape {shape:?}, needed 1 to {most}; save fewer, or say \
             --bands-first if they come first"
        ));
    }
    Ok((place, [height, width, bands]))
}

/// From the order of the file to bands of a pixel side by side.
struct Order {
    place: Place,
    pixels: usize,
    bands: usize,
}

impl Order {
    fn values<T: Copy + Default, const N: usize>(
        &self,
        data: &[u8],
        value: impl Fn([u8; N]) -> T,
    ) -> Vec<T> {
        let values = data.as_chunks::<N>().0;
        if self.place == Place::Last {
            return values.iter().map(|&b| value(b)).collect();
        }
        let mut out = vec![T::default(); values.len()];
        for (band, plane) in values.chunks_exact(self.pixels.max(1)).enumerate() {
            let to = out[band..].iter_mut().step_by(self.bands);
            to.zip(plane).for_each(|(to, &b)| *to = value(b));
        }
        out
    }
}

/// What the head says: a dictionary of three entries, each once, in any order.
struct Head {
    descr: String,
    fortran: bool,
    shape: Vec<u64>,
}

impl Head {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut words = Words(text);
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        words.eat('{')?;
        while !words.next_is('}') {
            let key = words.string()?;
            words.eat(':')?;
            let again = match key {
                "descr" => descr.replace(words.string()?.to_owned()).is_some(),
                "fortran_order" => fortran.replace(words.truth()?).is_some(),
                "shape" => shape.replace(words.numbers()?).is_some(),
                _ => return Err(format!("has an entry {key:?}")),
            };
            if again {
                return Err(format!("has the entry {key:?} twice"));
            }
            if !words.next_is('}') {
                words.eat(',')?;
            }
        }
        words.eat('}')?;
        if !words.rest().is_empty() {
            return Err(format!("goes on with {:?}", words.rest()));
        }
        let missing = |what: &str| format!("has no entry {what:?}");
        Ok(Self {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran: fortran.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }
}

/// What is left of a head.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn rest(&self) -> &'a str {
        self.0.trim_start_matches([' ', '\n', '\t'])
    }

    fn next_is(&self, c: char) -> bool {
        self.rest().starts_with(c)
    }

    fn eat(&mut self, c: char) -> std::result::Result<(), String> {
        let rest = self.rest();
        self.0 = rest.strip_prefix(c).ok_or_else(|| {
            let found: String = rest.chars().take(12).collect();
            format!("has {found:?} where {c:?} is needed")
        })?;
        Ok(())
    }

    fn string(&mut self) -> std::result::Result<&'a str, String> {
        let quote = if self.next_is('"') { '"' } else { '\'' };
        self.eat(quote)?;
        let (text, rest) = self.0.split_once(quote).ok_or("has a text without an end")?;
        self.0 = rest;
        Ok(text)
    }

    fn truth(&mut self) -> std::result::Result<bool, String> {
        for (word, truth) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest().strip_prefix(word) {
                self.0 = rest;
                return Ok(truth);
            }
        }
        Err("has neither True nor False where one is needed".into())
    }

    /// A tuple; of one number it has a comma behind it.
    fn numbers(&mut self) -> std::result::Result<Vec<u64>, String> {
        self.eat('(')?;
        let mut out = Vec::new();
        while !self.next_is(')') {
            let rest = self.rest();
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest[..digits].parse().map_err(|_| {
                let found: String = rest.chars().take(24).collect();
                format!("has a shape with {found:?} where a number below 2^64 is needed")
            })?;
            out.push(number);
            self.0 = &rest[digits..];
            if !self.next_is(')') {
                self.eat(',')?;
            }
        }
        self.eat(')')?;
        Ok(out)
    }
}
