//! The numbers of the dense coder: how a value's surroundings choose the table that codes it.
//!
//! Every value is predicted, from its own channel's neighbours or from the packet before, and what is
//! left is coded with a table chosen by how large its neighbours' rests were. How: format.md, and
//! `bitstream/context.rs`, which computes it.

use super::quality::Quality;
use super::tables::{check_frequencies, generic_table};
use super::tokens::ALPHABET;
use crate::error::{Error, Result};

/// Channels coded side by side, none of which sees what stands at its own cell in the others.
pub const BLOCK: usize = 4;
/// Earlier channels that a channel looks at.
pub const REFERENCES: usize = 2;
/// Numbers that say how large a value may be; see `bitstream/context.rs`.
pub const FEATURES: usize = 15;
/// Feature of the first of these channels; two for each.
pub const FIRST_REFERENCE: usize = 10;
/// Neighbours that a value is predicted from: left, above, above left, above right, two left, two
/// above.
pub const TAPS: usize = 6;
/// Steps of the expected size.
pub const LEVELS: usize = 48;
/// What is known of the prediction besides.
pub const PHASES: usize = 3;
/// One part in so many: a tap.
pub const TAP_UNIT: i32 = 1024;
/// Ranges of qualities that share their numbers.
pub const BANDS: usize = 4;

/// The range of a quality: 1 to 40, to 60, to 80, to 100.
pub fn band(quality: Quality) -> usize {
    match quality.value() {
        ..=40 => 0,
        41..=60 => 1,
        61..=80 => 2,
        _ => 3,
    }
}

/// How contexts choose tables, for packets of their own or for those that continue another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Weights of the features in 1/256: `[BANDS, channels, FEATURES]`.
    pub weights: Vec<i16>,
    /// Tables: `[BANDS, channels, PHASES, LEVELS]`, or without phases where nothing is predicted.
    pub select: Vec<u8>,
}

/// The numbers of the dense coder of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contexts {
    /// Earlier channels of the same group that a channel looks at, or itself for none:
    /// `[channels, REFERENCES]`.
    pub references: Vec<u16>,
    /// Prediction from neighbours in 1/`TAP_UNIT`; all 0 for channels that are not predicted:
    /// `[BANDS, channels, TAPS]`.
    pub taps: Vec<i16>,
    /// For latents that stand alone.
    pub alone: Choice,
    /// For latents that continue the packet before; none for sound.
    pub continued: Option<Choice>,
    /// Frequencies of tokens: `[tables, ALPHABET]`.
    pub frequencies: Vec<u16>,
}

/// First channel of the block that `channel` belongs to, in a group that starts at `first`.
pub fn block_start(first: usize, channel: usize) -> usize {
    first + (channel - first) / BLOCK * BLOCK
}

impl Choice {
    /// Phases that it tells apart.
    pub fn phases(&self, channels: usize) -> usize {
        self.select.len() / (BANDS * channels * LEVELS).max(1)
    }

    fn check(&self, channels: usize, tables: usize, phases: usize) -> Result<()> {
        let weights = BANDS * channels * FEATURES;
        if self.weights.len() != weights {
            return Err(Error::shape("context weights", weights, self.weights.len()));
        }
        let each = BANDS * channels * LEVELS;
        if self.select.len() != each * phases && self.select.len() != each * PHASES {
            return Err(Error::shape("context choices", each * phases, self.select.len()));
        }
        match self.select.iter().find(|&&s| usize::from(s) >= tables) {
            Some(bad) => Err(Error::shape("context choice", format!("below {tables}"), bad)),
            None => Ok(()),
        }
    }
}

impl Contexts {
    /// Contexts that choose one table for everything.
    pub fn generic(channels: usize) -> Self {
        let choice = Choice {
            weights: vec![0; BANDS * channels * FEATURES],
            select: vec![0; BANDS * channels * PHASES * LEVELS],
        };
        Self {
            references: (0..channels as u16).flat_map(|c| [c; REFERENCES]).collect(),
            taps: vec![0; BANDS * channels * TAPS],
            alone: choice.clone(),
            continued: Some(choice),
            frequencies: generic_table(),
        }
    }

    /// Number of tables.
    pub fn tables(&self) -> usize {
        self.frequencies.len() / ALPHABET
    }

    /// Refuses numbers that do not fit together, or that no decoder could follow.
    ///
    /// # Errors
    /// `Shape`.
    pub fn check(&self, groups: &[usize]) -> Result<()> {
        let channels = groups.last().copied().unwrap_or(0);
        check_frequencies(&self.frequencies)?;
        for (what, expected, actual) in [
            ("context references", channels * REFERENCES, self.references.len()),
            ("context taps", BANDS * channels * TAPS, self.taps.len()),
        ] {
            if expected != actual {
                return Err(Error::shape(what, expected, actual));
            }
        }
        let predicts = self.taps.iter().any(|&t| t != 0);
        self.alone.check(channels, self.tables(), if predicts { PHASES } else { 1 })?;
        if let Some(continued) = &self.continued {
            continued.check(channels, self.tables(), PHASES)?;
        }
        // Six of them with values of 16 bits stay within 32.
        if let Some(bad) = self.taps.iter().find(|t| i32::from(t.unsigned_abs()) > 2 * TAP_UNIT) {
            return Err(Error::shape("context tap", format!("at most {}", 2 * TAP_UNIT), bad));
        }
        // What a channel knows of itself is asked for by other features.
        for choice in std::iter::once(&self.alone).chain(&self.continued) {
            for (at, weights) in choice.weights.chunks_exact(FEATURES).enumerate() {
                let c = at % channels;
                for k in 0..REFERENCES {
                    let none = usize::from(self.references[c * REFERENCES + k]) == c;
                    if none && weights[FIRST_REFERENCE + 2 * k..][..2] != [0; 2] {
                        let expected = format!("0 where channel {c} looks at no other");
                        return Err(Error::shape("context weight", expected, "others"));
                    }
                }
            }
        }
        let mut first = 0;
        for &end in groups {
            for c in first..end {
                let known = first..block_start(first, c);
                for &r in &self.references[c * REFERENCES..][..REFERENCES] {
                    if usize::from(r) != c && !known.contains(&usize::from(r)) {
                        let expected = format!("in {known:?}, or {c} for none");
                        return Err(Error::shape("context reference", expected, r));
                    }
                }
            }
            first = end;
        }
        Ok(())
    }
}
