//! What the kernels do in a second on this machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bitstream::{Coder, Limits, Packer, Packet, StreamHeader};
use crate::codec::{Arithmetic, Bundle, Frame, Kind, Latent, Layout, Quality, Stamp};
use crate::error::{Error, Result};
use crate::runtime::{Decoder, DecoderSize, Encoder, Neural, Simd};

/// Calls before the clock counts: memory is there, and the processor is awake.
const WARM: usize = 3;
/// Calls at least.
const CALLS: usize = 5;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Samples to integer latents, in memory.
    EncodeLatents,
    /// Samples to the bytes of a packet.
    Encode(Coder),
    /// The bytes of a packet to integer latents.
    DecodeLatents(Coder),
    /// Integer latents to samples by the linear inverse, in memory.
    DecodePreview,
    /// The same by a neural decoder.
    DecodeNeural(DecoderSize),
}

impl What {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::EncodeLatents => "encode_latents",
            Self::Encode(Coder::Fast) => "encode_fast",
            Self::Encode(Coder::Dense) => "encode_dense",
            Self::DecodeLatents(_) => "decode_latents",
            Self::DecodePreview => "decode_preview",
            Self::DecodeNeural(_) => "decode_neural",
        }
    }

    /// The entropy coder that takes part.
    pub fn coder(self) -> Option<Coder> {
        match self {
            Self::Encode(coder) | Self::DecodeLatents(coder) => Some(coder),
            Self::EncodeLatents | Self::DecodePreview | Self::DecodeNeural(_) => None,
        }
    }

    /// The neural decoder that takes part.
    pub fn decoder(self) -> Option<DecoderSize> {
        match self {
            Self::DecodeNeural(size) => Some(size),
            _ => None,
        }
    }
}

/// A figure, and what it was taken with.
#[derive(Debug, Clone)]
pub struct Row {
    /// What was measured.
    pub what: What,
    /// Name of the bundle.
    pub bundle: String,
    /// Channels coded.
    pub channels: usize,
    /// Height and width, or channels and time steps of a chunk.
    pub extent: [usize; 2],
    /// Threads asked for.
    pub threads: usize,
    /// Instruction set; `None` where the compiler chose.
    pub simd: Option<Simd>,
    /// Whether it is sound.
    pub sound: bool,
    /// Median over calls: millions of pixels in a second, or seconds of sound.
    pub speed: f64,
}

/// What to measure with: frames of one kind and size, taken in turn.
#[derive(Debug, Clone)]
pub struct Bench<'a> {
    /// The codec.
    pub bundle: Arc<Bundle>,
    /// Channels of it.
    pub channels: usize,
    /// Neural decoders of it that are measured too.
    pub neural: Vec<(DecoderSize, Arc<Neural>)>,
    /// Instruction set of fixed-point pictures.
    pub simd: Simd,
    /// Threads of one picture.
    pub threads: usize,
    /// How long a figure may take.
    pub time: Duration,
    /// Pictures, or chunks of one sound.
    pub frames: &'a [Frame],
}

