//! Groups of packets that come one by one, put together again.

use std::collections::{BTreeMap, VecDeque};

use crate::bitstream::{Event, Limits, Packet, PacketReader, StreamHeader};
use crate::error::Result;
use crate::pipeline::item::Item;
use crate::pipeline::warning::Warning;

/// Packets missing in a row that become lost items of their own: more are no gap but a number that cannot be.
const MISSING: u64 = 1_000_000;

/// Puts packets together of their groups, which come in order but for those that are lost.
pub struct Joining {
    name: String,
    /// Groups wanted of each packet.
    wanted: usize,
    streams: BTreeMap<u32, Stream>,
    due: VecDeque<Due>,
}

/// What is to be given.
enum Due {
    Item(Item),
    /// So many packets that did not come, of a gap of so many, and the first of them.
    Gap {
        left: u64,
        count: u64,
        first: Item,
    },
}

struct Stream {
    header: StreamHeader,
    /// The packet whose groups are coming, and how many it has.
    open: Option<(Packet, usize)>,
    /// Number of the next packet.
    next: u64,
    /// Whether a packet came that stands alone: those before continue what is not here.
    joined: bool,
}

impl Joining {
    /// Takes the first `wanted` groups of each packet. `name` is that of the items.
    pub fn new(name: &str, wanted: usize) -> Self {
        Self { name: name.into(), wanted, streams: BTreeMap::new(), due: VecDeque::new() }
    }

    /// Takes a message: a group of a packet that has `groups` of them, after the header of its stream if it is the
    /// first.
    ///
    /// # Errors
    /// `Bitstream` if the bytes are no records.
    pub fn push(&mut self, message: &[u8], groups: usize) -> Result<()> {
        let mut reader = PacketReader::midway(Limits::default());
        reader.push(message);
        reader.finish();
        while let Some(event) = reader.next_event()? {
            match event {
                Event::Header(header) => self.header(header),
                Event::Packet(part) => self.part(part, groups),
                Event::Damage { reason, .. } => {
                    let why = format!("a message of {} bytes: {reason}", message.len());
                    self.lose("damage", why);
                }
                Event::Footer(_) => {}
            }
        }
        Ok(())
    }

    /// Says that a message was none.
    pub fn lose(&mut self, kind: &'static str, why: String) {
        let mut item = Item { name: self.name.clone(), ..Item::default() };
        item.lose(kind, why);
        self.due.push_back(Due::Item(item));
    }

    /// The next packet that is as whole as it will be, or what was lost.
    pub fn next(&mut self) -> Option<Item> {
        let Some(Due::Gap { left, count, first }) = self.due.front_mut() else {
            return match self.due.pop_front() {
                Some(Due::Item(item)) => Some(item),
                _ => None,
            };
        };
        let mut item = first.clone();
        let place = *count - *left;
        item.stamp.index += place;
        item.lose("gap", format!("packet {} of {count} in a row that did not come", place + 1));
        *left -= 1;
        if *left == 0 {
            self.due.pop_front();
        }
        Some(item)
    }

    /// What is left when nothing more will come.
    pub fn finish(&mut self) -> Vec<Item> {
        for stream in self.streams.values_mut() {
            stream.close(&self.name, self.wanted, &mut self.due);
        }
        std::iter::from_fn(|| self.next()).collect()
    }

    fn header(&mut self, header: StreamHeader) {
        match self.streams.get_mut(&header.stream) {
            Some(stream) if stream.header == header => {}
            Some(stream) => {
                stream.close(&self.name, self.wanted, &mut self.due);
                // Another run of the sender counts anew.
                if (stream.header.utc, stream.header.boot) != (header.utc, header.boot) {
                    (stream.next, stream.joined) = (0, false);
                }
                stream.header = header;
            }
            None => {
                let number = header.stream;
                let stream = Stream { header, open: None, next: 0, joined: false };
                self.streams.insert(number, stream);
            }
        }
    }

