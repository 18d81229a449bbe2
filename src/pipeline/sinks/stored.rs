//! Packets in a store.

use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;
use crate::pipeline::store::{Refused, StreamWriter, Written};

/// Writes packets to a stream of a store. What the store refuses is dropped, with its reason: a full or failing disk
/// never stops the line.
pub struct Stored {
    writer: StreamWriter,
    refused: Option<Refused>,
}

impl Stored {
    /// Writes with `writer`.
    pub fn new(writer: StreamWriter) -> Self {
        Self { writer, refused: None }
    }
}

impl Sink for Stored {
    fn needs(&self) -> Parts {
        Parts::PACKET
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        let (Some(packet), Some(header)) = (&item.packet, &item.header) else { return Ok(()) };
        if let Written::Refused(why) = self.writer.write(header, packet)? {
            self.refused = Some(why);
        }
        Ok(())
    }

    fn refused(&mut self) -> Option<&'static str> {
        self.refused.take().map(Refused::name)
    }

    fn finish(&mut self) -> Result<()> {
        match self.writer.finish() {
            // The next start closes it; what could be written was.
            Err(Error::Io { .. }) | Ok(()) => Ok(()),
            Err(e) => Err(e),
        }
    }
}
