//! Pipelines of GStreamer with the elements, beside the program `tamis`.

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use common::*;
use gst::prelude::*;

const SIZE: &str = "width=320,height=240,framerate=25/1";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A recording of so many moving pictures in `dir`, and their samples beside it.
fn record(dir: &Path, pictures: usize, settings: &str) -> String {
    let (raw, recording) = (text(&dir.join("in.rgb")), text(&dir.join("x.tamis")));
    play_silently(&format!(
        "videotestsrc pattern=ball num-buffers={pictures} ! video/x-raw,format=RGB,{SIZE} ! tee name=t \
         ! queue ! tamisenc {settings} ! filesink location={recording} t. ! queue ! filesink location={raw}"
    ));
    recording
}

#[test]
fn what_is_written_is_what_the_tool_writes() {
    let dir = folder();
    let recording = record(dir.path(), 70, "");
    let tool = text(&dir.path().join("tool.tamis"));
    let raw = std::fs::File::open(dir.path().join("in.rgb")).expect("the samples");
    output(
        tamis()
            .args([
                "encode",
                "-",
                "--raw-video",
                "320x240:rgb24",
                "--fps",
                "25",
                "--coder",
                "fast",
                "-o",
                &tool,
            ])
            .stdin(raw),
    );
    let (ours, tool) = (std::fs::read(&recording), std::fs::read(&tool));
    assert!(ours.expect("ours") == tool.expect("the tool's"), "the recordings differ");
    let info = output(tamis().args(["info", "--json", &recording]));
    let info = String::from_utf8_lossy(&info);
    for part in ["\"packets\":70", "\"incomplete\":false", "\"lost\":0", "\"extent\":[240,320]"] {
        assert!(info.contains(part), "{part} is not in {info}");
    }
}

#[test]
fn pictures_are_those_of_the_tool() {
    let dir = folder();
    let recording = record(dir.path(), 40, "");
    for (name, settings, arguments) in [
        ("all", "", &[][..]),
        ("groups", "groups=2", &["--groups", "2"][..]),
        ("channels", "channels=12", &["--channels", "12"][..]),
    ] {
        let (ours, tool) =
            (dir.path().join(format!("{name}-o")), dir.path().join(format!("{name}-t")));
        std::fs::create_dir(&ours).expect("a folder");
        play_silently(&format!(
            "filesrc location={recording} ! tamisparse ! tamisdec {settings} ! video/x-raw,format=RGB \
             ! multifilesink location={}/%05d.rgb",
            ours.display()
        ));
        let to = format!("{}/", tool.display());
        output(
            tamis().args(["decode", &recording, "--preview", "--ppm", "-o", &to]).args(arguments),
        );
        let (ours, tool) = (bodies(&ours, |b| b), ppm_bodies(&tool, 320 * 240 * 3));
        assert_eq!((ours.len(), tool.len()), (40, 40));
        assert!(ours == tool, "{name}: the pictures differ");
    }
}

