//! What is there of a stream, in numbers.

use super::segment::Counts;

/// A stream that was received, at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamStatus {
    /// Index of the first packet, where known.
    pub first_index: Option<u64>,
    /// Index of the last packet, where known.
    pub last_index: Option<u64>,
    /// Packets of which something is there.
    pub packets: u64,
    /// Packets that have all groups that the header of their stream names.
    pub whole: u64,
    /// Packets that carry each group.
    pub group_packets: Vec<u64>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Files of packets.
    pub segments: u64,
    /// Of these, files that were not looked through since the start: their packets are not in the other numbers.
    pub uncounted: u64,
    /// Bytes that wait to be joined.
    pub late_bytes: u64,
    /// The last error of the disk.
    pub error: Option<String>,
}

impl StreamStatus {
    /// Packets of which groups are missing.
    pub fn partial(&self) -> u64 {
        self.packets - self.whole
    }

    pub(super) fn add(&mut self, counts: &Counts) {
        let Some((first, last)) = counts.ends else { return };
        self.first_index = Some(self.first_index.map_or(first, |f| f.min(first)));
        self.last_index = Some(self.last_index.map_or(last, |l| l.max(last)));
        self.packets += counts.packets;
        self.whole += counts.whole;
        let groups = self.group_packets.len().max(counts.groups.len());
        self.group_packets.resize(groups, 0);
        for (sum, n) in self.group_packets.iter_mut().zip(&counts.groups) {
            *sum += n;
        }
    }
}
