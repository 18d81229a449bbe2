//! Transformers in ONNX graphs, recognised and replaced by one operation.
//!
//! A graph is cut at its linear layers, products with a constant matrix. What lies between them has no
//! weights to speak of and is small; exporters spell it in a dozen ways, so it is not compared with
//! spellings but run on numbers, and what it does to them tells whether it is attention, a normalisation,
//! an activation or only another shape. Operators that none of these is made of are refused before, so
//! that nothing is taken for one that differs only on other numbers. Names are never looked at.

mod blocks;
mod embed;
mod features;
mod graph;
mod layers;
mod op;
mod probe;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::expand;

use blocks::Search;
use graph::Graph;
pub(super) use op::Thin;
use op::TransformerOp;
use probe::Probe;

use super::transformer::{Prepared, Transformer};

/// The input that says what a whole number of each channel is worth.
const WORTH: &str = "tamis.worth";

/// A transformer that was found in a graph.
#[derive(Debug)]
pub(super) struct Recognised {
    pub encoder: Transformer,
    from: String,
    to: String,
    /// Why the tokens are not made by it, if they are not.
    pub no_embed: Option<String>,
}

/// Looks for a transformer in a model of one input, which is run with this shape.
///
/// # Errors
/// Says which node did not fit.
pub(super) fn recognise(
    framework: &Onnx,
    proto: &ModelProto,
    input: &[usize],
) -> Result<Recognised, String> {
    let graph = proto.graph.as_ref().ok_or("there is no graph")?;
    if !graph.node.iter().any(|n| n.op_type == "Softmax") {
        return Err("it holds no transformer".into());
    }
    // What bodies of loops and conditions read is not seen from outside.
    let body = |n: &&NodeProto| n.attribute.iter().any(|a| a.g.is_some() || !a.graphs.is_empty());
    if let Some(node) = graph.node.iter().find(body) {
        return Err(graph::named(node));
    }
    let shapes = shapes(framework, proto, input).map_err(|e| format!("{e:#}"))?;
    let graph = Graph::new(graph, shapes);
    let probe = Probe::new(&graph, proto, framework);
    let mut search = Search::new(&graph, probe);
    let mut found = search.encoder()?;
    let width = found.encoder.width;
    // Leading dimensions are a batch; tokens that lie across it would be taken for other pictures.
    match graph.shapes.get(found.from).map(|s| &s[..]) {
        Some([lead @ .., _, last]) if *last == width && lead.iter().all(|&n| n == 1) => {}
        _ => return Err(format!("tokens {:?} do not lie one behind the other", found.from)),
    }
    let maker = graph.producer(found.to).map(|i| graph.node(i));
    if maker.is_none_or(|n| n.output.len() != 1)
        || graph.shapes.get(found.to) != graph.shapes.get(found.from)
    {
        return Err(format!("{:?} is not made alone", found.to));
    }
    let embed = embed::embed(&graph, &search.probe, found.from, width);
    let (embed, no_embed) = match embed {
        Ok(embed) => (Some(embed), None),
        Err(why) => (None, Some(why)),
    };
    found.encoder.embed = embed;
    let (from, to) = (found.from.to_owned(), found.to.to_owned());
    Ok(Recognised { encoder: found.encoder, from, to, no_embed })
}

/// Shapes of the values of a graph.
fn shapes(
    framework: &Onnx,
    proto: &ModelProto,
    input: &[usize],
) -> TractResult<HashMap<String, Vec<usize>>> {
    let parsed = framework.parse(proto, None)?;
    let mut model = parsed.model;
    model.set_input_fact(0, f32::fact(input).into())?;
    model.analyse(false)?;
    let mut shapes = HashMap::new();
    for (name, outlet) in parsed.outlets_by_name {
        let shape = &model.outlet_fact(outlet)?.shape;
        if let Some(dims) = shape.as_concrete_finite()? {
            shapes.insert(name, dims.to_vec());
        }
    }
    Ok(shapes)
}

impl Recognised {
    /// The model with its transformer replaced. If tokens are made by it, inputs are a latent of whole
    /// numbers and what they are worth, or floats alone.
    ///
    /// # Errors
    /// As tract does when it reads a graph.
    pub fn replace(
        &self,
        framework: &Onnx,
        proto: &ModelProto,
        prepared: Arc<dyn Prepared>,
        latent: bool,
        thin: Option<Arc<Thin>>,
    ) -> TractResult<(InferenceModel, bool)> {
        let mut graph = proto.graph.clone().unwrap_or_default();
        let embed = self.encoder.embed.as_ref();
        let from = match (embed, graph.input.first()) {
            (Some(_), Some(input)) => input.name.clone(),
            _ => self.from.clone(),
        };
        let stand_in = NodeProto {
            name: format!("{} by transformer", self.to),
            op_type: "Identity".into(),
            input: vec![from.clone()],
            output: vec![self.to.clone()],
            ..Default::default()
        };
        let made = |n: &NodeProto| n.output.contains(&self.to);
        let at = graph.node.iter().position(made);
        if let Some(node) = at.and_then(|at| graph.node.get_mut(at)) {
            *node = stand_in;
        }
        sweep(&mut graph);
        // Whatever else reads the input needs floats.
        let reads = |n: &&mut NodeProto| n.input.contains(&from);
        let mut readers: Vec<_> = graph.node.iter_mut().filter(reads).collect();
        let latent = latent && embed.is_some() && readers.len() == 1;
        if let (true, Some(stand_in)) = (latent, readers.pop()) {
            stand_in.input.push(WORTH.into());
            let value = graph.input.first().cloned().unwrap_or_default();
            graph.input.push(ValueInfoProto { name: WORTH.into(), ..value });
        }
        let lean = ModelProto {
            opset_import: proto.opset_import.clone(),
            ir_version: proto.ir_version,
            graph: Some(graph),
            ..Default::default()
        };
        let parsed = framework.parse(&lean, None)?;
        let mut model = parsed.model;
        let outlet = parsed.outlets_by_name.get(&self.to);
        let node = outlet.ok_or_else(|| TractError::msg("nothing reads it"))?.node;
        model.node_mut(node).op = expand(TransformerOp {
            prepared,
            width: self.encoder.width,
            embed: embed.map(|e| (e.before.len() / self.encoder.width, e.patch)),
            thin,
        });
        Ok((model, latent))
    }

    /// Whether this is the same transformer, found with another shape.
    pub fn is(&self, other: &Self) -> bool {
        let kind = |t: &Transformer| (t.width, t.heads, t.order, t.activation, t.blocks.len());
        let (a, b) = (&self.encoder, &other.encoder);
        let place = |r: &Self| (r.from.clone(), r.to.clone());
        let layers = a.blocks.iter().zip(&b.blocks).all(|(a, b)| a.layers() == b.layers());
        // Positions are of one grid.
        let any = |t: &Transformer| t.embed.as_ref().is_none_or(|e| e.positions.is_empty());
        kind(a) == kind(b) && place(self) == place(other) && layers && any(a) && any(b)
    }
}

/// Drops what no output is made of.
fn sweep(graph: &mut GraphProto) {
    let mut needed: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    let mut kept = Vec::new();
    // Makers stand before readers.
    for node in graph.node.drain(..).rev() {
        if node.output.iter().any(|o| needed.contains(o)) {
            needed.extend(node.input.iter().cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.initializer.retain(|t| needed.contains(&t.name));
    graph.value_info.clear();
}
