//! Parts of packets: some groups of one, to be sent now, and the rest later.

use std::ops::Range;

use super::packet::Packet;

impl Packet {
    /// The groups it carries, counted from the first of the stream.
    pub fn groups(&self) -> Range<usize> {
        let first = self.header.first_group;
        first..first + self.header.lengths.len()
    }

    /// What it carries of these groups, counted from the first of the stream. A packet of no group if that is nothing.
    ///
    /// All else is as it was: group g rests on group g of another packet only, so that parts of packets
    /// continue each other as the packets did.
    pub fn part(&self, groups: Range<usize>) -> Self {
        let (first, all) = (self.header.first_group, self.groups());
        let start = groups.start.clamp(all.start, all.end);
        let end = groups.end.clamp(start, all.end);
        let lengths = &self.header.lengths;
        let before: usize = lengths[..start - first].iter().sum();
        let len: usize = lengths[start - first..end - first].iter().sum();
        let mut header = self.header.clone();
        header.first_group = start;
        header.lengths = lengths[start - first..end - first].to_vec();
        let from = before.min(self.payload.len());
        let to = (before + len).min(self.payload.len());
        Self { stamp: self.stamp.clone(), header, payload: self.payload[from..to].into() }
    }

    /// Appends the groups of another part of the same packet that it does not carry yet.
    ///
    /// Returns whether it could: what stands before the groups must be the same, and no group may be missing
    /// between. If not, nothing is changed.
    pub fn join(&mut self, later: &Self) -> bool {
        let end = self.groups().end;
        let other = later.groups();
        if self.identity() != later.identity() || other.start > end {
            return false;
        }
        if other.end > end {
            let rest = later.part(end..other.end);
            self.header.lengths.extend(&rest.header.lengths);
            let mut payload = std::mem::take(&mut self.payload).into_vec();
            payload.extend_from_slice(&rest.payload);
            self.payload = payload.into();
        }
        true
    }

    /// CRC-32C of all that stands before the groups: parts of one packet have the same.
    pub fn identity(&self) -> u32 {
        let mut header = self.header.clone();
        (header.first_group, header.lengths) = (0, Vec::new());
        let bare = Self { stamp: self.stamp.clone(), header, payload: Box::default() };
        crc32c::crc32c(&bare.write_head())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::bitstream::{Coder, Continues, Packet, PacketHeader};
    use crate::codec::{Quality, Span, Stamp};

    fn packet() -> Packet {
        let lengths = vec![3, 0, 2, 4];
        let header = PacketHeader {
            extent: [8, 8],
            span: Span::default(),
            quality: Quality::DEFAULT,
            coder: Coder::Dense,
            continues: Some(Continues { back: 1, groups: 0b101 }),
            first_group: 0,
            lengths,
        };
        let stamp = Stamp { index: 7, ..Stamp::default() };
        Packet { stamp, header, payload: (0..9).collect() }
    }

    #[test]
    fn parts_in_order_are_the_whole() {
        let whole = packet();
        for a in 0..=4 {
            for b in a..=4 {
                let mut joined = whole.part(0..a);
                assert!(joined.join(&whole.part(a..b)) && joined.join(&whole.part(0..4)));
                assert_eq!(joined, whole, "{a} {b}");
                let part = whole.part(a..b);
                assert_eq!(part.identity(), whole.identity());
                assert_eq!(part.part(0..15), part);
                assert_eq!(part.payload.len(), part.header.lengths.iter().sum::<usize>());
            }
        }
        assert_eq!(whole.part(2..4).part(0..3).groups(), 2..3);
        assert_eq!(whole.part(9..12).groups(), 4..4);
    }

    #[test]
    fn what_does_not_belong_together_is_not_joined() {
        let whole = packet();
        let mut first = whole.part(0..1);
        assert!(!first.join(&whole.part(2..4)), "a group is missing between");
        let mut other = whole.part(1..2);
        other.stamp.index = 8;
        assert!(!first.join(&other));
        other = whole.part(1..2);
        other.header.continues = None;
        assert!(!first.join(&other));
        assert_eq!(first, whole.part(0..1));
    }
}
