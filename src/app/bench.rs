//! `tamis bench`: what this machine does in a second.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Bench as Typed;
use super::codecs::asked;
use super::{Outcome, files, print_line};
use crate::bitstream::Coder;
use crate::codec::{Arithmetic, Bundle, Frame, Kind, Layout, Quality, Samples, bands};
use crate::error::{Error, Result};
use crate::lab::bench::{Bench, Row};
use crate::lab::bench_head::{HeadRow, bench_head};
use crate::pipeline::media;
use crate::pipeline::sources::find_files;
use crate::pipeline::sources::synthetic::{Scene, Tone};
use crate::pipeline::stages::check_fit;
use crate::runtime::{
    DecoderSize, Device, Encoder, Neural, Simd, decoders_of, find_decoder, head_file,
};

/// Sizes of pictures that are made if none are named, as width and height.
const SIZES: [(usize, usize); 3] = [(768, 512), (1920, 1080), (4096, 3072)];
/// Pixels from which a picture is worth several threads.
const LARGE: usize = 4_000_000;
/// Channels that are measured, as far as a bundle has groups that end there.
const CHANNELS: [usize; 3] = [12, 24, 48];
/// Time steps of a chunk of sound, and chunks.
const CHUNK: usize = 4096;
const CHUNKS: usize = 64;

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    if !typed.head.is_empty() {
        return heads(typed);
    }
    let names = match typed.codec.is_empty() {
        true => ["rgb", "stereo", "mono"].map(String::from).to_vec(),
        false => typed.codec.clone(),
    };
    if typed.device != Device::Cpu {
        return gpu(typed, &names);
    }
    let bundles: Vec<Bundle> = names.iter().map(|n| asked(n)).collect::<Result<_>>()?;
    let pictures = pictures(typed)?;
    let mut rows = Vec::new();
    if !typed.json {
        print_line("in memory, quality 75; medians, one thread unless said")?;
    }
    for bundle in bundles {
        let bundle = Arc::new(bundle);
        let sets: Vec<Vec<Frame>> = match bundle.kind {
            Kind::Audio => vec![sound(&bundle)],
            Kind::Image if bundle.inputs == 1 => pictures.iter().map(|p| gray(p)).collect(),
            Kind::Image => pictures.clone(),
        };
        if bundle.kind == Kind::Image && !bands::codes(&bundle, Layout::Rgb, 3) {
            if typed.inputs.is_empty() {
                let reason = format!(
                    "{} codes pictures of {} bands, and none are made; name some as inputs",
                    bundle.card.name, bundle.inputs
                );
                return Err(Error::config("--codec", reason).into());
            }
            let firsts = sets.iter().filter_map(|set| set.first());
            for frame in firsts {
                check_fit(&bundle, frame.layout, frame.channels)
                    .map_err(|e| Error::config("--codec", e))?;
            }
        }
        let neural = match bundle.kind {
            Kind::Image => neural(&bundle)?,
            Kind::Audio => Vec::new(),
        };
        for frames in &sets {
            for bench in benches(typed, &bundle, &neural, frames) {
                let bar = files::progress(0, "measuring");
                let new = bench.run()?;
                bar.finish_and_clear();
                for row in &new {
                    if !typed.json {
                        print_line(line(row))?;
                    }
                }
                rows.extend(new);
            }
        }
    }
    if typed.json {
        let rows: Vec<Value> = rows.iter().map(fields).collect();
        print_line(json!({ "tamis": env!("CARGO_PKG_VERSION"), "rows": rows }))?;
    }
    Ok(Outcome::Done)
}

