//! What a description may say, and what gets around nothing.

use super::super::{ALLOWED, Description, Launch, Part};

fn read(text: &str) -> Result<Vec<Part>, String> {
    Description::read(&Launch::new(text)).map(|d| d.parts).map_err(|e| e.to_string())
}

fn element(name: &'static str, properties: &[(&str, &str)]) -> Part {
    let properties = properties.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    Part::Element { name, properties }
}

fn refused(text: &str, words: &str) {
    match read(text) {
        Ok(parts) => panic!("{text}: read as {parts:?}"),
        Err(why) => {
            assert!(why.starts_with("source.pipeline: "), "{text}: {why}");
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}

#[test]
fn a_chain_is_read() {
    let text =
        "rtspsrc location=rtsp://cam/1 latency=100 ! rtph264depay ! avdec_h264 ! videoconvert";
    let camera = element("rtspsrc", &[("location", "rtsp://cam/1"), ("latency", "100")]);
    let rest = ["rtph264depay", "avdec_h264", "videoconvert"].map(|name| element(name, &[]));
    let chain: Vec<Part> = std::iter::once(camera).chain(rest).collect();
    assert_eq!(read(text).unwrap(), chain);
    // On several lines, with spaces and quotes.
    let text = "\n rtspsrc\tlocation = \"rtsp://cam/1\"\n  latency='100'\n ! rtph264depay\n ! avdec_h264 ! videoconvert \n";
    assert_eq!(read(text).unwrap(), chain);
    assert_eq!(read("videotestsrc").unwrap(), [element("videotestsrc", &[])]);
}

#[test]
fn caps_are_read_with_features_and_quotes() {
    let jetson = "nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM), width=(int)1280, framerate=(fraction)30/1 ! nvvidconv";
    let caps = "video/x-raw(memory:NVMM), width=(int)1280, framerate=(fraction)30/1";
    assert_eq!(read(jetson).unwrap()[1], Part::Caps(caps.into()));
    let quoted = format!("nvarguscamerasrc ! '{caps}' ! nvvidconv");
    assert_eq!(read(&quoted).unwrap()[1], Part::Caps(caps.into()));
    let text = "videotestsrc ! video/x-raw,format=\"a ! filesink\";image/jpeg ! jpegdec";
    assert_eq!(
        read(text).unwrap()[1],
        Part::Caps("video/x-raw,format=\"a ! filesink\";image/jpeg".into())
    );
    let text = "udpsrc address=127.0.0.1 port=5000 caps=\"application/x-rtp,media=(string)video\" ! rtph264depay";
    let Part::Element { properties, .. } = &read(text).unwrap()[0] else { panic!("an element") };
    assert_eq!(properties[2].1, "application/x-rtp,media=(string)video");
}

#[test]
fn quotes_hold_what_they_hold() {
    for (written, value) in [
        (r#""a b""#, "a b"),
        (r#""a ! filesink location=/x""#, "a ! filesink location=/x"),
        (r#"'a " b'"#, "a \" b"),
        (r#""a \" ! filesink \" b""#, "a \" ! filesink \" b"),
        (r#""a\\""#, "a\\"),
        (r#"'it\'s ( ! )'"#, "it's ( ! )"),
        (r#""""#, ""),
    ] {
        let text = format!("rtspsrc user-pw={written} ! rtph264depay");
        let parts = read(&text).unwrap();
        assert_eq!(
            parts,
            [element("rtspsrc", &[("user-pw", value)]), element("rtph264depay", &[])]
        );
    }
}

#[test]
fn what_is_not_on_the_list_is_named_with_the_nearest() {
    for (text, words) in [
        ("videotestsrc ! filesink location=/tmp/x", "element \"filesink\" is not on the list"),
        ("filesrc location=/etc/shadow ! jpegdec", "kind = \"files\""),
        ("fdsrc fd=0", "kind = \"socket\""),
        ("videotestsrc ! multifilesink", "multifilesink"),
        ("videotestsrc ! shmsink socket-path=/tmp/x", "shmsink"),
        ("videotestsrc ! tcpserversink", "the nearest on it is tcpclientsrc"),
        ("videotestsrc ! souphttpclientsink location=http://x", "souphttpclientsink"),
        ("videotestsrc ! python", "element \"python\""),
        ("uridecodebin uri=file:///etc/passwd", "chooses other elements"),
        ("rtspsrc location=rtsp://x ! decodebin", "rtph264depay"),
        ("playbin uri=file:///x", "chooses other elements"),
        ("videotestsrc ! tee", "one chain"),
        ("videotestsrc ! queue2 temp-template=/tmp/xXXXXXX", "to a file"),
        ("videotestsrc ! fakesink", "its own end"),
        ("videotestsrc ! vidoeconvert", "the nearest on it is videoconvert"),
        // A name is a name in full, in its own letters.
        ("VideoTestSrc", "videotestsrc"),
        ("videotestsrc ! filesink0", "filesink0"),
        ("videotestsrc ! FILESINK", "FILESINK"),
        ("bin", "element \"bin\""),
        ("pipeline", "element \"pipeline\""),
        ("capsfilterx", "capsfilter"),
    ] {
        refused(text, words);
    }
}

#[test]
fn nothing_gets_around_the_list() {
    for (text, words) in [
        ("", "an element is needed"),
        ("   ", "an element is needed"),
        ("!", "between two"),
        ("videotestsrc !", "ends with a !"),
        ("videotestsrc ! ! videoconvert", "between two"),
        // Links that are glued to what stands beside them: GStreamer has its own opinion of these.
        ("videotestsrc!filesink", "space is needed before the !"),
        ("videotestsrc !filesink", "space is needed behind the !"),
        ("videotestsrc pattern=ball!filesink", "quotes"),
        ("videotestsrc ! video/x-raw!filesink location=/x", "space is needed before the !"),
        ("videotestsrc ! video/x-raw !filesink", "space is needed behind the !"),
        // Other links and several chains.
        ("videotestsrc : filesink", "no name of a property"),
        ("videotestsrc , filesink", "no name of a property"),
        ("videotestsrc filesink location=/x", "property and = are needed"),
        ("videotestsrc ! videoconvert videotestsrc ! filesink", "property and = are needed"),
        ("videotestsrc ! videoconvert ; filesrc", "no name of a property"),
        // Bins, references, pads, presets.
        ("( videotestsrc ! filesink )", "bin"),
        ("bin.( videotestsrc ! filesink )", "reference"),
        ("videotestsrc ! ( filesink )", "bin"),
        ("videotestsrc ! (filesink)", "bin"),
        ("{ filesink }", "bin"),
        ("videotestsrc (filesink)", "no name of a property"),
        ("videotestsrc name=s s. ! filesink", "property and = are needed"),
        ("videotestsrc ! s.", "reference"),
        ("videotestsrc ! s.src", "reference"),
        ("videotestsrc ! .src", "reference"),
        ("videotestsrc name=s", "nothing refers"),
        ("videotestsrc @p", "preset"),
        ("videotestsrc ! @p", "preset"),
        ("rtspsrc location=rtsp://x rtpbin::x=1", "inside"),
        ("rtspsrc ::x=1", "no name of a property"),
        // Addresses and files in place of elements.
        ("rtsp://cam/1 ! rtph264depay", "an address in place of an element"),
        ("file:///etc/passwd ! jpegdec", "an address in place of an element"),
        ("/etc/passwd ! jpegdec", "caps are needed"),
        ("./x ! jpegdec", "reference"),
        ("videotestsrc ! /tmp/x", "caps are needed"),
        ("videotestsrc ! file:///tmp/x", "an address in place of an element"),
        // Quotes and escapes.
        ("videotestsrc pattern=\"ball", "not closed"),
        ("videotestsrc pattern='ball\\'", "not closed"),
        ("videotestsrc pattern=\"ball\"!filesink", "behind its quotes"),
        ("videotestsrc pattern=\"ball\"x ! filesink", "behind its quotes"),
        ("videotestsrc pattern=ba\"ll ! filesink\"", "quotes"),
        ("videotestsrc pattern=ball\\ ! filesink", "quotes"),
        ("videotestsrc \"pattern=ball\"", "no name of a property"),
        ("\"videotestsrc ! filesink\"", "caps are needed"),
        ("videotestsrc ! \"filesink\"", "caps are needed"),
        ("videotestsrc ! \"video/x-raw ! filesink\"", "caps in quotes"),
        ("videotestsrc ! \"video/x-raw\" filesink", "a ! is needed"),
        ("videotestsrc ! video/x-raw,format=\"I420 ! filesink", "not closed"),
        ("videotestsrc ! \\filesink", "no name of an element"),
        ("vide\\otestsrc", "no name of an element"),
        // There are no comments.
        ("videotestsrc # ! x\n! filesink", "no name of a property"),
        ("# x\nvideotestsrc", "no name of an element"),
        ("videotestsrc\0! filesink", "control character"),
        ("videotestsrc pattern=\"a\0b\"", "control character"),
        ("vidéotestsrc", "no name of an element"),
        ("videotestsrc\u{a0}! filesink", "filesink"),
        // What stands where.
        ("videoconvert ! videotestsrc", "is no source"),
        ("videotestsrc ! videotestsrc", "does not stand first"),
        ("video/x-raw ! videotestsrc", "begins with caps"),
        ("videotestsrc pattern=ball pattern=snow", "twice"),
        ("videotestsrc pattern=", "has no value"),
        ("videotestsrc =ball", "no name of a property"),
        ("pattern=ball", "without an element"),
    ] {
        refused(text, words);
    }
    refused(&"videotestsrc ! ".repeat(1000), "are allowed");
    refused(&format!("videotestsrc{}", " ! queue".repeat(100)), "more than");
}

#[test]
fn properties_hold_no_path_and_no_open_door() {
    for (text, words) in [
        ("rtspsrc location=file:///etc/passwd", "rtsp://"),
        ("rtspsrc location=rtsp-sdp://x", "rtsp://"),
        ("rtspsrc location=\" rtsp://x\"", "rtsp://"),
        ("souphttpsrc location=file:///etc/passwd", "http://"),
        ("souphttpsrc location=http://x ssl-ca-file=/etc/shadow", "no path"),
        ("v4l2src device=/etc/passwd", "/dev/videoN"),
        ("v4l2src device=/dev/video0/../../etc/passwd", "/dev/videoN"),
        ("v4l2src device=/dev/v4l/by-id/../../../etc/passwd", "/dev/videoN"),
        ("v4l2src device=/dev/v4l/by-id/..", "/dev/videoN"),
        ("v4l2src device=/dev/video", "/dev/videoN"),
        ("udpsrc port=5000", "address=127.0.0.1 is needed"),
        ("udpsrc port=5000 address=0.0.0.0", "127.0.0.1"),
        ("udpsrc address=127.0.0.1 uri=udp://0.0.0.0:5000", "no path"),
        // ALSA's definitions write files and run programs.
        ("alsasrc device=\"file:'|touch /tmp/x',raw\"", "a card is needed"),
        ("alsasrc device=\"tee:hw:0,/tmp/x,raw\"", "a card is needed"),
        ("alsasrc device=\"{ type file file /tmp/x }\"", "a card is needed"),
        ("alsasrc device=\"plug:file:x\"", "a card is needed"),
        ("alsasrc device=plughw:", "a card is needed"),
        ("videotestsrc pattern=/tmp/x", "no path"),
        ("videotestsrc pattern=\"$(reboot)\"", "no path"),
        ("videotestsrc parent=x", "nothing refers"),
    ] {
        refused(text, words);
    }
    for text in [
        "rtspsrc location=RTSPT://cam:554/1?x=y&z user-id=a user-pw=\"$(`|/\\\\\"",
        "v4l2src device=/dev/video12 extra-controls=\"c,brightness=3\"",
        "v4l2src device=/dev/v4l/by-id/usb-046d_C270-video-index0",
        "udpsrc address=::1 port=5000",
        "alsasrc device=plughw:CARD=Device,DEV=0",
        "alsasrc device=default",
        "libcamerasrc camera-name=\"/base/axi/pcie@120000/rp1/i2c@88000/imx219@10\"",
        "nvarguscamerasrc exposuretimerange=\"34000 358733000\"",
    ] {
        read(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    }
}

#[test]
fn the_list_is_in_order_and_names_no_end() {
    for (_, all) in ALLOWED {
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
        for name in *all {
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            assert!(plain && !name.contains("sink") && !name.contains("file"), "{name}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_written_is_read_or_refused(
        text in "(videotestsrc|rtspsrc|queue|filesink|name|pattern|[a-z!\"'\\\\ =/.(){}@:,;#é\n\t0]){0,40}",
    ) {
        if let Ok(parts) = read(&text) {
            for part in parts {
                if let Part::Element { name, .. } = part {
                    assert!(ALLOWED.iter().any(|(_, all)| all.contains(&name)));
                }
            }
        }
    }
}
