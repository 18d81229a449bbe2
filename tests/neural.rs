//! Neural decoders: what they read, what becomes of what they give, and what is refused.

#![cfg(all(feature = "onnx", feature = "cli"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/onnx.rs"]
mod onnx;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use common::{Noise, fixed_bundle, identity, image_bundle, picture};
use serde_json::Value;
use tamis::codec::{Arithmetic, Bundle, Frame, Kind, Latent, Layout, Quality, Samples, plain};
use tamis::pipeline::media::encode_png;
use tamis::runtime::{
    Decoder, DecoderSize, Neural, Simd, decoders_of, find_bundle, find_decoder, shipped_bundles,
};
use tamis::signal::Ends;

/// Metadata of a decoder for a bundle.
fn properties(bundle: &Bundle, role: &str, reach: &str) -> Vec<(String, String)> {
    let all = [
        ("decoder", bundle.codec_id().to_string()),
        ("role", role.into()),
        ("channels", bundle.channels().to_string()),
        ("size", "default".into()),
        ("reach", reach.into()),
    ];
    let all = all.into_iter().filter(|(_, value)| !value.is_empty());
    all.map(|(key, value)| (format!("tamis.{key}"), value)).collect()
}

fn pairs(all: &[(String, String)]) -> Vec<(&str, &str)> {
    all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

/// A residual that is nothing.
fn nothing(bundle: &Bundle) -> Vec<u8> {
    let (channels, bands) = (bundle.channels(), bundle.inner());
    let p = properties(bundle, "residual", "0");
    onnx::linear(channels, bands, &vec![0.0; channels * bands], &pairs(&p))
}

/// A residual of some levels that looks at neighbours.
fn something(bundle: &Bundle, reach: &str) -> Vec<u8> {
    let p = properties(bundle, "residual", reach);
    let most = if bundle.arithmetic == Arithmetic::Fixed { 60.0 } else { 0.02 };
    onnx::local(bundle.channels(), bundle.inner(), most, &pairs(&p))
}

fn neural(file: &[u8]) -> tamis::Result<Arc<Neural>> {
    Neural::from_onnx("test.onnx", file).map(Arc::new)
}

fn bytes(frame: &Frame) -> &[u8] {
    let Samples::U8(samples) = &frame.samples else { panic!() };
    samples
}

/// The most by which two pictures differ, and the share of bytes that do.
fn differ(a: &Frame, b: &Frame) -> (u8, f64) {
    assert_eq!((&a.extent, a.channels), (&b.extent, b.channels));
    let off: Vec<u8> = bytes(a).iter().zip(bytes(b)).map(|(a, b)| a.abs_diff(*b)).collect();
    let some = off.iter().filter(|d| **d > 0).count();
    (off.iter().copied().max().unwrap_or(0), some as f64 / off.len().max(1) as f64)
}

fn latent(bundle: &Bundle, frame: &Frame) -> Latent {
    plain::encode(bundle, frame, bundle.channels(), Quality::DEFAULT).unwrap()
}

fn push(bundle: &Arc<Bundle>, neural: &Arc<Neural>, latent: &Latent, layout: Layout) -> Frame {
    let mut decoder =
        Decoder::with_neural(bundle.clone(), bundle.channels(), neural.clone()).unwrap();
    decoder.push(latent, layout).unwrap()
}

fn bundles() -> Vec<Arc<Bundle>> {
    let rgb = Arc::new(find_bundle("rgb").unwrap());
    let periodic = Bundle::new(identity(Kind::Image, 3, 2, Ends::Periodic)).unwrap();
    vec![rgb, fixed_bundle(1, 16, 3), image_bundle(), Arc::new(periodic)]
}

#[test]
fn nothing_added_is_the_linear_decoder() {
    for bundle in bundles() {
        let file = nothing(&bundle);
        let neural = neural(&file).unwrap();
        for (h, w) in [(1, 1), (61, 83), (8, 2700), (1340, 9), (0, 5)] {
            let latent = latent(&bundle, &picture(h, w, 1));
            for layout in [Layout::Rgb, Layout::Gray] {
                let linear = Decoder::new(bundle.clone(), bundle.channels()).push(&latent, layout);
                let frame = push(&bundle, &neural, &latent, layout);
                let linear = linear.unwrap();
                let (most, share) = differ(&linear, &frame);
                // Fixed point rounds less often on the way to the bands, and saturates later there:
                // random weights make too much of that to be held to a level.
                let limit = match (bundle.inner(), bundle.inputs) {
                    (96, _) => 1,
                    (_, 1) => 6,
                    _ => 0,
                };
                assert!(most <= limit && share < 0.3, "{h}x{w} {layout:?}: {most}, {share}");
            }
        }
    }
}

#[test]
fn tiles_decode_as_the_whole_picture() {
    for bundle in bundles() {
        let cell = bundle.cell();
        let latent = latent(&bundle, &picture(100 * cell - 3, 163 * cell - 1, 2));
        let [tiles, short, whole] = ["2", "0", ""].map(|reach| {
            push(&bundle, &neural(&something(&bundle, reach)).unwrap(), &latent, Layout::Rgb)
        });
        let linear = Decoder::new(bundle.clone(), bundle.channels());
        let linear = { linear }.push(&latent, Layout::Rgb).unwrap();
        assert!(differ(&tiles, &linear).0 > 4, "does something");
        let (most, share) = differ(&tiles, &whole);
        // Sums of another order: a whole band value may be another, one lower or higher.
        assert!(most <= 2 && share < 1e-3, "{most}, {share}");
        assert!(differ(&short, &whole).0 > 4, "the test sees seams");
    }
}

#[test]
fn bands_stand_in_for_the_linear_decoder() {
    // Steps are in units of deviations, and there is no offset: the model is the synthesis.
    let bundle = image_bundle();
    let n = bundle.channels();
    let mut matrix = vec![0.0; n * n];
    (0..n).for_each(|i| matrix[i * n + i] = bundle.deviation[i]);
    let p = properties(&bundle, "bands", "0");
    let neural = neural(&onnx::linear(n, n, &matrix, &pairs(&p))).unwrap();
    let latent = latent(&bundle, &picture(50, 70, 3));
    let linear = Decoder::new(bundle.clone(), n).push(&latent, Layout::Rgb).unwrap();
    assert_eq!(differ(&push(&bundle, &neural, &latent, Layout::Rgb), &linear), (0, 0.0));
}

#[test]
fn channels_beyond_the_prefix_are_zero_and_the_model_knows() {
    let bundle = Arc::new(find_bundle("rgb").unwrap());
    let neural = neural(&something(&bundle, "2")).unwrap();
    let all = latent(&bundle, &picture(90, 120, 4));
    let cells = all.cells();
    let mut cut = all.clone();
    (cut.channels, cut.values) = (12, all.values[..12 * cells].to_vec());
    let mut zeros = all.clone();
    zeros.values[12 * cells..].fill(0);
    let mut decoder = Decoder::with_neural(bundle.clone(), 12, neural.clone()).unwrap();
    let of_all = decoder.push(&all, Layout::Rgb).unwrap();
    assert_eq!(push(&bundle, &neural, &cut, Layout::Rgb), of_all);
    // The same numbers, but the condition says that all channels are there.
    assert!(differ(&push(&bundle, &neural, &zeros, Layout::Rgb), &of_all).0 > 0);
    // Numbers of another quality are others, and so is the condition.
    let coarse = Latent { quality: Quality::new(74).unwrap(), ..all.clone() };
    assert!(differ(&push(&bundle, &neural, &coarse, Layout::Rgb), &of_all).0 > 0);
}

#[test]
fn every_instruction_set_decodes_the_same() {
    let bundle = fixed_bundle(3, 24, 5);
    let p = properties(&bundle, "residual", "2");
    let file = onnx::local(24, 96, 50.0, &pairs(&p));
    let neural = neural(&file).unwrap();
    for (h, w) in [(1, 1), (33, 300), (1411, 57), (129, 1500)] {
        let mut latent = latent(&bundle, &picture(h, w, 6));
        let mut noise = Noise(7);
        latent.values.fill_with(|| ((noise.next() - 0.5) * 300.0) as i16);
        let mut decoder = Decoder::with_neural(bundle.clone(), 24, neural.clone()).unwrap();
        let frames: Vec<Frame> = Simd::all()
            .into_iter()
            .map(|simd| {
                decoder.set_simd(simd);
                // Memory that was used before must not show.
                decoder.push(&self::latent(&bundle, &picture(40, 333, 5)), Layout::Rgb).unwrap();
                decoder.push(&latent, Layout::Rgb).unwrap()
            })
            .collect();
        assert!(frames.windows(2).all(|f| f[0] == f[1]), "{h}x{w}");
    }
}

#[test]
fn another_codec_is_refused_with_both_ids() {
    let (bundle, other) = (image_bundle(), fixed_bundle(3, 24, 5));
    let neural = neural(&nothing(&other)).unwrap();
    let error = Decoder::with_neural(bundle.clone(), 192, neural).unwrap_err().to_string();
    for id in [bundle.codec_id(), other.codec_id()] {
        assert!(error.contains(&id.to_string()), "{error}");
    }
}

#[test]
fn models_that_fail_give_errors() {
    let bundle = fixed_bundle(3, 24, 5);
    let latent = latent(&bundle, &picture(64, 80, 1));
    let p = properties(&bundle, "residual", "0");
    let run = |file: Vec<u8>| {
        let mut decoder = Decoder::with_neural(bundle.clone(), 24, neural(&file)?)?;
        decoder.push(&latent, Layout::Rgb).map(drop)
    };
    let error = |file: Vec<u8>| run(file).unwrap_err().to_string();
    assert!(run(nothing(&bundle)).is_ok());
    // Too few bands, no numbers, another size, no tensor of floats, inputs of other names.
    let few = onnx::linear(24, 95, &[0.0; 24 * 95], &pairs(&p));
    assert!(error(few).contains("[1, 95, 8, 10]"));
    let nan = onnx::linear(24, 96, &[f32::NAN; 24 * 96], &pairs(&p));
    assert!(error(nan).contains("finite"));
    let mut g = onnx::Graph::new(24);
    g.random_conv("latent", "a", [96, 24, 1], 1.0);
    g.node("MaxPool", &["a"], "bands", &[("kernel_shape", &[2, 2]), ("strides", &[2, 2])]);
    assert!(error(g.file(96, &pairs(&p))).contains("[1, 96, 4, 5]"));
    let mut g = onnx::Graph::new(24);
    g.node("Shape", &["latent"], "bands", &[]);
    assert!(error(g.file(96, &pairs(&p))).contains("test.onnx"));
    let g = onnx::Graph::new(24).condition().condition();
    assert!(error(g.file(96, &pairs(&p))).contains("test.onnx"));
    let mut g = onnx::Graph::new(23);
    g.random_conv("latent", "bands", [96, 23, 1], 1.0);
    assert!(error(g.file(96, &pairs(&p))).contains("test.onnx"));
    let mut wide = p.clone();
    wide[4].1 = "99".into();
    assert!(error(onnx::linear(24, 96, &[0.0; 24 * 96], &pairs(&wide))).contains("tamis.reach"));
}

#[test]
fn rubbish_is_no_decoder() {
    let bundle = fixed_bundle(3, 24, 5);
    assert!(neural(b"").is_err() && neural(&[0x55; 300]).is_err());
    let file = something(&bundle, "2");
    let latent = latent(&bundle, &picture(40, 40, 1));
    let mut noise = Noise(3);
    for trial in 0..300 {
        let mut bad = file.clone();
        match trial % 3 {
            // Where the structure is: weights are long.
            0 => bad.truncate(noise.below(file.len())),
            1 => bad[noise.below(120)] ^= 1 << noise.below(8),
            _ => {
                let end = file.len() - noise.below(1500) - 1;
                bad[end] ^= 1 << noise.below(8);
            }
        }
        let Ok(neural) = neural(&bad) else { continue };
        if let Ok(mut decoder) = Decoder::with_neural(bundle.clone(), 24, neural) {
            let _ = decoder.push(&latent, Layout::Rgb);
        }
    }
}

#[test]
fn a_picture_that_is_too_large_to_take_whole_is_refused() {
    let bundle = image_bundle();
    let whole = neural(&something(&bundle, "")).unwrap();
    let grid = vec![1 << 10, 1 + (1 << 8)];
    let values = vec![0; grid[0] * grid[1]];
    let extent = grid.iter().map(|g| 8 * g).collect();
    let latent = Latent { channels: 1, grid, extent, values, ..latent(&bundle, &picture(8, 8, 1)) };
    let mut decoder = Decoder::with_neural(bundle.clone(), 192, whole).unwrap();
    let error = decoder.push(&latent, Layout::Rgb).unwrap_err();
    assert!(matches!(error, tamis::Error::Limit { actual: 263_168, .. }), "{error}");
    assert!(error.to_string().contains("--preview"));
}

#[test]
fn shipped_decoders_are_those_of_their_bundles() {
    for name in shipped_bundles() {
        let bundle = Arc::new(find_bundle(name).unwrap());
        for size in decoders_of(&bundle) {
            let neural = find_decoder(&bundle, size).unwrap().unwrap();
            assert!(neural.card().reach.is_some(), "{name}: must be fit for tiles");
            let latent = latent(&bundle, &picture(61, 83, 1));
            push(&bundle, &Arc::new(neural), &latent, Layout::Rgb);
        }
    }
}

fn tamis(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tamis")).args(args).current_dir(folder).output().unwrap()
}

fn good(folder: &Path, args: &[&str]) -> Vec<Value> {
    let output = tamis(folder, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}

#[test]
fn the_command_uses_the_decoder_of_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let bundle = fixed_bundle(3, 24, 5);
    let (manifest, weights) = bundle.to_files().unwrap();
    std::fs::create_dir(dir.join("own")).unwrap();
    std::fs::write(dir.join("own/codec.toml"), manifest).unwrap();
    std::fs::write(dir.join("own/weights.safetensors"), weights).unwrap();
    std::fs::write(dir.join("in.png"), encode_png(&picture(61, 83, 1)).unwrap()).unwrap();
    good(dir, &["encode", "in.png", "-o", "x.tamis", "--codec", "./own"]);
    let decode = |more: &[&str]| {
        let args = ["decode", "x.tamis", "-o", "x.ppm", "--codec", "./own", "--json"];
        let report = good(dir, &[&args[..], more].concat());
        let name = report[0]["decoder"].as_str().unwrap().to_owned();
        (name, std::fs::read(dir.join("x.ppm")).unwrap())
    };
    let (name, linear) = decode(&[]);
    assert_eq!(name, "linear");
    let failed =
        tamis(dir, &["decode", "x.tamis", "-o", "y.png", "--codec", "./own", "--decoder", "edge"]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("it has linear"));

    let p = properties(&bundle, "residual", "2");
    let decoder = onnx::local(24, 96, 50.0, &pairs(&p));
    std::fs::write(dir.join("own").join(DecoderSize::Default.file()), decoder).unwrap();
    std::fs::write(dir.join("own").join(DecoderSize::Edge.file()), nothing(&bundle)).unwrap();
    let (name, default) = decode(&[]);
    assert!(name == "default" && default != linear);
    assert_eq!(decode(&["--decoder", "default"]).1, default);
    assert_eq!(decode(&["--preview"]), ("linear".into(), linear.clone()));
    assert_eq!(decode(&["--decoder", "linear"]).1, linear);
    let (name, edge) = decode(&["--decoder", "edge"]);
    assert!(name == "edge" && edge != default);
    let args = ["export", "x.tamis", "-o", "e.png", "--codec", "./own", "--png", "--json"];
    assert_eq!(good(dir, &args)[0]["decoder"], "default");

    let args = ["eval", "in.png", "--codec", "./own", "--quality", "75", "--json"];
    let all = good(dir, &[&args[..], &["--decoder", "linear,default"]].concat());
    let names: Vec<&str> = all.iter().map(|l| l["decoder"].as_str().unwrap()).collect();
    assert_eq!(names, ["linear", "linear", "default", "default"]);
    assert_ne!(all[0]["psnr_db"], all[2]["psnr_db"]);
    assert_eq!(all[0]["bpp"], all[2]["bpp"]);
    assert_eq!(good(dir, &args)[0]["decoder"], "default");
    assert_eq!(good(dir, &[&args[..], &["--preview"]].concat())[0]["decoder"], "linear");
    let bench = ["bench", "in.png", "--codec", "./own", "--seconds", "0", "--json"];
    let rows = good(dir, &bench)[0]["rows"].clone();
    let rows: Vec<Value> =
        rows.as_array().unwrap().iter().filter(|r| r["what"] == "decode_neural").cloned().collect();
    assert_eq!(
        rows.iter().map(|r| r["decoder"].as_str().unwrap()).collect::<Vec<_>>(),
        ["default", "edge"]
    );

    // One for another codec is named, not passed over.
    let other = nothing(&fixed_bundle(3, 24, 6));
    std::fs::write(dir.join("own").join(DecoderSize::Default.file()), other).unwrap();
    let failed = tamis(dir, &["decode", "x.tamis", "-o", "y.png", "--codec", "./own"]);
    let words = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success() && words.contains("--preview"), "{words}");
    assert_eq!(decode(&["--preview"]).1, linear);
}
