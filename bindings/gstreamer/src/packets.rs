//! The packets of one stream, read to latents.

use std::sync::Arc;

use tamis::bitstream::{Before, Event, Limits, Packer, Packet, PacketReader, StreamHeader};
use tamis::codec::{Bundle, Latent, Layout};
use tamis::runtime::{find_bundle, find_codec};

/// Where a buffer stands in its stream is not known: so far behind its start that an index of any
/// length has room before it.
const ANYWHERE: u64 = 1 << 62;

/// Where the records in a buffer led to.
pub enum Read {
    /// A latent is ready.
    Latent,
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
    pub fn because(&mut self, reason: impl Into<String>) {
        self.reason.get_or_insert_with(|| reason.into());
    }
}

/// Reads the packets of one stream of pictures.
pub struct Packets {
    header: StreamHeader,
    bundle: Arc<Bundle>,
    packer: Packer,
    /// Place of the next packet, if one came.
    next: Option<u64>,
    /// The packet that was read last: its place, and its latent.
    last: Option<(u64, Latent)>,
}

impl Packets {
    /// Finds the codec that made a stream: `bundle`, if it is named.
    ///
    /// # Errors
    /// In words, if there is none, or if it is not one of pictures.
    pub fn open(header: StreamHeader, bundle: Option<&str>) -> Result<Self, String> {
        match header.layout {
            Layout::Gray | Layout::Rgb => {}
            Layout::Audio { .. } => {
                return Err(
                    "the stream is sound, these elements read pictures; use `tamis decode` \
                            or `tamis infer`"
                        .into(),
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
        let bundle = match bundle {
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
        let packer = Packer::new(&bundle);
        Ok(Self { header, bundle: Arc::new(bundle), packer, next: None, last: None })
    }

    /// Takes a repeated or changed header; returns whether it could. If not, the stream is another.
    pub fn go_on(&mut self, header: &StreamHeader) -> bool {
        let same = (self.header.codec, self.header.tables) == (header.codec, header.tables)
            && matches!(header.layout, Layout::Gray | Layout::Rgb);
        if same && self.header != *header {
            self.header = header.clone();
        }
        same
    }

    /// The header.
    pub fn header(&self) -> &StreamHeader {
        &self.header
    }

    /// The codec.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// The latent that was read last, and its place in the stream.
    pub fn last(&self) -> Option<&(u64, Latent)> {
        self.last.as_ref()
    }

    /// Forgets the last packet: the next that is read stands alone.
    pub fn reset(&mut self) {
        (self.next, self.last) = (None, None);
    }

    /// Reads the first so many groups of a packet.
    pub fn unpack(&mut self, mut packet: Packet, groups: usize, missing: &mut Missing) -> Read {
        let index = packet.stamp.index;
        if packet.header.continues.is_some() && self.last.is_none() {
            return Read::Early;
        }
        let gap = self.next.map_or(0, |next| index.saturating_sub(next));
        self.next = Some(index.saturating_add(1));
        if gap > 0 {
            missing.packets += gap;
            missing.because(format!("{gap} packets before packet {index} did not arrive"));
        }
        packet.cut(groups);
        let before = self.last.as_ref().map(|(index, latent)| Before { index: *index, latent });
        let limits = Limits::default();
        let unpacked = self.packer.unpack(&self.bundle, &self.header, &packet, before, &limits);
        let unpacked = match unpacked {
            Ok(unpacked) => unpacked,
            Err(e) => {
                missing.because(format!("packet {index}: {e}"));
                return Read::Lost;
            }
        };
        let whole = unpacked.latent.channels > 0;
        if unpacked.lost_groups > 0 || !whole {
            missing.groups += unpacked.lost_groups as u64;
            let why = unpacked.reason.unwrap_or_else(|| "it has no groups".into());
            missing.because(format!("packet {index}: {why}"));
        }
        self.last = Some((index, unpacked.latent));
        if whole { Read::Latent } else { Read::Lost }
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
