//! Some bands of many: a picture to look at, or the bands themselves.

use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};

/// Share of the values that lie below black, and above white.
const TAIL: f64 = 0.02;

/// One band as gray, or three as red, green and blue, 8 bits each.
///
/// Every band is stretched for itself: what 2 % of its values lie below becomes 0, what 98 % lie below
/// becomes 255. Both are returned, for each band, in the units of its samples.
///
/// # Errors
/// `Shape` if the frame has no such band, or other than one or three are asked for.
pub fn view(frame: &Frame, bands: &[usize]) -> Result<(Frame, Vec<[f32; 2]>)> {
    check(frame, bands)?;
    let layout = match bands.len() {
        1 => Layout::Gray,
        3 => Layout::Rgb,
        n => return Err(Error::shape("bands of a picture to look at", "1 or 3", n)),
    };
    let mut out = vec![0; frame.positions() * bands.len()];
    let mut ends = Vec::new();
    for (k, &band) in bands.iter().enumerate() {
        let values = plane(frame, band);
        let [low, high] = tails(&values);
        let scale = 255.0 / (high - low).max(f32::MIN_POSITIVE);
        for (to, x) in out[k..].iter_mut().step_by(bands.len()).zip(&values) {
            *to = ((x - low) * scale).round() as u8;
        }
        ends.push([low, high]);
    }
    let frame = Frame::new(layout, bands.len(), frame.extent.clone(), Samples::U8(out))?;
    Ok((frame, ends))
}

/// Three bands spread over all, the last first as red is longest; the only one if there are fewer.
pub fn some_bands(count: usize) -> Vec<usize> {
    if count < 3 { vec![0] } else { vec![count * 3 / 4, count / 2, count / 4] }
}

/// These bands only, as they are.
///
/// # Errors
/// `Shape` if the frame has no such band.
pub fn select_bands(frame: &Frame, bands: &[usize]) -> Result<Frame> {
    check(frame, bands)?;
    fn some<T: Copy>(v: &[T], channels: usize, bands: &[usize]) -> Vec<T> {
        v.chunks_exact(channels).flat_map(|pixel| bands.iter().map(|&b| pixel[b])).collect()
    }
    let n = frame.channels;
    let samples = match &frame.samples {
        Samples::U8(v) | Samples::Nv12(v) | Samples::Yuyv(v) => Samples::U8(some(v, n, bands)),
        Samples::U16(v) => Samples::U16(some(v, n, bands)),
        Samples::I16(v) => Samples::I16(some(v, n, bands)),
        Samples::F32(v) => Samples::F32(some(v, n, bands)),
    };
    Frame::new(frame.layout, bands.len(), frame.extent.clone(), samples)
}

fn check(frame: &Frame, bands: &[usize]) -> Result<()> {
    if !frame.layout.is_bands() {
        return Err(Error::shape("frame to take bands of", "of bands", "another"));
    }
    match bands.iter().find(|&&b| b >= frame.channels) {
        Some(bad) => Err(Error::shape("band", format!("0 to {}", frame.channels - 1), bad)),
        None => Ok(()),
    }
}

/// One band, in the units of its samples.
fn plane(frame: &Frame, band: usize) -> Vec<f32> {
    fn every<T: Copy>(v: &[T], band: usize, n: usize, real: impl Fn(T) -> f32) -> Vec<f32> {
        v[band.min(v.len())..].iter().step_by(n).map(|&x| real(x)).collect()
    }
    let n = frame.channels;
    match &frame.samples {
        Samples::U8(v) | Samples::Nv12(v) | Samples::Yuyv(v) => every(v, band, n, f32::from),
        Samples::U16(v) => every(v, band, n, f32::from),
        Samples::I16(v) => every(v, band, n, f32::from),
        Samples::F32(v) => every(v, band, n, |x| if x.is_finite() { x } else { 0.0 }),
    }
}

/// The values that 2 % and 98 % lie below.
fn tails(values: &[f32]) -> [f32; 2] {
    let mut sorted = values.to_vec();
    let Some(last) = sorted.len().checked_sub(1) else { return [0.0, 1.0] };
    let mut at = |share: f64| {
        let place = (share * last as f64).round() as usize;
        *sorted.select_nth_unstable_by(place, f32::total_cmp).1
    };
    [at(TAIL), at(1.0 - TAIL)]
}
