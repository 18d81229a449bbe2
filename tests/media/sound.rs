//! Sound files, and sample-rate conversion.

use std::io::Cursor;

use tamis::codec::{Frame, Layout, Samples};
use tamis::error::Error;
use tamis::pipeline::media::{
    Decoded, Limits, WavDepth, WavReader, WavWriter, encode_wav, read, read_audio, resample,
};

/// The fields of a WAV file, each of which a test may bend.
#[derive(Clone)]
struct Wav {
    magic: &'static [u8],
    tag: u16,
    channels: u16,
    rate: u32,
    align: u16,
    bits: u16,
    extension: Vec<u8>,
    before: Vec<u8>,
    length: Option<u32>,
    data: Vec<u8>,
}

impl Default for Wav {
    fn default() -> Self {
        Self {
            magic: b"RIFF",
            tag: 1,
            channels: 1,
            rate: 8000,
            align: 2,
            bits: 16,
            extension: vec![],
            before: vec![],
            length: None,
            data: vec![0, 0, 0xff, 0x7f, 0, 0x80, 1, 0],
        }
    }
}

impl Wav {
    fn bytes(&self) -> Vec<u8> {
        let big = self.magic == b"RIFX";
        let short = |v: u16| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let long = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut out = self.magic.to_vec();
        out.extend(long(0));
        out.extend(b"WAVE");
        out.extend(&self.before);
        out.extend(b"fmt ");
        out.extend(long(16 + self.extension.len() as u32));
        out.extend(short(self.tag));
        out.extend(short(self.channels));
        out.extend(long(self.rate));
        out.extend(long(self.rate.wrapping_mul(self.align.into())));
        out.extend(short(self.align));
        out.extend(short(self.bits));
        out.extend(&self.extension);
        out.extend(b"data");
        out.extend(long(self.length.unwrap_or(self.data.len() as u32)));
        out.extend(&self.data);
        out
    }

    fn read(&self) -> Decoded {
        read_audio(&self.bytes(), "test", &Limits::default()).unwrap()
    }

