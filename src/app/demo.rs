//! `tamis demo`: the whole line on a scene and a sound made in code.

use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::args::Demo as Typed;
use super::decoders::choose;
use super::{Outcome, files, outcome, print_line, stop_flag, tell};
use crate::codec::{Frame, Latent, Layout, Quality, Samples};
use crate::error::{Error, Result};
use crate::lab::metrics::image::psnr_db;
use crate::pipeline::media::encode_png;
use crate::pipeline::sinks::Container;
use crate::pipeline::sources::synthetic::{Scene, Tone};
use crate::pipeline::sources::{SceneSource, ToneSource};
use crate::pipeline::stages::{Encode, Infer, Pack};
use crate::pipeline::{Ledger, Pipeline, Pool, Report, Source, Stage};
use crate::runtime::{Decoder, HeadOptions, find_bundle};

const WIDTH: usize = 640;
const HEIGHT: usize = 360;
/// Frames per second that the scene plays at.
const RATE: f64 = 30.0;
const SOUND_RATE: u32 = 44100;
/// Length of the sound.
const SOUND_SECONDS: u64 = 5;
/// How often the live numbers change.
const TICK: Duration = Duration::from_millis(250);

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    if typed.frames == 0 {
        return Err(Error::config("--frames", "0; at least 1 is needed").into());
    }
    let recording = typed.output.join("tamis-demo.tamis");
    let sound = typed.output.join("tamis-demo-sound.tamis");
    let picture = typed.output.join("tamis-demo.png");
    files::make_folder_of(&recording)?;

    let mut live = Live::new();
    let mut kept: Option<(Frame, Latent)> = None;
    let middle = typed.frames / 2;
    let scene = SceneSource::new(Scene::new(WIDTH, HEIGHT, 1), typed.frames, RATE).live();
    let seen = play(Box::new(scene), "rgb", Some("waste"), &recording, |ledger, item| {
        tell(item);
        let top = item.predictions.first().and_then(|p| p.top.first());
        live.show(ledger, top.map(|(label, score)| (label.as_str(), *score)));
        if item.stamp.index == middle {
            kept = item.frame.clone().zip(item.latent.clone());
        }
    })?;
    live.end();
    let tone = Tone::new(SOUND_RATE, 2, 1);
    let steps = SOUND_SECONDS * u64::from(SOUND_RATE);
    let source = ToneSource::new(tone, SOUND_RATE, steps, 16384);
    let heard = play(Box::new(source), "stereo", None, &sound, |_, item| tell(item))?;

    let bpp = seen.packet_bytes as f64 * 8.0 / seen.positions.max(1) as f64;
    let per_frame = seen.packet_bytes as f64 / seen.delivered.max(1) as f64;
    let mb_per_day = per_frame * RATE * 86400.0 / 1e6;
    let sound_bits = heard.packet_bytes as f64 * 8.0 / heard.positions.max(1) as f64;
    let mut db = f64::NAN;
    if let Some((before, latent)) = kept {
        let bundle = Arc::new(find_bundle("rgb")?);
        let channels = bundle.channels();
        let mut decoder = match choose(&bundle, None)?.neural {
            Some(neural) => Decoder::with_neural(bundle, channels, neural)?,
            None => Decoder::new(bundle, channels),
        };
        let after = decoder.push(&latent, Layout::Rgb)?;
        db = psnr_db(&before, &after)?;
        let pair = encode_png(&beside(&before, &after)?)?;
        std::fs::write(&picture, pair).map_err(|e| Error::io(&picture, e))?;
    }
    if typed.json {
        print_line(json!({
            "frames": seen.delivered, "lost": seen.lost_count(), "fps": live.fps(), "bpp": bpp,
            "mb_per_day": mb_per_day, "psnr_db": db, "prediction": live.top,
            "latency_ms": { "p50": ms(seen.latency(0.5)), "p99": ms(seen.latency(0.99)) },
            "sound_bits_per_sample": sound_bits, "recording": recording, "sound": sound,
            "picture": picture,
        }))?;
    } else {
        print_line(format!(
            "scene   {} frames of {WIDTH}x{HEIGHT}: {bpp:.3} bits per pixel, {db:.1} dB, {mb_per_day:.0} MB per day at {RATE} frames/s",
            seen.delivered
        ))?;
        print_line(format!(
            "sound   {SOUND_SECONDS} s of stereo: {sound_bits:.3} bits per sample, {:.0} kbit/s",
            sound_bits * 2.0 * f64::from(SOUND_RATE) / 1e3
        ))?;
        print_line(format!(
            "latency p50 {:.1} ms, p99 {:.1} ms; lost {}, dropped {}",
            ms(seen.latency(0.5)),
            ms(seen.latency(0.99)),
            seen.lost_count(),
            seen.dropped_count()
        ))?;
        if let Some(top) = &live.top {
            print_line(format!(
                "model   sees {top} (a waste sorter looking at a test card: do not believe it)"
            ))?;
        }
        let file = recording.display();
        print_line(format!("wrote   {file}, {}, {}", sound.display(), picture.display()))?;
        print_line("try     ")?;
        print_line(format!("  tamis info {file}"))?;
        print_line(format!("  tamis decode {file} --groups 2 -o coarse/"))?;
        print_line("  tamis encode YOUR-PICTURES/ -o small/".to_string())?;
    }
    Ok(if heard.lost_count() > 0 { Outcome::WithLosses } else { outcome(&seen) })
}

