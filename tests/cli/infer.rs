//! `infer`: streams that are live, and pictures of what was looked at.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{code, frame, good, json, picture, tamis, tamis_with, words};
use crate::vit::{energy, head};
use tamis::pipeline::media::encode_png;

/// A command that reads what a slow writer gives, and its lines as they come.
fn live(dir: &Path, args: &[&str]) -> (Child, Receiver<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (say, hear) = channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|l| say.send(l)));
    (child, hear)
}

fn next(lines: &Receiver<String>) -> serde_json::Value {
    let line = lines.recv_timeout(Duration::from_secs(120)).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[test]
fn predictions_come_with_their_frames() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let raw = ["infer", "-", "--raw-video", "96x64:rgb24", "--head", "waste", "--json"];
    let (mut child, lines) = live(dir, &raw);
    let mut stdin = child.stdin.take().unwrap();
    for index in 0..3 {
        // Nothing more is written before its line is there.
        stdin.write_all(&vec![40 * index as u8; 96 * 64 * 3]).unwrap();
        assert_eq!(next(&lines)["index"], index);
    }
    stdin.write_all(&[0; 100]).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(code(&output) == 3 && words(&output).contains("frame 3 is cut short"));
    assert!(lines.recv().is_err(), "no line for a frame that is none");
}

#[test]
fn packets_are_read_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let args = ["encode", "-", "-o", "x.tamis", "--raw-video", "96x64:rgb24"];
    good(&tamis_with(dir, &args, &vec![90; 3 * 96 * 64 * 3]));
    let bytes = std::fs::read(dir.join("x.tamis")).unwrap();
    let (mut child, lines) = live(dir, &["infer", "-", "--head", "waste", "--json"]);
    let mut stdin = child.stdin.take().unwrap();
    // The index at the end is missing.
    stdin.write_all(&bytes[..bytes.len() - 8]).unwrap();
    (0..3).for_each(|index| assert_eq!(next(&lines)["index"], index));
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(code(&output) == 3 && words(&output).contains("incomplete"), "{}", words(&output));
    assert!(next(&lines)["error"].as_str().unwrap().contains("cut off") && lines.recv().is_err());
    // Cut before the first picture ends.
    let cut = tamis_with(dir, &["infer", "-", "--head", "waste", "--json"], &bytes[..100]);
    assert_eq!((code(&cut), json(&cut).len()), (65, 1), "{}", words(&cut));
    assert!(json(&cut)[0]["error"].as_str().unwrap().contains("cut off"));
}

#[test]
fn an_input_without_a_frame_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let raw = ["--raw-video", "96x64:rgb24"];
    let infer = [&["infer", "-", "--head", "waste", "--json"], &raw[..]].concat();
    let cases: [(&[u8], &str); 2] = [(&[], "holds no frame"), (&[0; 100], "frame 0 is cut short")];
    for (input, why) in cases {
        let output = tamis_with(dir, &infer, input);
        assert!(code(&output) == 65 && words(&output).contains(why), "{}", words(&output));
        assert!(json(&output)[0]["error"].as_str().unwrap().contains(why));
        let encode = [&["encode", "-", "-o", "x.tamis"], &raw[..]].concat();
        let output = tamis_with(dir, &encode, input);
        assert!(code(&output) == 65 && words(&output).contains(why), "{}", words(&output));
    }
    assert!(!dir.join("x.tamis").exists());
}

#[test]
fn an_overlay_shows_what_was_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::create_dir(dir.join("in")).unwrap();
    for (name, seed) in [("a.png", 1), ("b.png", 2)] {
        let png = encode_png(&picture(96, 128, seed)).unwrap();
        std::fs::write(dir.join("in").join(name), png).unwrap();
    }
    std::fs::write(dir.join("vit.onnx"), head(energy)).unwrap();
    let infer = |input: &str, more: &[&str]| {
        tamis(dir, &[&["infer", input, "--head", "vit.onnx"], more].concat())
    };
    let half = infer("in", &["--keep", "0.5", "--overlay", "out/", "--json"]);
    good(&half);
    // Patches of 32 by 16 pixels: what is left out is grey.
    let patches: Vec<u64> = serde_json::from_value(json(&half)[1]["patches"].clone()).unwrap();
    assert_eq!(patches.len(), 12);
    let shown = frame(&dir.join("out/b.png"));
    assert_eq!((&shown.extent[..], shown.channels), (&[96, 128][..], 3));
    for patch in 0..24 {
        let (y, x) = (patch / 8 * 32, patch % 8 * 16);
        let pixel = |i: usize| -> Vec<f32> {
            let at = (y + i / 16) * 128 + x + i % 16;
            (0..3).map(|c| shown.value(3 * at + c)).collect()
        };
        let grey = (0..32 * 16).map(pixel).all(|p| p[0] == p[1] && p[1] == p[2]);
        assert_eq!(grey, !patches.contains(&(patch as u64)), "{patch}");
    }
    let text = infer("in/a.png", &["--keep", "0.5", "--overlay", "one.png"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("(12 of 24 patches, "));
    assert_eq!(frame(&dir.join("one.png")).samples, frame(&dir.join("out/a.png")).samples);
    // Of a stream each has its number.
    good(&tamis(dir, &["encode", "in", "-o", "s.tamis"]));
    good(&infer("s.tamis", &["--keep", "0.5", "--overlay", "s.png"]));
    assert_eq!(frame(&dir.join("s-000001.png")).samples, shown.samples);
    assert!(dir.join("s-000000.png").exists() && !dir.join("s.png").exists());
    let all = infer("s.tamis", &["--overlay", "all/"]);
    assert!(words(&all).contains("dims nothing") && dir.join("all/s-000000.png").exists());
}

#[test]
fn an_overlay_that_cannot_be_is_refused_first() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for name in ["a.png", "b.png"] {
        std::fs::write(dir.join(name), encode_png(&picture(96, 128, 1)).unwrap()).unwrap();
    }
    let before = std::fs::read(dir.join("a.png")).unwrap();
    let cases: [(&[&str], &str, &str, &str); 6] = [
        (&["a.png", "b.png"], "waste", "x.png", "2 inputs need a folder"),
        (&["a.png"], "waste", "x.jpg", "x.jpg is no .png"),
        (&["a.png"], "waste", "-", "- is no .png"),
        (&["a.png"], "waste", "a.png", "would overwrite the input"),
        (&["a.png"], "waste", ".", "might be overwritten"),
        (&["a.png"], "digits", "x.png", "this head reads sounds"),
    ];
    for (inputs, head, overlay, why) in cases {
        let args = [&["infer"], inputs, &["--head", head, "--overlay", overlay]].concat();
        let output = tamis(dir, &args);
        assert_eq!(code(&output), 2, "{overlay}: {}", words(&output));
        let said = words(&output);
        assert!(said.contains("--overlay") && said.contains(why), "{said}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(std::fs::read(dir.join("a.png")).unwrap(), before);
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 2);
}
