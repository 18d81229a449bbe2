//! The linear layers of a graph: products with a constant matrix, and their bias.

use super::graph::Graph;
use crate::runtime::transformer::Matrix;

/// A linear layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer<'a> {
    /// Place of the product.
    pub node: usize,
    pub input: &'a str,
    /// With the bias added.
    pub output: &'a str,
    weights: &'a str,
    /// Whether the matrix is `[outputs, inputs]`.
    transposed: bool,
    bias: Option<&'a str>,
    pub inputs: usize,
    pub outputs: usize,
}

/// All of them, in the order of the file.
pub(super) fn layers<'a>(graph: &Graph<'a>) -> Vec<Layer<'a>> {
    (0..graph.proto.node.len()).filter_map(|i| layer(graph, i)).collect()
}

fn layer<'a>(graph: &Graph<'a>, i: usize) -> Option<Layer<'a>> {
    let node = graph.node(i);
    let [input, weights, rest @ ..] = &node.input[..] else { return None };
    let output = node.output.first()?;
    let dims = &graph.tensor(weights)?.dims;
    let &[rows, columns] = &dims[..] else { return None };
    let (rows, columns) = (usize::try_from(rows).ok()?, usize::try_from(columns).ok()?);
    if rows == 0 || columns == 0 || graph.is_constant(input) {
        return None;
    }
    let plain = Layer {
        node: i,
        input,
        output,
        weights,
        transposed: false,
        bias: None,
        inputs: rows,
        outputs: columns,
    };
    match &*node.op_type {
        "MatMul" => Some(with_bias(graph, plain)),
        "Gemm" => {
            let float = |name: &str| node.attribute.iter().find(|a| a.name == name).map(|a| a.f);
            let int = |name: &str| node.attribute.iter().find(|a| a.name == name).map(|a| a.i);
            let one = |name: &str| float(name).is_none_or(|f| f == 1.0);
            if !one("alpha") || !one("beta") || int("transA").is_some_and(|t| t != 0) {
                return None;
            }
            let bias = rest.first().filter(|b| !b.is_empty()).map(String::as_str);
            let transposed = int("transB").is_some_and(|t| t != 0);
            let (inputs, outputs) = if transposed { (columns, rows) } else { (rows, columns) };
            if let Some(bias) = bias
                && graph.tensor(bias)?.dims != [outputs as i64]
            {
                return None;
            }
            Some(Layer { transposed, bias, inputs, outputs, ..plain })
        }
        _ => None,
    }
}

/// The layer with the constant that is added to its product, if one is.
fn with_bias<'a>(graph: &Graph<'a>, plain: Layer<'a>) -> Layer<'a> {
    let &[reader] = graph.consumers(plain.output) else { return plain };
    let add = graph.node(reader);
    let ([a, b], [output]) = (&add.input[..], &add.output[..]) else { return plain };
    let other = if a == plain.output { b } else { a };
    match graph.tensor(other) {
        Some(tensor) if add.op_type == "Add" && tensor.dims == [plain.outputs as i64] => {
            Layer { output, bias: Some(other), ..plain }
        }
        _ => plain,
    }
}

impl Layer<'_> {
    /// Its numbers; `None` if they are no floats or do not lie in the file.
    pub fn matrix(&self, graph: &Graph<'_>) -> Option<Matrix> {
        let mut weights = graph.floats(self.weights)?.values;
        if self.transposed {
            weights = (0..self.inputs * self.outputs)
                .map(|i| weights[i % self.outputs * self.inputs + i / self.outputs])
                .collect();
        }
        let bias = match self.bias {
            Some(bias) => graph.floats(bias)?.values,
            None => vec![0.0; self.outputs],
        };
        Some(Matrix { weights, bias })
    }
}
