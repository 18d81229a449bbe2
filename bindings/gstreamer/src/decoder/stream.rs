//! One stream of packets, read.

use std::sync::Arc;

use tamis::bitstream::{Before, Event, Limits, Packer, Packet, PacketReader, StreamHeader};
use tamis::codec::{Bundle, Frame, Latent, Layout, Samples};
use tamis::runtime::{Decoder, decoders_of, find_bundle, find_codec, find_decoder};

use super::DecoderName;

/// Where a buffer stands in its stream is not known: so far behind its start that an index of any
/// length has room before it.
const ANYWHERE: u64 = 1 << 62;

/// What is asked of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// The codec, of streams that no shipped bundle made.
    pub bundle: Option<String>,
    /// Channels read; 0 is all.
    pub channels: u32,
    /// Groups read; 0 is all.
    pub groups: u32,
    pub decoder: DecoderName,
}

/// Where the records in a buffer led to.
pub enum Read {
    /// A picture is ready to be decoded.
    Picture,
    /// There was no packet: headers or the index.
    Nothing,
    /// The packet continues one from before this stream was joined.
    Early,
    /// Nothing is left of the packet.
    Lost,
}

/// What was missing, beside what [`Read`] says.
#[derive(Debug, Default)]
pub struct Missing {
    pub packets: u64,
    pub groups: u64,
    pub bytes: u64,
    /// In words, of the first of them.
    pub reason: Option<String>,
}

impl Missing {
    fn because(&mut self, reason: impl Into<String>) {
        self.reason.get_or_insert_with(|| reason.into());
    }
}

/// Reads the packets of one stream.
pub struct Stream {
    header: StreamHeader,
    bundle: Arc<Bundle>,
    packer: Packer,
    decoder: Decoder,
    wish: Wish,
    /// Groups that are read of every packet.
    groups: usize,
    /// Place of the next packet, if one came.
    next: Option<u64>,
    /// The packet that was read last: its place, and its latent.
    last: Option<(u64, Latent)>,
    frame: Frame,
}

impl Stream {
    /// Finds the codec that made a stream.
    ///
    /// # Errors
    /// In words, if there is none, if it is not one of pictures, or does not have what is wished.
    pub fn open(header: StreamHeader, wish: &Wish) -> Result<Self, String> {
        match header.layout {
            Layout::Gray | Layout::Rgb => {}
            Layout::Audio { .. } => {
                return Err(
                    "the stream is sound, tamisdec decodes pictures; use `tamis decode`".into()
                );
            }
            Layout::Bands { .. } => {
                return Err(
                    "the stream has bands, which are no picture to show; choose three with \
                            `tamis decode --bands`"
                        .into(),
                );
            }
        }
        let bundle = match &wish.bundle {
            Some(name) => find_bundle(name).map_err(|e| format!("bundle: {e}"))?,
            None => find_codec(header.codec, &header.bundle)
                .map_err(|e| format!("{e} (here: the property bundle)"))?,
        };
        if bundle.codec_id() != header.codec {
            return Err(format!(
                "bundle is {}, codec {}; the stream was made by {}, codec {}",
                bundle.card.name,
                bundle.codec_id(),
                header.bundle,
                header.codec
            ));
        }
        let bundle = Arc::new(bundle);
        let (groups, decoder) = prepare(&bundle, wish)?;
        let frame = Frame {
            layout: header.layout,
            channels: 0,
            extent: Vec::new(),
            samples: Samples::U8(Vec::new()),
        };
        let packer = Packer::new(&bundle);
        Ok(Self {
            header,
            bundle,
            packer,
            decoder,
            wish: wish.clone(),
            groups,
            next: None,
            last: None,
            frame,
        })
    }

    /// Takes another wish, which the next packet that stands alone is read by: what others continue
    /// may not have been read.
    ///
    /// # Errors
    /// As [`Self::open`].
    fn take(&mut self, wish: &Wish) -> Result<(), String> {
        if self.wish != *wish {
            (self.groups, self.decoder) = prepare(&self.bundle, wish)?;
            self.wish = wish.clone();
        }
        Ok(())
    }

    /// The header.
    pub fn header(&self) -> &StreamHeader {
        &self.header
    }

