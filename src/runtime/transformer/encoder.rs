//! The blocks of a transformer, and how they run.

use std::sync::{Mutex, PoisonError};

use super::attention::{self, Attention};
use super::buffer::Buffer;
use super::dispatch::Isa;
use super::embed::{Cells, CompiledEmbed, Embed};
use super::linear::{Linear, Matrix, SmallRows, Then};
use super::math::Activation;
use super::rows::Norm;
use super::thin::{Seen, Thinning};
use crate::runtime::precision::LayerPlace;

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
    /// In the order of [`LayerPlace`].
    pub fn layers(&self) -> [&Matrix; 4] {
        [&self.qkv, &self.out, &self.up, &self.down]
    }
}

/// An encoder prepared for this machine. It may be shared by threads.
pub(crate) trait Prepared: Send + Sync + std::fmt::Debug {
    /// Shape: tokens `[n, width]`, in place. What `thinning` left out already is not there, but for its room at
    /// the end. What is left out on the way stands at its place when it is over.
    fn run(&self, tokens: &mut [f32], thinning: Option<&mut Thinning<'_>>);

    /// Tokens of a grid of cells; of the patches only `kept`, ascending, if it is given: then they stand at the
    /// beginning, behind those of classes, and the others hold nothing yet.
    ///
    /// # Errors
    /// If there is no embedding, or none for this grid.
    fn embed(
        &self,
        cells: Cells<'_>,
        grid: [usize; 2],
        kept: Option<&[usize]>,
    ) -> Result<Vec<f32>, String>;
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

/// Memory of a run.
#[derive(Debug)]
struct Scratch<L: Isa> {
    normal: Buffer<f32>,
    wide: Buffer<f32>,
    attended: Buffer<f32>,
    small: SmallRows<L::Small>,
    attention: attention::Scratch,
    map: Vec<f32>,
}

impl<L: Isa> Default for Scratch<L> {
    fn default() -> Self {
        Self {
            normal: Buffer::default(),
            wide: Buffer::default(),
            attended: Buffer::default(),
            small: SmallRows::default(),
            attention: attention::Scratch::default(),
            map: Vec::new(),
        }
    }
}

impl<L: Isa> Compiled<L> {
    /// `small` says of each layer whether it is quantised.
    pub fn new(encoder: &Transformer, small: impl Fn(LayerPlace) -> bool) -> Self {
        let blocks = encoder.blocks.iter().enumerate().map(|(b, block)| {
            let layer = |l: usize| Linear::new(block.layers()[l], small(LayerPlace::Block(b, l)));
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
            embed: encoder.embed.as_ref().map(|e| CompiledEmbed::new(e, small(LayerPlace::Embed))),
            idle: Mutex::default(),
        }
    }
}

impl<L: Isa> CompiledBlock<L> {
    /// How many tokens are left.
    fn run(
        &self,
        of: &Compiled<L>,
        block: usize,
        tokens: &mut [f32],
        mut thinning: Option<&mut Thinning<'_>>,
        s: &mut Scratch<L>,
    ) -> usize {
        let width = of.width;
        let turns = thinning.as_deref().is_some_and(|t| t.wants_turns(block));
        let pre = of.order == Order::Pre;
        let n = tokens.len() / width;
        s.normal.fit(tokens.len());
        s.wide.fit(3 * tokens.len());
        s.attended.fit(tokens.len());
        if pre {
            self.norm1.run::<L>(tokens, &mut s.normal);
        }
        let x = if pre { &s.normal[..] } else { &*tokens };
        self.qkv.apply(x, width, &mut s.small, &mut s.wide, Then::Store);
        let map = thinning.as_deref().is_some_and(|t| t.wants_map(block));
        s.map.resize(if map { of.heads * n * n } else { 0 }, 0.0);
        let bias = thinning.as_deref().and_then(|t| t.key_bias(n));
        L::call(Attention {
            qkv: &s.wide,
            width,
            heads: of.heads,
            out: &mut s.attended,
            bias: bias.as_deref(),
            map: map.then_some(&mut s.map[..]),
            scratch: &mut s.attention,
        });
        let before = turns.then(|| (x.to_vec(), tokens.to_vec()));
        self.out.apply(&s.attended, width, &mut s.small, tokens, Then::Add);
        let n = match thinning.as_deref_mut() {
            None => n,
            Some(thinning) => {
                if let Some((x, before)) = before {
                    thinning.turn(&x, &difference(tokens, &before), width);
                }
                let (map, qkv) = (&s.map[..], &s.wide[..]);
                thinning.step(Seen { block, width, heads: of.heads, map, qkv }, tokens)
            }
        };
        let tokens = &mut tokens[..n * width];
        s.normal.fit(tokens.len());
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
        self.up.apply(x, width, &mut s.small, &mut s.wide, activate);
        let before = turns.then(|| (x.to_vec(), tokens.to_vec()));
        self.down.apply(&s.wide, hidden, &mut s.small, tokens, Then::Add);
        if let (Some((x, before)), Some(thinning)) = (before, thinning) {
            thinning.turn(&x, &difference(tokens, &before), width);
        }
        if !pre {
            self.norm2.run_in_place::<L>(tokens);
        }
        n
    }
}

fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

impl<L: Isa> Prepared for Compiled<L> {
    fn run(&self, tokens: &mut [f32], mut thinning: Option<&mut Thinning<'_>>) {
        let n = tokens.len() / self.width;
        assert!(tokens.len() == n * self.width, "tokens of an encoder");
        if n == 0 {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = idle.pop().unwrap_or_default();
        drop(idle);
        let mut left = thinning.as_deref().map_or(n, Thinning::tokens);
        for (at, block) in self.blocks.iter().enumerate() {
            let tokens = &mut tokens[..left * self.width];
            left = block.run(self, at, tokens, thinning.as_deref_mut(), &mut scratch);
        }
        if let Some(norm) = &self.last {
            norm.run_in_place::<L>(&mut tokens[..left * self.width]);
        }
        if let Some(thinning) = thinning.filter(|_| left < n) {
            thinning.finish(tokens, left, self.width);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
    }

    fn embed(
        &self,
        cells: Cells<'_>,
        grid: [usize; 2],
        kept: Option<&[usize]>,
    ) -> Result<Vec<f32>, String> {
        let embed = self.embed.as_ref().ok_or("makes no tokens of cells")?;
        embed.run(cells, grid, kept)
    }
}
