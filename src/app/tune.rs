//! `tamis tune`: which layers of a head may run in int8, and which schedules of tokens are worth it, written into its
//! metadata.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::args::Tune as Typed;
use super::files::{is_same, written};
use super::tune_table;
use super::{Outcome, files, outcome, print_line, say, stop_flag, tell};
use crate::bitstream::Limits;
use crate::codec::{Bundle, Latent, Quality};
use crate::error::{Error, Result};
use crate::lab::tune::{Asked, Choice, Goal, search, tune};
use crate::pipeline::sinks::write_whole;
use crate::pipeline::sources::{Files, find_files, holds_packets};
use crate::pipeline::stages::{Encode, Unpack};
use crate::pipeline::{Pipeline, Stage};
use crate::runtime::{FloatLayers, Head, HeadCard, TUNED, find_codec, head_file, with_property};

/// Latents that are looked at, at most.
const LATENTS: usize = 512;
/// Latents with fewer of which it is said that they are few.
const FEW: usize = 50;

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let ending = typed.output.extension().map(|e| e.to_ascii_lowercase());
    if ending.is_none_or(|e| e != "onnx") || typed.output.is_dir() {
        let reason = format!("{}: needed is the name of an .onnx file", typed.output.display());
        return Err(Error::config("--output", reason).into());
    }
    let (path, onnx) = head_file(&typed.head).map_err(|e| Error::config("HEAD", e))?;
    if written(&typed.output).iter().any(|written| is_same(Path::new(&path), written)) {
        let reason = format!("{}: is the head itself; name another file", typed.output.display());
        return Err(Error::config("--output", reason).into());
    }
    let card = Head::card_of(&path, &onnx)?;
    let bundle = Arc::new(find_codec(card.codec, &card.bundle)?);
    let stop = stop_flag();
    let (latents, names, mut outcome) = latents(typed, &card, &bundle)?;
    let stopped = || anyhow::anyhow!("stopped; nothing is written");
    if stop.load(Ordering::Relaxed) {
        return Err(stopped());
    }
    if latents.len() < FEW {
        let share = 100.0 / latents.len() as f64;
        say(format_args!("{} to tune on are few: one answer is {share:.0} %", latents.len()));
    }
    let bar = files::progress(0, "tuning");
    let goal = Goal { cosine: typed.cosine, agreement: typed.agreement / 100.0 };
    let choice = tune(&path, &onnx, &bundle, &latents, goal, &stop, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    let choice = choice.ok_or_else(stopped)?;
    let floats = choice.floats();
    let truths = tune_table::truths(&names, &card.labels);
    let found = match typed.target_ms {
        None => None,
        Some(target_ms) => {
            let asked = Asked {
                name: &path,
                onnx: &onnx,
                bundle: &bundle,
                latents: &latents,
                truths: truths.as_deref(),
                floats: &floats,
                target_ms,
                date: super::time::today(),
            };
            let found = search(&asked, &stop, |what, done, all| {
                bar.set_message(what.to_owned());
                bar.set_length(all as u64);
                bar.set_position(done as u64);
            })?;
            Some(found.ok_or_else(stopped)?)
        }
    };
    bar.finish_and_clear();
    let tuned = with_property(&path, &onnx, "tamis.floats", &FloatLayers(floats).to_string())?;
    // A table for other layers would be wrong.
    let text = match &found {
        Some(found) => found.tuned.text().map_err(|why| Error::bundle(&path, why))?,
        None => String::new(),
    };
    let tuned = match found.is_some() || card.tuned.is_some() {
        true => with_property(&path, &tuned, TUNED, &text)?,
        false => tuned,
    };
    write_whole(&typed.output, &tuned)?;
    if found.is_none() && card.tuned.is_some() {
        say("the table of schedules was for other layers and is left out; --target-ms makes one");
    }
    let mut fields = report(typed, &choice, latents.len());
    if !typed.json {
        table(&choice, latents.len())?;
    }
    if let Some((found, target)) = found.as_ref().zip(typed.target_ms) {
        let plot = typed.output.with_extension("svg");
        write_whole(&plot, tune_table::plot(found, target).as_bytes())?;
        match typed.json {
            true => tune_table::add_fields(&mut fields, found, target, &plot),
            false => tune_table::print(found, target, &plot)?,
        }
        if let Err(why) = found.tuned.within(target) {
            say(format_args!("--target-ms {why}"));
            outcome = Outcome::WithLosses;
        }
    }
    match typed.json {
        true => print_line(fields)?,
        false => print_line(format!("written to {}", typed.output.display()))?,
    }
    if choice.kept.cosine < goal.cosine || choice.kept.agreement < goal.agreement {
        say("the goal is not reached even in floats; is the head run on other latents?");
    }
    Ok(outcome)
}

