//! What must not be lost: inputs, bundles that recordings need, and what is missing in them.

use tamis::bitstream::{Event, PacketWriter};

use super::*;

#[test]
fn inputs_are_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let png = encode_png(&picture(9, 9, 1)).unwrap();
    std::fs::write(dir.join("a.png"), &png).unwrap();
    std::fs::hard_link(dir.join("a.png"), dir.join("b.tamis")).unwrap();
    std::fs::write(dir.join("y.tamis.part"), &png).unwrap();
    for (input, output) in [("a.png", "a.png"), ("a.png", "b.tamis"), ("y.tamis.part", "y.tamis")] {
        let out = tamis(dir, &["encode", input, "-o", output]);
        assert_eq!(code(&out), 2, "{}", words(&out));
        assert!(words(&out).contains("overwrite the input"), "{}", words(&out));
        assert!(std::fs::read(dir.join(input)).unwrap() == png);
    }
    // A folder that pictures come from may not be where pictures go to.
    good(&tamis(dir, &["encode", "a.png", "-o", "in/a.tamis"]));
    good(&tamis(dir, &["export", "in/a.tamis", "--mcap", "--packets", "-o", "in/a.mcap"]));
    let out = tamis(dir, &["export", "in/a.mcap", "--mcap", "--packets", "-o", "in/"]);
    assert_eq!(code(&out), 2, "{}", words(&out));
    good(&tamis(dir, &["decode", "in/a.tamis", "-o", "in/"]));
}

#[test]
fn bundles_are_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    good(&tamis(dir, &["order", "rgb", "-o", "mine"]));
    let before = std::fs::read(dir.join("mine/weights.safetensors")).unwrap();
    good(&tamis(dir, &["order", "rgb", "-o", "mine"]));
    let out = tamis(dir, &["order", "mono", "-o", "mine"]);
    assert_eq!(code(&out), 2, "{}", words(&out));
    assert!(words(&out).contains("cannot be read"), "{}", words(&out));
    assert!(std::fs::read(dir.join("mine/weights.safetensors")).unwrap() == before);
}

#[test]
fn outputs_have_their_names_once_they_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    // Two inputs whose outputs would have one name, and a picture named like another's number.
    for name in ["a.png", "a-2.png"] {
        std::fs::write(dir.join(name), encode_png(&picture(9, 9, 1)).unwrap()).unwrap();
    }
    good(&tamis(dir, &["encode", "a.png", "-o", "a.tamis"]));
    std::fs::create_dir(dir.join("b")).unwrap();
    good(&tamis(dir, &["encode", "a-2.png", "-o", "b/a.tamis"]));
    std::fs::write(dir.join("a-2.tamis"), std::fs::read(dir.join("a.tamis")).unwrap()).unwrap();
    good(&tamis(dir, &["export", "a.tamis", "b", "a-2.tamis", "--npy", "-o", "out/"]));
    let mut names: Vec<String> = std::fs::read_dir(dir.join("out"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.iter().all(|n| n.ends_with(".npy")), "{names:?}");
    // A device has no other name to be written under, and its errors count all the same.
    if Path::new("/dev/full").exists() {
        let args = ["eval", "a.png", "--quality", "75", "-o", "/dev/full"];
        assert_eq!(code(&tamis(dir, &args)), 1);
    }
    // A replay of nothing leaves nothing.
    std::fs::write(dir.join("no.tamis"), &std::fs::read(dir.join("a.tamis")).unwrap()[..8])
        .unwrap();
    assert_ne!(code(&tamis(dir, &["replay", "no.tamis", "-o", "r.tamis"])), 0);
    assert!(!dir.join("r.tamis").exists() && !dir.join("r.tamis.part").exists());
}

#[test]
fn missing_sound_is_said_where_nothing_decodes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let wav = encode_wav(&sound(60_000, 1, 44100, 1), WavDepth::I16).unwrap();
    let piped = tamis_with(dir, &["encode", "-", "-o", "-"], &wav);
    good(&piped);
    let (events, _) = common::events(&piped.stdout, 999).unwrap();
    let mut writer = PacketWriter::new();
    let mut bytes = Vec::new();
    let mut packets = 0;
    for event in &events {
        match event {
            Event::Header(header) => bytes.extend(writer.header(header)),
            Event::Packet(packet) => {
                packets += 1;
                if packets != 2 {
                    bytes.extend(writer.packet(packet));
                }
            }
            _ => {}
        }
    }
    assert!(packets > 2, "{packets}");
    bytes.extend(writer.finish());
    std::fs::write(dir.join("gap.tamis"), bytes).unwrap();
    let out = tamis(dir, &["export", "gap.tamis", "--npy", "-o", "out/"]);
    assert_eq!(code(&out), 3, "{}", words(&out));
    assert!(words(&out).contains("missing"), "{}", words(&out));
    // What does not follow is an array of its own.
    assert!(dir.join("out/gap.npy").exists() && dir.join("out/gap-2.npy").exists());
}

