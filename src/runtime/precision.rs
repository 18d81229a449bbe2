//! What runs a model, and in which numbers.

use std::fmt;
use std::str::FromStr;

use super::cpu::Simd;
use super::schedule::{Schedule, Tokens};

/// The linear layers of a transformer's block, by the names that choices use.
pub const LAYERS: [&str; 4] = ["qkv", "out", "up", "down"];

/// Numbers of the linear layers of a transformer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precision {
    /// Floats.
    #[default]
    Float,
    /// Whole numbers of 8 bits, but for these layers.
    Int8 {
        /// Block and place in [`LAYERS`] of those that stay floats.
        floats: Vec<(usize, usize)>,
    },
}

impl Precision {
    /// Whether a layer is quantised.
    pub fn is_small(&self, block: usize, layer: usize) -> bool {
        match self {
            Self::Float => false,
            Self::Int8 { floats } => !floats.contains(&(block, layer)),
        }
    }
}

/// Layers that stay floats, as metadata spells them: `0.down 5.up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloatLayers(pub Vec<(usize, usize)>);

impl FromStr for FloatLayers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let layer = |word: &str| {
            let (block, name) = word.split_once('.')?;
            Some((block.parse().ok()?, LAYERS.iter().position(|l| *l == name)?))
        };
        let all = text.split_whitespace().map(|w| layer(w).ok_or_else(|| w.to_owned()));
        all.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for FloatLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (block, layer)) in self.0.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{block}.{}", LAYERS[*layer])?;
        }
        Ok(())
    }
}

/// How a head is to be run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeadOptions {
    /// The layers of a transformer in whole numbers of 8 bits, but for those that the head's metadata
    /// keeps. A head without a transformer that is recognised stays as it is.
    pub int8: bool,
    /// The tokens that a transformer goes on with.
    pub tokens: Tokens,
}

/// What runs a model.
#[derive(Debug, Clone, PartialEq)]
pub enum Engine {
    /// Nothing: this build runs no models.
    Absent,
    /// tract, node by node.
    Plain {
        /// Why its transformer is not ours to run: the first node that did not fit.
        why: String,
    },
    /// One operation of ours for the blocks of its transformer.
    Transformer {
        /// Blocks.
        blocks: usize,
        /// Numbers of a token.
        width: usize,
        /// Heads of attention.
        heads: usize,
        /// Layers that are quantised.
        int8: usize,
        /// Which tokens it goes on with, if not with all.
        schedule: Option<Schedule>,
        /// Why the tokens are made by tract, if they are.
        no_embed: Option<String>,
        /// Instructions asked for.
        simd: Simd,
    },
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(f, "is not run: this tamis was built without models"),
            Self::Plain { why } => write!(f, "runs in plain tract: {why}"),
            Self::Transformer { blocks, width, heads, int8, schedule, no_embed, simd } => {
                write!(
                    f,
                    "its transformer ({blocks} blocks of {width}, {heads} attention heads) "
                )?;
                write!(f, "runs as one operation ({}", simd.name())?;
                if *int8 > 0 {
                    write!(f, ", {int8} of {} layers in int8", blocks * LAYERS.len())?;
                }
                if let Some(schedule) = schedule {
                    write!(f, ", tokens by {schedule}")?;
                }
                write!(f, ")")?;
                match no_embed {
                    None => write!(f, ", its embedding too"),
                    Some(why) => write!(f, "; its embedding runs in plain tract: {why}"),
                }
            }
        }
    }
}
