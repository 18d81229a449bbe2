//! Latents to frames, with the linear inverse or a neural decoder: pictures strip by strip, sounds
//! packet by packet.

use std::ops::Range;
use std::sync::Arc;

use super::cpu::{FixedDecoder, Simd};
use super::neural::Neural;
use super::neural_bands::{NeuralBands, round};
use super::whole;
use crate::codec::{
    Arithmetic, Bundle, Depth, Frame, Kind, Latent, Layout, Quality, Samples, Span, bands, plain,
};
use crate::error::{Error, Result};
use crate::signal::{Ends, Synthesis};

/// Rows of cells that are transformed back at once.
const STRIP: usize = 16;
/// Values of a strip at most, if it is more than one row of cells.
const VALUES: usize = 1 << 24;
/// Silence that gaps are filled with, all gaps together, in values of all channels: five minutes of
/// stereo at 44.1 kHz. What is beyond is left out, or a few bytes could ask for any amount of memory.
const FILL: u64 = 1 << 25;

/// Decodes the latents of one stream.
#[derive(Debug)]
pub struct Decoder {
    bundle: Arc<Bundle>,
    channels: usize,
    simd: Simd,
    neural: Option<NeuralBands>,
    fixed: Option<FixedDecoder>,
    /// Bands of a strip that a neural decoder made.
    strip: Vec<i16>,
    sound: Option<Sound>,
    fill: u64,
    filled: u64,
    left_out: u64,
}

#[derive(Debug)]
struct Sound {
    layout: Layout,
    syntheses: Vec<Synthesis>,
    /// Next cell expected.
    position: u64,
    /// Samples that the cells so far stand for.
    wanted: u64,
    /// Samples given out.
    emitted: u64,
}

impl Decoder {
    /// A decoder that reads the first `channels` channels of each latent, with the linear inverse.
    pub fn new(bundle: Arc<Bundle>, channels: usize) -> Self {
        let simd = Simd::best();
        Self {
            bundle,
            channels,
            simd,
            neural: None,
            fixed: None,
            strip: Vec::new(),
            sound: None,
            fill: FILL,
            filled: 0,
            left_out: 0,
        }
    }

    /// The same with a neural decoder.
    ///
    /// # Errors
    /// `Bundle` if the decoder is for another codec.
    pub fn with_neural(bundle: Arc<Bundle>, channels: usize, neural: Arc<Neural>) -> Result<Self> {
        let neural = Some(NeuralBands::new(&bundle, neural)?);
        Ok(Self { neural, ..Self::new(bundle, channels) })
    }

    /// The neural decoder, if there is one.
    pub fn neural(&self) -> Option<&Neural> {
        self.neural.as_ref().map(NeuralBands::neural)
    }

    /// Chooses the instruction set of fixed-point pictures; the widest at first. Samples do not
    /// depend on it, and one that the machine lacks becomes [`Simd::Portable`].
    pub fn set_simd(&mut self, simd: Simd) {
        self.simd = simd;
        self.fixed = None;
    }

    /// Values of silence that gaps may still be filled with.
    pub fn fill(&self) -> u64 {
        self.fill
    }

    /// Sets what [`Self::fill`] says, for decoders that share one allowance.
    pub fn set_fill(&mut self, values: u64) {
        self.fill = values;
    }

    /// Whether a sound has begun and not ended.
    pub fn is_open(&self) -> bool {
        self.sound.is_some()
    }

    /// Time steps of sound that were missing and became silence.
    pub fn filled(&self) -> u64 {
        self.filled
    }

    /// Time steps of sound that were missing and were too many to become silence.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Decodes a picture, or the next stretch of a sound.
    ///
    /// `layout` is the stream's: it tells gray from colour, and the sample rate. A sound comes a
    /// few cells behind its latents; where cells are missing before `latent`, silence of exactly
    /// their length comes instead, unless there are more than [`Self::left_out`] will say.
    ///
    /// # Errors
    /// `Bundle` or `Shape` if the latent is not one of the bundle's, `Bitstream` if it goes back
    /// in time; `Bundle` or `Limit` if a neural decoder fails on it.
    pub fn push(&mut self, latent: &Latent, layout: Layout) -> Result<Frame> {
        let (extent, samples) = (Vec::new(), Samples::U8(Vec::new()));
        let mut frame = Frame { layout, channels: 0, extent, samples };
        self.push_into(latent, layout, &mut frame)?;
        Ok(frame)
    }

