//! What a config's types cannot say: ranges, and parts that do not fit together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CodecConfig, Config, RawConfig, SinkConfig, SourceConfig, StageConfig, StreamConfig};
use crate::bitstream::Coder;
use crate::codec::{Arithmetic, Kind, Layout, Quality};
use crate::error::{Error, Result};
use crate::pipeline::Pool;
use crate::pipeline::media::RawPixels;
use crate::pipeline::media::{CHANNELS_LIMIT, FPS, Limits, RATE_LIMIT, check_sound_shape};
use crate::pipeline::sources::Pixels;
use crate::pipeline::sources::gst::{self, Media};
use crate::pipeline::stages::{Encode, Every, KEYS, Pack, Rated, check_fit};
use crate::pipeline::zenoh::Link;
use crate::runtime::{Device, find_bundle};

/// Longest sound made in code: four months.
const SECONDS_LIMIT: f64 = 1e7;

/// Letters of a stream's name.
const NAME: usize = 64;

/// Checks a config, and that its bundles and heads exist and fit.
pub(super) fn check(config: &Config) -> Result<()> {
    let streams = &config.streams;
    for (i, stream) in streams.iter().enumerate() {
        check_name(&stream.name)?;
        if streams[..i].iter().any(|s| s.name == stream.name) {
            let reason = format!("{:?} is the name of two streams", stream.name);
            return Err(Error::config("stream.name", reason));
        }
        check_stream(stream).map_err(|e| match e {
            Error::Config { at, reason } if streams.len() > 1 => {
                Error::config(format!("stream {}: {at}", stream.name), reason)
            }
            other => other,
        })?;
    }
    if let Some(store) = &config.store {
        store.settings()?;
    }
    let stored = |s: &StreamConfig| s.sink.contains(&SinkConfig::Store);
    if config.store.is_none() && streams.iter().any(stored) {
        let reason = "store needs a folder: add [store] with folder = \"...\"";
        return Err(Error::config("sink", reason));
    }
    if let Some(uplink) = &config.uplink {
        uplink.check()?;
        if !streams.iter().any(stored) {
            let reason = "sends what is stored, and no line has a sink of kind store";
            return Err(Error::config("uplink", reason));
        }
    }
    let published = |s: &StreamConfig| s.sink.iter().any(is_mqtt);
    match &config.mqtt {
        Some(mqtt) => mqtt.check()?,
        None if streams.iter().any(published) => {
            let reason = "mqtt needs a broker: add [mqtt] with url = \"mqtt://...\"";
            return Err(Error::config("sink", reason));
        }
        None => {}
    }
    if let Some(store) = &config.store {
        let within = |folder: &Path| {
            let whole = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.into());
            whole(folder).starts_with(whole(&store.folder))
        };
        let inside = |s: &&StreamConfig| matches!(&s.source, SourceConfig::Watch { folder, .. } if within(folder));
        if let Some(stream) = streams.iter().find(inside) {
            let reason = "is within the store, which writes there";
            return Err(Error::config(format!("stream {}: source.folder", stream.name), reason));
        }
    }
    let hang = config.limits.hang.0;
    if hang < Duration::from_secs(1) {
        return Err(Error::config("limits.hang", format!("{hang:?}; at least 1 s is needed")));
    }
    if let Some(http) = &config.http
        && !http.listen.ip().is_loopback()
        && http.token_file.is_none()
    {
        let reason = format!("{} is open to others than this machine; set token_file", http.listen);
        return Err(Error::config("http.listen", reason));
    }
    check_sinks(streams)
}

/// A name that is one in a folder, a metric and a topic.
fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let ours = [".json", ".jsonl", ".part"].iter().any(|e| name.ends_with(e));
    if ours {
        let reason =
            format!("{name:?} ends like a file of the store; give the stream another name");
        return Err(Error::config("stream.name", reason));
    }
    if name.is_empty() || name.len() > NAME || name.starts_with('.') || !name.chars().all(plain) {
        let reason = format!("{name:?}: needed are 1 to {NAME} of a-z, A-Z, 0-9, . _ -");
        return Err(Error::config("stream.name", reason));
    }
    Ok(())
}

