//! One byte wrong, or the end cut off.

use std::sync::Arc;

use tamis::bitstream::{Before, Event, Packer, Packet, PacketWriter, StreamHeader};
use tamis::codec::{Bundle, Frame, Latent, Layout, Quality, Samples, Stamp};
use tamis::runtime::{Encoder, find_bundle};

use super::common::{Noise, events, picture, salvage, say_seed};
use super::{Receiver, decodable, exact, say, times};

/// Packets from one that stands alone to the next.
const KEYS: usize = 8;

struct Recording {
    bundle: Arc<Bundle>,
    header: StreamHeader,
    latents: Vec<Latent>,
    packets: Vec<Packet>,
    /// Where each packet's record begins, and where the footer does.
    places: Vec<usize>,
    bytes: Vec<u8>,
}

/// A scene in which something moves.
fn scene(count: usize) -> Vec<Frame> {
    let Samples::U8(still) = picture(24, 40, 5).samples else { panic!("8-bit") };
    (0..count)
        .map(|i| {
            let mut samples = still.clone();
            let at = 40 * (i * 29 % 2400 / 40);
            samples[at..at + 120].fill((i * 40) as u8);
            Frame::rgb(24, 40, samples).unwrap()
        })
        .collect()
}

fn record(count: usize) -> Recording {
    let bundle = Arc::new(find_bundle("rgb").unwrap());
    let packer = Packer::new(&bundle);
    let mut encoder =
        Encoder::new(bundle.clone(), bundle.channels(), Quality::new(60).unwrap()).unwrap();
    let header = StreamHeader::new(&bundle, Layout::Rgb, 3, &Stamp::default());
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&header);
    let (mut latents, mut packets, mut places) = (Vec::<Latent>::new(), Vec::new(), Vec::new());
    for (i, frame) in scene(count).iter().enumerate() {
        let latent = encoder.push(frame, false).unwrap();
        let before = latents.last().filter(|_| i % KEYS != 0);
        let before = before.map(|latent| Before { index: i as u64 - 1, latent });
        let stamp = Stamp { index: i as u64, ..Stamp::default() };
        let packet = packer.pack(&bundle, &latent, stamp, before).unwrap();
        places.push(bytes.len());
        bytes.extend(writer.packet(&packet));
        latents.push(latent);
        packets.push(packet);
    }
    places.push(bytes.len());
    bytes.extend(writer.finish());
    let continuing = packets.iter().filter(|p: &&Packet| p.header.continues.is_some()).count();
    assert!(continuing > count / 2, "{continuing} of {count} continue others");
    Recording { bundle, header, latents, packets, places, bytes }
}

/// Packet and group that a byte belongs to, if any; the head belongs to the first group.
fn struck(r: &Recording, at: usize) -> Option<(usize, usize)> {
    let k = r.places.iter().take(r.packets.len()).rposition(|&p| p <= at)?;
    if at >= r.places[k + 1] {
        return None;
    }
    let packet = &r.packets[k];
    let mut end = r.places[k + 1] - packet.payload.len();
    if at < end {
        return Some((k, 0));
    }
    let group = packet.header.lengths.iter().position(|len| {
        end += len;
        at < end
    });
    Some((k, group.unwrap()))
}

