//! Bytes that nobody meant: readers, bundles and salvage under seeded mutations of good files.
//!
//! Each target runs a few seconds; `TAMIS_FUZZ_SECONDS=600 cargo test --test fuzz` runs longer. A
//! failure names its seed, and `TAMIS_FUZZ_SEED` starts there.

#![cfg(feature = "cli")]
#![allow(missing_docs, unsafe_code, clippy::unwrap_used)]

mod common;

use std::alloc::{GlobalAlloc, Layout as Size, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{
    Noise, audio_bundle, events, fixed_bundle, identity, image_bundle, picture, salvage, say_seed,
    sound,
};
use tamis::bitstream::{
    Before, Coder, Continues, Event, Limits, Packer, Packet, PacketReader, PacketWriter,
    StreamHeader,
};
use tamis::codec::{Bundle, Frame, Kind, Latent, Layout, Quality, Samples, Stamp, plain};
use tamis::runtime::{Decoder, Encoder, find_bundle};
use tamis::signal::Ends;

/// Counts what this thread holds, and the most that it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn grow(bytes: isize) {
    HELD.set(HELD.get() + bytes);
    MOST.set(MOST.get().max(HELD.get()));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, size: Size) -> *mut u8 {
        grow(size.size() as isize);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, size: Size) {
        grow(-(size.size() as isize));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, size) }
    }

    unsafe fn realloc(&self, at: *mut u8, size: Size, new: usize) -> *mut u8 {
        grow(new as isize - size.size() as isize);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(at, size, new) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Runs a target with one seed after the other until its time is over.
fn fuzz(what: &str, mut target: impl FnMut(&mut Noise)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seconds = Duration::from_secs(number("TAMIS_FUZZ_SECONDS").unwrap_or(3));
    let first = number("TAMIS_FUZZ_SEED").unwrap_or(1);
    let begun = Instant::now();
    let mut seed = first;
    while begun.elapsed() < seconds {
        let _say = say_seed(what, seed);
        let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        noise.next();
        target(&mut noise);
        seed += 1;
    }
    println!("fuzz: {what}: {} trials in {} s", seed - first, begun.elapsed().as_secs());
}

/// Changes some bytes: flips, zeros, stretches removed, doubled, moved in from elsewhere.
fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], noise: &mut Noise) {
    for _ in 0..1 + noise.below(6) {
        if bytes.is_empty() {
            return;
        }
        let at = noise.below(bytes.len());
        let most = (bytes.len() - at).min(1 << noise.below(12));
        let len = 1 + noise.below(most);
        match noise.below(8) {
            0 => bytes[at] ^= 1 << noise.below(8),
            1 => bytes[at] = noise.below(256) as u8,
            2 => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][noise.below(5)],
            3 => bytes[at..at + len].fill([0, 0xFF][noise.below(2)]),
            4 => drop(bytes.drain(at..at + len)),
            5 => {
                let copy = bytes[at..at + len].to_vec();
                bytes.splice(at..at, copy);
            }
            6 => {
                let other = &others[noise.below(others.len())];
                let from = noise.below(other.len());
                let len = len.min(other.len() - from);
                bytes.splice(at..at, other[from..from + len].iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
}

/// Bytes pushed at once.
fn piece(noise: &mut Noise) -> usize {
    let most = 1 << noise.below(14);
    1 + noise.below(most)
}

/// A number that is often at an end of its range.
fn odd(noise: &mut Noise) -> u64 {
    let bits = noise.below(65);
    let most = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    match noise.below(3) {
        0 => most,
        1 => most.saturating_add(1),
        _ => (noise.next() as f64 * most as f64) as u64,
    }
}

struct Seeds {
    files: Vec<Vec<u8>>,
    /// The bundle of each file.
    bundles: Vec<Arc<Bundle>>,
}

fn seeds() -> Seeds {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let shipped = |name| Arc::new(find_bundle(name).unwrap());
    let all = [
        ("pictures-fast", image_bundle()),
        ("pictures-dense", image_bundle()),
        ("sound-dense", audio_bundle(1)),
        ("rgb-fast", shipped("rgb")),
        ("rgb-dense", shipped("rgb")),
        ("mono-dense", shipped("mono")),
    ];
    let read = |name: &str| std::fs::read(folder.join(format!("{name}.tamis"))).unwrap();
    let files = all.iter().map(|(name, _)| read(name)).collect();
    Seeds { files, bundles: all.into_iter().map(|(_, bundle)| bundle).collect() }
}

/// A recording whose check sums are right though its packets are not.
fn forged(file: &[u8], noise: &mut Noise) -> Vec<u8> {
    let (events, _) = events(file, 1 << 16).unwrap();
    let mut writer = PacketWriter::new();
    let mut out = Vec::new();
    for event in events {
        match event {
            Event::Header(mut header) => {
                if noise.below(12) == 0 {
                    forge_header(&mut header, noise);
                }
                out.extend(writer.repeat(&header));
            }
            Event::Packet(mut packet) => {
                for _ in 0..noise.below(3) {
                    forge_packet(&mut packet, noise);
                }
                sign(&mut packet);
                out.extend(writer.packet(&packet));
            }
            _ => {}
        }
    }
    if noise.below(2) == 0 {
        out.extend(writer.finish());
    }
    out
}

fn forge_header(header: &mut StreamHeader, noise: &mut Noise) {
    match noise.below(6) {
        0 => header.layout = [Layout::Gray, Layout::Rgb][noise.below(2)],
        1 => header.layout = Layout::Audio { rate: odd(noise) as u32 },
        2 => header.channels = odd(noise) as usize,
        3 => header.codec.0[noise.below(8)] ^= 1,
        4 => header.groups.push(odd(noise) as usize),
        _ => header.stream = odd(noise) as u32,
    }
}

fn forge_packet(packet: &mut Packet, noise: &mut Noise) {
    let h = &mut packet.header;
    match noise.below(14) {
        0 => h.extent[noise.below(2)] = odd(noise) as usize,
        1 => h.extent[noise.below(2)] = 1 + noise.below(64),
        2 => h.quality = Quality::new(1 + noise.below(100) as u8).unwrap(),
        3 => h.coder = [Coder::Fast, Coder::Dense][noise.below(2)],
        4 => {
            let groups = odd(noise) as u16;
            h.continues = Some(Continues { back: 1 + noise.below(3) as u64, groups });
        }
        5 => h.continues = None,
        6 => h.first_group = noise.below(16),
        7 => h.span.position = odd(noise),
        8 => (h.span.reset, h.span.end) = (noise.below(2) == 0, noise.below(2) == 0),
        9 => packet.stamp.index = odd(noise),
        10 => {
            let g = noise.below(h.lengths.len().max(1));
            if let Some(len) = h.lengths.get_mut(g) {
                *len = (*len).min(noise.below(200));
            }
        }
        11 => packet.cut(noise.below(6)),
        12 => h.lengths.push(noise.below(4)),
        _ => {
            let mut bytes = packet.payload.to_vec();
            let others = [bytes.clone(), vec![0; 40]];
            if bytes.is_empty() {
                return;
            }
            mutate(&mut bytes, &others, noise);
            packet.payload = bytes.into();
        }
    }
}

/// Makes lengths and check sums fit the payload.
fn sign(packet: &mut Packet) {
    let h = &mut packet.header;
    h.lengths.truncate(15);
    h.first_group = h.first_group.min(15 - h.lengths.len());
    let mut payload = packet.payload.to_vec();
    payload.resize(h.lengths.iter().sum(), 0x5A);
    let mut at = 0;
    for &len in &h.lengths {
        let group = &mut payload[at..at + len];
        if let Some((sum, coded)) = group.split_first_chunk_mut() {
            *sum = crc32c::crc32c(coded).to_le_bytes();
        }
        at += len;
    }
    packet.payload = payload.into();
}

/// Reads with nothing kept, and holds the reader to what it may hold.
fn bounded(bytes: &[u8], piece: usize, limits: &Limits) {
    let mut reader = PacketReader::new(limits.clone());
    let (start, mut pushed, mut given) = (HELD.get(), 0, 0);
    MOST.set(start);
    let check = |pushed: usize, given: usize| {
        let most = (MOST.get() - start) as usize;
        assert!(most <= 2 * pushed + given + (1 << 20), "{most} bytes for {pushed}, {given}");
        MOST.set(HELD.get());
    };
    for part in bytes.chunks(piece) {
        reader.push(part);
        pushed += part.len();
        check(pushed, 0);
        loop {
            let event = reader.next_event();
            let Ok(Some(event)) = event else { break };
            // What it gives away is not its own.
            given = if let Event::Packet(p) = &event { p.payload.len() } else { 0 };
            drop(event);
            check(pushed, given);
        }
    }
    reader.finish();
    while let Ok(Some(event)) = reader.next_event() {
        given = if let Event::Packet(p) = &event { p.payload.len() } else { given };
        drop(event);
        check(pushed, given);
    }
}

#[test]
fn readers_and_packets() {
    let seeds = seeds();
    let packers: Vec<Packer> = seeds.bundles.iter().map(|b| Packer::new(b)).collect();
    let limits = Limits {
        positions: 1 << 20,
        sound: 1 << 18,
        values: 1 << 22,
        packet_bytes: 1 << 20,
        latent_bytes: 1 << 22,
    };
    let (mut packets, mut latents, mut lost) = (0u64, 0u64, 0u64);
    fuzz("readers and packets", |noise| {
        let k = noise.below(seeds.files.len());
        let mut bytes = match noise.below(3) {
            0 => seeds.files[k].clone(),
            _ => forged(&seeds.files[k], noise),
        };
        if noise.below(3) == 0 {
            mutate(&mut bytes, &seeds.files, noise);
        }
        let piece = piece(noise);
        bounded(&bytes, piece, &limits);
        // A bundle that may be another's: then it is refused.
        let b = if noise.below(20) == 0 { noise.below(packers.len()) } else { k };
        let mut reader = PacketReader::new(limits.clone());
        let mut headers: BTreeMap<u32, StreamHeader> = BTreeMap::new();
        let mut last: BTreeMap<u32, (u64, Latent)> = BTreeMap::new();
        reader.push(&bytes);
        reader.finish();
        while let Ok(Some(event)) = reader.next_event() {
            match event {
                Event::Header(h) => drop(headers.insert(h.stream, h)),
                Event::Packet(packet) => {
                    packets += 1;
                    let (stream, index) = (packet.stamp.stream, packet.stamp.index);
                    let Some(header) = headers.get(&stream) else { continue };
                    let before = last.get(&stream).map(|(i, latent)| Before { index: *i, latent });
                    let bundle = &seeds.bundles[b];
                    let done = packers[b].unpack(bundle, header, &packet, before, &limits);
                    assert_eq!(packet.header.lengths.iter().sum::<usize>(), packet.payload.len());
                    let Ok(unpacked) = done else { continue };
                    let l = &unpacked.latent;
                    assert_eq!(l.values.len(), l.channels * l.cells());
                    assert!(2 * l.values.len() as u64 <= limits.latent_bytes);
                    assert!(l.extent.iter().product::<usize>() as u64 <= limits.positions);
                    assert_eq!(unpacked.lost_groups > 0, unpacked.reason.is_some());
                    lost += unpacked.lost_groups as u64;
                    latents += 1;
                    if l.channels > 0 && l.values.len() < 1 << 14 && latents % 16 == 0 {
                        // Whatever was read can be decoded or is refused.
                        let mut decoder = Decoder::new(bundle.clone(), bundle.channels());
                        let _ = decoder.push(l, header.layout);
                    }
                    last.insert(stream, (index, unpacked.latent));
                }
                _ => {}
            }
        }
    });
    println!("fuzz: {packets} packets read, {latents} latents unpacked, {lost} groups lost");
    assert!(latents > 0 && lost > 0);
}

#[test]
fn what_a_reader_holds_is_bounded_by_what_it_was_given() {
    let seeds = seeds();
    let (events, _) = events(&seeds.files[0], 1 << 16).unwrap();
    let Event::Header(header) = &events[0] else { panic!("a header") };
    let Event::Packet(mut packet) = events[2].clone() else { panic!("a packet") };
    packet.header.lengths = vec![6 << 20, 3 << 20];
    packet.payload = vec![0; 9 << 20].into();
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(header);
    bytes.extend(writer.packet(&packet));
    for piece in [1 << 12, 1 << 16, bytes.len()] {
        bounded(&bytes, piece, &Limits::default());
        bounded(&bytes[..bytes.len() - 1], piece, &Limits::default());
    }
    // An index of four million packets that are not there.
    let mut bytes = writer.header(header);
    let mut head = vec![0x80, 0x80, 0x80, 0x02];
    head.resize(4 + (4 << 20), 0);
    let sum = crc32c::crc32c_append(crc32c::crc32c(b"F"), &head);
    bytes.extend([0xD5, b't', b'm', b'F', 0x84, 0x80, 0x80, 0x02]);
    bytes.extend(&head);
    bytes.extend(sum.to_le_bytes());
    bounded(&bytes, 1 << 16, &Limits::default());
}

#[test]
fn bundles() {
    let rgb = find_bundle("rgb").unwrap();
    let small = identity(Kind::Image, 1, 1, Ends::Mirror);
    let all = [
        rgb.to_files().unwrap(),
        find_bundle("mono").unwrap().to_files().unwrap(),
        Bundle::new(small).unwrap().to_files().unwrap(),
        audio_bundle(1).to_files().unwrap(),
        fixed_bundle(1, 12, 3).to_files().unwrap(),
    ];
    let manifests: Vec<Vec<u8>> = all.iter().map(|f| f.0.clone().into_bytes()).collect();
    let weights: Vec<Vec<u8>> = all.iter().map(|f| f.1.clone()).collect();
    let (mut taken, mut used) = (0u64, 0u64);
    fuzz("bundles", |noise| {
        let k = [0, 1, 2, 2, 2, 3, 3, 4, 4, 4][noise.below(10)];
        let (mut manifest, mut numbers) = (all[k].0.clone(), weights[k].clone());
        match noise.below(4) {
            0 => {
                let mut bytes = manifest.into_bytes();
                mutate(&mut bytes, &manifests, noise);
                manifest = String::from_utf8_lossy(&bytes).into_owned();
            }
            1 => mutate(&mut numbers, &weights, noise),
            2 => manifest = forge_manifest(&manifest, noise),
            // Numbers only, so that the tensors stay what they are.
            _ => {
                let head = u64::from_le_bytes(*numbers.first_chunk().unwrap()) as usize + 8;
                for _ in 0..1 + noise.below(4) {
                    let at = head + noise.below(numbers.len() - head);
                    numbers[at] = [0, 1, 0x7F, 0x80, 0xFF, noise.below(256) as u8][noise.below(6)];
                }
            }
        }
        let Some(bundle) = named_right(manifest, &numbers) else { return };
        taken += 1;
        used += u64::from(try_out(Arc::new(bundle)));
    });
    println!("fuzz: {taken} bundles taken, {used} of them code");
    assert!(used > 0);
}

/// Puts another number somewhere into a manifest.
fn forge_manifest(manifest: &str, noise: &mut Noise) -> String {
    let lines: Vec<&str> = manifest.lines().collect();
    let at = noise.below(lines.len());
    let lines = lines.iter().enumerate().map(|(i, &line)| match line.split_once(" = ") {
        Some((name, old)) if i == at => {
            let value = match noise.below(4) {
                0 => "[]".into(),
                1 => format!("[{}, {}]", noise.below(5), noise.below(300)),
                2 if !old.starts_with('"') => format!("{}", odd(noise) as i64),
                _ => format!("{}", noise.below(12)),
            };
            format!("{name} = {value}")
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads a bundle; ids that are wrong are put right, as whoever means harm would.
fn named_right(mut manifest: String, weights: &[u8]) -> Option<Bundle> {
    for _ in 0..3 {
        let why = match Bundle::from_files("x", &manifest, weights) {
            Ok(bundle) => return Some(bundle),
            Err(e) => e.to_string(),
        };
        let (stated, found) = why.split_once(" is ")?.1.split_once(" in codec.toml")?;
        let found = found.split_once("the weights give ")?.1.get(..16)?;
        manifest = manifest.replace(stated, found);
    }
    None
}

/// Codes something with a bundle: what was taken must not panic. Says whether it did code.
fn try_out(bundle: Arc<Bundle>) -> bool {
    if bundle.inner() > 1 << 10 {
        return false;
    }
    let frame = match bundle.kind {
        Kind::Image if bundle.inputs == 1 => {
            let samples = Samples::U8((0..9 * 13).map(|i| (i * 37) as u8).collect());
            Frame::new(Layout::Gray, 1, vec![9, 13], samples).unwrap()
        }
        Kind::Image => picture(9, 13, 1),
        Kind::Audio => sound(300, bundle.inputs, 8000, 1),
    };
    if frame.channels != bundle.inputs {
        return false;
    }
    let quality = Quality::DEFAULT;
    let Ok(latent) = plain::encode(&bundle, &frame, bundle.channels(), quality) else {
        return false;
    };
    let Ok(mut encoder) = Encoder::new(bundle.clone(), bundle.channels(), quality) else {
        return false;
    };
    let _ = encoder.push(&frame, true);
    let header = StreamHeader::new(&bundle, frame.layout, frame.channels, &Stamp::default());
    let mut packer = Packer::new(&bundle);
    let mut last: Option<Latent> = None;
    for (i, coder) in [Coder::Dense, Coder::Dense, Coder::Fast].into_iter().enumerate() {
        packer.set_coder(coder);
        let mut values = latent.clone();
        values.values.iter_mut().step_by(3).for_each(|v| *v = v.wrapping_add(i as i16));
        let before = last.as_ref().map(|latent| Before { index: i as u64 - 1, latent });
        let stamp = Stamp { index: i as u64, ..Stamp::default() };
        let packet = packer.pack(&bundle, &values, stamp, before).unwrap();
        let back = packer.unpack(&bundle, &header, &packet, before, &Limits::default()).unwrap();
        assert_eq!((&back.latent, back.lost_groups), (&values, 0));
        last = Some(values);
    }
    let _ = Decoder::new(bundle.clone(), bundle.channels()).push(&latent, frame.layout);
    true
}

#[test]
fn salvage_and_info() {
    let seeds = seeds();
    let folder = tempfile::tempdir().unwrap();
    let (bad, copy_of_it) = (folder.path().join("x.tamis"), folder.path().join("y.tamis"));
    let (mut trials, mut copies) = (0u64, 0u64);
    fuzz("salvage and info", |noise| {
        let k = noise.below(seeds.files.len());
        let mut bytes = match noise.below(3) {
            0 => forged(&seeds.files[k], noise),
            1 => [&seeds.files[k][..], &seeds.files[noise.below(seeds.files.len())]].concat(),
            _ => seeds.files[k].clone(),
        };
        mutate(&mut bytes, &seeds.files, noise);
        let piece = piece(noise);
        trials += 1;
        let done = salvage(&bytes, piece);
        let mut code = 65;
        if let Ok((copy, found)) = &done {
            copies += 1;
            code = if found.has_losses() { 3 } else { 0 };
            assert!(found.skipped() <= bytes.len() as u64);
            let (read, complete) = events(copy, 777).unwrap();
            let damage = read.iter().find(|e| matches!(e, Event::Damage { .. }));
            assert!(complete && damage.is_none(), "{complete}, {damage:?}");
            let packets: Vec<&Packet> = read
                .iter()
                .filter_map(|e| if let Event::Packet(p) = e { Some(p) } else { None })
                .collect();
            assert_eq!(packets.len() as u64, found.packets);
            let (again, nothing) = salvage(copy, 1 << 16).unwrap();
            assert!(again == *copy && nothing.complete && nothing.damage.is_empty());
        }
        // The command itself, now and then: it takes a process.
        if trials % 200 == 1 {
            std::fs::write(&bad, &bytes).unwrap();
            let tamis = |args: &[&std::ffi::OsStr]| {
                let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"));
                command.args(args).output().unwrap().status.code()
            };
            let (bad, copy) = (bad.as_os_str(), copy_of_it.as_os_str());
            assert_eq!(tamis(&["recover".as_ref(), bad, "-o".as_ref(), copy]), Some(code));
            assert!([Some(0), Some(3), Some(65)].contains(&tamis(&["info".as_ref(), bad])));
        }
    });
    println!("fuzz: {copies} of {trials} gave a recording");
    assert!(copies > 0);
}
