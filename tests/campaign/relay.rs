//! A relay that cuts and drops packets as it likes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tamis::bitstream::{Before, Event, Limits, Packer, PacketReader, PacketWriter, StreamHeader};
use tamis::codec::{Bundle, Kind, Latent, Layout, Parts, Quality, Span, Stamp};
use tamis::signal::Ends;

use super::common::{Noise, identity};
use super::{Receiver, decodable, exact, say, times};

/// Packets of a stream from one that stands alone to the next.
const KEYS: u64 = 16;
const STREAMS: u32 = 3;
/// Packets whose latents are remembered for comparison: as many as are on their way.
const BATCH: usize = 200;

fn bundle() -> Arc<Bundle> {
    let parts = Parts { groups: vec![1, 2, 3, 4], ..identity(Kind::Image, 1, 1, Ends::Mirror) };
    Arc::new(Bundle::new(parts).unwrap())
}

/// The next latent of a stream: a little different, now and then another scene.
fn next(bundle: &Bundle, old: Option<&Latent>, noise: &mut Noise) -> Latent {
    let fresh = old.is_none() || noise.below(40) == 0;
    let mut latent = old.cloned().unwrap_or(Latent {
        codec: bundle.codec_id(),
        channels: 4,
        grid: vec![3, 4],
        extent: vec![6, 8],
        span: Span::default(),
        quality: Quality::DEFAULT,
        values: vec![0; 48],
    });
    if noise.below(100) == 0 {
        latent.quality = Quality::new(1 + noise.below(100) as u8).unwrap();
    }
    for value in &mut latent.values {
        match noise.below(8) {
            _ if fresh => *value = noise.below(200) as i16 - 100,
            0 => *value += noise.below(5) as i16 - 2,
            _ => {}
        }
    }
    if noise.below(50) == 0 {
        latent.values.fill(0);
    }
    latent
}

#[derive(Debug, Default)]
struct Sums {
    sent: usize,
    arrived: usize,
    cut: usize,
    continuing: usize,
    groups: usize,
    lost_groups: usize,
}

/// Sends `count` packets; one in `drops` never arrives, none if that is 0.
fn relay(count: usize, drops: usize, seed: u64) -> Sums {
    let (bundle, mut noise) = (bundle(), Noise(seed));
    let packer = Packer::new(&bundle);
    let header = |stream| {
        let first = Stamp { stream, ..Stamp::default() };
        StreamHeader::new(&bundle, Layout::Gray, 1, &first)
    };
    let headers: Vec<StreamHeader> = (0..STREAMS).map(header).collect();
    let mut writer = PacketWriter::new();
    let mut reader = PacketReader::new(Limits::default());
    let mut receiver = Receiver::new(&bundle);
    let mut sums = Sums::default();
    let mut sent: Vec<(u64, Option<Latent>)> = vec![(0, None); STREAMS as usize];
    let mut last: BTreeMap<u32, (u64, usize)> = BTreeMap::new();
    let mut truths: BTreeMap<(u32, u64), Latent> = BTreeMap::new();
    headers.iter().for_each(|h| reader.push(&writer.header(h)));
    while sums.sent < count {
        for _ in 0..BATCH.min(count - sums.sent) {
            let stream = noise.below(STREAMS as usize) as u32;
            let (index, old) = &mut sent[stream as usize];
            let latent = next(&bundle, old.as_ref(), &mut noise);
            let before = old.as_ref().filter(|_| *index % KEYS != 0);
            let before = before.map(|latent| Before { index: *index - 1, latent });
            let stamp = Stamp { stream, index: *index, ..Stamp::default() };
            let mut packet = packer.pack(&bundle, &latent, stamp, before).unwrap();
            truths.insert((stream, *index), latent.clone());
            (*index, *old) = (*index + 1, Some(latent));
            sums.sent += 1;
            if drops > 0 && noise.below(drops) == 0 {
                continue;
            }
            if noise.below(2) == 0 {
                packet.cut(noise.below(5));
            }
            reader.push(&writer.packet(&packet));
        }
        while let Some(event) = reader.next_event().unwrap() {
            let packet = match event {
                Event::Packet(packet) => packet,
                Event::Header(_) => continue,
                other => panic!("{other:?}"),
            };
            let (stream, index) = (packet.stamp.stream, packet.stamp.index);
            let carried = packet.header.lengths.len();
            let came = receiver.take(&headers[stream as usize], &packet);
            let truth = &truths[&(stream, index)];
            let groups = exact("relay", &bundle.groups, carried, &came, truth);
            let expected = decodable(&packet, last.get(&stream).copied());
            assert_eq!(groups, expected, "packet {index} of stream {stream}");
            assert!(index % KEYS != 0 || groups == carried, "a key packet lost groups");
            last.insert(stream, (index, groups));
            sums.arrived += 1;
            sums.cut += usize::from(carried < 4);
            sums.continuing += usize::from(packet.header.continues.is_some());
            sums.groups += groups;
            sums.lost_groups += carried - groups;
        }
        truths.clear();
    }
    sums
}

#[test]
fn every_group_comes_exactly_or_is_told() {
    let count = times(5_000, 100_000);
    for (drops, seed) in [(0, 1), (10, 2), (3, 3)] {
        let sums = relay(count, drops, seed);
        assert!(sums.continuing > sums.arrived / 4 && sums.lost_groups > 0, "{sums:?}");
        let loss = if drops == 0 { "none".into() } else { format!("one in {drops}") };
        say(format_args!("relay that cuts half of the packets and drops {loss}: {sums:?}"));
    }
}
