//! Frames to packets of a given size: the quality follows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Pack, check_fit, given_up, header};
use crate::bitstream::{Packet, PacketWriter, StreamHeader};
use crate::codec::{Bundle, Frame, Latent, Layout, Quality, Quantizer, Stamp};
use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Stage;
use crate::pipeline::rate::Bucket;
use crate::pipeline::warning::Warning;
use crate::runtime::{Device, Encoder};

/// How far from its size a packet may be before the search goes on.
const NEAR: f64 = 0.004;
/// How far a packet may be from its size before it is said.
const FAR: f64 = 0.03;
/// The most that is taken off the roundings: a little more than a quality.
const THRIFT: f32 = 0.15;
/// Halvings of that.
const HALVINGS: usize = 6;
/// Qualities up at once where bits are left over.
const FINER: u8 = 2;
/// Time of a picture of which nobody says when the next one comes.
const FRAME: Duration = Duration::from_millis(33);

/// What the search aims at.
#[derive(Debug, Clone)]
pub enum Target {
    /// Bits for each pixel, or for each value of a sound, of every packet.
    Density(f64),
    /// Bits a second, as a stream plays.
    Rate(Bucket),
}

/// How many times its bits a live picture may take before it is coded again.
const FAR_TOO_MUCH: f64 = 2.5;
/// A pause that is longer tells nothing of the pictures after it.
const LONGEST: Duration = Duration::from_secs(10);

/// Encodes and packs, and finds for every packet the quality that gives it its size.
#[derive(Debug)]
pub struct Rated {
    encoder: Encoder,
    pack: Pack,
    target: Target,
    /// Where the search begins.
    quality: Quality,
    stream: u32,
    /// Place of the item that goes on with the sound.
    next: u64,
    /// Capture time of the picture before.
    last: Option<Duration>,
    apart: Duration,
    spent: Arc<Mutex<Spent>>,
    /// Whether a picture is coded once, or twice at most.
    quick: bool,
}

/// What was coded at a rate.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Spent {
    /// Bits of all packets.
    pub bits: f64,
    /// Time that they play.
    pub time: Duration,
    /// The coarsest and the finest quality used.
    pub qualities: Option<(Quality, Quality)>,
}

impl Spent {
    fn add(&mut self, bits: f64, time: Duration, quality: Quality) {
        self.bits += bits;
        self.time = self.time.saturating_add(time);
        let (low, high) = self.qualities.unwrap_or((quality, quality));
        self.qualities = Some((low.min(quality), high.max(quality)));
    }
}

impl Rated {
    /// Codes the first `channels` channels of `bundle`, packed as `pack` does.
    ///
    /// # Errors
    /// As [`Encoder::new`]; `Bundle` if no quality changes what the bundle codes, or if it takes sounds whole.
    pub fn new(bundle: Arc<Bundle>, channels: usize, pack: Pack, target: Target) -> Result<Self> {
        if bundle.quantizer != Quantizer::Step || bundle.is_whole() {
            let reason = "has no rate control: it compands, and quality changes nothing, or takes \
                          sounds whole; encode at a quality, or with another codec";
            return Err(Error::bundle(&bundle.card.name, reason));
        }
        let mut encoder = Encoder::new(bundle, channels, Quality::DEFAULT)?;
        encoder.set_stepping_back();
        let quality = Quality::DEFAULT;
        Ok(Self {
            encoder,
            pack,
            target,
            quality,
            stream: 0,
            next: 0,
            last: None,
            apart: FRAME,
            spent: Arc::default(),
            quick: false,
        })
    }

