//! Heads that read functions of cells beside the cells: recognised, and the same as in plain tract.

#![cfg(feature = "onnx")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/onnx.rs"]
mod onnx;
#[path = "common/vit.rs"]
mod vit;

use common::picture;
use onnx::Graph;
use tamis::codec::{Quality, plain};
use tamis::runtime::{
    Engine, Head, HeadOptions, Model, Options, Policy, Precision, Simd, Tokens, cosine, find_bundle,
};
use vit::{CHANNELS, Make, energy, head, joined, plain_cells, random, strength};

fn energy_first(g: &mut Graph) -> (String, i64) {
    strength(g);
    joined(g, &["strength", "latent", "abs"])
}

/// `sign(x) |x|^0.5`, alone.
fn root(g: &mut Graph) -> (String, i64) {
    let half = g.floats(&[1], &[0.5]);
    g.node("Abs", &["latent"], "abs", &[]);
    g.node("Pow", &["abs", &half], "root", &[]);
    g.node("Sign", &["latent"], "sign", &[]);
    g.node("Mul", &["sign", "root"], "signed", &[]);
    ("signed".into(), 1)
}

/// What is not zero of zero: `e^(-x^2)`, `3 - tanh(x)`.
fn bells(g: &mut Graph) -> (String, i64) {
    let [two, three] = [2.0, 3.0].map(|c| g.floats(&[1, 1, 1, 1], &[c]));
    g.node("Pow", &["latent", &two], "square", &[]);
    g.node("Neg", &["square"], "minus", &[]);
    g.node("Exp", &["minus"], "bell", &[]);
    g.node("Tanh", &["latent"], "tanh", &[]);
    g.node("Sub", &[&three, "tanh"], "step", &[]);
    joined(g, &["bell", "step"])
}

const ALL: [(&str, Make); 5] = [
    ("plain", plain_cells),
    ("energy", energy),
    ("energy first", energy_first),
    ("root", root),
    ("bells", bells),
];

fn model(onnx: &[u8], simd: Option<Simd>) -> Model {
    let options = Options { simd, precision: Precision::Float, ..Options::default() };
    Model::from_onnx("head", onnx, &options).unwrap()
}

fn why(engine: &Engine) -> &str {
    match engine {
        Engine::Transformer { no_embed: None, .. } => "",
        Engine::Transformer { no_embed: Some(why), .. } | Engine::Plain { why } => why,
        Engine::Absent => "nothing",
    }
}

#[test]
fn functions_of_cells_are_recognised_and_give_what_tract_gives() {
    for (name, make) in ALL {
        let onnx = head(make);
        let mut tract = model(&onnx, None);
        for simd in Simd::all() {
            let mut ours = model(&onnx, Some(simd));
            assert_eq!(why(ours.engine()), "", "{name}");
            for shape in [[1, 24, 16, 12], [1, 24, 21, 31]] {
                let x: Vec<f32> = (0..shape.iter().product())
                    .map(|i| (i * 37 % 101) as f32 / 20.0 - 2.5)
                    .collect();
                let (found, truth) =
                    (ours.run(&shape, &x).unwrap(), tract.run(&shape, &x).unwrap());
                for (a, b) in found.iter().zip(&truth) {
                    assert!((a - b).abs() < 1e-4, "{name} {simd:?}: {found:?} for {truth:?}");
                }
            }
        }
    }
}

#[test]
fn latents_and_parts_of_them_give_the_answer_of_floats() {
    let bundle = find_bundle("rgb").unwrap();
    let quality = Quality::new(75).unwrap();
    for (name, make) in ALL {
        let onnx = head(make);
        let mut tract = model(&onnx, None);
        let mut ours = Head::from_onnx("head", &onnx).unwrap();
        assert_eq!(why(ours.engine()), "", "{name}");
        for channels in [12, 48] {
            let latent = plain::encode(&bundle, &picture(160, 200, 5), channels, quality).unwrap();
            let (shape, values) = ours.card().input(&bundle, &latent).unwrap();
            let truth = tract.run(&shape, &values).unwrap();
            let found = ours.logits(&bundle, &latent).unwrap();
            for (a, b) in found.iter().zip(&truth) {
                assert!((a - b).abs() < 1e-4, "{name} {channels}: {found:?} for {truth:?}");
            }
            let options = HeadOptions { int8: true, ..HeadOptions::default() };
            let mut small = Head::from_onnx_with("head", &onnx, &options).unwrap();
            let found = small.logits(&bundle, &latent).unwrap();
            assert!(cosine(&found, &truth) > 0.99, "{name} {channels}: {found:?} for {truth:?}");
        }
    }
}

