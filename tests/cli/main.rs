//! The command as a user meets it: exit codes, stdin and stdout, whole files.

#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used)]

mod bands;
#[path = "../common/mod.rs"]
mod common;
mod device;
mod export;
#[cfg(feature = "cuda")]
#[path = "../common/gpu.rs"]
mod gpu;
#[cfg(feature = "onnx")]
mod infer;
mod mishaps;
#[cfg(feature = "onnx")]
#[path = "../common/onnx.rs"]
mod onnx;
mod order;
mod rate;
mod shard;
mod spared;
#[cfg(feature = "onnx")]
#[path = "../common/vit.rs"]
mod vit;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{picture, sound};
use serde_json::Value;
use tamis::pipeline::media::{WavDepth, encode_png, encode_ppm, encode_wav, read};

fn tamis(folder: &Path, args: &[&str]) -> Output {
    tamis_with(folder, args, &[])
}

fn tamis_with(folder: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Written beside the reading, or two full pipes would wait for each other. A command that
    // fails early does not read its input.
    std::thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn good(output: &Output) {
    assert_eq!(code(output), 0, "{}", words(output));
}

fn frame(path: &Path) -> tamis::codec::Frame {
    read(path, &Default::default()).unwrap().frame
}

#[test]
fn a_picture_goes_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("in.png"), encode_png(&picture(61, 83, 1)).unwrap()).unwrap();
    good(&tamis(dir, &["encode", "in.png", "-o", "x.tamis"]));
    good(&tamis(dir, &["decode", "x.tamis", "-o", "out.png"]));
    good(&tamis(dir, &["decode", "x.tamis", "-o", "out.ppm", "--groups", "1"]));
    assert_eq!(frame(&dir.join("out.png")).extent, [61, 83]);
    let info = json(&tamis(dir, &["info", "x.tamis", "--json"]));
    assert_eq!(info[0]["extent"], serde_json::json!([61, 83]));
    assert_eq!(info[0]["groups"].as_array().unwrap().len(), 5);
    assert_eq!(info[0]["incomplete"], false);
    let size = std::fs::metadata(dir.join("x.tamis")).unwrap().len();
    assert_eq!(info[0]["bytes"], size);
    // The coarse picture is worse than the whole one, and neither is far off.
    let db = |name: &str| {
        let back = frame(&dir.join(name));
        tamis::lab::metrics::image::psnr_db(&picture(61, 83, 1), &back).unwrap()
    };
    assert!(db("out.ppm") < db("out.png") && db("out.png") > 30.0 && db("out.ppm") > 15.0);
}

#[test]
fn camera_frames_on_standard_input_and_threads() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (format, frame_bytes) in [("70x50:nv12", 70 * 50 * 3 / 2), ("70x50:yuyv422", 70 * 50 * 2)] {
        let bytes: Vec<u8> = (0..3 * frame_bytes).map(|i| (i * 31 % 251) as u8).collect();
        for (threads, name) in [("1", "one.tamis"), ("3", "three.tamis")] {
            let args = ["encode", "-", "-o", name, "--raw-video", format, "--threads", threads];
            good(&tamis_with(dir, &args, &bytes));
        }
        let one = std::fs::read(dir.join("one.tamis")).unwrap();
        assert_eq!(one, std::fs::read(dir.join("three.tamis")).unwrap());
        let info = json(&tamis(dir, &["info", "one.tamis", "--json"]));
        assert_eq!(
            (&info[0]["packets"], &info[0]["extent"]),
            (&3.into(), &serde_json::json!([50, 70]))
        );
    }
}

#[test]
fn bench_measures_what_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("a.png"), encode_png(&picture(40, 56, 1)).unwrap()).unwrap();
    let args = ["bench", "a.png", "--codec", "rgb,mono", "--seconds", "0", "--json"];
    let rows = json(&tamis(dir, &args))[0]["rows"].as_array().unwrap().clone();
    // Two codecs, each with few channels and with all of them, and the neural decoders of one.
    assert_eq!(rows.len(), 2 * 2 * 6 + 2);
    let whats = |row: &serde_json::Value| (row["what"].to_string(), row["coder"].to_string());
    assert_eq!(rows.iter().map(whats).collect::<std::collections::BTreeSet<_>>().len(), 7);
    for row in &rows {
        let speed = if row["bundle"] == "rgb" { &row["mpps"] } else { &row["x_realtime"] };
        assert!(speed.as_f64().unwrap() > 0.0, "{row}");
    }
    assert_eq!(rows[0]["extent"], serde_json::json!([40, 56]));
    assert_eq!(tamis(dir, &["bench", "--seconds", "nan"]).status.code(), Some(2));
}

