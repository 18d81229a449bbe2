//! Video and sound from streams: YUV4MPEG2 and raw.

use tamis::codec::{Frame, Layout, Samples};
use tamis::pipeline::media::{Chroma, Limits, RawAudio, RawDepth, RawPixels, RawVideo, Y4mReader};

/// A stream of `frames` frames whose bytes count up.
fn y4m(header: &str, frame_bytes: usize, frames: usize) -> Vec<u8> {
    let mut out = format!("YUV4MPEG2 {header}\n").into_bytes();
    for _ in 0..frames {
        out.extend(b"FRAME Ip\n");
        out.extend((0..frame_bytes).map(|i| i as u8));
    }
    out
}

#[test]
fn y4m_of_every_chroma_and_odd_size() {
    for (color, chroma, bytes) in [
        ("", Chroma::C420, 15 + 2 * 6),
        (" C420jpeg", Chroma::C420, 15 + 2 * 6),
        (" C420mpeg2 XYSCSS=420MPEG2", Chroma::C420, 15 + 2 * 6),
        (" C420paldv", Chroma::C420, 15 + 2 * 6),
        (" C422", Chroma::C422, 15 + 2 * 9),
        (" C444", Chroma::C444, 15 + 2 * 15),
        (" Cmono", Chroma::Mono, 15),
    ] {
        let stream = y4m(&format!("W5 H3 F30000:1001 Ip A1:1{color}"), bytes, 3);
        let mut reader = Y4mReader::new(stream.as_slice(), "test", &Limits::default()).unwrap();
        assert_eq!(reader.header().chroma, chroma);
        assert_eq!(reader.header().time(30000).as_secs(), 1001);
        let mut frames = 0;
        while let Some(frame) = reader.next_frame().unwrap() {
            assert_eq!(frame.extent, [3, 5]);
            assert_eq!(frame.layout == Layout::Gray, chroma == Chroma::Mono);
            frames += 1;
        }
        assert_eq!((frames, reader.lost()), (3, None));
    }
}

#[test]
fn y4m_colours() {
    let pixel = |header: &str, planes: &[u8]| {
        let mut stream = format!("YUV4MPEG2 W1 H1 F1:1 {header}\nFRAME\n").into_bytes();
        stream.extend(planes);
        let mut reader = Y4mReader::new(stream.as_slice(), "test", &Limits::default()).unwrap();
        reader.next_frame().unwrap().unwrap().samples
    };
    assert_eq!(pixel("C444", &[235, 128, 128]), Samples::U8(vec![255; 3]));
    assert_eq!(pixel("C420 XCOLORRANGE=FULL", &[235, 128, 128]), Samples::U8(vec![235; 3]));
    assert_eq!(pixel("C444", &[82, 90, 240]), Samples::U8(vec![255, 1, 0]));
    assert_eq!(pixel("Cmono", &[16]), Samples::U8(vec![0]));
    assert_eq!(pixel("Cmono XCOLORRANGE=FULL", &[16]), Samples::U8(vec![16]));
}

#[test]
fn y4m_cut_or_wrong() {
    let whole = y4m("W4 H4 F25:1", 24, 2);
    for cut in 0..whole.len() {
        let Ok(mut reader) = Y4mReader::new(&whole[..cut], "test", &Limits::default()) else {
            continue;
        };
        let mut frames = 0;
        while let Ok(Some(_)) = reader.next_frame() {
            frames += 1;
        }
        assert!(frames < 2);
        assert!(reader.next_frame().unwrap().is_none());
    }
    let mut reader = Y4mReader::new(&whole[..whole.len() - 1], "test", &Limits::default()).unwrap();
    while reader.next_frame().unwrap().is_some() {}
    assert!(reader.lost().unwrap().contains("frame 1 is cut short (23 of 24 bytes)"));

    let long = "X".repeat(5000);
    for (header, word) in [
        ("W0 H4 F25:1", "0x4"),
        ("W4 F25:1", "4x0"),
        ("W65535 H65535 F25:1", "limit 100000000"),
        ("W4 H4 F25:1 C420p10", "C420p10"),
        ("W4 H4 F25:1 It", "deinterlace"),
        ("W4 H4 F25", "frame rate"),
        ("W4 H4 F4294967295:1", "frame rate"),
        ("W4 H4 F1:4294967295", "frame rate"),
        (long.as_str(), "longer than 1024"),
    ] {
        let stream = y4m(header, 24, 1);
        let error = Y4mReader::new(stream.as_slice(), "test", &Limits::default()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(Y4mReader::new(&b"hello\n"[..], "test", &Limits::default()).is_err());
}

#[test]
fn raw_streams() {
    let bytes: Vec<u8> = (0..20).collect();
    let limits = Limits::default();
    let mut video =
        RawVideo::new(bytes.as_slice(), RawPixels::Rgb24, [1, 3], "test", &limits).unwrap();
    assert_eq!(video.next_frame().unwrap(), Some(Frame::rgb(1, 3, (0..9).collect()).unwrap()));
    assert!(video.next_frame().unwrap().is_some() && video.next_frame().unwrap().is_none());
    assert!(video.lost().unwrap().contains("2 of 9"));
    assert!(RawVideo::new(&[][..], RawPixels::Gray8, [0, 3], "test", &limits).is_err());

    let mut sound = RawAudio::new(bytes.as_slice(), RawDepth::S16le, 8000, 3, "test").unwrap();
    assert_eq!(sound.next_block(2).unwrap().unwrap().extent, [2]);
    assert_eq!(sound.next_block(2).unwrap().unwrap().extent, [1]);
    assert!(sound.next_block(2).unwrap().is_none());
    assert!(sound.warnings()[0].starts_with("2 bytes"), "{:?}", sound.warnings());
    let nan = f32::NAN.to_le_bytes();
    let mut sound = RawAudio::new(&nan[..], RawDepth::F32le, 8000, 1, "test").unwrap();
    assert_eq!(sound.next_block(9).unwrap().unwrap().samples, Samples::F32(vec![0.0]));
    assert!(sound.warnings()[0].starts_with("1 values"));
    assert!(RawAudio::new(&[][..], RawDepth::F32le, 0, 1, "test").is_err());
}
