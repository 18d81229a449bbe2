//! Recordings made once, with the latents that stand in them: a change of the format is noticed here.
//!
//! `cargo test --test conformance -- --ignored` makes them anew, for a new version of the format or new
//! tables in a shipped bundle.

#![cfg(feature = "pipeline")]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use common::{audio_bundle, events, image_bundle, picture, salvage, sound};
use tamis::bitstream::{Before, Coder, Event, Limits, Packer, Packet, PacketWriter, StreamHeader};
use tamis::codec::{Bundle, Frame, Latent, Quality, Samples, Stamp};
use tamis::pipeline::stages::Unpack;
use tamis::pipeline::{Item, Stage};
use tamis::runtime::{Encoder, find_bundle};

fn file(name: &str, ending: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    folder.join(format!("{name}.{ending}"))
}

/// What a line gets out of a recording: a line of words for each packet, and all values.
fn unpacked(bundle: &Arc<Bundle>, bytes: &[u8]) -> (String, Vec<u8>) {
    let (events, complete) = events(bytes, 100).unwrap();
    assert!(complete);
    let mut stage = Unpack::new(bundle.clone(), Limits::default());
    let (mut words, mut values) = (String::new(), Vec::new());
    let mut header = None;
    for event in events {
        match event {
            Event::Header(h) => header = Some(h),
            Event::Packet(packet) => {
                let (stamp, header) = (packet.stamp.clone(), header.clone());
                let item = Item { stamp, header, packet: Some(packet), ..Item::default() };
                let mut items = [item];
                stage.run(&mut items).unwrap();
                let [item] = items;
                assert!(item.warnings.is_empty(), "{:?}", item.warnings);
                let (packet, l) = (item.packet.unwrap(), item.latent.unwrap());
                let h = &packet.header;
                writeln!(
                    words,
                    "packet {} of stream {} at {} us: {:?}, groups {:?}, continues {:?}; \
                     {} channels of {:?} cells, {:?} samples, quality {}, place {} {} {}",
                    item.stamp.index,
                    item.stamp.stream,
                    item.stamp.captured.as_micros(),
                    h.coder,
                    h.lengths,
                    h.continues.map(|c| (c.back, c.groups)),
                    l.channels,
                    l.grid,
                    l.extent,
                    l.quality.value(),
                    l.span.position,
                    l.span.reset,
                    l.span.end,
                )
                .unwrap();
                values.extend(l.values.iter().flat_map(|v| v.to_le_bytes()));
            }
            Event::Footer(footer) => writeln!(words, "index {:?}", footer.offsets).unwrap(),
            Event::Damage { .. } => panic!("{event:?}"),
        }
    }
    writeln!(words, "{:?}", header.unwrap()).unwrap();
    (words, values)
}

fn check(name: &str, bundle: Arc<Bundle>) {
    let bytes = std::fs::read(file(name, "tamis")).unwrap();
    let (words, values) = unpacked(&bundle, &bytes);
    assert_eq!(words, std::fs::read_to_string(file(name, "txt")).unwrap());
    assert!(values == std::fs::read(file(name, "latents")).unwrap(), "{name}: other values");
    // A reader that understood everything writes the same bytes again.
    assert!(salvage(&bytes, 64).unwrap().0 == bytes, "{name}: other bytes");
}

fn shipped(name: &str) -> Arc<Bundle> {
    Arc::new(find_bundle(name).unwrap())
}

#[test]
fn pictures_fast() {
    check("pictures-fast", image_bundle());
}

#[test]
fn pictures_dense() {
    check("pictures-dense", image_bundle());
}

#[test]
fn sound_dense() {
    check("sound-dense", audio_bundle(1));
}

#[test]
fn shipped_rgb_fast() {
    check("rgb-fast", shipped("rgb"));
}

#[test]
fn shipped_rgb_dense() {
    check("rgb-dense", shipped("rgb"));
}

#[test]
fn shipped_mono_dense() {
    check("mono-dense", shipped("mono"));
}

/// A scene that changes a little from picture to picture.
fn pictures(count: usize) -> Vec<Frame> {
    let first = picture(17, 24, 5);
    let Samples::U8(still) = &first.samples else { panic!("8-bit") };
    (0..count)
        .map(|i| {
            let mut samples = still.clone();
            let spot = samples.len() / 3;
            samples[spot + 6 * i..][..30].fill(255);
            Frame::rgb(17, 24, samples).unwrap()
        })
        .collect()
}

/// Blocks of one sound.
fn blocks(count: usize) -> Vec<Frame> {
    let Samples::I16(samples) = sound(700 * count, 1, 8000, 3).samples else { panic!("16-bit") };
    samples
        .chunks(700)
        .map(|s| {
            let layout = tamis::codec::Layout::Audio { rate: 8000 };
            Frame::new(layout, 1, vec![s.len()], Samples::I16(s.to_vec())).unwrap()
        })
        .collect()
}

/// Packets of frames: the third stands alone, the fourth is cut, the others may continue.
fn make(name: &str, bundle: &Arc<Bundle>, coder: Coder, frames: &[Frame]) {
    let mut packer = Packer::new(bundle);
    packer.set_coder(coder);
    let quality = Quality::new(if coder == Coder::Fast { 50 } else { 75 }).unwrap();
    let mut encoder = Encoder::new(bundle.clone(), bundle.channels(), quality).unwrap();
    let stamp = |index: usize| Stamp {
        stream: 7,
        index: index as u64,
        captured: std::time::Duration::from_millis(40 * index as u64),
        ..Stamp::default()
    };
    let mut header = StreamHeader::new(bundle, frames[0].layout, frames[0].channels, &stamp(0));
    header.bundle = name.into();
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&header);
    let mut last: Option<(u64, Latent)> = None;
    let mut continued = 0;
    for (i, frame) in frames.iter().enumerate() {
        let mut latent = encoder.push(frame, i + 1 == frames.len()).unwrap();
        let before = last.as_ref().filter(|_| i != 2);
        let before = before.map(|(index, latent)| Before { index: *index, latent });
        let mut packet: Packet = packer.pack(bundle, &latent, stamp(i), before).unwrap();
        if i == 3 && frame.layout == tamis::codec::Layout::Rgb {
            packet.cut(bundle.groups.len() - 1);
            latent.truncate(bundle.groups[bundle.groups.len() - 2]);
        }
        continued += usize::from(packet.header.continues.is_some());
        bytes.extend(writer.packet(&packet));
        last = Some((i as u64, latent));
    }
    bytes.extend(writer.repeat(&header));
    bytes.extend(writer.finish());
    let may = coder == Coder::Dense && !frames[0].is_audio();
    assert_eq!(continued > 0, may, "{name}: {continued} packets continue others");
    let (words, values) = unpacked(bundle, &bytes);
    std::fs::write(file(name, "tamis"), bytes).unwrap();
    std::fs::write(file(name, "txt"), words).unwrap();
    std::fs::write(file(name, "latents"), values).unwrap();
}

#[test]
#[ignore = "writes the files that the other tests read"]
fn make_the_files() {
    make("pictures-fast", &image_bundle(), Coder::Fast, &pictures(2));
    make("pictures-dense", &image_bundle(), Coder::Dense, &pictures(5));
    make("sound-dense", &audio_bundle(1), Coder::Dense, &blocks(3));
    make("rgb-fast", &shipped("rgb"), Coder::Fast, &pictures(2));
    make("rgb-dense", &shipped("rgb"), Coder::Dense, &pictures(5));
    make("mono-dense", &shipped("mono"), Coder::Dense, &blocks(3));
}