/// Latents of the files to calibrate with, and the names of these files.
fn latents(
    typed: &Typed,
    card: &HeadCard,
    bundle: &Arc<Bundle>,
) -> anyhow::Result<(Vec<Latent>, Vec<String>, Outcome)> {
    let found = find_files(&typed.calib)?;
    files::spare_inputs(&found, &typed.output)?;
    let paths: Vec<PathBuf> = found.into_iter().map(|f| f.path).collect();
    let (packets, mut media): (Vec<PathBuf>, Vec<PathBuf>) =
        paths.into_iter().partition(|p| holds_packets(p));
    if media.len() > LATENTS {
        // Of all folders, not of the first.
        media = (0..LATENTS).map(|i| media[i * media.len() / LATENTS].clone()).collect();
        say(format_args!("tuning on {LATENTS} of the files, evenly spread"));
    }
    let reading = files::reading(&typed.input)?;
    let (mut kept, mut names, mut result) = (Vec::new(), Vec::new(), Outcome::Done);
    let encode = Encode::new(bundle.clone(), bundle.channels(), Quality::new(typed.quality)?)?;
    let unpack = Unpack::new(bundle.clone(), Limits::default());
    let lines: [(Files, Box<dyn Stage>); 2] = [
        (Files::new(media, reading), Box::new(encode)),
        (Files::packets(packets), Box::new(unpack)),
    ];
    let stop: &AtomicBool = &stop_flag();
    for (source, stage) in lines {
        let line = Pipeline::new(Box::new(source), vec![stage], Vec::new(), 1)?;
        let report = line.run(stop, |_, item| {
            tell(item);
            let latent = item.latent.as_ref().filter(|l| l.cells() > 0);
            match latent.map(|latent| (latent, card.shape(bundle, latent))) {
                Some((latent, Ok(_))) if kept.len() < LATENTS => {
                    kept.push(latent.clone());
                    names.push(item.name.clone());
                }
                Some((_, Err(why))) => {
                    say(format_args!("{}: not tuned on: {why}", item.name));
                    result = Outcome::WithLosses;
                }
                _ => {}
            }
        })?;
        if outcome(&report) == Outcome::WithLosses {
            result = Outcome::WithLosses;
        }
    }
    if kept.is_empty() && !stop.load(Ordering::Relaxed) {
        let typed: Vec<String> = typed.calib.iter().map(|p| p.display().to_string()).collect();
        return Err(
            Error::input(typed.join(" "), "holds nothing that the head can be tried on").into()
        );
    }
    Ok((kept, names, result))
}

fn report(typed: &Typed, choice: &Choice, count: usize) -> serde_json::Value {
    let kept = |g: &Goal| json!({ "cosine": g.cosine, "agreement": g.agreement });
    let layers: Vec<_> = choice
        .layers
        .iter()
        .map(|l| {
            json!({
                "layer": l.place.to_string(), "zd": l.zd, "lim": l.lim,
                "error": l.error, "float": l.float,
            })
        })
        .collect();
    json!({
        "head": typed.head, "output": typed.output, "latents": count, "layers": layers,
        "floats": FloatLayers(choice.floats()).to_string(),
        "kept": kept(&choice.kept), "all_int8": kept(&choice.all_int8),
    })
}

fn table(choice: &Choice, count: usize) -> Result<()> {
    print_line("layer          LIM      ZD   1 - cosine alone   numbers")?;
    for l in &choice.layers {
        let name = l.place.to_string();
        let lim = l.lim.map_or("-".into(), |x| format!("{x:.4}"));
        let kind = if l.float { "float" } else { "int8" };
        print_line(format!("{name:<10} {lim:>8}  {:>6.4}   {:>16.2e}   {kind}", l.zd, l.error))?;
    }
    let words =
        |g: &Goal| format!("cosine {:.5}, same label {:.1} %", g.cosine, 100.0 * g.agreement);
    print_line(format!("all in int8: {} (n = {count})", words(&choice.all_int8)))?;
    let (all, floats) = (choice.layers.len(), choice.floats().len());
    print_line(format!("{} of {all} layers in int8: {}", all - floats, words(&choice.kept)))
}
