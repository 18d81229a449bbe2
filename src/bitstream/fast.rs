//! The fast coder: one table for each channel and quality.

use super::bytes::Cursor;
use super::dense::Group;
use super::rans::{Decoder, Encoder, Plain, STATES, Slots, Table};
use super::raw::{BitReader, BitWriter};
use crate::codec::Tables;
use crate::codec::tokens::{raw_bits, raw_of, token, value_of};
use crate::error::Result;

/// Tables, ready to code with.
#[derive(Debug, Clone)]
pub(super) struct Fast {
    tables: Vec<(Table, Slots)>,
    choice: Tables,
}

impl Fast {
    pub fn new(tables: &Tables) -> Self {
        let rows = (0..tables.count()).map(|t| tables.table(t));
        let ready = rows.map(|row| (Table::new(row), Slots::new(row))).collect();
        Self { tables: ready, choice: tables.clone() }
    }

    fn table(&self, group: &Group, channel: usize) -> &(Table, Slots) {
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
        let mask = group.states() - 1;
        let mut rans = Encoder::new(values.len());
        let rows = tokens.chunks_exact(group.cells()).zip(group.channels.clone());
        for (row, channel) in rows.rev() {
            let (table, _) = self.table(group, channel);
            for (x, &token) in row.iter().enumerate().rev() {
                rans.put(x & mask, table, token.into());
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
        for (row, channel) in values.chunks_exact_mut(group.cells()).zip(group.channels.clone()) {
            let (_, table) = self.table(group, channel);
            if group.states() == 1 {
                row.iter_mut()
                    .for_each(|v| *v = value_of(rans.get::<Plain>(0, table), |n| raw.get(n)));
                continue;
            }
            let (fours, rest) = row.as_chunks_mut::<STATES>();
            for four in fours {
                let mut tokens = [0; STATES];
                for (k, token) in tokens.iter_mut().enumerate() {
                    *token = rans.get::<Plain>(k, table);
                }
                for (v, token) in four.iter_mut().zip(tokens) {
                    *v = value_of(token, |n| raw.get(n));
                }
            }
            for (k, v) in rest.iter_mut().enumerate() {
                *v = value_of(rans.get::<Plain>(k, table), |n| raw.get(n));
            }
        }
        let words = rans.finish(&bytes)?;
        raw.finish(4 * group.states() + words, len, &bytes)
    }
}
