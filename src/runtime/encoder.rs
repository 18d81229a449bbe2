//! Frames to latents: pictures strip by strip, sounds chunk by chunk.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::{
    Arithmetic, Bundle, FrameRef, Kind, Latent, Layout, Quality, Span, bands, plain,
};
use crate::error::{Error, Result};
use crate::signal::{Analysis, Ends, cells, mirror};

use super::cpu::{FixedEncoder, Simd};
use super::cuda::GpuEncoder;
use super::device::{Device, GpuSpeeds};
use super::whole::Collected;

/// Rows of cells that are transformed at once: what a strip needs stays near the caches, and an
/// 8192 x 8192 picture needs megabytes, not gigabytes.
const STRIP: usize = 16;

/// Values of a strip at most, if it is more than one row of cells.
const VALUES: usize = 1 << 24;

/// Threads of one picture at most.
const THREADS: usize = 1024;
/// Cells of sound that are projected at once: they stay in the first-level cache.
const STEPS: usize = 32;

/// Encodes the frames of one stream.
///
/// A picture stands alone. A sound carries its state from chunk to chunk: however it is cut, its
/// cells are those of the whole, a few behind the input.
#[derive(Debug)]
pub struct Encoder {
    bundle: Arc<Bundle>,
    channels: usize,
    quality: Quality,
    thrift: f32,
    threads: usize,
    fixed: Option<FixedEncoder>,
    gpu: Option<GpuEncoder>,
    /// Whether the processor may do what the GPU cannot.
    strict: bool,
    /// The last picture was the processor's all the same.
    aside: bool,
    /// Why the GPU was given up on.
    fallen: Option<String>,
    sound: Option<Sound>,
    /// The sound before the last chunk, if that may be pushed again.
    earlier: Option<Option<Sound>>,
    /// A sound of which the codec needs all at once.
    whole: Option<Collected>,
}

/// The state of a sound between two chunks.
#[derive(Debug, Clone)]
struct Sound {
    rate: u32,
    analysis: Analysis,
    channels: usize,
    /// The last samples, at most one cell: what is mirrored at the end.
    tail: Vec<f32>,
    /// Samples, bands and reals of a chunk, whose memory is used again.
    samples: Vec<f32>,
    bands: Vec<f32>,
    reals: Vec<f32>,
    /// Time steps pushed.
    pushed: u64,
    /// Cells given out.
    position: u64,
}

impl Encoder {
    /// An encoder of the first `channels` channels at `quality`.
    ///
    /// # Errors
    /// `Shape` if `channels` is not the end of one of the bundle's groups.
    pub fn new(bundle: Arc<Bundle>, channels: usize, quality: Quality) -> Result<Self> {
        if !bundle.groups.contains(&channels) {
            let expected = format!("one of {:?}", bundle.groups);
            return Err(Error::shape("channels", expected, channels));
        }
        let fixed = (bundle.arithmetic == Arithmetic::Fixed)
            .then(|| FixedEncoder::new(&bundle, channels, quality, Simd::best()));
        Ok(Self {
            bundle,
            channels,
            quality,
            thrift: 0.0,
            threads: 1,
            fixed,
            gpu: None,
            strict: false,
            aside: false,
            fallen: None,
            sound: None,
            earlier: None,
            whole: None,
        })
    }

    /// The bundle.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// Changes the quality from the next frame on.
    pub fn set_quality(&mut self, quality: Quality) {
        self.set_quality_and_thrift(quality, 0.0);
    }

    /// Changes the quality, and what is taken off every rounding, 0 to 0.2: less than a quality down
    /// in bits and in fidelity. See [`Bundle::rounding`].
    pub fn set_quality_and_thrift(&mut self, quality: Quality, thrift: f32) {
        self.quality = quality;
        self.thrift = thrift.clamp(0.0, 0.2);
        if let Some(fixed) = &mut self.fixed {
            fixed.set_quality(&self.bundle, quality, self.thrift);
        }
        if let Some(gpu) = &mut self.gpu {
            gpu.set_quality(&self.bundle, quality, self.thrift);
        }
    }

    /// Makes [`Self::step_back`] possible for chunks of sound, at the cost of a copy of the state.
    pub fn set_stepping_back(&mut self) {
        self.earlier.get_or_insert_with(|| self.sound.clone());
    }

    /// Forgets the last chunk of a sound: the next takes its place. Pictures stand alone anyway.
    pub fn step_back(&mut self) {
        if let Some(earlier) = &self.earlier {
            self.sound.clone_from(earlier);
        }
        if let Some(whole) = &mut self.whole {
            whole.step_back();
        }
    }

