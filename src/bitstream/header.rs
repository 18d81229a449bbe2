//! What a stream says of itself: header and footer.

use std::time::{Duration, SystemTime};

use super::bytes::{Cursor, put_text, put_varint};
use super::packet::GROUPS;
use crate::codec::{BANDS, Bundle, CodecId, Depth, Layout, Stamp};
use crate::error::Result;

/// Version of the layout that this code reads and writes.
pub(super) const VERSION: u8 = 2;

/// Bytes of the smallest packet record.
const PACKET: u64 = 16;

/// Opens a stream, and may be repeated in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamHeader {
    /// Number of the stream in its recording.
    pub stream: u32,
    /// What the frames were.
    pub layout: Layout,
    /// Channels of the frames.
    pub channels: usize,
    /// The codec that made the latents.
    pub codec: CodecId,
    /// The entropy tables that code them.
    pub tables: CodecId,
    /// Ends of the groups of channels.
    pub groups: Vec<usize>,
    /// Wall clock at capture time 0.
    pub utc: Option<SystemTime>,
    /// Identifies the boot that capture times count from; 0 for files.
    pub boot: u64,
    /// Name of the bundle, for people.
    pub bundle: String,
    /// Device that encoded, for people.
    pub device: String,
}

impl StreamHeader {
    /// The header of a stream whose first frame has this stamp and layout.
    pub fn new(bundle: &Bundle, layout: Layout, channels: usize, first: &Stamp) -> Self {
        Self {
            stream: first.stream,
            layout,
            channels,
            codec: bundle.codec_id(),
            tables: bundle.tables_id(),
            groups: bundle.groups.clone(),
            utc: first.utc.and_then(|t| t.checked_sub(first.captured)),
            boot: first.boot,
            bundle: bundle.card.name.clone(),
            device: "cpu".into(),
        }
    }

    /// Samples per second of a sound stream, else 0.
    pub fn rate(&self) -> u32 {
        match self.layout {
            Layout::Audio { rate } => rate,
            _ => 0,
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, u64::from(self.stream));
        out.push(self.layout.number());
        put_varint(&mut out, self.channels as u64);
        put_varint(&mut out, u64::from(self.rate()));
        out.extend_from_slice(&self.codec.0);
        out.extend_from_slice(&self.tables.0);
        out.push(self.groups.len() as u8);
        self.groups.iter().for_each(|&g| put_varint(&mut out, g as u64));
        let utc = self.utc.and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
        put_varint(&mut out, utc.map_or(0, |d| d.as_micros() as u64));
        put_varint(&mut out, self.boot);
        put_text(&mut out, &self.bundle);
        put_text(&mut out, &self.device);
        out
    }

    pub(super) fn read(mut c: Cursor<'_>) -> Result<Self> {
        let version = c.byte()?;
        if version != VERSION {
            let reason = format!("stream version {version}, this tamis reads {VERSION}");
            return Err(c.error(reason));
        }
        let stream = c.bounded("stream number", u64::from(u32::MAX))? as u32;
        let layout = c.byte()?;
        let channels = c.bounded("frame channels", 256)? as usize;
        let rate = c.bounded("rate", u64::from(u32::MAX))? as u32;
        let layout = match (layout, channels) {
            (0, 1) => Layout::Gray,
            (1, 3) => Layout::Rgb,
            (2, 1..) if rate > 0 => Layout::Audio { rate },
            (3..=6, 1..=BANDS) => Layout::Bands { depth: Depth::ALL[usize::from(layout) - 3] },
            _ => {
                let reason = format!("layout {layout} with {channels} channels at rate {rate}");
                return Err(c.error(reason));
            }
        };
        let (codec, tables) = (CodecId(c.array()?), CodecId(c.array()?));
        let count = c.byte()?;
        let mut groups = Vec::new();
        for _ in 0..count.min(GROUPS as u8) {
            groups.push(c.bounded("group end", 1 << 16)? as usize);
        }
        if usize::from(count) > GROUPS
            || groups.is_empty()
            || groups[0] == 0
            || !groups.is_sorted_by(|a, b| a < b)
        {
            return Err(c.error(format!("{count} groups ending at {groups:?}")));
        }
        let utc = match c.bounded("wall clock", 1 << 62)? {
            0 => None,
            micros => SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros)),
        };
        let boot = c.varint()?;
        let (bundle, device) = (c.text()?, c.text()?);
        c.end()?;
        Ok(Self { stream, layout, channels, codec, tables, groups, utc, boot, bundle, device })
    }
}

/// Closes a stream: where its packets stand. A stream without one is incomplete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footer {
    /// Offset of every packet's marker from the start of the stream.
    pub offsets: Vec<u64>,
}

impl Footer {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.offsets.len() as u64);
        let mut last = 0;
        for &offset in &self.offsets {
            put_varint(&mut out, offset - last);
            last = offset;
        }
        out
    }

    /// Reads the head of a footer, `len` bytes long, whose record stands at `offset`.
    pub(super) fn read(mut c: Cursor<'_>, len: usize, offset: u64) -> Result<Self> {
        // Every entry takes a byte at least, and its packet some before the footer: so the offsets
        // take no more room than the stream did.
        let count = c.bounded("packets in the index", (offset / PACKET).min(len as u64))?;
        let mut offsets = Vec::with_capacity(count as usize);
        let mut at = 0u64;
        for _ in 0..count {
            at = at.saturating_add(c.varint()?);
            offsets.push(at);
        }
        c.end()?;
        Ok(Self { offsets })
    }
}