    /// [`Self::push`] into a frame that was used before: where it held a picture of the same size,
    /// and in fixed point, nothing is allocated.
    ///
    /// # Errors
    /// Those of [`Self::push`]; what the frame holds then is not defined.
    pub fn push_into(&mut self, latent: &Latent, layout: Layout, frame: &mut Frame) -> Result<()> {
        plain::check(&self.bundle, latent)?;
        match self.bundle.kind {
            Kind::Image => self.picture(latent, layout, frame)?,
            Kind::Audio if self.bundle.is_whole() => {
                let (channels, neural) = (self.channels.min(latent.channels), self.neural());
                *frame = whole::decode(&self.bundle, latent, layout, channels, neural)?;
            }
            Kind::Audio => *frame = self.chunk(latent, layout)?,
        }
        Ok(())
    }

    /// Ends a sound whose last latent never came, and returns what is left of it.
    pub fn finish(&mut self) -> Result<Option<Frame>> {
        let Some(mut sound) = self.sound.take() else { return Ok(None) };
        let rest = sound.syntheses.iter_mut().map(Synthesis::finish).collect();
        sound.emit(rest).map(Some)
    }

    fn picture(&mut self, latent: &Latent, layout: Layout, frame: &mut Frame) -> Result<()> {
        let b = &self.bundle;
        let channels = self.channels.min(latent.channels);
        if let Layout::Bands { depth } = layout {
            *frame = self.bands(latent, channels, depth)?;
            return Ok(());
        }
        if !bands::codes(b, Layout::Rgb, 3) {
            return Err(Error::shape("layout of the codec's pictures", "Bands", "Gray or Rgb"));
        }
        let gray = layout == Layout::Gray || b.inputs == 1;
        let (layout, inputs) = if gray { (Layout::Gray, 1) } else { (Layout::Rgb, b.inputs) };
        let mut extent = std::mem::take(&mut frame.extent);
        extent.clone_from(&latent.extent);
        let len = extent[0] * extent[1] * inputs;
        let mut samples = match std::mem::replace(&mut frame.samples, Samples::U8(Vec::new())) {
            Samples::U8(samples) if samples.len() == len => samples,
            // Pages that the system has just cleared are not cleared once more.
            _ => vec![0; len],
        };
        match (b.arithmetic, &mut self.neural) {
            _ if samples.is_empty() => {}
            (Arithmetic::Float, None) => self.float(latent, channels, gray, &mut samples),
            (Arithmetic::Float, Some(_)) => {
                self.neural_float(latent, channels, gray, &mut samples)?;
            }
            (Arithmetic::Fixed, _) => self.fixed(latent, channels, gray, &mut samples)?,
        }
        *frame = Frame::new(layout, inputs, extent, Samples::U8(samples))?;
        Ok(())
    }

    /// A picture of bands, with the linear inverse.
    fn bands(&self, latent: &Latent, channels: usize, depth: Depth) -> Result<Frame> {
        let b = &self.bundle;
        if !bands::codes(b, Layout::Bands { depth }, b.inputs) || self.neural.is_some() {
            let expected = "a codec of bands, with its linear decoder";
            return Err(Error::shape("decoder of bands", expected, "another"));
        }
        let extent = [latent.extent[0], latent.extent[1]];
        let mut samples = bands::zeros(depth, extent[0] * extent[1] * b.inputs);
        let strip = match b.ends {
            Ends::Periodic => latent.grid[0].max(1),
            Ends::Mirror => (VALUES / (b.inner() * latent.grid[1]).max(1)).clamp(1, STRIP),
        };
        for top in (0..latent.grid[0]).step_by(strip) {
            let rows = top..(top + strip).min(latent.grid[0]);
            let first = rows.start * b.cell();
            let lines = (rows.end * b.cell()).min(extent[0]) - first;
            let planes = plain::decode_rows(b, latent, rows, channels);
            let (width, size) = (latent.grid[1] * b.cell(), [lines, extent[1]]);
            bands::interleave(&planes, b.inputs, width, first, size, &mut samples);
        }
        Frame::bands(extent[0], extent[1], b.inputs, samples)
    }