#[test]
fn channels_and_threads_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("a.png"), encode_png(&picture(9, 9, 1)).unwrap()).unwrap();
    good(&tamis(dir, &["encode", "a.png", "-o", "a.tamis"]));
    let cases: [&[&str]; 5] = [
        &["decode", "a.tamis", "-o", "x.png", "--channels", "49"],
        &["decode", "a.tamis", "-o", "x.png", "--channels", "0"],
        &["decode", "a.tamis", "-o", "x.png", "--threads", "0"],
        &["export", "a.tamis", "--png", "-o", "x.png", "--threads", "2000"],
        &["encode", "a.png", "-o", "x.tamis", "--fps", "0"],
    ];
    for args in cases {
        let out = tamis(dir, args);
        assert_eq!(code(&out), 2, "{args:?}: {}", words(&out));
        assert!(!dir.join("x.png").exists());
    }
}

#[test]
fn pictures_have_times_if_they_are_given_a_rate() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let frames: Vec<u8> = (0..6 * 64).map(|i| (i * 31 % 251) as u8).collect();
    let args = ["encode", "-", "-o", "-", "--raw-video", "8x8:gray8", "--fps", "4"];
    let piped = tamis_with(dir, &args, &frames);
    good(&piped);
    let (events, _) = common::events(&piped.stdout, 999).unwrap();
    let times: Vec<u128> = events
        .iter()
        .filter_map(|e| if let Event::Packet(p) = e { Some(p) } else { None })
        .map(|p| p.stamp.captured.as_millis())
        .collect();
    assert_eq!(times, [0, 250, 500, 750, 1000, 1250]);
}

/// Recording of six pictures, none of which continues another.
fn six(dir: &Path) -> Vec<u8> {
    let frames: Vec<u8> = (0..6)
        .flat_map(|n| match picture(80, 96, n).samples {
            tamis::codec::Samples::U8(v) => v,
            _ => panic!("8 bits"),
        })
        .collect();
    let args = ["encode", "-", "-o", "six.tamis", "--raw-video", "96x80:rgb24", "--keys", "1"];
    good(&tamis_with(dir, &args, &frames));
    std::fs::read(dir.join("six.tamis")).unwrap()
}

fn packets(bytes: &[u8]) -> Vec<tamis::bitstream::Packet> {
    let (events, _) = common::events(bytes, 999).unwrap();
    events
        .into_iter()
        .filter_map(|e| if let Event::Packet(p) = e { Some(p) } else { None })
        .collect()
}

#[test]
fn a_picture_that_breaks_off_is_coarse() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("a.png"), encode_png(&picture(64, 64, 1)).unwrap()).unwrap();
    good(&tamis(dir, &["encode", "a.png", "-o", "a.tamis"]));
    let whole = std::fs::read(dir.join("a.tamis")).unwrap();
    let lengths = packets(&whole)[0].header.lengths.clone();
    // Three groups and a piece of the fourth.
    let index = whole.len() - whole.windows(4).rposition(|w| w == b"\xD5tmF").unwrap();
    let len = whole.len() - index - lengths[4] - lengths[3] / 2;
    std::fs::write(dir.join("cut.tamis"), &whole[..len]).unwrap();
    let out = tamis(dir, &["decode", "cut.tamis", "-o", "cut.png"]);
    assert_eq!(code(&out), 3, "{}", words(&out));
    assert!(words(&out).contains("group 4 of 5 is cut off by the end"), "{}", words(&out));
    good(&tamis(dir, &["decode", "a.tamis", "--groups", "3", "-o", "three.png"]));
    assert!(frame(&dir.join("cut.png")) == frame(&dir.join("three.png")));
    // So is what is recovered, and info says that something is missing.
    assert_eq!(code(&tamis(dir, &["recover", "cut.tamis", "-o", "r.tamis"])), 3);
    good(&tamis(dir, &["decode", "r.tamis", "-o", "r.png"]));
    assert!(frame(&dir.join("r.png")) == frame(&dir.join("three.png")));
    assert_eq!(code(&tamis(dir, &["info", "cut.tamis"])), 3);
}

