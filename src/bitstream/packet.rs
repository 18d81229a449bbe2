//! Packets: one latent, cut into groups of channels.

use std::fmt;
use std::time::Duration;

use super::bytes::{Cursor, put_varint};
use super::group::Coder;
use super::header::StreamHeader;
use super::reader::Limits;
use crate::codec::{Bundle, Kind, Latent, Layout, Quality, Span, Stamp, plain};
use crate::error::{Error, Result};

/// Everything a packet says before its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketHeader {
    /// Height and width, or channels and time steps.
    pub extent: [usize; 2],
    /// Place of a sound packet in its stream.
    pub span: Span,
    /// Rate control used.
    pub quality: Quality,
    /// First group carried.
    pub first_group: usize,
    /// Bytes of each group carried.
    pub lengths: Vec<usize>,
}

/// One latent in bytes: a header and its groups. It may be cut after any group.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    /// Stream, place and time.
    pub stamp: Stamp,
    /// What stands before the groups.
    pub header: PacketHeader,
    /// The groups, one after the other.
    pub payload: Box<[u8]>,
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("stamp", &self.stamp)
            .field("header", &self.header)
            .field("payload", &format_args!("<{} bytes>", self.payload.len()))
            .finish()
    }
}

const RESET: u8 = 1;
const END: u8 = 2;

impl Packet {
    /// Keeps the first `groups` of the groups carried.
    pub fn cut(&mut self, groups: usize) {
        if groups < self.header.lengths.len() {
            self.header.lengths.truncate(groups);
            let len = self.header.lengths.iter().sum();
            self.payload = self.payload[..len].into();
        }
    }

    pub(super) fn write_head(&self) -> Vec<u8> {
        let h = &self.header;
        let mut out = Vec::with_capacity(40);
        put_varint(&mut out, u64::from(self.stamp.stream));
        put_varint(&mut out, self.stamp.index);
        out.push(u8::from(h.span.reset) * RESET + u8::from(h.span.end) * END);
        put_varint(&mut out, self.stamp.captured.as_micros() as u64);
        put_varint(&mut out, h.extent[0] as u64);
        put_varint(&mut out, h.extent[1] as u64);
        put_varint(&mut out, h.span.position);
        out.push(h.quality.value());
        out.push(h.first_group as u8);
        out.push(h.lengths.len() as u8);
        h.lengths.iter().for_each(|&n| put_varint(&mut out, n as u64));
        out
    }

    /// Reads a head; the payload is still empty.
    pub(super) fn read_head(mut c: Cursor<'_>, limits: &Limits) -> Result<Self> {
        let stream = c.bounded("stream number", u64::from(u32::MAX))? as u32;
        let index = c.varint()?;
        let flags = c.byte()?;
        let captured = Duration::from_micros(c.varint()?);
        let extent = [
            c.bounded("extent", limits.positions)? as usize,
            c.bounded("extent", limits.positions)? as usize,
        ];
        let positions = extent[0] as u64 * extent[1] as u64;
        if positions > limits.positions {
            let reason = format!("{extent:?} samples, limit {} in all", limits.positions);
            return Err(c.error(reason));
        }
        let position = c.bounded("position", 1 << 48)?;
        let quality = Quality::new(c.byte()?).map_err(|e| c.error(e))?;
        let (first_group, count) = (usize::from(c.byte()?), usize::from(c.byte()?));
        if first_group + count > 16 || flags > RESET + END {
            return Err(c.error(format!("groups {first_group}+{count}, flags {flags}")));
        }
        let mut lengths = Vec::with_capacity(count);
        let mut left = limits.packet_bytes;
        for _ in 0..count {
            let len = c.bounded("group length", left)?;
            left -= len;
            lengths.push(len as usize);
        }
        c.end()?;
        Ok(Self {
            stamp: Stamp { stream, index, captured, ..Stamp::default() },
            header: PacketHeader {
                extent,
                span: Span { position, reset: flags & RESET != 0, end: flags & END != 0 },
                quality,
                first_group,
                lengths,
            },
            payload: Box::default(),
        })
    }
}

/// A latent read back from a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The channels of the groups that were there and whole.
    pub latent: Latent,
    /// Groups carried but damaged, or behind a damaged one.
    pub lost_groups: usize,
    /// Why the first of them is lost.
    pub reason: Option<String>,
}

/// Packs and unpacks the latents of one bundle.
#[derive(Debug, Clone)]
pub struct Packer {
    coder: Coder,
    groups: Vec<usize>,
}

/// Codes a latent into a packet of as many whole groups as its channels fill.
///
/// # Errors
/// `Bundle` if the latent is of another codec, `Shape` if its parts disagree or its channels end
/// inside a group.
pub fn pack(bundle: &Bundle, latent: &Latent, stamp: Stamp) -> Result<Packet> {
    Packer::new(bundle).pack(bundle, latent, stamp)
}

/// Decodes the groups of a packet that start at the first.
///
/// # Errors
/// `Bundle` if the stream is of another codec or its tables differ, `Bitstream` if the packet does
/// not start with the first group or is not of the kind its header says, `Limit` if the latent would
/// be too large.
pub fn unpack(bundle: &Bundle, header: &StreamHeader, packet: &Packet) -> Result<Unpacked> {
    Packer::new(bundle).unpack(bundle, header, packet, &Limits::default())
}

impl Packer {
    /// Prepares a bundle's tables.
    pub fn new(bundle: &Bundle) -> Self {
        Self { coder: Coder::new(&bundle.tables), groups: bundle.groups.clone() }
    }