#[test]
fn every_format_of_any_size_is_read() {
    for format in ["RGB", "GRAY8", "NV12", "YUY2"] {
        for colorimetry in ["", ",colorimetry=bt709", ",colorimetry=1:4:7:1"] {
            for (width, height) in [(64, 48), (99, 53), (1, 1), (17, 30)] {
                // Of a row that ends in half a pair videotestsrc leaves a byte as it finds it.
                let width = if format == "YUY2" { width + width % 2 } else { width };
                let dir = folder();
                let (a, b) = (text(&dir.path().join("a")), text(&dir.path().join("b")));
                let out = if format == "GRAY8" { "GRAY8" } else { "RGB" };
                let yuv = !matches!(format, "RGB" | "GRAY8");
                if !colorimetry.is_empty() && !yuv {
                    continue;
                }
                play_silently(&format!(
                    "videotestsrc pattern=gradient num-buffers=2 ! \
                     video/x-raw,format={format},width={width},height={height}{colorimetry} ! tee name=t \
                     ! queue ! tamisenc quality=90 ! tamisdec ! video/x-raw,format={out} ! filesink location={a} \
                     t. ! queue ! videoconvert ! video/x-raw,format={out} ! filesink location={b}"
                ));
                let (a, b) = (std::fs::read(&a).expect("a"), std::fs::read(&b).expect("b"));
                let row: usize = width * if out == "RGB" { 3 } else { 1 };
                let stride = row.next_multiple_of(4);
                assert_eq!(a.len(), 2 * stride * height, "{format} {width}x{height}");
                // What stands between the rows is nobody's.
                let rows = |b: &[u8]| b.chunks(stride).flat_map(|r| r[..row].to_vec()).collect();
                let (a, b): (Vec<u8>, Vec<u8>) = (rows(&a), rows(&b));
                let psnr = psnr_db(&a, &b);
                assert!(psnr > 32.0, "{format}{colorimetry} {width}x{height}: {psnr:.1} dB");
            }
        }
    }
}

#[test]
fn caps_may_change_in_mid_stream() {
    let dir = folder();
    let recording = text(&dir.path().join("x.tamis"));
    let p = pipeline(&format!(
        "concat name=c ! tamisenc ! tee name=t ! queue ! tamisdec name=d ! fakesink \
         t. ! queue ! filesink location={recording} \
         videotestsrc num-buffers=5 ! video/x-raw,format=RGB,width=320,height=240 ! c. \
         videotestsrc num-buffers=5 ! video/x-raw,format=RGB,width=64,height=48 ! c. \
         videotestsrc num-buffers=5 ! video/x-raw,format=GRAY8,width=64,height=48 ! c."
    ));
    let pad = p.by_name("d").and_then(|d| d.static_pad("src")).expect("a pad");
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mine = seen.clone();
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(event) = info.event()
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(s) = caps.caps().structure(0)
        {
            let side = |name| s.get::<i32>(name).unwrap_or(0);
            let format = s.get::<String>("format").unwrap_or_default();
            mine.lock().expect("no panic").push((format, side("width"), side("height")));
        }
        gst::PadProbeReturn::Ok
    });
    let pictures = count(&p, "d");
    play(&p).assert_silent();
    assert_eq!(pictures.load(Ordering::SeqCst), 15);
    let expected = [("RGB", 320, 240), ("RGB", 64, 48), ("GRAY8", 64, 48)];
    assert_eq!(*seen.lock().expect("no panic"), expected.map(|(f, w, h)| (f.to_owned(), w, h)));
    // And from the recording of it.
    let p = pipeline(&format!(
        "filesrc location={recording} ! tamisparse ! tamisdec name=d ! fakesink"
    ));
    let pictures = count(&p, "d");
    play(&p).assert_silent();
    assert_eq!(pictures.load(Ordering::SeqCst), 15);
    output(tamis().args(["info", &recording]));
}

#[test]
fn what_is_cut_midway_gives_what_is_there_and_says_so() {
    let dir = folder();
    let recording = record(dir.path(), 40, "");
    let bytes = std::fs::read(&recording).expect("a recording");
    let cut = text(&dir.path().join("cut.tamis"));
    std::fs::write(&cut, &bytes[..bytes.len() * 6 / 10]).expect("room");
    let p = pipeline(&format!(
        "filesrc location={cut} ! tamisparse name=p ! tamisdec name=d ! fakesink"
    ));
    let pictures = count(&p, "d");
    let said = play(&p);
    let n = pictures.load(Ordering::SeqCst);
    assert!((10..40).contains(&n), "{n} pictures");
    assert!(said.errors.is_empty(), "{said:?}");
    assert!(!said.warnings.is_empty() && !said.losses.is_empty(), "{said:?}");
    let words = format!("{:?}", said.losses);
    assert!(words.contains("ends without an index"), "{words}");
}