    /// Codes pictures of a rate once, or twice if one takes far too much, and finds the quality from one to the next: for
    /// what is live.
    pub fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    /// What it spends, as it goes on.
    pub fn spent(&self) -> Arc<Mutex<Spent>> {
        self.spent.clone()
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

    /// `overhead` is what the recording holds besides its packets, in bytes.
    fn code(&mut self, frame: &Frame, item: &Item, overhead: usize) -> Result<Coded> {
        let (stamp, end) = (&item.stamp, item.end);
        let elapsed = self.last.and_then(|last| stamp.captured.checked_sub(last));
        let known = elapsed.into_iter().chain([item.lasts]).find(|e| !e.is_zero());
        self.apart = match (known, self.last) {
            // What is live comes in bursts, whatever it was captured at.
            (Some(known), Some(_)) if self.quick => (7 * self.apart + known.min(LONGEST)) / 8,
            (Some(known), _) => known,
            (None, _) => self.apart,
        };
        let (time, values) = match frame.layout {
            Layout::Audio { rate } => {
                let steps = frame.extent[0];
                (Duration::from_secs_f64(steps as f64 / f64::from(rate)), steps * frame.channels)
            }
            _ => (self.apart, frame.positions()),
        };
        let budget = match &self.target {
            // The only picture of a file pays for the headers and the index too.
            Target::Density(bits) if end && stamp.index == 0 && !frame.is_audio() => {
                let all = bits * values as f64;
                (all - 8.0 * overhead as f64).max(all / 4.0)
            }
            Target::Density(bits) => bits * values as f64,
            Target::Rate(bucket) => bucket.budget(time),
        };
        let mut trials =
            Trials { encoder: &mut self.encoder, pack: &self.pack, frame, stamp, end, first: true };
        let coded = match &self.target {
            Target::Rate(_) if self.quick && !frame.is_audio() => {
                trials.once(self.quality, budget)?
            }
            Target::Rate(bucket) if !frame.is_audio() => {
                trials.next_of(self.quality, budget, bucket.saved() + budget)?
            }
            _ => trials.nearest(self.quality, budget)?,
        };
        if let Target::Rate(bucket) = &mut self.target {
            bucket.spend(coded.bits(), time);
        }
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.add(coded.bits(), time, coded.latent.quality);
        drop(spent);
        self.quality = match &self.target {
            Target::Rate(bucket) if self.quick && !frame.is_audio() => {
                next_quality(coded.latent.quality, coded.bits(), bucket.budget(time))?
            }
            _ => coded.latent.quality,
        };
        self.last = Some(stamp.captured);
        self.pack.keep(stamp, &coded.latent);
        Ok(Coded { budget, ..coded })
    }
}

/// Bytes that a recording of one stream holds besides its packets: the header twice, and the index.
fn overhead(header: &StreamHeader) -> usize {
    let mut writer = PacketWriter::new();
    let headers = writer.header(header).len();
    headers + writer.finish().len() + 2
}

/// What a frame became.
struct Coded {
    latent: Latent,
    packet: Packet,
    budget: f64,
}

impl Coded {
    /// Bits of the packet as it is written.
    fn bits(&self) -> f64 {
        (self.packet.bytes() * 8) as f64
    }

    /// What to say if the packet is not of the size asked for.
    fn miss(&self) -> Option<Warning> {
        let (bits, budget) = (self.bits(), self.budget);
        if (bits - budget).abs() <= FAR * budget {
            return None;
        }
        let more = if bits < budget { "fewer" } else { "more" };
        let quality = match self.latent.quality {
            Quality::MAX => "the finest quality there is".into(),
            Quality::MIN => "the coarsest quality there is".into(),
            q => format!("quality {}, and no other comes nearer", q.value()),
        };
        Some(Warning::missing(format!(
            "{bits:.0} bits, {more} than the {budget:.0} asked for, at {quality}"
        )))
    }
}

/// The quality for a picture that is to take `budget` bits, after one of this quality took `bits`. As long as that is
/// near it stays: only pictures of one quality continue each other.
fn next_quality(quality: Quality, bits: f64, budget: f64) -> Result<Quality> {
    let off = (budget / bits.max(1.0)).log2();
    if (-0.2..0.5).contains(&off) {
        return Ok(quality);
    }
    // Sixteen qualities double the size, more or less; not all at once, as the next picture may be another.
    let step = (12.0 * off).round().clamp(-24.0, 12.0);
    let next = f64::from(quality.value()) + step;
    Quality::new(next.clamp(Quality::MIN.value().into(), Quality::MAX.value().into()) as u8)
}

/// One frame, coded again and again.
struct Trials<'a> {
    encoder: &'a mut Encoder,
    pack: &'a Pack,
    frame: &'a Frame,
    stamp: &'a Stamp,
    end: bool,
    first: bool,
}

