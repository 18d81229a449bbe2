//! Entropy tables: integer frequencies, and which of them a channel uses at a quality.
//!
//! A value's magnitude becomes a token: 0..=15 stand for themselves; above, two tokens per octave,
//! with the remaining bits and the sign sent raw. So one small alphabet holds every `i16` and no
//! value is out of reach.

use super::quality::Quality;
use crate::error::{Error, Result};

/// Tokens: 16 direct magnitudes, then two per octave up to 32767.
pub const ALPHABET: usize = 38;
/// Frequencies of a table add up to 2 to the power of this.
pub const PRECISION_BITS: u32 = 14;
/// Qualities that share their tables.
const ANCHOR: usize = 4;
/// Number of anchors.
pub(crate) const ANCHORS: usize = 100 / ANCHOR;

/// Token of a magnitude.
pub fn token(magnitude: u16) -> usize {
    if magnitude < 16 {
        return usize::from(magnitude);
    }
    let octave = magnitude.ilog2();
    let half = (magnitude >> (octave - 1)) & 1;
    16 + 2 * (octave as usize - 4) + usize::from(half)
}

/// Raw bits that follow a token, without the sign, and the smallest magnitude it stands for.
pub fn extra_bits(token: usize) -> (u32, u16) {
    if token < 16 {
        return (0, token as u16);
    }
    let octave = (token - 16) as u32 / 2 + 4;
    let half = ((token - 16) & 1) as u16;
    (octave - 1, (2 + half) << (octave - 1))
}

/// The anchor whose tables serve a quality.
fn anchor(quality: Quality) -> usize {
    (usize::from(quality.value()) - 1) / ANCHOR
}

/// The quality in the middle of each anchor's range, at which its tables are fitted.
///
/// # Errors
/// None in practice; every anchor lies in 1..=100.
pub fn anchor_qualities() -> Result<Vec<Quality>> {
    (0..ANCHORS).map(|a| Quality::new((a * ANCHOR + ANCHOR / 2 + 1) as u8)).collect()
}

/// A few tables of token frequencies, and the one to use for every anchor and channel.
///
/// Shape: `frequencies` is `[tables, ALPHABET]`, `select` is `[25, channels]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    frequencies: Vec<u16>,
    select: Vec<u8>,
    channels: usize,
}

impl Tables {
    /// Checks that every table adds up and every choice exists.
    ///
    /// # Errors
    /// `Shape` if not.
    pub fn new(frequencies: Vec<u16>, select: Vec<u8>, channels: usize) -> Result<Self> {
        let count = frequencies.len() / ALPHABET;
        if frequencies.is_empty() || !frequencies.len().is_multiple_of(ALPHABET) || count > 256 {
            let expected = format!("1 to 256 rows of {ALPHABET}");
            return Err(Error::shape("entropy tables", expected, frequencies.len()));
        }
        for table in frequencies.chunks_exact(ALPHABET) {
            let sum: u32 = table.iter().map(|&f| u32::from(f)).sum();
            if sum != 1 << PRECISION_BITS || table.contains(&0) {
                let expected = format!("positive, adding up to {}", 1 << PRECISION_BITS);
                return Err(Error::shape("entropy table", expected, sum));
            }
        }
        if select.len() != ANCHORS * channels {
            return Err(Error::shape("entropy table choices", ANCHORS * channels, select.len()));
        }
        if let Some(&bad) = select.iter().find(|&&s| usize::from(s) >= count) {
            return Err(Error::shape("entropy table choice", format!("below {count}"), bad));
        }
        Ok(Self { frequencies, select, channels })
    }

    /// One table for everything, for bundles whose statistics are unknown: halving per octave.
    ///
    /// # Errors
    /// None in practice; the check of [`Self::new`] runs.
    pub fn generic(channels: usize) -> Result<Self> {
        let mut table: Vec<u16> =
            (0..ALPHABET).map(|t| if t < 16 { 1600 / (t as u16 + 1) } else { 80 }).collect();
        let sum: u32 = table.iter().map(|&f| u32::from(f)).sum();
        table[0] += ((1 << PRECISION_BITS) - sum) as u16;
        Self::new(table, vec![0; ANCHORS * channels], channels)
    }

    /// Number of tables.
    pub fn count(&self) -> usize {
        self.frequencies.len() / ALPHABET
    }

    /// Channels served.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Frequencies of one table.
    ///
    /// # Panics
    /// If there is no such table.
    pub fn table(&self, table: usize) -> &[u16] {
        &self.frequencies[table * ALPHABET..(table + 1) * ALPHABET]
    }

    /// The table that `channel` uses at `quality`.
    ///
    /// # Panics
    /// If there is no such channel.
    pub fn select(&self, quality: Quality, channel: usize) -> usize {
        assert!(channel < self.channels, "channel {channel} of {}", self.channels);
        usize::from(self.select[anchor(quality) * self.channels + channel])
    }

    /// All frequencies, table by table.
    pub fn frequencies(&self) -> &[u16] {
        &self.frequencies
    }

    /// All choices, anchor by anchor.
    pub fn choices(&self) -> &[u8] {
        &self.select
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_magnitude_has_one_token() {
        let mut last = 0;
        for m in 0..=32767u16 {
            let t = token(m);
            let (bits, base) = extra_bits(t);
            assert!(t < ALPHABET && t >= last && m >= base && u32::from(m - base) < 1 << bits);
            last = t;
        }
        assert_eq!(last, ALPHABET - 1);
    }

    #[test]
    fn tables_that_do_not_add_up_are_refused() -> Result<()> {
        let good = Tables::generic(3)?;
        let mut bad = good.frequencies().to_vec();
        bad[0] -= 1;
        assert!(Tables::new(bad, good.choices().to_vec(), 3).is_err());
        assert!(Tables::new(good.frequencies().to_vec(), vec![1; ANCHORS * 3], 3).is_err());
        assert!(Tables::new(good.frequencies().to_vec(), vec![0; 7], 3).is_err());
        Ok(())
    }
}
