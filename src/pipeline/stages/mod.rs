//! Stages: crop, resize, every, encode, pack, cut, unpack, decode, infer.

mod cut;
mod decode;
mod gaps;
mod governor;
mod hours;
mod pack;
mod rated;
mod same;
mod slices;

use std::sync::Arc;

pub use cut::Cut;
pub use decode::Decode;
pub use gaps::Gaps;
pub use governor::{Begin, End, governed};
pub use hours::Hours;
pub use pack::{KEYS, Pack, Unpack};
pub use rated::{Rated, Spent, Target};
pub use same::Same;
pub use slices::Slices;

use super::heads::Pool;
use super::item::{Item, Parts};
use super::ladder::Ladder;
use super::line::Stage;
use super::warning::Warning;
use crate::bitstream::StreamHeader;
use crate::codec::{Bundle, Frame, FrameRef, Kind, Latent, Layout, Quality, Samples, Stamp, bands};
use crate::error::{Error, Result};
use crate::runtime::{Device, Encoder};

/// Keeps one picture in `n`: the first, and every n-th after it. Sounds are refused.
#[derive(Debug)]
pub struct Every {
    n: u64,
    seen: u64,
}

impl Every {
    /// Keeps one in `n`.
    ///
    /// # Errors
    /// `Config` if `n` is 0.
    pub fn new(n: u64) -> Result<Self> {
        match n {
            0 => Err(Error::config("every", "n is 0; 1 keeps all, 2 every other")),
            _ => Ok(Self { n, seen: 0 }),
        }
    }
}

impl Stage for Every {
    fn name(&self) -> &str {
        "every"
    }

    fn needs(&self) -> Parts {
        Parts::NONE
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            let sound = item.frame.as_ref().is_some_and(Frame::is_audio)
                || item.header.as_ref().is_some_and(|h| h.rate() > 0);
            if sound {
                item.lose("every", "thins pictures only: a sound would lose its place");
                continue;
            }
            if !self.seen.is_multiple_of(self.n) {
                item.drop_for("every");
            }
            self.seen += 1;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.seen = 0;
    }
}

/// Keeps a rectangle of each picture; one that reaches beyond the picture is cut to it.
#[derive(Debug, Clone)]
pub struct Crop {
    /// First row kept.
    pub top: usize,
    /// First column kept.
    pub left: usize,
    /// Rows kept.
    pub height: usize,
    /// Columns kept.
    pub width: usize,
}

impl Stage for Crop {
    fn name(&self) -> &str {
        "crop"
    }

    fn needs(&self) -> Parts {
        Parts::FRAME
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            let Some(frame) = &item.frame else { continue };
            match crop(frame, self) {
                Ok(frame) => item.frame = Some(frame),
                Err(e) => item.lose("crop", e),
            }
        }
        Ok(())
    }
}

fn crop(frame: &Frame, c: &Crop) -> Result<Frame> {
    let (h, w) = picture_extent(frame)?;
    let (height, width) =
        (c.height.min(h.saturating_sub(c.top)), c.width.min(w.saturating_sub(c.left)));
    if height == 0 || width == 0 {
        let expected = format!("a corner inside {w}x{h}");
        return Err(Error::shape("crop", expected, format!("{},{}", c.left, c.top)));
    }
    fn rows<T: Copy>(v: &[T], start: usize, row: usize, len: usize, count: usize) -> Vec<T> {
        (0..count).flat_map(|r| v[start + r * row..][..len].iter().copied()).collect()
    }
    let rgb = frame.to_rgb();
    let frame = rgb.as_ref().unwrap_or(frame);
    let n = frame.channels;
    let (start, row, len) = ((c.top * w + c.left) * n, w * n, width * n);
    let samples = match &frame.samples {
        Samples::U8(v) | Samples::Nv12(v) | Samples::Yuyv(v) => {
            Samples::U8(rows(v, start, row, len, height))
        }
        Samples::U16(v) => Samples::U16(rows(v, start, row, len, height)),
        Samples::I16(v) => Samples::I16(rows(v, start, row, len, height)),
        Samples::F32(v) => Samples::F32(rows(v, start, row, len, height)),
    };
    Frame::new(frame.layout, n, vec![height, width], samples)
}

fn picture_extent(frame: &Frame) -> Result<(usize, usize)> {
    match frame.extent[..] {
        [h, w] => Ok((h, w)),
        _ => Err(Error::shape("frame kind", "image", "audio")),
    }
}

/// Resizes each picture to `height` x `width` by area averages down and linear interpolation up.
#[derive(Debug, Clone)]
pub struct Resize {
    /// Rows made.
    pub height: usize,
    /// Columns made.
    pub width: usize,
}

impl Stage for Resize {
    fn name(&self) -> &str {
        "resize"
    }

    fn needs(&self) -> Parts {
        Parts::FRAME
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            let Some(frame) = &item.frame else { continue };
            match resize(frame, self.height, self.width) {
                Ok(frame) => item.frame = Some(frame),
                Err(e) => item.lose("resize", e),
            }
        }
        Ok(())
    }
}

