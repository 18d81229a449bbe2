//! Bits that no table codes, read from the end of a group backwards.

use super::bytes::Cursor;
use crate::error::Result;

/// Gathers bits, low bits first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    bits: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the low `bits` of `value`, 17 at most.
    #[inline(always)]
    pub fn put(&mut self, value: u32, bits: u32) {
        self.bits |= u64::from(value) << self.count;
        self.count += bits;
        while self.count >= 8 {
            self.out.push(self.bits as u8);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    /// Appends the bytes to `out`, the first at the end.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.count > 0 {
            self.out.push(self.bits as u8);
        }
        out.extend(self.out.iter().rev());
    }
}

/// Gives them back.
#[derive(Debug, Clone)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    bits: u64,
    count: u32,
    used: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, bits: 0, count: 0, used: 0 }
    }

    /// The next bits, 17 at most. Bytes that are missing are zeros; [`Self::finish`] refuses them.
    #[inline(always)]
    pub fn get(&mut self, bits: u32) -> u32 {
        while self.count < bits {
            let byte = match self.bytes.split_last() {
                Some((&last, rest)) => {
                    self.bytes = rest;
                    last
                }
                None => 0,
            };
            self.used += 1;
            self.bits |= u64::from(byte) << self.count;
            self.count += 8;
        }
        let value = self.bits & ((1 << bits) - 1);
        self.bits >>= bits;
        self.count -= bits;
        value as u32
    }

    /// Refuses a group whose bits and `others` do not make up its `len` bytes.
    pub fn finish(self, others: usize, len: usize, bytes: &Cursor<'_>) -> Result<()> {
        match others + self.used == len {
            true => Ok(()),
            false => {
                let used = others + self.used;
                Err(bytes.error(format!("{len} bytes of a group, {used} used")))
            }
        }
    }
}
