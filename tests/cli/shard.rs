//! `encode --shard`: several processes, one folder, each file once.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tamis::pipeline::media::encode_png;

use super::common::picture;
use super::tamis;

/// Recordings of a folder and below it, by name, with the time each was written.
fn recordings(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let files = std::fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path());
    let recordings = files.filter(|p| p.extension().is_some_and(|e| e == "tamis"));
    recordings
        .map(|p| {
            let name = p.file_name().unwrap().to_str().unwrap().to_owned();
            (name, (std::fs::read(&p).unwrap(), p.metadata().unwrap().modified().unwrap()))
        })
        .collect()
}

#[test]
fn shards_do_each_file_once_and_go_on_where_one_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("in")).unwrap();
    for i in 0..24 {
        let png = encode_png(&picture(64, 80, i)).unwrap();
        std::fs::write(at.join(format!("in/{i}.png")), png).unwrap();
    }
    let args = ["encode", "in", "-o", "whole/", "--threads", "1", "--shard", "0/1"];
    assert_eq!(tamis(at, &args).status.code(), Some(0));
    let whole = recordings(&at.join("whole"));
    assert_eq!(whole.len(), 24);

    let shard = |i: usize| format!("{i}/2");
    let args = |shard: &str| {
        let all = ["encode", "in", "-o", "out/", "--threads", "1", "--shard", shard];
        all.map(String::from).to_vec()
    };
    let start = |i: usize| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        command.args(args(&shard(i))).current_dir(at).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    // One is killed as soon as it has done something, the other goes on.
    let (mut first, mut second) = (start(0), start(1));
    let begun = Instant::now();
    while recordings(&at.join("out")).len() < 2 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = first.kill();
    first.wait().unwrap();
    assert!(second.wait().unwrap().success());
    let run = |i: usize| {
        let args = args(&shard(i));
        let out = tamis(at, &args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(out.status.code(), Some(0));
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    run(0);
    let out = recordings(&at.join("out"));
    let bytes = |all: &BTreeMap<String, (Vec<u8>, SystemTime)>| {
        all.iter().map(|(n, (b, _))| (n.clone(), b.clone())).collect::<Vec<_>>()
    };
    assert!(bytes(&out) == bytes(&whole), "outputs differ from those of one process");

    // Everything is done, whatever asks.
    for i in 0..2 {
        let said = run(i);
        let numbers: Vec<&str> =
            said.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).collect();
        // shard I/2: MINE of 24 files, MINE of them done already
        assert_eq!((numbers[3], numbers[2]), ("24", numbers[4]), "{said}");
    }
    assert!(recordings(&at.join("out")) == out, "a file was done twice");

    // What is gone, or was changed, is done again, and nothing else.
    std::fs::remove_file(at.join("out/3.png.tamis")).unwrap();
    std::fs::write(at.join("in/5.png"), encode_png(&picture(64, 80, 99)).unwrap()).unwrap();
    run(0);
    run(1);
    let again = recordings(&at.join("out"));
    let changed: Vec<&String> = again.keys().filter(|n| again[*n] != out[*n]).collect();
    assert_eq!(changed, ["3.png.tamis", "5.png.tamis"]);
    assert_eq!(again["3.png.tamis"].0, out["3.png.tamis"].0);
}

#[test]
fn shards_need_a_folder_and_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("a.png"), encode_png(&picture(16, 16, 1)).unwrap()).unwrap();
    let one = tamis(at, &["encode", "a.png", "-o", "a.tamis", "--shard", "0/2"]);
    assert_eq!(one.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&one.stderr).contains("--output end in /"));
    for shard in ["2/2", "x", "-1/2"] {
        let out = tamis(at, &["encode", "a.png", "-o", "out/", &format!("--shard={shard}")]);
        assert_eq!(out.status.code(), Some(2), "{shard}");
    }
}
