//! The blocks of a transformer, and how they run.

use std::sync::{Mutex, PoisonError};

use super::attention::{self, Attention};
use super::buffer::Buffer;
use super::dispatch::Isa;
use super::embed::{Cells, CompiledEmbed, Embed};
use super::linear::{Linear, Matrix, Rows, SmallRows, Then};
use super::math::Activation;
use super::rows::{self, Norm};

/// An encoder as a model holds it.
///
/// Source: Vaswani et al. 2017; Dosovitskiy et al. 2021, equations 2 to 4.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformer {
    /// Numbers of a token.
    pub width: usize,
    /// Heads of attention, of `width / heads` numbers each.
    pub heads: usize,
    /// Whether a norm stands before a layer and its residual, or behind their sum.
    pub order: Order,
    /// Between the layers `up` and `down`.
    pub activation: Activation,
    /// One after the other.
    pub blocks: Vec<Block>,
    /// After the last block.
    pub last: Option<Norm>,
    /// Before the first, if tokens are made here.
    pub embed: Option<Embed>,
}

/// Where norms stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `x + f(norm(x))`
    Pre,
    /// `norm(x + f(x))`
    Post,
}

/// One block: attention and two layers, each with a residual.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Of attention.
    pub norm1: Norm,
    /// Queries, scaled by what scores are scaled by, keys and values: `[width, 3 width]`.
    pub qkv: Matrix,
    /// Of what attention gives: `[width, width]`.
    pub out: Matrix,
    /// Of the two layers.
    pub norm2: Norm,
    /// `[width, hidden]`
    pub up: Matrix,
    /// `[hidden, width]`
    pub down: Matrix,
}

impl Block {
    /// In the order of [`LAYERS`](crate::runtime::LAYERS).
    pub fn layers(&self) -> [&Matrix; 4] {
        [&self.qkv, &self.out, &self.up, &self.down]
    }
}

/// An encoder prepared for this machine. It may be shared by threads.
pub(crate) trait Prepared: Send + Sync + std::fmt::Debug {
    /// Shape: tokens `[n, width]`, in place; received as [`Attention`] gives it, of every block.
    fn run(&self, tokens: &mut [f32], received: Option<&mut Vec<Vec<f32>>>);

