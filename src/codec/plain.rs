//! Encoder and linear decoder straight from the paper: the truth all fast paths answer to.
//!
//! Source: Jacobellis & Yadwadkar 2024; walloc.md 1.1 to 1.5.

use std::ops::Range;

use super::bands;
use super::bundle::{Arithmetic, Bundle, Kind};
use super::fixed;
use super::frame::{Depth, Frame, FrameRef, Layout, Samples};
use super::latent::{Latent, Span};
use super::quality::Quality;
use crate::error::{Error, Result};
use crate::signal::{Ends, PacketTransform, cells, mirror};

/// Cells beyond a strip that its values depend on: 4 (2^J - 1) samples are less than 4 cells.
pub(crate) const MARGIN: usize = 4;
/// Rows of cells that are transformed at once.
const STRIP: usize = 16;

/// Cells of a frame of `extent`: `[height, width]`, or `[rows, steps]` for sound of
/// `[channels, steps]`, each row a set of `inputs` channels.
///
/// # Errors
/// `Shape` if the frame is of another kind or its channels do not fill whole rows.
pub fn grid(bundle: &Bundle, extent: &[usize]) -> Result<[usize; 2]> {
    let [first, second] = extent else {
        return Err(Error::shape("extent", "2 axes", extent.len()));
    };
    match bundle.kind {
        Kind::Image => Ok([cells(*first, bundle.cell()), cells(*second, bundle.cell())]),
        Kind::Audio => {
            let steps = cells(*second, bundle.cell());
            let padding = if steps > 0 { 2 * bundle.padding } else { 0 };
            Ok([rows(bundle, *first)?, steps + padding])
        }
    }
}

/// Rows of cells of a sound: each takes as many channels as the bundle has inputs.
pub(crate) fn rows(bundle: &Bundle, channels: usize) -> Result<usize> {
    if channels.is_multiple_of(bundle.inputs) {
        return Ok(channels / bundle.inputs);
    }
    let expected = format!("a multiple of {}", bundle.inputs);
    Err(Error::shape("sound channels", expected, channels))
}

/// Extent of a frame as latents carry it: `[height, width]`, or `[channels, steps]` for sound.
///
/// # Errors
/// `Shape` if the bundle codes the other kind, or another number of bands.
pub fn extent(bundle: &Bundle, frame: &Frame) -> Result<Vec<usize>> {
    match (bundle.kind, frame.is_audio()) {
        (Kind::Image, false) if !bands::codes(bundle, frame.layout, frame.channels) => {
            let expected = format!("{} of the codec", bundle.inputs);
            Err(Error::shape("values per pixel", expected, frame.channels))
        }
        (Kind::Image, false) => Ok(frame.extent.clone()),
        (Kind::Audio, true) => Ok(vec![frame.channels, frame.extent[0]]),
        (kind, audio) => Err(Error::shape(
            "frame kind",
            format!("{kind:?}").to_lowercase(),
            if audio { "audio" } else { "image" },
        )),
    }
}

/// Encodes a frame: the first `channels` channels at `quality`.
///
/// # Errors
/// `Shape` if the frame does not fit the bundle.
pub fn encode(bundle: &Bundle, frame: &Frame, channels: usize, quality: Quality) -> Result<Latent> {
    let extent = extent(bundle, frame)?;
    let grid = grid(bundle, &extent)?;
    let channels = channels.min(bundle.channels());
    let values = match bundle.arithmetic {
        Arithmetic::Fixed => {
            let reals = fixed::reals(bundle, frame.view(), channels);
            let cells = (reals.len() / channels.max(1)).max(1);
            let divide = |(c, y): (usize, &[i16])| {
                let divisor = fixed::Divisor::of(bundle, c, quality, 0.0);
                y.iter().map(|&y| divisor.divide(y)).collect::<Vec<_>>()
            };
            reals.chunks_exact(cells).enumerate().flat_map(divide).collect()
        }
        Arithmetic::Float => {
            let reals = reals(bundle, frame, channels)?;
            quantize(bundle, &reals, grid.iter().product(), quality, 0.0)
        }
    };
    let span = if bundle.kind == Kind::Audio { Span::WHOLE } else { Span::default() };
    let grid = grid.to_vec();
    Ok(Latent { codec: bundle.codec_id(), channels, grid, extent, span, quality, values })
}