    fn part(&mut self, part: Packet, groups: usize) {
        // Without a header nothing before it came either: the stream was joined between two groups.
        let Some(stream) = self.streams.get_mut(&part.stamp.stream) else { return };
        let index = part.stamp.index;
        if part.groups().start > 0 {
            if let Some((open, _)) = &mut stream.open {
                // If a group before it is lost it is of no use, which is said once the packet is given.
                open.join(&part);
            }
        } else {
            stream.close(&self.name, self.wanted, &mut self.due);
            if index < stream.next {
                // Came twice; a sender that began anew has a header of its own.
                return;
            }
            if stream.joined {
                stream.missing(index, &part, &self.name, &mut self.due);
            }
            stream.next = index.saturating_add(1);
            stream.open = Some((part, groups));
        }
        let whole =
            |(packet, groups): &(Packet, usize)| packet.groups().end >= (*groups).min(self.wanted);
        if stream.open.as_ref().is_some_and(whole) {
            stream.close(&self.name, self.wanted, &mut self.due);
        }
    }
}

impl Stream {
    /// Gives the packet whose groups were coming.
    fn close(&mut self, name: &str, wanted: usize, due: &mut VecDeque<Due>) {
        let Some((packet, groups)) = self.open.take() else { return };
        let mut item = self.item(name, &packet);
        let (there, all) = (packet.groups().end, groups.min(wanted));
        if there < all {
            let text = format!(
                "packet {}: {} of {all} groups did not come",
                packet.stamp.index,
                all - there
            );
            item.warnings.push(Warning::missing(text));
        }
        self.joined |= packet.header.continues.is_none();
        if self.joined {
            item.packet = Some(packet);
        } else {
            item.drop_for("joined_midway");
        }
        due.push_back(Due::Item(item));
    }

    /// Gives lost items for the packets before this one that did not come.
    fn missing(&self, index: u64, at: &Packet, name: &str, due: &mut VecDeque<Due>) {
        let count = (index - self.next).min(MISSING);
        if count > 0 {
            let mut first = self.item(name, at);
            (first.end, first.stamp.index) = (false, self.next);
            due.push_back(Due::Gap { left: count, count, first });
        }
    }

