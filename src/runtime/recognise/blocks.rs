//! The blocks of a transformer in a graph.

use std::collections::HashSet;

use super::graph::{Gap, Graph, named};
use super::layers::{Layer, layers};
use super::probe::Probe;
use crate::runtime::transformer::{Activation, Block, Matrix, Norm, Order, Transformer};

/// Operators that only move numbers, and those that reckon with shapes.
pub(super) const MOVING: &[&str] = &[
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Shape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];
/// Of scaling.
pub(super) const SCALING: &[&str] = &["Div", "Mod", "Mul", "Sqrt"];
/// Of attention; what is no number may be replaced.
const ATTENDING: &[&str] = &["Add", "IsNaN", "MatMul", "Pow", "Softmax", "Sub", "Where"];
/// Of a layer normalisation.
const NORMALISING: &[&str] =
    &["Add", "LayerNormalization", "Pow", "ReduceMean", "Reciprocal", "Sub"];
/// Of what lies between the two layers.
const ACTIVATING: &[&str] = &["Add", "Erf", "Gelu", "Max", "Pow", "Relu", "Sigmoid", "Sub", "Tanh"];
/// Nodes that are looked at behind a value for a norm.
const BEHIND: usize = 16;

/// Blocks that follow one another, and where they lie.
pub(super) struct Found<'a> {
    pub encoder: Transformer,
    /// The tokens that go in, and that come out.
    pub from: &'a str,
    pub to: &'a str,
}

/// One block.
struct Place<'a> {
    from: &'a str,
    to: &'a str,
    heads: usize,
    order: Order,
    activation: Activation,
    block: Block,
}

/// The search for blocks.
pub(super) struct Search<'g, 'a> {
    pub graph: &'g Graph<'a>,
    pub probe: Probe<'g, 'a>,
    layers: Vec<Layer<'a>>,
    /// Outputs of layers.
    made: HashSet<&'a str>,
}

impl<'g, 'a> Search<'g, 'a> {
    pub fn new(graph: &'g Graph<'a>, probe: Probe<'g, 'a>) -> Self {
        let layers = layers(graph);
        let made = layers.iter().map(|l| l.output).collect();
        Self { graph, probe, layers, made }
    }

