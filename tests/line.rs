//! The line: configs, accounting, and results that depend on neither batches nor threads.

#![cfg(feature = "pipeline")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tamis::bitstream::{Coder, Event, Packet};
use tamis::codec::{Bundle, Frame, Kind, Quality, Samples, Stamp};
use tamis::pipeline::config::{Config, Place};
use tamis::pipeline::media::{WavDepth, encode_png, encode_wav};
use tamis::pipeline::sinks::Container;
use tamis::pipeline::stages::{Encode, Every, Pack, resize};
use tamis::pipeline::{
    Full, Gone, Item, Ledger, Live, Parts, Pipeline, Report, Sink, Source, Stage,
};
use tamis::signal::Ends;

static GO: AtomicBool = AtomicBool::new(false);

fn run(config: &str) -> tamis::Result<Report> {
    let config = Config::parse(config, "test.toml")?;
    config.streams[0].build(&Place::default())?.run(&GO, |_, _| ())
}

fn error(config: &str) -> String {
    Config::parse(config, "test.toml").unwrap_err().to_string()
}

const SCENE: &str = "[source]\nkind = \"scene\"\nwidth = 96\nheight = 64\nframes = 12\n";

#[test]
fn batches_never_change_a_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for batch in [1, 3, 64] {
        let path = folder.path().join(format!("{batch}.tamis"));
        let text = format!(
            "batch = {batch}\n{SCENE}[codec]\nbundle = \"rgb\"\nquality = 60\n[[sink]]\nkind = \"container\"\npath = {path:?}\n"
        );
        let report = run(&text).unwrap();
        assert_eq!((report.received, report.delivered, report.in_flight()), (12, 12, 0));
        files.push(std::fs::read(path).unwrap());
    }
    assert!(files.windows(2).all(|w| w[0] == w[1]));
}

#[test]
fn configs_choose_size_and_coder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tamis");
    let sink = format!("[[sink]]\nkind = \"container\"\npath = {path:?}\n");
    let packets = |codec: &str| {
        run(&format!("{SCENE}[codec]\nbundle = \"rgb\"\n{codec}\n{sink}")).unwrap();
        let (events, _) = common::events(&std::fs::read(&path).unwrap(), 999).unwrap();
        let packets: Vec<Packet> = events
            .into_iter()
            .filter_map(|e| if let Event::Packet(p) = e { Some(p) } else { None })
            .collect();
        assert_eq!(packets.len(), 12);
        packets
    };
    let pixels = 96.0 * 64.0;
    for packet in packets("bpp = 0.8") {
        let bpp = packet.bytes() as f64 * 8.0 / pixels;
        assert!((bpp / 0.8 - 1.0).abs() < 0.03, "{bpp}");
    }
    let bits = |p: Vec<Packet>| p.iter().map(|p| p.bytes() as f64 * 8.0).sum::<f64>();
    // 12 pictures at 30 a second: too short to spend all that was saved.
    let rate = bits(packets("bitrate = 120")) / 0.4 / 1000.0;
    assert!((90.0..126.0).contains(&rate), "{rate}");
    let fast = packets("coder = \"fast\"\nquality = 50");
    assert!(fast.iter().all(|p| p.header.coder == Coder::Fast && p.header.quality.value() == 50));
    let alone = |p: &[Packet]| p.iter().filter(|p| p.header.continues.is_none()).count();
    assert_eq!(alone(&packets("keys = 1")), 12);
    assert!(alone(&packets("")) < 12);
}

#[test]
fn stages_are_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{SCENE}[[stage]]\nkind = \"every\"\nn = 3\n[[stage]]\nkind = \"crop\"\nleft = 8\ntop = 0\nwidth = 50\nheight = 40\n\
         [[stage]]\nkind = \"resize\"\nwidth = 30\nheight = 20\n[codec]\nbundle = \"rgb\"\n[[sink]]\nkind = \"frames\"\nfolder = {:?}\n",
        folder.path()
    );
    let report = run(&text).unwrap();
    assert_eq!((report.received, report.delivered, report.dropped["every"]), (12, 4, 8));
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 4);
    let png = std::fs::read(folder.path().join("frame-000003.png")).unwrap();
    let frame = tamis::pipeline::media::read_image(&png, "png", &Default::default()).unwrap().frame;
    assert_eq!(frame.extent, [20, 30]);
}