    fn item(&self, name: &str, packet: &Packet) -> Item {
        let mut stamp = packet.stamp.clone();
        stamp.boot = self.header.boot;
        stamp.utc = self.header.utc.and_then(|t| t.checked_add(packet.stamp.captured));
        let header = Some(self.header.clone());
        let end = packet.header.span.end;
        Item { stamp, name: name.into(), header, end, ..Item::default() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bitstream::{Before, Packer, PacketWriter};
    use crate::codec::{Bundle, Frame, Latent, Layout, Quality, Stamp};
    use crate::pipeline::item::Gone;
    use crate::runtime::{Encoder, find_bundle};

    /// A stream of packets, every fourth of which stands alone.
    fn packets(count: u64) -> (StreamHeader, Vec<Packet>) {
        let bundle: Arc<Bundle> = Arc::new(find_bundle("rgb").unwrap());
        let mut encoder = Encoder::new(bundle.clone(), 12, Quality::DEFAULT).unwrap();
        let packer = Packer::new(&bundle);
        let header = StreamHeader::new(&bundle, Layout::Rgb, 3, &Stamp::default());
        let mut before: Option<(u64, Latent)> = None;
        let packets = (0..count).map(|index| {
            let samples = (0..32 * 32 * 3u32).map(|i| (i * 7 + i / 96) as u8).collect();
            let frame = Frame::rgb(32, 32, samples).unwrap();
            let latent = encoder.push(&frame, false).unwrap();
            let stamp = Stamp { index, ..Stamp::default() };
            let old = before.take().filter(|_| index % 4 != 0);
            let old = old.as_ref().map(|(index, latent)| Before { index: *index, latent });
            let packet = packer.pack(&bundle, &latent, stamp, old).unwrap();
            before = Some((index, latent));
            packet
        });
        (header, packets.collect())
    }

    fn message(header: &StreamHeader, packet: &Packet, group: usize) -> Vec<u8> {
        let mut writer = PacketWriter::new();
        let mut bytes = if group == 0 { writer.repeat(header) } else { Vec::new() };
        bytes.extend(writer.packet(&packet.part(group..group + 1)));
        bytes
    }

    fn play(
        wanted: usize,
        count: u64,
        lost: impl Fn(u64, usize) -> bool,
    ) -> (Vec<Packet>, Vec<Item>) {
        let (header, packets) = packets(count);
        let mut joining = Joining::new("x", wanted);
        for packet in &packets {
            let all = packet.groups().end;
            for group in 0..all.min(wanted) {
                if !lost(packet.stamp.index, group) {
                    joining.push(&message(&header, packet, group), all).unwrap();
                }
            }
        }
        let mut items = Vec::new();
        while let Some(item) = joining.next() {
            items.push(item);
        }
        items.extend(joining.finish());
        (packets, items)
    }

    #[test]
    fn all_groups_are_the_packets_and_the_first_is_their_first() {
        for wanted in [1, 2, 15] {
            let (packets, items) = play(wanted, 9, |_, _| false);
            assert_eq!(items.len(), 9);
            assert!(packets.iter().any(|p| p.header.continues.is_some()), "none continues another");
            for (packet, item) in packets.iter().zip(items) {
                assert_eq!(item.packet, Some(packet.part(0..wanted)));
                assert!(item.gone.is_none() && item.warnings.is_empty() && item.header.is_some());
            }
        }
    }

    #[test]
    fn what_is_lost_is_counted() {
        // All of packets 5 and 6, a group in the midst of 2, and the last of 8.
        let (packets, items) = play(15, 9, |index, group| {
            matches!(index, 5 | 6) || (index, group) == (2, 1) || (index, group) == (8, 2)
        });
        assert_eq!(items.len(), 9);
        for (index, item) in items.iter().enumerate() {
            assert_eq!(item.stamp.index, index as u64);
            let lost = matches!(index, 5 | 6);
            assert_eq!(matches!(item.gone, Some(Gone::Lost("gap", _))), lost, "{index}");
            let groups = match index {
                2 => 0..1,
                8 => 0..2,
                _ => 0..3,
            };
            if !lost {
                assert_eq!(item.packet, Some(packets[index].part(groups)), "{index}");
            }
            assert_eq!(
                item.warnings.iter().any(Warning::is_missing),
                matches!(index, 2 | 8),
                "{index}"
            );
        }
        let (_, items) = play(15, 200, |index, _| (50..150).contains(&index));
        let lost: Vec<u64> =
            items.iter().filter(|i| i.gone.is_some()).map(|i| i.stamp.index).collect();
        assert_eq!(lost, (50..150).collect::<Vec<_>>());
        assert!(format!("{:?}", items[149].gone).contains("packet 100 of 100 in a row"));
    }

    #[test]
    fn who_joins_late_begins_with_a_packet_that_stands_alone() {
        let (_, items) = play(15, 9, |index, group| index == 0 || (index, group) == (1, 0));
        let dropped = |i: &&Item| matches!(i.gone, Some(Gone::Dropped("joined_midway")));
        assert_eq!(items.iter().filter(dropped).map(|i| i.stamp.index).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(items.iter().filter(|i| i.packet.is_some()).count(), 5);
    }

    #[test]
    fn a_sender_that_begins_anew_is_no_gap_and_rubbish_is_lost() {
        let (header, packets) = packets(2);
        let mut joining = Joining::new("x", 15);
        for boot in [1, 2] {
            let header = StreamHeader { boot, ..header.clone() };
            for packet in &packets {
                for group in 0..3 {
                    joining.push(&message(&header, packet, group), 3).unwrap();
                }
            }
        }
        joining.push(b"\xd5tmPnothing of the kind", 3).unwrap();
        let items = joining.finish();
        assert_eq!(items.iter().filter(|i| i.packet.is_some()).count(), 4);
        assert!(matches!(items[4].gone, Some(Gone::Lost("damage", _))));
    }
}