    /// The longest run of blocks that are alike.
    ///
    /// # Errors
    /// Says which node did not fit.
    pub fn encoder(&mut self) -> Result<Found<'a>, String> {
        let mut runs: Vec<Vec<Place<'a>>> = Vec::new();
        for layer in self.layers.clone() {
            let Some(core) = self.core(&layer) else { continue };
            let place = self.block(&layer, &core)?;
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(|last| follows(last, &place)) => {
                    run.push(place);
                }
                _ => runs.push(vec![place]),
            }
        }
        let run = runs.into_iter().max_by_key(Vec::len);
        let Some(run) = run else {
            return Err("it holds no transformer".into());
        };
        let (Some(first), Some(end)) = (run.first(), run.last()) else {
            return Err("it holds no transformer".into());
        };
        let width = first.block.out.outputs();
        let (heads, order, activation) = (first.heads, first.order, first.activation);
        let (from, mut to) = (first.from, end.to);
        let mut last = None;
        if order == Order::Pre
            && let Some((behind, norm)) = self.norm_behind(to, width)
        {
            (to, last) = (behind, Some(norm));
        }
        let blocks = run.into_iter().map(|p| p.block).collect();
        let encoder = Transformer { width, heads, order, activation, blocks, last, embed: None };
        Ok(Found { encoder, from, to })
    }

    /// What lies between queries, keys and values and the layer that reads what attention gives; `None`
    /// if this is no such layer.
    fn core(&self, layer: &Layer<'a>) -> Option<Gap<'a>> {
        let gap = self.graph.gap(layer.input, |v| self.made.contains(v))?;
        let count =
            |op: &str| gap.nodes.iter().filter(|&&i| self.graph.node(i).op_type == op).count();
        (count("Softmax") == 1 && count("MatMul") == 2).then_some(gap)
    }

    fn block(&mut self, out: &Layer<'a>, core: &Gap<'a>) -> Result<Place<'a>, String> {
        let graph = self.graph;
        let width = out.outputs;
        let at = |i: usize| named(graph.node(i));
        if out.inputs != width {
            return Err(format!("{} is not square", at(out.node)));
        }
        // Attention.
        self.known(core, &[MOVING, SCALING, ATTENDING])?;
        let qkv = self.qkv(core).ok_or_else(|| {
            format!("what {} reads is not made of queries, keys and values", at(out.node))
        })?;
        let made_by = |value: &str| self.layers.iter().find(|l| l.output == value).copied();
        let three = qkv.map(made_by);
        let [Some(q), Some(k), Some(v)] = three else {
            return Err(format!("queries, keys and values of {} are no layers", at(out.node)));
        };
        let fused = qkv[0] == qkv[1];
        if fused != (qkv[1] == qkv[2])
            || q.outputs != if fused { 3 * width } else { width }
            || [q, k, v]
                .iter()
                .any(|l| l.input != q.input || l.inputs != width || l.outputs != q.outputs)
        {
            return Err(format!("queries, keys and values of {} are of other sizes", at(out.node)));
        }
        let (heads, scale) = self
            .probe
            .attention(core, qkv, width)
            .ok_or_else(|| format!("what {} reads is another attention", at(out.node)))?;
        // The residual around it.
        let (sum, scales, from) = self.residual(out, width)?;
        let normal = self.stream(q.input, from)?;
        let (order, norm_before) = if self.probe.same(&normal, width) {
            (Order::Post, None)
        } else {
            let norm = self.probe.norm(&normal, width);
            let norm =
                norm.ok_or_else(|| format!("what {} reads is not normalised", at(q.node)))?;
            (Order::Pre, Some(norm))
        };
        let out_matrix = scaled(self.matrix(out)?, &scales);
        let parts = if fused { vec![q] } else { vec![q, k, v] };
        let parts: Vec<Matrix> = parts.iter().map(|l| self.matrix(l)).collect::<Result<_, _>>()?;
        let qkv_matrix = beside(parts, width, scale);
        // The two layers.
        let (up, norm_between) = self
            .up(sum, width)
            .ok_or_else(|| format!("no layer reads the normalised sum of {}", at(out.node)))?;
        let (down, activation) = self.down(&up)?;
        if down.outputs != width {
            return Err(format!("{} has another width", at(down.node)));
        }
        let (end, scales, around) = self.residual(&down, width)?;
        if around != if order == Order::Pre { sum } else { up.input } {
            return Err(format!("the sum behind {} skips something else", at(down.node)));
        }
        let up_matrix = self.matrix(&up)?;
        let down_matrix = scaled(self.matrix(&down)?, &scales);
        let (to, norm1, norm2) = match norm_before {
            Some(norm1) => (end, norm1, norm_between),
            None => {
                let (to, norm2) = self
                    .norm_behind(end, width)
                    .ok_or_else(|| format!("the sum behind {} is not normalised", at(down.node)))?;
                (to, norm_between, norm2)
            }
        };
        let shape = |value: &str| graph.shapes.get(value);
        if shape(from).is_none() || [sum, end, to].iter().any(|v| shape(v) != shape(from)) {
            return Err(format!("the sums around {} change their shape", at(out.node)));
        }
        let block = Block {
            norm1,
            qkv: qkv_matrix,
            out: out_matrix,
            norm2,
            up: up_matrix,
            down: down_matrix,
        };
        Ok(Place { from, to, heads, order, activation, block })
    }

    fn matrix(&self, layer: &Layer<'a>) -> Result<Matrix, String> {
        let why = || format!("weights of {} are no floats", named(self.graph.node(layer.node)));
        layer.matrix(self.graph).ok_or_else(why)
    }

    /// Refuses a gap with other operators.
    fn known(&self, gap: &Gap<'a>, operators: &[&[&str]]) -> Result<(), String> {
        match self.graph.odd(gap, operators) {
            Some(node) => Err(named(node)),
            None => Ok(()),
        }
    }

    /// The layers that make queries, keys and values.
    fn qkv(&self, core: &Gap<'a>) -> Option<[&'a str; 3]> {
        let made = |v: &str| self.made.contains(v);
        let only = |value: &'a str| match self.graph.gap(value, made)?.from[..] {
            [one] => Some(one),
            _ => None,
        };
        // The first product makes scores of queries and keys, the second reads values as well.
        let products = core.nodes.iter().map(|&i| self.graph.node(i));
        let mut products = products.filter(|n| n.op_type == "MatMul");
        let ([q, k], [p, v]) = (&products.next()?.input[..], &products.next()?.input[..]) else {
            return None;
        };
        let weights = self.graph.gap(p, made)?;
        let softmax = |&i: &usize| self.graph.node(i).op_type == "Softmax";
        weights.nodes.iter().any(softmax).then_some(())?;
        Some([only(q)?, only(k)?, only(v)?])
    }

    /// The gap from the stream to what a layer reads.
    fn stream(&self, to: &'a str, from: &'a str) -> Result<Gap<'a>, String> {
        let gap = self.graph.gap(to, |v| v == from || self.made.contains(v));
        match gap {
            Some(gap) if gap.from == [from] => {
                self.known(&gap, &[MOVING, SCALING, NORMALISING])?;
                Ok(gap)
            }
            _ => Err(format!("{to:?} is made of more than {from:?}")),
        }
    }

    /// The sum of a layer's output, scaled or not, with the stream that it went around: the sum, the
    /// scales, the stream.
    fn residual(
        &self,
        layer: &Layer<'a>,
        width: usize,
    ) -> Result<(&'a str, Vec<f32>, &'a str), String> {
        let mut value = layer.output;
        let none = || format!("no sum follows {}", named(self.graph.node(layer.node)));
        for _ in 0..BEHIND {
            let &[reader] = self.graph.consumers(value) else { return Err(none()) };
            let node = self.graph.node(reader);
            let output = node.output.first().ok_or_else(none)?;
            if node.op_type == "Add"
                && let [a, b] = &node.input[..]
                && !self.graph.is_constant(a)
                && !self.graph.is_constant(b)
            {
                let gap = self.graph.gap(value, |v| v == layer.output).ok_or_else(none)?;
                let scales = self.probe.scale(&gap, width);
                let scales =
                    scales.ok_or_else(|| format!("{} reads something else", named(node)))?;
                return Ok((output, scales, if a == value { b } else { a }));
            }
            if ![MOVING, SCALING].iter().any(|list| list.contains(&&*node.op_type)) {
                return Err(named(node));
            }
            value = output;
        }
        Err(none())
    }

    /// The layer that reads a value, normalised.
    fn up(&self, sum: &'a str, width: usize) -> Option<(Layer<'a>, Norm)> {
        self.layers.iter().filter(|l| l.inputs == width).find_map(|layer| {
            let gap = self.stream(layer.input, sum).ok()?;
            Some((*layer, self.probe.norm(&gap, width)?))
        })
    }

    /// The layer that reads what another gives, activated.
    fn down(&mut self, up: &Layer<'a>) -> Result<(Layer<'a>, Activation), String> {
        let mut why = format!("no layer reads {}", named(self.graph.node(up.node)));
        for layer in self.layers.iter().filter(|l| l.inputs == up.outputs) {
            let gap = self.graph.gap(layer.input, |v| v == up.output || self.made.contains(v));
            let Some(gap) = gap.filter(|g| g.from == [up.output]) else { continue };
            match self.known(&gap, &[MOVING, SCALING, ACTIVATING]) {
                Err(odd) => why = odd,
                Ok(()) => match self.probe.activation(&gap) {
                    Some(activation) => return Ok((*layer, activation)),
                    None => {
                        let node = named(self.graph.node(layer.node));
                        why = format!("what {node} reads is another activation");
                    }
                },
            }
        }
        Err(why)
    }

    /// The norm of a value that nothing else reads, and what it gives.
    fn norm_behind(&self, value: &'a str, width: usize) -> Option<(&'a str, Norm)> {
        let mut behind: Vec<usize> = Vec::new();
        let mut open = vec![value];
        while let (Some(value), true) = (open.pop(), behind.len() < BEHIND) {
            for &reader in self.graph.consumers(value) {
                let node = self.graph.node(reader);
                let fits = [SCALING, NORMALISING].iter().any(|l| l.contains(&&*node.op_type));
                if fits && !behind.contains(&reader) {
                    behind.push(reader);
                    open.extend(node.output.first().map(String::as_str));
                }
            }
        }
        behind.sort_unstable();
        // The last that is one: a norm without its bias is one too.
        behind.iter().rev().find_map(|&i| {
            let to = self.graph.node(i).output.first()?;
            let gap = self.stream(to, value).ok()?;
            let inside = |reader: &usize| gap.nodes.contains(reader);
            let alone = self.graph.consumers(value).iter().all(inside);
            let output = self.graph.proto.output.iter().any(|o| o.name == value);
            if !alone || output {
                return None;
            }
            Some((&**to, self.probe.norm(&gap, width)?))
        })
    }
}

