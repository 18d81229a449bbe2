//! Small ONNX files, written byte by byte: a node or a tensor is a few fields of a protocol buffer.
#![allow(dead_code, missing_docs)]

/// A field of bytes.
fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    key(out, field, 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

/// A field of a whole number.
fn int(out: &mut Vec<u8>, field: u8, value: i64) {
    key(out, field, 0);
    varint(out, value as u64);
}

fn key(out: &mut Vec<u8>, field: u8, wire: u8) {
    varint(out, u64::from(field) << 3 | u64::from(wire));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A graph in the making, with inputs `latent` and `condition` and the output `bands`.
#[derive(Default)]
pub struct Graph {
    graph: Vec<u8>,
    /// Reproducible weights.
    seed: u64,
    tensors: usize,
}

impl Graph {
    pub fn new(channels: usize) -> Self {
        let mut new = Self { seed: 7, ..Self::default() };
        bytes(&mut new.graph, 2, b"decoder");
        new.value(11, "latent", &[1, channels as i64, -1, -2]);
        new
    }

    /// Adds the second input.
    pub fn condition(mut self) -> Self {
        self.value(11, "condition", &[1, 2]);
        self
    }

    /// A number in -1 to 1.
    pub fn random(&mut self) -> f32 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// An input or output of floats; a negative size is any.
    fn value(&mut self, field: u8, name: &str, shape: &[i64]) {
        let mut dims = Vec::new();
        for &size in shape {
            let mut dim = Vec::new();
            match size {
                -1 => bytes(&mut dim, 2, b"h"),
                -2 => bytes(&mut dim, 2, b"w"),
                _ => int(&mut dim, 1, size),
            }
            bytes(&mut dims, 1, &dim);
        }
        let (mut tensor, mut kind, mut info) = (Vec::new(), Vec::new(), Vec::new());
        int(&mut tensor, 1, 1);
        bytes(&mut tensor, 2, &dims);
        bytes(&mut kind, 1, &tensor);
        bytes(&mut info, 1, name.as_bytes());
        bytes(&mut info, 2, &kind);
        bytes(&mut self.graph, field, &info);
    }

    /// A constant of floats; returns its name.
    pub fn floats(&mut self, shape: &[i64], values: &[f32]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(1, shape, &raw)
    }

    /// A constant of whole numbers.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(7, &[values.len() as i64], &raw)
    }

    fn tensor(&mut self, kind: i64, shape: &[i64], raw: &[u8]) -> String {
        let name = format!("t{}", self.tensors);
        self.tensors += 1;
        let mut tensor = Vec::new();
        shape.iter().for_each(|&size| int(&mut tensor, 1, size));
        int(&mut tensor, 2, kind);
        bytes(&mut tensor, 8, name.as_bytes());
        bytes(&mut tensor, 9, raw);
        bytes(&mut self.graph, 5, &tensor);
        name
    }

    /// A node with one output and attributes of whole numbers.
    pub fn node(&mut self, op: &str, inputs: &[&str], to: &str, attributes: &[(&str, &[i64])]) {
        let mut node = Vec::new();
        inputs.iter().for_each(|name| bytes(&mut node, 1, name.as_bytes()));
        bytes(&mut node, 2, to.as_bytes());
        bytes(&mut node, 3, to.as_bytes());
        bytes(&mut node, 4, op.as_bytes());
        for (name, values) in attributes {
            let mut attribute = Vec::new();
            bytes(&mut attribute, 1, name.as_bytes());
            match values {
                [value] => int(&mut attribute, 3, *value),
                _ => values.iter().for_each(|&v| int(&mut attribute, 8, v)),
            }
            int(&mut attribute, 20, if values.len() == 1 { 2 } else { 7 });
            bytes(&mut node, 5, &attribute);
        }
        bytes(&mut self.graph, 1, &node);
    }

    /// A convolution with a square kernel of odd size, zeros beyond the ends, and these weights.
    pub fn conv(&mut self, from: &str, to: &str, [out, each, size]: [i64; 3], weights: &[f32]) {
        let w = self.floats(&[out, each, size, size], weights);
        let group = if each == 1 { out } else { 1 };
        let pad = size / 2;
        let attributes: [(&str, &[i64]); 3] =
            [("kernel_shape", &[size, size]), ("pads", &[pad; 4]), ("group", &[group])];
        self.node("Conv", &[from, &w], to, &attributes);
    }

    /// The same with random weights of this size.
    pub fn random_conv(&mut self, from: &str, to: &str, shape: [i64; 3], most: f32) {
        let count = shape[0] * shape[1] * shape[2] * shape[2];
        let weights: Vec<f32> = (0..count).map(|_| most * self.random()).collect();
        self.conv(from, to, shape, &weights);
    }

    /// The file, with properties.
    pub fn file(mut self, bands: usize, properties: &[(&str, &str)]) -> Vec<u8> {
        self.value(12, "bands", &[1, bands as i64, -1, -2]);
        let (mut model, mut opset) = (Vec::new(), Vec::new());
        int(&mut model, 1, 8);
        bytes(&mut model, 7, &self.graph);
        bytes(&mut opset, 1, b"");
        int(&mut opset, 2, 17);
        bytes(&mut model, 8, &opset);
        for (name, value) in properties {
            let mut entry = Vec::new();
            bytes(&mut entry, 1, name.as_bytes());
            bytes(&mut entry, 2, value.as_bytes());
            bytes(&mut model, 14, &entry);
        }
        model
    }
}

/// A decoder of the kind that is trained: a convolution, a block over neighbours that the condition
/// shifts, a projection. It reaches 2 cells.
pub fn local(channels: usize, bands: usize, most: f32, properties: &[(&str, &str)]) -> Vec<u8> {
    let mut g = Graph::new(channels).condition();
    g.random_conv("latent", "a", [8, channels as i64, 3], 0.2);
    let weights: Vec<f32> = (0..16).map(|_| g.random()).collect();
    let weights = g.floats(&[2, 8], &weights);
    let shape = g.ints(&[1, 8, 1, 1]);
    g.node("MatMul", &["condition", &weights], "c", &[]);
    g.node("Reshape", &["c", &shape], "d", &[]);
    g.node("Add", &["a", "d"], "e", &[]);
    g.random_conv("e", "f", [8, 1, 3], 0.5);
    g.node("Relu", &["f"], "g", &[]);
    g.node("Add", &["e", "g"], "h", &[]);
    g.random_conv("h", "bands", [bands as i64, 8, 1], most);
    g.file(bands, properties)
}

/// A decoder that is one matrix of `[bands, channels]`, without the condition.
pub fn linear(channels: usize, bands: usize, m: &[f32], properties: &[(&str, &str)]) -> Vec<u8> {
    let mut g = Graph::new(channels);
    g.conv("latent", "bands", [bands as i64, channels as i64, 1], m);
    g.file(bands, properties)
}
