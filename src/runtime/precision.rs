//! What runs a model, and in which numbers.

use std::fmt;
use std::str::FromStr;

use super::cpu::Simd;
use super::schedule::{Schedule, Tokens};

/// The linear layers of a transformer's block, by the names that choices use.
const LAYERS: [&str; 4] = ["qkv", "out", "up", "down"];

/// A linear layer of a transformer: `embed`, or one of a block, such as `0.down`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerPlace {
    /// Makes tokens.
    Embed,
    /// Of a block: which, and which of `qkv`, `out`, `up` and `down`.
    Block(usize, usize),
}

impl LayerPlace {
    /// All of a transformer with so many blocks, in their order.
    pub fn all(embeds: bool, blocks: usize) -> impl Iterator<Item = Self> {
        let of = |block| (0..LAYERS.len()).map(move |layer| Self::Block(block, layer));
        embeds.then_some(Self::Embed).into_iter().chain((0..blocks).flat_map(of))
    }
}

impl FromStr for LayerPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let block = || {
            let (block, name) = text.split_once('.')?;
            let layer = LAYERS.iter().position(|l| *l == name)?;
            Some(Self::Block(block.parse().ok()?, layer))
        };
        let found = if text == "embed" { Some(Self::Embed) } else { block() };
        found.ok_or_else(|| {
            format!("no such layer as {text:?}: embed, or 0.{}", LAYERS.join(", 0."))
        })
    }
}

impl fmt::Display for LayerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Embed => f.write_str("embed"),
            Self::Block(block, layer) => write!(f, "{block}.{}", LAYERS[layer]),
        }
    }
}

/// Numbers of the linear layers of a transformer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precision {
    /// Floats.
    #[default]
    Float,
    /// Whole numbers of 8 bits, but for these layers.
    Int8 {
        /// Those that stay floats.
        floats: Vec<LayerPlace>,
    },
}

impl Precision {
    /// Whether a layer is quantised.
    pub fn is_small(&self, layer: LayerPlace) -> bool {
        match self {
            Self::Float => false,
            Self::Int8 { floats } => !floats.contains(&layer),
        }
    }
}

/// Layers that stay floats, as metadata spells them: `embed 0.down 5.up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloatLayers(pub Vec<LayerPlace>);

impl FromStr for FloatLayers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for FloatLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(LayerPlace::to_string).collect();
        f.write_str(&names.join(" "))
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
                    let all = LayerPlace::all(no_embed.is_none(), *blocks).count();
                    write!(f, ", {int8} of {all} layers in int8")?;
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
