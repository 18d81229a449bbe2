//! `tamis doctor`: what of this machine matters to tamis, and what is wrong with it.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::args::Doctor as Typed;
use super::{Outcome, print_line};
use crate::codec::{Frame, Quality, plain};
use crate::error::Result;
use crate::pipeline::config::Config;
use crate::pipeline::sources::gst;
use crate::pipeline::store::{Disk, RealDisk};
use crate::runtime::{Device, Simd, find_bundle, shipped_bundles, shipped_heads};

/// Seconds since 1970 before which no clock is right: this was not yet built.
const BUILT: u64 = 1_795_000_000;
/// Bytes that should be free.
const ROOM: u64 = 256 << 20;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    /// Whether it is as it should be.
    good: bool,
    words: String,
}

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let mut findings = machine();
    if let Some(path) = &typed.config {
        findings.extend(config(path));
    }
    let good = findings.iter().all(|f| f.good);
    if typed.json {
        let all: Vec<Value> = findings
            .iter()
            .map(|f| json!({ "what": f.what, "good": f.good, "words": f.words }))
            .collect();
        print_line(json!({ "version": env!("CARGO_PKG_VERSION"), "good": good, "findings": all }))?;
    } else {
        for f in &findings {
            let mark = if f.good { "ok " } else { "BAD" };
            print_line(format!("{mark}  {:<10} {}", f.what, f.words))?;
        }
    }
    Ok(if good { Outcome::Done } else { Outcome::WithLosses })
}

