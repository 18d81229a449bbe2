//! The graph of an ONNX file: who makes a value, who reads it, and what lies between two values.

use std::collections::{BTreeSet, HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

/// Nodes that lie between two layers at most; a search that finds more is given up.
const MOST: usize = 200;

/// Numbers of a constant.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// A graph, with indices.
pub(super) struct Graph<'a> {
    pub proto: &'a GraphProto,
    producer: HashMap<&'a str, usize>,
    consumers: HashMap<&'a str, Vec<usize>>,
    constants: HashMap<&'a str, &'a TensorProto>,
    /// Shapes of values, as far as they are known.
    pub shapes: HashMap<String, Vec<usize>>,
}

/// What lies between a value and the values it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap<'a> {
    /// Places of its nodes, in the order of the file.
    pub nodes: BTreeSet<usize>,
    /// Values it starts from, the first that is met first.
    pub from: Vec<&'a str>,
    pub to: &'a str,
}

impl<'a> Graph<'a> {
    pub fn new(proto: &'a GraphProto, shapes: HashMap<String, Vec<usize>>) -> Self {
        let mut new = Self {
            proto,
            producer: HashMap::new(),
            consumers: HashMap::new(),
            constants: HashMap::new(),
            shapes,
        };
        for tensor in &proto.initializer {
            new.constants.insert(&tensor.name, tensor);
        }
        for (i, node) in proto.node.iter().enumerate() {
            for name in &node.output {
                new.producer.insert(name, i);
            }
            for name in &node.input {
                new.consumers.entry(name).or_default().push(i);
            }
            let tensor = match (&*node.op_type, &node.input[..]) {
                ("Constant", _) => node.attribute.first().and_then(|a| a.t.as_ref()),
                // Weights that are equal are kept once.
                ("Identity", [from]) => new.tensor(from),
                _ => None,
            };
            if let (Some(tensor), [name]) = (tensor, &node.output[..]) {
                new.constants.insert(name, tensor);
            }
        }
        new
    }

    pub fn node(&self, i: usize) -> &'a NodeProto {
        &self.proto.node[i]
    }

    /// The node that makes a value.
    pub fn producer(&self, value: &str) -> Option<usize> {
        self.producer.get(value).copied()
    }

    /// The nodes that read a value.
    pub fn consumers(&self, value: &str) -> &[usize] {
        self.consumers.get(value).map_or(&[], |c| c)
    }

    pub fn is_constant(&self, value: &str) -> bool {
        self.constants.contains_key(value)
    }

    /// The tensor of a constant.
    pub fn tensor(&self, value: &str) -> Option<&'a TensorProto> {
        self.constants.get(value).copied()
    }

    /// The floats of a constant, if they lie in the file.
    pub fn floats(&self, value: &str) -> Option<Constant> {
        let tensor = self.tensor(value)?;
        let shape: Option<Vec<usize>> =
            tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let shape = shape?;
        let count = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b))?;
        if tensor.data_type != DataType::Float as i32 {
            return None;
        }
        let values: Vec<f32> = match tensor.raw_data.is_empty() {
            true => tensor.float_data.clone(),
            false => tensor.raw_data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        };
        (values.len() == count).then_some(Constant { shape, values })
    }

    /// What a node gives that asks for a known shape.
    pub fn known_shape(&self, node: usize) -> Option<&[usize]> {
        let node = self.node(node);
        let whole = node.op_type == "Shape" && node.attribute.is_empty();
        whole.then_some(())?;
        self.shapes.get(node.input.first()?).map(|s| &s[..])
    }

    /// Everything that `to` is made of, back to where `stop` says so, to constants and to inputs of the
    /// graph; `None` if that is too much.
    pub fn gap(&self, to: &'a str, stop: impl Fn(&str) -> bool) -> Option<Gap<'a>> {
        let mut gap = Gap { nodes: BTreeSet::new(), from: Vec::new(), to };
        let (mut seen, mut open) = (HashSet::new(), vec![to]);
        while let Some(value) = open.pop() {
            // Names of inputs that are left out are empty.
            if value.is_empty() || !seen.insert(value) {
                continue;
            }
            match self.producer(value) {
                _ if stop(value) => gap.from.push(value),
                Some(node) => {
                    gap.nodes.insert(node);
                    if gap.nodes.len() > MOST {
                        return None;
                    }
                    // Shapes are known: what has them does not matter.
                    if self.known_shape(node).is_none() {
                        open.extend(self.node(node).input.iter().rev().map(String::as_str));
                    }
                }
                None if self.is_constant(value) => {}
                None => gap.from.push(value),
            }
        }
        Some(gap)
    }

    /// The first node of a gap whose operator is not among these.
    pub fn odd(&self, gap: &Gap<'_>, operators: &[&[&str]]) -> Option<&'a NodeProto> {
        let known = |node: &&NodeProto| {
            let ours = node.domain.is_empty() || node.domain == "ai.onnx";
            // A remainder of floats is no matter of shapes.
            let whole = node.op_type != "Mod" || node.attribute.iter().all(|a| a.i == 0);
            ours && whole && operators.iter().any(|list| list.contains(&&*node.op_type))
        };
        gap.nodes.iter().map(|&i| self.node(i)).find(|node| !known(node))
    }
}

/// How a node is called in a message.
pub(super) fn named(node: &NodeProto) -> String {
    let name = match (node.name.is_empty(), node.output.first()) {
        (true, Some(output)) => output,
        _ => &node.name,
    };
    format!("{name:?} ({})", node.op_type)
}
