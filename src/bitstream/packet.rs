//! Packets: one latent, cut into groups of channels.

use std::fmt;
use std::time::Duration;

use super::bytes::{Cursor, put_varint};
use super::dense::Group;
use super::fits::check_extent;
use super::group::{Coder, Coders, is_intact};
use super::header::StreamHeader;
use super::reader::Limits;
use crate::codec::{Bundle, Kind, Latent, Quality, Span, Stamp, plain};
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
    /// How its groups are coded.
    pub coder: Coder,
    /// The packet that some groups continue.
    pub continues: Option<Continues>,
    /// First group carried.
    pub first_group: usize,
    /// Bytes of each group carried.
    pub lengths: Vec<usize>,
}

/// Which packet of the same stream some groups continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Continues {
    /// How many places before it that packet stands in the stream; at least 1.
    pub back: u64,
    /// The groups that do, one bit each, the first group lowest.
    pub groups: u16,
}

/// The latent of an earlier packet and the place of that packet in its stream.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// Place of the packet.
    pub index: u64,
    /// Its latent, or what arrived of it.
    pub latent: &'a Latent,
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

/// Flags of a packet, below the number of its stream.
const SOUND: u64 = 1;
const RESET: u64 = 2;
const END: u64 = 4;
const FAST: u64 = 8;
const CONTINUES: u64 = 16;
const FLAG_BITS: u32 = 5;
/// Groups of a packet at most.
pub(super) const GROUPS: usize = 15;

impl Packet {
    /// Keeps the first `groups` of the groups carried.
    pub fn cut(&mut self, groups: usize) {
        if groups < self.header.lengths.len() {
            self.header.lengths.truncate(groups);
            let len = self.header.lengths.iter().sum::<usize>().min(self.payload.len());
            self.payload = self.payload[..len].into();
        }
    }

    /// Bytes of its record: head, groups and what frames them.
    pub fn bytes(&self) -> usize {
        let head = self.write_head().len();
        // Marker and kind, length of the head, its check sum.
        4 + if head < 128 { 1 } else { 2 } + head + 4 + self.payload.len()
    }

    /// Groups before the first that is damaged or not all there, as their check sums say.
    ///
    /// That an intact group continues one that did not arrive is for [`Packer::unpack`] to find.
    pub(super) fn intact_groups(&self, mut rest: &[u8]) -> usize {
        for (g, &len) in self.header.lengths.iter().enumerate() {
            let Some((group, behind)) = rest.split_at_checked(len) else { return g };
            if !is_intact(group) {
                return g;
            }
            rest = behind;
        }
        self.header.lengths.len()
    }

    pub(super) fn write_head(&self) -> Vec<u8> {
        let h = &self.header;
        let mut out = Vec::with_capacity(40);
        // Sound has a place, and sound channels are few.
        let sound = h.span != Span::default();
        let flags = [
            (sound, SOUND),
            (h.span.reset, RESET),
            (h.span.end, END),
            (h.coder == Coder::Fast, FAST),
            (h.continues.is_some(), CONTINUES),
        ];
        let flags: u64 = flags.iter().map(|&(set, bit)| u64::from(set) * bit).sum();
        put_varint(&mut out, u64::from(self.stamp.stream) << FLAG_BITS | flags);
        put_varint(&mut out, self.stamp.index);
        put_varint(&mut out, self.stamp.captured.as_micros() as u64);
        put_varint(&mut out, h.extent[0] as u64);
        put_varint(&mut out, h.extent[1] as u64);
        if sound {
            put_varint(&mut out, h.span.position);
        }
        out.push(h.quality.value());
        out.push((h.first_group << 4 | h.lengths.len()) as u8);
        if let Some(c) = h.continues {
            put_varint(&mut out, c.back);
            put_varint(&mut out, c.groups.into());
        }
        h.lengths.iter().for_each(|&n| put_varint(&mut out, n as u64));
        out
    }

