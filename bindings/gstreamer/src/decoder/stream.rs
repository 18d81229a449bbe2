//! One stream of packets, decoded.

use std::sync::Arc;

use tamis::bitstream::{Packet, StreamHeader};
use tamis::codec::{Bundle, Frame, Layout, Samples};
use tamis::runtime::{Decoder, decoders_of, find_decoder};

use super::DecoderName;
use crate::packets::{Missing, Packets, Read};

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

/// Decodes the packets of one stream.
pub struct Stream {
    packets: Packets,
    decoder: Decoder,
    wish: Wish,
    /// Groups that are read of every packet.
    groups: usize,
    frame: Frame,
}

impl Stream {
    /// Finds the codec that made a stream.
    ///
    /// # Errors
    /// In words, if there is none, if it is not one of pictures, or does not have what is wished.
    pub fn open(header: StreamHeader, wish: &Wish) -> Result<Self, String> {
        let packets = Packets::open(header, wish.bundle.as_deref())?;
        let (groups, decoder) = prepare(packets.bundle(), wish)?;
        let frame = Frame {
            layout: packets.header().layout,
            channels: 0,
            extent: Vec::new(),
            samples: Samples::U8(Vec::new()),
        };
        Ok(Self { packets, decoder, wish: wish.clone(), groups, frame })
    }

    /// Takes another wish, which the next packet that stands alone is read by: what others continue
    /// may not have been read.
    ///
    /// # Errors
    /// As [`Self::open`].
    fn take(&mut self, wish: &Wish) -> Result<(), String> {
        if self.wish != *wish {
            (self.groups, self.decoder) = prepare(self.packets.bundle(), wish)?;
            self.wish = wish.clone();
        }
        Ok(())
    }

    /// Takes a repeated or changed header.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn set_header(&mut self, header: StreamHeader) -> Result<(), String> {
        if !self.packets.go_on(&header) {
            *self = Self::open(header, &self.wish)?;
        }
        Ok(())
    }

    /// Forgets the last packet: the next that is read stands alone.
    pub fn reset(&mut self) {
        self.packets.reset();
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn unpack(
        &mut self,
        packet: Packet,
        wish: &Wish,
        missing: &mut Missing,
    ) -> Result<Read, String> {
        if packet.header.continues.is_none() {
            self.take(wish)?;
        }
        Ok(self.packets.unpack(packet, self.groups, missing))
    }

    /// The picture of the packet that was read last.
    ///
    /// # Errors
    /// In words, if a neural decoder fails on it.
    pub fn picture(&mut self) -> Result<&Frame, String> {
        let (_, latent) = self.packets.last().ok_or("no packet was read")?;
        self.decoder
            .push_into(latent, self.packets.header().layout, &mut self.frame)
            .map_err(|e| e.to_string())?;
        Ok(&self.frame)
    }

    /// What the picture of the packet that was read last will be: gray or colours, height, width.
    pub fn shape(&self) -> Option<(bool, [usize; 2])> {
        let gray =
            self.packets.header().layout == Layout::Gray || self.packets.bundle().inputs == 1;
        let (_, latent) = self.packets.last()?;
        Some((gray, [*latent.extent.first()?, *latent.extent.get(1)?]))
    }
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
