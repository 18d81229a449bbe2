//! Picture files.

use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageFormat};
use tamis::codec::{Frame, Layout, Samples};
use tamis::error::Error;
use tamis::pipeline::media::{
    Decoded, Format, Kind, Limits, encode_png, encode_ppm, read, read_image, sniff,
};

/// A picture whose pixels all differ.
fn picture(layout: Layout, height: usize, width: usize, wide: bool) -> Frame {
    let channels = if layout == Layout::Gray { 1 } else { 3 };
    let values = (0..height * width * channels).map(|i| i * 7919 % 65536);
    let samples = if wide {
        Samples::U16(values.map(|v| v as u16).collect())
    } else {
        Samples::U8(values.map(|v| v as u8).collect())
    };
    Frame::new(layout, channels, vec![height, width], samples).unwrap()
}

fn decode(bytes: &[u8]) -> Decoded {
    read_image(bytes, "test", &Limits::default()).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    read_image(bytes, "test", &Limits::default()).unwrap_err().to_string()
}

/// The frame's pixels in a format of the `image` crate.
fn encode(frame: &Frame, format: ImageFormat) -> Vec<u8> {
    let png = encode_png(frame).unwrap();
    let mut out = Cursor::new(Vec::new());
    image::load_from_memory(&png).unwrap().write_to(&mut out, format).unwrap();
    out.into_inner()
}

#[test]
fn png_and_pnm_keep_layout_depth_and_odd_sizes() {
    for (height, width) in [(1, 1), (1, 9), (9, 1), (17, 23), (64, 48)] {
        for layout in [Layout::Gray, Layout::Rgb] {
            for wide in [false, true] {
                let frame = picture(layout, height, width, wide);
                for bytes in [encode_png(&frame).unwrap(), encode_ppm(&frame).unwrap()] {
                    assert_eq!(decode(&bytes), Decoded { frame: frame.clone(), warnings: vec![] });
                }
            }
        }
    }
}

#[test]
fn lossless_formats_give_the_same_pixels() {
    let frame = picture(Layout::Rgb, 5, 7, false);
    for format in [ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        assert_eq!(decode(&encode(&frame, format)).frame, frame, "{format:?}");
    }
    for wide in [false, true] {
        let gray = picture(Layout::Gray, 5, 7, wide);
        assert_eq!(decode(&encode(&gray, ImageFormat::Tiff)).frame, gray);
    }
}

#[test]
fn the_name_does_not_decide() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.wav");
    let frame = picture(Layout::Rgb, 3, 4, false);
    std::fs::write(&path, encode_png(&frame).unwrap()).unwrap();
    assert_eq!(read(&path, &Limits::default()).unwrap().frame, frame);
    assert!(matches!(read(Path::new("/none"), &Limits::default()), Err(Error::Io { .. })));
    let message = read(folder.path(), &Limits::default()).unwrap_err().to_string();
    assert!(message.contains("folder"), "{message}");
}

#[test]
fn alpha_is_dropped_with_a_warning() {
    let rgba: Vec<u8> = (0..4 * 6).collect();
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(&rgba, 3, 2, ExtendedColorType::Rgba8)
        .unwrap();
    let Decoded { frame, warnings } = decode(&png);
    let rgb: Vec<u8> = rgba.chunks(4).flat_map(|p| p[..3].to_vec()).collect();
    assert_eq!(frame, Frame::rgb(2, 3, rgb).unwrap());
    assert_eq!(warnings, ["alpha channel dropped"]);

    let gray_alpha: Vec<u8> = (0..2 * 6).collect();
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(&gray_alpha, 3, 2, ExtendedColorType::La8)
        .unwrap();
    let frame = decode(&png).frame;
    assert_eq!(frame.layout, Layout::Gray);
    assert_eq!(frame.samples, Samples::U8(vec![0, 2, 4, 6, 8, 10]));
}

