//! Pictures of bands through a codec that was fitted to others of the same sensor.

#![cfg(feature = "pipeline")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{cube, image_bundle, picture};
use tamis::bitstream::{Event, Limits, Packer, PacketReader, PacketWriter, StreamHeader};
use tamis::codec::{Bundle, Card, Depth, Frame, Kind, Layout, Quality, Samples, Stamp, plain};
use tamis::lab::metrics::bands::{angle_degrees, psnr_db};
use tamis::lab::{Fit, fit};
use tamis::pipeline::stages::{Encode, Unpack};
use tamis::pipeline::{Item, Stage};
use tamis::runtime::{Decoder, Encoder};

fn fitted(frames: &[Frame], channels: usize, levels: u32) -> Arc<Bundle> {
    let options = Fit {
        kind: Kind::Image,
        terms: None,
        spectral: true,
        inputs: frames[0].channels,
        levels,
        channels,
        rate: 0,
        card: Card { name: "cubes".into(), ..Card::default() },
    };
    let done = fit(&options, frames, |f| Some(f.clone()), || ()).unwrap();
    Arc::new(done.bundle)
}

fn cubes(bands: usize) -> Vec<Frame> {
    (0..3).map(|seed| cube(96, 80, bands, seed)).collect()
}

/// A recording of one frame, and what comes out of it with so many channels.
fn there_and_back(
    bundle: &Arc<Bundle>,
    frame: &Frame,
    channels: usize,
    quality: u8,
) -> (usize, Frame) {
    let quality = Quality::new(quality).unwrap();
    let mut encoder = Encoder::new(bundle.clone(), bundle.channels(), quality).unwrap();
    let latent = encoder.push(frame, true).unwrap();
    let header = StreamHeader::new(bundle, frame.layout, frame.channels, &Stamp::default());
    let packet = Packer::new(bundle).pack(bundle, &latent, Stamp::default(), None).unwrap();
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&header);
    bytes.extend(writer.packet(&packet));
    bytes.extend(writer.finish());
    let mut reader = PacketReader::new(Limits::default());
    reader.push(&bytes);
    reader.finish();
    let mut frames = Vec::new();
    let mut known = None;
    while let Some(event) = reader.next_event().unwrap() {
        match event {
            Event::Header(h) => known = Some(h),
            Event::Packet(p) => {
                let known = known.as_ref().unwrap();
                assert_eq!(*known, header);
                let packer = Packer::new(bundle);
                let back = packer.unpack(bundle, known, &p, None, &Limits::default()).unwrap();
                assert!(back.latent == latent);
                let mut decoder = Decoder::new(bundle.clone(), channels);
                frames.push(decoder.push(&back.latent, known.layout).unwrap());
            }
            Event::Footer(_) => {}
            Event::Damage { reason, .. } => panic!("{reason}"),
        }
    }
    (bytes.len(), frames.remove(0))
}

#[test]
fn others_of_the_same_sensor_come_back() {
    let bundle = fitted(&cubes(30), 120, 3);
    // Neither side is whole cells.
    let frame = cube(61, 83, 30, 99);
    let (fine, back) = there_and_back(&bundle, &frame, 120, 75);
    assert_eq!(back.layout, Layout::Bands { depth: Depth::U16 });
    let db = psnr_db(&frame, &back).unwrap();
    assert!(db > 43.0, "{db}");
    assert!(angle_degrees(&frame, &back).unwrap() < 1.0);
    // A tenth of 16 bits, and fewer at a lower quality.
    assert!(fine * 8 < frame.samples.len(), "{fine}");
    let (coarse, worse) = there_and_back(&bundle, &frame, 120, 40);
    let less = psnr_db(&frame, &worse).unwrap();
    assert!(coarse < fine && less < db && less > 33.0, "{coarse} {fine} {less} {db}");
    // The first channels are a coarser picture.
    let few = psnr_db(&frame, &there_and_back(&bundle, &frame, 7, 75).1).unwrap();
    assert!(few < less && few > 15.0, "{few}");
}

#[test]
fn strips_are_the_whole_and_the_plain_decoder_agrees() {
    let bundle = fitted(&cubes(12), 64, 3);
    let frame = cube(300, 21, 12, 5);
    let mut encoder = Encoder::new(bundle.clone(), 64, Quality::DEFAULT).unwrap();
    let latent = encoder.push(&frame, true).unwrap();
    assert!(latent == plain::encode(&bundle, &frame, 64, Quality::DEFAULT).unwrap());
    let layout = Layout::Bands { depth: Depth::F32 };
    let back = Decoder::new(bundle.clone(), 64).push(&latent, layout).unwrap();
    assert!(back == plain::decode(&bundle, &latent, 64).unwrap());
}