/// Decodes the first `channels` channels of a latent with the bundle's linear inverse.
///
/// A picture is 8-bit RGB or gray, or of bands in f32 if the bundle codes other than 1 or 3 colours;
/// sound is f32 at the bundle's nominal rate.
///
/// # Errors
/// `Bundle` if the latent was made by another codec, `Shape` if its parts disagree.
pub fn decode(bundle: &Bundle, latent: &Latent, channels: usize) -> Result<Frame> {
    check(bundle, latent)?;
    let channels = channels.min(latent.channels);
    match bundle.kind {
        Kind::Image if bundle.arithmetic == Arithmetic::Fixed => {
            let gray = bundle.inputs == 1;
            let samples = fixed::decode(bundle, latent, channels, gray);
            let layout = if gray { Layout::Gray } else { Layout::Rgb };
            Frame::new(layout, bundle.inputs, latent.extent.clone(), Samples::U8(samples))
        }
        Kind::Image => {
            let planes = decode_rows(bundle, latent, 0..latent.grid[0], channels);
            let width = latent.grid[1] * bundle.cell();
            if ![1, 3].contains(&bundle.inputs) {
                let (inputs, extent) = (bundle.inputs, [latent.extent[0], latent.extent[1]]);
                let mut samples = bands::zeros(Depth::F32, extent[0] * extent[1] * inputs);
                bands::interleave(&planes, inputs, width, 0, extent, &mut samples);
                return Frame::bands(extent[0], extent[1], inputs, samples);
            }
            let samples = interleave_u8(&planes, bundle.inputs, width, &latent.extent);
            let layout = if bundle.inputs == 3 { Layout::Rgb } else { Layout::Gray };
            Frame::new(layout, bundle.inputs, latent.extent.clone(), Samples::U8(samples))
        }
        Kind::Audio => decode_sound(bundle, latent, channels),
    }
}

/// Refuses a latent that is not one of this bundle's.
///
/// # Errors
/// `Bundle` if the codec differs, `Shape` if grid, extent and values disagree.
pub fn check(bundle: &Bundle, latent: &Latent) -> Result<()> {
    if latent.codec != bundle.codec_id() {
        let reason =
            format!("latent was made by codec {}, not {}", latent.codec, bundle.codec_id());
        return Err(Error::bundle(&bundle.card.name, reason));
    }
    let expected = grid(bundle, &latent.extent)?;
    if latent.grid != expected {
        let (expected, actual) = (format!("{expected:?}"), format!("{:?}", latent.grid));
        return Err(Error::shape("latent grid", expected, actual));
    }
    if latent.channels > bundle.channels() {
        return Err(Error::shape("latent channels", bundle.channels(), latent.channels));
    }
    let expected = latent.channels * latent.cells();
    if latent.values.len() != expected {
        return Err(Error::shape("latent values", expected, latent.values.len()));
    }
    Ok(())
}

/// Reals of some rows of cells of a picture, before quantization.
///
/// Shape: `[channels, rows, width in cells]`. Rows are the same, bit for bit, whichever range they
/// are asked for in (mirrored ends; periodic ends need the whole picture).
///
/// # Panics
/// If the frame is no picture.
pub fn encode_rows(
    bundle: &Bundle,
    frame: FrameRef<'_>,
    rows: Range<usize>,
    channels: usize,
) -> Vec<f32> {
    let keep = rows.len() * cells(frame.extent[1], bundle.cell());
    let coefficients = bands_of_rows(bundle.levels, bundle.ends, bundle.inputs, frame, rows);
    let mut out = vec![0.0; channels * keep];
    bundle.analysis.apply(&coefficients, keep, &bundle.bias, &mut out);
    out
}

/// Packet bands of some rows of cells of a picture: `[inputs * bands, rows, width in cells]`.
///
/// # Panics
/// If the frame is no picture.
pub(crate) fn bands_of_rows(
    levels: u32,
    ends: Ends,
    inputs: usize,
    frame: FrameRef<'_>,
    rows: Range<usize>,
) -> Vec<f32> {
    let (cell, bands) = (1 << levels, 1 << (2 * levels));
    let grid = [cells(frame.extent[0], cell), cells(frame.extent[1], cell)];
    let around = margin(ends, &rows, grid[0]);
    let width = grid[1] * cell;
    let plan = PacketTransform::new(levels, ends);
    let (wide, skip, keep) =
        (around.len() * grid[1], (rows.start - around.start) * grid[1], rows.len() * grid[1]);
    let mut plane = vec![0.0; around.len() * cell * width];
    let mut scratch = vec![0.0; plane.len()];
    let mut coefficients = Vec::with_capacity(inputs * bands * keep);
    for input in 0..inputs {
        load(frame, input, around.start * cell, width, &mut plane);
        plan.forward_2d(&mut plane, width, &mut scratch);
        for band in plane.chunks_exact(wide.max(1)) {
            coefficients.extend_from_slice(&band[skip..skip + keep]);
        }
    }
    coefficients
}

