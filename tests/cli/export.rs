//! What other programs read: arrays, MCAP, and packets sent again.

use std::time::Instant;

use tamis::codec::{Bundle, Latent};

use super::*;

/// Five moving pictures of 40x24 as y4m at 10 a second, and half a second of stereo.
fn recordings(dir: &Path) {
    let mut y4m = b"YUV4MPEG2 W40 H24 F10:1 C444\n".to_vec();
    for n in 0..5u8 {
        y4m.extend_from_slice(b"FRAME\n");
        y4m.extend((0..3 * 24 * 40u32).map(|i| (i % 40 * 6) as u8 ^ (n * 3)));
    }
    std::fs::write(dir.join("v.y4m"), y4m).unwrap();
    let wav = encode_wav(&sound(22050, 2, 44100, 1), WavDepth::I16).unwrap();
    std::fs::write(dir.join("s.wav"), wav).unwrap();
    for (from, to) in [("v.y4m", "v.tamis"), ("s.wav", "s.tamis")] {
        good(&tamis(dir, &["encode", from, "-o", to]));
    }
}

/// Type, shape and values of an array.
fn array(path: &Path) -> (String, Vec<usize>, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
    let (head, values) = bytes.split_at(128);
    let head = std::str::from_utf8(&head[10..]).unwrap();
    let between = |a: &str, b: &str| head.split(a).nth(1).unwrap().split(b).next().unwrap();
    assert_eq!(between("'fortran_order': ", ","), "False");
    let shape = between("'shape': (", ")").split(',').map(|n| n.trim().parse().unwrap());
    (between("'descr': '", "'").to_owned(), shape.collect(), values.to_vec())
}

/// All latents of a recording, by the library.
fn latents(path: &Path, bundle: &std::sync::Arc<Bundle>) -> Vec<Latent> {
    let (events, _) = common::events(&std::fs::read(path).unwrap(), 999).unwrap();
    let mut stage = tamis::pipeline::stages::Unpack::new(bundle.clone(), Default::default());
    let mut header = None;
    let mut out = Vec::new();
    for event in events {
        match event {
            tamis::bitstream::Event::Header(h) => header = Some(h),
            tamis::bitstream::Event::Packet(packet) => {
                let (stamp, header) = (packet.stamp.clone(), header.clone());
                let packet = Some(packet);
                let mut items =
                    [tamis::pipeline::Item { stamp, header, packet, ..Default::default() }];
                tamis::pipeline::Stage::run(&mut stage, &mut items).unwrap();
                out.extend(items.into_iter().filter_map(|i| i.latent));
            }
            _ => {}
        }
    }
    out
}