#[test]
fn every_depth_keeps_its_type_and_range() {
    let bundle = fitted(&cubes(6), 96, 2);
    let frame = cube(40, 40, 6, 7);
    let Samples::U16(v) = &frame.samples else { panic!("16 bits") };
    let like = |samples| Frame::bands(40, 40, 6, samples).unwrap();
    let frames = [
        like(Samples::I16(v.iter().map(|&x| x as i16).collect())),
        like(Samples::F32(v.iter().map(|&x| f32::from(x) / 65535.0).collect())),
        frame.clone(),
    ];
    let mut ratios = Vec::new();
    for frame in &frames {
        let (_, back) = there_and_back(&bundle, frame, 96, 95);
        assert_eq!(back.layout, frame.layout);
        ratios.push(psnr_db(frame, &back).unwrap());
    }
    // The same counts are the same values, whatever they are stored as.
    assert!(ratios.iter().all(|r| (r - ratios[2]).abs() < 1.0 && *r > 50.0), "{ratios:?}");
    // Degrees below zero, and far beyond one, with a bundle of their own.
    let warm = |seed| {
        let frame = cube(64, 64, 2, seed);
        let degrees = (0..frame.samples.len()).map(|i| frame.value(i) * 900.0 + 440.0).collect();
        Frame::bands(64, 64, 2, Samples::F32(degrees)).unwrap()
    };
    let own = fitted(&[warm(1), warm(2)], 32, 3);
    let (_, back) = there_and_back(&own, &warm(3), 32, 90);
    assert!(psnr_db(&warm(3), &back).unwrap() > 38.0);
    let Samples::F32(v) = &back.samples else { panic!("floats") };
    assert!(v.iter().any(|&x| x < -1.0) && v.iter().any(|&x| x > 10.0));
}

#[test]
fn one_band_four_and_as_many_as_there_may_be() {
    for (bands, channels) in [(1, 64), (4, 64), (256, 40)] {
        let bundle = fitted(&[cube(64, 48, bands, 1), cube(64, 48, bands, 2)], channels, 3);
        let frame = cube(33, 40, bands, 3);
        let (_, back) = there_and_back(&bundle, &frame, channels, 75);
        assert!(psnr_db(&frame, &back).unwrap() > 36.0, "{bands}");
        // What is written down is read again.
        let (manifest, weights) = bundle.to_files().unwrap();
        let again = Bundle::from_files("x", &manifest, &weights).unwrap();
        assert_eq!(again.codec_id(), bundle.codec_id());
    }
}

#[test]
fn a_flat_cube_is_fitted_too() {
    let flat = Frame::bands(64, 64, 5, Samples::U16(vec![700; 64 * 64 * 5])).unwrap();
    let bundle = fitted(std::slice::from_ref(&flat), 20, 3);
    let (_, back) = there_and_back(&bundle, &flat, 20, 75);
    assert!(back == flat);
}

#[test]
fn frames_that_do_not_fit_are_refused_with_the_fix() {
    let four = fitted(&cubes(4), 16, 3);
    let hundred = cube(16, 16, 100, 1);
    for (bundle, frame) in [
        (image_bundle(), hundred.clone()),
        (image_bundle(), cube(16, 16, 3, 1)),
        (Arc::new(tamis::runtime::find_bundle("rgb").unwrap()), cube(16, 16, 3, 1)),
        (four.clone(), hundred),
        (four.clone(), picture(16, 16, 1)),
    ] {
        let codes_bands =
            bundle.inputs == frame.channels && bundle.arithmetic == tamis::codec::Arithmetic::Float;
        let channels = bundle.channels();
        let pushed =
            Encoder::new(bundle.clone(), channels, Quality::DEFAULT).unwrap().push(&frame, true);
        assert_eq!(pushed.is_ok(), codes_bands);
        if codes_bands {
            continue;
        }
        assert!(plain::encode(&bundle, &frame, channels, Quality::DEFAULT).is_err());
        let mut items = [Item::new(Stamp::default(), "x", frame)];
        Encode::new(bundle, channels, Quality::DEFAULT).unwrap().run(&mut items).unwrap();
        let Some(tamis::pipeline::Gone::Lost(_, why)) = &items[0].gone else { panic!("it fits") };
        assert!(why.contains("tamis fit CUBES"), "{why}");
    }
    // A recording whose header says otherwise than the bundle.
    let frame = cube(16, 16, 4, 1);
    let latent = plain::encode(&four, &frame, 16, Quality::DEFAULT).unwrap();
    let packet = tamis::bitstream::pack(&four, &latent, Stamp::default()).unwrap();
    for (layout, channels) in [(frame.layout, 5), (Layout::Rgb, 3), (Layout::Gray, 1)] {
        let header = StreamHeader::new(&four, layout, channels, &Stamp::default());
        assert!(tamis::bitstream::unpack(&four, &header, &packet).is_err());
    }
    assert!(Decoder::new(four.clone(), 16).push(&latent, Layout::Rgb).is_err());
    // A few bytes that claim a picture of gigabytes cost one packet.
    let mut large = packet;
    large.header.extent = [10_000, 10_000];
    large.header.lengths.clear();
    let header = StreamHeader::new(&four, frame.layout, 4, &Stamp::default());
    let limits = Limits { values: 1 << 20, ..Limits::default() };
    let mut unpack = Unpack::new(four, limits);
    let mut items = [Item { header: Some(header), packet: Some(large), ..Item::default() }];
    unpack.run(&mut items).unwrap();
    let Some(tamis::pipeline::Gone::Lost(_, why)) = &items[0].gone else { panic!("too large") };
    assert!(why.contains("pixels times bands"), "{why}");
}

#[test]
fn few_pixels_and_too_many_channels_are_refused() {
    let options = |channels| Fit {
        kind: Kind::Image,
        terms: None,
        spectral: true,
        inputs: 50,
        levels: 3,
        channels,
        rate: 0,
        card: Card::default(),
    };
    let small = [cube(8, 8, 50, 1)];
    let said = |channels, frames: &[Frame]| {
        fit(&options(channels), frames, |f| Some(f.clone()), || ()).unwrap_err().to_string()
    };
    assert!(said(10, &small).contains("needs 100"));
    assert!(said(3201, &small).contains("3200") && said(0, &small).contains("3200"));
    assert!(said(10, &[cube(64, 64, 49, 1)]).contains("0 pixels of 50 bands"));
}
