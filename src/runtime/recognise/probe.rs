//! What lies between layers, found out by trying: exporters spell it in many ways, but what it does to
//! numbers tells what it is.

use std::cell::Cell;
use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, TypeProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::*;

use super::graph::{Gap, Graph};
use crate::runtime::numbers::noise;
use crate::runtime::transformer::{self, Activation, Norm};

/// How far results may be off, relative to the largest.
const TOLERANCE: f32 = 2e-5;
/// Numbers that are tried at once, at most.
const MOST: usize = 1 << 24;
/// Runs of parts of a graph, at most.
const RUNS: usize = 4000;
/// Far from the numbers that are usual.
const FAR: f32 = 1e4;
/// Bytes of a constant that gaps are compared by, at most.
const CONSTANT: usize = 1 << 14;

/// Runs parts of a graph.
pub(super) struct Probe<'g, 'a> {
    pub graph: &'g Graph<'a>,
    pub model: &'g ModelProto,
    pub framework: &'g tract_onnx::Onnx,
    /// Runs that are left: a file must not keep the search busy for long.
    left: Cell<usize>,
    /// Answers for gaps that are the same but for names: most blocks of a model are.
    cores: HashMap<String, Option<(usize, f32)>>,
    activations: HashMap<String, Option<Activation>>,
}

/// Whether two results agree.
pub(super) fn alike(a: &[f32], b: &[f32]) -> bool {
    let most = b.iter().fold(f32::MIN_POSITIVE, |m, x| m.max(x.abs()));
    most.is_finite()
        && a.len() == b.len()
        && a.iter().zip(b).all(|(x, y)| (x - y).abs() <= TOLERANCE * most)
}

impl<'g, 'a> Probe<'g, 'a> {
    pub fn new(
        graph: &'g Graph<'a>,
        model: &'g ModelProto,
        framework: &'g tract_onnx::Onnx,
    ) -> Self {
        let (cores, activations) = (HashMap::new(), HashMap::new());
        Self { graph, model, framework, left: Cell::new(RUNS), cores, activations }
    }

