//! Pictures of bands as NumPy arrays and TIFF: there and back, and files made to do harm.

use tamis::Error;
use tamis::codec::{Depth, Frame, Layout, Samples};
use tamis::pipeline::media::{
    Axes, Decoded, Format, Limits, encode_npy, encode_png, encode_tiff, read_bytes,
    read_bytes_with, select_bands, sniff, some_bands, view,
};

use super::common::{Noise, cube};

fn decode(bytes: &[u8]) -> Decoded {
    read_bytes(bytes, "x", &Limits::default()).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    let error = read_bytes(bytes, "x", &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::Input { .. } | Error::Limit { .. }), "{error:?}");
    error.to_string()
}

/// One small picture of every depth.
fn of_every_depth() -> Vec<Frame> {
    let n = 5 * 7 * 4i32;
    [
        Samples::U8((0..n).map(|i| i as u8).collect()),
        Samples::U16((0..n).map(|i| i as u16 * 301).collect()),
        Samples::I16((0..n).map(|i| (i * 201 - 15000) as i16).collect()),
        Samples::F32((0..n).map(|i| i as f32 * 12.5 - 300.0).collect()),
    ]
    .into_iter()
    .map(|samples| Frame::bands(5, 7, 4, samples).unwrap())
    .collect()
}

/// An array with this head.
fn npy(words: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend_from_slice(&((words.len() + 1) as u16).to_le_bytes());
    out.extend_from_slice(words.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(data);
    out
}

fn head(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
}

#[test]
fn every_depth_goes_there_and_back() {
    for frame in of_every_depth() {
        let array = encode_npy(&frame).unwrap();
        assert_eq!(sniff(&array), Some(Format::Npy));
        // NumPy wants the values on a multiple of 64.
        assert_eq!((array.len() - 140 * frame.samples.depth().unwrap().bytes()) % 64, 0);
        let back = decode(&array);
        assert!(back.frame == frame && back.warnings.is_empty());
        assert!(decode(&encode_tiff(&frame).unwrap()).frame == frame);
        assert!(encode_png(&frame).unwrap_err().to_string().contains("4 bands"));
    }
    // One band, two, and as many as there may be.
    for bands in [1, 2, 256] {
        let frame = cube(3, 4, bands, 1);
        assert!(decode(&encode_npy(&frame).unwrap()).frame == frame);
        if bands > 1 {
            assert!(decode(&encode_tiff(&frame).unwrap()).frame == frame);
        }
    }
}

#[test]
fn arrays_of_both_byte_orders_and_axes() {
    let values: Vec<i16> = (0..2 * 3 * 4).map(|i| i * 999 - 9000).collect();
    let big: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    let little: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let a = decode(&npy(&head(">i2", "(2, 3, 4)"), &big)).frame;
    let b = decode(&npy(&head("<i2", "(2, 3, 4)"), &little)).frame;
    assert!(a == b && a.samples == Samples::I16(values.clone()));
    assert_eq!(a.layout, Layout::Bands { depth: Depth::I16 });
    // The same numbers as two bands of 3 x 4.
    let bytes = npy(&head("<i2", "(2, 3, 4)"), &little);
    let first = read_bytes_with(&bytes, "x", &Limits::default(), Axes::BandsFirst).unwrap().frame;
    assert_eq!((&first.extent[..], first.channels), (&[3, 4][..], 2));
    let Samples::I16(v) = &first.samples else { panic!("of another type") };
    assert_eq!((v[0], v[1], v[2]), (values[0], values[12], values[1]));
    // Two axes are one band; heads may be in any order, with double quotes, and of another version.
    let words = "{\"shape\":(2,12),\"fortran_order\":False,\"descr\":\"|u1\"}";
    let flat = decode(&npy(words, &[7; 24])).frame;
    assert_eq!((&flat.extent[..], flat.channels), (&[2, 12][..], 1));
    let mut second = b"\x93NUMPY\x02\x00".to_vec();
    second.extend_from_slice(&(words.len() as u32).to_le_bytes());
    second.extend_from_slice(words.as_bytes());
    second.extend_from_slice(&[7; 24]);
    assert!(decode(&second).frame == flat);
    // More columns than bands can be say which axis is which.
    let wide = decode(&npy(&head("|u1", "(2, 1, 300)"), &[0; 600]));
    assert_eq!((&wide.frame.extent[..], wide.frame.channels), (&[1, 300][..], 2));
    assert!(wide.warnings[0].contains("[bands, height, width]"));
    let doubtful = decode(&npy(&head("|u1", "(2, 10, 10)"), &[0; 200]));
    assert!(doubtful.warnings[0].contains("--bands-first"), "{:?}", doubtful.warnings);
}

#[test]
fn what_is_no_number_becomes_zero() {
    let values = [1.5f32, f32::NAN, f32::NEG_INFINITY, -7.0e6];
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let back = decode(&npy(&head("<f4", "(1, 2, 2)"), &data));
    assert!(back.frame.samples == Samples::F32(vec![1.5, 0.0, 0.0, -7.0e6]));
    assert!(back.warnings.iter().any(|w| w.contains("2 values")));
}

#[test]
fn bad_arrays_are_refused_with_the_fix() {
    let data = [0; 48];
    let good = head("<u2", "(2, 3, 4)");
    assert!(read_bytes(&npy(&good, &data), "x", &Limits::default()).is_ok());
    for (words, said) in [
        (head("<f8", "(2, 3, 4)"), "astype"),
        (head("=u2", "(2, 3, 4)"), "astype"),
        (head("", "(2, 3, 4)"), "astype"),
        (head("é", "(2, 3, 4)"), "astype"),
        (good.replace("False", "True"), "ascontiguousarray"),
        (good.replace("False", "Maybe"), "neither True nor False"),
        (head("<u2", "(24,)"), "1 axes"),
        (head("<u2", "(1, 2, 3, 4)"), "4 axes"),
        (head("<u2", "()"), "0 axes"),
        (head("<u2", "(2, 3, 5)"), "needs 60"),
        (head("<u2", "(2, 3, 3)"), "needs 36"),
        (head("<u2", "(2, 3, 0)"), "1 to 256"),
        (head("<u2", "(0, 3, 4)"), "3x0"),
        (head("<u2", "(300, 3, 300)"), "1 to 256"),
        (head("<u2", "(-2, 3, 4)"), "a number"),
        (head("<u2", "(2.5, 3, 4)"), "is needed"),
        (head("<u2", "(99999999999999999999, 3, 4)"), "below 2^64"),
        (head("<u2", "(18446744073709551615, 18446744073709551615, 256)"), "limit"),
        (head("<u2", "(10000, 10000, 256)"), "limit"),
        (head("<u2", "(4000000000, 1, 1)"), "limit"),
        (good.replace("}", ""), "is needed"),
        (good.replace("}", "} x"), "goes on"),
        (good.replace("'fortran_order': False, ", ""), "no entry"),
        (good.replace(", }", ", 'descr': '<u2'}"), "twice"),
        (good.replace(", }", ", 'more': 1}"), "'more'"),
        (good.replace("'descr'", "'descr"), "needed"),
        ("{".repeat(3000), "is needed"),
        (String::new(), "is needed"),
    ] {
        let message = refused(&npy(&words, &data)).replace('"', "'");
        assert!(message.contains(said), "{words}: {message}");
    }
    // Heads that are cut, longer than the file, of another version, or no text.
    let whole = npy(&good, &data);
    for len in 6..whole.len() {
        refused(&whole[..len]);
    }
    let mut long = whole.clone();
    (long[8], long[9]) = (0xff, 0xff);
    assert!(refused(&long).contains("65535"));
    let mut version = whole.clone();
    version[6] = 9;
    assert!(refused(&version).contains("9.0"));
    let mut text = whole;
    text[20] = 0xff;
    assert!(refused(&text).contains("no text"));
}

/// A TIFF of bands of 16 bits, 6 x 5, in strips or tiles of so many rows and columns.
struct Tiff {
    big_endian: bool,
    planar: bool,
    rows: u32,
    tile: Option<u32>,
    colours: u32,
    extra: Option<u32>,
}

const PLAIN: Tiff =
    Tiff { big_endian: false, planar: false, rows: 5, tile: None, colours: 1, extra: Some(0) };

impl Tiff {
    const SIZE: [u32; 2] = [5, 6];

    fn short(&self, x: u16) -> [u8; 2] {
        if self.big_endian { x.to_be_bytes() } else { x.to_le_bytes() }
    }

    fn long(&self, x: u32) -> [u8; 4] {
        if self.big_endian { x.to_be_bytes() } else { x.to_le_bytes() }
    }

    fn bytes(&self, frame: &Frame) -> Vec<u8> {
        let Samples::U16(samples) = &frame.samples else { panic!("16 bits") };
        let [height, width] = Self::SIZE;
        let bands = frame.channels as u32;
        let wide = self.tile.unwrap_or(width);
        let (mut out, mut offsets) = (b"II*\0\0\0\0\0".to_vec(), Vec::new());
        let (planes, each) = if self.planar { (bands, 1) } else { (1, bands) };
        for plane in 0..planes {
            for top in (0..height).step_by(self.rows as usize) {
                for left in (0..width).step_by(wide as usize) {
                    offsets.push(out.len() as u32);
                    let high =
                        if self.tile.is_some() { self.rows } else { self.rows.min(height - top) };
                    for (y, x) in
                        (top..top + high).flat_map(|y| (left..left + wide).map(move |x| (y, x)))
                    {
                        for b in plane..plane + each {
                            let inside = y < height && x < width;
                            let at = ((y * width + x) * bands + b) as usize;
                            out.extend(self.short(if inside { samples[at] } else { 0xdead }));
                        }
                    }
                }
            }
        }
        let lengths: Vec<u32> = offsets
            .iter()
            .zip(offsets.iter().skip(1).chain([&(out.len() as u32)]))
            .map(|(a, b)| b - a)
            .collect();
        let list = |out: &mut Vec<u8>, values: &[u32]| {
            let at = out.len() as u32;
            values.iter().for_each(|&v| out.extend(self.long(v)));
            if values.len() == 1 { values[0] } else { at }
        };
        let count = offsets.len() as u32;
        let (at, len) = (list(&mut out, &offsets), list(&mut out, &lengths));
        let mut tags = vec![
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, 16),
            (259, 3, 1, 1),
            (262, 3, 1, self.colours),
            (277, 3, 1, bands),
            (284, 3, 1, if self.planar { 2 } else { 1 }),
        ];
        match self.tile {
            None => {
                tags.extend([(273, 4, count, at), (278, 4, 1, self.rows), (279, 4, count, len)])
            }
            Some(wide) => tags.extend([
                (322, 4, 1, wide),
                (323, 4, 1, self.rows),
                (324, 4, count, at),
                (325, 4, count, len),
            ]),
        }
        tags.extend(self.extra.map(|e| (338, 3, 1, e)));
        tags.sort_unstable();
        let place = self.long(out.len() as u32);
        out[4..8].copy_from_slice(&place);
        if self.big_endian {
            out[..4].copy_from_slice(b"MM\0*");
        }
        out.extend(self.short(tags.len() as u16));
        for (tag, kind, count, value) in tags {
            out.extend(self.short(tag));
            out.extend(self.short(kind));
            out.extend(self.long(count));
            // Short values stand in the first two bytes.
            match kind {
                3 => out.extend([self.short(value as u16), [0; 2]].concat()),
                _ => out.extend(self.long(value)),
            }
        }
        out.extend([0; 4]);
        out
    }
}

