//! Pictures of bands: which bundles code them, and their samples from planes.

use super::bundle::{Arithmetic, Bundle, Kind};
use super::frame::{Depth, Layout, Samples};

/// Whether a bundle codes pictures of this layout whole. Gray feeds every input of a colour codec.
pub(crate) fn codes(bundle: &Bundle, layout: Layout, channels: usize) -> bool {
    let picture = bundle.kind == Kind::Image;
    match layout {
        Layout::Audio { .. } => !picture,
        Layout::Bands { .. } => {
            picture && bundle.arithmetic == Arithmetic::Float && bundle.inputs == channels
        }
        Layout::Gray | Layout::Rgb => {
            picture && (bundle.inputs == channels || [1, 3].contains(&bundle.inputs))
        }
    }
}

/// Samples of 0 for so many values.
pub(crate) fn zeros(depth: Depth, len: usize) -> Samples {
    match depth {
        Depth::U8 => Samples::U8(vec![0; len]),
        Depth::U16 => Samples::U16(vec![0; len]),
        Depth::I16 => Samples::I16(vec![0; len]),
        Depth::F32 => Samples::F32(vec![0.0; len]),
    }
}

/// Planes of `width` columns to interleaved samples from row `top` on, `[lines, columns]` of them.
///
/// Shape: `planes` is `[inputs, rows, width]`; `to` holds a picture of `columns` and `inputs`.
pub(crate) fn interleave(
    planes: &[f32],
    inputs: usize,
    width: usize,
    top: usize,
    [lines, columns]: [usize; 2],
    to: &mut Samples,
) {
    let from = Planes { planes, inputs, width, columns };
    let range = top * columns * inputs..(top + lines) * columns * inputs;
    // A cast of what is out of range gives the end of the range.
    match to {
        Samples::U8(v) => from.put(&mut v[range], |x| ((x + 0.5) * 255.0).round() as u8),
        Samples::U16(v) => from.put(&mut v[range], |x| ((x + 0.5) * 65535.0).round() as u16),
        Samples::I16(v) => from.put(&mut v[range], |x| ((x + 0.5) * 65535.0).round() as i16),
        Samples::F32(v) => from.put(&mut v[range], |x| x + 0.5),
        Samples::Nv12(_) | Samples::Yuyv(_) => {}
    }
}

struct Planes<'a> {
    planes: &'a [f32],
    inputs: usize,
    width: usize,
    columns: usize,
}

impl Planes<'_> {
    fn put<T>(&self, to: &mut [T], sample: impl Fn(f32) -> T) {
        let plane = self.planes.len() / self.inputs;
        for (r, row) in to.chunks_exact_mut((self.columns * self.inputs).max(1)).enumerate() {
            let from = &self.planes[r * self.width..];
            for (c, pixel) in row.chunks_exact_mut(self.inputs).enumerate() {
                for (to, x) in pixel.iter_mut().zip(from[c..].iter().step_by(plane)) {
                    *to = sample(*x);
                }
            }
        }
    }
}