/// Whether a block reads what another gives, and is like it.
fn follows(last: &Place<'_>, next: &Place<'_>) -> bool {
    let kind = |p: &Place<'_>| (p.heads, p.order, p.activation, p.block.out.outputs());
    next.from == last.to && kind(last) == kind(next)
}

/// Columns of a matrix and its bias, scaled.
fn scaled(mut matrix: Matrix, scales: &[f32]) -> Matrix {
    if scales.iter().any(|&s| s != 1.0) {
        let all = matrix.weights.chunks_exact_mut(scales.len()).chain([&mut matrix.bias[..]]);
        for row in all {
            row.iter_mut().zip(scales).for_each(|(x, s)| *x *= s);
        }
    }
    matrix
}

/// One matrix of several beside each other; the first `width` columns scaled.
fn beside(parts: Vec<Matrix>, width: usize, scale: f32) -> Matrix {
    let outputs = 3 * width;
    let mut scales = vec![1.0; outputs];
    scales[..width].fill(scale);
    let joined = match <[Matrix; 1]>::try_from(parts) {
        Ok([one]) => one,
        Err(parts) => {
            let rows = parts.first().map_or(0, Matrix::inputs);
            let row = |k| parts.iter().flat_map(move |p| &p.weights[k * width..][..width]);
            Matrix {
                weights: (0..rows).flat_map(row).copied().collect(),
                bias: parts.iter().flat_map(|p| &p.bias).copied().collect(),
            }
        }
    };
    scaled(joined, &scales)
}