/// A JPEG of 16x8 pixels, dark on the left and bright on the right, with an orientation.
fn jpeg(orientation: Option<u8>) -> Vec<u8> {
    let pixels: Vec<u8> = (0..16 * 8).map(|i| if i % 16 < 8 { 10 } else { 240 }).collect();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 95)
        .write_image(&pixels, 16, 8, ExtendedColorType::L8)
        .unwrap();
    if let Some(o) = orientation {
        let mut exif = vec![0xff, 0xe1, 0, 34];
        exif.extend_from_slice(b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0");
        exif.extend_from_slice(&[o, 0, 0, 0, 0, 0, 0, 0]);
        jpeg.splice(2..2, exif);
    }
    jpeg
}

#[test]
fn exif_orientation_is_applied() {
    let at = |frame: &Frame, y: usize, x: usize| frame.value(y * frame.extent[1] + x);
    for (orientation, extent, dark) in [
        (None, [8, 16], [4, 2]),
        (Some(1), [8, 16], [4, 2]),
        (Some(2), [8, 16], [4, 13]),
        (Some(3), [8, 16], [4, 13]),
        (Some(6), [16, 8], [2, 4]),
        (Some(8), [16, 8], [13, 4]),
        (Some(99), [8, 16], [4, 2]),
    ] {
        let frame = decode(&jpeg(orientation)).frame;
        assert_eq!((frame.layout, &frame.extent[..]), (Layout::Gray, &extent[..]));
        assert!(at(&frame, dark[0], dark[1]) < -0.4, "{orientation:?}");
        assert!(at(&frame, extent[0] - 1 - dark[0], extent[1] - 1 - dark[1]) > 0.4);
    }
}

#[test]
fn a_cut_picture_is_refused_or_says_so() {
    let frame = picture(Layout::Rgb, 40, 40, false);
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff, ImageFormat::WebP] {
        let whole = encode(&frame, format);
        let warnings = decode(&whole).warnings;
        assert!(warnings.is_empty(), "{format:?}: {warnings:?}");
        // The last bytes of a PNG hold no pixel.
        for cut in (0..whole.len() - 60).step_by(31) {
            if let Ok(decoded) = read_image(&whole[..cut], "test", &Limits::default()) {
                assert!(!decoded.warnings.is_empty(), "{format:?} cut at {cut}");
            }
        }
    }
    let mut cut = jpeg(None);
    cut.truncate(cut.len() - 2);
    assert!(decode(&cut).warnings[0].contains("end is missing"));
}

#[test]
fn damage_never_panics() {
    let frame = picture(Layout::Rgb, 16, 16, false);
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Tiff,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Pnm,
    ];
    let limits = Limits { pixels: 1 << 20, ..Limits::default() };
    for format in formats {
        let whole = encode(&frame, format);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            let _ = read_image(&bytes, "test", &limits);
            bytes[at] = 0xff;
            let _ = read_image(&bytes, "test", &limits);
        }
    }
}