#[test]
fn damage_costs_what_is_damaged_and_is_counted() {
    let dir = folder();
    let recording = record(dir.path(), 40, "keys=1");
    let mut bytes = std::fs::read(&recording).expect("a recording");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 50].iter_mut().for_each(|b| *b = !*b);
    let damaged = text(&dir.path().join("damaged.tamis"));
    let again = text(&dir.path().join("again.tamis"));
    std::fs::write(&damaged, &bytes).expect("room");
    for blocksize in [13, 1000, 65536] {
        let p = pipeline(&format!(
            "filesrc location={damaged} blocksize={blocksize} ! queue ! tamisparse name=p ! tee name=t \
             ! queue ! tamisdec name=d ! fakesink t. ! queue ! filesink location={again}"
        ));
        let pictures = count(&p, "d");
        let said = play(&p);
        assert!(said.errors.is_empty() && !said.losses.is_empty(), "{said:?}");
        let n = pictures.load(Ordering::SeqCst);
        assert!((38..=40).contains(&n), "{n} pictures");
        let stats = p.by_name("p").expect("the parser").property::<gst::Structure>("stats");
        assert!(stats.get::<u64>("lost-bytes").expect("a number") > 0, "{stats:?}");
        // What leaves the parser is undamaged.
        let info = output(tamis().args(["info", "--json", &again]));
        let info = String::from_utf8_lossy(&info);
        assert!(info.contains(&format!("\"packets\":{n}")), "{n}, {info}");
    }
}

#[test]
fn a_lost_reference_is_counted_until_the_next_key() {
    let words = format!(
        "videotestsrc pattern=ball num-buffers=40 ! video/x-raw,format=RGB,{SIZE} ! tamisenc name=e coder=dense keys=10 \
         ! tamisdec name=d ! fakesink"
    );
    let p = pipeline(&words);
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let pad = p.by_name("e").and_then(|e| e.static_pad("src")).expect("a pad");
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if seen.fetch_add(1, Ordering::SeqCst) == 13 {
            gst::PadProbeReturn::Drop
        } else {
            gst::PadProbeReturn::Ok
        }
    });
    let pictures = count(&p, "d");
    let said = play(&p);
    assert!(said.errors.is_empty() && said.warnings.len() == 1, "{said:?}");
    let stats = said.losses.last().expect("a loss").to_owned();
    let number = |name| stats.get::<u64>(name).expect("a number");
    let n = pictures.load(Ordering::SeqCst) as u64;
    // The one dropped, and at most the six that continue it.
    assert!(number("lost-packets") >= 1 && number("lost-packets") <= 7, "{stats:?}");
    assert_eq!(n + number("lost-packets"), 40, "{stats:?}");
    // Without it, six packets lose at least one group each.
    assert!(number("lost-groups") >= 6, "{stats:?}");
}

#[test]
fn a_flushing_seek_begins_anew() {
    let dir = folder();
    let recording = record(dir.path(), 60, "coder=dense keys=8");
    let p = pipeline(&format!(
        "filesrc location={recording} ! tamisparse ! tamisdec name=d ! fakesink sync=false"
    ));
    p.set_state(gst::State::Paused).expect("a pause");
    p.state(gst::ClockTime::from_seconds(60)).0.expect("a preroll");
    let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT;
    p.seek_simple(flags, gst::ClockTime::from_mseconds(1200)).expect("a seek");
    p.state(gst::ClockTime::from_seconds(60)).0.expect("a preroll");
    p.seek_simple(flags, gst::ClockTime::ZERO).expect("a seek back");
    p.state(gst::ClockTime::from_seconds(60)).0.expect("a preroll");
    let pictures = count(&p, "d");
    let said = play(&p);
    said.assert_silent();
    // The first waits in the sink already.
    let n = pictures.load(Ordering::SeqCst);
    assert!((55..=60).contains(&n), "{n} pictures");
}