#[test]
fn missing_bytes_cost_no_neighbour() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let bytes = six(dir);
    let all = packets(&bytes);
    // A hundred bytes missing in the third picture, behind its second group.
    let place = bytes.windows(200).position(|w| w == &all[2].payload[..200]).unwrap();
    let at = place + all[2].header.lengths[..2].iter().sum::<usize>() + 5;
    let bad = [&bytes[..at], &bytes[at + 100..]].concat();
    let left = packets(&bad);
    assert_eq!(left.len(), 6);
    for (k, (found, packet)) in left.iter().zip(&all).enumerate() {
        let mut expected = packet.clone();
        expected.cut(if k == 2 { 2 } else { 5 });
        assert_eq!(*found, expected);
    }
    std::fs::write(dir.join("bad.tamis"), &bad).unwrap();
    for args in [&["info", "bad.tamis"][..], &["decode", "bad.tamis", "-o", "out/"]] {
        let (out, verb) = (tamis(dir, args), args[0]);
        assert_eq!(code(&out), 3, "{verb}: {}", words(&out));
        let said = words(&out) + &String::from_utf8_lossy(&out.stdout);
        assert!(said.contains("packet 2 of stream 0: group 3 of 5 is damaged"), "{verb}: {said}");
    }
}

#[test]
fn the_first_groups_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let bytes = six(dir);
    let args = ["replay", "six.tamis", "--groups", "2", "--speed", "max", "-o", "two.tamis"];
    good(&tamis(dir, &args));
    let piped = tamis_with(dir, &["replay", "-", "--groups", "2", "--speed", "max"], &bytes);
    good(&piped);
    let two = std::fs::read(dir.join("two.tamis")).unwrap();
    assert!(two == piped.stdout);
    assert_eq!(packets(&two).len(), 6);
    assert!(packets(&two).iter().all(|p| p.header.lengths.len() == 2));
    good(&tamis(
        dir,
        &["export", "six.tamis", "--mcap", "--packets", "--groups", "2", "-o", "two.mcap"],
    ));
    good(&tamis(dir, &["decode", "two.mcap", "-o", "a/"]));
    good(&tamis(dir, &["decode", "six.tamis", "--groups", "2", "-o", "b/"]));
    for n in 0..6 {
        let read = |name: &str| frame(&dir.join(format!("{name}-{n:06}.png")));
        assert!(read("a/two") == read("b/six"));
    }
    assert_eq!(code(&tamis(dir, &["replay", "six.tamis", "--groups", "0"])), 2);
}

#[test]
fn outputs_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let png = encode_png(&picture(9, 9, 1)).unwrap();
    std::fs::write(dir.join("a.png"), &png).unwrap();
    std::fs::write(dir.join("b.png"), &png).unwrap();
    good(&tamis(dir, &["encode", "a.png", "-o", "a.tamis"]));
    let cases: [&[&str]; 6] = [
        &["encode", "a.png", "-o", "b.png"],
        &["encode", "a.png", "-o", "B.WAV"],
        &["recover", "a.tamis", "-o", "b.png"],
        &["replay", "a.tamis", "-o", "b.png"],
        &["export", "a.tamis", "--npy", "-o", "b.png"],
        &["export", "a.tamis", "--mcap", "-o", "b.npy"],
    ];
    for args in cases {
        let out = tamis(dir, args);
        assert_eq!(code(&out), 2, "{args:?}: {}", words(&out));
        assert!(words(&out).contains("name a ."), "{args:?}: {}", words(&out));
    }
    assert!(std::fs::read(dir.join("b.png")).unwrap() == png);
    good(&tamis(dir, &["encode", "a.png", "-o", "odd.name"]));
}

#[test]
fn a_folder_is_not_taken_for_a_shipped_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    std::fs::write(dir.join("a.png"), encode_png(&picture(40, 40, 1)).unwrap()).unwrap();
    let id = |args: &[&str]| {
        let out = tamis(dir, &[&["encode", "a.png", "-o", "a.tamis", "--json"], args].concat());
        good(&out);
        json(&out)[0]["codec"].as_str().unwrap().to_owned()
    };
    let shipped = id(&[]);
    good(&tamis(dir, &["order", "rgb", "--by", "random", "-o", "rgb"]));
    good(&tamis(dir, &["order", "rgb", "--by", "random", "-o", "mine"]));
    assert_eq!(id(&[]), shipped);
    assert_eq!(id(&["--codec", "rgb"]), shipped);
    assert_ne!(id(&["--codec", "./rgb"]), shipped);
    assert_eq!(id(&["--codec", "mine"]), id(&["--codec", "./rgb"]));
    // Nor are pictures and bundles mixed in one folder.
    std::fs::create_dir(dir.join("p")).unwrap();
    for n in 0..3 {
        let png = encode_png(&picture(40, 40, n)).unwrap();
        std::fs::write(dir.join(format!("p/{n}.png")), png).unwrap();
    }
    let out = tamis(dir, &["fit", "p", "-o", "p"]);
    assert_eq!(code(&out), 2, "{}", words(&out));
    assert!(!dir.join("p/codec.toml").exists());
}