fn is_mqtt(sink: &SinkConfig) -> bool {
    matches!(sink, SinkConfig::Mqtt { .. })
}

fn check_stream(config: &StreamConfig) -> Result<()> {
    let stored = config.sink.iter().filter(|s| **s == SinkConfig::Store).count();
    if stored > 1 {
        return Err(Error::config("sink", "store is named twice"));
    }
    if config.sink.iter().filter(|s| is_mqtt(s)).count() > 1 {
        return Err(Error::config("sink", "mqtt is named twice"));
    }
    if stored == 1 && config.name == "lock" {
        let reason = "\"lock\" is a file of the store; give the stream another name";
        return Err(Error::config("stream.name", reason));
    }
    check_codec(&config.codec)?;
    if config.gives_packets() {
        check_packets(config)?;
    }
    check_source(&config.source)?;
    for stage in &config.stage {
        match *stage {
            StageConfig::Resize { width, height } | StageConfig::Crop { width, height, .. } => {
                check_picture("stage", width, height)?;
            }
            StageConfig::Every { n } => {
                Every::new(n)?;
            }
        }
    }
    let bundle = find_bundle(&config.codec.bundle)?;
    if let Some((kind, channels)) = makes(&config.source) {
        let layout = match (kind, channels) {
            (Kind::Audio, _) => Layout::Audio { rate: 1 },
            (Kind::Image, 1) => Layout::Gray,
            (Kind::Image, _) => Layout::Rgb,
        };
        check_fit(&bundle, layout, channels).map_err(|e| Error::config("codec.bundle", e))?;
        if kind == Kind::Audio && !config.stage.is_empty() {
            return Err(Error::config("stage", "works on pictures, the source makes sound"));
        }
    }
    if let Some(schedule) = &config.schedule {
        schedule.hours()?;
    }
    let cpu = config.budget.cpu;
    if !(cpu > 0.0 && cpu <= 1.0) {
        let reason = format!("{cpu}; a share of one core, above 0 and at most 1, is needed");
        return Err(Error::config("budget.cpu", reason));
    }
    let bundle = std::sync::Arc::new(bundle);
    let channels = config.codec.channels.unwrap_or(bundle.channels());
    Encode::new(bundle.clone(), channels, Quality::DEFAULT)
        .map_err(|e| Error::config("codec.channels", e))?;
    if bundle.arithmetic != Arithmetic::Fixed && matches!(config.codec.device, Device::Cuda(_)) {
        let reason = format!(
            "{} codes what no GPU does; with \"auto\" or \"cpu\" the processor codes {}",
            config.codec.device, bundle.card.name
        );
        return Err(Error::config("codec.device", reason));
    }
    if let Some(target) = config.codec.target() {
        Rated::new(bundle.clone(), channels, Pack::new(bundle.clone()), target)
            .map_err(|e| Error::config("codec", e))?;
    }
    if let Some(infer) = &config.infer {
        Pool::open(&infer.head, &infer.options()?.0)?.card().check(&bundle)?;
    }
    Ok(())
}

/// Packets are coded already, and continue each other.
fn check_packets(config: &StreamConfig) -> Result<()> {
    let codec = &config.codec;
    let usual = codec.target().is_none()
        && codec.quality.is_none()
        && codec.coder == Coder::default()
        && codec.keys == KEYS
        && codec.device == Device::Cpu;
    if !usual {
        let reason =
            "what comes as packets is coded already; bundle and channels are all that can be said";
        return Err(Error::config("codec", reason));
    }
    for (what, is_there) in
        [("stage", !config.stage.is_empty()), ("schedule", config.schedule.is_some())]
    {
        if is_there {
            return Err(Error::config(what, "is for frames; what comes are packets"));
        }
    }
    Ok(())
}

