//! Heads for latents of `rgb` with a small transformer of random weights.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use tamis::runtime::find_bundle;

use crate::onnx::Graph;

/// Names the value that is made into tokens, and says how many functions of each cell it holds.
pub type Make = fn(&mut Graph) -> (String, i64);

const WIDTH: i64 = 12;
pub const CHANNELS: i64 = 24;

/// The head that reads what `make` makes of the value `latent`, and how many functions that are.
pub fn head(make: impl FnOnce(&mut Graph) -> (String, i64)) -> Vec<u8> {
    let mut g = Graph::new(CHANNELS as usize);
    let (from, each) = make(&mut g);
    let inputs = CHANNELS * each;
    let w = random(&mut g, &[WIDTH, inputs, 4, 2], 0.5);
    g.node("Conv", &[&from, &w], "cells", &[("kernel_shape", &[4, 2]), ("strides", &[4, 2])]);
    let shape = g.ints(&[1, WIDTH, -1]);
    g.node("Reshape", &["cells", &shape], "rows", &[]);
    g.node("Transpose", &["rows"], "tokens", &[("perm", &[0, 2, 1])]);
    let mut x = "tokens".to_string();
    for block in 0..2 {
        x = self::block(&mut g, &x, &format!("{block}."));
    }
    let at = g.ints(&[0]);
    g.node("Gather", &[&x, &at], "first", &[("axis", &[1])]);
    let flat = g.ints(&[1, WIDTH]);
    g.node("Reshape", &["first", &flat], "flat", &[]);
    let answer = random(&mut g, &[WIDTH, 3], 1.0);
    g.node("MatMul", &["flat", &answer], "bands", &[]);
    let codec = find_bundle("rgb").unwrap().codec_id().to_string();
    g.file(
        3,
        &[
            ("tamis.task", "test"),
            ("tamis.codec", &codec),
            ("tamis.bundle", "rgb"),
            ("tamis.channels", "24"),
            ("tamis.quality", "20,90"),
            ("tamis.grid", "any first"),
            ("tamis.labels", r#"["a","b","c"]"#),
            ("tamis.licence", "none"),
        ],
    )
}

pub fn random(g: &mut Graph, shape: &[i64], most: f32) -> String {
    let count = shape.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|_| most * g.random()).collect();
    g.floats(shape, &values)
}

/// A block of a transformer with three heads; its nodes have names that begin so.
fn block(g: &mut Graph, x: &str, name: &str) -> String {
    let at = |what: &str| format!("{name}{what}");
    let layer = |g: &mut Graph, from: &str, to: &str, inputs: i64, outputs: i64| {
        let (w, b) = (random(g, &[inputs, outputs], 0.4), random(g, &[outputs], 0.2));
        g.node("MatMul", &[&at(from), &w], &at(&format!("{to}'")), &[]);
        g.node("Add", &[&at(&format!("{to}'")), &b], &at(to), &[]);
    };
    let norm = |g: &mut Graph, from: &str, to: &str| {
        let (gain, bias) = (random(g, &[WIDTH], 1.0), random(g, &[WIDTH], 0.2));
        g.node("LayerNormalization", &[from, &gain, &bias], &at(to), &[]);
    };
    norm(g, x, "n");
    let split = g.ints(&[1, -1, 3, WIDTH / 3]);
    for (to, perm) in [("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])] {
        layer(g, "n", to, WIDTH, WIDTH);
        g.node("Reshape", &[&at(to), &split], &at(&format!("{to}s")), &[]);
        g.node("Transpose", &[&at(&format!("{to}s"))], &at(&format!("{to}t")), &[("perm", &perm)]);
    }
    let scale = g.floats(&[], &[0.5]);
    g.node("MatMul", &[&at("qt"), &at("kt")], &at("scores'"), &[]);
    g.node("Mul", &[&at("scores'"), &scale], &at("scores"), &[]);
    g.node("Softmax", &[&at("scores")], &at("map"), &[]);
    g.node("MatMul", &[&at("map"), &at("vt")], &at("heads"), &[]);
    g.node("Transpose", &[&at("heads")], &at("rows"), &[("perm", &[0, 2, 1, 3])]);
    let join = g.ints(&[1, -1, WIDTH]);
    g.node("Reshape", &[&at("rows"), &join], &at("attended"), &[]);
    layer(g, "attended", "out", WIDTH, WIDTH);
    g.node("Add", &[x, &at("out")], &at("x"), &[]);
    norm(g, &at("x"), "m");
    layer(g, "m", "up", WIDTH, 2 * WIDTH);
    g.node("Relu", &[&at("up")], &at("active"), &[]);
    layer(g, "active", "down", 2 * WIDTH, WIDTH);
    g.node("Add", &[&at("x"), &at("down")], &at("y"), &[]);
    at("y")
}

/// `0.5 ln(1 + 8 |x|)`
pub fn strength(g: &mut Graph) {
    let [half, one, eight] = [0.5, 1.0, 8.0].map(|c| g.floats(&[], &[c]));
    g.node("Abs", &["latent"], "abs", &[]);
    g.node("Mul", &["abs", &eight], "eight", &[]);
    g.node("Add", &["eight", &one], "more", &[]);
    g.node("Log", &["more"], "log", &[]);
    g.node("Mul", &["log", &half], "strength", &[]);
}

pub fn joined(g: &mut Graph, parts: &[&str]) -> (String, i64) {
    g.node("Concat", parts, "joined", &[("axis", &[1])]);
    ("joined".into(), parts.len() as i64)
}

pub fn energy(g: &mut Graph) -> (String, i64) {
    strength(g);
    joined(g, &["latent", "strength"])
}

/// The latent as it is.
pub fn plain_cells(_: &mut Graph) -> (String, i64) {
    ("latent".into(), 1)
}
