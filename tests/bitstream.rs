//! Packets and streams: round trips, pieces of any size, damage.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Noise, audio_bundle, events as read, image_bundle, picture, salvage, sound};
use tamis::bitstream::{Event, Limits, Packer, Packet, PacketWriter, StreamHeader, pack, unpack};
use tamis::codec::{Bundle, Latent, Layout, Quality, Stamp, plain};

struct Recording {
    bundle: Arc<Bundle>,
    header: StreamHeader,
    latents: Vec<Latent>,
    packets: Vec<Packet>,
    bytes: Vec<u8>,
}

/// A stream of `count` pictures of different sizes and qualities.
fn record(count: u64) -> Recording {
    let bundle = image_bundle();
    let first = Stamp::default();
    let header = StreamHeader::new(&bundle, Layout::Rgb, 3, &first);
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&header);
    let (mut latents, mut packets) = (Vec::new(), Vec::new());
    for index in 0..count {
        let frame = picture(17 + index as usize % 5 * 8, 40, index);
        let quality = Quality::new(30 + (index % 60) as u8).unwrap();
        let latent = plain::encode(&bundle, &frame, 192, quality).unwrap();
        let packet = pack(&bundle, &latent, Stamp { index, ..Stamp::default() }).unwrap();
        bytes.extend(writer.packet(&packet));
        latents.push(latent);
        packets.push(packet);
    }
    bytes.extend(writer.finish());
    Recording { bundle, header, latents, packets, bytes }
}

fn packets(events: &[Event]) -> Vec<&Packet> {
    events.iter().filter_map(|e| if let Event::Packet(p) = e { Some(p) } else { None }).collect()
}

#[test]
fn streams_do_not_depend_on_how_the_bytes_arrive() {
    let r = record(6);
    let (whole, complete) = read(&r.bytes, usize::MAX).unwrap();
    assert!(complete);
    assert_eq!(whole.len(), 9);
    assert!(whole[..2].iter().all(|e| *e == Event::Header(r.header.clone())));
    assert!(packets(&whole).into_iter().eq(&r.packets));
    let Event::Footer(footer) = &whole[8] else { panic!("the last record is the footer") };
    assert_eq!(footer.offsets.len(), 6);
    for (&offset, packet) in footer.offsets.iter().zip(&r.packets) {
        let mut alone = r.bytes[..footer.offsets[0] as usize].to_vec();
        alone.extend(&r.bytes[offset as usize..]);
        assert_eq!(packets(&read(&alone, 999).unwrap().0)[0], packet);
    }
    for piece in [1, 7, 100] {
        assert_eq!(read(&r.bytes, piece).unwrap(), (whole.clone(), true));
    }
}

#[test]
fn latents_come_back_and_any_prefix_of_groups_decodes() {
    let r = record(6);
    let packer = Packer::new(&r.bundle);
    for (packet, latent) in r.packets.iter().zip(&r.latents) {
        let u = packer.unpack(&r.bundle, &r.header, packet, None, &Limits::default()).unwrap();
        assert_eq!((&u.latent, u.lost_groups), (latent, 0));
        for groups in (0..r.bundle.groups.len()).rev() {
            let mut packet = packet.clone();
            packet.cut(groups);
            let mut cut = latent.clone();
            cut.truncate(if groups == 0 { 0 } else { r.bundle.groups[groups - 1] });
            let u = unpack(&r.bundle, &r.header, &packet).unwrap();
            assert_eq!((u.latent, u.lost_groups), (cut, 0));
        }
    }
}

#[test]
fn sound_keeps_its_place_and_rate() {
    let bundle = audio_bundle(2);
    let frame = sound(1000, 2, 22050, 1);
    let latent = plain::encode(&bundle, &frame, 64, Quality::DEFAULT).unwrap();
    let packet = pack(&bundle, &latent, Stamp::default()).unwrap();
    let header = StreamHeader::new(&bundle, frame.layout, 2, &Stamp::default());
    assert_eq!(header.rate(), 22050);
    assert_eq!(unpack(&bundle, &header, &packet).unwrap().latent, latent);
}

#[test]
fn every_truncation_gives_a_prefix_or_an_error() {
    let r = record(3);
    for len in 0..r.bytes.len() {
        match read(&r.bytes[..len], 64) {
            Err(e) => assert!(len < 120, "{len}: {e}"),
            Ok((events, complete)) => {
                assert!(!complete);
                let found = packets(&events);
                // Of the last perhaps its first groups.
                assert!(found.iter().zip(&r.packets).enumerate().all(|(k, (a, b))| {
                    let mut b = b.clone();
                    if k + 1 == found.len() {
                        b.cut(a.header.lengths.len());
                    }
                    **a == b && !b.header.lengths.is_empty()
                }));
            }
        }
    }
}

