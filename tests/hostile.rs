//! Recordings made to do harm: what one item is made of costs that item, never the line.

#![cfg(feature = "pipeline")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use common::{audio_bundle, image_bundle, picture, sound};
use tamis::bitstream::{Limits, Packet, PacketWriter, StreamHeader, pack};
use tamis::codec::{Bundle, Frame, Layout, Quality, Stamp};
use tamis::pipeline::media::{WavDepth, read};
use tamis::pipeline::sinks::{Frames, OPEN, Picture};
use tamis::pipeline::sources::Files;
use tamis::pipeline::stages::{Decode, Unpack};
use tamis::pipeline::{Item, Parts, Pipeline, Report, Sink, Source, Stage};
use tamis::runtime::{Decoder, Encoder};

static GO: AtomicBool = AtomicBool::new(false);

/// A recording written record by record.
struct Tape {
    bundle: Arc<Bundle>,
    writer: PacketWriter,
    bytes: Vec<u8>,
}

impl Tape {
    fn new(bundle: Arc<Bundle>) -> Self {
        Self { bundle, writer: PacketWriter::new(), bytes: Vec::new() }
    }

    fn header(&mut self, stream: u32, layout: Layout, channels: usize) -> &mut Self {
        let first = Stamp { stream, ..Stamp::default() };
        let header = StreamHeader::new(&self.bundle, layout, channels, &first);
        self.bytes.extend(self.writer.header(&header));
        self
    }

    fn packet(&mut self, packet: &Packet) -> &mut Self {
        self.bytes.extend(self.writer.packet(packet));
        self
    }

    fn finish(&mut self) -> &mut Self {
        self.bytes.extend(std::mem::take(&mut self.writer).finish());
        self
    }

    /// Decodes what was written into `folder/out`.
    fn decode(&self, folder: &Path) -> Report {
        let out = folder.join("out");
        std::fs::create_dir_all(&out).unwrap();
        self.decode_to(folder, Frames::folder(out, "x", Picture::Ppm, WavDepth::I16)).unwrap()
    }

    fn decode_to(&self, folder: &Path, sink: Frames) -> tamis::Result<Report> {
        let path = folder.join("x.tamis");
        std::fs::write(&path, &self.bytes).unwrap();
        let stages: Vec<Box<dyn Stage>> = vec![
            Box::new(Unpack::new(self.bundle.clone(), Limits::default())),
            Box::new(Decode::new(self.bundle.clone(), self.bundle.channels())),
        ];
        let sinks = vec![Box::new(sink) as Box<dyn Sink>];
        let line = Pipeline::new(Box::new(Files::packets(vec![path])), stages, sinks, 8)?;
        line.run(&GO, |_, _| ())
    }
}

/// Packets of the blocks of `frame`, or one of a picture.
fn packets(bundle: &Arc<Bundle>, frame: &Frame, stream: u32, block: usize) -> Vec<Packet> {
    let mut encoder = Encoder::new(bundle.clone(), bundle.channels(), Quality::DEFAULT).unwrap();
    let blocks = if frame.is_audio() { split(frame, block) } else { vec![frame.clone()] };
    let last = blocks.len() - 1;
    blocks
        .iter()
        .enumerate()
        .map(|(i, block)| {
            let latent = encoder.push(block, i == last).unwrap();
            let stamp = Stamp { stream, index: i as u64, ..Stamp::default() };
            pack(bundle, &latent, stamp).unwrap()
        })
        .collect()
}

fn split(frame: &Frame, block: usize) -> Vec<Frame> {
    let tamis::codec::Samples::I16(v) = &frame.samples else { panic!("16-bit sound") };
    v.chunks(block * frame.channels)
        .map(|v| {
            let samples = tamis::codec::Samples::I16(v.to_vec());
            let steps = v.len() / frame.channels;
            Frame::new(frame.layout, frame.channels, vec![steps], samples).unwrap()
        })
        .collect()
}

/// Names in `folder/out`, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("out")).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn out(folder: &Path, name: &str) -> PathBuf {
    folder.join("out").join(name)
}