/// Runs a source through encoder, packer and head into a container.
fn play(
    source: Box<dyn Source>,
    bundle: &str,
    head: Option<&str>,
    output: &Path,
    look: impl FnMut(&Ledger, &crate::pipeline::Item),
) -> Result<Report> {
    let bundle = Arc::new(find_bundle(bundle)?);
    let mut stages: Vec<Box<dyn Stage>> = vec![
        Box::new(Encode::new(bundle.clone(), bundle.channels(), Quality::DEFAULT)?),
        Box::new(Pack::new(bundle.clone())),
    ];
    if let Some(head) = head {
        let pool = Pool::open(head, &HeadOptions::default());
        match pool.and_then(|pool| Infer::new(bundle, Arc::new(pool))) {
            Ok(infer) => stages.push(Box::new(infer)),
            Err(e) => eprintln!("tamis: no predictions: {e}"),
        }
    }
    let file = File::create(output).map_err(|e| Error::io(output, e))?;
    let sink = Container::new(BufWriter::new(file), output);
    Pipeline::new(source, stages, vec![Box::new(sink)], 8)?.run(&stop_flag(), look)
}

/// The numbers on the terminal while the scene plays.
struct Live {
    start: Instant,
    shown: Instant,
    frames: u64,
    seconds: f64,
    top: Option<String>,
    terminal: bool,
}

impl Live {
    fn new() -> Self {
        let now = Instant::now();
        let terminal = std::io::stderr().is_terminal();
        Self { start: now, shown: now, frames: 0, seconds: 0.0, top: None, terminal }
    }

    fn fps(&self) -> f64 {
        self.frames as f64 / self.seconds.max(1e-9)
    }

    fn show(&mut self, ledger: &Ledger, top: Option<(&str, f32)>) {
        self.frames = ledger.progress().1;
        self.seconds = self.start.elapsed().as_secs_f64();
        self.top = top.map(|(label, score)| format!("{label} {:.0} %", score * 100.0));
        let tick = if self.terminal { TICK } else { 4 * TICK };
        if self.shown.elapsed() < tick {
            return;
        }
        self.shown = Instant::now();
        let report = ledger.report();
        let bpp = report.packet_bytes as f64 * 8.0 / report.positions.max(1) as f64;
        let line = format!(
            "{:>4} frames  {:>5.1} frames/s  {bpp:.3} bits/pixel  {:>6.0} MB/day  p50 {:>5.1} ms  p99 {:>5.1} ms  {}",
            report.delivered,
            self.fps(),
            report.packet_bytes as f64 / report.delivered.max(1) as f64 * RATE * 0.0864,
            ms(report.latency(0.5)),
            ms(report.latency(0.99)),
            self.top.as_deref().unwrap_or(""),
        );
        if self.terminal { eprint!("\r{line:<100}") } else { eprintln!("{line}") }
    }

    fn end(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

/// Two pictures of one size side by side, a white line between them.
fn beside(left: &Frame, right: &Frame) -> Result<Frame> {
    let (Samples::U8(a), Samples::U8(b)) = (&left.samples, &right.samples) else {
        return Err(Error::shape("pictures side by side", "8-bit RGB", "others"));
    };
    let (height, width) = (left.extent[0], left.extent[1]);
    const GAP: usize = 4;
    let row = |v: &[u8], r: usize| v[r * width * 3..(r + 1) * width * 3].to_vec();
    let samples =
        (0..height).flat_map(|r| [row(a, r), vec![255; GAP * 3], row(b, r)].concat()).collect();
    Frame::rgb(height, 2 * width + GAP, samples)
}