/// Pictures to latents on a GPU, from its memory and from here, beside what copies and memory allow.
fn gpu(typed: &Typed, names: &[String]) -> anyhow::Result<Outcome> {
    let found = typed.device.check()?;
    if let Some(reason) = found.instead {
        let device = typed.device.to_string();
        return Err(Error::Device { device, reason }.into());
    }
    let pictures = pictures(typed)?;
    let time = Duration::from_secs_f64(typed.seconds);
    let mut rows = Vec::new();
    if !typed.json {
        print_line(format!("{}, quality 75, MP/s: means over bursts of batches", found.name))?;
    }
    for name in names {
        let bundle = Arc::new(asked(name)?);
        if bundle.kind != Kind::Image || bundle.arithmetic != Arithmetic::Fixed {
            continue;
        }
        for channels in channels_of(&bundle) {
            let mut encoder = Encoder::new(bundle.clone(), channels, Quality::DEFAULT)?;
            encoder.set_device(typed.device)?;
            for frames in &pictures {
                let gray = if bundle.inputs == 1 { gray(&frames[..1]) } else { Vec::new() };
                let frame = gray.first().unwrap_or(&frames[0]).view();
                let bar = files::progress(0, "measuring");
                let speeds = encoder.gpu_speeds(frame, typed.batch, time)?;
                bar.finish_and_clear();
                let Some(s) = speeds else { continue };
                let extent = [frame.extent[0], frame.extent[1]];
                if !typed.json {
                    print_line(format!(
                        "encode_latents  {:<8} {channels:>4} channels  {:>12} x{:<4}  from its memory \
                         {:>9.0} (its bandwidth allows {:.0}), from here and back {:>9.0} (copies \
                         alone {:.0})",
                        bundle.card.name,
                        format!("{}x{}", extent[1], extent[0]),
                        s.pictures,
                        s.device,
                        s.device_bound,
                        s.host,
                        s.host_bound,
                    ))?;
                }
                let row = |from, speed, bound| {
                    json!({
                        "what": "encode_latents", "bundle": bundle.card.name, "channels": channels,
                        "extent": extent, "batch": s.pictures, "device": found.name, "from": from,
                        "mpps": speed, "bound_mpps": bound,
                    })
                };
                rows.push(row("device", s.device, s.device_bound));
                rows.push(row("host", s.host, s.host_bound));
            }
        }
    }
    if rows.is_empty() {
        let reason = "none of these codecs runs on a GPU; pictures in fixed point do, as rgb";
        return Err(Error::config("--codec", reason).into());
    }
    if typed.json {
        print_line(json!({ "tamis": env!("CARGO_PKG_VERSION"), "rows": rows }))?;
    }
    Ok(Outcome::Done)
}

/// Channels that are measured of a bundle.
fn channels_of(bundle: &Bundle) -> Vec<usize> {
    let image = bundle.kind == Kind::Image;
    let some = CHANNELS.into_iter().filter(|c| image && bundle.groups.contains(c));
    let some: Vec<usize> = some.collect();
    if some.is_empty() { vec![bundle.channels()] } else { some }
}

/// Models, ours and plain tract.
fn heads(typed: &Typed) -> anyhow::Result<Outcome> {
    let simds = if typed.every_simd { Simd::all() } else { vec![Simd::best()] };
    let time = Duration::from_secs_f64(typed.seconds);
    let mut all = Vec::new();
    for name in &typed.head {
        let (path, onnx) = head_file(name).map_err(|e| Error::config("--head", e))?;
        let bar = files::progress(0, "measuring");
        let (engine, rows) = bench_head(&path, &onnx, &simds, time)?;
        bar.finish_and_clear();
        if !typed.json {
            print_line(format!("{name}: {engine}"))?;
            print_line("  medians, one thread; cosine and largest difference to plain tract")?;
        }
        for row in rows {
            let simd = row.simd.map_or("-", Simd::name);
            let input = row.input.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
            if !typed.json {
                let HeadRow { engine, ms, cosine, difference, .. } = &row;
                let words = format!("{ms:>9.2} ms  {cosine:.5}  {difference:.0e}");
                print_line(format!("  infer  {engine:<6} {input:>14}  {simd:>8}  {words}"))?;
            }
            all.push(json!({
                "what": "infer", "head": name, "engine": row.engine, "input": row.input,
                "simd": row.simd.map(Simd::name), "threads": 1, "device": "cpu",
                "ms": row.ms, "cosine": row.cosine, "difference": row.difference,
            }));
        }
    }
    if typed.json {
        print_line(json!({ "tamis": env!("CARGO_PKG_VERSION"), "rows": all }))?;
    }
    Ok(Outcome::Done)
}

