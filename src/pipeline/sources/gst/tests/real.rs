//! What the library plays: sources that make pictures and sound by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::{Launch, Media, Wish, check, installed, open};
use crate::codec::{Frame, Samples};
use crate::pipeline::item::{Gone, Item};
use crate::pipeline::line::Source;
use crate::pipeline::sources::Pixels;
use crate::pipeline::sources::clock::since_boot;

const SOUND: Wish = Wish { media: Media::Sound, pixels: None, rate: None, channels: None };

fn source(text: &str, wish: Wish) -> Box<dyn Source> {
    open("cam", &Launch::new(text), wish, None, Arc::default()).unwrap()
}

/// All that it gives, and why it ended.
fn all(mut source: Box<dyn Source>) -> (Vec<Item>, String) {
    let mut items = Vec::new();
    loop {
        match source.next() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => panic!("an end without an error"),
            Err(e) => return (items, e.to_string()),
        }
    }
}

fn frames(items: &[Item]) -> Vec<&Frame> {
    items.iter().filter_map(|i| i.frame.as_ref()).collect()
}

#[test]
fn every_picture_is_accounted_for_and_the_end_is_an_error() {
    for live in [false, true] {
        let text = format!(
            "videotestsrc is-live={live} num-buffers=20 ! video/x-raw,width=64,height=48,framerate=50/1"
        );
        let (items, why) = all(source(&text, Wish::default()));
        assert_eq!(why, "device cam: the pipeline has come to its end");
        assert_eq!(items.len(), 20);
        for (i, item) in items.iter().enumerate() {
            assert_eq!(item.stamp.index, i as u64);
            assert_eq!(item.frame.as_ref().unwrap().extent, [48, 64]);
            assert_eq!(item.lasts, Duration::from_millis(20));
            assert!(item.warnings.is_empty(), "{:?}", item.warnings);
        }
        for pair in items.windows(2) {
            let step = pair[1].stamp.captured - pair[0].stamp.captured;
            // By its own times, not by those of its arrival.
            assert!(
                step.abs_diff(Duration::from_millis(20)) < Duration::from_millis(2),
                "{step:?}"
            );
        }
        let age = since_boot().saturating_sub(items[19].stamp.captured);
        assert!(age < Duration::from_secs(5), "{age:?}");
        assert!(items[0].stamp.boot != 0 && items[0].stamp.utc.is_some());
    }
}

#[test]
fn what_nobody_takes_in_time_is_dropped_and_counted() {
    let text =
        "videotestsrc is-live=true num-buffers=30 ! video/x-raw,width=64,height=48,framerate=100/1";
    let mut source = source(text, Wish::default());
    let first = source.next().unwrap();
    assert!(first.is_some_and(|i| i.frame.is_some()));
    std::thread::sleep(Duration::from_secs(1));
    let (items, _) = all(source);
    let dropped = items.iter().filter(|i| i.gone == Some(Gone::Dropped("source_full"))).count();
    assert_eq!((dropped + frames(&items).len(), items.len()), (29, 29));
    // The newest wait.
    assert!(dropped > 0 && items[28].frame.is_some(), "{dropped}");
    assert!(items.iter().enumerate().all(|(i, item)| item.stamp.index == i as u64 + 1));
}

#[test]
fn pixels_come_as_they_are_wished_for_with_their_colours() {
    for (format, given) in [
        (None, "I420,colorimetry=bt709"),
        (None, "I420,colorimetry=bt601"),
        (Some(Pixels::Nv12), "I420,colorimetry=bt709"),
        (None, "BGRx"),
        (None, "RGB"),
        (Some(Pixels::Nv12), "RGB"),
        (Some(Pixels::Rgb24), "I420,colorimetry=bt709"),
    ] {
        let text = format!(
            "videotestsrc num-buffers=1 pattern=red ! video/x-raw,width=65,height=49,format={given}"
        );
        let (items, _) = all(source(&text, Wish { pixels: format, ..Wish::default() }));
        let frame = frames(&items)[0];
        assert_eq!((frame.channels, &frame.extent[..]), (3, &[49, 65][..]));
        match format {
            Some(Pixels::Nv12) => assert!(matches!(frame.samples, Samples::Nv12(_))),
            _ => assert!(matches!(frame.samples, Samples::U8(_))),
        }
        for (i, wanted) in [0.5, -0.5, -0.5].into_iter().enumerate() {
            let found = frame.value(3 * (65 * 20 + 30) + i);
            assert!((found - wanted).abs() < 0.03, "{given}: {i} is {found}");
        }
    }
    let grey = Wish { pixels: Some(Pixels::Grey), ..Wish::default() };
    let (items, _) = all(source("videotestsrc num-buffers=1 pattern=white", grey));
    assert_eq!(frames(&items)[0].channels, 1);
}

