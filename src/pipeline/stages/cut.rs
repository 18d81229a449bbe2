//! Packets with fewer groups.

use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Stage;

/// Keeps the first groups of every packet, without decoding any.
///
/// Packets that continue each other still can: a group continues the same group of another packet.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    groups: usize,
}

impl Cut {
    /// Keeps `groups` groups; packets that begin behind the first group keep those that are among them.
    pub fn new(groups: usize) -> Self {
        Self { groups }
    }
}

impl Stage for Cut {
    fn name(&self) -> &str {
        "cut"
    }

    fn needs(&self) -> Parts {
        Parts::PACKET
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for packet in batch.iter_mut().filter_map(|item| item.packet.as_mut()) {
            packet.cut(self.groups.saturating_sub(packet.header.first_group));
        }
        Ok(())
    }
}