/// Samples of some rows of cells of a picture: `[inputs, rows * cell, width * cell]`.
///
/// # Panics
/// If the latent's parts disagree; see [`check`].
pub fn decode_rows(
    bundle: &Bundle,
    latent: &Latent,
    rows: Range<usize>,
    channels: usize,
) -> Vec<f32> {
    let around = margin(bundle.ends, &rows, latent.grid[0]);
    let width = latent.grid[1];
    let wide = around.len() * width;
    let mut reals = vec![0.0; channels * wide];
    for (c, out) in reals.chunks_exact_mut(wide.max(1)).enumerate() {
        let values = &latent.channel(c)[around.start * width..around.end * width];
        bundle.quantizer.dequantize(values, bundle.steps[c], latent.quality, out);
    }
    let mut planes = vec![0.0; bundle.inner() * wide];
    bundle.synthesis.apply(&reals, wide, &bundle.offset, &mut planes);
    undo_bands(bundle, &mut planes, around, rows, width)
}

/// Samples of some rows of cells from the bands of those `around` them; what is left of the bands is
/// not defined.
///
/// Shape: `[inputs * bands, rows around, width]` to `[inputs, rows * cell, width * cell]`.
pub(crate) fn undo_bands(
    bundle: &Bundle,
    bands: &mut [f32],
    around: Range<usize>,
    rows: Range<usize>,
    width: usize,
) -> Vec<f32> {
    let cell = bundle.cell();
    let plan = PacketTransform::new(bundle.levels, bundle.ends);
    let plane = bundle.bands() * around.len() * width;
    let mut scratch = vec![0.0; plane];
    let row = width * cell;
    let (skip, keep) = ((rows.start - around.start) * cell * row, rows.len() * cell * row);
    let mut out = Vec::with_capacity(bundle.inputs * keep);
    for plane in bands.chunks_exact_mut(plane.max(1)) {
        plan.inverse_2d(plane, row, &mut scratch);
        out.extend_from_slice(&plane[skip..skip + keep]);
    }
    out
}

/// Rows of cells that some rows depend on, themselves among them.
pub(crate) fn margin(ends: Ends, rows: &Range<usize>, height: usize) -> Range<usize> {
    match ends {
        Ends::Periodic => 0..height,
        Ends::Mirror => rows.start.saturating_sub(MARGIN)..(rows.end + MARGIN).min(height),
    }
}

/// One colour of the rows from `top` on, mirrored to fill whole cells.
fn load(frame: FrameRef<'_>, input: usize, top: usize, width: usize, plane: &mut [f32]) {
    let (h, w) = (frame.extent[0], frame.extent[1]);
    let channels = frame.channels;
    // Gray feeds every input of a colour codec.
    let input = input.min(channels - 1);
    for (r, row) in plane.chunks_exact_mut(width.max(1)).enumerate() {
        let start = mirror(top + r, h) * w;
        let at = |c: usize| (start + c) * channels + input;
        let (inside, beyond) = row.split_at_mut(w);
        for (c, x) in inside.iter_mut().enumerate() {
            *x = frame.value(at(c));
        }
        for (c, x) in beyond.iter_mut().enumerate() {
            *x = frame.value(at(mirror(w + c, w)));
        }
    }
}

/// Planes of `width` columns to interleaved 8-bit samples of `extent`.
pub(crate) fn interleave_u8(
    planes: &[f32],
    inputs: usize,
    width: usize,
    extent: &[usize],
) -> Vec<u8> {
    let (h, w) = (extent[0], extent[1]);
    let plane = planes.len() / inputs;
    let mut out = vec![0; h * w * inputs];
    for (r, row) in out.chunks_exact_mut((w * inputs).max(1)).enumerate() {
        for (c, pixel) in row.chunks_exact_mut(inputs).enumerate() {
            for (i, sample) in pixel.iter_mut().enumerate() {
                let x = planes[i * plane + r * width + c];
                *sample = ((x + 0.5) * 255.0).round().clamp(0.0, 255.0) as u8;
            }
        }
    }
    out
}

/// Integers of `[channels, cells]` reals; `thrift` as [`Bundle::rounding`] takes it.
pub fn quantize(
    bundle: &Bundle,
    reals: &[f32],
    cells: usize,
    quality: Quality,
    thrift: f32,
) -> Vec<i16> {
    let mut values = vec![0; reals.len()];
    for (c, (y, q)) in reals.chunks(cells.max(1)).zip(values.chunks_mut(cells.max(1))).enumerate() {
        bundle.quantize(c, quality, thrift, y, q);
    }
    values
}