impl Trials<'_> {
    fn code(&mut self, quality: Quality, thrift: f32, alone: bool) -> Result<Coded> {
        if !std::mem::take(&mut self.first) {
            self.encoder.step_back();
        }
        self.encoder.set_quality_and_thrift(quality, thrift);
        let mut latent = self.encoder.push(self.frame, self.end)?;
        if let Some(channels) = self.pack.channels() {
            latent.truncate(channels);
        }
        let packet = self.pack.pack(&latent, self.stamp, alone)?;
        Ok(Coded { latent, packet, budget: 0.0 })
    }

    /// As it comes; once more, coarser, if it takes far more than it may.
    fn once(&mut self, quality: Quality, budget: f64) -> Result<Coded> {
        let coded = self.code(quality, 0.0, false)?;
        if coded.bits() <= FAR_TOO_MUCH * budget || quality == Quality::MIN {
            return Ok(coded);
        }
        self.code(next_quality(quality, coded.bits(), budget)?, 0.0, true)
    }

    /// The next picture of a stream: at the quality before as long as that fits, since only then it
    /// may continue the picture before, and finer once what was `saved` pays for the change.
    fn next_of(&mut self, before: Quality, budget: f64, saved: f64) -> Result<Coded> {
        let same = self.code(before, 0.0, false)?;
        // What stands alone anyway, as in a scene that moves, is as large as it may be.
        if same.bits() > budget || same.packet.header.continues.is_none() {
            return self.nearest(before, budget);
        }
        if same.bits() < budget / 2.0 && before < Quality::MAX {
            // Sixteen qualities double the size, more or less; half of that is tried, then a little.
            let most = 8.0 * (budget / same.bits().max(1.0)).log2();
            for more in [most.min(32.0) as u8, FINER] {
                let finer = Quality::new((before.value() + more).min(Quality::MAX.value()))?;
                let finer = self.code(finer, 0.0, true)?;
                if finer.bits() <= saved {
                    return Ok(finer);
                }
            }
            return self.code(before, 0.0, false);
        }
        Ok(same)
    }

    /// Alone, at the quality and the rounding that come nearest to a size.
    fn nearest(&mut self, start: Quality, budget: f64) -> Result<Coded> {
        // The coarsest quality that is no smaller than it should be, or the finest.
        let (mut low, mut high) = (Quality::MIN.value(), Quality::MAX.value());
        let mut guess = start.value().min(high - 1);
        let mut best = None;
        while low < high {
            let coded = self.code(Quality::new(guess)?, 0.0, true)?;
            let bits = coded.bits();
            if bits >= budget {
                high = guess;
                best = Some(coded);
            } else {
                low = guess + 1;
            }
            // Sixteen qualities double the size, more or less.
            let next = f64::from(guess) + 16.0 * (budget / bits.max(1.0)).log2().clamp(-6.0, 6.0);
            guess = (next.round() as u8).clamp(low, high.saturating_sub(1).max(low));
        }
        let quality = Quality::new(high)?;
        let mut coded = match best {
            Some(best) if best.latent.quality == quality => best,
            _ => self.code(quality, 0.0, true)?,
        };
        // Between this quality and the next below, a little off every rounding.
        let (mut little, mut much, mut thrift) = (0.0, THRIFT, 0.0);
        for _ in 0..HALVINGS {
            let bits = coded.bits();
            if (bits - budget).abs() <= NEAR * budget || (thrift == 0.0 && bits < budget) {
                break;
            }
            *(if bits > budget { &mut little } else { &mut much }) = thrift;
            thrift = (little + much) / 2.0;
            coded = self.code(quality, thrift, true)?;
        }
        Ok(coded)
    }
}

impl Stage for Rated {
    fn name(&self) -> &str {
        "encode"
    }

    fn needs(&self) -> Parts {
        Parts::FRAME
    }

    fn makes(&self) -> Parts {
        Parts::LATENT | Parts::PACKET
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        self.pack.look();
        for item in batch {
            let Some(frame) = &item.frame else { continue };
            if item.stamp.stream != self.stream {
                self.last = None;
            }
            if item.stamp.stream != self.stream || item.stamp.index != self.next {
                // A sound whose end, or a part, was lost on the way must not run on into what follows.
                self.stream = item.stamp.stream;
                self.encoder.reset();
            }
            self.next = item.stamp.index + 1;
            let header = header(&self.encoder, frame, &item.stamp);
            let fits = check_fit(self.encoder.bundle(), frame.layout, frame.channels);
            let overhead = overhead(&header);
            match fits.and_then(|()| self.code(frame, item, overhead)) {
                Ok(coded) => {
                    if let Target::Density(_) = self.target {
                        item.warnings.extend(coded.miss());
                    }
                    item.header = Some(self::header(&self.encoder, frame, &item.stamp));
                    (item.latent, item.packet) = (Some(coded.latent), Some(coded.packet));
                    item.warnings.extend(given_up(&mut self.encoder));
                }
                Err(e @ Error::Device { .. }) => return Err(e),
                Err(e) => item.lose("encode", e),
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.encoder.reset();
        self.pack.reset();
        self.last = None;
    }
}