/// One size to aim at, and one that can be.
fn check_codec(codec: &CodecConfig) -> Result<()> {
    if let Some(quality) = codec.quality {
        Quality::new(quality).map_err(|e| Error::config("codec.quality", e))?;
    }
    let sizes = [("codec.bpp", codec.bpp), ("codec.bitrate", codec.bitrate)];
    for (at, size) in sizes.into_iter().filter_map(|(at, size)| Some((at, size?))) {
        if !(size > 0.0 && size <= 1e9) {
            return Err(Error::config(
                at,
                format!("{size}; a number above 0, at most 1e9, is needed"),
            ));
        }
    }
    let given = [codec.quality.is_some(), codec.bpp.is_some(), codec.bitrate.is_some()];
    if given.iter().filter(|&&g| g).count() > 1 {
        return Err(Error::config("codec", "quality, bpp and bitrate exclude each other"));
    }
    match codec.keys {
        0 => Err(Error::config("codec.keys", "0; 1 lets every picture stand alone")),
        _ => Ok(()),
    }
}

fn check_source(source: &SourceConfig) -> Result<()> {
    let config = |e: Error| Error::config("source", e);
    match source {
        SourceConfig::Camera { device, width, height, fps, .. } => {
            check_camera(device)?;
            check_fps(*fps)?;
            check_picture("source", *width as usize, *height as usize)
        }
        SourceConfig::Microphone { device, rate, channels, .. } => {
            check_microphone(device)?;
            let ranges = [
                ("source.rate", *rate, RATE_LIMIT),
                ("source.channels", *channels, CHANNELS_LIMIT as u32),
            ];
            for (at, found, most) in ranges {
                if !(1..=most).contains(&found) {
                    return Err(Error::config(at, format!("{found}; 1 to {most} is allowed")));
                }
            }
            Ok(())
        }
        SourceConfig::Gstreamer { pipeline, media, format, rate, channels, silence } => {
            if silence.is_some_and(|s| s.0.is_zero()) {
                return Err(Error::config("source.silence", "0; leave it out to wait for ever"));
            }
            let (media, pixels, rate, channels) = (*media, *format, *rate, *channels);
            gst::check(pipeline, &gst::Wish { media, pixels, rate, channels })
        }
        SourceConfig::Scene { width, height, frames, fps, .. } => {
            check_fps(*fps)?;
            if *frames == Some(0) {
                return Err(Error::config("source.frames", "0; at least 1 is needed"));
            }
            check_picture("source", *width, *height)
        }
        SourceConfig::Tone { rate, channels, seconds, .. } => {
            check_sound_shape("tone", *rate, *channels).map_err(config)?;
            let step = 1.0 / f64::from(*rate);
            if !(step..=SECONDS_LIMIT).contains(seconds) {
                let reason = format!("{seconds}; {step} to {SECONDS_LIMIT} is allowed");
                return Err(Error::config("source.seconds", reason));
            }
            Ok(())
        }
        SourceConfig::Files { paths, .. } if paths.is_empty() => {
            Err(Error::config("source.paths", "names no file"))
        }
        SourceConfig::Files { resample: Some(rate), .. } if !(1..=RATE_LIMIT).contains(rate) => {
            let reason = format!("{rate} Hz; 1 to {RATE_LIMIT} is allowed");
            Err(Error::config("source.resample", reason))
        }
        SourceConfig::Stdin { raw } => check_raw(raw.as_ref()),
        SourceConfig::Watch { resample: Some(rate), .. } if !(1..=RATE_LIMIT).contains(rate) => {
            let reason = format!("{rate} Hz; 1 to {RATE_LIMIT} is allowed");
            Err(Error::config("source.resample", reason))
        }
        SourceConfig::Socket { listen, connect, path, raw } => {
            let given = [listen.is_some(), connect.is_some(), path.is_some()];
            if given.iter().filter(|&&g| g).count() != 1 {
                let reason = "a socket needs one of listen, connect and path";
                return Err(Error::config("source", reason));
            }
            if let Some(at) = listen {
                check_loopback(at)?;
            }
            check_raw(raw.as_ref())
        }
        SourceConfig::Replay { paths, .. } if paths.is_empty() => {
            Err(Error::config("source.paths", "names no file"))
        }
        SourceConfig::Replay { speed, .. } if speed.is_nan() || *speed <= 0.0 => {
            let reason = format!("{speed}; a number above 0 is needed, or inf");
            Err(Error::config("source.speed", reason))
        }
        SourceConfig::Zenoh { groups: Some(0), .. } => {
            Err(Error::config("source.groups", "0; 1 is the least, all if nothing is said"))
        }
        SourceConfig::Zenoh { groups: Some(n @ 16..), .. } => {
            Err(Error::config("source.groups", format!("{n}; a packet has 15 at most")))
        }
        SourceConfig::Zenoh { key, listen, connect, .. } => {
            Link::new(key, listen, connect).check("source")
        }
        SourceConfig::Files { .. } | SourceConfig::Watch { .. } | SourceConfig::Replay { .. } => {
            Ok(())
        }
    }
}