#[test]
fn quality_changes_while_it_plays() {
    let dir = folder();
    let recording = text(&dir.path().join("x.tamis"));
    let p = pipeline(&format!(
        "videotestsrc pattern=ball num-buffers=20 ! video/x-raw,format=RGB,{SIZE} \
         ! tamisenc name=e keys=1 ! filesink location={recording}"
    ));
    let encoder = p.by_name("e").expect("the encoder");
    let sizes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mine = sizes.clone();
    let weak = encoder.downgrade();
    encoder.static_pad("src").expect("a pad").add_probe(
        gst::PadProbeType::BUFFER,
        move |_, info| {
            let mut sizes = mine.lock().expect("no panic");
            sizes.push(info.buffer().map_or(0, |b| b.size()));
            if let Some(encoder) = weak.upgrade().filter(|_| sizes.len() == 10) {
                encoder.set_property("quality", 20u32);
            }
            gst::PadProbeReturn::Ok
        },
    );
    play(&p).assert_silent();
    let sizes = sizes.lock().expect("no panic");
    assert!(sizes[15] * 2 < sizes[5], "{sizes:?}");
    output(tamis().args(["info", &recording]));
}

#[test]
fn a_live_pipeline_has_no_latency_of_ours() {
    let latency = |elements: &str| {
        let p = pipeline(&format!(
            "videotestsrc is-live=true num-buffers=30 ! video/x-raw,format=RGB,{SIZE} {elements} \
             ! fakesink sync=true"
        ));
        p.set_state(gst::State::Playing).expect("a start");
        p.state(gst::ClockTime::from_seconds(60)).0.expect("a preroll");
        let mut query = gst::query::Latency::new();
        assert!(p.query(&mut query));
        let (live, min, max) = query.result();
        assert!(live);
        p.set_state(gst::State::Null).expect("a stop");
        (min, max)
    };
    assert_eq!(latency("! tamisenc ! tamisdec"), latency(""));
}

#[test]
fn pictures_that_would_be_late_are_read_and_not_drawn() {
    // Behind a stage that takes twice as long as there is.
    let words = |qos: bool| {
        format!(
            "videotestsrc is-live=true num-buffers=50 ! video/x-raw,format=RGB,{SIZE} ! tamisenc coder=dense \
             ! tamisdec name=d qos={qos} ! identity sleep-time=80000 ! fakesink sync=true qos=true"
        )
    };
    let drawn = |qos| {
        let p = pipeline(&words(qos));
        let pictures = count(&p, "d");
        // Packets continue others: a late one is read all the same.
        play(&p).assert_silent();
        pictures.load(Ordering::SeqCst)
    };
    let late = drawn(true);
    assert!((10..45).contains(&late), "{late} pictures");
    assert_eq!(drawn(false), 50);
}

#[test]
fn wrong_settings_and_bytes_are_errors_that_say_what_to_do() {
    let source = format!("videotestsrc num-buffers=3 ! video/x-raw,format=RGB,{SIZE} !");
    let dir = folder();
    let other = text(&dir.path().join("other"));
    std::fs::write(&other, vec![7; 20_000]).expect("room");
    for (words, part) in [
        (
            format!("{source} tamisenc channels=7 ! fakesink"),
            "channels is 7, expected one of [3, 6, 12, 24, 48]",
        ),
        (format!("{source} tamisenc bundle=mono ! fakesink"), "bundle is mono"),
        (format!("{source} tamisenc bundle=none ! fakesink"), "no bundle of this name"),
        (format!("{source} tamisenc ! tamisdec channels=7 ! fakesink"), "channels is 7"),
        (
            format!("{source} tamisenc ! tamisdec groups=9 ! fakesink"),
            "groups is 9, the bundle has 5",
        ),
        (format!("{source} tamisenc ! tamisdec bundle=mono ! fakesink"), "bundle is mono"),
        (format!("filesrc location={other} ! tamisparse ! fakesink"), "not a tamis stream"),
    ] {
        let said = play(&pipeline(&words));
        let all = said.errors.join("\n");
        assert!(all.contains(part), "{words}\n{all}");
    }
}