/// Resizes a picture; see [`Resize`]. The result is 8-bit.
///
/// # Errors
/// `Shape` if the frame is sound or of bands, or a size is 0.
pub fn resize(frame: &Frame, height: usize, width: usize) -> Result<Frame> {
    let (h, w) = picture_extent(frame)?;
    if [h, w, height, width].contains(&0) {
        return Err(Error::shape("resize", "sizes of at least 1", format!("{width}x{height}")));
    }
    if frame.layout.is_bands() {
        return Err(Error::shape("picture to resize", "gray or colours", "bands"));
    }
    let n = frame.channels;
    let (rows, columns) = (weights(h, height), weights(w, width));
    let mut narrow = vec![0.0f32; h * width * n];
    for r in 0..h {
        for (x, terms) in columns.iter().enumerate() {
            for &(from, weight) in terms {
                for c in 0..n {
                    let v = frame.value((r * w + from) * n + c);
                    narrow[(r * width + x) * n + c] += weight * v;
                }
            }
        }
    }
    let mut out = vec![0.0f32; height * width * n];
    let row = width * n;
    for (y, terms) in rows.iter().enumerate() {
        for &(from, weight) in terms {
            let line = &narrow[from * row..][..row];
            out[y * row..][..row].iter_mut().zip(line).for_each(|(o, x)| *o += weight * x);
        }
    }
    let to_u8 = |x: f32| ((x + 0.5) * 255.0).round().clamp(0.0, 255.0) as u8;
    let samples = Samples::U8(out.into_iter().map(to_u8).collect());
    Frame::new(frame.layout, n, vec![height, width], samples)
}

/// For each output position the input positions it averages: a triangle as wide as the reduction.
fn weights(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale - 0.5;
            let first = (centre - reach).ceil().max(0.0) as usize;
            let last = ((centre + reach).floor() as usize).min(from - 1);
            let mut terms: Vec<(usize, f64)> = (first..=last)
                .map(|k| (k, 1.0 - (k as f64 - centre).abs() / reach))
                .filter(|t| t.1 > 0.0)
                .collect();
            if terms.is_empty() {
                terms.push((centre.round().clamp(0.0, from as f64 - 1.0) as usize, 1.0));
            }
            let sum: f64 = terms.iter().map(|t| t.1).sum();
            terms.into_iter().map(|(k, w)| (k, (w / sum) as f32)).collect()
        })
        .collect()
}

/// Frames to latents.
#[derive(Debug)]
pub struct Encode {
    encoder: Encoder,
    stream: u32,
    /// Place of the item that goes on with the sound.
    next: u64,
    ladder: Option<Arc<Ladder>>,
}

impl Encode {
    /// Encodes with the first `channels` channels at `quality`.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn new(bundle: Arc<Bundle>, channels: usize, quality: Quality) -> Result<Self> {
        Ok(Self {
            encoder: Encoder::new(bundle, channels, quality)?,
            stream: 0,
            next: 0,
            ladder: None,
        })
    }

    /// Codes as few channels as the rung of a ladder says.
    pub fn ladder(mut self, ladder: Option<Arc<Ladder>>) -> Self {
        self.ladder = ladder;
        self
    }

    /// Encodes each picture on up to this many threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.encoder.set_threads(threads);
        self
    }

    /// Encodes on a device.
    ///
    /// # Errors
    /// As [`Encoder::set_device`].
    pub fn device(mut self, device: Device) -> Result<Self> {
        self.encoder.set_device(device)?;
        Ok(self)
    }

    /// Latents of a batch of pictures that the encoder takes together; none if it takes them one by one,
    /// or if one of them fails.
    fn together(&mut self, batch: &[Item]) -> Result<Vec<Option<Latent>>> {
        let bundle = self.encoder.bundle();
        if bundle.kind != Kind::Image || batch.len() < 2 {
            return Ok(Vec::new());
        }
        let fits = |f: &&Frame| !f.is_audio() && check_fit(bundle, f.layout, f.channels).is_ok();
        let frames: Vec<Option<&Frame>> =
            batch.iter().map(|item| item.frame.as_ref().filter(fits)).collect();
        let there: Vec<FrameRef<'_>> = frames.iter().flatten().map(|f| f.view()).collect();
        // Of others the header of each is to say what encoded it.
        if !self.encoder.batches(&there) {
            return Ok(Vec::new());
        }
        match self.encoder.push_all(&there) {
            Ok(latents) => {
                let mut latents = latents.into_iter();
                Ok(frames.iter().map(|f| f.and_then(|_| latents.next())).collect())
            }
            Err(e @ Error::Device { .. }) => Err(e),
            Err(_) => Ok(Vec::new()),
        }
    }
}

impl Stage for Encode {
    fn name(&self) -> &str {
        "encode"
    }

    fn needs(&self) -> Parts {
        Parts::FRAME
    }