fn check_fps(fps: f64) -> Result<()> {
    if FPS.contains(&fps) {
        return Ok(());
    }
    let reason = format!("{fps}; {} to {} is allowed", FPS.start(), FPS.end());
    Err(Error::config("source.fps", reason))
}

/// Whether a camera is named, not whether it is there: it may come later.
#[cfg(target_os = "linux")]
fn check_camera(device: &str) -> Result<()> {
    crate::pipeline::sources::v4l2::find::Identity::parse(device).map(drop)
}

/// Whether a microphone is named, not whether it is there: it may come later.
#[cfg(target_os = "linux")]
fn check_microphone(device: &str) -> Result<()> {
    crate::pipeline::sources::alsa::find::Identity::parse(device).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn check_camera(_: &str) -> Result<()> {
    let reason = "camera is of Linux; pipe what another program captures into kind = \"stdin\"";
    Err(Error::config("source.kind", reason))
}

#[cfg(not(target_os = "linux"))]
fn check_microphone(_: &str) -> Result<()> {
    let reason = "microphone is of Linux; pipe what another program records into kind = \"stdin\"";
    Err(Error::config("source.kind", reason))
}

/// Whoever can send pictures can fill the disk: only programs of this machine.
fn check_loopback(at: &str) -> Result<()> {
    let reason = match at.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => return Ok(()),
        Ok(_) => "is open to others than this machine; use 127.0.0.1 and a tunnel",
        Err(_) => "is no address and port, as in 127.0.0.1:5004",
    };
    Err(Error::config("source.listen", format!("{at} {reason}")))
}

fn check_raw(raw: Option<&RawConfig>) -> Result<()> {
    match raw {
        Some(RawConfig::Video { width, height, .. }) => {
            check_picture("source.raw", *width, *height)
        }
        Some(RawConfig::Audio { rate, channels, .. }) => {
            check_sound_shape("raw", *rate, *channels).map_err(|e| Error::config("source", e))
        }
        None => Ok(()),
    }
}

fn check_picture(at: &str, width: usize, height: usize) -> Result<()> {
    let limits = Limits::default();
    limits.check_picture(at, height as u64, width as u64).map_err(|e| Error::config(at, e))
}