fn machine() -> Vec<Finding> {
    let good = |what, words: String| Finding { what, good: true, words };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let simd: Vec<&str> = Simd::all().iter().map(|s| s.name()).collect();
    let features = [
        ("cli", cfg!(feature = "cli")),
        ("cuda", cfg!(feature = "cuda")),
        ("onnx", cfg!(feature = "onnx")),
        ("gstreamer", cfg!(feature = "gstreamer")),
    ];
    let there: Vec<&str> = features.iter().filter(|f| f.1).map(|f| f.0).collect();
    let bundles: Vec<&str> = shipped_bundles().collect();
    let heads: Vec<&str> = shipped_heads().collect();
    let mut found = vec![
        good("tamis", format!("{}, with {}", env!("CARGO_PKG_VERSION"), there.join(", "))),
        good("machine", format!("{cores} cores, {}", simd.join(", "))),
        good("models", format!("{}; heads {}", bundles.join(", "), heads.join(", "))),
    ];
    found.push(match speed() {
        Ok(ms) => good("speed", format!("{ms:.1} ms to encode 640x360 on one core")),
        Err(e) => Finding { what: "speed", good: false, words: e.to_string() },
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    found.push(Finding {
        what: "clock",
        good: now.as_secs() > BUILT,
        words: match now.as_secs() > BUILT {
            true => super::time::date_and_time(now),
            false => format!(
                "{}: before tamis was built; set it, or wait for the network's time",
                super::time::date_and_time(now)
            ),
        },
    });
    found.push(room("disk", Path::new(".")));
    found.push(match Device::Cuda(0).check() {
        Ok(gpu) => good("gpu", gpu.name),
        // Nothing needs one.
        Err(crate::error::Error::Device { reason, .. }) => good("gpu", format!("none: {reason}")),
        Err(e) => good("gpu", format!("none: {e}")),
    });
    found.extend(cameras());
    found.extend(microphones());
    found.extend(gst::installed().map(gstreamer));
    found
}

/// GStreamer's version, and which elements a config may name here.
fn gstreamer(installed: Result<gst::Installed>) -> Finding {
    let (good, words) = match installed {
        Ok(installed) => {
            let group = |(group, names): &(gst::Group, Vec<&str>)| {
                format!("{}: {}", group.name(), names.join(" "))
            };
            let groups: Vec<String> =
                installed.elements.iter().filter(|g| !g.1.is_empty()).map(group).collect();
            (true, format!("{}; {}", installed.version, groups.join("; ")))
        }
        Err(e) => (false, e.to_string()),
    };
    Finding { what: "gstreamer", good, words }
}

/// Cameras, by what they are known by in a config.
#[cfg(target_os = "linux")]
fn cameras() -> Vec<Finding> {
    let found = crate::pipeline::sources::v4l2::find::cameras();
    if found.is_empty() {
        return vec![Finding { what: "cameras", good: true, words: "none".into() }];
    }
    let finding = |c: crate::pipeline::sources::v4l2::find::Camera| {
        let formats: Vec<String> = c.formats.iter().map(|(f, _)| f.to_string()).collect();
        let (good, offers) = match formats.is_empty() {
            true => (false, "may not be opened; is this user in the group `video`?".into()),
            false => (true, formats.join(", ")),
        };
        let words = format!("{}: device = \"{}\" ({})", c.name, c.identity, offers);
        Finding { what: "camera", good, words }
    };
    found.into_iter().map(finding).collect()
}

#[cfg(not(target_os = "linux"))]
fn cameras() -> Vec<Finding> {
    vec![Finding { what: "cameras", good: true, words: "are read on Linux only".into() }]
}

/// Microphones, by what they are known by in a config.
#[cfg(target_os = "linux")]
fn microphones() -> Vec<Finding> {
    let found = crate::pipeline::sources::alsa::find::microphones();
    if found.is_empty() {
        return vec![Finding { what: "microphones", good: true, words: "none".into() }];
    }
    let finding = |m: crate::pipeline::sources::alsa::find::Microphone| {
        let (good, offers) = match &m.abilities {
            Some(a) => {
                let depths: Vec<&str> = a.depths.iter().map(|d| d.name()).collect();
                let rates: Vec<String> = a.rates.iter().map(u32::to_string).collect();
                let [least, most] = a.channels;
                let (depths, rates) = (depths.join(", "), rates.join(", "));
                (true, format!("{depths}; {least} to {most} channels; {rates} Hz"))
            }
            None if m.busy => (true, "another program uses it".into()),
            None => (false, "may not be opened; is this user in the group `audio`?".into()),
        };
        let name = if m.name.is_empty() { &m.card } else { &m.name };
        let words = format!("{name}: device = \"{}\" ({offers})", m.identity);
        Finding { what: "microphone", good, words }
    };
    found.into_iter().map(finding).collect()
}

#[cfg(not(target_os = "linux"))]
fn microphones() -> Vec<Finding> {
    vec![Finding { what: "microphones", good: true, words: "are read on Linux only".into() }]
}

/// The time that a picture takes.
fn speed() -> Result<f64> {
    let bundle = std::sync::Arc::new(find_bundle("rgb")?);
    let frame = Frame::rgb(360, 640, (0..360 * 640 * 3).map(|i| (i * 31 % 251) as u8).collect())?;
    let mut encoder =
        crate::runtime::Encoder::new(bundle.clone(), bundle.channels(), Quality::DEFAULT)?;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        encoder.push(&frame, true)?;
        best = best.min(begin.elapsed());
    }
    // The plain path is the truth; a machine where the fast one differs must not be used.
    let small = Frame::rgb(16, 16, (0..768).map(|i| (i * 7 % 256) as u8).collect())?;
    let truth = plain::encode(&bundle, &small, bundle.channels(), Quality::DEFAULT)?;
    match encoder.push(&small, true)? == truth {
        true => Ok(best.as_secs_f64() * 1e3),
        false => Err(crate::error::Error::Device {
            device: Simd::best().name().into(),
            reason: "codes other latents than it should".into(),
        }),
    }
}

fn room(what: &'static str, folder: &Path) -> Finding {
    let free = RealDisk::default().free_bytes(folder);
    let (good, words) = match free {
        Ok(free) => (
            free > ROOM,
            format!("{:.1} GiB free at {}", free as f64 / (1u64 << 30) as f64, folder.display()),
        ),
        Err(e) => (false, format!("{}: {e}", folder.display())),
    };
    Finding { what, good, words }
}

fn config(path: &Path) -> Vec<Finding> {
    let config = match Config::open(path) {
        Ok(config) => config,
        Err(e) => return vec![Finding { what: "config", good: false, words: e.to_string() }],
    };
    let names: Vec<&str> = config.streams.iter().map(|s| s.name.as_str()).collect();
    let words = format!("{}: {}", path.display(), names.join(", "));
    let mut found = vec![Finding { what: "config", good: true, words }];
    for stream in &config.streams {
        if let Err(e) = stream.codec.device.check() {
            let words = format!("{}: {e}", stream.name);
            found.push(Finding { what: "gpu", good: false, words });
        }
    }
    if let Some(store) = &config.store {
        // The store's own folder may still have to be made.
        let there = store.folder.ancestors().find(|f| f.is_dir()).unwrap_or(Path::new("."));
        found.push(room("store", there));
    }
    if let Some(http) = &config.http {
        let bound = std::net::TcpListener::bind(http.listen);
        found.push(Finding {
            what: "http",
            good: bound.is_ok(),
            words: match bound {
                Ok(_) => format!("{} is free", http.listen),
                Err(e) => format!("{}: {e}; does a tamis run already?", http.listen),
            },
        });
    }
    found
}