fn encode_sound(bundle: &Bundle, frame: &Frame, grid: &[usize], channels: usize) -> Vec<f32> {
    let (rows, steps) = (grid[0], grid[1]);
    let inner = cells(frame.extent[0], bundle.cell());
    let len = inner * bundle.cell();
    let plan = PacketTransform::new(bundle.levels, bundle.ends);
    let mut scratch = vec![0.0; len];
    let mut out = vec![0.0; channels * rows * steps];
    for row in 0..rows {
        // The padding of WaLLoC's convolution is zeros in the band domain: pure bias after it.
        let mut bands = vec![0.0; bundle.inputs * bundle.bands() * steps];
        for input in 0..bundle.inputs {
            let mut signal = sound(frame, row * bundle.inputs + input, len);
            plan.forward_1d(&mut signal, &mut scratch);
            for (b, band) in signal.chunks_exact(inner.max(1)).enumerate() {
                let at = (input * bundle.bands() + b) * steps + bundle.padding;
                bands[at..at + inner].copy_from_slice(band);
            }
        }
        let mut reals = vec![0.0; channels * steps];
        bundle.analysis.apply(&bands, steps, &bundle.bias, &mut reals);
        for (c, from) in reals.chunks_exact(steps.max(1)).enumerate() {
            out[(c * rows + row) * steps..][..steps].copy_from_slice(from);
        }
    }
    out
}

/// One channel of a sound, mirrored at its end to `len` samples.
fn sound(frame: &Frame, channel: usize, len: usize) -> Vec<f32> {
    (0..len).map(|t| frame.value(mirror(t, frame.extent[0]) * frame.channels + channel)).collect()
}

fn decode_sound(bundle: &Bundle, latent: &Latent, channels: usize) -> Result<Frame> {
    let (rows, steps) = (latent.grid[0], latent.grid[1]);
    let [out_channels, len] = latent.extent[..] else {
        return Err(Error::shape("extent", "2 axes", latent.extent.len()));
    };
    let inner = steps - if steps > 0 { 2 * bundle.padding } else { 0 };
    let plan = PacketTransform::new(bundle.levels, bundle.ends);
    let mut scratch = vec![0.0; inner * bundle.cell()];
    let mut samples = vec![0.0; out_channels * len];
    for row in 0..rows {
        let mut bands =
            synthesize_bands(bundle, latent, row, bundle.padding..inner + bundle.padding, channels);
        for (input, signal) in bands.chunks_exact_mut((bundle.bands() * inner).max(1)).enumerate() {
            plan.inverse_1d(signal, &mut scratch);
            let channel = row * bundle.inputs + input;
            for (t, &x) in signal[..len].iter().enumerate() {
                samples[t * out_channels + channel] = (2.0 * x).clamp(-1.0, 1.0);
            }
        }
    }
    Frame::audio(bundle.rate, out_channels, samples)
}

/// Band values of some steps of one row of a sound: `[inputs * bands, steps]`.
pub(crate) fn synthesize_bands(
    bundle: &Bundle,
    latent: &Latent,
    row: usize,
    steps: Range<usize>,
    channels: usize,
) -> Vec<f32> {
    let (rows, all) = (latent.grid[0], latent.grid[1]);
    let mut reals = vec![0.0; channels * steps.len()];
    for (c, out) in reals.chunks_exact_mut(steps.len().max(1)).enumerate() {
        let at = (c * rows + row) * all;
        let values = &latent.values[at + steps.start..at + steps.end];
        bundle.quantizer.dequantize(values, bundle.steps[c], latent.quality, out);
    }
    let mut bands = vec![0.0; bundle.inputs * bundle.bands() * steps.len()];
    bundle.synthesis.apply(&reals, steps.len(), &bundle.offset, &mut bands);
    bands
}

/// Reals of a whole frame before quantization: `[channels, cells]`.
///
/// # Errors
/// `Shape` if the frame does not fit the bundle.
pub fn reals(bundle: &Bundle, frame: &Frame, channels: usize) -> Result<Vec<f32>> {
    let grid = grid(bundle, &extent(bundle, frame)?)?;
    Ok(match bundle.kind {
        Kind::Image if bundle.arithmetic == Arithmetic::Fixed => {
            fixed::reals(bundle, frame.view(), channels).into_iter().map(f32::from).collect()
        }
        Kind::Image if bundle.ends == Ends::Mirror => {
            // A strip at a time: bands of many inputs take many times what their channels do.
            let mut out = vec![0.0; channels * grid[0] * grid[1]];
            for top in (0..grid[0]).step_by(STRIP) {
                let rows = top..(top + STRIP).min(grid[0]);
                let count = rows.len() * grid[1];
                let some = encode_rows(bundle, frame.view(), rows, channels);
                for (c, from) in some.chunks_exact(count.max(1)).enumerate() {
                    let at = (c * grid[0] + top) * grid[1];
                    out[at..at + count].copy_from_slice(from);
                }
            }
            out
        }
        Kind::Image => encode_rows(bundle, frame.view(), 0..grid[0], channels),
        Kind::Audio => encode_sound(bundle, frame, &grid, channels),
    })
}