/// What a source makes and in how many channels, where its config tells.
fn makes(source: &SourceConfig) -> Option<(Kind, usize)> {
    match source {
        SourceConfig::Scene { .. } => Some((Kind::Image, 3)),
        SourceConfig::Gstreamer { media: Media::Sound, channels, .. } => {
            // Where nothing is said of channels, any number of them: 0 fits every bundle of sound.
            Some((Kind::Audio, channels.unwrap_or(0)))
        }
        SourceConfig::Gstreamer { format, .. } | SourceConfig::Camera { format, .. } => {
            Some((Kind::Image, format.map_or(3, Pixels::channels)))
        }
        SourceConfig::Tone { channels, .. } => Some((Kind::Audio, *channels)),
        SourceConfig::Microphone { channels, .. } => Some((Kind::Audio, *channels as usize)),
        SourceConfig::Stdin { raw } | SourceConfig::Socket { raw, .. } => match raw.as_ref()? {
            RawConfig::Video { pixels, .. } => {
                Some((Kind::Image, if *pixels == RawPixels::Gray8 { 1 } else { 3 }))
            }
            RawConfig::Audio { channels, .. } => Some((Kind::Audio, *channels)),
        },
        SourceConfig::Files { .. }
        | SourceConfig::Watch { .. }
        | SourceConfig::Replay { .. }
        | SourceConfig::Zenoh { .. } => None,
    }
}

/// No sink writes where another writes, or where a source reads.
fn check_sinks(streams: &[StreamConfig]) -> Result<()> {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut taken: Vec<PathBuf> = Vec::new();
    for stream in streams {
        match &stream.source {
            SourceConfig::Files { paths, .. } | SourceConfig::Replay { paths, .. } => {
                taken.extend(paths.iter().filter(|p| p.is_file()).map(|p| whole(p)));
            }
            // What is written there would be read again.
            SourceConfig::Watch { folder, .. } => taken.push(whole(folder)),
            _ => {}
        }
    }
    for stream in streams {
        if stream.sink.is_empty() {
            return Err(Error::config("sink", "a line needs one at least"));
        }
        for sink in &stream.sink {
            let path = match sink {
                SinkConfig::Container { path } | SinkConfig::Json { path } => path,
                SinkConfig::Frames { folder } => folder,
                SinkConfig::Store => continue,
                SinkConfig::Zenoh { key, listen, connect, .. } => {
                    Link::new(key, listen, connect).check("sink")?;
                    continue;
                }
                SinkConfig::Mqtt { min_score, .. } => {
                    check_events(*min_score, stream)?;
                    continue;
                }
            };
            let place = whole(path);
            if taken.iter().any(|t| *t == place || t.is_dir() && place.parent() == Some(t)) {
                let reason = format!("{} is named twice; name another path", path.display());
                return Err(Error::config("sink", reason));
            }
            taken.push(place);
            if matches!(sink, SinkConfig::Json { .. }) && stream.infer.is_none() {
                let reason = "json needs a head: add [infer] with head = \"...\"";
                return Err(Error::config("sink", reason));
            }
        }
    }
    Ok(())
}