#[test]
fn bad_files_are_lost_and_named_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (i, name) in ["a.png", "c.png"].iter().enumerate() {
        std::fs::write(at(name), encode_png(&common::picture(30, 20, i as u64)).unwrap()).unwrap();
    }
    std::fs::write(at("b.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
    let wav = encode_wav(&common::sound(500, 1, 8000, 1), WavDepth::I16).unwrap();
    std::fs::write(at("d.wav"), wav).unwrap();
    let out = folder.path().join("out.tamis");
    let text = format!(
        "[source]\nkind = \"files\"\npaths = [{:?}]\n[codec]\nbundle = \"rgb\"\n[[sink]]\nkind = \"container\"\npath = {out:?}\n",
        folder.path()
    );
    let report = run(&text).unwrap();
    // The sound cannot be coded by `rgb`; the folder is looked at before out.tamis is made in it.
    assert_eq!(report.delivered, 2);
    assert_eq!(report.lost["unreadable"], 1);
    assert_eq!(report.lost["encode"], 1);
    assert_eq!(report.received, 4);
    assert!(report.lost_names.iter().any(|(name, _)| name.ends_with("b.png")));
}

#[test]
fn configs_are_refused_with_line_and_hint() {
    let codec = "[codec]\nbundle = \"rgb\"\n";
    let sink = "[[sink]]\nkind = \"container\"\npath = \"x\"\n";
    let typo = format!("{SCENE}[codec]\nbundle = \"rgb\"\nqualty = 3\n{sink}");
    let e = error(&typo);
    assert!(e.starts_with("test.toml:8:") && e.contains("did you mean `quality`"), "{e}");
    assert!(error(&format!("{SCENE}{codec}")).contains("sink"));
    assert!(error(&format!("{SCENE}[codec]\nbundle = \"nix\"\n{sink}")).contains("nix"));
    let e = error(&format!("{SCENE}{codec}quality = 101\n{sink}"));
    assert!(e.contains("codec.quality") && e.contains("101"), "{e}");
    assert!(error(&format!("{SCENE}{codec}channels = 7\n{sink}")).contains("codec.channels"));
    for (typed, said) in [
        ("quality = 50\nbpp = 1", "exclude each other"),
        ("bpp = 1\nbitrate = 9", "exclude each other"),
        ("bpp = 0", "codec.bpp: 0"),
        ("bitrate = nan", "codec.bitrate: NaN"),
        ("keys = 0", "codec.keys"),
        ("coder = \"quick\"", "fast"),
    ] {
        let e = error(&format!("{SCENE}{codec}{typed}\n{sink}"));
        assert!(e.contains(said), "{typed}: {e}");
    }
    let e = error(&format!("{SCENE}[[stage]]\nkind = \"evry\"\nn = 2\n{codec}{sink}"));
    assert!(e.contains("did you mean `every`"), "{e}");
    let json = "[[sink]]\nkind = \"json\"\npath = \"-\"\n";
    assert!(error(&format!("{SCENE}{codec}{json}")).contains("head"));
}

struct Nothing;

impl Source for Nothing {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }

    fn next(&mut self) -> tamis::Result<Option<Item>> {
        Ok(None)
    }
}

#[test]
fn a_stage_whose_needs_nobody_makes_is_refused() {
    let bundle = common::image_bundle();
    let pack: Box<dyn Stage> = Box::new(Pack::new(bundle));
    let e = Pipeline::new(Box::new(Nothing), vec![pack], Vec::new(), 1).err().unwrap().to_string();
    assert!(e.contains("pack") && e.contains("latent"), "{e}");
}

/// Gives items for ever.
struct Endless(u64);

impl Source for Endless {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }

    fn next(&mut self) -> tamis::Result<Option<Item>> {
        self.0 += 1;
        let stamp = Stamp { index: self.0, ..Stamp::default() };
        Ok(Some(Item::new(stamp, "endless", common::picture(8, 8, 1))))
    }
}

/// Fails at its fifth item.
struct FullDisk(u64);

impl Sink for FullDisk {
    fn needs(&self) -> Parts {
        Parts::FRAME
    }