#[test]
fn every_step_of_a_sound_is_accounted_for_and_its_end_is_marked() {
    let text =
        "audiotestsrc num-buffers=50 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2";
    let (items, _) = all(source(text, SOUND));
    let steps: usize = frames(&items).iter().map(|f| f.positions()).sum();
    assert_eq!(steps, 50 * 1024);
    let ends: Vec<bool> = items.iter().map(|i| i.end).collect();
    assert_eq!(ends, [false, false, false, true]);
    assert!(matches!(frames(&items)[0].samples, Samples::I16(_)));
    let wish = Wish { rate: Some(16000), channels: Some(1), ..SOUND };
    let (items, _) = all(source(text, wish));
    let steps: usize = frames(&items).iter().map(|f| f.positions()).sum();
    assert!(frames(&items).iter().all(|f| f.channels == 1));
    assert!(steps.abs_diff(50 * 1024 / 3) < 200, "{steps}");
}

#[test]
fn a_pipeline_that_is_silent_is_waited_for_and_stopped_at_once() {
    // A camera that takes the connection and says nothing.
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "rtspsrc location=rtsp://{} ! rtph264depay ! h264parse ! avdec_h264",
        door.local_addr().unwrap()
    );
    let text = match check(&Launch::new(&*text), &Wish::default()) {
        Ok(()) => text,
        // Without a decoder; what matters here is the source.
        Err(_) => text.replace("rtph264depay ! h264parse ! avdec_h264", "rtpvrawdepay"),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut source = open("cam", &Launch::new(text), Wish::default(), None, stop.clone()).unwrap();
    let waiter = std::thread::spawn(move || {
        let ended = source.next().map(|i| i.is_none());
        (ended.is_ok_and(|none| none), Instant::now(), drop(source), Instant::now())
    });
    std::thread::sleep(Duration::from_secs(2));
    assert!(!waiter.is_finished());
    let begin = Instant::now();
    stop.store(true, Ordering::Relaxed);
    let (ended, left, (), dropped) = waiter.join().unwrap();
    assert!(ended);
    // What a line gives its source to end, by default.
    assert!(dropped - begin < Duration::from_secs(5), "{:?} {:?}", left - begin, dropped - begin);
}

#[test]
fn silence_may_be_an_error() {
    let text =
        "udpsrc address=127.0.0.1 port=0 ! video/x-raw,format=RGB,width=64,height=48,framerate=1/1";
    let silence = Some(Duration::from_millis(300));
    let source = open("cam", &Launch::new(text), Wish::default(), silence, Arc::default());
    let (items, why) = all(source.unwrap());
    assert!(items.is_empty() && why.ends_with("gives nothing for 0.3 s"), "{why}");
}

#[test]
fn errors_name_the_element_and_hide_passwords() {
    // Nobody listens there.
    let at = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!("rtspsrc location=rtsp://admin:geheim@{at}/x?key=abcdef ! rtpvrawdepay");
    let (items, why) = all(source(&text, Wish::default()));
    assert!(items.is_empty());
    assert!(why.starts_with("device cam: rtspsrc: "), "{why}");
    assert!(!why.contains("geheim") && !why.contains("abcdef"), "{why}");
    let (_, why) = all(source("v4l2src device=/dev/video99", Wish::default()));
    assert!(why.contains("v4l2src") && why.contains("/dev/video99"), "{why}");
}

#[test]
fn a_check_finds_what_does_not_fit_without_opening_anything() {
    let good = |text: &str| check(&Launch::new(text), &Wish::default()).map_err(|e| e.to_string());
    assert_eq!(good("v4l2src device=/dev/video99 ! jpegdec"), Ok(()));
    for (text, words) in [
        ("videotestsrc patern=ball", "did you mean pattern?"),
        ("videotestsrc pattern=balls", "one of smpte, snow"),
        ("videotestsrc pattern=9999", "one of smpte"),
        ("videotestsrc is-live=maybe", "true or false"),
        ("videotestsrc num-buffers=-2", "-1 to 2147483647"),
        ("videotestsrc ! queue max-size-buffers=-1", "0 to 4294967295"),
        ("videotestsrc ! queue max-size-buffers=4294967296", "0 to 4294967295"),
        ("videotestsrc ! videobalance contrast=nan", "0 to 2"),
        ("rtspsrc location=rtsp://x protocols=tcp+x ! rtpvrawdepay", "one of unknown, udp"),
        (
            "rtspsrc location=rtsp://x tls-database=x ! rtpvrawdepay",
            "is nothing that a config may set",
        ),
        (
            "udpsrc address=127.0.0.1 multicast-group=x ! rtpvrawdepay",
            "is nothing that a config may set",
        ),
        ("videotestsrc ! video/x-raw,width=(((", "are no caps"),
        ("videotestsrc ! jpegdec", "jpegdec"),
        ("audiotestsrc", "media = \"sound\""),
    ] {
        let why = good(text).expect_err(text);
        assert!(why.contains(words), "{text}: {why}");
    }
    let found = installed().unwrap().unwrap();
    assert!(found.version.starts_with("1."));
    assert!(found.elements[0].1.contains(&"videotestsrc"));
}
