//! One group of channels to bytes and back: a check sum, then what its coder makes.

use serde::Deserialize;

use super::bytes::Cursor;
use super::dense::{Dense, Group};
use super::fast::Fast;
use crate::codec::Bundle;
use crate::error::Result;

/// How groups are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coder {
    /// A table for each channel: quick.
    Fast,
    /// A table for each value, chosen by what surrounds it: a third smaller.
    #[default]
    Dense,
}

/// The tables of a bundle, ready to code with. Made once per stream.
#[derive(Debug, Clone)]
pub(super) struct Coders {
    fast: Fast,
    pub dense: Dense,
}

impl Coders {
    pub fn new(bundle: &Bundle) -> Self {
        Self { fast: Fast::new(&bundle.tables), dense: Dense::new(&bundle.contexts) }
    }

    /// Codes `[channels, cells]` values. All zeros code to nothing.
    pub fn encode(
        &self,
        coder: Coder,
        group: &Group,
        values: &[i16],
        before: Option<&[i16]>,
    ) -> Vec<u8> {
        if values.iter().all(|&v| v == 0) {
            return Vec::new();
        }
        let mut out = vec![0; 4];
        if let Some(before) = before {
            out.extend_from_slice(&sum_of(before).to_le_bytes());
        }
        match (coder, before) {
            // No change is the packet before, and its sum says which that is.
            (_, Some(before)) if values == before => {}
            (Coder::Dense, _) => self.dense.encode(group, values, before, &mut out),
            (Coder::Fast, _) => self.fast.encode(group, values, &mut out),
        }
        let sum = crc32c::crc32c(&out[4..]).to_le_bytes();
        out[..4].copy_from_slice(&sum);
        out
    }

    /// Decodes one group of `len` bytes into `values`, which holds zeros.
    pub fn decode(
        &self,
        coder: Coder,
        group: &Group,
        mut bytes: Cursor<'_>,
        len: usize,
        before: Option<&[i16]>,
        values: &mut [i16],
    ) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        if group.len() == 0 {
            return Err(bytes.error(format!("{len} bytes of a group without cells")));
        }
        let stated = u32::from_le_bytes(bytes.array()?);
        let mut check = bytes;
        let found = crc32c::crc32c(check.take(len.saturating_sub(4))?);
        if stated != found {
            return Err(bytes.error(format!("group CRC is {found:08x}, should be {stated:08x}")));
        }
        let mut left = len - 4;
        if let Some(before) = before {
            let stated = u32::from_le_bytes(bytes.array()?);
            let found = sum_of(before);
            if stated != found {
                let reason =
                    format!("it continues latents of CRC {stated:08x}, here are {found:08x}");
                return Err(bytes.error(reason));
            }
            left = left.saturating_sub(4);
            if left == 0 {
                values.copy_from_slice(before);
                return Ok(());
            }
        }
        match coder {
            Coder::Dense => self.dense.decode(group, bytes, left, before, values),
            Coder::Fast => self.fast.decode(group, bytes, left, values),
        }
    }
}

/// Whether the check sum of a group's bytes is right.
pub(super) fn is_intact(bytes: &[u8]) -> bool {
    match bytes.split_first_chunk() {
        Some((stated, coded)) => u32::from_le_bytes(*stated) == crc32c::crc32c(coded),
        None => bytes.is_empty(),
    }
}

