//! `tamis infer`: a head on latents from pictures, sounds or `.tamis` files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::args::Infer as Typed;
use super::codecs;
use super::overlay::Places;
use super::{Outcome, files, nothing_came_through, outcome, print_line, stop_flag, tell};
use crate::bitstream::Limits;
use crate::codec::{Kind, Quality};
use crate::error::{Error, Result};
use crate::pipeline::sinks::prediction_json;
use crate::pipeline::sources::{Files, find_files, holds_packets};
use crate::pipeline::stages::{Encode, Infer, Unpack};
use crate::pipeline::{Gone, Item, Pipeline, Pool, Report, Sink, Stage};
use crate::runtime::{Engine, HeadCard, HeadOptions, Tokens, find_codec, options_within};

/// Items classified at once when they are waiting.
const BATCH: usize = 8;

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let found = find_files(&typed.inputs)?;
    let paths: Vec<PathBuf> = found.iter().map(|f| f.path.clone()).collect();
    if paths.is_empty() {
        return Err(Error::input(typed.inputs[0].display(), "holds no file").into());
    }
    let reading = files::reading(&typed.input)?;
    let options = options(typed)?;
    let head = Pool::open(&typed.head, &options).map_err(|e| Error::config("--head", e))?;
    let head = Arc::new(head);
    let (card, engine, patch) = (head.card().clone(), head.engine().clone(), head.patch());
    match &engine {
        Engine::Plain { .. } | Engine::Transformer { int8: 0, .. } if typed.int8 => {
            super::say(format!("--int8 changes nothing: {} {engine}", card.name));
        }
        _ if typed.verbose => super::say(format!("{}: {engine}", card.name)),
        _ => {}
    }
    let bundle = Arc::new(match &typed.codec {
        Some(name) => codecs::asked(name)?,
        None => find_codec(card.codec, &card.bundle)?,
    });
    if let Some(n) = typed.channels
        && !bundle.groups.contains(&n)
    {
        let reason = format!("{n}; one of {:?} is needed, ends of the groups", bundle.groups);
        return Err(Error::config("--channels", reason).into());
    }
    let quality = Quality::new(typed.quality)?;
    let (low, high) = card.quality;
    if quality < low || quality > high {
        eprintln!(
            "tamis: quality {} is outside {} to {}, which {} is good for",
            quality.value(),
            low.value(),
            high.value(),
            card.name
        );
    }
    if typed.input.resample.is_some() && bundle.kind == Kind::Image {
        super::say("--resample changes sounds only, and this head reads pictures");
    }
    let overlay = match &typed.overlay {
        Some(typed) => Some(Places::new(typed, &found, &bundle, patch)?),
        None => None,
    };
    if overlay.is_some() && !matches!(engine, Engine::Transformer { schedule: Some(_), .. }) {
        super::say("--overlay dims nothing, since nothing is left out; add --keep");
    }
    let sinks = || -> Vec<Box<dyn Sink>> {
        let sink = overlay.as_ref().map(|places| places.sink(bundle.clone()));
        sink.into_iter().map(|s| Box::new(s) as _).collect()
    };
    // Names of overlays tell whether a picture is the only one, which shows when the next has come.
    let live = overlay.is_none();
    let stop = stop_flag();
    let (packets, media): (Vec<PathBuf>, Vec<PathBuf>) =
        paths.into_iter().partition(|p| holds_packets(p));
    let mut reports = Vec::new();
    let mut rate_told = false;
    let mut lost = None;
    let mut look = |item: &Item| -> Result<()> {
        tell(item);
        if !rate_told && card.rate > 0 {
            let rate = item.header.as_ref().map_or(0, |h| h.rate());
            if rate > 0 && rate != card.rate {
                rate_told = true;
                eprintln!(
                    "tamis: {}: sound at {rate} Hz, {} was trained at {} Hz; use --resample {}",
                    item.name, card.name, card.rate, card.rate
                );
            }
        }
        if let Some(Gone::Lost(_, why)) = &item.gone {
            // Every block of a sound may be lost for one reason.
            let this = (item.name.clone(), why.clone());
            if lost.replace(this.clone()) == Some(this) {
                return Ok(());
            }
        }
        say(typed, item, &card, patch)
    };
    if !media.is_empty() {
        let channels = typed.channels.unwrap_or(bundle.channels());
        let encode = Encode::new(bundle.clone(), channels, quality)
            .map_err(|e| Error::config("--channels", e))?;
        let source = Files::new(media, reading).live(live);
        let infer = Infer::new(bundle.clone(), head.clone())?;
        let stages: Vec<Box<dyn Stage>> = vec![Box::new(encode), Box::new(infer)];
        reports.push(classify(source, stages, sinks(), &stop, &mut look)?);
    }
    if !packets.is_empty() {
        let unpack = Unpack::new(bundle.clone(), Limits::default()).keeping(typed.channels);
        let source = Files::packets(packets).live(live);
        let infer = Infer::new(bundle.clone(), head.clone())?;
        let stages: Vec<Box<dyn Stage>> = vec![Box::new(unpack), Box::new(infer)];
        reports.push(classify(source, stages, sinks(), &stop, &mut look)?);
    }
    if let [report] = &reports[..]
        && let Some(error) = nothing_came_through(report)
        && report.received == 1
    {
        return Err(error.into());
    }
    if reports.iter().all(|r| r.received == 0 && !r.unread) {
        return Err(Error::input(found[0].path.display(), "holds no frame").into());
    }
    let lost = reports.iter().any(|r| outcome(r) == Outcome::WithLosses);
    Ok(if lost { Outcome::WithLosses } else { Outcome::Done })
}

