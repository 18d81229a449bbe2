//! One group of channels to bytes and back: static tables, tokens by rANS, the rest raw.

use super::bytes::{Cursor, put_varint};
use super::rans::{Decoder, Encoder, Table};
use crate::codec::{Quality, Tables, extra_bits, token};
use crate::error::Result;

/// The tables of a bundle, ready to code with. Made once per stream.
#[derive(Debug, Clone)]
pub(super) struct Coder {
    tables: Vec<Table>,
    choice: Tables,
}

impl Coder {
    pub fn new(tables: &Tables) -> Self {
        let ready = (0..tables.count()).map(|t| Table::new(tables.table(t))).collect();
        Self { tables: ready, choice: tables.clone() }
    }

    fn table(&self, quality: Quality, channel: usize) -> &Table {
        &self.tables[self.choice.select(quality, channel)]
    }

    /// Codes `[channels, cells]` values, the first of channel `first`. All zeros code to nothing.
    pub fn encode(&self, first: usize, cells: usize, quality: Quality, values: &[i16]) -> Vec<u8> {
        if values.iter().all(|&v| v == 0) {
            return Vec::new();
        }
        let mut raw = BitWriter::default();
        let mut rans = Encoder::new();
        for v in values {
            // The quantizers stay above -32768; it would have no token.
            let magnitude = v.unsigned_abs().min(32767);
            if magnitude > 0 {
                let (bits, base) = extra_bits(token(magnitude));
                raw.put(u32::from(*v < 0), 1);
                raw.put(u32::from(magnitude - base), bits);
            }
        }
        for (c, row) in values.chunks(cells).enumerate().rev() {
            let table = self.table(quality, first + c);
            for v in row.iter().rev() {
                rans.put(table, token(v.unsigned_abs().min(32767)));
            }
        }
        let raw = raw.finish();
        let mut body = Vec::with_capacity(raw.len() + values.len() / 4);
        put_varint(&mut body, raw.len() as u64);
        body.extend_from_slice(&raw);
        rans.finish(&mut body);
        let mut out = crc32c::crc32c(&body).to_le_bytes().to_vec();
        out.extend_from_slice(&body);
        out
    }

    /// Decodes one group into `values`, which holds zeros.
    pub fn decode(
        &self,
        first: usize,
        cells: usize,
        quality: Quality,
        group: Cursor<'_>,
        len: usize,
        values: &mut [i16],
    ) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        if cells == 0 {
            return Err(group.error(format!("{len} bytes of a group without cells")));
        }
        let mut group = group;
        let stated = u32::from_le_bytes(group.array()?);
        let mut check = group;
        let found = crc32c::crc32c(check.take(len.saturating_sub(4))?);
        if stated != found {
            return Err(group.error(format!("group CRC is {found:08x}, should be {stated:08x}")));
        }
        let raw_len = group.bounded("raw bits", len as u64)? as usize;
        let mut raw = BitReader { cursor: group, bits: 0, count: 0 };
        let raw_start = group.at();
        group.take(raw_len)?;
        let mut rans = Decoder::new(group)?;
        for (c, row) in values.chunks_mut(cells).enumerate() {
            let table = self.table(quality, first + c);
            for v in row {
                let token = rans.get(table)?;
                if token > 0 {
                    let (bits, base) = extra_bits(token);
                    let negative = raw.get(1)? == 1;
                    let magnitude = (base + raw.get(bits)? as u16) as i16;
                    *v = if negative { -magnitude } else { magnitude };
                }
            }
        }
        rans.finish()?;
        if raw.cursor.at() - raw_start != raw_len {
            return Err(raw.cursor.error(format!("{raw_len} bytes of raw bits, not all used")));
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct BitWriter {
    out: Vec<u8>,
    bits: u32,
    count: u32,
}

impl BitWriter {
    fn put(&mut self, value: u32, bits: u32) {
        self.bits |= value << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out.push(self.bits as u8);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.out.push(self.bits as u8);
        }
        self.out
    }
}

#[derive(Debug)]
struct BitReader<'a> {
    cursor: Cursor<'a>,
    bits: u32,
    count: u32,
}

impl BitReader<'_> {
    fn get(&mut self, bits: u32) -> Result<u32> {
        while self.count < bits {
            self.bits |= u32::from(self.cursor.byte()?) << self.count;
            self.count += 8;
        }
        let value = self.bits & ((1 << bits) - 1);
        self.bits >>= bits;
        self.count -= bits;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(values: &[i16], cells: usize, quality: Quality) {
        let coder = Coder::new(&Tables::generic(4).expect("generic tables are valid"));
        let bytes = coder.encode(1, cells, quality, values);
        let mut back = vec![0; values.len()];
        coder
            .decode(1, cells, quality, Cursor::new(&bytes, 0), bytes.len(), &mut back)
            .expect("own bytes decode");
        assert_eq!(back, values);
        for cut in 0..bytes.len() {
            let mut back = vec![0; values.len()];
            let part = &bytes[..cut];
            let got = coder.decode(1, cells, quality, Cursor::new(part, 0), bytes.len(), &mut back);
            assert!(got.is_err(), "a group cut to {cut} bytes must not decode");
        }
    }

    proptest! {
        #[test]
        fn any_values_come_back(values in prop::collection::vec(-32767i16..=32767, 1..60), q in 1u8..=100) {
            let cells = values.len().div_ceil(3);
            check(&values, cells, Quality::new(q).expect("in range"));
        }

        #[test]
        fn small_values_come_back(values in prop::collection::vec(-3i16..=3, 1..200)) {
            check(&values, values.len().div_ceil(2), Quality::DEFAULT);
        }
    }
}