#[test]
fn latents_become_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    recordings(dir);
    let rgb = std::sync::Arc::new(tamis::runtime::find_bundle("rgb").unwrap());
    let stereo = std::sync::Arc::new(tamis::runtime::find_bundle("stereo").unwrap());
    good(&tamis(dir, &["export", "v.tamis", "--npy", "--integers", "-o", "v.npy"]));
    let (kind, shape, values) = array(&dir.join("v.npy"));
    assert_eq!((kind.as_str(), &shape[..]), ("<i2", &[5, 48, 3, 5][..]));
    let all: Vec<i16> =
        latents(&dir.join("v.tamis"), &rgb).into_iter().flat_map(|l| l.values).collect();
    assert!(all.iter().any(|&v| v != 0));
    assert!(values == all.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    // Sounds: time first, channels last, reals.
    good(&tamis(dir, &["export", "s.tamis", "v.tamis", "--npy", "-o", "out/"]));
    let (kind, shape, values) = array(&dir.join("out/s.npy"));
    let all = latents(&dir.join("s.tamis"), &stereo);
    let steps: usize = all.iter().map(|l| l.grid[1]).sum();
    assert_eq!((kind.as_str(), &shape[..]), ("<f4", &[steps, 1, 256][..]));
    let mut at = 0;
    for l in &all {
        for step in 0..l.grid[1] {
            for c in 0..l.channels {
                let real = f32::from_le_bytes(*values[at..].first_chunk().unwrap());
                let expected = f32::from(l.channel(c)[step]) * stereo.steps[c] * l.quality.factor();
                assert!((real - expected).abs() <= 1e-6 * expected.abs(), "{real} {expected}");
                at += 4;
            }
        }
    }
    assert_eq!(at, values.len());
    // Fewer channels; and pictures of two sizes are two arrays.
    std::fs::create_dir(dir.join("p")).unwrap();
    for (name, h, w) in [("a", 16, 24), ("b", 16, 24), ("c", 32, 8)] {
        let png = encode_png(&picture(h, w, 1)).unwrap();
        std::fs::write(dir.join(format!("p/{name}.png")), png).unwrap();
    }
    good(&tamis(dir, &["encode", "p", "-o", "p.tamis"]));
    good(&tamis(dir, &["export", "p.tamis", "--npy", "--groups", "2", "-o", "out/"]));
    assert_eq!(array(&dir.join("out/p.npy")).1, [2, 6, 2, 3]);
    assert_eq!(array(&dir.join("out/p-2.npy")).1, [1, 6, 4, 1]);
    let one = tamis(dir, &["export", "p.tamis", "--npy", "-o", "one.npy"]);
    assert_eq!(code(&one), 3);
    assert!(words(&one).contains("give a folder"), "{}", words(&one));
    assert_eq!(array(&dir.join("one.npy")).1, [2, 48, 2, 3], "what fits is whole");
}

#[test]
fn packets_and_frames_become_mcap() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    recordings(dir);
    good(&tamis(dir, &["export", "v.tamis", "--mcap", "-o", "v.mcap"]));
    good(&tamis(dir, &["export", "v.tamis", "--png", "-o", "png/"]));
    let mcap = std::fs::read(dir.join("v.mcap")).unwrap();
    let holds = |part: &[u8]| mcap.windows(part.len()).any(|w| w == part);
    assert!(mcap.starts_with(b"\x89MCAP0\r\n") && mcap.ends_with(b"\x89MCAP0\r\n"));
    assert!(holds(b"sensor_msgs/msg/CompressedImage") && holds(b"/tamis/0/image"));
    for n in 0..5 {
        assert!(holds(&std::fs::read(dir.join(format!("png/v-{n:06}.png"))).unwrap()));
    }
    // Packets: what is read from MCAP is what is read from the recording.
    good(&tamis(dir, &["export", "v.tamis", "s.tamis", "--mcap", "--packets", "-o", "out/"]));
    for (name, out) in [("v", "w.png/"), ("s", "w.wav")] {
        let (file, mcap) = (format!("{name}.tamis"), format!("out/{name}.mcap"));
        good(&tamis(dir, &["decode", &mcap, "-o", out]));
        let facts = |path: &str| {
            let mut info = json(&tamis(dir, &["info", path, "--json"])).remove(0);
            info["path"] = Value::Null;
            info
        };
        assert_eq!(facts(&mcap), facts(&file));
        // Through standard input too, and recordings come out of it again.
        let bytes = std::fs::read(dir.join(&mcap)).unwrap();
        good(&tamis_with(dir, &["decode", "-", "-o", "again/"], &bytes));
        good(&tamis(dir, &["replay", &mcap, "--speed", "1000", "-o", "r.tamis"]));
        let again = std::fs::read(dir.join("r.tamis")).unwrap();
        assert!(again == std::fs::read(dir.join(&file)).unwrap());
        // Cut anywhere, what is left is read and the rest is reported.
        for cut in (10..bytes.len()).step_by(bytes.len() / 12) {
            let cut = tamis_with(dir, &["info", "-", "--json"], &bytes[..cut]);
            assert_ne!(code(&cut), 101, "{}", words(&cut));
            assert!(code(&cut) != 0 || words(&cut).contains("incomplete"), "{}", words(&cut));
        }
    }
    let again = std::fs::read(dir.join("w.png/v-000004.png")).unwrap();
    assert!(again == std::fs::read(dir.join("png/v-000004.png")).unwrap());
    let strange = tamis(dir, &["decode", "v.mcap", "-o", "x/"]);
    assert_eq!(code(&strange), 65);
    assert!(words(&strange).contains("holds no packets"), "{}", words(&strange));
}

