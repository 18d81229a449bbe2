//! Encoding to a size: bits per pixel, bits per second, coders.

use common::{Noise, picture, sound};
use tamis::bitstream::{Event, Packet};
use tamis::pipeline::media::{WavDepth, encode_png, encode_wav};

use super::{code, common, good, json, tamis, tamis_with, words};

#[test]
fn bits_per_pixel_are_met_or_said() {
    let folder = tempfile::tempdir().unwrap();
    let png = encode_png(&picture(240, 320, 3)).unwrap();
    std::fs::write(folder.path().join("p.png"), png).unwrap();
    for bits in ["0.3", "0.75", "1.5"] {
        let out =
            tamis(folder.path(), &["encode", "p.png", "-o", "p.tamis", "--bpp", bits, "--json"]);
        good(&out);
        let found = json(&out)[0]["bpp"].as_f64().unwrap();
        let wanted: f64 = bits.parse().unwrap();
        assert!((found / wanted - 1.0).abs() < 0.03, "{found} for {bits}");
        good(&tamis(folder.path(), &["decode", "p.tamis", "-o", "p2.png"]));
    }
    let out = tamis(folder.path(), &["encode", "p.png", "-o", "q.tamis", "--bpp", "40"]);
    assert_eq!(code(&out), 3);
    assert!(words(&out).contains("finest"), "{}", words(&out));
    let out = tamis(folder.path(), &["encode", "p.png", "-o", "q.tamis", "--bpp", "0.0001"]);
    assert_eq!(code(&out), 3);
    assert!(words(&out).contains("coarsest"), "{}", words(&out));
    for args in [["--bpp", "0"], ["--bpp", "x"], ["--bitrate", "-3"], ["--keys", "0"]] {
        let all = [&["encode", "p.png", "-o", "q.tamis"][..], &args].concat();
        assert_eq!(code(&tamis(folder.path(), &all)), 2, "{args:?}");
    }
    let both = ["encode", "p.png", "-o", "q.tamis", "--bpp", "1", "--quality", "50"];
    assert_eq!(code(&tamis(folder.path(), &both)), 2);
}

/// Kilobits a second over every run of packets that plays for ten seconds; and the share of those bits
/// that is not coded values.
fn rates(path: &std::path::Path, seconds: impl Fn(&Packet) -> f64) -> (Vec<f64>, f64) {
    let (events, complete) = common::events(&std::fs::read(path).unwrap(), 9999).unwrap();
    assert!(complete);
    let packets: Vec<Packet> = events
        .into_iter()
        .filter_map(|e| if let Event::Packet(p) = e { Some(p) } else { None })
        .collect();
    let mut rates = Vec::new();
    for first in 0..packets.len() {
        let (mut time, mut bytes) = (0.0, 0);
        for packet in &packets[first..] {
            time += seconds(packet);
            bytes += packet.bytes();
            if time >= 10.0 {
                rates.push(bytes as f64 / 125.0 / time);
                break;
            }
        }
    }
    assert!(rates.len() > 10, "{rates:?}");
    let bytes: usize = packets.iter().map(Packet::bytes).sum();
    // Each group that is not empty begins with its check sum.
    let coded = |p: &Packet| p.header.lengths.iter().map(|&n| n.saturating_sub(4)).sum::<usize>();
    (rates, 1.0 - packets.iter().map(coded).sum::<usize>() as f64 / bytes as f64)
}

fn within_five_percent(rates: &[f64], wanted: f64) {
    assert!(rates.iter().all(|r| (r / wanted - 1.0).abs() < 0.05), "{rates:?} for {wanted}");
}

#[test]
fn a_moving_stream_holds_its_bitrate() {
    let folder = tempfile::tempdir().unwrap();
    // Fifteen seconds of a scene that runs by, at 20 frames a second.
    let wide = picture(64, 64 + 1200, 5);
    let tamis::codec::Samples::U8(samples) = &wide.samples else { panic!("8 bits") };
    let mut raw = Vec::new();
    for k in 0..300 {
        for row in samples.chunks_exact(1264 * 3) {
            raw.extend_from_slice(&row[k * 4 * 3..(k * 4 + 64) * 3]);
        }
    }
    let mut y4m = b"YUV4MPEG2 W64 H64 F20:1 Ip A1:1 C444\n".to_vec();
    for frame in raw.chunks_exact(64 * 64 * 3) {
        y4m.extend_from_slice(b"FRAME\n");
        for c in 0..3 {
            y4m.extend(frame.iter().skip(c).step_by(3));
        }
    }
    let args = ["encode", "-", "-o", "v.tamis", "--bitrate", "120", "--json"];
    let out = tamis_with(folder.path(), &args, &y4m);
    good(&out);
    let bits = json(&out)[0]["bytes"].as_f64().unwrap() * 8.0;
    assert!((bits / 1_800_000.0 - 1.0).abs() < 0.05, "{bits} bits for 1800000");
    within_five_percent(&rates(&folder.path().join("v.tamis"), |_| 0.05).0, 120.0);
    good(&tamis(folder.path(), &["decode", "v.tamis", "-o", "frames/"]));
}