    fn makes(&self) -> Parts {
        Parts::LATENT
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        let mut together = self.together(batch)?.into_iter();
        for item in batch {
            let ready = together.next().flatten();
            let Some(frame) = &item.frame else { continue };
            if item.stamp.stream != self.stream || item.stamp.index != self.next {
                // A sound whose end, or a part, was lost on the way must not run on into what follows.
                self.stream = item.stamp.stream;
                self.encoder.reset();
            }
            self.next = item.stamp.index + 1;
            let fits = check_fit(self.encoder.bundle(), frame.layout, frame.channels);
            let latent = fits.and_then(|()| match ready {
                Some(latent) => Ok(latent),
                None => self.encoder.push(frame, item.end),
            });
            match latent {
                // Of a sound that is coded whole nothing comes before its end.
                Ok(latent)
                    if latent.cells() == 0 && !item.end && self.encoder.bundle().is_whole() => {}
                Ok(mut latent) => {
                    if let Some(ladder) = &self.ladder {
                        latent.truncate(ladder.rung().channels);
                    }
                    item.header = Some(header(&self.encoder, frame, &item.stamp));
                    item.latent = Some(latent);
                    item.warnings.extend(given_up(&mut self.encoder));
                }
                // The next frame would fare no better.
                Err(e @ Error::Device { .. }) => return Err(e),
                Err(e) => item.lose("encode", e),
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.encoder.reset();
    }
}

/// What a recording of a frame begins with.
fn header(encoder: &Encoder, frame: &Frame, stamp: &Stamp) -> StreamHeader {
    let header = StreamHeader::new(encoder.bundle(), frame.layout, frame.channels, stamp);
    StreamHeader { device: encoder.device().to_owned(), ..header }
}

/// That the processor encodes from here on.
fn given_up(encoder: &mut Encoder) -> Option<Warning> {
    Some(format!("{}; the processor encodes from here on", encoder.given_up()?).into())
}

/// Refuses frames that a bundle does not code whole: of the other kind, or with colours or sound
/// channels that would be left out, or with other bands. Gray feeds any bundle of colours.
pub(crate) fn check_fit(bundle: &Bundle, layout: Layout, channels: usize) -> Result<()> {
    let codes = bundle.inputs;
    let sound = matches!(layout, Layout::Audio { .. });
    let kind = if sound { Kind::Audio } else { Kind::Image };
    let reason = match (bundle.kind, kind) {
        (Kind::Image, Kind::Image)
            if !bands::codes(bundle, layout, channels)
                && (layout.is_bands() || ![1, 3].contains(&codes)) =>
        {
            let (what, number) = match layout {
                Layout::Bands { .. } => ("bands", channels),
                _ => ("colours", channels),
            };
            format!(
                "codes pictures of {codes} values per pixel, this one has {number} {what}; fit a \
                 bundle to such pictures: `tamis fit CUBES... -o mine`, then `--codec ./mine`"
            )
        }
        (Kind::Image, Kind::Audio) => {
            "codes pictures, this is sound; try `stereo` or `mono`".into()
        }
        (Kind::Audio, Kind::Image) => "codes sound, these are pictures; try `rgb`".into(),
        (Kind::Image, _) if channels != 1 && channels != codes => {
            format!(
                "codes {codes} colours, the pictures have {channels}; make them gray or try `rgb`"
            )
        }
        (Kind::Audio, _) if !channels.is_multiple_of(codes) => {
            format!("codes {codes} sound channels at once, there are {channels}; try `mono`")
        }
        _ => return Ok(()),
    };
    Err(Error::bundle(&bundle.card.name, reason))
}

/// Latents to predictions.
#[derive(Debug)]
pub struct Infer {
    bundle: Arc<Bundle>,
    head: Arc<Pool>,
    ladder: Option<Arc<Ladder>>,
}

impl Infer {
    /// Classifies latents of `bundle` with `head`.
    ///
    /// # Errors
    /// `Bundle` if the head reads another codec.
    pub fn new(bundle: Arc<Bundle>, head: Arc<Pool>) -> Result<Self> {
        head.card().check(&bundle)?;
        Ok(Self { bundle, head, ladder: None })
    }

    /// Goes on with as few tokens as the rung of a ladder says.
    pub fn ladder(mut self, ladder: Option<Arc<Ladder>>) -> Self {
        self.ladder = ladder;
        self
    }
}

impl Stage for Infer {
    fn name(&self) -> &str {
        "infer"
    }

    fn needs(&self) -> Parts {
        Parts::LATENT
    }

    fn makes(&self) -> Parts {
        Parts::PREDICTION
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            let Some(latent) = &item.latent else { continue };
            if latent.cells() == 0 && self.bundle.kind == Kind::Audio && !item.end {
                continue;
            }
            let rung = self.ladder.as_ref().map(|l| l.rung());
            let tokens = rung.and_then(|r| r.tokens.as_ref()).unwrap_or(self.head.tokens());
            match self.head.with(tokens, |head| head.run(&self.bundle, latent)) {
                Ok(prediction) => item.predictions.push(prediction),
                Err(e) => item.lose("infer", e),
            }
        }
        Ok(())
    }
}
