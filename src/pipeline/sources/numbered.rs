//! A source as one stream, numbered on from where it ended before.

use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;

/// Numbers what holds a frame without gaps, as one stream, whatever the source does: a store knows packets by their
/// number alone.
pub struct Numbered {
    source: Box<dyn Source>,
    next: u64,
}

impl Numbered {
    /// Numbers the items of `source` from `first` on.
    pub fn new(source: Box<dyn Source>, first: u64) -> Self {
        Self { source, next: first }
    }

    fn number(&mut self, mut item: Item) -> Item {
        (item.stamp.stream, item.stamp.index) = (0, self.next);
        self.next += u64::from(item.frame.is_some());
        item
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