#[test]
fn a_minute_of_stereo_keeps_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let minute = sound(60 * 44100 + 1, 2, 44100, 1);
    std::fs::write(dir.join("in.wav"), encode_wav(&minute, WavDepth::I16).unwrap()).unwrap();
    good(&tamis(dir, &["encode", "in.wav", "-o", "x.tamis"]));
    good(&tamis(dir, &["decode", "x.tamis", "-o", "out.wav"]));
    let back = frame(&dir.join("out.wav"));
    assert_eq!((back.extent[0], back.channels), (60 * 44100 + 1, 2));
    assert!(tamis::lab::metrics::audio::snr_db(&minute, &back).unwrap() > 20.0);
    // From a pipe to a pipe, the same bytes.
    let wav = std::fs::read(dir.join("in.wav")).unwrap();
    let piped = tamis_with(dir, &["encode", "-", "-o", "-"], &wav);
    good(&piped);
    assert!(piped.stdout == std::fs::read(dir.join("x.tamis")).unwrap());
    let back = tamis_with(dir, &["decode", "-", "-o", "-"], &piped.stdout);
    good(&back);
    assert_eq!(back.stdout.len(), std::fs::metadata(dir.join("out.wav")).unwrap().len() as usize);
}

#[test]
fn tiny_and_odd_inputs_behave() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (name, steps, channels, rate) in
        [("none", 0, 1, 8000), ("one", 1, 1, 8000), ("odd", 777, 3, 11025), ("six", 300, 6, 48000)]
    {
        let wav = encode_wav(&sound(steps, channels, rate, 1), WavDepth::I16).unwrap();
        std::fs::write(dir.join(format!("{name}.wav")), wav).unwrap();
        let file = format!("{name}.tamis");
        let coded = tamis(dir, &["encode", &format!("{name}.wav"), "-o", &file, "--json"]);
        good(&coded);
        assert_eq!(json(&coded)[0]["rate"], rate);
        let out = format!("{name}-out.wav");
        good(&tamis(dir, &["decode", &file, "-o", &out]));
        let back = frame(&dir.join(&out));
        assert_eq!((back.extent[0], back.channels), (steps, channels), "{name}");
        assert_eq!(back.layout, tamis::codec::Layout::Audio { rate });
    }
    for (h, w) in [(1, 1), (1, 500), (500, 1), (8, 8)] {
        std::fs::write(dir.join("p.png"), encode_png(&picture(h, w, 1)).unwrap()).unwrap();
        good(&tamis(dir, &["encode", "p.png", "-o", "p.tamis"]));
        good(&tamis(dir, &["decode", "p.tamis", "-o", "q.png"]));
        assert_eq!(frame(&dir.join("q.png")).extent, [h, w]);
    }
}

#[test]
fn folders_finish_and_name_what_was_bad() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::create_dir_all(dir.join("in/sub")).unwrap();
    for (i, name) in ["a.png", "b.png", "sub/a.png"].iter().enumerate() {
        let png = encode_png(&picture(40, 48, i as u64)).unwrap();
        std::fs::write(dir.join("in").join(name), png).unwrap();
    }
    std::fs::write(dir.join("in/a.jpg"), b"not a picture").unwrap();
    let mut outputs = Vec::new();
    for threads in ["1", "4"] {
        let to = format!("out{threads}/");
        let coded = tamis(dir, &["encode", "in", "-o", &to, "--json", "--threads", threads]);
        assert_eq!(code(&coded), 3, "{}", words(&coded));
        assert!(words(&coded).contains("a.jpg"));
        let lines = json(&coded);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines.iter().filter(|l| l["error"].is_string()).count(), 1);
        let read = |name: &str| std::fs::read(dir.join(&to).join(name)).unwrap();
        outputs.push((read("a.png.tamis"), read("b.tamis"), read("sub/a.tamis")));
        assert!(!dir.join(&to).join("a.jpg.tamis").exists());
    }
    assert!(outputs[0] == outputs[1], "threads changed the output");
    let decoded = tamis(dir, &["decode", "out1", "-o", "back/"]);
    good(&decoded);
    assert_eq!(frame(&dir.join("back/sub/a.png")).extent, [40, 48]);
    // One stream of all pictures, in name order, and back into numbered pictures.
    let stream = tamis(dir, &["encode", "in", "-o", "all.tamis"]);
    assert_eq!(code(&stream), 3);
    good(&tamis(dir, &["decode", "all.tamis", "-o", "frames/", "--ppm"]));
    assert_eq!(std::fs::read_dir(dir.join("frames")).unwrap().count(), 3);
    assert!(dir.join("frames/all-000002.ppm").exists());
}

