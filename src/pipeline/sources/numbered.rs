//! A source as one stream, numbered on from where it ended before.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;

/// Places left out for packets that are missing, at most: a number that was damaged tells nothing.
const GAP: u64 = 1 << 20;

/// Numbers frames without gaps, as one stream, whatever the source does: a store knows packets by their number alone.
/// Packets keep their gaps, which tell what is missing.
pub struct Numbered {
    source: Box<dyn Source>,
    next: u64,
    /// The recording that packets are of, and the last place of each of its streams: there, and here.
    recording: String,
    last: BTreeMap<u32, [u64; 2]>,
}

impl Numbered {
    /// Numbers the items of `source` from `first` on.
    pub fn new(source: Box<dyn Source>, first: u64) -> Self {
        Self { source, next: first, recording: String::new(), last: BTreeMap::new() }
    }

    fn number(&mut self, mut item: Item) -> Item {
        if item.packet.is_some() {
            self.renumber(&mut item);
        }
        if item.packet.is_none() {
            (item.stamp.stream, item.stamp.index) = (0, self.next);
            self.next += u64::from(item.frame.is_some());
        }
        item
    }

    fn renumber(&mut self, item: &mut Item) {
        let Some(packet) = &mut item.packet else { return };
        if item.name != self.recording {
            self.recording.clone_from(&item.name);
            self.last.clear();
        }
        let (stream, old) = (packet.stamp.stream, packet.stamp.index);
        let last = self.last.get(&stream).copied().filter(|last| last[0] <= old);
        let new = match last {
            // Groups of a packet that came later.
            Some([there, here]) if there == old && packet.header.first_group > 0 => here,
            Some([there, here]) if old - there <= GAP => self.next.max(here + (old - there)),
            _ => self.next,
        };
        if let Some(continues) = &mut packet.header.continues {
            match last {
                // The place that it continues may have moved against it, between other streams.
                Some([there, here]) if old.checked_sub(continues.back) == Some(there) => {
                    continues.back = new - here;
                }
                Some([there, here])
                    if new.wrapping_sub(here) == old - there && continues.back <= new => {}
                _ => {
                    item.lose("damage", "continues a packet that is not there");
                    item.packet = None;
                    return;
                }
            }
        }
        self.last.insert(stream, [old, new]);
        self.next = self.next.max(new.saturating_add(1));
        (packet.stamp.stream, packet.stamp.index) = (0, new);
        item.stamp = packet.stamp.clone();
        if let Some(header) = &mut item.header {
            header.stream = 0;
        }
    }
}

impl Source for Numbered {
    fn makes(&self) -> Parts {
        self.source.makes()
    }

    fn next(&mut self) -> Result<Option<Item>> {
        let item = self.source.next()?;
        Ok(item.map(|item| self.number(item)))
    }

    fn close(&mut self) -> Vec<Item> {
        let rest = self.source.close();
        rest.into_iter().map(|item| self.number(item)).collect()
    }
}