fn steps(folder: &Path, name: &str) -> usize {
    read(&out(folder, name), &Default::default()).unwrap().frame.extent[0]
}

const RATE: Layout = Layout::Audio { rate: 8000 };

#[test]
fn a_picture_without_pixels_is_lost_alone() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = image_bundle();
    let good = packets(&bundle, &picture(16, 24, 1), 0, 0).remove(0);
    let mut tape = Tape::new(bundle);
    tape.header(0, Layout::Rgb, 3);
    for (index, extent) in [[16, 24], [0, 24], [16, 0], [16, 24]].into_iter().enumerate() {
        let mut packet = good.clone();
        packet.stamp.index = index as u64;
        packet.header.extent = extent;
        tape.packet(&packet);
    }
    let report = tape.finish().decode(folder.path());
    assert_eq!((report.received, report.delivered, report.lost_count()), (4, 2, 2));
    assert!(report.lost_names[0].1.contains("24x0"), "{:?}", report.lost_names);
    assert_eq!(names(folder.path()), ["x-000000.ppm", "x-000003.ppm"]);
}

#[test]
fn sound_that_no_file_can_hold_is_lost_and_leaves_no_file() {
    let bundle = audio_bundle(1);
    let good = packets(&bundle, &sound(300, 1, 8000, 1), 1, 300).remove(0);
    // Another number of channels than the header says, none at all, too many, too fast, too long.
    for (layout, channels, extent) in [
        (RATE, 1, [2, 300]),
        (RATE, 1, [0, 300]),
        (RATE, 65, [65, 300]),
        (Layout::Audio { rate: 3_072_001 }, 1, [1, 300]),
        (RATE, 1, [1, (1 << 21) + 1]),
        (RATE, 64, [64, (1 << 15) + 1]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut bad = good.clone();
        bad.header.extent = extent;
        bad.header.lengths.clear();
        bad.payload = Box::default();
        bad.header.lengths = vec![0, 0];
        let mut tape = Tape::new(bundle.clone());
        tape.header(1, layout, channels).packet(&bad);
        let report = tape.decode(folder.path());
        assert_eq!((report.delivered, report.lost_count()), (0, 1), "{layout:?} {extent:?}");
        assert!(names(folder.path()).is_empty());
        // It spoils nothing for the good one after it.
        let report = tape.header(1, RATE, 1).packet(&good).finish().decode(folder.path());
        assert_eq!((report.delivered, report.lost_count()), (1, 1), "{layout:?} {extent:?}");
        assert_eq!(steps(folder.path(), "x.wav"), 300);
    }
}

#[test]
fn a_header_of_the_other_kind_is_refused() {
    for (bundle, frame, layout, channels) in [
        (image_bundle(), picture(16, 24, 1), RATE, 16),
        (audio_bundle(1), sound(300, 1, 8000, 1), Layout::Gray, 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let good = packets(&bundle, &frame, 0, 300).remove(0);
        let mut tape = Tape::new(bundle);
        let report = tape.header(0, layout, channels).packet(&good).decode(folder.path());
        assert_eq!((report.delivered, report.lost_count()), (0, 1));
        assert!(report.lost_names[0].1.contains("codes"), "{:?}", report.lost_names);
    }
}

#[test]
fn no_output_is_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = image_bundle();
    let mut tape = Tape::new(bundle.clone());
    for (stream, index) in [(0, 0), (0, 1), (0, 1), (0, 1), (1, 1), (7, 1)] {
        let mut packet = packets(&bundle, &picture(8, 8, 1), stream, 0).remove(0);
        packet.stamp.index = index;
        tape.header(stream, Layout::Rgb, 3).packet(&packet);
    }
    let report = tape.finish().decode(folder.path());
    assert_eq!(report.delivered, 6);
    let expected = ["000000", "000001-2", "000001-3", "000001", "1-000001", "7-000001"];
    assert_eq!(names(folder.path()), expected.map(|n| format!("x-{n}.ppm")));
}

#[test]
fn each_sound_has_its_own_file_though_streams_alternate() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = audio_bundle(1);
    let lengths = [(0, 700), (1, 500), (2, 300)];
    let sounds = lengths.map(|(stream, n)| packets(&bundle, &sound(n, 1, 8000, 1), stream, 100));
    let mut tape = Tape::new(bundle.clone());
    for (stream, _) in lengths {
        tape.header(stream, RATE, 1);
    }
    for i in 0..7 {
        for packet in sounds.iter().filter_map(|s| s.get(i)) {
            tape.packet(packet);
        }
    }
    // Again after its end, and at another rate before its end.
    for packet in &sounds[1] {
        tape.packet(packet);
    }
    tape.packet(&sounds[2][0]).header(2, Layout::Audio { rate: 16000 }, 1);
    for packet in &sounds[2] {
        tape.packet(packet);
    }
    let report = tape.finish().decode(folder.path());
    assert_eq!(report.lost_count(), 0, "{:?}", report.lost_names);
    let expected = ["x-1-2.wav", "x-1.wav", "x-2-2.wav", "x-2-3.wav", "x-2.wav", "x.wav"];
    assert_eq!(names(folder.path()), expected);
    let found = expected.map(|name| steps(folder.path(), name));
    assert_eq!((found[0], found[1], found[3], found[4], found[5]), (500, 500, 300, 300, 700));
}

