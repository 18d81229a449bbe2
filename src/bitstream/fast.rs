//! The fast coder: one table for each channel and quality.

use super::bytes::Cursor;
use super::dense::Group;
#[cfg(target_arch = "x86_64")]
use super::rans::{Avx2, Avx512};
use super::rans::{Decoder, Encoder, Find, Plain, STATES, Slots, Table};
use super::raw::{BitReader, BitWriter};
use crate::codec::Tables;
use crate::codec::tokens::{direct_token, raw_bits, raw_of, token, value_of};
use crate::error::Result;

/// Values looked at together before each alone.
const CHUNK: usize = 16;

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
        let tokens = tokens(values, &mut raw);
        let mut rans = Encoder::new(values.len());
        let rows = tokens.chunks_exact(group.cells()).zip(group.channels.clone());
        for (row, channel) in rows.rev() {
            let (table, _) = self.table(group, channel);
            match group.states() {
                1 => row.iter().rev().for_each(|&token| rans.put(0, table, token.into())),
                _ => rans.put_row(table, row),
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
            match group.states() {
                1 => row.iter_mut().for_each(|v| *v = next::<Plain>(0, table, &mut rans, &mut raw)),
                _ => decode_row(table, &mut rans, &mut raw, row),
            }
        }
        let words = rans.finish(&bytes)?;
        raw.finish(4 * group.states() + words, len, &bytes)
    }
}

/// The token of every value. What tokens leave open is written to `raw`.
fn tokens(values: &[i16], raw: &mut BitWriter) -> Vec<u8> {
    let mut tokens = vec![0; values.len()];
    for (values, tokens) in values.chunks(CHUNK).zip(tokens.chunks_mut(CHUNK)) {
        // Mostly all are small, which a compiler does in registers.
        let mut direct = true;
        for (token, &v) in tokens.iter_mut().zip(values) {
            let small;
            (*token, small) = direct_token(v);
            direct &= small;
        }
        if direct {
            continue;
        }
        for (to, &v) in tokens.iter_mut().zip(values) {
            let token = token(v);
            let (bits, _) = raw_bits(token);
            if bits > 0 {
                raw.put(raw_of(v, token), bits);
            }
            *to = token as u8;
        }
    }
    tokens
}

/// Decodes a row whose values take turns between all states.
fn decode_row(table: &Slots, rans: &mut Decoder<'_>, raw: &mut BitReader<'_>, row: &mut [i16]) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    {
        if Avx512::is_here() {
            // SAFETY: the machine has what the code is compiled for.
            return unsafe { decode_row_avx512(table, rans, raw, row) };
        }
        if Avx2::is_here() {
            // SAFETY: the machine has what the code is compiled for.
            return unsafe { decode_row_avx2(table, rans, raw, row) };
        }
    }
    decode_row_by::<Plain>(table, rans, raw, row);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
fn decode_row_avx512(
    table: &Slots,
    rans: &mut Decoder<'_>,
    raw: &mut BitReader<'_>,
    row: &mut [i16],
) {
    decode_row_by::<Avx512>(table, rans, raw, row);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn decode_row_avx2(
    table: &Slots,
    rans: &mut Decoder<'_>,
    raw: &mut BitReader<'_>,
    row: &mut [i16],
) {
    decode_row_by::<Avx2>(table, rans, raw, row);
}

#[inline(always)]
fn decode_row_by<F: Find>(
    table: &Slots,
    rans: &mut Decoder<'_>,
    raw: &mut BitReader<'_>,
    row: &mut [i16],
) {
    // Copies that no pointer reaches stay in registers.
    let (mut from, mut bits) = (rans.clone(), raw.clone());
    let (fours, rest) = row.as_chunks_mut::<STATES>();
    for four in fours {
        let mut tokens = [0; STATES];
        for (k, token) in tokens.iter_mut().enumerate() {
            *token = from.get::<F>(k, table);
        }
        for (v, token) in four.iter_mut().zip(tokens) {
            *v = value_of(token, |n| bits.get(n));
        }
    }
    for (k, v) in rest.iter_mut().enumerate() {
        *v = next::<F>(k, table, &mut from, &mut bits);
    }
    (*rans, *raw) = (from, bits);
}

#[inline(always)]
fn next<F: Find>(
    state: usize,
    table: &Slots,
    rans: &mut Decoder<'_>,
    raw: &mut BitReader<'_>,
) -> i16 {
    value_of(rans.get::<F>(state, table), |n| raw.get(n))
}
