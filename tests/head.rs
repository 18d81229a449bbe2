//! Heads: what they read, what they refuse, and the same answer by every road.

#![cfg(all(feature = "onnx", feature = "cli"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::{picture, sound};
use serde_json::Value;
use tamis::codec::{Quality, plain};
use tamis::pipeline::media::{WavDepth, encode_png, encode_wav};
use tamis::runtime::{Head, find_bundle, find_codec, find_head, shipped_heads};

#[test]
fn shipped_heads_read_every_prefix_and_quality_of_their_codec() {
    for name in shipped_heads() {
        let mut head = find_head(name).unwrap();
        let card = head.card().clone();
        let bundle = find_codec(card.codec, &card.bundle).unwrap();
        assert!(card.channels <= bundle.channels() && card.labels.len() > 1);
        let frames = match card.rate {
            0 => vec![picture(288, 384, 1), picture(64, 200, 2), picture(1, 1, 3)],
            rate => vec![sound(4000, 1, rate, 1), sound(9001, 1, rate, 2), sound(1, 1, rate, 3)],
        };
        for frame in frames {
            for channels in [bundle.groups[0], bundle.channels()] {
                for quality in [card.quality.0, Quality::DEFAULT, card.quality.1] {
                    let latent = plain::encode(&bundle, &frame, channels, quality).unwrap();
                    let answer = head.run(&bundle, &latent).unwrap();
                    let sum: f32 = answer.top.iter().map(|t| t.1).sum();
                    assert!((sum - 1.0).abs() < 1e-4, "{name}: {sum}");
                    assert!(answer.top.is_sorted_by(|a, b| a.1 >= b.1));
                    assert_eq!(answer.top.len(), card.labels.len());
                }
            }
        }
    }
}

#[test]
fn input_is_the_latent_over_its_deviation_and_zero_beyond_the_prefix() {
    let head = find_head("waste").unwrap();
    let bundle = find_bundle("rgb").unwrap();
    let latent = plain::encode(&bundle, &picture(40, 40, 1), 12, Quality::DEFAULT).unwrap();
    let (shape, values) = head.card().input(&bundle, &latent).unwrap();
    assert_eq!(shape, [1, head.card().channels, 5, 5]);
    assert!(values[12 * 25..].iter().all(|&x| x == 0.0));
    for (i, &x) in values[..12 * 25].iter().enumerate() {
        let c = i / 25;
        let y = f32::from(latent.values[i]) * bundle.steps[c] / bundle.deviation[c];
        assert!((x - y).abs() < 1e-6 * (1.0 + y.abs()));
    }
}

#[test]
fn another_codec_is_refused_with_both_names() {
    let mut head = find_head("waste").unwrap();
    let other = common::image_bundle();
    let latent = plain::encode(&other, &picture(40, 40, 1), 192, Quality::DEFAULT).unwrap();
    let error = head.run(&other, &latent).unwrap_err().to_string();
    assert!(error.contains(&head.card().codec.to_string()), "{error}");
    assert!(error.contains(&other.codec_id().to_string()), "{error}");
}

#[test]
fn rubbish_is_no_head() {
    assert!(Head::from_onnx("empty", b"").is_err());
    assert!(Head::from_onnx("rubbish", &[0x55; 300]).is_err());
    assert!(find_head("no-such-head").unwrap_err().to_string().contains("waste"));
}

fn infer(folder: &std::path::Path, input: &str, head: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(["infer", input, "--head", head, "--json"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

#[test]
fn files_and_recordings_give_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let wav = encode_wav(&sound(4000, 1, 8000, 4), WavDepth::I16).unwrap();
    std::fs::write(dir.join("in.wav"), wav).unwrap();
    std::fs::write(dir.join("in.png"), encode_png(&picture(96, 128, 4)).unwrap()).unwrap();
    for (input, head) in [("in.wav", "digits"), ("in.png", "waste")] {
        let coded = Command::new(env!("CARGO_BIN_EXE_tamis"))
            .args(["encode", input, "-o", "x.tamis"])
            .current_dir(dir)
            .status()
            .unwrap();
        assert!(coded.success());
        let (media, recording) = (infer(dir, input, head), infer(dir, "x.tamis", head));
        for field in ["label", "score", "top", "tokens", "head", "codec"] {
            assert_eq!(media[field], recording[field], "{head} {field}");
        }
        assert_eq!(media["path"], input);
    }
}

#[test]
fn example_configs_are_good() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let configs = std::fs::read_dir(examples).unwrap().map(|e| e.unwrap().path());
    let configs: Vec<_> = configs.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    assert!(configs.len() >= 3);
    let service = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/tamis.toml").into();
    let configs = configs.into_iter().chain([service]);
    for config in configs {
        let check = Command::new(env!("CARGO_BIN_EXE_tamis")).arg("check").arg(&config).output();
        let check = check.unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    }
}