#[test]
fn a_second_sound_in_one_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = audio_bundle(1);
    let mut tape = Tape::new(bundle.clone());
    for stream in [1, 2] {
        let packet = packets(&bundle, &sound(300, 1, 8000, 1), stream, 300).remove(0);
        tape.header(stream, RATE, 1).packet(&packet);
    }
    let one = folder.path().join("one.wav");
    let error = tape.finish().decode_to(folder.path(), Frames::file(&one, WavDepth::I16));
    assert!(error.unwrap_err().to_string().contains("-o out/"));
    assert_eq!(read(&one, &Default::default()).unwrap().frame.extent[0], 300);
}

#[test]
fn silence_for_gaps_is_bounded_over_all_streams() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = audio_bundle(1);
    let mut tape = Tape::new(bundle.clone());
    for stream in [1, 2] {
        let mut packet = packets(&bundle, &sound(300, 1, 8000, 1), stream, 300).remove(0);
        packet.header.span.position = (1 << 24) / 32 + 1;
        tape.header(stream, RATE, 1).packet(&packet);
    }
    let report = tape.finish().decode(folder.path());
    assert_eq!((report.delivered, report.incomplete), (2, 2));
    assert!(steps(folder.path(), "x.wav") > 1 << 24);
    assert_eq!(steps(folder.path(), "x-2.wav"), 300);
}

#[test]
fn positions_are_bounded() {
    let bundle = audio_bundle(1);
    let mut packet = packets(&bundle, &sound(300, 1, 8000, 1), 1, 300).remove(0);
    for (position, delivered) in [(1 << 48, 1), ((1 << 48) + 1, 0)] {
        let folder = tempfile::tempdir().unwrap();
        packet.header.span.position = position;
        let mut tape = Tape::new(bundle.clone());
        let report = tape.header(1, RATE, 1).packet(&packet).finish().decode(folder.path());
        assert_eq!((report.delivered, report.lost_count()), (delivered, 1 - delivered));
    }
}

#[test]
fn a_sound_that_is_cut_gives_every_step_of_its_packets() {
    let bundle = audio_bundle(2);
    let all = packets(&bundle, &sound(4000, 2, 8000, 1), 1, 500);
    // Nothing, some of the last groups, all but the head of the last packet.
    for (cut, left) in [(0, 5), (9, 5), (all[4].payload.len(), 4)] {
        let folder = tempfile::tempdir().unwrap();
        let mut tape = Tape::new(bundle.clone());
        tape.header(1, RATE, 2);
        for packet in &all[..5] {
            tape.packet(packet);
        }
        tape.bytes.truncate(tape.bytes.len() - cut);
        let report = tape.decode(folder.path());
        let coded: usize = all[..left].iter().map(|p| p.header.extent[1]).sum();
        assert_eq!(steps(folder.path(), "x.wav"), coded);
        assert_eq!(names(folder.path()), ["x.wav"]);
        assert!(report.incomplete > 0 && report.in_flight() == 0, "{report:?}");
    }
}