    /// Encodes a picture on up to this many threads; one at first. Latents do not depend on it.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.clamp(1, THREADS);
    }

    /// Chooses the instruction set of fixed-point pictures; the widest at first. Latents do not
    /// depend on it, and one that the machine lacks becomes [`Simd::Portable`].
    pub fn set_simd(&mut self, simd: Simd) {
        if self.fixed.is_some() {
            let mut fixed = FixedEncoder::new(&self.bundle, self.channels, self.quality, simd);
            fixed.set_quality(&self.bundle, self.quality, self.thrift);
            self.fixed = Some(fixed);
        }
    }

    /// Chooses where pictures are encoded; the processor at first. Latents do not depend on it.
    ///
    /// Gives why it is not the GPU, if that is only to be tried ([`Device::Auto`]). One that is asked
    /// for by name does everything or fails.
    ///
    /// # Errors
    /// `Device` with the reason if a GPU that is asked for by name cannot be used, or does not code what
    /// the bundle codes: sounds, and pictures in single precision, are the processor's.
    pub fn set_device(&mut self, device: Device) -> Result<Option<String>> {
        (self.gpu, self.fallen, self.aside) = (None, None, false);
        self.strict = matches!(device, Device::Cuda(_));
        if self.fixed.is_none() && device != Device::Cpu {
            let reason = "codes pictures of fixed-point codecs; this codec runs on the processor";
            return match self.strict {
                true => Err(Error::Device { device: device.to_string(), reason: reason.into() }),
                false => Ok(Some(reason.into())),
            };
        }
        let (gpu, instead) = device.open()?;
        if let Some(gpu) = gpu {
            let (n, quality, thrift) = (self.channels, self.quality, self.thrift);
            match GpuEncoder::new(&gpu, &self.bundle, n, quality, thrift) {
                Ok(gpu) => self.gpu = Some(gpu),
                Err(e) if self.strict => return Err(e),
                Err(e) => self.fallen = Some(e.to_string()),
            }
        }
        Ok(instead)
    }

    /// What encoded the last picture, or will encode the first: `cpu`, `cuda:0 (NVIDIA Orin)`.
    pub fn device(&self) -> &str {
        self.gpu.as_ref().filter(|_| !self.aside).map_or("cpu", GpuEncoder::name)
    }

    /// Why the GPU was given up on since this was last asked, with [`Device::Auto`].
    pub fn given_up(&mut self) -> Option<String> {
        self.fallen.take()
    }

    /// Whether [`Self::push_all`] is quicker for these than one by one.
    pub fn batches(&self, frames: &[FrameRef<'_>]) -> bool {
        self.gpu.is_some() && frames.len() > 1 && frames.iter().all(|f| GpuEncoder::takes(*f))
    }

    /// What the GPU of this encoder does in a second with copies of a picture, so many at once or as many
    /// as it takes; `None` if it is the processor that encodes.
    ///
    /// # Errors
    /// `Device` if the GPU fails or does not take such pictures.
    pub fn gpu_speeds(
        &mut self,
        frame: FrameRef<'_>,
        pictures: Option<usize>,
        time: Duration,
    ) -> Result<Option<GpuSpeeds>> {
        match &mut self.gpu {
            Some(gpu) if GpuEncoder::takes(frame) => gpu.speeds(frame, pictures, time).map(Some),
            Some(gpu) => {
                let reason = format!("takes pictures of 8 bits, not {}", frame.samples.name());
                Err(Error::Device { device: gpu.name().to_owned(), reason })
            }
            None => Ok(None),
        }
    }

    /// Encodes pictures as [`Self::push`] does one by one, together where that is quicker.
    ///
    /// # Errors
    /// Those of [`Self::push`], of the first picture that has one.
    pub fn push_all(&mut self, frames: &[FrameRef<'_>]) -> Result<Vec<Latent>> {
        if !self.batches(frames) {
            return frames.iter().map(|&frame| self.push(frame, true)).collect();
        }
        let mut latents = Vec::with_capacity(frames.len());
        for &frame in frames {
            let mut latent = self.empty();
            self.lay_out(frame, &mut latent)?;
            latents.push(latent);
        }
        let mut values: Vec<&mut [i16]> = latents.iter_mut().map(|l| &mut l.values[..]).collect();
        match self.on_gpu(frames, &mut values)? {
            true => Ok(latents),
            false => frames.iter().map(|&frame| self.push(frame, true)).collect(),
        }
    }

    /// Encodes on the GPU; `false` if that is the processor's now.
    fn on_gpu(&mut self, frames: &[FrameRef<'_>], to: &mut [&mut [i16]]) -> Result<bool> {
        let Some(gpu) = &mut self.gpu else { return Ok(false) };
        if let Some(other) = frames.iter().find(|f| !GpuEncoder::takes(**f)) {
            let (actual, fix) = (other.samples.name(), "--device auto or cpu takes them");
            let reason = format!("takes pictures of 8 bits, not {actual}; {fix}");
            let error = Error::Device { device: gpu.name().to_owned(), reason };
            self.aside = true;
            return if self.strict { Err(error) } else { Ok(false) };
        }
        let done = gpu.encode(frames, to);
        self.aside = done.is_err();
        match done {
            Ok(()) => Ok(true),
            Err(e @ Error::Limit { .. }) if self.strict => {
                let reason = format!("{e}; --device auto or cpu takes it");
                Err(Error::Device { device: gpu.name().to_owned(), reason })
            }
            Err(e) if self.strict => Err(e),
            // The next may be smaller.
            Err(Error::Limit { .. }) => Ok(false),
            Err(e) => {
                // It will not be better at the next frame, and frames do not wait.
                (self.gpu, self.fallen) = (None, Some(e.to_string()));
                Ok(false)
            }
        }
    }

    /// Forgets the sound so far: the next chunk starts anew.
    pub fn reset(&mut self) {
        self.sound = None;
        self.whole = None;
    }

    /// Encodes a picture, or the next chunk of a sound; `end` says that the sound ends with it.
    ///
    /// Shape: a chunk gives the cells that are complete, which may be none.
    ///
    /// # Errors
    /// `Shape` if the frame does not fit the bundle or the chunks before it.
    pub fn push<'a>(&mut self, frame: impl Into<FrameRef<'a>>, end: bool) -> Result<Latent> {
        let mut latent = self.empty();
        self.push_into(frame, end, &mut latent)?;
        Ok(latent)
    }

    fn empty(&self) -> Latent {
        Latent {
            codec: self.bundle.codec_id(),
            channels: self.channels,
            grid: Vec::new(),
            extent: Vec::new(),
            span: Span::default(),
            quality: self.quality,
            values: Vec::new(),
        }
    }

    /// [`Self::push`] into a latent that was used before: where nothing grew, and on one thread,
    /// nothing is allocated.
    ///
    /// # Errors
    /// Those of [`Self::push`]; what the latent holds then is not defined.
    pub fn push_into<'a>(
        &mut self,
        frame: impl Into<FrameRef<'a>>,
        end: bool,
        latent: &mut Latent,
    ) -> Result<()> {
        let frame = frame.into();
        if let Some(earlier) = &mut self.earlier {
            earlier.clone_from(&self.sound);
        }
        latent.codec = self.bundle.codec_id();
        latent.channels = self.channels;
        latent.quality = self.quality;
        match self.bundle.kind {
            Kind::Image => self.picture(frame, latent),
            Kind::Audio if self.bundle.is_whole() => self.whole(frame, end, latent),
            Kind::Audio => self.chunk(frame, end, latent),
        }
    }

    fn picture(&mut self, frame: FrameRef<'_>, latent: &mut Latent) -> Result<()> {
        self.lay_out(frame, latent)?;
        if self.gpu.is_some() && self.on_gpu(&[frame], &mut [&mut latent.values])? {
            return Ok(());
        }
        let grid = [latent.grid[0], latent.grid[1]];
        match &mut self.fixed {
            Some(fixed) => fixed.encode(frame, self.threads, &mut latent.values),
            None => self.float(frame, &grid, &mut latent.values),
        }
        Ok(())
    }

    /// Makes room for the latents of a picture.
    fn lay_out(&self, frame: FrameRef<'_>, latent: &mut Latent) -> Result<()> {
        let &[height, width] = frame.extent else {
            return Err(Error::shape("frame kind", "a picture, and a codec of them", "sound"));
        };
        if !bands::codes(&self.bundle, frame.layout, frame.channels) {
            let expected = format!("{} of the codec", self.bundle.inputs);
            return Err(Error::shape("values per pixel", expected, frame.channels));
        }
        let grid = [height, width].map(|e| cells(e, self.bundle.cell()));
        latent.grid.clear();
        latent.grid.extend(grid);
        latent.extent.clear();
        latent.extent.extend_from_slice(frame.extent);
        latent.span = Span::default();
        latent.values.resize(self.channels * grid[0] * grid[1], 0);
        Ok(())
    }

    fn float(&self, frame: FrameRef<'_>, grid: &[usize; 2], values: &mut [i16]) {
        let cells = grid[0] * grid[1];
        // Periodic ends tie every row to every other.
        let strip = match self.bundle.ends {
            Ends::Periodic => grid[0].max(1),
            // Of many bands a strip that is as high would be gigabytes.
            Ends::Mirror => (VALUES / (self.bundle.inner() * grid[1]).max(1)).clamp(1, STRIP),
        };
        for top in (0..grid[0]).step_by(strip) {
            let rows = top..(top + strip).min(grid[0]);
            let reals = plain::encode_rows(&self.bundle, frame, rows.clone(), self.channels);
            let count = rows.len() * grid[1];
            let coded = plain::quantize(&self.bundle, &reals, count, self.quality, self.thrift);
            for (c, from) in coded.chunks_exact(count.max(1)).enumerate() {
                values[c * cells + top * grid[1]..][..count].copy_from_slice(from);
            }
        }
    }

    /// All cells come with the last chunk.
    fn whole(&mut self, frame: FrameRef<'_>, end: bool, latent: &mut Latent) -> Result<()> {
        let rows = plain::rows(&self.bundle, frame.channels);
        let pushed = rows.and_then(|rows| Collected::push(&mut self.whole, frame).map(|()| rows));
        // The end of a sound is its end, also where it is refused.
        let rows = pushed.inspect_err(|_| drop(self.whole.take_if(|_| end)))?;
        if end && let Some(whole) = &mut self.whole {
            *latent = whole.finish(&self.bundle, self.channels, self.quality, self.thrift)?;
            return Ok(());
        }
        latent.grid.clear();
        latent.grid.extend([rows, 0]);
        latent.extent.clear();
        latent.extent.extend([frame.channels, 0]);
        latent.values.clear();
        latent.span = Span { position: 0, reset: true, end: false };
        Ok(())
    }

    fn chunk(&mut self, frame: FrameRef<'_>, end: bool, latent: &mut Latent) -> Result<()> {
        let Layout::Audio { rate } = frame.layout else {
            return Err(Error::shape("frame kind", "audio", "image"));
        };
        let rows = plain::rows(&self.bundle, frame.channels)?;
        let cell = self.bundle.cell();
        let sound = self.sound.get_or_insert_with(|| Sound {
            rate,
            analysis: Analysis::new(self.bundle.levels, frame.channels),
            channels: frame.channels,
            tail: Vec::new(),
            samples: Vec::new(),
            bands: Vec::new(),
            reals: Vec::new(),
            pushed: 0,
            position: 0,
        });
        if sound.channels != frame.channels || sound.rate != rate {
            let expected = format!("{} channels at {} Hz", sound.channels, sound.rate);
            let actual = format!("{} channels at {rate} Hz", frame.channels);
            return Err(Error::shape("chunk of a sound", expected, actual));
        }
        sound.push(frame, cell, end);
        let steps = sound.analysis.ready();
        let inputs = self.bundle.inputs * self.bundle.bands();
        latent.values.resize(self.channels * rows * steps, 0);
        for start in (0..steps).step_by(STEPS) {
            let some = STEPS.min(steps - start);
            sound.analysis.read(start..start + some, &mut sound.bands);
            sound.reals.resize(self.channels * some, 0.0);
            for (row, bands) in sound.bands.chunks_exact(inputs * some).enumerate() {
                self.bundle.analysis.apply(bands, some, &self.bundle.bias, &mut sound.reals);
                for (c, reals) in sound.reals.chunks_exact(some).enumerate() {
                    let to = &mut latent.values[(c * rows + row) * steps + start..][..some];
                    self.bundle.quantize(c, self.quality, self.thrift, reals, to);
                }
            }
        }
        sound.analysis.discard(steps);
        let position = sound.position;
        sound.position += steps as u64;
        let samples = match end {
            true => (sound.pushed - position * cell as u64) as usize,
            false => steps * cell,
        };
        if end {
            self.sound = None;
        }
        latent.grid.clear();
        latent.grid.extend([rows, steps]);
        latent.extent.clear();
        latent.extent.extend([frame.channels, samples]);
        latent.span = Span { position, reset: position == 0, end };
        Ok(())
    }
}

impl Sound {
    fn push(&mut self, frame: FrameRef<'_>, cell: usize, end: bool) {
        let channels = self.channels;
        self.pushed += frame.extent[0] as u64;
        frame.values(&mut self.samples);
        self.analysis.push(&self.samples);
        let recent = self.samples.len().saturating_sub(cell * channels);
        self.tail.extend_from_slice(&self.samples[recent..]);
        self.tail.drain(..self.tail.len().saturating_sub(cell * channels));
        if end {
            let missing = (cell - (self.pushed % cell as u64) as usize) % cell;
            let n = self.tail.len() / channels;
            self.samples.clear();
            for i in 0..missing {
                let row = mirror(n + i, n) * channels;
                self.samples.extend_from_slice(&self.tail[row..row + channels]);
            }
            self.analysis.push(&self.samples);
            self.analysis.finish();
        }
    }
}