    /// Reads a head; the payload is still empty.
    pub(super) fn read_head(mut c: Cursor<'_>, limits: &Limits) -> Result<Self> {
        let first = c.bounded("stream number", u64::from(u32::MAX) << FLAG_BITS | 31)?;
        let (stream, flags) = ((first >> FLAG_BITS) as u32, first & 31);
        let index = c.varint()?;
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
        let sound = flags & SOUND != 0;
        let position = if sound { c.bounded("position", 1 << 48)? } else { 0 };
        if !sound && flags & (RESET + END) != 0 {
            return Err(c.error("a picture with the ends of a sound"));
        }
        let quality = Quality::new(c.byte()?).map_err(|e| c.error(e))?;
        let groups = usize::from(c.byte()?);
        let (first_group, count) = (groups >> 4, groups & 15);
        if first_group + count > GROUPS {
            return Err(c.error(format!("groups {first_group}+{count}, limit {GROUPS}")));
        }
        let continues = match flags & CONTINUES != 0 {
            true => {
                let back = c.bounded("packets back", index)?;
                let groups = c.bounded("continued groups", u64::from(u16::MAX))? as u16;
                if back == 0 {
                    return Err(c.error("a packet that continues itself"));
                }
                Some(Continues { back, groups })
            }
            false => None,
        };
        let coder = if flags & FAST != 0 { Coder::Fast } else { Coder::Dense };
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
                coder,
                continues,
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
    coders: Coders,
    coder: Coder,
    groups: Vec<usize>,
}

/// Codes a latent into a packet of as many whole groups as its channels fill.
///
/// # Errors
/// `Bundle` if the latent is of another codec, `Shape` if its parts disagree or its channels end
/// inside a group.
pub fn pack(bundle: &Bundle, latent: &Latent, stamp: Stamp) -> Result<Packet> {
    Packer::new(bundle).pack(bundle, latent, stamp, None)
}

/// Decodes the groups of a packet that start at the first.
///
/// # Errors
/// `Bundle` if the stream is of another codec or its tables differ, `Bitstream` if the packet does
/// not start with the first group or is not of the kind its header says, `Limit` if the latent would
/// be too large.
pub fn unpack(bundle: &Bundle, header: &StreamHeader, packet: &Packet) -> Result<Unpacked> {
    Packer::new(bundle).unpack(bundle, header, packet, None, &Limits::default())
}

impl Packer {
    /// Prepares a bundle's tables; packs with the dense coder.
    pub fn new(bundle: &Bundle) -> Self {
        let coders = Coders::new(bundle);
        Self { coders, coder: Coder::default(), groups: bundle.groups.clone() }
    }

    /// Packs with this coder from now on. Packets say which one made them.
    pub fn set_coder(&mut self, coder: Coder) {
        self.coder = coder;
    }

    /// Codes a latent into a packet of as many whole groups as its channels fill; groups that are
    /// smaller so continue `before`, the latent of an earlier packet of the stream.
    ///
    /// A group continues another only with the dense coder, and if size, kind and quality of both
    /// latents are the same.
    ///
    /// # Errors
    /// As [`pack`].
    pub fn pack(
        &self,
        bundle: &Bundle,
        latent: &Latent,
        stamp: Stamp,
        before: Option<Before<'_>>,
    ) -> Result<Packet> {
        let [h, w] = latent.extent[..] else {
            return Err(Error::shape("latent extent", "2 axes", latent.extent.len()));
        };
        if latent.codec != bundle.codec_id() {
            let reason = format!("latent is of codec {}, not {}", latent.codec, bundle.codec_id());
            return Err(Error::bundle(&bundle.card.name, reason));
        }
        let (cells, grid) = (latent.cells(), grid_of(&latent.grid)?);
        if latent.values.len() != latent.channels * cells {
            let expected = latent.channels * cells;
            return Err(Error::shape("latent values", expected, latent.values.len()));
        }
        let (bytes, limit) = (2 * latent.values.len() as u64, Limits::default().latent_bytes);
        if bytes > limit {
            // No reader would take it.
            let what = "latent to pack, in bytes (fewer channels or smaller pictures take less),";
            return Err(Error::Limit { what: what.into(), limit, actual: bytes });
        }
        let count = self.groups.iter().filter(|&&end| end <= latent.channels).count();
        if count == 0 || self.groups[count - 1] != latent.channels {
            let expected = format!("one of {:?}", self.groups);
            return Err(Error::shape("channels to pack", expected, latent.channels));
        }
        let before = before.filter(|b| {
            let l = b.latent;
            self.coder == Coder::Dense
                && bundle.kind == Kind::Image
                && self.coders.dense.continues()
                && b.index < stamp.index
                && (l.codec, l.quality, &l.extent) == (latent.codec, latent.quality, &latent.extent)
        });
        let (mut first, mut lengths, mut payload) = (0, Vec::new(), Vec::new());
        let mut continued = 0;
        for (g, &end) in self.groups[..count].iter().enumerate() {
            let place = first * cells..end * cells;
            let group = Group { channels: first..end, grid, quality: latent.quality };
            let values = &latent.values[place.clone()];
            let old = before.and_then(|b| b.latent.values.get(place));
            let code = |old| self.coders.encode(self.coder, &group, values, old);
            let (bytes, continues) = match old.map(|old| (old, likeness(values, old))) {
                None | Some((_, Likeness::None)) => (code(None), false),
                Some((old, Likeness::Close)) => (code(Some(old)), true),
                Some((old, Likeness::Some)) => {
                    let (alone, after) = (code(None), code(Some(old)));
                    if after.len() < alone.len() { (after, true) } else { (alone, false) }
                }
            };
            // What codes to nothing stands alone.
            continued |= u16::from(continues && !bytes.is_empty()) << g;
            lengths.push(bytes.len());
            payload.extend(bytes);
            first = end;
        }
        let continues = match before {
            Some(b) if continued != 0 => {
                Some(Continues { back: stamp.index - b.index, groups: continued })
            }
            _ => None,
        };
        let header = PacketHeader {
            extent: [h, w],
            span: latent.span,
            quality: latent.quality,
            coder: self.coder,
            continues,
            first_group: 0,
            lengths,
        };
        Ok(Packet { stamp, header, payload: payload.into() })
    }