#[cfg(feature = "onnx")]
#[test]
fn predictions_are_those_of_the_tool_and_packets_pass() {
    let dir = folder();
    let (seen, kept) = (text(&dir.path().join("seen.tamis")), text(&dir.path().join("kept.tamis")));
    for settings in ["", " int8=true"] {
        let said = play(&pipeline(&format!(
            "videotestsrc pattern=ball num-buffers=6 ! video/x-raw,format=RGB,width=384,height=288 ! tamisenc \
             ! tee name=t ! queue ! tamisinfer head=waste{settings} ! filesink location={seen} \
             t. ! queue ! filesink location={kept}"
        )));
        said.assert_silent();
        assert!(std::fs::read(&seen).expect("seen") == std::fs::read(&kept).expect("kept"));
        let mut tool = tamis();
        tool.args(["infer", &kept, "--head", "waste", "--json"]);
        if !settings.is_empty() {
            tool.arg("--int8");
        }
        let tool = String::from_utf8(output(&mut tool)).expect("text");
        assert_eq!((said.predictions.len(), tool.lines().count()), (6, 6), "{tool}");
        for (index, (ours, tool)) in said.predictions.iter().zip(tool.lines()).enumerate() {
            let label = ours.get::<String>("label").expect("a label");
            let score = ours.get::<f64>("score").expect("a score");
            assert_eq!(ours.get::<u64>("index"), Ok(index as u64));
            assert_eq!(ours.get::<gst::List>("labels").expect("labels").len(), 6);
            assert!(tool.contains(&format!("\"label\":\"{label}\"")), "{label} is not in {tool}");
            let number = tool.split("\"score\":").nth(1).expect("a score");
            let number = number.split([',', '}']).next().expect("a number");
            let theirs: f64 = number.parse().expect("a number");
            assert!((score - theirs).abs() < 1e-6, "{score} {theirs}");
        }
    }
    for (words, part) in [
        ("tamisenc ! tamisinfer", "head is not set"),
        ("tamisenc ! tamisinfer head=none", "head: "),
        ("tamisenc ! tamisinfer head=digits", "codec"),
    ] {
        let said = play(&pipeline(&format!("videotestsrc num-buffers=3 ! {words} ! fakesink")));
        let all = said.errors.join("\n");
        assert!(all.contains(part), "{words}\n{all}");
    }
}

/// With the tracer for leaks, and elements that GStreamer finds and connects on its own.
#[test]
fn nothing_leaks_and_decodebin_finds_the_elements() {
    let dir = folder();
    let recording = record(dir.path(), 10, "");
    let damaged = text(&dir.path().join("cut.tamis"));
    let bytes = std::fs::read(&recording).expect("a recording");
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).expect("room");
    for words in [
        "videotestsrc num-buffers=10 ! tamisenc ! tamisdec ! fakesink".to_owned(),
        format!("filesrc location={damaged} ! tamisparse ! tamisdec ! fakesink"),
        format!("filesrc location={recording} ! decodebin ! videoconvert ! fakesink"),
    ] {
        let mut command = Command::new("gst-launch-1.0");
        command
            .env("GST_PLUGIN_PATH", plugin_dir())
            .env("GST_REGISTRY", dir.path().join("registry"))
            .env("GST_TRACERS", "leaks")
            .env("GST_DEBUG", "GST_TRACER:7")
            .arg("-q")
            .args(words.split_whitespace());
        let out = command.output().unwrap_or_else(|e| panic!("gst-launch-1.0: {e}"));
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{words}\n{said}");
        assert!(said.contains("object-alive.class"), "{words}: nobody looked for leaks\n{said}");
        // One line says how others are written.
        let alive = |line: &&str| line.contains("object-alive, ") && !line.contains("%s");
        let alive: Vec<&str> = said.lines().filter(alive).collect();
        assert!(alive.is_empty(), "{words}\n{alive:#?}");
    }
}