    /// Numbers of a value, if they are not too many to try.
    pub fn size(&self, value: &str) -> Option<usize> {
        let shape = self.graph.shapes.get(value)?;
        shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).filter(|&n| n <= MOST)
    }

    /// What a gap makes of these numbers, one list for each value it starts from.
    pub fn run(&self, gap: &Gap<'_>, inputs: &[&[f32]]) -> Option<Vec<f32>> {
        if gap.nodes.is_empty() {
            return Some(inputs.first()?.to_vec());
        }
        self.left.set(self.left.get().checked_sub(1)?);
        let value = |name: &str| ValueInfoProto {
            name: name.into(),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                    elem_type: 1,
                    shape: None,
                })),
                ..Default::default()
            }),
            ..Default::default()
        };
        let (shapes, nodes): (Vec<usize>, Vec<usize>) =
            gap.nodes.iter().partition(|&&i| self.graph.known_shape(i).is_some());
        let node: Vec<_> = nodes.iter().map(|&i| self.graph.node(i).clone()).collect();
        let constant = |name: &String| node.iter().any(|n| n.input.contains(name));
        let initializer = self.graph.proto.initializer.iter().filter(|t| constant(&t.name));
        let shapes = shapes.iter().filter_map(|&i| {
            let dims = self.graph.known_shape(i)?;
            Some(TensorProto {
                name: self.graph.node(i).output.first()?.clone(),
                dims: vec![dims.len() as i64],
                data_type: DataType::Int64 as i32,
                int64_data: dims.iter().map(|&d| d as i64).collect(),
                ..Default::default()
            })
        });
        let graph = GraphProto {
            initializer: initializer.cloned().chain(shapes).collect(),
            input: gap.from.iter().map(|name| value(name)).collect(),
            output: vec![value(gap.to)],
            node,
            ..Default::default()
        };
        let model = ModelProto {
            opset_import: self.model.opset_import.clone(),
            ir_version: self.model.ir_version,
            graph: Some(graph),
            ..Default::default()
        };
        let parsed = self.framework.parse(&model, None).ok()?;
        let mut model = parsed.model;
        let mut tensors = TVec::new();
        for (i, (name, values)) in gap.from.iter().zip(inputs).enumerate() {
            let shape = self.graph.shapes.get(*name)?;
            model.set_input_fact(i, f32::fact(shape).into()).ok()?;
            tensors.push(Tensor::from_shape(shape, values).ok()?.into());
        }
        // Not optimised: it runs a few times at most.
        let plan = model.into_typed().ok()?.into_runnable().ok()?;
        let outputs = plan.run(tensors).ok()?;
        let view = outputs.first()?.to_plain_array_view::<f32>().ok()?;
        Some(view.iter().copied().collect())
    }

    /// What numbers of a value are multiplied with on their way, column by column, if that is all that
    /// happens to them.
    pub fn scale(&self, gap: &Gap<'_>, width: usize) -> Option<Vec<f32>> {
        if gap.nodes.is_empty() {
            return Some(vec![1.0; width]);
        }
        let x = noise(self.size(gap.from.first()?)?, 3);
        let y = self.run(gap, &[&x])?;
        // The first row gives the scales, the others show that they are.
        if width == 0 || x.len() < 2 * width || x.len() != y.len() {
            return None;
        }
        let scale: Vec<f32> = x[..width].iter().zip(&y).map(|(x, y)| y / x).collect();
        let scaled = |x: &[f32]| -> Vec<f32> {
            x.iter().enumerate().map(|(i, x)| x * scale[i % width]).collect()
        };
        // Far out too: something may be held there.
        let far: Vec<f32> = x.iter().map(|x| x * FAR).collect();
        let alike = alike(&y, &scaled(&x)) && alike(&self.run(gap, &[&far])?, &scaled(&far));
        alike.then_some(scale)
    }

    /// Whether values only get another shape.
    pub fn same(&self, gap: &Gap<'_>, width: usize) -> bool {
        self.scale(gap, width).is_some_and(|s| s.iter().all(|&s| s == 1.0))
    }

    /// The layer normalisation that a gap is.
    pub fn norm(&self, gap: &Gap<'_>, width: usize) -> Option<Norm> {
        let count = self.size(gap.from.first()?)?;
        if width < 2 || count < width || !count.is_multiple_of(width) {
            return None;
        }
        // Of rows of zeros the bias is left.
        let bias = self.run(gap, &[&vec![0.0; count]])?.get(..width)?.to_vec();
        // Of rows with a variance of 1 and of 1e-6, near a usual epsilon, the rest follows.
        let mut row: Vec<f32> = (0..width).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        if width % 2 == 1 {
            // A mean of zero all the same.
            row[..3].copy_from_slice(&[1.0, 1.0, -2.0]);
        }
        let variance = row.iter().map(|x| x * x).sum::<f32>() / width as f32;
        row.iter_mut().for_each(|x| *x /= variance.sqrt());
        let rows =
            |factor: f32| -> Vec<f32> { (0..count).map(|i| row[i % width] * factor).collect() };
        let (large, small) = (self.run(gap, &[&rows(1.0)])?, self.run(gap, &[&rows(1e-3)])?);
        if large.len() != count || small.len() != count {
            return None;
        }
        let (mut above, mut below) = (0.0f64, 0.0f64);
        for (i, &bias) in bias.iter().enumerate() {
            let (l, s) = (f64::from(large[i] - bias), f64::from(small[i] - bias));
            above += l * l;
            below += l * s;
        }
        // (small / large)^2 = (1e-6 + 1e-6 e) / (1e-6 + e), the epsilon of the numerator left out.
        let ratio = below / above;
        let epsilon = (1e-6 * (1.0 / (ratio * ratio) - 1.0)).max(1e-12) as f32;
        let gain = (0..width).map(|i| (large[i] - bias[i]) * (1.0 + epsilon).sqrt() / row[i]);
        let norm = Norm { gain: gain.collect(), bias: bias.clone(), epsilon };
        let x = noise(count, 7);
        let found = self.run(gap, &[&x])?;
        alike(&transformer::normalise(&norm, &x), &found).then_some(norm)
    }

    /// The activation that a gap is.
    pub fn activation(&mut self, gap: &Gap<'_>) -> Option<Activation> {
        let key = self.signature(gap)?;
        if let Some(known) = self.activations.get(&key) {
            return *known;
        }
        let count = self.size(gap.from.first()?)?;
        let x: Vec<f32> = noise(count, 9).iter().map(|x| 2.0 * x).collect();
        let found = self.run(gap, &[&x])?;
        let all = [Activation::Gelu, Activation::GeluTanh, Activation::Relu];
        let which = all.into_iter().find(|a| alike(&transformer::activate(*a, &x), &found));
        // Far out too, where something may be held: each number by itself.
        let far: Vec<f32> =
            (0..count).map(|i| [10.0, -10.0, 100.0, -100.0, FAR, -FAR][i % 6]).collect();
        let found = self.run(gap, &[&far])?;
        let near = |a: Activation| {
            let ours = transformer::activate(a, &far);
            let mut pairs = ours.iter().zip(&found).zip(&far);
            pairs.all(|((a, b), x)| (a - b).abs() <= 1e-6 * x.abs())
        };
        let which = which.filter(|a| found.len() == count && near(*a));
        self.activations.insert(key, which);
        which
    }

    /// Heads, and what scores are scaled by, of the attention that a gap is from queries, keys and
    /// values; they may be the same value, one beside the other.
    pub fn attention(
        &mut self,
        gap: &Gap<'_>,
        qkv: [&str; 3],
        width: usize,
    ) -> Option<(usize, f32)> {
        let key = self.signature(gap)?;
        if let Some(known) = self.cores.get(&key) {
            return *known;
        }
        let count = self.size(qkv[0])?;
        let fused = qkv[0] == qkv[1];
        let tokens = if fused { count / (3 * width) } else { count / width };
        let heads = self.heads(gap)?;
        // Of one token nothing is learnt, and of very many too slowly.
        let work = heads.checked_mul(tokens)?.checked_mul(tokens)?;
        if tokens < 4 || work > 4 * MOST || !width.is_multiple_of(heads) {
            return None;
        }
        let x = noise(tokens * 3 * width, 11);
        let part = |i: usize| -> Vec<f32> {
            x.chunks_exact(3 * width).flat_map(|r| &r[i * width..][..width]).copied().collect()
        };
        let found = if fused {
            self.run(gap, &[&x])?
        } else {
            let parts = [part(0), part(1), part(2)];
            let of = |name: &&str| qkv.iter().position(|q| q == name).map(|i| &parts[i][..]);
            self.run(gap, &gap.from.iter().map(of).collect::<Option<Vec<_>>>()?)?
        };
        let usual = 1.0 / ((width / heads) as f32).sqrt();
        let which = [usual, 1.0].into_iter().find_map(|scale| {
            let ours = transformer::attend(&x, width, heads, scale);
            alike(&ours, &found).then_some((heads, scale))
        });
        self.cores.insert(key, which);
        which
    }

    /// The number of heads: as many square scores go into the softmax.
    fn heads(&self, gap: &Gap<'_>) -> Option<usize> {
        let softmax = gap.nodes.iter().map(|&i| self.graph.node(i));
        let softmax = softmax.into_iter().find(|n| n.op_type == "Softmax")?;
        match &self.graph.shapes.get(softmax.input.first()?)?[..] {
            [lead @ .., rows, columns] if rows == columns => {
                lead.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).filter(|&n| n > 0)
            }
            _ => None,
        }
    }

    /// What a gap is but for names; `None` if it holds constants too large to compare.
    fn signature(&self, gap: &Gap<'_>) -> Option<String> {
        use std::fmt::Write;
        let mut names: HashMap<&str, usize> = HashMap::new();
        let mut out = String::new();
        for from in &gap.from {
            let count = names.len();
            names.entry(from).or_insert(count);
            let _ = write!(out, "{:?};", self.graph.shapes.get(*from)?);
        }
        for &i in &gap.nodes {
            let node = self.graph.node(i);
            let _ =
                write!(out, "{}:{:?}{:?}", node.op_type, node.attribute, self.graph.known_shape(i));
            for name in &node.input {
                match (names.get(&**name), self.graph.tensor(name)) {
                    (None, Some(t)) if t.raw_data.len() > CONSTANT => return None,
                    (Some(number), _) => {
                        let _ = write!(out, ",{number}");
                    }
                    (None, Some(t)) => {
                        let _ = write!(out, ",{:?}{:?}{:?}", t.dims, t.data_type, t.raw_data);
                        let _ =
                            write!(out, "{:?}{:?}{:?}", t.float_data, t.int32_data, t.int64_data);
                    }
                    (None, None) => out.push('?'),
                }
            }
            for name in &node.output {
                let count = names.len();
                names.insert(name, count);
            }
            out.push('\n');
        }
        let _ = write!(out, "{:?}", names.get(gap.to));
        Some(out)
    }
}