fn check_events(min_score: f32, stream: &StreamConfig) -> Result<()> {
    if stream.infer.is_none() {
        let reason = "mqtt needs a head: add [infer] with head = \"...\"";
        return Err(Error::config("sink", reason));
    }
    if !(0.0..=1.0).contains(&min_score) {
        let reason = format!("{min_score}; scores are 0 to 1");
        return Err(Error::config("sink.min_score", reason));
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Config> {
        parse_as("camera", "rgb", source)
    }

    fn parse_as(kind: &str, bundle: &str, source: &str) -> Result<Config> {
        let rest = "[[sink]]\nkind = \"container\"\npath = \"-\"";
        let codec = format!("[codec]\nbundle = \"{bundle}\"\n{rest}");
        Config::parse(&format!("[source]\nkind = \"{kind}\"\n{source}\n{codec}"), "test.toml")
    }

    #[test]
    fn microphones_are_named_by_what_lasts_and_need_not_be_there() {
        let parse = |source: &str| parse_as("microphone", "mono", source);
        let card = "device = \"hw:CARD=USB,DEV=0\"";
        let config = parse(card).expect("a microphone");
        let SourceConfig::Microphone { rate, channels, format, .. } = &config.streams[0].source
        else {
            panic!("{:?}", config.streams[0].source)
        };
        assert_eq!((*rate, *channels, *format), (48000, 1, None));
        assert!(config.streams[0].is_live());
        config.streams[0].build(&Default::default()).expect("a line that waits");
        let all = format!("{card}\nrate = 16000\nchannels = 2\nformat = \"s24in3\"");
        parse_as("microphone", "stereo", &all).expect("a microphone");
        for (source, words) in [
            ("device = \"0\"".to_owned(), "hw:CARD=USB,DEV=0"),
            ("device = \"plughw:USB\"".to_owned(), "tamis doctor"),
            (format!("{card}\nrate = 0"), "source.rate"),
            (format!("{card}\nchannels = 65"), "source.channels"),
            (format!("{card}\nformat = \"s8\""), "s16"),
            (format!("{card}\nchanels = 1"), "did you mean `channels`?"),
            (String::new(), "device"),
        ] {
            let why = parse(&source).expect_err(&source).to_string();
            assert!(why.contains(words), "{source}: {why}");
        }
        let why = parse_as("microfone", "mono", card).expect_err("no kind").to_string();
        assert!(why.contains("did you mean `microphone`?"), "{why}");
        let why = parse_as("microphone", "rgb", card).expect_err("pictures").to_string();
        assert!(why.contains("codec.bundle"), "{why}");
    }

    #[test]
    fn gstreamer_is_a_feature_and_its_descriptions_are_checked_without_it() {
        let parse = |source: &str| parse_as("gstreamer", "rgb", source).map_err(|e| e.to_string());
        for (source, words) in [
            ("pipeline = \"videotestsrc ! filesink location=/x\"", "filesink"),
            ("pipeline = \"videotestsrc\"\nsilence = \"0 s\"", "source.silence"),
            ("pipeline = \"videotestsrc\"\nformat = \"yuyv\"", "source.format"),
            ("pipeline = \"videotestsrc\"\nrate = 8000", "media = \"sound\""),
            ("pipeline = \"audiotestsrc\"\nmedia = \"sound\"\nrate = 0", "0 Hz"),
            ("pipelin = \"videotestsrc\"", "did you mean `pipeline`?"),
        ] {
            let why = parse(source).expect_err(source);
            assert!(why.contains(words), "{source}: {why}");
        }
        let good = parse("pipeline = \"videotestsrc pattern=ball ! videoconvert\"");
        match cfg!(feature = "gstreamer") {
            true => assert!(good.is_ok_and(|c| c.streams[0].is_live())),
            false => assert!(good.is_err_and(|why| why.contains("--features gstreamer"))),
        }
    }

    #[test]
    fn cameras_are_named_by_what_lasts_and_need_not_be_there() {
        let link = "device = \"/dev/v4l/by-id/usb-x\"";
        let config = parse(link).expect("a camera");
        let SourceConfig::Camera { width, height, fps, format, .. } = &config.streams[0].source
        else {
            panic!("{:?}", config.streams[0].source)
        };
        assert_eq!((*width, *height, *fps, *format), (640, 480, 30.0, None));
        assert!(config.streams[0].is_live());
        config.streams[0].build(&Default::default()).expect("a line that waits for its camera");
        let all = "device = \"usb:046d:0825\"\nwidth = 1280\nheight = 720\nfps = 29.97\nformat = \"mjpeg\"";
        parse(all).expect("a camera");
        for (source, words) in [
            ("device = \"0\"".to_owned(), "usb:046d:0825"),
            (format!("{link}\nfps = 0"), "source.fps"),
            (format!("{link}\nwidth = 0"), "at least 1x1"),
            (format!("{link}\nwidth = 100000\nheight = 100000"), "limit"),
            (format!("{link}\nformat = \"h264\""), "yuyv"),
            (String::new(), "device"),
        ] {
            let why = parse(&source).expect_err(&source).to_string();
            assert!(why.contains(words), "{source}: {why}");
        }
    }
}