    /// As [`pack`].
    ///
    /// # Errors
    /// As [`pack`].
    pub fn pack(&self, bundle: &Bundle, latent: &Latent, stamp: Stamp) -> Result<Packet> {
        let [h, w] = latent.extent[..] else {
            return Err(Error::shape("latent extent", "2 axes", latent.extent.len()));
        };
        if latent.codec != bundle.codec_id() {
            let reason = format!("latent is of codec {}, not {}", latent.codec, bundle.codec_id());
            return Err(Error::bundle(&bundle.card.name, reason));
        }
        let cells = latent.cells();
        if latent.values.len() != latent.channels * cells {
            let expected = latent.channels * cells;
            return Err(Error::shape("latent values", expected, latent.values.len()));
        }
        let count = self.groups.iter().filter(|&&end| end <= latent.channels).count();
        if count == 0 || self.groups[count - 1] != latent.channels {
            let expected = format!("one of {:?}", self.groups);
            return Err(Error::shape("channels to pack", expected, latent.channels));
        }
        let (mut first, mut lengths, mut payload) = (0, Vec::new(), Vec::new());
        for &end in &self.groups[..count] {
            let values = &latent.values[first * cells..end * cells];
            let group = self.coder.encode(first, cells, latent.quality, values);
            lengths.push(group.len());
            payload.extend(group);
            first = end;
        }
        let header = PacketHeader {
            extent: [h, w],
            span: latent.span,
            quality: latent.quality,
            first_group: 0,
            lengths,
        };
        Ok(Packet { stamp, header, payload: payload.into() })
    }

    /// As [`unpack`], within `limits`.
    ///
    /// # Errors
    /// As [`unpack`].
    pub fn unpack(
        &self,
        bundle: &Bundle,
        header: &StreamHeader,
        packet: &Packet,
        limits: &Limits,
    ) -> Result<Unpacked> {
        for (what, stream, ours) in [
            ("codec", header.codec, bundle.codec_id()),
            ("entropy tables", header.tables, bundle.tables_id()),
        ] {
            if stream != ours {
                let reason = format!(
                    "stream has {what} {stream} (bundle {:?}), this bundle has {ours}",
                    header.bundle
                );
                return Err(Error::bundle(&bundle.card.name, reason));
            }
        }
        check_extent(bundle, header, packet, limits)?;
        let h = &packet.header;
        let extent = h.extent.to_vec();
        let count = h.lengths.len();
        if h.first_group != 0 || count > self.groups.len() {
            let reason = format!("groups {}+{count} of {}", h.first_group, self.groups.len());
            return Err(Error::Bitstream { offset: 0, reason });
        }
        let grid = plain::grid(bundle, &extent)?;
        let cells = grid.iter().try_fold(1u64, |n, &g| n.checked_mul(g as u64));
        let channels = count.checked_sub(1).map_or(0, |last| self.groups[last]);
        let bytes = cells.and_then(|n| n.checked_mul(2 * channels as u64)).unwrap_or(u64::MAX);
        if bytes > limits.latent_bytes {
            let what = "latent of a packet, in bytes,".into();
            return Err(Error::Limit { what, limit: limits.latent_bytes, actual: bytes });
        }
        let cells = grid.iter().product();
        let mut values = vec![0; channels * cells];
        let (mut first, mut at, mut good) = (0, 0, 0);
        let mut reason = None;
        for (&end, &len) in self.groups.iter().zip(&h.lengths) {
            let group = packet.payload.get(at..at + len).unwrap_or(&[]);
            let out = &mut values[first * cells..end * cells];
            let cursor = Cursor::new(group, at as u64);
            if let Err(e) = self.coder.decode(first, cells, h.quality, cursor, len, out) {
                reason = Some(e.to_string());
                break;
            }
            (first, at, good) = (end, at + len, good + 1);
        }
        values.truncate(first * cells);
        let codec = bundle.codec_id();
        let (grid, span, quality) = (grid.to_vec(), h.span, h.quality);
        let latent = Latent { codec, channels: first, grid, extent, span, quality, values };
        Ok(Unpacked { latent, lost_groups: count - good, reason })
    }
}

/// Refuses a packet that is not what its stream's header and the bundle say.
fn check_extent(
    bundle: &Bundle,
    header: &StreamHeader,
    packet: &Packet,
    limits: &Limits,
) -> Result<()> {
    let [first, second] = packet.header.extent;
    let wrong = |reason| Err(Error::Bitstream { offset: 0, reason });
    match (bundle.kind, header.layout) {
        (Kind::Image, Layout::Audio { .. }) | (Kind::Audio, Layout::Gray | Layout::Rgb) => {
            let (kind, layout) = (bundle.kind, header.layout);
            let reason = format!("the stream holds {layout:?}, the bundle codes {kind:?}");
            Err(Error::bundle(&bundle.card.name, reason))
        }
        (Kind::Image, _) if first == 0 || second == 0 => {
            wrong(format!("a picture of {second}x{first} pixels, 1x1 at least is needed"))
        }
        (Kind::Audio, _) if first != header.channels => {
            let channels = header.channels;
            wrong(format!("sound of {first} channels, its stream's header says {channels}"))
        }
        (Kind::Audio, _) if (first as u64).saturating_mul(second as u64) > limits.sound => {
            let what = format!("time steps times channels of a sound packet, {second} x {first},");
            let actual = (first as u64).saturating_mul(second as u64);
            Err(Error::Limit { what, limit: limits.sound, actual })
        }
        _ => Ok(()),
    }
}