/// CRC-32C of latents, little endian.
fn sum_of(values: &[i16]) -> u32 {
    values.chunks(512).fold(0, |sum, part| {
        let mut bytes = [0; 1024];
        for (to, v) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(part) {
            *to = v.to_le_bytes();
        }
        crc32c::crc32c_append(sum, &bytes[..2 * part.len()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Contexts, Quality, Tables};
    use proptest::prelude::*;

    fn coders(contexts: &Contexts) -> Coders {
        let tables = Tables::generic(12).expect("generic tables are valid");
        Coders { fast: Fast::new(&tables), dense: Dense::new(contexts) }
    }

    /// Contexts that use everything there is, of tables that differ.
    fn busy() -> Contexts {
        let mut c = Contexts::generic(12);
        let mut seed = 1u32;
        let mut next = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 16
        };
        let one = c.frequencies.clone();
        for k in 1..5 {
            let mut table = one.clone();
            table[0] -= 1000 * k;
            table[k as usize] += 1000 * k;
            c.frequencies.extend(table);
        }
        for channel in 4..12usize {
            let known = channel / 4 * 4;
            c.references[2 * channel] = (next() as usize % known) as u16;
            c.references[2 * channel + 1] = (next() as usize % known) as u16;
        }
        c.taps.iter_mut().for_each(|t| *t = (next() % 1400) as i16 - 700);
        c.taps[6 * 5..6 * 9].fill(0);
        for choice in std::iter::once(&mut c.alone).chain(&mut c.continued) {
            for (k, w) in choice.weights.iter_mut().enumerate() {
                let none = k / 15 % 12 < 4 && (10..14).contains(&(k % 15));
                *w = if none { 0 } else { (next() % 200) as i16 - 40 };
            }
            choice.select.iter_mut().for_each(|s| *s = (next() % 5) as u8);
        }
        c.check(&[12]).expect("they fit together");
        c
    }

    fn check(coders: &Coders, group: &Group, values: &[i16], before: &[i16]) {
        for (coder, before) in
            [(Coder::Fast, None), (Coder::Dense, None), (Coder::Dense, Some(before))]
        {
            let bytes = coders.encode(coder, group, values, before);
            let decode = |bytes: &[u8], len| {
                let mut back = vec![0; values.len()];
                coders.decode(coder, group, Cursor::new(bytes, 0), len, before, &mut back)?;
                crate::error::Result::Ok(back)
            };
            assert_eq!(decode(&bytes, bytes.len()).expect("own bytes decode"), values, "{coder:?}");
            for cut in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
                assert!(decode(&bytes[..cut], bytes.len()).is_err(), "cut to {cut}");
                // Without its check sum a damaged group must do no harm.
                let mut bad = bytes.clone();
                bad[cut] ^= 0x55;
                let sum = crc32c::crc32c(&bad[4..]).to_le_bytes();
                bad[..4].copy_from_slice(&sum);
                let _ = decode(&bad, bad.len());
                let shorter = crc32c::crc32c(&bytes[4..cut.max(4)]).to_le_bytes();
                bad = bytes[..cut.max(4)].to_vec();
                bad[..4].copy_from_slice(&shorter);
                let _ = decode(&bad, bad.len());
            }
        }
    }

    proptest! {
        #[test]
        fn any_values_come_back(
            channels in 1usize..=12, rows in 1usize..9, columns in 1usize..9,
            seed in any::<u64>(), q in 1u8..=100, wild in any::<bool>(),
        ) {
            let mut s = seed | 1;
            let mut next = || {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                if wild { s as i16 } else { (s % 7) as i16 - 3 }
            };
            let quality = Quality::new(q).expect("in range");
            let group = Group { channels: 0..channels, grid: [rows, columns], quality };
            let values: Vec<i16> = (0..group.len()).map(|_| next()).collect();
            let before: Vec<i16> = (0..group.len()).map(|_| next()).collect();
            check(&coders(&busy()), &group, &values, &before);
            check(&coders(&Contexts::generic(12)), &group, &values, &before);
        }
    }

    #[test]
    fn many_values_take_four_states() {
        let group = Group { channels: 0..11, grid: [31, 17], quality: Quality::DEFAULT };
        assert!(group.states() == 4);
        let values: Vec<i16> = (0..group.len()).map(|i| ((i * i) % 97) as i16 / 16 - 3).collect();
        let before: Vec<i16> = values.iter().map(|v| v / 2).collect();
        check(&coders(&busy()), &group, &values, &before);
    }

    #[test]
    fn a_continued_group_knows_what_it_continues() {
        let coders = coders(&busy());
        let group = Group { channels: 0..3, grid: [4, 5], quality: Quality::DEFAULT };
        let before: Vec<i16> = (0..60).collect();
        let values: Vec<i16> = (0..60).map(|v| v + v % 3).collect();
        let bytes = coders.encode(Coder::Dense, &group, &values, Some(&before));
        let mut other = before.clone();
        other[59] = 0;
        let mut back = vec![0; 60];
        let cursor = Cursor::new(&bytes, 0);
        let why = coders.decode(Coder::Dense, &group, cursor, bytes.len(), Some(&other), &mut back);
        assert!(why.is_err_and(|e| e.to_string().contains("continues")));
        assert_eq!(coders.encode(Coder::Dense, &group, &before, Some(&before)).len(), 8);
    }
}
