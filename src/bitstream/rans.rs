//! Range asymmetric numeral system over integer frequencies.
//!
//! Source: Duda 2013, arXiv 1311.2540; 32-bit state, 16-bit words, so that encoding and decoding
//! take one word at most per symbol.

use crate::codec::{ALPHABET, PRECISION_BITS};
use crate::error::Result;

use super::bytes::Cursor;

/// The state lies in `LOW..LOW << 16`.
const LOW: u32 = 1 << 16;

/// One table, ready to code with.
#[derive(Debug, Clone)]
pub(super) struct Table {
    frequency: [u32; ALPHABET],
    start: [u32; ALPHABET],
    /// Token of every slot.
    slots: Vec<u8>,
}

impl Table {
    pub fn new(frequencies: &[u16]) -> Self {
        let mut table = Self {
            frequency: [0; ALPHABET],
            start: [0; ALPHABET],
            slots: Vec::with_capacity(1 << PRECISION_BITS),
        };
        for (token, &f) in frequencies.iter().enumerate() {
            table.start[token] = table.slots.len() as u32;
            table.frequency[token] = u32::from(f);
            table.slots.resize(table.slots.len() + usize::from(f), token as u8);
        }
        table
    }
}

/// Encodes tokens, last first; the words come out backwards and are turned round at the end.
#[derive(Debug)]
pub(super) struct Encoder {
    state: u32,
    words: Vec<u16>,
}

impl Encoder {
    pub fn new() -> Self {
        Self { state: LOW, words: Vec::new() }
    }

    pub fn put(&mut self, table: &Table, token: usize) {
        let f = table.frequency[token];
        if u64::from(self.state) >= u64::from(f) << (32 - PRECISION_BITS) {
            self.words.push(self.state as u16);
            self.state >>= 16;
        }
        self.state = ((self.state / f) << PRECISION_BITS) + self.state % f + table.start[token];
    }

    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.state.to_le_bytes());
        out.extend(self.words.iter().rev().flat_map(|w| w.to_le_bytes()));
    }
}

/// Decodes tokens in order.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    state: u32,
    words: Cursor<'a>,
}

impl<'a> Decoder<'a> {
    pub fn new(mut words: Cursor<'a>) -> Result<Self> {
        let state = u32::from_le_bytes(words.array()?);
        Ok(Self { state, words })
    }

    pub fn get(&mut self, table: &Table) -> Result<usize> {
        let slot = self.state & ((1 << PRECISION_BITS) - 1);
        let token = usize::from(table.slots[slot as usize]);
        let rest = self.state >> PRECISION_BITS;
        // Cannot overflow: rest < 2^18 and the frequency is at most 2^14.
        self.state = table.frequency[token] * rest + slot - table.start[token];
        if self.state < LOW {
            let word = u16::from_le_bytes(self.words.array()?);
            self.state = self.state << 16 | u32::from(word);
        }
        Ok(token)
    }

    /// Refuses bytes left over and a state that no encoder starts from.
    pub fn finish(self) -> Result<()> {
        self.words.end()?;
        if self.state != LOW {
            return Err(self.words.error("entropy coder ends in the wrong state"));
        }
        Ok(())
    }
}
