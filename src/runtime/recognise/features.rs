//! Functions of single cells between the input of a graph and the layer that makes tokens.

use std::collections::HashMap;

use super::graph::{Graph, named};
use super::probe::{Probe, alike};
use crate::runtime::numbers::noise;
use crate::runtime::transformer::{Binary, Features, Step, Unary};

/// Steps at most: all are kept for every number.
const MOST: usize = 32;

/// What `value` holds of each number of the input: one function after the other, along the channels.
///
/// # Errors
/// Says which node did not fit.
pub(super) fn features(
    graph: &Graph<'_>,
    probe: &Probe<'_, '_>,
    value: &str,
) -> Result<Features, String> {
    let input = graph.proto.input.first().map(|i| &*i.name);
    if input == Some(value) {
        return Ok(Features::default());
    }
    let maker = graph.producer(value).map(|i| graph.node(i));
    let (input, maker) = input.zip(maker).ok_or("what makes tokens does not read the input")?;
    // Its name as the graph has it.
    let to = maker.output.iter().find(|o| *o == value).ok_or_else(|| named(maker))?;
    let gap = graph.gap(to, |v| v == input).ok_or("too much lies before the tokens")?;
    if gap.from != [input] {
        return Err(format!("{} is not made of the input alone", named(maker)));
    }
    let along = |name: &str| maker.attribute.iter().find(|a| a.name == name).map(|a| a.i);
    let dims = graph.shapes.get(input).map_or(0, Vec::len) as i64;
    let joined =
        maker.op_type == "Concat" && along("axis").is_some_and(|a| a == 1 || a == 1 - dims);
    let parts: Vec<&str> = match joined {
        true => maker.input.iter().map(String::as_str).collect(),
        false => vec![value],
    };
    // Otherwise a constant would have made more of it.
    if let Some(part) = parts.iter().find(|p| graph.shapes.get(**p) != graph.shapes.get(input)) {
        return Err(format!("{part:?} before the tokens is of another shape than the input"));
    }
    let mut steps = Steps { graph, places: HashMap::from([(input, 0)]), steps: Vec::new() };
    for node in gap.nodes.iter().map(|&i| graph.node(i)) {
        let last = joined && std::ptr::eq(node, maker);
        let constant = node.output.first().is_some_and(|o| graph.is_constant(o));
        if !last && !constant && steps.add(node).is_none() {
            return Err(format!(
                "{} before the tokens is no function of single cells",
                named(node)
            ));
        }
        if steps.steps.len() > MOST {
            return Err(format!("more than {MOST} steps lie before the tokens"));
        }
    }
    let read: Option<Vec<usize>> = parts.iter().map(|p| steps.places.get(p).copied()).collect();
    let read = read.ok_or_else(|| format!("{} is not made of cells", named(maker)))?;
    let found = Features { steps: steps.steps, read };
    // Nothing is taken on trust.
    let x = probe.size(input).map(|count| noise(count, 17));
    let same = x.and_then(|x| Some(alike(&found.of(&x), &probe.run(&gap, &[&x])?)));
    match same {
        Some(true) => Ok(found),
        _ => Err(format!("{} is not what its nodes say", named(maker))),
    }
}

struct Steps<'g, 'a> {
    graph: &'g Graph<'a>,
    /// Of values by name.
    places: HashMap<&'a str, usize>,
    steps: Vec<Step>,
}

impl<'a> Steps<'_, 'a> {
    /// Adds what a node does; `None` if that is no step.
    fn add(&mut self, node: &'a tract_onnx::pb::NodeProto) -> Option<()> {
        // None of these has attributes but in versions that nobody writes.
        let ours = node.domain.is_empty() || node.domain == "ai.onnx";
        let [output] = &node.output[..] else { return None };
        if !ours || !node.attribute.is_empty() {
            return None;
        }
        let place = match &node.input[..] {
            [a] if node.op_type == "Identity" => self.place(a)?,
            [a] => {
                let a = self.place(a)?;
                self.push(Step::Of(unary(&node.op_type)?, a))
            }
            [a, b] => {
                let f = binary(&node.op_type)?;
                let (a, b) = (self.place(a)?, self.place(b)?);
                self.push(match (f, b.checked_sub(1).map(|b| self.steps[b])) {
                    (Binary::Pow, Some(Step::Constant(2.0))) => Step::Both(Binary::Mul, a, a),
                    (Binary::Pow, Some(Step::Constant(0.5))) => Step::Of(Unary::Sqrt, a),
                    _ => Step::Both(f, a, b),
                })
            }
            _ => return None,
        };
        self.places.insert(output, place);
        Some(())
    }

    /// The place of a value: made before, or a constant of one number.
    fn place(&mut self, value: &'a str) -> Option<usize> {
        if let Some(&place) = self.places.get(value) {
            return Some(place);
        }
        let &[number] = &self.graph.floats(value)?.values[..] else { return None };
        let place = self.push(Step::Constant(number));
        self.places.insert(value, place);
        Some(place)
    }

    fn push(&mut self, step: Step) -> usize {
        self.steps.push(step);
        self.steps.len()
    }
}

fn unary(operator: &str) -> Option<Unary> {
    Some(match operator {
        "Abs" => Unary::Abs,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Neg" => Unary::Neg,
        "Relu" => Unary::Relu,
        "Sign" => Unary::Sign,
        "Sqrt" => Unary::Sqrt,
        "Tanh" => Unary::Tanh,
        _ => return None,
    })
}

fn binary(operator: &str) -> Option<Binary> {
    Some(match operator {
        "Add" => Binary::Add,
        "Div" => Binary::Div,
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        "Mul" => Binary::Mul,
        "Pow" => Binary::Pow,
        "Sub" => Binary::Sub,
        _ => return None,
    })
}
