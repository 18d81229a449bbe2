//! Latents to packets and back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bitstream::{Before, Coder, Limits, Packer, Packet};
use crate::codec::{Bundle, Kind, Latent, Layout, Stamp};
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::ladder::Ladder;
use crate::pipeline::line::Stage;
use crate::pipeline::media::check_sound_shape;
use crate::pipeline::warning::Warning;

/// Packets from one that stands alone to the next, if nobody says otherwise.
pub const KEYS: u64 = 32;
/// Streams whose last latents are kept, and bytes of all of them: what a few bytes may ask for.
const STREAMS: usize = 64;
const BYTES: usize = 1 << 29;

/// The last latent of every stream, for packets that continue it.
#[derive(Debug, Default)]
struct Last {
    /// By stream: the packet's place, packets since the first, the latent.
    latents: BTreeMap<u32, (u64, u64, Latent)>,
}

impl Last {
    fn before(&self, stream: u32) -> Option<Before<'_>> {
        let (index, _, latent) = self.latents.get(&stream)?;
        Some(Before { index: *index, latent })
    }

    fn keep(&mut self, stream: u32, index: u64, since: u64, latent: Latent) {
        self.latents.insert(stream, (index, since, latent));
        let size = |l: &(u64, u64, Latent)| 2 * l.2.values.len();
        // The lowest numbers go first: recordings number the streams that begin later higher.
        while self.latents.len() > STREAMS || self.latents.values().map(size).sum::<usize>() > BYTES
        {
            self.latents.pop_first();
        }
    }
}

/// Latents to packets.
#[derive(Debug)]
pub struct Pack {
    bundle: Arc<Bundle>,
    packer: Packer,
    keys: u64,
    /// Set where the next packet should stand alone.
    wish: Arc<AtomicBool>,
    /// Set by whoever finds that a packet went no further.
    broken: Arc<AtomicBool>,
    ladder: Option<Arc<Ladder>>,
    last: Last,
}

impl Pack {
    /// Packs latents of `bundle`; every [`KEYS`]-th packet of a stream stands alone.
    pub fn new(bundle: Arc<Bundle>) -> Self {
        let packer = Packer::new(&bundle);
        Self {
            bundle,
            packer,
            keys: KEYS,
            wish: Arc::default(),
            broken: Arc::default(),
            ladder: None,
            last: Last::default(),
        }
    }

    /// Uses the coder that the rung of a ladder says.
    pub fn ladder(mut self, ladder: Option<Arc<Ladder>>) -> Self {
        self.ladder = ladder;
        self
    }

    /// Looks at the ladder, and whether a packet was lost.
    pub(super) fn look(&mut self) {
        if self.broken.swap(false, Ordering::Relaxed) {
            self.last = Last::default();
        }
        if let Some(ladder) = &self.ladder {
            self.packer.set_coder(ladder.rung().coder);
        }
    }

    /// Channels that the rung of the ladder codes, if there is one.
    pub(super) fn channels(&self) -> Option<usize> {
        self.ladder.as_ref().map(|ladder| ladder.rung().channels)
    }

    /// Lets packets stand alone while `wish` is set.
    pub fn wish(mut self, wish: Arc<AtomicBool>) -> Self {
        self.wish = wish;
        self
    }

    /// Lets no packet continue those before `broken` was set: one of them is lost.
    pub fn broken(mut self, broken: Arc<AtomicBool>) -> Self {
        self.broken = broken;
        self
    }

    /// Codes with this coder.
    pub fn coder(mut self, coder: Coder) -> Self {
        self.packer.set_coder(coder);
        self
    }

    /// Lets every `keys`-th packet stand alone; 1 is all of them.
    pub fn keys(mut self, keys: u64) -> Self {
        self.keys = keys.max(1);
        self
    }