#[test]
fn tokens_are_left_out_and_layers_are_quantised_all_the_same() {
    let bundle = find_bundle("rgb").unwrap();
    let quality = Quality::new(75).unwrap();
    let latent = plain::encode(&bundle, &picture(160, 200, 5), 48, quality).unwrap();
    let run = |make: Make, policy, int8| {
        let options = HeadOptions { int8, tokens: Tokens::Share(policy, 0.5) };
        let mut head = Head::from_onnx_with("head", &head(make), &options).unwrap();
        assert_eq!(head.engine().to_string().contains("9 of 9 layers in int8"), int8);
        head.run(&bundle, &latent).unwrap().patches
    };
    for int8 in [false, true] {
        for policy in [Policy::Wpr, Policy::Merge, Policy::Random(0)] {
            assert_eq!(run(energy, policy, int8).len(), 30, "{policy}");
        }
        // Bits are those of the latent, whatever is read of it.
        let bits = run(energy, Policy::Bits, int8);
        assert!(bits.len() == 30 && bits == run(plain_cells, Policy::Bits, int8));
    }
}

#[test]
fn what_is_no_function_of_single_cells_is_named() {
    let cases: [(Make, &str); 6] = [
        (
            |g| {
                g.node("Abs", &["latent"], "abs", &[]);
                g.node("Floor", &["abs"], "floor", &[]);
                joined(g, &["latent", "floor"])
            },
            "\"floor\" (Floor) before the tokens is no function of single cells",
        ),
        (
            |g| {
                let each = random(g, &[1, CHANNELS, 1, 1], 1.0);
                g.node("Mul", &["latent", &each], "scaled", &[]);
                joined(g, &["latent", "scaled"])
            },
            "\"scaled\" (Mul)",
        ),
        (
            |g| {
                g.node("Transpose", &["latent"], "turned", &[("perm", &[0, 1, 2, 3])]);
                joined(g, &["latent", "turned"])
            },
            "\"turned\" (Transpose)",
        ),
        (
            |g| {
                g.node("Abs", &["latent"], "abs", &[]);
                g.node("Concat", &["latent", "abs"], "joined", &[("axis", &[2])]);
                ("joined".into(), 1)
            },
            "\"joined\" before the tokens is of another shape",
        ),
        (
            |g| {
                let other = random(g, &[1, CHANNELS, 1, 1], 1.0);
                g.node("Sub", &["latent", "latent"], "nothing", &[]);
                g.node("Add", &["nothing", &other], "other", &[]);
                joined(g, &["latent", "other"])
            },
            "\"other\" (Add)",
        ),
        (
            |g| {
                let mut last = "latent".to_string();
                for i in 0..40 {
                    g.node("Abs", &[&last], &format!("a{i}"), &[]);
                    last = format!("a{i}");
                }
                (last, 1)
            },
            "more than 32 steps",
        ),
    ];
    for (make, reason) in cases {
        let ours = Head::from_onnx("head", &head(make)).unwrap();
        assert!(why(ours.engine()).contains(reason), "{} for {reason}", why(ours.engine()));
        let tokens = Tokens::Share(Policy::Merge, 0.5);
        let options = HeadOptions { tokens, ..HeadOptions::default() };
        let refused = Head::from_onnx_with("head", &head(make), &options).unwrap_err().to_string();
        assert!(refused.contains("leaves out no tokens") && refused.contains(reason), "{refused}");
    }
}