#[test]
fn a_sound_holds_its_bitrate_and_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let mut noise = Noise(9);
    let mut frame = sound(44100 * 18, 1, 44100, 4);
    if let tamis::codec::Samples::I16(v) = &mut frame.samples {
        // Louder and softer every second.
        for (t, x) in v.iter_mut().enumerate() {
            let loud = if t / 44100 % 2 == 0 { 0.5 } else { 0.1 };
            *x = (f32::from(*x) * loud + (noise.next() - 0.5) * 3000.0 * loud) as i16;
        }
    }
    let wav = encode_wav(&frame, WavDepth::I16).unwrap();
    std::fs::write(folder.path().join("s.wav"), wav).unwrap();
    for kilobits in [32.0, 16.0] {
        let rate = kilobits.to_string();
        let args = ["encode", "s.wav", "-o", "s.tamis", "--bitrate", &rate, "--json"];
        let out = tamis(folder.path(), &args);
        good(&out);
        let bits = json(&out)[0]["bytes"].as_f64().unwrap() * 8.0;
        assert!((bits / (18e3 * kilobits) - 1.0).abs() < 0.05, "{bits} bits, {kilobits} kbit/s");
        let seconds = |p: &Packet| p.header.extent[1] as f64 / 44100.0;
        let (rates, overhead) = rates(&folder.path().join("s.tamis"), seconds);
        within_five_percent(&rates, kilobits);
        assert!(overhead < 0.12, "{overhead}");
    }
    good(&tamis(folder.path(), &["decode", "s.tamis", "-o", "s2.wav"]));
    let back = super::frame(&folder.path().join("s2.wav"));
    assert_eq!(back.extent, frame.extent);
}

#[test]
fn both_coders_give_the_same_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let png = encode_png(&picture(100, 130, 8)).unwrap();
    std::fs::write(folder.path().join("p.png"), png).unwrap();
    let mut sizes = Vec::new();
    for coder in ["fast", "dense"] {
        let out =
            tamis(folder.path(), &["encode", "p.png", "-o", "p.tamis", "--coder", coder, "--json"]);
        good(&out);
        sizes.push(json(&out)[0]["bytes"].as_u64().unwrap());
        good(&tamis(folder.path(), &["decode", "p.tamis", "-o", &format!("{coder}.png")]));
    }
    assert!(sizes[1] < sizes[0], "{sizes:?}");
    let read = |name: &str| super::frame(&folder.path().join(name));
    assert_eq!(read("fast.png"), read("dense.png"));
}

#[test]
fn pictures_need_a_rate_to_have_a_bitrate() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let frames: Vec<u8> = (0..8)
        .flat_map(|n| match picture(64, 96, n).samples {
            tamis::codec::Samples::U8(v) => v,
            _ => panic!("8 bits"),
        })
        .collect();
    let encode = |more: &[&str]| {
        let args = ["encode", "-", "-o", "x.tamis", "--raw-video", "96x64:rgb24", "--json"];
        tamis_with(dir, &[&args[..], more].concat(), &frames)
    };
    let none = encode(&["--bitrate", "40"]);
    assert_eq!(code(&none), 2, "{}", words(&none));
    assert!(words(&none).contains("--fps"), "{}", words(&none));
    // Every picture has half a second from the first on, and gets 10 kbit.
    let out = encode(&["--bitrate", "20", "--fps", "2"]);
    good(&out);
    let rate = json(&out)[0]["kbit_per_s"].as_f64().unwrap();
    assert!((17.0..21.0).contains(&rate), "{rate}");
    let bytes = std::fs::read(dir.join("x.tamis")).unwrap();
    let (events, _) = common::events(&bytes, 999).unwrap();
    let first = events.iter().find_map(|e| if let Event::Packet(p) = e { Some(p) } else { None });
    let bits = first.unwrap().bytes() * 8;
    assert!((9_000..11_000).contains(&bits), "{bits}");
    // More than was asked for is a miss, said once.
    let over = encode(&["--bitrate", "0.5", "--fps", "25"]);
    assert_eq!(code(&over), 3, "{}", words(&over));
    assert_eq!(words(&over).matches("above the 0.5 asked for").count(), 1, "{}", words(&over));
}