    fn fixed(
        &mut self,
        latent: &Latent,
        channels: usize,
        gray: bool,
        samples: &mut [u8],
    ) -> Result<()> {
        let b = &self.bundle;
        // A latent with fewer channels is rare, and costs a new plan.
        let fixed = match self.fixed.take() {
            Some(fixed) if fixed.channels() == channels => fixed,
            _ => FixedDecoder::new(b, channels, self.simd),
        };
        let fixed = self.fixed.insert(fixed);
        let Some(neural) = &mut self.neural else {
            fixed.decode(b, latent, gray, samples);
            return Ok(());
        };
        let (grid, extent) =
            ([latent.grid[0], latent.grid[1]], [latent.extent[0], latent.extent[1]]);
        let strip = &mut self.strip;
        for (read, keep) in neural.rows(latent, 0, FixedDecoder::ROWS)?.tiles() {
            let high = keep.len();
            strip.resize(b.inner() * high * grid[1], 0);
            neural.each(
                b,
                latent,
                channels,
                (read, keep.clone()),
                |band, row, column, values| {
                    let at = (band * high + row - keep.start) * grid[1] + column;
                    round(values, &mut strip[at..][..values.len()]);
                },
            )?;
            fixed.push_bands(strip, keep, grid, extent, gray, samples);
        }
        Ok(())
    }

    fn float(&self, latent: &Latent, channels: usize, gray: bool, samples: &mut [u8]) {
        let b = &self.bundle;
        let strip = if b.ends == Ends::Periodic { latent.grid[0].max(1) } else { STRIP };
        let mut rest = samples;
        for top in (0..latent.grid[0]).step_by(strip) {
            let rows = top..(top + strip).min(latent.grid[0]);
            let planes = plain::decode_rows(b, latent, rows.clone(), channels);
            rest = put(b, latent, &planes, rows, gray, rest);
        }
    }

    fn neural_float(
        &mut self,
        latent: &Latent,
        channels: usize,
        gray: bool,
        samples: &mut [u8],
    ) -> Result<()> {
        let (b, Some(neural)) = (&self.bundle, &mut self.neural) else { return Ok(()) };
        let (high, wide) = (latent.grid[0], latent.grid[1]);
        let tiles = neural.rows(latent, plain::MARGIN, 1)?;
        let mut planes = Vec::new();
        if b.ends == Ends::Periodic {
            // The first samples need the last bands: there are no strips.
            planes.resize(b.inner() * high * wide, 0.0);
            for (read, keep) in tiles.tiles() {
                neural.each(b, latent, channels, (read, keep), |band, row, column, values| {
                    let at = (band * high + row) * wide + column;
                    planes[at..at + values.len()].copy_from_slice(values);
                })?;
            }
            let planes = plain::undo_bands(b, &mut planes, 0..high, 0..high, wide);
            put(b, latent, &planes, 0..high, gray, samples);
            return Ok(());
        }
        let mut rest = samples;
        for (read, keep) in tiles.tiles() {
            let around = plain::margin(b.ends, &keep, high);
            planes.resize(b.inner() * around.len() * wide, 0.0);
            let both = (read, around.clone());
            neural.each(b, latent, channels, both, |band, row, column, values| {
                let at = (band * around.len() + row - around.start) * wide + column;
                planes[at..at + values.len()].copy_from_slice(values);
            })?;
            let planes = plain::undo_bands(b, &mut planes, around, keep.clone(), wide);
            rest = put(b, latent, &planes, keep, gray, rest);
        }
        Ok(())
    }

