//! The fast coder: one table for each channel and quality.

use super::bytes::Cursor;
use super::dense::Group;
use super::rans::{Decoder, Encoder, Table};
use super::raw::{BitReader, BitWriter};
use crate::codec::Tables;
use crate::codec::tokens::{raw_bits, raw_of, token, value_of};
use crate::error::Result;

/// Tables, ready to code with.
#[derive(Debug, Clone)]
pub(super) struct Fast {
    tables: Vec<Table>,
    choice: Tables,
}

impl Fast {
    pub fn new(tables: &Tables) -> Self {
        let ready = (0..tables.count()).map(|t| Table::new(tables.table(t))).collect();
        Self { tables: ready, choice: tables.clone() }
    }

    fn table(&self, group: &Group, channel: usize) -> &Table {
        &self.tables[self.choice.select(group.quality, channel)]
    }

    /// Codes the values of a group.
    pub fn encode(&self, group: &Group, values: &[i16], out: &mut Vec<u8>) {
        let mut raw = BitWriter::default();
        let tokens: Vec<u8> = values
            .iter()
            .map(|&v| {
                let token = token(v);
                let (bits, _) = raw_bits(token);
                if bits > 0 {
                    raw.put(raw_of(v, token), bits);
                }
                token as u8
            })
            .collect();
        let (cells, mask) = (group.cells(), group.states() - 1);
        let mut rans = Encoder::new(values.len());
        let rows = tokens.chunks_exact(cells).zip(group.channels.clone());
        for (row, channel) in rows.rev() {
            let (table, first) =
                (self.table(group, channel), (channel - group.channels.start) * cells);
            for (x, &token) in row.iter().enumerate().rev() {
                rans.put((first + x) & mask, table, token.into());
            }
        }
        rans.finish(group.states(), out);
        raw.finish(out);
    }

    /// Decodes a group of `len` bytes.
    pub fn decode(
        &self,
        group: &Group,
        bytes: Cursor<'_>,
        len: usize,
        values: &mut [i16],
    ) -> Result<()> {
        let mut rans = Decoder::new(bytes, group.states())?;
        let mut raw = BitReader::new(&bytes.rest()[..len.min(bytes.rest().len())]);
        let (cells, mask) = (group.cells(), group.states() - 1);
        for (row, channel) in values.chunks_exact_mut(cells).zip(group.channels.clone()) {
            let (table, first) =
                (self.table(group, channel), (channel - group.channels.start) * cells);
            for (x, v) in row.iter_mut().enumerate() {
                let token = rans.get((first + x) & mask, table);
                let (bits, _) = raw_bits(token);
                *v = value_of(token, if bits > 0 { raw.get(bits) } else { 0 });
            }
        }
        let words = rans.finish(&bytes)?;
        raw.finish(4 * group.states() + words, len, &bytes)
    }
}