#[test]
fn streams_of_another_codec_are_lost_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, other) = (audio_bundle(1), audio_bundle(2));
    let good = packets(&bundle, &sound(300, 1, 8000, 1), 1, 300).remove(0);
    let foreign = packets(&other, &sound(300, 2, 8000, 1), 2, 300).remove(0);
    let mut tape = Tape::new(bundle.clone());
    tape.header(1, RATE, 1);
    tape.bundle = other.clone();
    tape.header(2, RATE, 2);
    tape.bundle = bundle;
    let report = tape.packet(&foreign).packet(&good).finish().decode(folder.path());
    assert_eq!((report.delivered, report.lost_count()), (1, 1));
    assert!(report.lost_names[0].1.contains(&other.codec_id().to_string()));
}

#[test]
fn the_first_packet_with_a_header_tells_the_codec() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = audio_bundle(1);
    let packet = |stream| packets(&bundle, &sound(300, 1, 8000, 1), stream, 300).remove(0);
    let mut tape = Tape::new(bundle.clone());
    tape.header(1, RATE, 1).packet(&packet(9)).packet(&packet(1)).finish();
    let path = folder.path().join("x.tamis");
    std::fs::write(&path, &tape.bytes).unwrap();
    let mut source = Files::packets(vec![path]);
    let seen = source.peek().unwrap().unwrap();
    assert_eq!(seen.header.as_ref().unwrap().codec, bundle.codec_id());
    assert_eq!(seen.stamp.stream, 1);
}

#[test]
fn sound_without_channels_spoils_no_decoder() {
    let bundle = audio_bundle(1);
    let good = Encoder::new(bundle.clone(), 32, Quality::DEFAULT)
        .and_then(|mut e| e.push(&sound(300, 1, 8000, 1), true))
        .unwrap();
    let mut none = good.clone();
    (none.grid, none.extent, none.values) = (vec![0, 10], vec![0, 300], Vec::new());
    let mut decoder = Decoder::new(bundle, 32);
    assert!(decoder.push(&none, RATE).is_err() && decoder.push(&good, Layout::Gray).is_err());
    assert!(!decoder.is_open());
    assert_eq!(decoder.push(&good, RATE).unwrap().extent, [300]);
}

/// Packets that claim the largest picture there is.
struct Large(u32);

impl Source for Large {
    fn makes(&self) -> Parts {
        Parts::PACKET
    }

    fn next(&mut self) -> tamis::Result<Option<Item>> {
        if self.0 == 0 {
            return Ok(None);
        }
        self.0 -= 1;
        let mut packet = packets(&image_bundle(), &picture(8, 8, 1), 0, 0).remove(0);
        packet.header.extent = [10_000, 10_000];
        Ok(Some(Item { packet: Some(packet), ..Item::default() }))
    }
}

/// Sees how many it is given at once.
struct Slow;

impl Stage for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn needs(&self) -> Parts {
        Parts::PACKET
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> tamis::Result<()> {
        assert_eq!(batch.len(), 1, "large pictures wait for each other");
        std::thread::sleep(std::time::Duration::from_millis(30));
        Ok(())
    }
}

#[test]
fn large_pictures_do_not_queue() {
    let line = Pipeline::new(Box::new(Large(6)), vec![Box::new(Slow)], Vec::new(), 8).unwrap();
    let report = line.run(&GO, |_, _| ()).unwrap();
    assert_eq!((report.delivered, report.in_flight()), (6, 0));
}

#[test]
fn many_open_sounds_are_bounded_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = audio_bundle(1);
    let mut tape = Tape::new(bundle.clone());
    for stream in 0..40 {
        let begun = packets(&bundle, &sound(800, 1, 8000, 1), stream, 400).remove(0);
        tape.header(stream, RATE, 1).packet(&begun);
    }
    let report = tape.finish().decode(folder.path());
    // The sounds still open at the end give their rest; the others say what they lack.
    assert_eq!((report.delivered, report.lost_count()), (40 + OPEN as u64, 0));
    assert_eq!(report.incomplete, 40);
    assert_eq!(names(folder.path()).len(), 40);
}
