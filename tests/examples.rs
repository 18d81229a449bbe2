//! The examples run, and stay short enough to be read at once.

#![allow(missing_docs, clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs an example that `cargo test` has built beside this test.
fn run(name: &str, args: &[&str], input: &[u8]) -> Option<Output> {
    let deps = std::env::current_exe().unwrap();
    let folder = deps.parent().and_then(Path::parent).unwrap().join("examples");
    let program = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !program.exists() {
        // `cargo test --test examples` builds no examples.
        eprintln!("skipped: {} is not built", program.display());
        return None;
    }
    let mut child = Command::new(program);
    child.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    Some(child.wait_with_output().unwrap())
}

#[test]
fn examples_run() {
    let mut names = vec!["encode_image", "stream_audio", "budget"];
    if cfg!(feature = "onnx") {
        names.push("classify_latents");
    }
    if cfg!(feature = "pipeline") {
        names.push("custom_stage");
    }
    for name in names {
        let Some(out) = run(name, &[], &[]) else { continue };
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && !out.stdout.is_empty(), "{name}: {said}");
    }
}

#[test]
fn the_embedded_encoder_takes_bare_pictures() {
    let picture: Vec<u8> = (0..40 * 24 * 3).map(|i| (i * 7 % 251) as u8).collect();
    let Some(out) = run("embedded", &["40", "24"], &picture) else { return };
    assert!(out.status.success() && out.stdout.len() > 100);
    let Some(out) = run("embedded", &["40", "25"], &picture) else { return };
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains("3000") && said.contains("2880"), "{said}");
}

#[test]
fn examples_are_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "rs") {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines < 60, "{} has {lines} lines", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6);
}
