//! Headers that claim much: refused before memory is taken, or true.

use std::sync::Arc;
use std::time::Instant;

use tamis::bitstream::{Event, Limits, Packer, PacketWriter, StreamHeader, pack};
use tamis::codec::{Frame, Layout, Quality, Samples, Stamp, plain};
use tamis::runtime::{Decoder, Encoder, find_bundle};

use super::common::{events, image_bundle, picture};
use super::say;

#[test]
fn false_extents_are_refused_at_once() {
    let bundle = image_bundle();
    let header = StreamHeader::new(&bundle, Layout::Rgb, 3, &Stamp::default());
    let latent = plain::encode(&bundle, &picture(16, 16, 1), 192, Quality::DEFAULT).unwrap();
    let good = pack(&bundle, &latent, Stamp::default()).unwrap();
    let begun = Instant::now();
    for extent in [
        [1 << 32, 1 << 32],
        [1 << 63, 2],
        [usize::MAX, usize::MAX],
        [1, 100_000_001],
        [10_001, 10_000],
    ] {
        let mut packet = good.clone();
        packet.header.extent = extent;
        let mut writer = PacketWriter::new();
        let mut bytes = writer.header(&header);
        bytes.extend(writer.packet(&packet));
        let (events, _) = events(&bytes, 4096).unwrap();
        assert!(!events.iter().any(|e| matches!(e, Event::Packet(_))), "{extent:?}");
        assert!(events.iter().any(|e| matches!(e, Event::Damage { .. })), "{extent:?}");
    }
    // Pixels within their limit, but more latents than theirs.
    let mut packet = good;
    packet.header.extent = [10_000, 10_000];
    let limits = Limits { latent_bytes: 100 << 20, ..Limits::default() };
    let packer = Packer::new(&bundle);
    let refused = packer.unpack(&bundle, &header, &packet, None, &limits).unwrap_err();
    assert!(matches!(refused, tamis::Error::Limit { .. }), "{refused}");
    assert!(begun.elapsed().as_millis() < 500, "no memory is filled");
}

#[test]
fn a_flat_picture_of_twelve_megapixels_decodes() {
    let bundle = Arc::new(find_bundle("rgb").unwrap());
    let frame = Frame::rgb(3000, 4000, vec![77; 3000 * 4000 * 3]).unwrap();
    let mut encoder = Encoder::new(bundle.clone(), bundle.channels(), Quality::DEFAULT).unwrap();
    let latent = encoder.push(&frame, true).unwrap();
    let packet = pack(&bundle, &latent, Stamp::default()).unwrap();
    let header = StreamHeader::new(&bundle, Layout::Rgb, 3, &Stamp::default());
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&header);
    bytes.extend(writer.packet(&packet));
    bytes.extend(writer.finish());
    let (events, complete) = events(&bytes, 1 << 16).unwrap();
    let Some(Event::Packet(packet)) = events.iter().find(|e| matches!(e, Event::Packet(_))) else {
        panic!("{} events", events.len())
    };
    let packer = Packer::new(&bundle);
    let back = packer.unpack(&bundle, &header, packet, None, &Limits::default()).unwrap();
    assert!(complete && back.latent == latent);
    let picture = Decoder::new(bundle, latent.channels).push(&back.latent, Layout::Rgb).unwrap();
    let Samples::U8(samples) = &picture.samples else { panic!("8-bit") };
    assert!(samples.iter().all(|v| v.abs_diff(77) <= 2));
    say(format_args!("a flat picture of 12 megapixels: {} bytes, and back", bytes.len()));
}