#[test]
fn tiff_in_strips_tiles_planes_and_both_byte_orders() {
    let frame = cube(5, 6, 7, 3);
    for big_endian in [false, true] {
        for planar in [false, true] {
            for (rows, tile) in [(5, None), (2, None), (4, Some(4)), (16, Some(16))] {
                let tiff = Tiff { big_endian, planar, rows, tile, ..PLAIN };
                let back = decode(&tiff.bytes(&frame)).frame;
                assert!(back == frame, "{big_endian} {planar} {rows} {tile:?}");
            }
        }
    }
}

#[test]
fn heat_beside_colours_is_four_bands_and_alpha_is_none() {
    let frame = cube(5, 6, 4, 3);
    let heat = Tiff { colours: 2, ..PLAIN }.bytes(&frame);
    assert!(decode(&heat).frame == frame);
    for extra in [Some(1), Some(2), None] {
        let alpha = decode(&Tiff { colours: 2, extra, ..PLAIN }.bytes(&frame));
        assert_eq!((alpha.frame.layout, alpha.frame.channels), (Layout::Rgb, 3), "{extra:?}");
    }
}

#[test]
fn hostile_tiff_costs_what_it_holds() {
    let frame = cube(5, 6, 7, 3);
    let good = PLAIN.bytes(&frame);
    // Every tag of size is made to claim more: nothing is allocated for it.
    let at = |tag: u16| {
        let start = u32::from_le_bytes(good[4..8].try_into().unwrap()) as usize + 2;
        (start..good.len()).step_by(12).find(|&i| good[i..i + 2] == tag.to_le_bytes()).unwrap() + 8
    };
    for (tag, value, said) in [
        (256, 10_000_000u32, "limit"),
        (257, 3_000_000, "damaged"),
        (256, 0, "damaged"),
        (277, 300, "300 bands"),
        (277, 256, "damaged"),
        (278, 0, "damaged"),
        (279, u32::MAX, "damaged"),
        (273, u32::MAX, "damaged"),
    ] {
        let mut bad = good.clone();
        bad[at(tag)..at(tag) + 4].copy_from_slice(&value.to_le_bytes());
        let message = refused(&bad);
        assert!(message.contains(said) || message.contains("claims"), "{tag} {value}: {message}");
    }
    // Noise anywhere may be refused or read, and no more.
    let mut noise = Noise(9);
    let limits = Limits { pixels: 1 << 16, values: 1 << 18, ..Limits::default() };
    for tile in [None, Some(4)] {
        let good = Tiff { planar: true, tile, rows: 4, ..PLAIN }.bytes(&frame);
        for _ in 0..3000 {
            let mut bad = good.clone();
            for _ in 0..1 + noise.below(4) {
                let tail = 260.min(bad.len());
                let at = bad.len() - tail + noise.below(tail);
                bad[at] = noise.below(256) as u8;
            }
            bad.truncate(bad.len() - if noise.below(4) == 0 { noise.below(200) } else { 0 });
            let _ = read_bytes(&bad, "x", &limits);
        }
    }
}

#[test]
fn some_bands_are_a_picture_to_look_at() {
    let frame = cube(20, 30, 9, 2);
    let (picture, ends) = view(&frame, &[7, 4, 2]).unwrap();
    assert_eq!((picture.layout, &picture.extent[..], ends.len()), (Layout::Rgb, &[20, 30][..], 3));
    let Samples::U8(v) = &picture.samples else { panic!("bytes") };
    // Stretched: some of it is black, and some is white.
    assert!(v.contains(&0) && v.contains(&255));
    let (gray, _) = view(&frame, &[8]).unwrap();
    assert_eq!(gray.layout, Layout::Gray);
    let flat = Frame::bands(4, 4, 1, Samples::F32(vec![3.5; 16])).unwrap();
    assert!(view(&flat, &[0]).unwrap().0.samples == Samples::U8(vec![0; 16]));
    let part = select_bands(&frame, &[8, 0]).unwrap();
    assert_eq!((part.channels, part.value(0)), (2, frame.value(8)));
    assert!(view(&frame, &[9]).is_err() && view(&frame, &[1, 2]).is_err());
    assert!((1..300).all(|n| some_bands(n).iter().all(|&b| b < n)));
}