#[test]
fn exports_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    recordings(dir);
    for (args, said) in [
        (&["v.tamis", "--wav", "-o", "x.wav"][..], "use --png"),
        (&["s.tamis", "--png", "-o", "x.png"], "use --wav"),
        (&["v.tamis", "-o", "x.png"], "required"),
        (&["v.tamis", "--png", "--npy", "-o", "x/"], "cannot be used"),
        (&["v.tamis", "--npy", "-o", "-"], "name a file"),
        (&["v.tamis", "--png", "--integers", "-o", "x/"], "cannot be used"),
        (&["v.tamis", "--mcap", "--packets", "--channels", "3", "-o", "x/"], "cannot be used"),
    ] {
        let out = tamis(dir, &[&["export"], args].concat());
        assert_eq!(code(&out), 2, "{args:?}: {}", words(&out));
        assert!(words(&out).contains(said), "{args:?}: {}", words(&out));
    }
}

#[test]
fn a_replay_keeps_the_pace() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    recordings(dir);
    // Five pictures, the last 0.4 s after the first.
    let start = Instant::now();
    let out = tamis(dir, &["replay", "v.tamis"]);
    good(&out);
    assert!(out.stdout == std::fs::read(dir.join("v.tamis")).unwrap());
    let plain = start.elapsed().as_secs_f64();
    assert!(plain >= 0.4, "{plain}");
    let start = Instant::now();
    let args = ["replay", "v.tamis", "-o", "r.tamis", "--speed", "0.5", "--json"];
    let report = json(&tamis(dir, &args)).remove(0);
    assert_eq!((&report["packets"], &report["lost"]), (&5.into(), &0.into()));
    assert!(start.elapsed().as_secs_f64() >= 0.8);
    let own = tamis(dir, &["replay", "v.tamis", "-o", "v.tamis"]);
    assert_eq!(code(&own), 2, "{}", words(&own));
    assert_eq!(code(&tamis_with(dir, &["replay", "-"], &out.stdout)), 65);
}

#[test]
fn info_tells_rates_over_time() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    recordings(dir);
    let facts = json(&tamis(dir, &["info", "v.tamis", "--json", "--over-time=0.2"])).remove(0);
    let windows = facts["over_time"].as_array().unwrap();
    let packets: Vec<u64> = windows.iter().map(|w| w["packets"].as_u64().unwrap()).collect();
    assert_eq!(packets, [2, 2, 1]);
    let bytes: u64 = windows.iter().map(|w| w["bytes"].as_u64().unwrap()).sum();
    // Headers and the index come on top.
    assert!(bytes < facts["bytes"].as_u64().unwrap() && bytes > 100);
    assert_eq!((&facts["coder"], &facts["continued"]), (&"dense".into(), &4.into()));
    let groups: f64 =
        facts["groups"].as_array().unwrap().iter().map(|g| g["bpp"].as_f64().unwrap()).sum();
    assert!(groups > 0.0 && groups < facts["bpp"].as_f64().unwrap());
    good(&tamis(dir, &["encode", "v.y4m", "-o", "f.tamis", "--coder", "fast"]));
    let facts = json(&tamis(dir, &["info", "f.tamis", "--json"])).remove(0);
    assert_eq!((&facts["coder"], &facts["continued"]), (&"fast".into(), &0.into()));
    assert_eq!(code(&tamis(dir, &["info", "v.tamis", "--over-time=0"])), 2);
    let words = tamis(dir, &["info", "v.tamis", "--over-time"]);
    assert!(String::from_utf8(words.stdout).unwrap().contains("kbit/s ####"));
}