#[test]
fn many_long_sounds_finish_on_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::create_dir(dir.join("in")).unwrap();
    for i in 0..3 {
        let wav = encode_wav(&sound(16384 * 6, 1, 8000, i), WavDepth::I16).unwrap();
        std::fs::write(dir.join(format!("in/{i}.wav")), wav).unwrap();
    }
    good(&tamis(dir, &["encode", "in", "-o", "out/", "--threads", "1"]));
    good(&tamis(dir, &["decode", "out", "-o", "back/", "--threads", "1"]));
    assert_eq!(frame(&dir.join("back/2.wav")).extent, [16384 * 6]);
}

#[test]
fn y4m_and_bare_bytes_stream_in() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut y4m = b"YUV4MPEG2 W32 H16 F25:1 C420jpeg\n".to_vec();
    for i in 0..5u8 {
        y4m.extend(b"FRAME\n");
        y4m.extend(vec![40 * i; 32 * 16 * 3 / 2]);
    }
    let coded = tamis_with(dir, &["encode", "-", "-o", "v.tamis", "--json"], &y4m);
    good(&coded);
    assert_eq!(json(&coded)[0]["frames"], 5);
    y4m.truncate(y4m.len() - 10);
    let cut = tamis_with(dir, &["encode", "-", "-o", "w.tamis", "--json"], &y4m);
    assert_eq!(json(&cut)[0]["frames"], 4);
    assert!(words(&cut).contains("cut short"), "{}", words(&cut));
    let raw = vec![9; 32 * 16 * 3 * 2];
    let args = ["encode", "-", "-o", "r.tamis", "--json", "--raw-video", "32x16:rgb24"];
    assert_eq!(json(&tamis_with(dir, &args, &raw))[0]["frames"], 2);
    let ppm = encode_ppm(&picture(9, 9, 1)).unwrap();
    good(&tamis_with(dir, &["encode", "-", "-o", "p.tamis"], &ppm));
}

#[test]
fn exit_codes_are_a_contract() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("bad.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
    std::fs::write(dir.join("bad.toml"), "[source]\nkind = \"scen\"\n").unwrap();
    std::fs::write(dir.join("ok.png"), encode_png(&picture(9, 9, 1)).unwrap()).unwrap();
    good(&tamis(dir, &["encode", "ok.png", "-o", "ok.tamis"]));
    let cases: [(i32, &[&str]); 17] = [
        (2, &["encode", "ok.png", "-o", "ok.png"]),
        (2, &["decode", "ok.tamis", "-o", "ok.tamis"]),
        (2, &["decode", "ok.tamis", "-o", "ok.jpg"]),
        (2, &["decode", "ok.tamis", "-o", "x.png", "--groups", "9"]),
        (2, &["encode"]),
        (2, &["encode", "ok.png", "-o", "x", "--quality", "0"]),
        (2, &["encode", "ok.png", "-o", "x.tamis", "--channels", "7"]),
        (2, &["encode", "-", "-o", "x", "--raw-video", "a"]),
        (2, &["decode", "ok.tamis", "-o", "x.png", "--codec", "no-such"]),
        (2, &["infer", "ok.png", "--head", "no-such"]),
        (2, &["eval", "ok.png", "-o", "x.png"]),
        (66, &["encode", "missing.png", "-o", "x"]),
        (65, &["encode", "bad.png", "-o", "x.tamis"]),
        (65, &["decode", "ok.png", "-o", "x.png"]),
        (65, &["info", "ok.png"]),
        (78, &["run", "bad.toml"]),
        (2, &["encode", "ok.png", "-o", "x", "--codec", "no-such"]),
    ];
    for (expected, args) in cases {
        let output = tamis(dir, args);
        assert_eq!(code(&output), expected, "{args:?}: {}", words(&output));
        assert!(!words(&output).is_empty());
    }
    let check = tamis(dir, &["check", "bad.toml"]);
    assert_eq!(code(&check), 78);
    assert!(words(&check).contains("bad.toml:2"), "{}", words(&check));
}

