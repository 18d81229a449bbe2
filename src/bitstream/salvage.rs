//! What is left of a damaged recording, as a recording that is whole.

use std::collections::BTreeMap;

use super::header::StreamHeader;
use super::packet::Packet;
use super::reader::{Event, GROUP, Limits, PacketReader};
use super::writer::PacketWriter;
use crate::error::{Error, Result};

/// Bytes by which the index of a copy may be shorter than that of the original.
const SLACK: usize = 16;

/// A place where bytes were left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Offset of the first byte in what was read.
    pub offset: u64,
    /// Bytes left out.
    pub bytes: u64,
    /// What was wrong.
    pub reason: String,
}

/// What a [`Salvage`] kept and what it left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Salvaged {
    /// Packets kept.
    pub packets: u64,
    /// Packets of these that lost their last groups.
    pub cut: u64,
    /// Packets left out as their stream has no header anywhere: nothing can decode them.
    pub headless: u64,
    /// Places where bytes were left out.
    pub damage: Vec<Damage>,
    /// Whether an index closed what was read.
    pub complete: bool,
    /// Whether the last damage was the index, and nothing else.
    pub index_damaged: bool,
}

impl Salvaged {
    /// Bytes left out.
    pub fn skipped(&self) -> u64 {
        self.damage.iter().map(|d| d.bytes).sum()
    }

    /// Whether more than the index was lost.
    pub fn has_losses(&self) -> bool {
        self.damage.len() > usize::from(self.index_damaged) || self.headless > 0
    }
}

/// Copies every header and packet that is whole, and of damaged packets the groups before the damage.
///
/// Reads twice: first for headers, as those that stand first may be lost and come again later.
#[derive(Debug)]
pub struct Salvage {
    limits: Limits,
    reader: PacketReader,
    writer: PacketWriter,
    /// The first header of every stream.
    headers: BTreeMap<u32, StreamHeader>,
    /// The header of every stream that was written last, and packets written by then.
    written: BTreeMap<u32, (StreamHeader, u64)>,
    /// Groups that packets keep at most.
    groups: usize,
    found: Salvaged,
}

impl Salvage {
    /// Begins the first reading.
    pub fn new(limits: Limits) -> Self {
        Self {
            reader: PacketReader::midway(limits.clone()),
            limits,
            writer: PacketWriter::new(),
            headers: BTreeMap::new(),
            written: BTreeMap::new(),
            groups: usize::MAX,
            found: Salvaged::default(),
        }
    }

    /// Keeps the first `groups` groups of every packet.
    pub fn cut(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Takes the next bytes of the first reading.
    ///
    /// # Errors
    /// As [`PacketReader::next_event`].
    pub fn survey(&mut self, bytes: &[u8]) -> Result<()> {
        self.reader.push(bytes);
        self.gather()
    }

    fn gather(&mut self) -> Result<()> {
        while let Some(event) = self.reader.next_event()? {
            if let Event::Header(header) = event {
                self.headers.entry(header.stream).or_insert(header);
            }
        }
        Ok(())
    }

    /// Ends the first reading and begins the second.
    ///
    /// # Errors
    /// `Bitstream` if there was no header: the bytes are no tamis stream.
    pub fn begin(&mut self) -> Result<()> {
        self.reader.finish();
        self.gather()?;
        self.reader = PacketReader::midway(self.limits.clone());
        if self.headers.is_empty() {
            let reason = "not a tamis stream: no header in it is whole".into();
            return Err(Error::Bitstream { offset: 0, reason });
        }
        Ok(())
    }

    /// Takes the next bytes of the second reading; returns what the copy goes on with.
    ///
    /// # Errors
    /// As [`PacketReader::next_event`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.reader.push(bytes);
        self.copy()
    }

    /// Ends the second reading; returns the end of the copy.
    ///
    /// # Errors
    /// As [`PacketReader::next_event`].
    pub fn finish(mut self) -> Result<(Vec<u8>, Salvaged)> {
        self.reader.finish();
        let mut out = self.copy()?;
        self.found.complete = self.reader.is_complete();
        let index = self.writer.finish();
        let last = self.found.damage.last();
        self.found.index_damaged &= last.is_some_and(|d| d.bytes <= (index.len() + SLACK) as u64);
        out.extend(index);
        Ok((out, self.found))
    }

    fn copy(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(event) = self.reader.next_event()? {
            // An index is what nothing follows.
            self.found.index_damaged = false;
            match event {
                Event::Header(header) => self.header(&header, &mut out),
                Event::Packet(packet) => self.packet(packet, &mut out),
                Event::Footer(_) => {}
                Event::Damage { offset, bytes, reason, kind } => {
                    self.found.index_damaged = kind == Some(b'F');
                    self.found.cut += u64::from(kind == Some(GROUP));
                    self.found.damage.push(Damage { offset, bytes, reason });
                }
            }
        }
        Ok(out)
    }

    fn header(&mut self, header: &StreamHeader, out: &mut Vec<u8>) {
        let packets = self.found.packets;
        match self.written.get(&header.stream) {
            // The second of two.
            Some((old, at)) if old == header && *at == packets => return,
            Some((old, _)) if old == header => out.extend(self.writer.repeat(header)),
            _ => out.extend(self.writer.header(header)),
        }
        self.written.insert(header.stream, (header.clone(), packets));
    }

    fn packet(&mut self, mut packet: Packet, out: &mut Vec<u8>) {
        let stream = packet.stamp.stream;
        if !self.written.contains_key(&stream) {
            match self.headers.get(&stream).cloned() {
                Some(header) => self.header(&header, out),
                None => {
                    self.found.headless += 1;
                    return;
                }
            }
        }
        self.found.packets += 1;
        packet.cut(self.groups.saturating_sub(packet.header.first_group));
        out.extend(self.writer.packet(&packet));
    }
}