    /// Tokens of a grid of cells.
    ///
    /// # Errors
    /// If there is no embedding, or none for this grid.
    fn embed(&self, cells: Cells<'_>, grid: [usize; 2]) -> Result<Vec<f32>, String>;
}

/// For one instruction set.
#[derive(Debug)]
pub(super) struct Compiled<L: Isa> {
    width: usize,
    heads: usize,
    order: Order,
    activation: Activation,
    blocks: Vec<CompiledBlock<L>>,
    last: Option<Norm>,
    embed: Option<CompiledEmbed<L>>,
    /// Memory of runs that are over: fresh pages cost as much as a layer.
    idle: Mutex<Vec<Scratch<L>>>,
}

#[derive(Debug)]
struct CompiledBlock<L: Isa> {
    norm1: Norm,
    norm2: Norm,
    qkv: Linear<L>,
    out: Linear<L>,
    up: Linear<L>,
    down: Linear<L>,
}

/// Inputs whose products of bytes a sum of 32 bits holds for certain.
const MOST: usize = 1 << 16;

/// Memory of a run.
#[derive(Debug)]
struct Scratch<L: Isa> {
    normal: Buffer<f32>,
    wide: Buffer<f32>,
    attended: Buffer<f32>,
    small: SmallRows<L::Small>,
    attention: attention::Scratch,
}

impl<L: Isa> Default for Scratch<L> {
    fn default() -> Self {
        Self {
            normal: Buffer::default(),
            wide: Buffer::default(),
            attended: Buffer::default(),
            small: SmallRows::default(),
            attention: attention::Scratch::default(),
        }
    }
}

impl<L: Isa> Compiled<L> {
    /// `small` says of each layer of each block whether it is quantised.
    pub fn new(encoder: &Transformer, small: impl Fn(usize, usize) -> bool) -> Self {
        let blocks = encoder.blocks.iter().enumerate().map(|(b, block)| {
            let layer = |l: usize| match small(b, l) && block.layers()[l].inputs() <= MOST {
                true => Linear::smalls(block.layers()[l]),
                false => Linear::floats(block.layers()[l]),
            };
            CompiledBlock {
                norm1: block.norm1.clone(),
                norm2: block.norm2.clone(),
                qkv: layer(0),
                out: layer(1),
                up: layer(2),
                down: layer(3),
            }
        });
        Self {
            width: encoder.width,
            heads: encoder.heads,
            order: encoder.order,
            activation: encoder.activation,
            blocks: blocks.collect(),
            last: encoder.last.clone(),
            embed: encoder.embed.as_ref().map(CompiledEmbed::new),
            idle: Mutex::default(),
        }
    }
}

/// `out = then(layer(x))`, quantising what a quantised layer reads.
fn layer<L: Isa>(
    linear: &Linear<L>,
    x: &[f32],
    inputs: usize,
    small: &mut SmallRows<L::Small>,
    out: &mut [f32],
    then: Then,
) {
    if linear.is_small() {
        rows::quantise::<L>(x, inputs, small);
        linear.run(Rows::Smalls(small), inputs, out, then);
    } else {
        linear.run(Rows::Floats(x), inputs, out, then);
    }
}

impl<L: Isa> CompiledBlock<L> {
    fn run(
        &self,
        of: &Compiled<L>,
        tokens: &mut [f32],
        received: Option<&mut [f32]>,
        s: &mut Scratch<L>,
    ) {
        let width = of.width;
        let pre = of.order == Order::Pre;
        let n = tokens.len() / width;
        s.normal.fit(tokens.len());
        s.wide.fit(3 * tokens.len());
        s.attended.fit(tokens.len());
        if pre {
            self.norm1.run::<L>(tokens, &mut s.normal);
        }
        let x = if pre { &s.normal[..] } else { &*tokens };
        layer(&self.qkv, x, width, &mut s.small, &mut s.wide, Then::Store);
        L::call(Attention {
            qkv: &s.wide,
            width,
            heads: of.heads,
            out: &mut s.attended,
            received,
            scratch: &mut s.attention,
        });
        layer(&self.out, &s.attended, width, &mut s.small, tokens, Then::Add);
        if pre {
            self.norm2.run::<L>(tokens, &mut s.normal);
        } else {
            self.norm1.run_in_place::<L>(tokens);
        }
        let x = if pre { &s.normal[..] } else { &*tokens };
        let hidden = self.up.outputs();
        s.wide.fit(n * hidden);
        let activate = match self.down.is_small() {
            true => Then::Coarse(of.activation),
            false => Then::Activate(of.activation),
        };
        layer(&self.up, x, width, &mut s.small, &mut s.wide, activate);
        layer(&self.down, &s.wide, hidden, &mut s.small, tokens, Then::Add);
        if !pre {
            self.norm2.run_in_place::<L>(tokens);
        }
    }
}

impl<L: Isa> Prepared for Compiled<L> {
    fn run(&self, tokens: &mut [f32], mut received: Option<&mut Vec<Vec<f32>>>) {
        let n = tokens.len() / self.width;
        assert!(tokens.len() == n * self.width, "tokens of an encoder");
        if n == 0 {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = idle.pop().unwrap_or_default();
        drop(idle);
        for block in &self.blocks {
            let mut scores = received.is_some().then(|| vec![0.0; self.heads * n]);
            block.run(self, tokens, scores.as_deref_mut(), &mut scratch);
            if let (Some(all), Some(scores)) = (&mut received, scores) {
                all.push(scores);
            }
        }
        if let Some(norm) = &self.last {
            norm.run_in_place::<L>(tokens);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }

    fn embed(&self, cells: Cells<'_>, grid: [usize; 2]) -> Result<Vec<f32>, String> {
        let embed = self.embed.as_ref().ok_or("makes no tokens of cells")?;
        embed.run(cells, grid)
    }
}
