//! Sounds that are coded whole: by codecs with periodic ends or padding, where the first cells need the last samples.

use crate::codec::{Bundle, Frame, FrameRef, Latent, Layout, Quality, Span, plain};
use crate::error::{Error, Result};

use super::neural::Neural;

/// Samples times channels of a sound at most, as many as readers take in one packet: 23 s of stereo at 44.1 kHz.
const MAX_VALUES: usize = 1 << 21;

/// The chunks of a sound so far.
#[derive(Debug, Clone)]
pub(super) struct Collected {
    rate: u32,
    channels: usize,
    /// `[steps, channels]`, full scale 1.
    samples: Vec<f32>,
    /// Values so far, also where they were too many to keep.
    length: u64,
    /// Values before the last chunk.
    before: usize,
    /// The last chunk was its end: the next begins another.
    ended: bool,
}

impl Collected {
    /// Adds a chunk to what there is.
    ///
    /// # Errors
    /// `Shape` if it is of another kind, rate or number of channels, `Limit` if the sound becomes too long.
    pub fn push(this: &mut Option<Self>, frame: FrameRef<'_>) -> Result<()> {
        let Layout::Audio { rate } = frame.layout else {
            return Err(Error::shape("frame kind", "audio", "image"));
        };
        if this.as_ref().is_some_and(|all| all.ended) {
            *this = None;
        }
        let all = this.get_or_insert_with(|| Self {
            rate,
            channels: frame.channels,
            samples: Vec::new(),
            length: 0,
            before: 0,
            ended: false,
        });
        // A chunk that is refused leaves nothing to be taken back.
        all.before = all.samples.len();
        if all.channels != frame.channels || all.rate != rate {
            let expected = format!("{} channels at {} Hz", all.channels, all.rate);
            let actual = format!("{} channels at {rate} Hz", frame.channels);
            return Err(Error::shape("chunk of a sound", expected, actual));
        }
        // Where it became too much, the number stays: one sound is one error.
        if all.length <= MAX_VALUES as u64 {
            all.length += (frame.extent[0] * frame.channels) as u64;
        }
        if all.length > MAX_VALUES as u64 {
            // What comes after is of the same sound, and not another.
            all.samples = Vec::new();
            let what = "time steps times channels of a sound that its codec takes whole (cut it into \
                        shorter files, or use a codec that streams):";
            let (limit, actual) = (MAX_VALUES as u64, all.length);
            return Err(Error::Limit { what: what.into(), limit, actual });
        }
        let mut halves = Vec::new();
        frame.values(&mut halves);
        all.samples.extend(halves.iter().map(|x| 2.0 * x));
        Ok(())
    }

    /// Forgets the last chunk, unless it was too much: then nothing of the sound is left.
    pub fn step_back(&mut self) {
        if self.length <= MAX_VALUES as u64 {
            self.samples.truncate(self.before);
            self.length = self.before as u64;
        }
        self.ended = false;
    }

    /// The latent of the whole sound. The samples are kept until the next begins: it may be asked for once more.
    pub fn finish(
        &mut self,
        bundle: &Bundle,
        channels: usize,
        quality: Quality,
        thrift: f32,
    ) -> Result<Latent> {
        self.ended = true;
        let frame = Frame::audio(self.rate, self.channels, self.samples.clone())?;
        let extent = plain::extent(bundle, &frame)?;
        let grid = plain::grid(bundle, &extent)?;
        let reals = plain::reals(bundle, &frame, channels)?;
        let values = plain::quantize(bundle, &reals, grid.iter().product(), quality, thrift);
        let (codec, grid) = (bundle.codec_id(), grid.to_vec());
        Ok(Latent { codec, channels, grid, extent, span: Span::WHOLE, quality, values })
    }
}

/// The sound of a latent, by the first `channels` channels.
///
/// # Errors
/// `Bitstream` if it is no whole sound, `Bundle` if the neural decoder fails on it.
pub(super) fn decode(
    bundle: &Bundle,
    latent: &Latent,
    layout: Layout,
    channels: usize,
    neural: Option<&Neural>,
) -> Result<Frame> {
    let (Layout::Audio { rate }, &[total, steps]) = (layout, &latent.extent[..]) else {
        return Err(Error::shape("stream layout", "audio", "image"));
    };
    if latent.span != Span::WHOLE && latent.cells() > 0 {
        let reason = "a codec that takes sounds whole has a part of one".into();
        return Err(Error::Bitstream { offset: 0, reason });
    }
    let mut frame = match neural {
        Some(neural) if latent.cells() > 0 => {
            let rows = latent.grid[0];
            let mut samples = vec![0.0; total * steps];
            for row in 0..rows {
                let planes = run(bundle, latent, row, channels, neural)?;
                let length = planes.len() / bundle.inputs;
                for (input, plane) in planes.chunks_exact(length).enumerate() {
                    let channel = row * bundle.inputs + input;
                    for (t, x) in plane[..steps].iter().enumerate() {
                        samples[t * total + channel] = (2.0 * x).clamp(-1.0, 1.0);
                    }
                }
            }
            Frame::audio(rate, total, samples)?
        }
        _ if latent.cells() == 0 => Frame::audio(rate, total, Vec::new())?,
        _ => plain::decode(bundle, latent, channels)?,
    };
    frame.layout = layout;
    Ok(frame)
}

/// What the model makes of one row: `[inputs, cells * cell]`.
fn run(
    b: &Bundle,
    latent: &Latent,
    row: usize,
    channels: usize,
    neural: &Neural,
) -> Result<Vec<f32>> {
    let (rows, steps) = (latent.grid[0], latent.grid[1]);
    let mut input = vec![0.0; b.channels() * steps];
    for (c, to) in input.chunks_exact_mut(steps).take(channels).enumerate() {
        let values = &latent.values[(c * rows + row) * steps..][..steps];
        b.quantizer.dequantize(values, b.steps[c], latent.quality, to);
        to.iter_mut().for_each(|z| *z /= b.deviation[c]);
    }
    let inner = steps - 2 * b.padding;
    let mut out = vec![0.0; b.inputs * inner * b.cell()];
    let condition = [latent.quality.factor().log2() / 4.0, channels as f32 / b.channels() as f32];
    let shape = [1, b.inputs, 1, inner * b.cell()];
    neural.run(&input, [1, steps], condition, shape, &mut out)?;
    Ok(out)
}