impl Bench<'_> {
    /// Measures both ways, at the default quality.
    ///
    /// # Errors
    /// `Shape` if the frames do not fit the bundle, `Bundle` if it codes sounds whole.
    pub fn run(&self) -> Result<Vec<Row>> {
        let Some(first) = self.frames.first() else { return Ok(Vec::new()) };
        if self.bundle.is_whole() {
            let reason = "codes sounds whole, and bench measures chunks; time encode and decode";
            return Err(Error::bundle(&self.bundle.card.name, reason));
        }
        let mut encoder = Encoder::new(Arc::clone(&self.bundle), self.channels, Quality::DEFAULT)?;
        encoder.set_simd(self.simd);
        encoder.set_threads(self.threads);
        let mut latents: Vec<Latent> =
            self.frames.iter().map(|f| encoder.push(f, false)).collect::<Result<_>>()?;
        encoder.reset();
        let mut latent = latents[0].clone();
        let encoding = self.median(|i| encoder.push_into(&self.frames[i], false, &mut latent))?;
        let mut rows = vec![self.row(What::EncodeLatents, self.threads, first, encoding)];
        // Packets are made and pictures decoded by one thread, and each sound from its start.
        if self.threads == 1 {
            for coder in [Coder::Fast, Coder::Dense] {
                encoder.reset();
                rows.extend(self.packets(coder, &mut encoder, first)?);
            }
            let mut decoder = Decoder::new(Arc::clone(&self.bundle), self.channels);
            decoder.set_simd(self.simd);
            let mut frame = first.clone();
            let mut next = 0;
            let decoding = self.median(|i| {
                let latent = &mut latents[i];
                latent.span.position = next;
                latent.span.reset = false;
                next += *latent.grid.last().unwrap_or(&0) as u64;
                decoder.push_into(latent, first.layout, &mut frame)
            })?;
            rows.push(self.row(What::DecodePreview, 1, first, decoding));
            for (size, neural) in &self.neural {
                let (bundle, channels) = (Arc::clone(&self.bundle), self.channels);
                let mut decoder = Decoder::with_neural(bundle, channels, Arc::clone(neural))?;
                decoder.set_simd(self.simd);
                let decoding =
                    self.few(|i| decoder.push_into(&latents[i], first.layout, &mut frame))?;
                rows.push(self.row(What::DecodeNeural(*size), 1, first, decoding));
            }
        }
        Ok(rows)
    }

    /// Samples to packets, and those to latents.
    fn packets(&self, coder: Coder, encoder: &mut Encoder, first: &Frame) -> Result<[Row; 2]> {
        let mut packer = Packer::new(&self.bundle);
        packer.set_coder(coder);
        let b = &self.bundle;
        let mut packets: Vec<Option<Packet>> = vec![None; self.frames.len()];
        let mut latent = encoder.push(first, false)?;
        let encoding = self.median(|i| {
            encoder.push_into(&self.frames[i], false, &mut latent)?;
            packets[i] = Some(packer.pack(b, &latent, Stamp::default(), None)?);
            Ok(())
        })?;
        let packets: Vec<Packet> = packets.into_iter().flatten().collect();
        let header = StreamHeader::new(b, first.layout, first.channels, &Stamp::default());
        let limits = Limits::default();
        let decoding = self.median(|i| {
            let packet = &packets[i % packets.len()];
            packer.unpack(b, &header, packet, None, &limits).map(drop)
        })?;
        Ok([
            self.row(What::Encode(coder), 1, first, encoding),
            self.row(What::DecodeLatents(coder), 1, first, decoding),
        ])
    }

    fn row(&self, what: What, threads: usize, frame: &Frame, seconds: f64) -> Row {
        let fixed = self.bundle.arithmetic == Arithmetic::Fixed;
        let (extent, done) = match frame.layout {
            Layout::Audio { rate } => {
                ([frame.channels, frame.extent[0]], frame.extent[0] as f64 / f64::from(rate))
            }
            _ => ([frame.extent[0], frame.extent[1]], frame.positions() as f64 / 1e6),
        };
        Row {
            what,
            bundle: self.bundle.card.name.clone(),
            channels: self.channels,
            extent,
            threads,
            simd: (fixed && self.bundle.kind == Kind::Image).then_some(self.simd),
            sound: frame.is_audio(),
            speed: done / seconds,
        }
    }

    /// Seconds that a call takes: the median.
    fn median(&self, call: impl FnMut(usize) -> Result<()>) -> Result<f64> {
        self.timed(WARM, CALLS, call)
    }

    /// The same for calls that may take seconds.
    fn few(&self, call: impl FnMut(usize) -> Result<()>) -> Result<f64> {
        self.timed(1, 3, call)
    }

    fn timed(
        &self,
        warm: usize,
        calls: usize,
        mut call: impl FnMut(usize) -> Result<()>,
    ) -> Result<f64> {
        let count = self.frames.len();
        for i in 0..warm {
            call(i % count)?;
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.len() < calls || start.elapsed() < self.time {
            let before = Instant::now();
            call(times.len() % count)?;
            times.push(before.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }
}