#[test]
fn limits_hold_before_pixels_are_decoded() {
    let bytes = encode_png(&picture(Layout::Rgb, 10, 11, false)).unwrap();
    let limits = Limits { pixels: 109, ..Limits::default() };
    match read_image(&bytes, "test", &limits) {
        Err(Error::Limit { limit: 109, actual: 110, .. }) => {}
        other => panic!("{other:?}"),
    }
    let limits = Limits { bytes: 20, ..Limits::default() };
    assert!(matches!(read_image(&bytes, "test", &limits), Err(Error::Limit { .. })));
    // 60000 x 60000, and nothing behind the header.
    let claim = b"P5\n60000 60000\n255\n";
    match read_image(claim, "test", &Limits::default()) {
        Err(Error::Limit { actual: 3_600_000_000, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_formats_are_refused_in_words() {
    for (bytes, word) in [
        (&b"GIF89a\x01\0\x01\0"[..], "GIF"),
        (b"\0\0\x01\0\x01\0", "icon"),
        (b"\0\0\x02\0", "TGA"),
        (b"hello", "no known format"),
        (b"P1x", "no known format"),
        (b"", "empty"),
    ] {
        let message = refused(bytes);
        assert!(message.contains(word), "{message}");
        assert!(bytes.is_empty() || message.contains("PNG, JPEG, WebP"), "{message}");
    }
    assert!(refused(b"fLaC").contains("sound"));
}

#[test]
fn sniff_tells_kinds_apart() {
    assert_eq!(sniff(b"RIFF\0\0\0\0WAVE"), Some(Format::Wav));
    assert_eq!(sniff(b"RIFF\0\0\0\0WEBP"), Some(Format::Webp));
    assert_eq!(sniff(b"RIFF\0\0\0\0AVI "), None);
    assert_eq!(sniff(&[0xff, 0xfb, 0x90, 0]), Some(Format::Mp3));
    assert_eq!(sniff(b""), None);
    assert_eq!(Format::Ogg.kind(), Kind::Audio);
    assert_eq!(Format::Pnm.kind(), Kind::Image);
}

/// A little-endian TIFF of one strip of `bits`-bit samples.
fn tiff(width: u32, tags: &[(u16, u16, u32, u32)], extra: &[u8], strip: &[u8]) -> Vec<u8> {
    let height = 1;
    let data = 8 + extra.len() as u32;
    let mut all = vec![
        (256, 4, 1, width),
        (257, 4, 1, height),
        (259, 3, 1, 1),
        (273, 4, 1, data),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, strip.len() as u32),
    ];
    all.extend_from_slice(tags);
    all.sort_unstable();
    let mut out = b"II*\0".to_vec();
    out.extend_from_slice(&(data + strip.len() as u32).to_le_bytes());
    out.extend_from_slice(extra);
    out.extend_from_slice(strip);
    out.extend_from_slice(&(all.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in all {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&[0; 4]);
    out
}

#[test]
fn float_tiff_replaces_what_is_no_number() {
    let values = [0.25_f32, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.5];
    let strip: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let bytes = tiff(5, &[(258, 3, 1, 32), (262, 3, 1, 1), (339, 3, 1, 3)], &[], &strip);
    let Decoded { frame, warnings } = decode(&bytes);
    assert_eq!((frame.layout, &frame.extent[..]), (Layout::Gray, &[1, 5][..]));
    assert_eq!(frame.samples, Samples::F32(vec![0.25, 0.0, 1.0, 0.0, 1.5]));
    assert!(warnings[0].starts_with("3 values") && warnings[1].starts_with("1 values"));
    for cut in 0..bytes.len() {
        let _ = read_image(&bytes[..cut], "test", &Limits::default());
    }
}

#[test]
fn palette_tiff_is_painted() {
    let mut map = vec![0_u16; 768];
    (map[3], map[256 + 3], map[512 + 3]) = (0x1100, 0x2200, 0x3300);
    let map: Vec<u8> = map.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tags = [(258, 3, 1, 8), (262, 3, 1, 3), (320, 3, 768, 8)];
    let frame = decode(&tiff(2, &tags, &map, &[3, 0])).frame;
    assert_eq!(frame, Frame::rgb(1, 2, vec![0x11, 0x22, 0x33, 0, 0, 0]).unwrap());
}

#[test]
fn writers_refuse_what_the_format_lacks() {
    let sound = Frame::audio(8000, 1, vec![0.0]).unwrap();
    let float = Frame::new(Layout::Gray, 1, vec![1, 1], Samples::F32(vec![0.5])).unwrap();
    for frame in [sound, float] {
        assert!(matches!(encode_png(&frame), Err(Error::Shape { .. })));
        assert!(matches!(encode_ppm(&frame), Err(Error::Shape { .. })));
    }
    let empty = Frame::rgb(0, 0, vec![]).unwrap();
    assert!(encode_png(&empty).is_err());
}
