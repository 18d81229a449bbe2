//! What travels down a line.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::time::Duration;

use super::warning::Warning;
use crate::bitstream::{Packet, StreamHeader};
use crate::codec::{Frame, Latent, Stamp};
use crate::runtime::Prediction;

/// One frame on its way, and what the stages have made of it.
#[derive(Debug, Clone, Default)]
pub struct Item {
    /// Stream, place and time.
    pub stamp: Stamp,
    /// Where it came from: a path, a device, a stream's name.
    pub name: String,
    /// Nothing follows in its stream.
    pub end: bool,
    /// Time to the next picture, where the source knows its rate; else zero.
    pub lasts: Duration,
    /// The samples.
    pub frame: Option<Frame>,
    /// The latent.
    pub latent: Option<Latent>,
    /// What the stream says of itself, once its codec is known.
    pub header: Option<StreamHeader>,
    /// The coded latent.
    pub packet: Option<Packet>,
    /// What heads said.
    pub predictions: Vec<Prediction>,
    /// What was odd but did not stop it.
    pub warnings: Vec<Warning>,
    /// Why it goes no further.
    pub gone: Option<Gone>,
}

/// Why an item does not reach the sinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// Given up on purpose, by a rule of the line.
    Dropped(&'static str),
    /// Could not be read, decoded or written; with what was wrong.
    Lost(&'static str, String),
}

impl Item {
    /// An item that holds a frame.
    pub fn new(stamp: Stamp, name: impl Into<String>, frame: Frame) -> Self {
        Self { stamp, name: name.into(), frame: Some(frame), ..Self::default() }
    }

    /// An item that was lost before it held anything.
    pub fn lost(stamp: Stamp, name: impl Into<String>, kind: &'static str, why: String) -> Self {
        Self { stamp, name: name.into(), gone: Some(Gone::Lost(kind, why)), ..Self::default() }
    }

    /// The parts that are there.
    pub fn parts(&self) -> Parts {
        let mut parts = Parts::NONE;
        for (there, part) in [
            (self.frame.is_some(), Parts::FRAME),
            (self.latent.is_some(), Parts::LATENT),
            (self.packet.is_some(), Parts::PACKET),
            (!self.predictions.is_empty(), Parts::PREDICTION),
        ] {
            if there {
                parts |= part;
            }
        }
        parts
    }
}

/// A set of parts of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts(u8);

impl Parts {
    /// No part.
    pub const NONE: Self = Self(0);
    /// The samples.
    pub const FRAME: Self = Self(1);
    /// The latent.
    pub const LATENT: Self = Self(2);
    /// The coded latent.
    pub const PACKET: Self = Self(4);
    /// What heads said.
    pub const PREDICTION: Self = Self(8);

    /// The parts of `self` that `other` lacks.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Parts {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Parts {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["frame", "latent", "packet", "prediction"];
        let there: Vec<&str> =
            (0..4).filter(|i| self.0 & (1 << i) != 0).map(|i| names[i]).collect();
        f.write_str(&there.join(", "))
    }
}
