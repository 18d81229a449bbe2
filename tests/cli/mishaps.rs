//! What a user meets when something goes wrong.

use std::process::Child;
use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_failed_encode_spares_the_older_output() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("ok.png"), encode_png(&picture(9, 9, 1)).unwrap()).unwrap();
    std::fs::write(dir.join("bad.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
    std::fs::write(dir.join("three.wav"), wav(100, 3)).unwrap();
    good(&tamis(dir, &["encode", "ok.png", "-o", "x.tamis"]));
    let before = std::fs::read(dir.join("x.tamis")).unwrap();
    for args in [&["bad.png"][..], &["three.wav", "--codec", "stereo"]] {
        let failed = tamis(dir, &[&["encode", "-o", "x.tamis"], args].concat());
        assert_eq!(code(&failed), 65, "{}", words(&failed));
        assert_eq!(std::fs::read(dir.join("x.tamis")).unwrap(), before);
        assert!(!dir.join("x.tamis.part").exists());
    }
    good(&tamis(dir, &["encode", "ok.png", "-o", "x.tamis", "--quality", "9"]));
    assert_ne!(std::fs::read(dir.join("x.tamis")).unwrap(), before);
    assert!(!dir.join("x.tamis.part").exists());
}

/// An `encode` of standard input that has written something and waits for more.
fn waiting(dir: &Path) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tamis"))
        .args(["encode", "-", "-o", "x.tamis"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut noise = common::Noise(1);
    let mut y4m = b"YUV4MPEG2 W64 H64 F25:1 Cmono\n".to_vec();
    for _ in 0..50 {
        y4m.extend(b"FRAME\n");
        y4m.extend((0..64 * 64).map(|_| noise.below(256) as u8));
    }
    child.stdin.as_mut().unwrap().write_all(&y4m).unwrap();
    let start = Instant::now();
    while std::fs::metadata(dir.join("x.tamis.part")).map_or(0, |m| m.len()) == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

#[test]
fn a_killed_encode_leaves_what_it_had_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut child = waiting(dir);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!dir.join("x.tamis").exists());
    let info = json(&tamis(dir, &["info", "x.tamis.part", "--json"]));
    assert_eq!(info[0]["incomplete"], true);
    assert!(info[0]["packets"].as_u64().unwrap() > 0);
}

#[cfg(unix)]
#[test]
fn an_interrupted_encode_keeps_what_it_has_and_says_how_to_quit() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut child = waiting(dir);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(500));
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", words(&output));
    assert!(words(&output).contains("again to quit at once"), "{}", words(&output));
    assert!(!dir.join("x.tamis.part").exists());
    let info = json(&tamis(dir, &["info", "x.tamis", "--json"]));
    assert_eq!((&info[0]["incomplete"], &info[0]["lost"]), (&false.into(), &0.into()));
}

fn wav(steps: usize, channels: usize) -> Vec<u8> {
    encode_wav(&sound(steps, channels, 8000, 1), WavDepth::I16).unwrap()
}

#[test]
fn one_reason_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("three.wav"), wav(16384 * 4, 3)).unwrap();
    std::fs::write(dir.join("bad.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
    for args in [&["three.wav", "--codec", "stereo"][..], &["bad.png"]] {
        let failed = tamis(dir, &[&["encode", "-o", "x.tamis"], args].concat());
        assert_eq!(words(&failed).matches(args[0]).count(), 1, "{}", words(&failed));
    }
}

#[test]
fn system_errors_are_said_once() {
    let e = tamis::Error::io("x", std::io::ErrorKind::NotFound.into());
    assert_eq!(e.to_string(), "x: entity not found");
    assert!(std::error::Error::source(&e).is_none(), "a chain would say it again");
}

#[test]
fn a_run_that_delivers_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("bad.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
    let config = "[source]\nkind = \"files\"\npaths = [\"bad.png\"]\n[codec]\nbundle = \"rgb\"\n\
                  [[sink]]\nkind = \"frames\"\nfolder = \"out\"\n";
    std::fs::write(dir.join("x.toml"), config).unwrap();
    assert_eq!(code(&tamis(dir, &["run", "x.toml"])), 65);
    std::fs::write(dir.join("y.toml"), b"# \xFF\n").unwrap();
    for verb in ["run", "check"] {
        let output = tamis(dir, &[verb, "y.toml"]);
        assert_eq!(code(&output), 78, "{}", words(&output));
        assert!(words(&output).contains("UTF-8"), "{}", words(&output));
    }
}

#[test]
fn info_takes_several_files() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("ok.png"), encode_png(&picture(9, 9, 1)).unwrap()).unwrap();
    good(&tamis(dir, &["encode", "ok.png", "-o", "a.tamis"]));
    good(&tamis(dir, &["encode", "ok.png", "-o", "b.tamis"]));
    let both = tamis(dir, &["info", "a.tamis", "b.tamis", "--json"]);
    good(&both);
    assert_eq!(json(&both).iter().map(|i| &i["path"]).collect::<Vec<_>>(), ["a.tamis", "b.tamis"]);
    let one_bad = tamis(dir, &["info", "a.tamis", "ok.png", "--json"]);
    assert_eq!((code(&one_bad), json(&one_bad).len()), (3, 2));
    assert!(json(&one_bad)[1]["error"].is_string());
}