/// Every combination that is asked for.
fn benches<'a>(
    typed: &Typed,
    bundle: &Arc<Bundle>,
    neural: &[(DecoderSize, Arc<Neural>)],
    frames: &'a [Frame],
) -> Vec<Bench<'a>> {
    let image = bundle.kind == Kind::Image;
    let channels = channels_of(bundle);
    let simds = if typed.every_simd && image { Simd::all() } else { vec![Simd::best()] };
    let large = image && frames.first().is_some_and(|f| f.positions() >= LARGE);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = match typed.threads {
        Some(n) if image => vec![n],
        None if large && cores > 1 => vec![1, cores],
        _ => vec![1],
    };
    let time = Duration::from_secs_f64(typed.seconds);
    let mut all = Vec::new();
    for &channels in &channels {
        for &simd in &simds {
            for &threads in &threads {
                let bundle = Arc::clone(bundle);
                // They take as long for few channels, and hardly depend on ours of instructions.
                let once = channels == bundle.channels() && simd == Simd::best();
                let neural = if once { neural.to_vec() } else { Vec::new() };
                all.push(Bench { bundle, channels, neural, simd, threads, time, frames });
            }
        }
    }
    all
}

/// The neural decoders of a bundle, if this build runs them.
fn neural(bundle: &Bundle) -> Result<Vec<(DecoderSize, Arc<Neural>)>> {
    if !cfg!(feature = "onnx") {
        return Ok(Vec::new());
    }
    let open = |size| Some((size, find_decoder(bundle, size).transpose()?));
    let all = decoders_of(bundle).filter_map(open);
    all.map(|(size, neural)| Ok((size, Arc::new(neural?)))).collect()
}

/// Pictures of each size, those that were named or made ones.
fn pictures(typed: &Typed) -> Result<Vec<Vec<Frame>>> {
    if typed.inputs.is_empty() {
        return Ok(SIZES.map(|(w, h)| vec![Scene::new(w, h, 1).frame(0)]).to_vec());
    }
    let mut sets: Vec<Vec<Frame>> = Vec::new();
    for file in find_files(&typed.inputs)? {
        let frame = media::read(&file.path, &media::Limits::default())?.frame;
        if frame.is_audio() {
            let reason = "is a sound; pictures only, sounds are made".to_owned();
            return Err(Error::input(file.path.display().to_string(), reason));
        }
        let alike = |set: &&mut Vec<Frame>| {
            set[0].extent == frame.extent && set[0].channels == frame.channels
        };
        match sets.iter_mut().find(alike) {
            Some(set) => set.push(frame),
            None => sets.push(vec![frame]),
        }
    }
    Ok(sets)
}

/// The first colour of each picture, as gray.
fn gray(frames: &[Frame]) -> Vec<Frame> {
    let one = |f: &Frame| {
        let samples = match &f.samples {
            Samples::U8(v) => Samples::U8(v.iter().step_by(f.channels).copied().collect()),
            other => other.clone(),
        };
        Frame::new(Layout::Gray, 1, f.extent.clone(), samples)
    };
    frames.iter().filter_map(|f| one(f).ok()).collect()
}

fn sound(bundle: &Bundle) -> Vec<Frame> {
    let tone = Tone::new(bundle.rate.max(1), bundle.inputs, 1);
    (0..CHUNKS).map(|k| tone.samples((k * CHUNK) as u64, CHUNK)).collect()
}

fn line(row: &Row) -> String {
    let simd = row.simd.map_or("-", Simd::name);
    let threads =
        if row.threads == 1 { String::new() } else { format!(", {} threads", row.threads) };
    let (extent, unit) = match row.sound {
        true => (format!("{} channels", row.extent[0]), "x real time"),
        false => (format!("{}x{}", row.extent[1], row.extent[0]), "MP/s"),
    };
    let speed = format!("{:.*}", if row.speed < 100.0 { 1 } else { 0 }, row.speed);
    let decoder = row.what.decoder().map_or("", DecoderSize::name);
    let by = row.what.coder().map_or(decoder, name);
    format!(
        "{:<15} {by:<7} {:<8} {:>4} channels  {extent:>12}  {simd:>8}  {:>8} {unit}{threads}",
        row.what.name(),
        row.bundle,
        row.channels,
        speed
    )
}

fn name(coder: Coder) -> &'static str {
    match coder {
        Coder::Fast => "fast",
        Coder::Dense => "dense",
    }
}

fn fields(row: &Row) -> Value {
    let mut line = json!({
        "what": row.what.name(),
        "bundle": row.bundle,
        "channels": row.channels,
        "extent": row.extent,
        "threads": row.threads,
        "simd": row.simd.map(Simd::name),
        "device": "cpu",
    });
    if let Some(coder) = row.what.coder() {
        line["coder"] = name(coder).into();
    }
    if let Some(decoder) = row.what.decoder() {
        line["decoder"] = decoder.name().into();
    }
    line[if row.sound { "x_realtime" } else { "mpps" }] = json!(row.speed);
    line
}