#[test]
fn a_flipped_byte_costs_one_packet() {
    let r = record(12);
    let start = read(&r.bytes, 4096).unwrap().0;
    let Some(Event::Footer(footer)) = start.last() else { panic!("complete") };
    let first = footer.offsets[0] as usize;
    let mut noise = Noise(3);
    for flip in 0..400 + first {
        // Every byte of both headers, then others.
        let at = if flip < first { flip } else { first + noise.below(r.bytes.len() - first) };
        let mut bytes = r.bytes.clone();
        bytes[at] ^= 1 << noise.below(8);
        let (events, _) = read(&bytes, if flip % 2 == 0 { 4096 } else { 1 }).unwrap();
        let mut exact = 0;
        for packet in packets(&events) {
            let u = unpack(&r.bundle, &r.header, packet).unwrap();
            let truth = &r.latents[packet.stamp.index as usize];
            let mut prefix = truth.clone();
            prefix.truncate(u.latent.channels);
            assert_eq!(u.latent, prefix, "byte {at}: a group was decoded wrongly");
            exact += usize::from(u.latent == *truth);
        }
        let lost = usize::from(at >= first);
        assert!(exact >= r.packets.len() - lost, "byte {at}: {exact} of 12 packets left");
    }
}

#[test]
fn claims_are_checked_before_memory_is_taken() {
    let r = record(1);
    let mut packet = r.packets[0].clone();
    packet.header.extent = [1 << 32, 1 << 32];
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&r.header);
    bytes.extend(writer.packet(&packet));
    let (events, _) = read(&bytes, 4096).unwrap();
    assert!(packets(&events).is_empty());
    // Large, but under the limit of pixels: the latent would not fit its own limit.
    packet.header.extent = [9999, 9999];
    let tight = Limits { latent_bytes: 1 << 20, ..Limits::default() };
    let packer = Packer::new(&r.bundle);
    let error = packer.unpack(&r.bundle, &r.header, &packet, None, &tight).unwrap_err();
    assert!(matches!(error, tamis::Error::Limit { .. }), "{error}");
}

#[test]
fn a_group_without_cells_is_damage_not_a_panic() {
    let r = record(1);
    let mut packet = r.packets[0].clone();
    packet.header.extent = [0, 40];
    let error = unpack(&r.bundle, &r.header, &packet).unwrap_err().to_string();
    assert!(error.contains("40x0"), "{error}");
    let bundle = audio_bundle(1);
    let latent = plain::encode(&bundle, &sound(100, 1, 8000, 1), 32, Quality::DEFAULT).unwrap();
    let mut packet = pack(&bundle, &latent, Stamp::default()).unwrap();
    packet.header.extent = [1, 0];
    let header = StreamHeader::new(&bundle, Layout::Audio { rate: 8000 }, 1, &Stamp::default());
    let u = unpack(&bundle, &header, &packet).unwrap();
    assert_eq!((u.latent.channels, u.lost_groups), (0, bundle.groups.len()));
}

#[test]
fn random_bytes_are_no_stream() {
    let mut noise = Noise(11);
    for len in [0, 1, 3, 4, 5, 50, 5000] {
        let mut bytes: Vec<u8> = (0..len).map(|_| noise.below(256) as u8).collect();
        assert!(read(&bytes, 16).is_err());
        let marker = b"\xD5tmH";
        let n = len.min(4);
        bytes[..n].copy_from_slice(&marker[..n]);
        assert!(read(&bytes, 16).is_err());
    }
}

#[test]
fn another_codec_is_refused_by_name() {
    let r = record(1);
    let other = audio_bundle(1);
    let error = unpack(&other, &r.header, &r.packets[0]).unwrap_err().to_string();
    assert!(error.contains(&r.bundle.codec_id().to_string()), "{error}");
    assert!(error.contains(&other.codec_id().to_string()), "{error}");
}

#[test]
fn other_groups_are_refused_though_the_codec_is_the_same() {
    let r = record(1);
    let mut header = r.header.clone();
    header.groups[0] += 1;
    let error = unpack(&r.bundle, &header, &r.packets[0]).unwrap_err().to_string();
    assert!(error.contains("groups that end at [97, 192]"), "{error}");
}