#[test]
fn a_resample_that_does_nothing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("ok.png"), encode_png(&picture(9, 9, 1)).unwrap()).unwrap();
    std::fs::write(dir.join("ok.wav"), wav(900, 1)).unwrap();
    for output in ["x.tamis", "out/"] {
        let coded = tamis(dir, &["encode", "ok.png", "-o", output, "--resample", "16000"]);
        good(&coded);
        assert!(words(&coded).contains("--resample"), "{}", words(&coded));
    }
    let coded = tamis(dir, &["encode", "ok.wav", "-o", "x.tamis", "--resample", "16000"]);
    good(&coded);
    assert!(!words(&coded).contains("--resample"), "{}", words(&coded));
}

#[test]
fn several_sounds_need_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for name in ["a.wav", "b.wav"] {
        std::fs::write(dir.join(name), wav(20000, 1)).unwrap();
    }
    good(&tamis(dir, &["encode", "a.wav", "b.wav", "-o", "two.tamis"]));
    let piped = tamis(dir, &["decode", "two.tamis", "-o", "-"]);
    assert_eq!(code(&piped), 3, "{}", words(&piped));
    assert_eq!(piped.stdout.len(), 44 + 2 * 20000);
    assert_eq!(words(&piped).matches("`-o out/`").count(), 1, "{}", words(&piped));
    for args in [&["two.tamis", "-o", "x.wav"][..], &["two.tamis", "two.tamis", "-o", "out"]] {
        let refused = tamis(dir, &[&["decode"], args].concat());
        assert_eq!(code(&refused), 2, "{}", words(&refused));
        assert!(words(&refused).contains("`-o out/`"), "{}", words(&refused));
    }
    good(&tamis(dir, &["decode", "two.tamis", "-o", "out/"]));
    assert!(dir.join("out/two.wav").exists() && dir.join("out/two-2.wav").exists());
}

#[test]
fn recover_makes_a_whole_recording_of_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let frames: Vec<u8> = (0..6 * 40 * 30 * 3).map(|i| (i * 31 % 251) as u8).collect();
    let raw = ["encode", "-", "-o", "x.tamis", "--raw-video", "40x30:rgb24"];
    good(&tamis_with(dir, &raw, &frames));
    let whole = std::fs::read(dir.join("x.tamis")).unwrap();
    let recover = |input: &str, expected: i32| {
        let done = tamis(dir, &["recover", input, "-o", "y.tamis", "--json"]);
        assert_eq!(code(&done), expected, "{}", words(&done));
        assert!(!dir.join("y.tamis.recovering").exists());
        let info = json(&tamis(dir, &["info", "y.tamis", "--json"]));
        assert_eq!((&info[0]["incomplete"], &info[0]["lost"]), (&false.into(), &0.into()));
        (json(&done).remove(0), info[0].clone())
    };
    // What is whole is copied byte for byte, and what lacks the index is completed.
    recover("x.tamis", 0);
    assert!(std::fs::read(dir.join("y.tamis")).unwrap() == whole);
    std::fs::write(dir.join("y.tamis.part"), &whole[..whole.len() - 9]).unwrap();
    let (done, _) = recover("y.tamis.part", 0);
    assert_eq!((&done["packets"], &done["incomplete"]), (&6.into(), &true.into()));
    assert!(std::fs::read(dir.join("y.tamis")).unwrap() == whole);
    // A damaged packet keeps the groups before the damage.
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 0x40;
    std::fs::write(dir.join("bad.tamis"), &bytes).unwrap();
    let (done, info) = recover("bad.tamis", 3);
    assert_eq!(done["damage"].as_array().unwrap().len(), 1);
    assert_eq!(info["packets"], done["packets"]);
    assert!(done["packets"] == 5 || done["cut"] == 1, "{done}");
    // What is no recording leaves nothing, and nothing is written over what is read.
    std::fs::write(dir.join("no.tamis"), &whole[60..300]).unwrap();
    for (args, expected) in [
        (["recover", "no.tamis", "-o", "z.tamis"], 65),
        (["recover", "x.tamis", "-o", "x.tamis"], 2),
        (["recover", "none.tamis", "-o", "z.tamis"], 66),
        (["recover", ".", "-o", "z.tamis"], 65),
    ] {
        let failed = tamis(dir, &args);
        assert_eq!(code(&failed), expected, "{args:?}: {}", words(&failed));
    }
    assert!(!dir.join("z.tamis").exists());
    assert!(std::fs::read(dir.join("x.tamis")).unwrap() == whole);
}

#[test]
fn info_counts_packets_missing_between_others() {
    use tamis::bitstream::{Event, PacketWriter};
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let raw = ["encode", "-", "-o", "-", "--raw-video", "8x8:gray8"];
    let piped = tamis_with(dir, &raw, &[7; 64 * 4]);
    good(&piped);
    let (events, _) = common::events(&piped.stdout, 999).unwrap();
    let Event::Header(header) = &events[0] else { panic!("{:?}", events[0]) };
    let Event::Packet(packet) = &events[2] else { panic!("{:?}", events[2]) };
    for (indexes, missing) in [
        (&[0, 1, 2, 3][..], 0),
        (&[0, 1, 4, 5, 9], 5),
        (&[5, 4, 4, 1, 0, 0], 2),
        (&[0, 2, 4], 0),
        (&[u64::MAX, 0, 1], u64::MAX - 2),
    ] {
        let mut writer = PacketWriter::new();
        let mut bytes = writer.header(header);
        for &index in indexes {
            let mut packet = packet.clone();
            (packet.stamp.index, packet.header.continues) = (index, None);
            bytes.extend(writer.packet(&packet));
        }
        std::fs::write(dir.join("x.tamis"), bytes).unwrap();
        let info = json(&tamis(dir, &["info", "x.tamis", "--json"]));
        assert_eq!((&info[0]["missing"], &info[0]["incomplete"]), (&missing.into(), &true.into()));
    }
}
