//! How a graph makes tokens of its input.

use super::blocks::{MOVING, SCALING};
use super::features::features;
use super::graph::{Graph, named};
use super::probe::{Probe, alike};
use crate::runtime::numbers::noise;
use crate::runtime::transformer::{Embed, Matrix};

/// The embedding that makes these tokens of the first input of the graph.
///
/// # Errors
/// Says what did not fit.
pub(super) fn embed(
    graph: &Graph<'_>,
    probe: &Probe<'_, '_>,
    tokens: &str,
    width: usize,
) -> Result<Embed, String> {
    let is_conv = |v: &str| graph.producer(v).is_some_and(|i| graph.node(i).op_type == "Conv");
    let tokens = graph
        .producer(tokens)
        .and_then(|i| graph.node(i).output.iter().find(|o| *o == tokens).map(String::as_str));
    let tokens = tokens.ok_or("tokens are the input")?;
    let gap = graph.gap(tokens, is_conv).ok_or("tokens are made of too much")?;
    let &[cells] = &gap.from[..] else {
        return Err("tokens are made of more than one convolution".into());
    };
    if let Some(node) = graph.odd(&gap, &[MOVING, SCALING, &["Add", "Equal", "Where"]]) {
        return Err(named(node));
    }
    let conv = graph.producer(cells).map(|i| graph.node(i));
    let conv = conv.filter(|_| is_conv(cells)).ok_or("tokens are made of no convolution")?;
    let at = named(conv);
    let features = features(graph, probe, conv.input.first().map_or("", |i| i))?;
    // The kernel is a patch, and patches lie side by side.
    let weights = conv.input.get(1).and_then(|w| graph.floats(w));
    let weights = weights.ok_or_else(|| format!("{at} has no constant weights"))?;
    let [outputs, channels, high, wide] = match weights.shape[..] {
        [o, c, h, w] => [o, c, h, w],
        [o, c, w] => [o, c, 1, w],
        _ => return Err(format!("{at} is not of one or two dimensions")),
    };
    let ints = |name: &str| conv.attribute.iter().find(|a| a.name == name).map(|a| &a.ints[..]);
    let sides = &weights.shape[2..];
    let beside = ints("strides")
        .is_some_and(|s| s.iter().map(|&s| s as usize).eq(sides.iter().copied()))
        || sides.iter().all(|&s| s == 1) && ints("strides").is_none();
    let plain = ints("pads").is_none_or(|p| p.iter().all(|&p| p == 0))
        && ints("dilations").is_none_or(|d| d.iter().all(|&d| d == 1))
        && conv.attribute.iter().all(|a| a.name != "group" || a.i == 1)
        && conv
            .attribute
            .iter()
            .all(|a| a.name != "auto_pad" || matches!(&a.s[..], b"NOTSET" | b"VALID"));
    if !beside || !plain || outputs != width || weights.values.is_empty() {
        return Err(format!("{at} is not made of patches side by side"));
    }
    let inputs = channels * high * wide;
    // From all cells of a feature, as they are joined, to all features of a cell's channel.
    let (each, area) = (features.read.len(), high * wide);
    if !channels.is_multiple_of(each) {
        return Err(format!("{at} reads {channels} channels of {each} functions of cells"));
    }
    let place = |i: usize| {
        let (channel, feature) = (i / area / each, i / area % each);
        (feature * (channels / each) + channel) * area + i % area
    };
    let number = |i: usize| weights.values[i % width * inputs + place(i / width)];
    let transposed = (0..inputs * width).map(number);
    let bias = match conv.input.get(2).filter(|b| !b.is_empty()) {
        Some(bias) => graph.floats(bias).map(|b| b.values).filter(|b| b.len() == width),
        None => Some(vec![0.0; width]),
    };
    let layer = Matrix {
        weights: transposed.collect(),
        bias: bias.ok_or_else(|| format!("{at} has no constant bias"))?,
    };
    // What is added, and whether patches keep their order.
    let why = || format!("tokens behind {at} are another arrangement");
    let count = probe.size(cells).ok_or_else(why)?;
    let patches = count / width;
    let added = probe.run(&gap, &[&vec![0.0; count]]).ok_or_else(why)?;
    let extra = added.len().checked_sub(count).ok_or_else(why)?;
    let x = noise(count, 13);
    let found = probe.run(&gap, &[&x]).ok_or_else(why)?;
    let moved: Vec<f32> = (0..count).map(|i| x[i % width * patches + i / width]).collect();
    let expected = [&vec![0.0; extra][..], &moved].concat();
    let difference: Vec<f32> = found.iter().zip(&added).map(|(a, b)| a - b).collect();
    let lie = graph.shapes.get(tokens).map(|s| &s[..]) == Some(&[1, added.len() / width, width]);
    if !lie || found.len() != added.len() || !alike(&difference, &expected) {
        return Err(why());
    }
    let (before, positions) = added.split_at(extra);
    let none = positions.iter().all(|&p| p == 0.0);
    let positions = if none { Vec::new() } else { positions.to_vec() };
    Ok(Embed { features, patch: [high, wide], layer, before: before.to_vec(), positions })
}
