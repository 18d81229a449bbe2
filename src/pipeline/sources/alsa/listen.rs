//! What a microphone is to the source that plays it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::super::depth::Depth;
use crate::error::Result;

/// A microphone, or what stands for one.
pub trait Listen: Send {
    /// Opens what is at `node`, and says what it offers near what is wished.
    ///
    /// # Errors
    /// `Device` if it cannot be opened or is no microphone.
    fn open(&mut self, node: &Path, wish: &Wish) -> Result<Vec<Offer>>;

    /// Starts it with what one of its offers says, at `rate`, and says what it does now.
    ///
    /// # Errors
    /// `Device` if it refuses.
    fn start(&mut self, offer: &Offer, rate: u32) -> Result<Shape>;

    /// What is heard next; `None` if nothing came within `patience`.
    ///
    /// # Errors
    /// `Device` if the microphone is gone.
    fn next(&mut self, patience: Duration) -> Result<Option<Heard>>;

    /// Stops it and lets it go.
    fn close(&mut self);
}

/// What is asked of a microphone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Time steps a second.
    pub rate: u32,
    /// Channels.
    pub channels: u32,
    /// The format; chosen if nothing is said.
    pub depth: Option<Depth>,
}

/// A format that a microphone has, with as many channels as wished, or as few more as it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The format.
    pub depth: Depth,
    /// Channels.
    pub channels: u32,
    /// Those of the usual rates and the one wished that it has.
    pub rates: Vec<u32>,
}

/// How sound comes from a microphone that plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The format.
    pub depth: Depth,
    /// Channels.
    pub channels: u32,
    /// Time steps a second.
    pub rate: u32,
    /// How much comes at once.
    pub period: Duration,
}

impl Shape {
    /// Bytes of a time step.
    pub fn bytes(&self) -> usize {
        self.depth.bytes() * self.channels as usize
    }
}

/// What a microphone gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Sound that goes on from what came before.
    Sound(Chunk),
    /// The sound broke off, and goes on: what lies between is missing.
    Broken(Break),
}

/// Some time steps as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// What the driver wrote.
    pub bytes: Vec<u8>,
    /// When the first was captured by the monotonic clock, if the driver says it.
    pub time: Option<Duration>,
}

/// Why a sound broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Nobody took it in time.
    Overrun,
    /// The device slept.
    Suspended,
    /// The driver stopped it.
    Stopped,
}

impl Break {
    /// What it is called in accounts.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Suspended => "suspended",
            Self::Stopped => "driver_dropped",
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overrun => "they were not taken in time",
            Self::Suspended => "the device slept",
            Self::Stopped => "the driver stopped",
        })
    }
}