    fn refused(&self) -> String {
        match read_audio(&self.bytes(), "test", &Limits::default()) {
            Err(Error::Input { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }
}

/// PCM of some width in one channel.
fn pcm(bits: u16, data: &[u8]) -> Wav {
    Wav { bits, align: bits.div_ceil(8), data: data.to_vec(), ..Wav::default() }
}

#[test]
fn every_pcm_width() {
    assert_eq!(Wav::default().read().frame.samples, Samples::I16(vec![0, 32767, -32768, 1]));
    assert_eq!(pcm(12, &[0xf0, 0x7f]).read().frame.samples, Samples::I16(vec![0x7ff0]));
    for (bits, data, expected) in [
        (8, &[0, 128, 192][..], &[-1.0, 0.0, 0.5][..]),
        (5, &[0, 0xc0], &[-1.0, 0.5]),
        (24, &[0, 0, 0x80, 0, 0, 0x40], &[-1.0, 0.5]),
        (20, &[0, 0, 0xc0], &[-0.5]),
        (32, &[0, 0, 0, 0x40], &[0.5]),
        (36, &[0, 0, 0, 0, 0xc0], &[-0.5]),
        (64, &[0, 0, 0, 0, 0, 0, 0, 0x80], &[-1.0]),
    ] {
        let decoded = pcm(bits, data).read();
        assert_eq!(decoded.frame.samples, Samples::F32(expected.to_vec()), "{bits} bits");
        assert!(decoded.warnings.is_empty());
    }
    // 24 bits in blocks of four bytes.
    let wide = Wav { align: 4, ..pcm(24, &[0, 0, 0, 0x40]) };
    assert_eq!(wide.read().frame.samples, Samples::F32(vec![0.5]));
}

#[test]
fn float_replaces_what_is_no_number() {
    let values = [0.5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.5];
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let Decoded { frame, warnings } =
        Wav { tag: 3, bits: 32, align: 4, data, ..Wav::default() }.read();
    assert_eq!(frame.samples, Samples::F32(vec![0.5, 0.0, 1.0, -1.0, 1.5]));
    assert!(warnings[0].starts_with("3 values"), "{warnings:?}");

    let data = [0.25_f64, 1e300].iter().flat_map(|v| v.to_le_bytes()).collect();
    let Decoded { frame, warnings } =
        Wav { tag: 3, bits: 64, align: 8, data, ..Wav::default() }.read();
    assert_eq!(frame.samples, Samples::F32(vec![0.25, 1.0]));
    assert!(warnings[0].starts_with("1 values"), "{warnings:?}");
}

#[test]
fn containers_of_every_kind() {
    let expected = Wav::default().read().frame;
    let mut guid = vec![22, 0, 16, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0];
    guid.extend([0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    let extensible = Wav { tag: 0xfffe, extension: guid, ..Wav::default() };
    let list = Wav { before: b"LIST\x03\0\0\0abc\0".to_vec(), ..Wav::default() };
    let data = vec![0, 0, 0x7f, 0xff, 0x80, 0, 0, 1];
    let big = Wav { magic: b"RIFX", data, ..Wav::default() };
    let mut ds64 = b"ds64\x1c\0\0\0".to_vec();
    ds64.extend([0; 8]);
    ds64.extend([8, 0, 0, 0, 0, 0, 0, 0]);
    ds64.extend([0; 12]);
    let long = Wav { magic: b"RF64", before: ds64, length: Some(u32::MAX), ..Wav::default() };
    for wav in [extensible, list, big, long] {
        assert_eq!(wav.read(), Decoded { frame: expected.clone(), warnings: vec![] });
    }
}

#[test]
fn wrong_lengths_give_what_is_there_and_a_warning() {
    let expected = Wav::default().read().frame;
    for (length, word) in [(0, "not given"), (u32::MAX, "not given"), (1000, "4 of 500")] {
        let decoded = Wav { length: Some(length), ..Wav::default() }.read();
        assert_eq!(decoded.frame.samples.len(), expected.samples.len(), "{length}");
        assert!(decoded.warnings[0].contains(word), "{:?}", decoded.warnings);
    }
    let odd = Wav { length: Some(u32::MAX), data: vec![1, 0, 2], ..Wav::default() }.read();
    assert_eq!(odd.frame.samples, Samples::I16(vec![1]));
    assert_eq!(odd.warnings.len(), 2);
    let wrong_block = Wav { align: 7, channels: 2, ..Wav::default() }.read();
    assert_eq!(wrong_block.frame.extent, [2]);
    assert!(wrong_block.warnings[0].contains("block of 7"));
}

#[test]
fn no_sample_is_valid() {
    for length in [None, Some(u32::MAX)] {
        let frame = Wav { data: vec![], length, ..Wav::default() }.read().frame;
        assert_eq!((frame.extent, frame.channels), (vec![0], 1));
    }
    let mut tail = Wav { data: vec![], ..Wav::default() }.bytes();
    tail.extend(b"LIST\x04\0\0\0abcd");
    let decoded = read_audio(&tail, "test", &Limits::default()).unwrap();
    assert_eq!((decoded.frame.extent, decoded.warnings), (vec![0], vec![]));
}

#[test]
fn impossible_headers_are_refused_with_value_limit_and_fix() {
    for (wav, words) in [
        (Wav { rate: 0, ..Wav::default() }, ["rate 0 Hz", "3072000", "write"]),
        (Wav { rate: u32::MAX, ..Wav::default() }, ["4294967295 Hz", "3072000", "write"]),
        (Wav { channels: 0, ..Wav::default() }, ["0 channels", "1 to 64", "write"]),
        (Wav { channels: 65, ..Wav::default() }, ["65 channels", "1 to 64", "write"]),
        (Wav { tag: 9999, ..Wav::default() }, ["tag 9999", "1 (PCM)", "convert"]),
        (Wav { tag: 7, bits: 8, ..Wav::default() }, ["mu-law", "PCM", "convert"]),
        (Wav { bits: 0, ..Wav::default() }, ["0 bits", "1 to 64", "convert"]),
        (Wav { tag: 3, bits: 16, ..Wav::default() }, ["16 bits", "32 or 64", "convert"]),
    ] {
        let message = wav.refused();
        assert!(words.iter().all(|w| message.contains(w)), "{message}");
    }
    let whole = Wav::default().bytes();
    for cut in 0..44 {
        assert!(read_audio(&whole[..cut], "test", &Limits::default()).is_err(), "{cut}");
    }
    let limits = Limits { samples: 3, ..Limits::default() };
    assert!(matches!(read_audio(&whole, "test", &limits), Err(Error::Limit { .. })));
    let huge = Wav { before: b"LIST\xf0\xff\xff\xff".to_vec(), ..Wav::default() };
    assert!(matches!(
        read_audio(&huge.bytes(), "test", &Limits::default()),
        Err(Error::Limit { .. })
    ));
}

#[test]
fn damage_never_panics() {
    let whole = Wav { before: b"LIST\x03\0\0\0abc\0".to_vec(), ..Wav::default() }.bytes();
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let _ = read_audio(&bytes, "test", &Limits::default());
        }
    }
    for magic in [&b"fLaC"[..], b"OggS", b"ID3", &[0xff, 0xfb, 0x90, 0]] {
        let mut bytes = magic.to_vec();
        bytes.extend((0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
        assert!(read_audio(&bytes, "test", &Limits::default()).is_err(), "{magic:?}");
        assert!(read_audio(magic, "test", &Limits::default()).is_err());
    }
}

#[test]
fn blocks_do_not_change_the_samples() {
    let data: Vec<u8> = (0..=255).collect();
    let wav = Wav { channels: 2, align: 4, data, ..Wav::default() };
    let Samples::I16(whole) = wav.read().frame.samples else { panic!() };
    for length in [None, Some(u32::MAX), Some(0)] {
        for steps in [1, 7, 64, 1000] {
            let bytes = Wav { length, ..wav.clone() }.bytes();
            let mut reader = WavReader::new(bytes.as_slice(), "test", &Limits::default()).unwrap();
            let mut all = Vec::new();
            while let Some(Samples::I16(block)) = reader.next_block(steps).unwrap() {
                assert!(block.len() <= 2 * steps);
                all.extend(block);
            }
            assert_eq!(all, whole);
            assert!(reader.next_block(steps).unwrap().is_none());
        }
    }
}

#[test]
fn written_files_read_back() {
    for channels in [1, 2, 6] {
        let values: Vec<f32> = (0..channels * 50).map(|i| 0.9 * (i as f32 * 0.1).sin()).collect();
        let frame = Frame::audio(44100, channels, values).unwrap();
        let bytes = encode_wav(&frame, WavDepth::F32).unwrap();
        let decoded = read_audio(&bytes, "test", &Limits::default()).unwrap();
        assert_eq!(decoded, Decoded { frame: frame.clone(), warnings: vec![] });

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sound");
        std::fs::write(&path, encode_wav(&frame, WavDepth::I16).unwrap()).unwrap();
        let Decoded { frame: short, warnings } = read(&path, &Limits::default()).unwrap();
        assert!(warnings.is_empty() && matches!(short.samples, Samples::I16(_)));
        for i in 0..frame.samples.len() {
            assert!((short.value(i) - frame.value(i)).abs() <= 0.5 / 65536.0 + 1e-6);
        }
    }
    let loud = Frame::audio(8000, 1, vec![9.0, -9.0, f32::NAN]).unwrap();
    let bytes = encode_wav(&loud, WavDepth::I16).unwrap();
    assert_eq!(bytes[44..], [0xff, 0x7f, 0, 0x80, 0, 0]);
}

#[test]
fn a_stream_is_patched_only_where_one_can_seek() {
    let part = Frame::audio(8000, 2, vec![0.5; 8]).unwrap();
    let mut file = WavWriter::new(Cursor::new(vec![]), 8000, 2, WavDepth::F32).unwrap();
    let mut pipe = WavWriter::new(vec![], 8000, 2, WavDepth::F32).unwrap();
    for _ in 0..3 {
        file.write(&part).unwrap();
        pipe.write(&part).unwrap();
    }
    let other = Frame::audio(8000, 1, vec![0.5; 8]).unwrap();
    assert!(matches!(pipe.write(&other), Err(Error::Shape { .. })));
    let file = file.finish().unwrap().into_inner();
    let pipe = pipe.finish_pipe().unwrap();
    assert_eq!(file.len(), 44 + 96);
    assert_eq!(pipe[4..8], [0xff; 4]);
    let file = read_audio(&file, "test", &Limits::default()).unwrap();
    let pipe = read_audio(&pipe, "test", &Limits::default()).unwrap();
    assert_eq!((file.frame.extent.as_slice(), file.warnings.len()), (&[12][..], 0));
    assert_eq!((&pipe.frame, pipe.warnings.len()), (&file.frame, 1));
}

/// A checksum with its highest bit first.
fn crc(bytes: &[u8], polynomial: u16, width: u32) -> u16 {
    let top = 1_u32 << width;
    let step = |c: u32| if c << 1 & top != 0 { c << 1 ^ u32::from(polynomial) } else { c << 1 };
    let take = |c: u32, b: &u8| (0..8).fold(c ^ u32::from(*b) << (width - 8), |c, _| step(c));
    (bytes.iter().fold(0, take) & (top - 1)) as u16
}

/// A FLAC of `frames` frames of 16 verbatim samples in one 16-bit channel, and where frame 1 starts.
fn flac(frames: u8) -> (Vec<u8>, usize) {
    let mut out = b"fLaC\x80\0\0\x22\0\x10\0\x10\0\0\0\0\0\0".to_vec();
    // 20 bits of rate, 3 of channels - 1, 5 of bits - 1, 36 of samples.
    let shape = (8000_u64 << 44) | (15 << 36) | (u64::from(frames) * 16);
    out.extend(shape.to_be_bytes());
    out.extend([0; 16]);
    let mut second = 0;
    for number in 0..frames {
        if number == 1 {
            second = out.len();
        }
        let mut frame = vec![0xff, 0xf8, 0x70, 0x08, number, 0, 15];
        frame.push(crc(&frame, 0x07, 8) as u8);
        frame.push(2);
        frame.extend((0..16_i16).flat_map(|i| (i * 1000 + i16::from(number)).to_be_bytes()));
        frame.extend(crc(&frame, 0x8005, 16).to_be_bytes());
        out.extend(frame);
    }
    (out, second)
}

#[test]
fn flac_keeps_its_integers_and_its_time() {
    let (bytes, second) = flac(4);
    let whole = read_audio(&bytes, "test", &Limits::default()).unwrap();
    let expected = (0..4).flat_map(|n| (0..16).map(move |i| i * 1000 + n)).collect::<Vec<i16>>();
    assert_eq!((&whole.frame.samples, whole.warnings.len()), (&Samples::I16(expected.clone()), 0));

    // A frame lost, by its checksum: silence in its place.
    let mut damaged = bytes.clone();
    damaged[second + 20] ^= 1;
    let decoded = read_audio(&damaged, "test", &Limits::default()).unwrap();
    let Samples::I16(found) = decoded.frame.samples else { panic!() };
    assert_eq!((&found[..16], &found[32..]), (&expected[..16], &expected[32..]));
    assert!(!decoded.warnings.is_empty());

    let cut = read_audio(&bytes[..bytes.len() - 10], "test", &Limits::default()).unwrap();
    assert!(cut.warnings.iter().any(|w| w.contains("of 64 time steps")), "{:?}", cut.warnings);
    let limits = Limits { samples: 40, ..Limits::default() };
    assert!(matches!(read_audio(&bytes, "test", &limits), Err(Error::Limit { .. })));
    for at in 0..bytes.len() {
        for value in [0, 0x55, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            let _ = read_audio(&damaged, "test", &Limits::default());
        }
        let _ = read_audio(&bytes[..at], "test", &Limits::default());
    }
}

#[test]
fn silent_mp3() {
    // 128 kbit/s, 44100 Hz, stereo; side information of zeros is silence.
    let mut frame = vec![0xff, 0xfb, 0x90, 0];
    frame.resize(417, 0);
    let frame = read_audio(&frame.repeat(10), "test", &Limits::default()).unwrap().frame;
    assert_eq!((frame.layout, frame.channels), (Layout::Audio { rate: 44100 }, 2));
    assert_eq!(frame.extent, [11520]);
    assert!((0..frame.samples.len()).all(|i| frame.value(i) == 0.0));
}

#[test]
fn resampling_keeps_length_time_and_level() {
    for (from, to) in [(44100, 48000), (48000, 44100), (8000, 44100), (48000, 16000), (22050, 8000)]
    {
        for channels in [1, 2, 3] {
            for steps in [0, 1, 2, 100, 5000, 40_001] {
                let tone = |i: usize, rate: u32| {
                    (2.0 * std::f32::consts::PI * 300.0 * i as f32 / rate as f32).sin()
                };
                let values = (0..steps * channels)
                    .map(|i| tone(i / channels, from) / (1 + i % channels) as f32)
                    .collect();
                let frame = Frame::audio(from, channels, values).unwrap();
                let out = resample(&frame, to).unwrap();
                let exact = steps as f64 * f64::from(to) / f64::from(from);
                assert_eq!(out.extent, [(exact + 0.5).floor() as usize]);
                assert_eq!((out.layout, out.channels), (Layout::Audio { rate: to }, channels));
                let Samples::F32(values) = &out.samples else { panic!() };
                // Away from the ends, where the sound stops at once.
                let edge = 3000 * to as usize / from as usize;
                for i in edge..out.extent[0].saturating_sub(edge) {
                    for c in 0..channels {
                        let wanted = tone(i, to) / (1 + c) as f32;
                        let found = values[i * channels + c];
                        assert!((found - wanted).abs() < 2e-3, "{from} {to} {i}: {found} {wanted}");
                    }
                }
            }
        }
    }
}

#[test]
fn resampling_refuses_what_it_cannot_do() {
    let frame = Frame::audio(8000, 1, vec![0.0; 10]).unwrap();
    assert_eq!(resample(&frame, 8000).unwrap(), frame);
    assert!(matches!(resample(&frame, 0), Err(Error::Config { .. })));
    assert!(matches!(resample(&frame, u32::MAX), Err(Error::Config { .. })));
    assert!(matches!(resample(&frame, 3_071_999), Err(Error::Config { .. })));
    let slow = Frame::audio(1, 1, vec![0.0; 100_000]).unwrap();
    assert!(matches!(resample(&slow, 48_000), Err(Error::Limit { .. })));
    let picture = Frame::rgb(1, 1, vec![0; 3]).unwrap();
    assert!(matches!(resample(&picture, 8000), Err(Error::Shape { .. })));
    let layout = Layout::Audio { rate: 8000 };
    let short = Frame::new(layout, 1, vec![4], Samples::I16(vec![1, 2, 3, 4])).unwrap();
    assert_eq!(resample(&short, 16_000).unwrap().extent, [8]);
}
