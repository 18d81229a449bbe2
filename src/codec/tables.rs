//! Entropy tables: integer frequencies of tokens, and which of them a channel uses at a quality.

use super::quality::Quality;
use super::tokens::{ALPHABET, PRECISION_BITS};
use crate::error::{Error, Result};

/// Qualities that share their tables.
const ANCHOR: usize = 4;
/// Number of anchors.
pub(crate) const ANCHORS: usize = 100 / ANCHOR;

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
        check_frequencies(&frequencies)?;
        let choices = ANCHORS.saturating_mul(channels);
        if select.len() != choices {
            return Err(Error::shape("entropy table choices", choices, select.len()));
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
        Self::new(generic_table(), vec![0; ANCHORS * channels], channels)
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

/// Refuses rows of frequencies that are none, too many, or do not add up.
pub(super) fn check_frequencies(frequencies: &[u16]) -> Result<()> {
    let rows = frequencies.len() / ALPHABET;
    if !frequencies.len().is_multiple_of(ALPHABET) || !(1..=256).contains(&rows) {
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
    Ok(())
}

/// A table for values whose statistics are unknown, falling with their size.
pub(super) fn generic_table() -> Vec<u16> {
    let mut table: Vec<u16> = (0..ALPHABET).map(|t| 6000 / (t as u16 + 1)).collect();
    let sum: u32 = table.iter().map(|&f| u32::from(f)).sum();
    table[0] += ((1 << PRECISION_BITS) - sum) as u16;
    table
}

#[cfg(test)]
mod tests {
    use super::*;

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
