//! Transformers as others export them: recognised, run by our operation, the same as in plain tract.

#![cfg(all(feature = "onnx", feature = "cli"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::picture;
use tamis::codec::{Quality, plain};
use tamis::runtime::{
    Engine, Head, HeadOptions, LayerPlace, Model, Options, POLICIES, Policy, Precision, Simd,
    Tokens, cosine, find_bundle,
};

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/vits"));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_stem().unwrap().to_str().unwrap().into(), std::fs::read(p).unwrap()))
        .collect();
    files.sort();
    files
}

fn noise(count: usize) -> Vec<f32> {
    let mut state = 3u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| 2.0 * (next() + next() + next())).collect()
}

fn model(name: &str, onnx: &[u8], simd: Option<Simd>, precision: Precision) -> Model {
    Model::from_onnx(name, onnx, &Options { simd, precision, ..Options::default() }).unwrap()
}

const INT8: Precision = Precision::Int8 { floats: Vec::new() };

#[test]
fn stock_definitions_are_recognised_and_give_what_tract_gives() {
    let mut recognised = 0;
    for (name, onnx) in files() {
        let shape = Model::shape_of(&name, &onnx).unwrap();
        let x = noise(shape.iter().product());
        let truth = model(&name, &onnx, None, Precision::Float).run(&shape, &x).unwrap();
        for simd in Simd::all() {
            let mut ours = model(&name, &onnx, Some(simd), Precision::Float);
            let found = ours.run(&shape, &x).unwrap();
            assert_eq!(found.len(), truth.len());
            for (a, b) in found.iter().zip(&truth) {
                assert!((a - b).abs() < 1e-4, "{name} {simd:?}: {a} for {b}");
            }
            match ours.engine() {
                Engine::Transformer { blocks, width, heads, int8, .. } => {
                    assert_eq!((*blocks, *width, *heads, *int8), (2, 12, 3, 0), "{name}");
                    recognised += 1;
                }
                engine => assert!(name.starts_with("odd"), "{name} {engine}"),
            }
        }
    }
    assert_eq!(recognised, 14 * Simd::all().len());
}

#[test]
fn the_embedding_is_ours_where_patches_lie_side_by_side() {
    for (name, onnx) in files() {
        let ours = model(&name, &onnx, Some(Simd::best()), Precision::Float);
        let Engine::Transformer { no_embed, .. } = ours.engine() else { continue };
        let pictures = name.contains("vit") || name.starts_with("timm") && name != "timm-open-17";
        assert_eq!(no_embed.is_none(), pictures, "{name}: {}", ours.engine());
    }
}