    fn chunk(&mut self, latent: &Latent, layout: Layout) -> Result<Frame> {
        let b = Arc::clone(&self.bundle);
        let channels = self.channels.min(latent.channels);
        let (total, span) = (latent.extent[0], latent.span);
        // Before there is a sound: one that nothing fits into would refuse all that follows.
        if total == 0 || !matches!(layout, Layout::Audio { .. }) {
            let actual = format!("{total} channels of {layout:?}");
            return Err(Error::shape("sound to decode", "a channel of sound at least", actual));
        }
        let fresh = |position: u64| Sound {
            layout,
            syntheses: vec![Synthesis::new(b.levels); total],
            position,
            wanted: position * b.cell() as u64,
            emitted: position * b.cell() as u64,
        };
        let sound = self.sound.get_or_insert_with(|| fresh(0));
        if sound.syntheses.len() != total {
            return Err(Error::shape("sound channels", sound.syntheses.len(), total));
        }
        let mut gap =
            span.position.checked_sub(sound.position).ok_or_else(|| Error::Bitstream {
                offset: 0,
                reason: format!(
                    "sound goes back from cell {} to {}",
                    sound.position, span.position
                ),
            })?;
        let silence = gap.saturating_mul((b.cell() * total) as u64);
        if silence > self.fill {
            self.left_out += gap * b.cell() as u64;
            *sound = fresh(span.position);
            gap = 0;
        }
        let mut out = vec![Vec::new(); total];
        if gap > 0 {
            self.fill -= silence;
            self.filled += gap * b.cell() as u64;
            sound.silence(&b, gap as usize, &mut out);
        }
        if span.reset && sound.position > 0 {
            // The sound before ends with mirrored samples, as its encoder would have ended it.
            for (synthesis, out) in sound.syntheses.iter_mut().zip(&mut out) {
                out.extend(synthesis.finish());
                *synthesis = Synthesis::new(b.levels);
            }
        }
        let steps = latent.grid[1];
        for row in 0..latent.grid[0] {
            let bands = plain::synthesize_bands(&b, latent, row, 0..steps, channels);
            let per_input = b.bands() * steps;
            for input in 0..b.inputs {
                let c = row * b.inputs + input;
                let part = &bands[input * per_input..(input + 1) * per_input];
                out[c].extend(sound.syntheses[c].push(part));
            }
        }
        sound.position += steps as u64;
        sound.wanted = span.position * b.cell() as u64 + latent.extent[1] as u64;
        if span.end {
            for (synthesis, out) in sound.syntheses.iter_mut().zip(&mut out) {
                out.extend(synthesis.finish());
            }
        }
        let frame = sound.emit(out)?;
        if span.end {
            self.sound = None;
        }
        Ok(frame)
    }
}

/// Writes some rows of cells as bytes, and returns where the next go: `planes` are
/// `[inputs, rows * cell, width * cell]`.
fn put<'a>(
    b: &Bundle,
    latent: &Latent,
    planes: &[f32],
    rows: Range<usize>,
    gray: bool,
    to: &'a mut [u8],
) -> &'a mut [u8] {
    let (height, width) = (latent.extent[0], latent.extent[1]);
    let lines = (rows.end * b.cell()).min(height) - rows.start * b.cell();
    let row = latent.grid[1] * b.cell();
    let colours = plain::interleave_u8(planes, b.inputs, row, &[lines, width]);
    let (to, beyond) = to.split_at_mut(if gray { lines * width } else { colours.len() });
    if gray && b.inputs == 3 {
        let mean = |p: &[u8; 3]| (p.iter().map(|&x| u16::from(x)).sum::<u16>() + 1) / 3;
        for (to, pixel) in to.iter_mut().zip(colours.as_chunks::<3>().0) {
            *to = mean(pixel) as u8;
        }
    } else {
        to.copy_from_slice(&colours);
    }
    beyond
}

impl Sound {
    /// Puts `cells` cells of silence through the synthesis: the sound fades out and in around them.
    fn silence(&mut self, b: &Bundle, cells: usize, out: &mut [Vec<f32>]) {
        // In runs, so that a long gap needs little memory beyond its samples.
        for start in (0..cells).step_by(1024) {
            let run = (cells - start).min(1024);
            let zeros = Latent {
                codec: b.codec_id(),
                channels: b.channels(),
                grid: vec![1, run],
                extent: vec![b.inputs, run * b.cell()],
                span: Span::default(),
                quality: Quality::DEFAULT,
                values: vec![0; b.channels() * run],
            };
            let bands = plain::synthesize_bands(b, &zeros, 0, 0..run, 0);
            let per_input = b.bands() * run;
            for (c, (synthesis, out)) in self.syntheses.iter_mut().zip(&mut *out).enumerate() {
                let input = c % b.inputs;
                out.extend(synthesis.push(&bands[input * per_input..(input + 1) * per_input]));
            }
        }
        self.position += cells as u64;
        self.wanted = self.position * b.cell() as u64;
    }

    /// Interleaves what is ready, up to the samples wanted.
    fn emit(&mut self, planes: Vec<Vec<f32>>) -> Result<Frame> {
        let Layout::Audio { rate } = self.layout else {
            return Err(Error::shape("stream layout", "audio", "image"));
        };
        let ready = planes.first().map_or(0, Vec::len);
        let len = ready.min((self.wanted - self.emitted) as usize);
        self.emitted += len as u64;
        let channels = planes.len();
        let mut samples = vec![0.0; len * channels];
        for (c, plane) in planes.iter().enumerate() {
            for (t, &x) in plane[..len].iter().enumerate() {
                samples[t * channels + c] = (2.0 * x).clamp(-1.0, 1.0);
            }
        }
        Frame::audio(rate, channels, samples)
    }
}