#[test]
fn packet_heads_are_small() {
    let r = record(2);
    let mut writer = PacketWriter::new();
    let len = writer.packet(&r.packets[1]).len() - r.packets[1].payload.len();
    assert!(len <= 40, "{len} bytes");
}

#[test]
fn damaged_first_headers_cost_what_stands_before_the_next() {
    let r = record(4);
    let Some(Event::Footer(footer)) = read(&r.bytes, 4096).unwrap().0.pop() else { panic!() };
    let third = footer.offsets[2] as usize;
    let header = PacketWriter::new().header(&r.header);
    let mut bytes = r.bytes[..third].to_vec();
    bytes[10] ^= 1;
    let second = header.len() / 2;
    bytes[second + 10] ^= 1;
    bytes.extend(header);
    bytes.extend(&r.bytes[third..]);
    for piece in [1, 4096] {
        let (events, complete) = read(&bytes, piece).unwrap();
        let Event::Damage { offset, bytes, .. } = &events[0] else { panic!("{:?}", events[0]) };
        assert_eq!((*offset, *bytes as usize), (0, third));
        assert!(packets(&events).into_iter().eq(&r.packets[2..]));
        assert!(complete);
    }
    // Without any header it is still no stream, and the reason is the first.
    let error = read(&bytes[..third], 64).unwrap_err().to_string();
    assert!(error.contains("not a tamis stream") && error.contains("CRC"), "{error}");
}

#[test]
fn salvage_finds_headers_behind_the_packets() {
    let r = record(4);
    let Some(Event::Footer(footer)) = read(&r.bytes, 4096).unwrap().0.pop() else { panic!() };
    let (first, third) = (footer.offsets[0] as usize, footer.offsets[2] as usize);
    // Nothing of the first headers is left, one stands further on, and one stream has none.
    let mut stray = r.packets[0].clone();
    stray.stamp.stream = 5;
    let mut bytes = vec![0; 37];
    bytes.extend(&r.bytes[first..third]);
    bytes.extend(PacketWriter::new().packet(&stray));
    bytes.extend(PacketWriter::new().repeat(&r.header));
    bytes.extend(&r.bytes[third..]);
    for piece in [1, 50, 1 << 16] {
        let (copy, found) = salvage(&bytes, piece).unwrap();
        assert!(copy == r.bytes || packets(&read(&copy, 99).unwrap().0).into_iter().eq(&r.packets));
        assert_eq!((found.packets, found.cut, found.headless), (4, 0, 1));
        assert_eq!((found.damage.len(), found.skipped()), (1, 37));
        assert!(found.has_losses() && found.complete);
    }
    assert!(salvage(&r.bytes[first..], 64).is_err());
}

#[test]
fn salvage_cuts_before_the_first_damaged_group() {
    let r = record(3);
    let Some(Event::Footer(footer)) = read(&r.bytes, 4096).unwrap().0.pop() else { panic!() };
    let lengths = &r.packets[1].header.lengths;
    let end = footer.offsets[2] as usize;
    for (at, groups) in [(end - 1, 1), (end - lengths[1], 1), (end - lengths[1] - 1, 0)] {
        let mut bytes = r.bytes.clone();
        bytes[at] ^= 4;
        let (copy, found) = salvage(&bytes, 100).unwrap();
        let (events, complete) = read(&copy, 100).unwrap();
        assert!(complete && found.damage.len() == 1);
        if groups == 0 {
            // Nothing is left of the packet.
            assert_eq!((found.packets, found.cut), (2, 0));
            assert_eq!(packets(&events)[1], &r.packets[2]);
            assert_eq!(found.damage[0].offset, footer.offsets[1]);
            continue;
        }
        let mut cut = r.packets[1].clone();
        cut.cut(groups);
        assert!(packets(&events)[1] == &cut);
        assert_eq!((found.packets, found.cut), (3, 1));
        let rest: usize = lengths[groups..].iter().sum();
        assert_eq!((found.damage[0].offset, found.skipped()), ((end - rest) as u64, rest as u64));
    }
}

#[test]
fn false_footers_cost_no_more_than_the_stream_is_long() {
    let r = record(1);
    let mut bytes = r.bytes.clone();
    // Each claims an index of 2 MiB.
    while bytes.len() < 6 << 20 {
        bytes.extend(b"\xD5tmF\x80\x80\x80\x01");
    }
    let start = std::time::Instant::now();
    let (events, _) = read(&bytes, 1 << 16).unwrap();
    assert_eq!(packets(&events).len(), 1);
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}