/// How the head is run: as typed, or as its table says.
fn options(typed: &Typed) -> Result<HeadOptions> {
    if let Some(ms) = typed.target_ms {
        let (options, words) = options_within(&typed.head, ms, "--target-ms")?;
        words.into_iter().for_each(super::say);
        return Ok(options);
    }
    let share = |keep| Tokens::Share(typed.policy, keep);
    Ok(HeadOptions { int8: typed.int8, tokens: typed.keep.map_or(Tokens::All, share) })
}

fn classify(
    source: Files,
    stages: Vec<Box<dyn Stage>>,
    sinks: Vec<Box<dyn Sink>>,
    stop: &AtomicBool,
    look: &mut impl FnMut(&Item) -> Result<()>,
) -> Result<Report> {
    let line = Pipeline::new(Box::new(source), stages, sinks, BATCH)?;
    let mut said = Ok(());
    let report = line.run(stop, |_, item| {
        if said.is_ok() {
            said = look(item);
        }
    })?;
    said.map(|()| report)
}

fn say(typed: &Typed, item: &Item, card: &HeadCard, patch: Option<[usize; 2]>) -> Result<()> {
    if let (true, Some(Gone::Lost(_, why))) = (typed.json, &item.gone) {
        return print_line(json!({ "path": item.name, "error": why }));
    }
    for prediction in &item.predictions {
        if typed.json {
            print_line(prediction_json(item, prediction, card))?;
        } else if let Some((label, score)) = prediction.top.first() {
            let ms = prediction.elapsed.as_secs_f64() * 1e3;
            let patches = patch.zip(item.latent.as_ref()).map_or(0, |(patch, latent)| {
                latent.grid.iter().zip(patch).map(|(cells, side)| cells / side).product()
            });
            let kept = match prediction.patches.len() {
                0 => String::new(),
                kept => format!("{kept} of {patches} patches, "),
            };
            let (name, score) = (&item.name, score * 100.0);
            print_line(format!("{name}: {label} {score:.1} % ({kept}{ms:.1} ms)"))?;
        }
    }
    Ok(())
}
