//! A `.tamis` file or stream.

use std::io::Write;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;
use crate::pipeline::records::Records;

/// Writes packets as they come. What is written can be read at any moment; the footer completes it.
pub struct Container<W> {
    out: W,
    path: PathBuf,
    records: Records,
}

impl<W: Write + Send> Container<W> {
    /// Writes to `out`, which errors call `path`.
    pub fn new(out: W, path: impl Into<PathBuf>) -> Self {
        Self { out, path: path.into(), records: Records::default() }
    }

    /// Writes bytes and hands them on.
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out
            .write_all(bytes)
            .and_then(|()| self.out.flush())
            .map_err(|e| Error::io(&self.path, e))
    }
}

impl<W: Write + Send> Sink for Container<W> {
    fn needs(&self) -> Parts {
        Parts::PACKET
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        let (Some(packet), Some(header)) = (&item.packet, &item.header) else { return Ok(()) };
        let bytes = self.records.next(header, packet);
        // Whoever is killed loses the packet being written and no other; whoever listens has it now.
        self.put(&bytes)
    }

    fn finish(&mut self) -> Result<()> {
        let footer = self.records.finish();
        self.put(&footer)
    }
}