    fn write(&mut self, _: &Item) -> tamis::Result<()> {
        self.0 += 1;
        match self.0 {
            5 => Err(tamis::Error::io("disk", std::io::ErrorKind::StorageFull.into())),
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> tamis::Result<()> {
        panic!("it failed, so what it holds is not whole")
    }
}

#[test]
fn a_failing_sink_ends_an_endless_line() {
    let line =
        Pipeline::new(Box::new(Endless(0)), Vec::new(), vec![Box::new(FullDisk(0))], 4).unwrap();
    let mut last = 0;
    let e = line.run(&GO, |ledger, _| last = ledger.progress().1).unwrap_err().to_string();
    assert!(e.contains("disk"), "{e}");
    assert_eq!(last, 4);
}

#[test]
fn a_line_that_is_stopped_delivers_what_it_received() {
    let stop = AtomicBool::new(false);
    let every: Box<dyn Stage> = Box::new(Every::new(2).unwrap());
    let line = Pipeline::new(Box::new(Endless(0)), vec![every], Vec::new(), 4).unwrap();
    let report = line
        .run(&stop, |ledger, _| {
            if ledger.progress().0 >= 100 {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        })
        .unwrap();
    assert!(report.received >= 100);
    assert_eq!(report.in_flight(), 0);
    assert_eq!(report.received, report.delivered + report.dropped["every"]);
}

struct Panics;

impl Stage for Panics {
    fn name(&self) -> &str {
        "panics"
    }

    fn needs(&self) -> Parts {
        Parts::NONE
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, _: &mut [Item]) -> tamis::Result<()> {
        panic!("on purpose")
    }
}

#[test]
fn a_stage_that_panics_ends_its_line_with_an_error() {
    let line = Pipeline::new(Box::new(Endless(0)), vec![Box::new(Panics)], Vec::new(), 1).unwrap();
    let e = line.run(&GO, |_, _| ()).unwrap_err().to_string();
    assert!(e.contains("on purpose"), "{e}");
}

/// What takes its time.
struct Slow(Duration);

impl Stage for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn needs(&self) -> Parts {
        Parts::NONE
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, _: &mut [Item]) -> tamis::Result<()> {
        std::thread::sleep(self.0);
        Ok(())
    }
}

/// A source that gives some items and then says nothing for a minute.
struct Silent(u64);

impl Source for Silent {
    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn next(&mut self) -> tamis::Result<Option<Item>> {
        if self.0 == 0 {
            std::thread::sleep(Duration::from_secs(60));
        }
        self.0 -= 1;
        Ok(Some(Item::default()))
    }
}

fn live(full: Full) -> Live {
    let (hang, drain) = (Duration::from_millis(400), Duration::from_millis(300));
    Live { stop: Arc::default(), ledger: Arc::new(Ledger::default()), full, hang, drain }
}

#[test]
fn a_live_line_drops_the_oldest_and_counts_them() {
    let live = live(Full::DropOldest);
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(Slow(Duration::from_millis(5)))];
    let line = Pipeline::new(Box::new(Endless(0)), stages, Vec::new(), 1).unwrap();
    let (stop, mut newest) = (live.stop.clone(), 0);
    let report = line
        .run_live(&live, |ledger, item| {
            let report = ledger.report();
            assert_eq!(report.unaccounted(), 0);
            newest = item.stamp.index;
            if report.delivered >= 30 {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        })
        .unwrap();
    assert!(report.dropped["queue_full"] > report.delivered, "{report:?}");
    assert_eq!((report.in_flight(), report.unaccounted()), (0, 0));
    assert!(newest + 100 > report.received, "the newest are kept");
}

#[test]
fn a_stage_that_hangs_costs_its_line_in_time() {
    let live = live(Full::Wait);
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(Slow(Duration::from_secs(60)))];
    let line = Pipeline::new(Box::new(Endless(0)), stages, Vec::new(), 1).unwrap();
    let begin = Instant::now();
    let e = line.run_live(&live, |_, _| ()).unwrap_err().to_string();
    assert!(e.contains("hangs") && begin.elapsed() < Duration::from_secs(5), "{e}");
    let report = live.ledger.report();
    assert!(report.lost["hung"] > 0);
    assert_eq!((report.in_flight(), report.unaccounted()), (0, 0));
}

#[test]
fn a_silent_source_is_not_waited_for() {
    let live = live(Full::DropOldest);
    let line = Pipeline::new(Box::new(Silent(3)), Vec::new(), Vec::new(), 1).unwrap();
    let stop = live.stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let begin = Instant::now();
    let report = line.run_live(&live, |_, _| ()).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(report.delivered == 3 && report.unread);
}

#[test]
fn resize_keeps_flat_pictures_flat_and_means_equal() {
    let flat = tamis::codec::Frame::rgb(7, 5, vec![77; 105]).unwrap();
    for (h, w) in [(1, 1), (3, 9), (14, 10), (7, 5)] {
        let Samples::U8(v) = resize(&flat, h, w).unwrap().samples else { panic!("8-bit") };
        assert!(v.len() == h * w * 3 && v.iter().all(|&x| x == 77), "{h}x{w}");
    }
    assert!(resize(&flat, 0, 4).is_err());
}

fn sound_item(stream: u32, end: bool) -> Item {
    let stamp = Stamp { stream, ..Stamp::default() };
    Item { end, ..Item::new(stamp, "sound", common::sound(200, 1, 8000, 1)) }
}

#[test]
fn every_refuses_sound() {
    let mut items = [sound_item(1, false), sound_item(1, true)];
    Every::new(2).unwrap().run(&mut items).unwrap();
    for item in items {
        assert!(matches!(item.gone, Some(Gone::Lost("every", _))), "{:?}", item.gone);
    }
}

#[test]
fn a_sound_without_an_end_does_not_run_on_into_the_next() {
    let bundle = common::audio_bundle(1);
    let new = || Encode::new(bundle.clone(), 32, Quality::DEFAULT).unwrap();
    let mut items = [sound_item(1, false), sound_item(2, true)];
    new().run(&mut items).unwrap();
    let mut alone = [sound_item(2, true)];
    new().run(&mut alone).unwrap();
    assert_eq!(items[1].latent, alone[0].latent);
}

#[test]
fn a_gray_bundle_refuses_colours_and_any_bundle_takes_gray() {
    let gray = Bundle::new(common::identity(Kind::Image, 1, 2, Ends::Mirror)).unwrap();
    let mut encode = Encode::new(gray.into(), 16, Quality::DEFAULT).unwrap();
    let flat = Frame::new(tamis::codec::Layout::Gray, 1, vec![4, 4], Samples::U8(vec![9; 16]));
    let frames = [common::picture(4, 4, 1), flat.unwrap()];
    let mut items = frames.map(|f| Item::new(Stamp::default(), "picture", f));
    encode.run(&mut items).unwrap();
    let Some(Gone::Lost(_, why)) = &items[0].gone else { panic!("{:?}", items[0].gone) };
    assert!(why.contains("codes 1") && why.contains("have 3"), "{why}");
    assert!(items[1].latent.is_some());
}

/// Headers that a recording of these items holds.
fn headers(bundle: std::sync::Arc<Bundle>, mut items: Vec<Item>) -> usize {
    let all = bundle.channels();
    Encode::new(bundle.clone(), all, Quality::DEFAULT).unwrap().run(&mut items).unwrap();
    Pack::new(bundle).run(&mut items).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tamis");
    let mut sink = Container::new(std::fs::File::create(&path).unwrap(), &path);
    items.iter().try_for_each(|item| sink.write(item)).unwrap();
    sink.finish().unwrap();
    std::fs::read(&path).unwrap().windows(4).filter(|w| w == b"\xD5tmH").count()
}

#[test]
fn headers_of_ended_streams_are_not_repeated() {
    let ended = (0..600).map(|stream| sound_item(stream, true));
    // Each twice where it begins; the last repeated before packets 608, 640 ... 768.
    let long = (0..200).map(|_| sound_item(600, false));
    assert_eq!(headers(common::audio_bundle(1), ended.chain(long).collect()), 2 * 601 + 6);
    // Each picture is the last of its file, not of its stream.
    let picture = || Item::new(Stamp::default(), "picture", common::picture(8, 8, 1));
    let pictures = (0..3).map(|_| Item { end: true, ..picture() }).collect();
    assert_eq!(headers(common::image_bundle(), pictures), 2);
}

#[test]
fn configs_that_cannot_work_are_refused() {
    let sink = "[[sink]]\nkind = \"container\"\npath = \"x\"\n";
    let with = |source: &str, bundle: &str| {
        error(&format!("[source]\n{source}\n[codec]\nbundle = \"{bundle}\"\n{sink}"))
    };
    let scene = "kind = \"scene\"\nframes = 1";
    let tone = "kind = \"tone\"\nseconds = 1";
    let video = "kind = \"stdin\"\nraw = { kind = \"video\", height = 4, width = ";
    let audio = "kind = \"stdin\"\nraw = { kind = \"audio\", rate = 8000, channels = ";
    let files = "kind = \"files\"\npaths = [\"a\"]\nresample = ";
    for (source, bundle, words) in [
        (scene, "stereo", "codec.bundle"),
        ("kind = \"scene\"\nframes = 0", "rgb", "source.frames"),
        (&format!("{scene}\nfps = 1e-300"), "rgb", "source.fps"),
        (&format!("{scene}\nfps = 1e7"), "rgb", "source.fps"),
        (&format!("{scene}\nfps = nan"), "rgb", "source.fps"),
        (&format!("{scene}\nwidth = 1000000\nheight = 1000000"), "rgb", "source"),
        (tone, "rgb", "codes pictures"),
        (&format!("{tone}\nchannels = 3"), "stereo", "codec.bundle"),
        (&format!("{tone}\nchannels = 65"), "mono", "65 channels"),
        (&format!("{tone}\nrate = 0"), "mono", "sample rate 0"),
        ("kind = \"tone\"\nseconds = 1e300", "mono", "source.seconds"),
        ("kind = \"tone\"\nseconds = 1e-9", "mono", "source.seconds"),
        (&format!("{video}0 }}"), "rgb", "source.raw"),
        (&format!("{video}4 }}"), "mono", "codes sound"),
        (&format!("{audio}3 }}"), "stereo", "codec.bundle"),
        (&format!("{audio}0 }}"), "mono", "0 channels"),
        (&format!("{files}0"), "mono", "source.resample"),
        (&format!("{files}4000000"), "mono", "source.resample"),
    ] {
        let e = with(source, bundle);
        assert!(e.contains(words), "{source}: {e}");
    }
    let codec = "[codec]\nbundle = \"rgb\"\n";
    for (more, words) in [
        ("[[sink]]\nkind = \"container\"\npath = \"./x\"\n", "named twice"),
        ("[[sink]]\nkind = \"frames\"\nfolder = \"x/\"\n", "named twice"),
        ("[[stage]]\nkind = \"resize\"\nwidth = 1000000\nheight = 1000000\n", "pixels"),
    ] {
        let e = error(&format!("{SCENE}{codec}{sink}{more}"));
        assert!(e.contains(words), "{more}: {e}");
    }
    let every = "[[stage]]\nkind = \"every\"\nn = 2\n";
    let e = error(&format!("[source]\n{tone}\n{every}[codec]\nbundle = \"mono\"\n{sink}"));
    assert!(e.contains("works on pictures"), "{e}");
}

#[cfg(unix)]
#[test]
fn a_config_without_end_is_refused() {
    let e = Config::open(std::path::Path::new("/dev/zero")).unwrap_err();
    assert!(matches!(e, tamis::Error::Config { .. }), "{e}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    for bytes in [vec![b'#'; (1 << 20) + 1], vec![b'#', 0xFF]] {
        std::fs::write(&path, bytes).unwrap();
        let e = Config::open(&path).unwrap_err();
        assert!(matches!(e, tamis::Error::Config { .. }), "{e}");
    }
}

#[test]
fn a_scene_of_any_rate_plays() {
    for rate in [0.0, f64::NAN, f64::INFINITY, 1e-300] {
        let scene = tamis::pipeline::sources::synthetic::Scene::new(8, 8, 1);
        let mut source = tamis::pipeline::sources::SceneSource::new(scene, 2, rate);
        assert!(source.next().unwrap().is_some() && source.next().unwrap().is_some());
    }
}
