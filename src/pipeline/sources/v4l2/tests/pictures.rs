//! Every format becomes the frame that it is, whatever lies between its rows.

use std::io::Cursor;
use std::time::Duration;

use super::super::super::pixels::Pixels;
use super::super::video::{Colour, Shape};
use crate::codec::{Frame, Layout, Samples};

fn shape(pixels: Pixels, size: [u32; 2], stride: u32) -> Shape {
    let (interval, colour) = (Duration::ZERO, Colour::default());
    Shape { pixels, size, stride, interval, colour, interlaced: false }
}

/// Rows of `row` bytes that count up, `stride` apart with rubbish between.
fn rows(rows: usize, row: usize, stride: usize, count: &mut u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rows {
        for _ in 0..row {
            bytes.push(*count);
            *count = count.wrapping_add(1);
        }
        bytes.extend(std::iter::repeat_n(0xee, stride - row));
    }
    bytes
}

#[test]
fn rows_are_packed_in_every_format() {
    for (pixels, size, planes) in [
        (Pixels::Yuyv, [6, 3], vec![[3, 12]]),
        (Pixels::Yuyv, [5, 2], vec![[2, 12]]),
        (Pixels::Nv12, [6, 4], vec![[4, 6], [2, 6]]),
        (Pixels::Nv12, [6, 3], vec![[3, 6], [2, 6]]),
        (Pixels::Rgb24, [5, 3], vec![[3, 15]]),
        (Pixels::Grey, [7, 3], vec![[3, 7]]),
    ] {
        for (pad, told) in [(0, 0), (0, 1), (1, 1), (26, 1), (4096, 1)] {
            let row = planes[0][1];
            let stride = row + pad;
            let mut count = 0;
            let sent: Vec<u8> =
                planes.iter().flat_map(|&[n, row]| rows(n, row, stride, &mut count)).collect();
            let shape = shape(pixels, size, (stride * told) as u32);
            shape.check("cam").expect("it is sound");
            let n: usize = planes.iter().map(|[rows, row]| rows * row).sum();
            let expected: Vec<u8> = (0..n).map(|i| i as u8).collect();
            let short = sent.len() - pad;
            assert_eq!(shape.bytes(), short);
            // Whole, with rubbish behind it, and without the padding of its last row.
            for sent in [sent.clone(), [&sent[..], &[1; 99]].concat(), sent[..short].to_vec()] {
                let frame = shape.frame(sent, "cam").expect("a frame");
                assert_eq!(frame.extent, [size[1] as usize, size[0] as usize]);
                let (channels, found) = match (&frame.samples, pixels) {
                    (Samples::Yuyv(v), Pixels::Yuyv) | (Samples::Nv12(v), Pixels::Nv12) => (3, v),
                    (Samples::U8(v), Pixels::Rgb24) => (3, v),
                    (Samples::U8(v), Pixels::Grey) => (1, v),
                    other => panic!("{other:?}"),
                };
                assert_eq!((frame.channels, found), (channels, &expected), "{pixels:?} {pad}");
            }
            let why = shape.frame(sent[..short - 1].to_vec(), "cam").expect_err("cut short");
            assert!(why.to_string().contains(&format!("of {short} bytes")), "{why}");
        }
    }
}

#[test]
fn what_a_broken_driver_says_is_refused() {
    let refused = |pixels, size, stride| {
        shape(pixels, size, stride).check("cam").expect_err("refused").to_string()
    };
    assert!(refused(Pixels::Yuyv, [640, 480], 1279).contains("1280"));
    assert!(refused(Pixels::Nv12, [5, 4], 5).contains("needed 6"));
    assert!(refused(Pixels::Grey, [640, 480], u32::MAX).contains("driver is broken"));
    assert!(refused(Pixels::Grey, [0, 480], 0).contains("0"));
    assert!(refused(Pixels::Mjpeg, [u32::MAX, u32::MAX], 0).contains("limit"));
}