#[test]
fn what_is_no_transformer_is_named_and_left_to_tract() {
    for (name, reason) in [("odd-clip-17", "(Clip)"), ("odd-causal-17", "another attention")] {
        let (_, onnx) = files().into_iter().find(|f| f.0 == name).unwrap();
        let ours = model(name, &onnx, Some(Simd::best()), Precision::Float);
        let Engine::Plain { why } = ours.engine() else { panic!("{name}: {}", ours.engine()) };
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn any_number_of_tokens_is_run_by_one_that_leaves_it_open() {
    let (name, onnx) = files().into_iter().find(|f| f.0 == "timm-open-17").unwrap();
    let mut ours = model(&name, &onnx, Some(Simd::best()), Precision::Float);
    let mut plain_model = model(&name, &onnx, None, Precision::Float);
    assert!(matches!(ours.engine(), Engine::Transformer { .. }), "{}", ours.engine());
    for n in [1, 2, 7, 40] {
        let x = noise(n * 12);
        let (found, truth) = (ours.run(&[1, n, 12], &x), plain_model.run(&[1, n, 12], &x));
        for (a, b) in found.unwrap().iter().zip(&truth.unwrap()) {
            assert!((a - b).abs() < 1e-4, "{n}: {a} for {b}");
        }
    }
}

#[test]
fn a_batch_is_one_after_the_other() {
    let (name, onnx) = files().into_iter().find(|f| f.0 == "timm-mean-batch-18").unwrap();
    let mut ours = model(&name, &onnx, Some(Simd::best()), Precision::Float);
    let x = noise(3 * 3 * 24 * 24);
    let all = ours.run(&[3, 3, 24, 24], &x).unwrap();
    for (x, truth) in x.chunks(3 * 24 * 24).zip(all.chunks(7)) {
        assert_eq!(ours.run(&[1, 3, 24, 24], x).unwrap(), truth);
    }
}

#[test]
fn whole_numbers_are_close() {
    for (name, onnx) in files() {
        let shape = Model::shape_of(&name, &onnx).unwrap();
        let x = noise(shape.iter().product());
        let truth = model(&name, &onnx, None, Precision::Float).run(&shape, &x).unwrap();
        for simd in Simd::all() {
            let mut ours = model(&name, &onnx, Some(simd), INT8);
            let found = ours.run(&shape, &x).unwrap();
            // So narrow a model has few numbers to even errors out.
            assert!(cosine(&found, &truth) > 0.99, "{name} {simd:?}: {}", cosine(&found, &truth));
            if let Engine::Transformer { int8, no_embed, .. } = ours.engine() {
                assert_eq!(*int8, 8 + usize::from(no_embed.is_none()));
            }
        }
    }
}

#[test]
fn layers_may_stay_floats() {
    let (name, onnx) = files().into_iter().find(|f| f.0 == "timm-17").unwrap();
    let floats = LayerPlace::all(true, 2).collect();
    let shape = Model::shape_of(&name, &onnx).unwrap();
    let x = noise(shape.iter().product());
    let simd = Some(Simd::best());
    let mut all = model(&name, &onnx, simd, Precision::Int8 { floats });
    let mut none = model(&name, &onnx, simd, Precision::Float);
    assert_eq!(all.run(&shape, &x).unwrap(), none.run(&shape, &x).unwrap());
    let some = model(
        &name,
        &onnx,
        simd,
        Precision::Int8 { floats: vec![LayerPlace::Block(1, 3), LayerPlace::Embed] },
    );
    assert!(some.engine().to_string().contains("7 of 9 layers in int8"), "{}", some.engine());
}

#[test]
fn damaged_files_are_refused_or_run() {
    let (name, onnx) = files().into_iter().find(|f| f.0 == "timm-17").unwrap();
    let shape = Model::shape_of(&name, &onnx).unwrap();
    let x = noise(shape.iter().product());
    for i in 0..120 {
        let mut bytes = onnx.clone();
        let at = i * 7919 * bytes.len() / 120 % bytes.len();
        bytes[at] ^= 1 << (i % 8);
        if let Ok(mut model) = Model::from_onnx(&name, &bytes, &Options::default()) {
            // Another answer, or an error: no panic.
            let _ = model.run(&shape, &x);
        }
    }
    for len in [0, 1, 100, onnx.len() / 2, onnx.len() - 1] {
        let _ = Model::from_onnx(&name, &onnx[..len], &Options::default());
    }
}

/// A field of a protocol buffer that holds bytes.
fn field(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    out.push(number << 3 | 2);
    let mut len = value.len();
    while len >= 128 {
        out.push(len as u8 | 128);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend(value);
}

/// A transformer with the properties of a head: it reads the first three channels of `rgb`.
fn head(extra: &[(&str, &str)]) -> Vec<u8> {
    let (_, mut onnx) = files().into_iter().find(|f| f.0 == "timm-17").unwrap();
    let codec = find_bundle("rgb").unwrap().codec_id().to_string();
    let mut properties = vec![
        ("tamis.task", "test"),
        ("tamis.codec", &codec),
        ("tamis.bundle", "rgb"),
        ("tamis.channels", "3"),
        ("tamis.quality", "20,90"),
        ("tamis.grid", "exact 24x24"),
        ("tamis.labels", r#"["a","b","c","d","e","f","g"]"#),
        ("tamis.licence", "none"),
    ];
    properties.extend(extra);
    for (key, value) in properties {
        let mut entry = Vec::new();
        field(&mut entry, 1, key.as_bytes());
        field(&mut entry, 2, value.as_bytes());
        // Metadata of a model: field 14.
        field(&mut onnx, 14, &entry);
    }
    onnx
}

#[test]
fn latents_are_read_as_whole_numbers_with_the_answer_of_floats() {
    let bundle = find_bundle("rgb").unwrap();
    let onnx = head(&[]);
    let mut ours = Head::from_onnx("head", &onnx).unwrap();
    assert!(matches!(ours.engine(), Engine::Transformer { no_embed: None, .. }));
    let mut plain_model = model("head", &onnx, None, Precision::Float);
    for (channels, quality) in [(48, 75), (12, 30)] {
        let quality = Quality::new(quality).unwrap();
        let latent = plain::encode(&bundle, &picture(192, 192, 5), channels, quality).unwrap();
        let (shape, values) = ours.card().input(&bundle, &latent).unwrap();
        let logits = plain_model.run(&shape, &values).unwrap();
        let truth = ours.card().prediction(&logits, 1, Default::default()).unwrap();
        let found = ours.run(&bundle, &latent).unwrap();
        for (a, b) in found.top.iter().zip(&truth.top) {
            assert!(a.0 == b.0 && (a.1 - b.1).abs() < 1e-5, "{a:?} for {b:?}");
        }
    }
}

#[test]
fn metadata_keeps_layers_in_floats() {
    let onnx = head(&[("tamis.floats", "0.qkv 1.down")]);
    let int8 = HeadOptions { int8: true, ..HeadOptions::default() };
    let kept = Head::from_onnx_with("head", &onnx, &int8).unwrap();
    assert_eq!(kept.card().floats, [LayerPlace::Block(0, 0), LayerPlace::Block(1, 3)]);
    assert!(kept.engine().to_string().contains("7 of 9"), "{}", kept.engine());
    let wrong = head(&[("tamis.floats", "0.sideways")]);
    let wrong = Head::from_onnx("head", &wrong).unwrap_err().to_string();
    assert!(wrong.contains("tamis.floats") && wrong.contains("0.sideways"), "{wrong}");
}

#[test]
fn a_head_goes_on_with_the_tokens_it_is_told_to() {
    let bundle = find_bundle("rgb").unwrap();
    let onnx = head(&[]);
    let quality = Quality::new(75).unwrap();
    let latent = plain::encode(&bundle, &picture(192, 192, 5), 48, quality).unwrap();
    let run = |tokens: Tokens, int8: bool| {
        let options = HeadOptions { int8, tokens };
        let mut head = Head::from_onnx_with("head", &onnx, &options).unwrap();
        (head.engine().to_string(), head.run(&bundle, &latent).unwrap())
    };
    let (_, all) = run(Tokens::All, false);
    assert!(all.patches.is_empty());
    let (_, same) = run(Tokens::Share(Policy::Wpr, 1.0), false);
    assert_eq!(same.top, all.top);
    let patches = same.patches.len();
    for policy in POLICIES.iter().map(|p| p.parse().unwrap()) {
        for int8 in [false, true] {
            let (engine, fewer) = run(Tokens::Share(policy, 0.5), int8);
            let (by, last) = (format!("tokens by {policy} "), ":0.5)");
            assert!(engine.contains(&by) && engine.contains(last), "{engine}");
            let expected = patches.div_ceil(2);
            if policy == Policy::Adaptive {
                // It keeps what it thinks fit, and what stands on its floor.
                assert!(fewer.patches.len() < patches);
            } else {
                assert_eq!(fewer.patches.len(), expected, "{policy}");
                assert_ne!(fewer.top, all.top, "{policy}");
            }
        }
    }
    let tokens = Tokens::By("wpr 0:0.5 7:0.4".parse().unwrap());
    let refused = |name, onnx: &[u8]| {
        let options = HeadOptions { int8: false, tokens: tokens.clone() };
        Head::from_onnx_with(name, onnx, &options).unwrap_err().to_string()
    };
    assert!(refused("head", &onnx).contains("block 7"));
    let waste = tamis::runtime::head_file("waste").unwrap().1;
    assert!(refused("waste", &waste).contains("leaves out no tokens"));
}

#[test]
fn tune_spares_its_head_and_names_what_it_cannot_use() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("calib")).unwrap();
    for (name, side) in [("a.png", 192), ("b.png", 200)] {
        let png = tamis::pipeline::media::encode_png(&picture(side, side, 4)).unwrap();
        std::fs::write(folder.path().join("calib").join(name), png).unwrap();
    }
    let onnx = head(&[("tamis.grid", "exact 24x24")]);
    std::fs::write(folder.path().join("vit.onnx"), &onnx).unwrap();
    let tune = |output: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        command.args(["tune", "vit.onnx", "--calib", "calib", "-o", output]);
        let output = command.current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (output, why) in
        [("./vit.onnx", "is the head itself"), ("-", "an .onnx file"), ("calib", ".onnx")]
    {
        let (code, said) = tune(output);
        assert!(code == Some(2) && said.contains(why), "{output}: {code:?} {said}");
        assert_eq!(std::fs::read(folder.path().join("vit.onnx")).unwrap(), onnx);
    }
    let (code, said) = tune("tuned.onnx");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("b.png") && said.contains("192x192 pixels only"), "{said}");
    assert!(said.contains("1 to tune on are few"), "{said}");
    assert!(folder.path().join("tuned.onnx").exists());
}

#[test]
fn infer_says_what_runs_a_head() {
    let folder = tempfile::tempdir().unwrap();
    let png = tamis::pipeline::media::encode_png(&picture(192, 192, 4)).unwrap();
    std::fs::write(folder.path().join("in.png"), png).unwrap();
    std::fs::write(folder.path().join("vit.onnx"), head(&[])).unwrap();
    let infer = |head: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        command.args(["infer", "in.png", "--head", head]).args(more);
        let output = command.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(infer("vit.onnx", &[]), "");
    let said = infer("vit.onnx", &["-v", "--int8"]);
    assert!(said.contains("2 blocks of 12") && said.contains("9 of 9 layers"), "{said}");
    assert!(infer("waste", &["-v"]).contains("plain tract"));
    assert!(infer("waste", &["--int8"]).contains("--int8 changes nothing"));
}

#[test]
fn tune_writes_a_table_and_a_target_picks_a_row() {
    let folder = tempfile::tempdir().unwrap();
    for (i, label) in ["a", "b", "a", "c", "b"].into_iter().enumerate() {
        let kind = folder.path().join("calib").join(label);
        std::fs::create_dir_all(&kind).unwrap();
        let png = tamis::pipeline::media::encode_png(&picture(192, 192, i as u64)).unwrap();
        std::fs::write(kind.join(format!("{i}.png")), png).unwrap();
    }
    std::fs::write(folder.path().join("vit.onnx"), head(&[])).unwrap();
    let run = |words: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        let output = command.args(words.split(' ')).current_dir(folder.path()).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, said) = run("tune vit.onnx --calib calib -o tuned.onnx --target-ms 1e6 --json");
    assert_eq!(code, Some(0), "{said}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    let onnx = std::fs::read(folder.path().join("tuned.onnx")).unwrap();
    let tuned = Head::card_of("tuned", &onnx).unwrap().tuned.unwrap();
    assert_eq!((tuned.latents, tuned.tokens, tuned.elsewhere()), (5, 10, None));
    assert!(tuned.rows.windows(2).all(|w| w[0].ms < w[1].ms && w[0].cosine < w[1].cosine));
    assert!(tuned.rows.iter().all(|r| r.accuracy.is_some()), "{tuned:?}");
    assert_eq!(report["tuned"]["rows"].as_array().unwrap().len(), tuned.rows.len());
    assert_eq!(report["picked"]["agreement"], 100.0);
    let svg = std::fs::read_to_string(folder.path().join("tuned.svg")).unwrap();
    assert!(svg.contains(">in the table<") && svg.contains(">1000000 ms<"), "{svg}");
    // Every row can be run.
    for row in &tuned.rows {
        let (code, out, said) =
            run(&format!("infer calib --head tuned.onnx --json -v --target-ms {}", row.ms));
        assert_eq!((code, out.lines().count()), (Some(0), 5), "{said}");
        let words = row.schedule.as_ref().map_or("2 blocks".into(), |s| s.to_string());
        assert!(said.contains(&words), "{said}");
    }
    let none = "--target-ms 1e-9";
    for (words, expected, why) in [
        ("infer calib --head tuned.onnx --int8 --target-ms 5", 2, "cannot be used with"),
        ("infer calib --head vit.onnx --target-ms 5", 2, "tamis tune vit.onnx --calib"),
        (&format!("infer calib --head tuned.onnx {none}"), 2, "the fastest way ("),
        (&format!("tune vit.onnx --calib calib -o other.onnx {none}"), 3, "cannot be met"),
        ("tune tuned.onnx --calib calib -o again.onnx", 0, "table of schedules was for other"),
    ] {
        let (code, _, said) = run(words);
        assert!(code == Some(expected) && said.contains(why), "{words}: {code:?} {said}");
    }
    let again = std::fs::read(folder.path().join("again.onnx")).unwrap();
    assert_eq!(Head::card_of("again", &again).unwrap().tuned, None);
    for (ms, expected) in [("1e6", 0), ("1e-9", 78)] {
        let config = format!(
            "source = {{ kind = \"files\", paths = [\"calib\"] }}\ncodec = {{ bundle = \"rgb\" }}\n\
             infer = {{ head = \"tuned.onnx\", target_ms = {ms} }}\n\
             sink = [{{ kind = \"json\", path = \"out.jsonl\" }}]\n"
        );
        std::fs::write(folder.path().join("line.toml"), config).unwrap();
        let (code, _, said) = run("check line.toml");
        assert_eq!(code, Some(expected), "{said}");
    }
}

#[test]
fn tables_from_anywhere_are_refused_with_the_reason() {
    for (table, why) in
        [("rows = []", "missing field"), ("rows = 1", "tamis.tuned"), ("[", "tamis.tuned")]
    {
        let refused = Head::from_onnx("head", &head(&[("tamis.tuned", table)])).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
}
