//! A source whose items are numbered on from those of an earlier run.

use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;

/// Adds a number to the places of items: a stream goes on where it ended before.
pub struct Numbered {
    source: Box<dyn Source>,
    first: u64,
}

impl Numbered {
    /// Numbers the items of `source` from `first` on.
    pub fn new(source: Box<dyn Source>, first: u64) -> Self {
        Self { source, first }
    }

    fn number(&self, mut item: Item) -> Item {
        item.stamp.index = item.stamp.index.saturating_add(self.first);
        item
    }
}

impl Source for Numbered {
    fn makes(&self) -> Parts {
        self.source.makes()
    }

    fn next(&mut self) -> Result<Option<Item>> {
        Ok(self.source.next()?.map(|item| self.number(item)))
    }

    fn close(&mut self) -> Vec<Item> {
        self.source.close().into_iter().map(|item| self.number(item)).collect()
    }
}