    /// Takes a repeated or changed header.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn set_header(&mut self, header: StreamHeader) -> Result<(), String> {
        let same = |a: &StreamHeader, b: &StreamHeader| (a.codec, a.tables) == (b.codec, b.tables);
        match same(&self.header, &header) && matches!(header.layout, Layout::Gray | Layout::Rgb) {
            true => self.header = header,
            false => *self = Self::open(header, &self.wish)?,
        }
        Ok(())
    }

    /// Forgets the last packet: the next that is read stands alone.
    pub fn reset(&mut self) {
        (self.next, self.last) = (None, None);
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn unpack(
        &mut self,
        mut packet: Packet,
        wish: &Wish,
        missing: &mut Missing,
    ) -> Result<Read, String> {
        let index = packet.stamp.index;
        if packet.header.continues.is_none() {
            self.take(wish)?;
        } else if self.last.is_none() {
            return Ok(Read::Early);
        }
        let gap = self.next.map_or(0, |next| index.saturating_sub(next));
        self.next = Some(index.saturating_add(1));
        if gap > 0 {
            missing.packets += gap;
            missing.because(format!("{gap} packets before packet {index} did not arrive"));
        }
        packet.cut(self.groups);
        let before = self.last.as_ref().map(|(index, latent)| Before { index: *index, latent });
        let limits = Limits::default();
        let unpacked = self.packer.unpack(&self.bundle, &self.header, &packet, before, &limits);
        let unpacked = match unpacked {
            Ok(unpacked) => unpacked,
            Err(e) => {
                missing.because(format!("packet {index}: {e}"));
                return Ok(Read::Lost);
            }
        };
        let whole = unpacked.latent.channels > 0;
        if unpacked.lost_groups > 0 || !whole {
            missing.groups += unpacked.lost_groups as u64;
            let why = unpacked.reason.unwrap_or_else(|| "it has no groups".into());
            missing.because(format!("packet {index}: {why}"));
        }
        self.last = Some((index, unpacked.latent));
        Ok(if whole { Read::Picture } else { Read::Lost })
    }

    /// The picture of the packet that was read last.
    ///
    /// # Errors
    /// In words, if a neural decoder fails on it.
    pub fn picture(&mut self) -> Result<&Frame, String> {
        let (_, latent) = self.last.as_ref().ok_or("no packet was read")?;
        self.decoder
            .push_into(latent, self.header.layout, &mut self.frame)
            .map_err(|e| e.to_string())?;
        Ok(&self.frame)
    }

    /// What the picture of the packet that was read last will be: gray or colours, height, width.
    pub fn shape(&self) -> Option<(bool, [usize; 2])> {
        let gray = self.header.layout == Layout::Gray || self.bundle.inputs == 1;
        let (_, latent) = self.last.as_ref()?;
        Some((gray, [*latent.extent.first()?, *latent.extent.get(1)?]))
    }
}

/// The records in a buffer.
///
/// # Errors
/// In words, if there is more than one packet.
pub fn records(
    bytes: &[u8],
    missing: &mut Missing,
) -> Result<(Option<StreamHeader>, Option<Packet>), String> {
    let mut reader = PacketReader::midway_at(ANYWHERE, Limits::default());
    reader.push(bytes);
    reader.finish();
    let (mut header, mut packet) = (None, None);
    while let Some(event) = reader.next_event().map_err(|e| e.to_string())? {
        match event {
            Event::Header(h) => header = Some(h),
            Event::Packet(_) if packet.is_some() => {
                return Err("a buffer holds more than one packet; put tamisparse before".into());
            }
            Event::Packet(p) => packet = Some(p),
            Event::Footer(_) => {}
            Event::Damage { bytes, reason, .. } => {
                missing.bytes += bytes;
                missing.because(format!("{bytes} bytes of a buffer are no record: {reason}"));
            }
        }
    }
    Ok((header, packet))
}

/// Groups that are read, and the decoder of their channels.
fn prepare(bundle: &Arc<Bundle>, wish: &Wish) -> Result<(usize, Decoder), String> {
    let ends = &bundle.groups;
    let by_groups = match wish.groups as usize {
        0 => ends.len(),
        n if n <= ends.len() => n,
        n => return Err(format!("groups is {n}, the bundle has {}; 0 reads all", ends.len())),
    };
    let by_channels = match wish.channels as usize {
        0 => ends.len(),
        n => {
            1 + ends
                .iter()
                .position(|&end| end == n)
                .ok_or_else(|| format!("channels is {n}, expected one of {ends:?}, or 0 for all"))?
        }
    };
    let groups = by_groups.min(by_channels);
    let channels = ends[groups - 1];
    let Some(size) = wish.decoder.size() else {
        return Ok((groups, Decoder::new(bundle.clone(), channels)));
    };
    let neural = find_decoder(bundle, size).map_err(|e| format!("decoder: {e}"))?;
    let neural = neural.ok_or_else(|| {
        let names: String = decoders_of(bundle).map(|size| format!(", {}", size.name())).collect();
        format!("decoder is {}, bundle {} has linear{names}", size.name(), bundle.card.name)
    })?;
    Decoder::with_neural(bundle.clone(), channels, Arc::new(neural))
        .map(|decoder| (groups, decoder))
        .map_err(|e| format!("decoder: {e}"))
}