#[test]
fn what_the_codec_takes_otherwise_is_said() {
    let said = |pixels, matrix, full| {
        let colour = Colour { matrix, full };
        Shape { colour, ..shape(pixels, [4, 2], 0) }.oddities()
    };
    assert!(said(Pixels::Yuyv, None, None).is_empty());
    assert!(said(Pixels::Nv12, None, Some(false)).is_empty());
    assert!(said(Pixels::Rgb24, None, Some(true)).is_empty());
    assert!(said(Pixels::Mjpeg, Some("BT.709"), Some(true)).is_empty());
    let both = said(Pixels::Yuyv, Some("BT.709"), Some(true));
    assert!(both.len() == 2 && both[0].contains("BT.709") && both[1].contains("full range"));
    assert!(said(Pixels::Grey, None, Some(false))[0].contains("video range"));
    let interlaced = Shape { interlaced: true, ..shape(Pixels::Grey, [4, 2], 0) }.oddities();
    assert!(interlaced[0].contains("interlaced"));
}

/// A JPEG of columns of one colour each.
pub fn jpeg(width: u32, height: u32, gray: bool) -> Vec<u8> {
    let mut to = Cursor::new(Vec::new());
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut to, 95);
    let pixel = |x: u32| [(x / 16 * 40) as u8, 128, 255 - (x / 16 * 40) as u8];
    let channels = if gray { 1 } else { 3 };
    let pixels: Vec<u8> = (0..height)
        .flat_map(|_| 0..width)
        .flat_map(|x| pixel(x).into_iter().take(channels))
        .collect();
    let colour = if gray { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
    encoder.encode(&pixels, width, height, colour).expect("a JPEG");
    to.into_inner()
}

fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (jpeg[..2].to_vec(), 2);
    while jpeg[at + 1] != 0xda {
        let len = 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if jpeg[at + 1] != 0xc4 {
            out.extend_from_slice(&jpeg[at..at + len]);
        }
        at += len;
    }
    [&out, &jpeg[at..]].concat()
}

#[test]
fn jpegs_become_rgb_with_or_without_their_tables() {
    let shape = shape(Pixels::Mjpeg, [64, 32], 0);
    let whole = jpeg(64, 32, false);
    let frame = |bytes: &[u8]| shape.frame(bytes.to_vec(), "cam");
    let found = frame(&whole).expect("a frame");
    assert_eq!((found.layout, &found.extent[..]), (Layout::Rgb, &[32, 64][..]));
    let Samples::U8(pixels) = &found.samples else { panic!("bytes") };
    assert!(pixels[3 * 40].abs_diff(80) < 12 && pixels[3 * 40 + 2].abs_diff(175) < 12);
    let bare = without_tables(&whole);
    assert!(bare.len() + 400 < whole.len());
    assert_eq!(frame(&bare).expect("a frame"), found);
    // Padding behind the end is nothing.
    assert_eq!(frame(&[&whole[..], &[0; 77]].concat()).expect("a frame"), found);
    let gray = frame(&jpeg(64, 32, true)).expect("a frame");
    assert_eq!((gray.layout, gray.channels), (Layout::Rgb, 3));
    // Whole blocks behind the picture are cut off.
    let cut: Frame = shape.frame(jpeg(72, 40, false), "cam").expect("a frame");
    assert_eq!(cut.extent, [32, 64]);
    assert!(frame(&jpeg(80, 32, false)).is_err() && frame(&jpeg(48, 32, false)).is_err());
}

#[test]
fn damaged_jpegs_are_refused_and_never_panic() {
    let shape = shape(Pixels::Mjpeg, [64, 32], 0);
    let whole = jpeg(64, 32, false);
    for len in 0..whole.len() - 1 {
        assert!(shape.frame(whole[..len].to_vec(), "cam").is_err(), "{len}");
    }
    for at in 0..whole.len() {
        for bit in [0, 3, 7] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            if let Ok(frame) = shape.frame(bytes, "cam") {
                assert_eq!(frame.extent, [32, 64]);
            }
        }
    }
}
