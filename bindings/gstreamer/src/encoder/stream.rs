//! One recording in the making.

use std::sync::Arc;
use std::time::Duration;

use tamis::bitstream::{Before, Coder, Packer, PacketWriter, StreamHeader};
use tamis::codec::{Bundle, FrameRef, Latent, Layout, Quality, Stamp};
use tamis::runtime::Encoder;

/// Packets between two repetitions of the header, so that a stream joined late can be read.
const REPEAT: u64 = 32;

/// What is asked of the next packet.
pub struct Wish {
    pub quality: Quality,
    pub coder: Coder,
    /// Packets from one that stands alone to the next.
    pub keys: u64,
    /// It should stand alone, whatever its turn.
    pub alone: bool,
    /// The header should stand before it, whatever its turn.
    pub header: bool,
}

/// Encodes the pictures of one recording.
pub struct Stream {
    bundle: Arc<Bundle>,
    encoder: Encoder,
    quality: Quality,
    packer: Packer,
    writer: PacketWriter,
    /// The header that was written last.
    header: Option<StreamHeader>,
    /// Two latents that take turns: this picture's and the one before.
    latent: Latent,
    before: Latent,
    /// Place of the packet that `before` is of.
    continued: Option<u64>,
    index: u64,
    /// Packets since one that had to stand alone.
    since: u64,
}

impl Stream {
    /// A recording of the first `channels` channels of a bundle.
    ///
    /// # Errors
    /// `Shape` if `channels` is not the end of a group.
    pub fn new(bundle: Arc<Bundle>, channels: usize) -> tamis::Result<Self> {
        let quality = Quality::DEFAULT;
        let latent = Latent {
            codec: bundle.codec_id(),
            channels,
            grid: Vec::new(),
            extent: Vec::new(),
            span: Default::default(),
            quality,
            values: Vec::new(),
        };
        Ok(Self {
            encoder: Encoder::new(bundle.clone(), channels, quality)?,
            quality,
            packer: Packer::new(&bundle),
            bundle,
            writer: PacketWriter::new(),
            header: None,
            before: latent.clone(),
            latent,
            continued: None,
            index: 0,
            since: 0,
        })
    }

    /// The header of pictures of this layout.
    pub fn header(&self, layout: Layout) -> StreamHeader {
        let channels = if layout == Layout::Gray { 1 } else { 3 };
        StreamHeader::new(&self.bundle, layout, channels, &Stamp::default())
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Begins anew: what was written so far may not have arrived.
    pub fn reset(&mut self) {
        self.writer = PacketWriter::new();
        (self.header, self.continued) = (None, None);
        (self.index, self.since) = (0, 0);
    }

    /// The index; nothing if there was no packet. The next packet begins another recording.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        let writer = std::mem::take(&mut self.writer);
        let footer = (self.index > 0).then(|| writer.finish());
        self.reset();
        footer
    }

    /// The packet of the next picture with the headers that must stand before it, and whether it
    /// stands alone.
    ///
    /// # Errors
    /// Those of [`Encoder::push`] and [`Packer::pack`].
    pub fn push(
        &mut self,
        frame: FrameRef<'_>,
        captured: Duration,
        wish: &Wish,
    ) -> tamis::Result<(Vec<u8>, bool)> {
        if self.quality != wish.quality {
            self.quality = wish.quality;
            self.encoder.set_quality(wish.quality);
        }
        self.packer.set_coder(wish.coder);
        let header = self.header(frame.layout);
        self.encoder.push_into(frame, true, &mut self.latent)?;
        let new = self.header.as_ref() != Some(&header);
        let alone = wish.alone || new || self.since >= wish.keys;
        let before = self.continued.filter(|_| !alone);
        let before = before.map(|index| Before { index, latent: &self.before });
        let stamp = Stamp { index: self.index, captured, ..Stamp::default() };
        let packet = self.packer.pack(&self.bundle, &self.latent, stamp, before)?;
        let mut bytes = match new {
            true => self.writer.header(&header),
            false if wish.header || self.index.is_multiple_of(REPEAT) => {
                self.writer.repeat(&header)
            }
            false => Vec::new(),
        };
        bytes.extend(self.writer.packet(&packet));
        self.header = Some(header);
        self.since = if alone { 1 } else { self.since + 1 };
        if wish.keys > 1 {
            std::mem::swap(&mut self.latent, &mut self.before);
            self.continued = Some(self.index);
        } else {
            self.continued = None;
        }
        self.index += 1;
        Ok((bytes, packet.header.continues.is_none()))
    }
}