    /// As [`unpack`], within `limits`. Groups that continue an earlier packet need its latent: the
    /// one before, as it was unpacked. Without it, or if it differs, they are lost.
    ///
    /// # Errors
    /// As [`unpack`].
    pub fn unpack(
        &self,
        bundle: &Bundle,
        header: &StreamHeader,
        packet: &Packet,
        before: Option<Before<'_>>,
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
        // Neither id covers where groups end.
        if header.groups != self.groups {
            let reason = format!(
                "stream has groups that end at {:?}, this bundle at {:?}",
                header.groups, self.groups
            );
            return Err(Error::bundle(&bundle.card.name, reason));
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
        let cells: usize = grid.iter().product();
        let mut values = vec![0; channels * cells];
        let (mut first, mut at, mut good) = (0, 0, 0);
        let mut reason = None;
        for (g, (&end, &len)) in self.groups.iter().zip(&h.lengths).enumerate() {
            let bytes = packet.payload.get(at..at + len).unwrap_or(&[]);
            let place = first * cells..end * cells;
            let group = Group { channels: first..end, grid, quality: h.quality };
            let out = &mut values[place.clone()];
            let cursor = Cursor::new(bytes, at as u64);
            let decoded = match h.continues.filter(|c| c.groups >> g & 1 == 1) {
                None => self.coders.decode(h.coder, &group, cursor, len, None, out),
                Some(_) if !self.coders.dense.continues() || h.coder == Coder::Fast => {
                    Err(cursor.error("it continues a packet, which its coder cannot"))
                }
                Some(c) => continued(packet, c, before, &extent).and_then(|old| {
                    let old = old
                        .values
                        .get(place)
                        .ok_or_else(|| cursor.error("it continues a group that did not arrive"))?;
                    self.coders.decode(h.coder, &group, cursor, len, Some(old), out)
                }),
            };
            if let Err(e) = decoded {
                reason = Some(e.to_string());
                break;
            }
            (first, at, good) = (end, at + len, good + 1);
        }
        values.truncate(first * cells);
        let codec = bundle.codec_id();
        let (grid, span, quality) = (grid.to_vec(), h.span, h.quality);
        let grid = grid.to_vec();
        let latent = Latent { codec, channels: first, grid, extent, span, quality, values };
        Ok(Unpacked { latent, lost_groups: count - good, reason })
    }
}

/// How much a group is like that of an earlier packet.
enum Likeness {
    /// More differs than is there at all: it is smaller alone.
    None,
    /// It takes coding both to know.
    Some,
    /// Hardly anything differs.
    Close,
}

fn likeness(values: &[i16], old: &[i16]) -> Likeness {
    let size = |v: i32| u64::from(v.unsigned_abs().min(16));
    let (mut alone, mut after) = (0, 0);
    for (&v, &o) in values.iter().zip(old) {
        alone += size(v.into());
        after += size(i32::from(v) - i32::from(o));
    }
    match () {
        _ if after > alone => Likeness::None,
        _ if 4 * after < alone => Likeness::Close,
        _ => Likeness::Some,
    }
}

/// Rows and columns of a grid.
fn grid_of(grid: &[usize]) -> Result<[usize; 2]> {
    grid.try_into().map_err(|_| Error::shape("latent grid", "2 axes", grid.len()))
}

/// The latent that some groups of a packet continue, if it is the one at hand.
fn continued<'a>(
    packet: &Packet,
    continues: Continues,
    before: Option<Before<'a>>,
    extent: &[usize],
) -> Result<&'a Latent> {
    let index = packet.stamp.index - continues.back;
    let reason = match before {
        Some(b) if b.index == index && b.latent.extent == extent => return Ok(b.latent),
        Some(b) if b.index == index => format!("it continues packet {index} of another size"),
        Some(b) => format!("it continues packet {index}, the last that arrived is {}", b.index),
        None => format!("it continues packet {index}, which did not arrive"),
    };
    Err(Error::Bitstream { offset: 0, reason })
}