#[test]
fn a_flip_costs_a_packet_and_what_continues_it() {
    let r = record(40);
    let count = times(500, 10_000);
    let (mut in_header, mut in_head, mut in_group, mut after) = (0, 0, 0, 0);
    let mut most = 0;
    let headers = r.places[0];
    for seed in 0..count as u64 {
        let _say = say_seed("flip", seed);
        let mut noise = Noise(seed * 7919 + 1);
        noise.next();
        let at = noise.below(r.bytes.len());
        let mut bytes = r.bytes.clone();
        bytes[at] ^= 1 + noise.below(255) as u8;
        let piece = [1 << 16, 1000, 61, 1][noise.below(4)];
        let (events, complete) = events(&bytes, piece).unwrap();
        let hit = struck(&r, at);
        let damage = events.iter().filter(|e| matches!(e, Event::Damage { .. })).count();
        let mut receiver = Receiver::new(&r.bundle);
        let mut found: Vec<Option<(usize, bool)>> = vec![None; r.packets.len()];
        for event in &events {
            let Event::Packet(packet) = event else { continue };
            let i = packet.stamp.index as usize;
            // Damage tells of the groups that the reader cut off.
            let (all, came) = (packet.header.lengths.len(), receiver.take(&r.header, packet));
            let groups = exact("flip", &r.bundle.groups, all, &came, &r.latents[i]);
            assert!(found[i].replace((groups, came.told)).is_none());
        }
        // What must be there is what the damage neither struck nor was continued from.
        let mut last: Option<(u64, usize)> = None;
        let mut lost = 0;
        for (i, packet) in r.packets.iter().enumerate() {
            let mut expected = decodable(packet, last);
            if let Some((_, group)) = hit.filter(|h| h.0 == i) {
                expected = expected.min(group);
            }
            // Nothing is left without the head or the first group.
            if hit == Some((i, 0)) {
                assert!(found[i].is_none() && damage == 1, "byte {at}: packet {i}");
            } else {
                assert_eq!(found[i].map(|f| f.0), Some(expected), "byte {at}: packet {i}");
                last = Some((i as u64, expected));
            }
            lost += usize::from(expected < packet.header.lengths.len());
        }
        most = most.max(lost);
        after += lost.saturating_sub(1);
        match hit {
            None => {
                assert_eq!((lost, damage), (0, 1), "byte {at}");
                assert_eq!(complete, at < r.places[0]);
                in_header += usize::from(at < headers);
            }
            Some((k, _)) if at < r.places[k + 1] - r.packets[k].payload.len() => in_head += 1,
            Some(_) => in_group += 1,
        }
        // What is salvaged is a recording without damage.
        if seed % 10 == 0 {
            let (copy, told) = salvage(&bytes, piece).unwrap();
            let (again, complete) = super::common::events(&copy, 999).unwrap();
            assert!(complete && !again.iter().any(|e| matches!(e, Event::Damage { .. })));
            assert_eq!(told.damage.len(), 1);
            assert_eq!(told.has_losses(), hit.is_some() || at < headers || !told.index_damaged);
        }
    }
    // Every byte of both headers besides: nothing is lost.
    for at in 0..headers {
        let mut bytes = r.bytes.clone();
        bytes[at] ^= 0x21;
        let (events, _) = events(&bytes, 77).unwrap();
        let packets = events.iter().filter(|e| matches!(e, Event::Packet(_))).count();
        assert_eq!(packets, r.packets.len(), "byte {at} of the headers");
    }
    say(format_args!(
        "{count} flips over {} packets: {in_head} in packet heads, {in_group} in groups, {in_header} \
         in headers (all {headers} bytes of both tried besides: nothing lost); {after} packets lost \
         groups by continuing a struck one, at most {most} packets for a flip (key every {KEYS}); \
         0 groups decoded wrongly, 0 losses untold",
        r.packets.len()
    ));
}

#[test]
fn every_truncation_gives_a_prefix_or_an_error() {
    let r = record(10);
    let header = r.places[0] / 2;
    for len in 0..r.bytes.len() {
        let (events, complete) = match events(&r.bytes[..len], 4096) {
            Ok(read) => read,
            Err(_) => {
                assert!(len < header, "{len} bytes hold a header");
                assert!(salvage(&r.bytes[..len], 4096).is_err());
                continue;
            }
        };
        assert!(len >= header && !complete);
        let whole = r.places[1..].iter().filter(|&&end| end <= len).count();
        let packets = events.iter().filter_map(|e| match e {
            Event::Packet(p) => Some(p),
            _ => None,
        });
        let packets: Vec<&Packet> = packets.collect();
        assert!(packets.iter().zip(&r.packets[..whole]).all(|(a, b)| *a == b), "{len}");
        // Of the packet that was cut the groups that are all there.
        let mut left = packets.len() - whole;
        if let Some(&packet) = packets.get(whole) {
            let mut expected = r.packets[whole].clone();
            let head = r.places[whole + 1] - expected.payload.len();
            let lengths = &expected.header.lengths;
            let fits = |&g: &usize| head + lengths[..g].iter().sum::<usize>() <= len;
            let groups = (1..lengths.len()).rev().find(fits).unwrap();
            expected.cut(groups);
            assert!(*packet == expected && packets.len() == whole + 1, "{len}");
            left -= 1;
        }
        assert_eq!(left, 0, "{len}");
        // The rest of the packet that was cut is told, and salvage completes what is there.
        let cut = *r.places.iter().rfind(|&&p| p <= len).unwrap_or(&header);
        let told = events.iter().filter(|e| matches!(e, Event::Damage { .. })).count();
        assert_eq!(told, usize::from(len != cut), "{len}");
        let (copy, found) = salvage(&r.bytes[..len], 4096).unwrap();
        assert_eq!(found.packets as usize, packets.len());
        assert_eq!(found.has_losses(), len != cut && (whole < r.packets.len() || len - cut < 4));
        assert!(copy.starts_with(&r.bytes[..cut.max(r.places[0])]));
        if whole == r.packets.len() {
            assert!(copy == r.bytes, "{len}: the index is made again");
        }
    }
    say(format_args!("all {} truncations of a recording: a prefix or an error", r.bytes.len()));
}