#[cfg(unix)]
#[test]
fn a_failed_encode_removes_no_link_and_no_device() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("bad.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
    std::os::unix::fs::symlink("/dev/null", dir.join("null")).unwrap();
    assert_eq!(code(&tamis(dir, &["encode", "bad.png", "-o", "null"])), 65);
    assert!(dir.join("null").is_symlink() && Path::new("/dev/null").exists());
    assert_eq!(code(&tamis(dir, &["encode", "bad.png", "-o", "x.tamis"])), 65);
    assert!(!dir.join("x.tamis").exists());
}

#[test]
fn damage_is_reported_and_the_rest_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::create_dir(dir.join("in")).unwrap();
    for i in 0..4 {
        let png = encode_png(&picture(64, 64, i)).unwrap();
        std::fs::write(dir.join(format!("in/{i}.png")), png).unwrap();
    }
    good(&tamis(dir, &["encode", "in", "-o", "x.tamis"]));
    let mut bytes = std::fs::read(dir.join("x.tamis")).unwrap();
    let len = bytes.len();
    bytes[len / 2] ^= 0x40;
    bytes.truncate(len - 20);
    std::fs::write(dir.join("x.tamis"), bytes).unwrap();
    let decoded = tamis(dir, &["decode", "x.tamis", "-o", "out/"]);
    assert_eq!(code(&decoded), 3, "{}", words(&decoded));
    assert!(std::fs::read_dir(dir.join("out")).unwrap().count() >= 3);
    let info = json(&tamis(dir, &["info", "x.tamis", "--json"]));
    assert_eq!(info[0]["incomplete"], true);
}

#[test]
fn fit_makes_a_bundle_that_codes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::create_dir(dir.join("in")).unwrap();
    for i in 0..6 {
        let png = encode_png(&picture(128, 160, i)).unwrap();
        std::fs::write(dir.join(format!("in/{i}.png")), png).unwrap();
    }
    good(&tamis(dir, &["fit", "in", "-o", "mine", "--channels", "24"]));
    good(&tamis(dir, &["fit", "in", "-o", "twin", "--channels", "24"]));
    let weights = |name: &str| std::fs::read(dir.join(name).join("weights.safetensors")).unwrap();
    assert!(weights("mine") == weights("twin"), "a fit is reproducible");
    let args = ["eval", "in", "--codec", "./mine,rgb", "--quality", "50", "--json"];
    let lines = json(&tamis(dir, &args));
    let mean = |codec: &str| {
        let line = lines.iter().find(|l| l["mean_of"] == 6 && l["codec"] == codec).unwrap();
        (line["bpp"].as_f64().unwrap(), line["psnr_db"].as_f64().unwrap())
    };
    let (own, generic) = (mean("mine"), mean("rgb"));
    assert!(own.0 < generic.0, "own tables save bits: {own:?} {generic:?}");
    assert!(own.1 > generic.1 - 1.0, "{own:?} {generic:?}");
    good(&tamis(dir, &["encode", "in/0.png", "-o", "x.tamis", "--codec", "./mine"]));
    assert_eq!(code(&tamis(dir, &["decode", "x.tamis", "-o", "x.png"])), 1);
    good(&tamis(dir, &["decode", "x.tamis", "-o", "x.png", "--codec", "./mine"]));
}

#[test]
fn demo_shows_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let demo = tamis(dir, &["demo", "--frames", "10", "--json"]);
    good(&demo);
    let report = &json(&demo)[0];
    assert_eq!(report["frames"], 10);
    assert!(report["psnr_db"].as_f64().unwrap() > 28.0, "{report}");
    assert_eq!(frame(&dir.join("tamis-demo.png")).extent, [360, 2 * 640 + 4]);
    good(&tamis(dir, &["info", "tamis-demo.tamis"]));
    good(&tamis(dir, &["decode", "tamis-demo-sound.tamis", "-o", "s.wav"]));
    assert_eq!(frame(&dir.join("s.wav")).extent, [5 * 44100]);
}

#[test]
fn verbs_are_frozen() {
    let help = tamis(Path::new("."), &["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    for verb in [
        "demo", "encode", "decode", "info", "infer", "tune", "run", "check", "fit", "order",
        "eval", "recover", "plan", "doctor",
    ] {
        assert!(text.contains(&format!("\n  {verb} ")), "{verb}");
    }
}