    /// Packs one latent, as a continuation of the last that was kept where that is smaller, or alone.
    pub(super) fn pack(&self, latent: &Latent, stamp: &Stamp, alone: bool) -> Result<Packet> {
        let wished = self.wish.load(Ordering::Relaxed);
        let key = alone || wished || self.since(stamp).is_multiple_of(self.keys);
        let before = self.last.before(stamp.stream).filter(|_| !key);
        self.packer.pack(&self.bundle, latent, stamp.clone(), before)
    }

    /// Keeps a latent that was packed, for the next of its stream.
    pub(super) fn keep(&mut self, stamp: &Stamp, latent: &Latent) {
        if self.keys > 1 && self.bundle.kind == Kind::Image {
            self.last.keep(stamp.stream, stamp.index, self.since(stamp), latent.clone());
        }
    }

    /// Packets since the first of a stream.
    fn since(&self, stamp: &Stamp) -> u64 {
        self.last.latents.get(&stamp.stream).map_or(0, |l| l.1 + 1)
    }
}

impl Stage for Pack {
    fn name(&self) -> &str {
        "pack"
    }

    fn needs(&self) -> Parts {
        Parts::LATENT
    }

    fn makes(&self) -> Parts {
        Parts::PACKET
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        self.look();
        for item in batch {
            let Some(latent) = &item.latent else { continue };
            match self.pack(latent, &item.stamp, false) {
                Ok(packet) => {
                    self.keep(&item.stamp, latent);
                    item.packet = Some(packet);
                }
                Err(e) => item.lose("pack", e),
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.last = Last::default();
    }
}

/// Packets to latents.
#[derive(Debug)]
pub struct Unpack {
    bundle: Arc<Bundle>,
    packer: Packer,
    limits: Limits,
    channels: usize,
    last: Last,
}

impl Unpack {
    /// Unpacks packets of `bundle`.
    pub fn new(bundle: Arc<Bundle>, limits: Limits) -> Self {
        let packer = Packer::new(&bundle);
        Self { bundle, packer, limits, channels: usize::MAX, last: Last::default() }
    }

    /// Keeps the first `channels` channels only.
    pub fn keeping(mut self, channels: Option<usize>) -> Self {
        self.channels = channels.unwrap_or(usize::MAX);
        self
    }
}

impl Stage for Unpack {
    fn name(&self) -> &str {
        "unpack"
    }

    fn needs(&self) -> Parts {
        Parts::PACKET
    }

    fn makes(&self) -> Parts {
        Parts::LATENT
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            let Some(packet) = &item.packet else { continue };
            let Some(header) = &item.header else {
                item.lose("unpack", "the packet's stream has no header");
                continue;
            };
            // No file could hold other sound.
            let shape = match header.layout {
                Layout::Audio { rate } => check_sound_shape(&item.name, rate, header.channels),
                Layout::Gray | Layout::Rgb | Layout::Bands { .. } => Ok(()),
            };
            let stream = packet.stamp.stream;
            let unpack = || {
                let before = self.last.before(stream);
                self.packer.unpack(&self.bundle, header, packet, before, &self.limits)
            };
            match shape.and_then(|()| unpack()) {
                Ok(unpacked) => {
                    let mut latent = unpacked.latent;
                    let (all, lost) = (packet.header.lengths.len(), unpacked.lost_groups);
                    let which = format!("packet {} of stream {stream}", packet.stamp.index);
                    if self.bundle.kind == Kind::Image {
                        self.last.keep(stream, packet.stamp.index, 0, latent.clone());
                    }
                    if latent.channels == 0 {
                        let why = unpacked.reason.unwrap_or("it has no groups".into());
                        item.lose("unpack", format!("{which}: {why}"));
                        continue;
                    }
                    if let Some(reason) = unpacked.reason {
                        let text = format!("{which}: {lost} of {all} groups lost: {reason}");
                        item.warnings.push(Warning::missing(text));
                    }
                    latent.truncate(self.channels);
                    item.latent = Some(latent);
                }
                Err(e) => item.lose("unpack", e),
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.last = Last::default();
    }
}
