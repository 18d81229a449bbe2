//! `tamis tune`: which layers of a head may run in int8, written into its metadata.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::args::Tune as Typed;
use super::files::{is_same, written};
use super::{Outcome, files, outcome, print_line, say, stop_flag, tell};
use crate::bitstream::Limits;
use crate::codec::{Bundle, Latent, Quality};
use crate::error::{Error, Result};
use crate::lab::tune::{Choice, Goal, tune};
use crate::pipeline::sinks::write_whole;
use crate::pipeline::sources::{Files, find_files, holds_packets};
use crate::pipeline::stages::{Encode, Unpack};
use crate::pipeline::{Pipeline, Stage};
use crate::runtime::{FloatLayers, Head, HeadCard, LAYERS, find_codec, head_file, with_property};

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
    let card = Head::from_onnx(&path, &onnx)?.card().clone();
    let bundle = Arc::new(find_codec(card.codec, &card.bundle)?);
    let stop = stop_flag();
    let (latents, outcome) = latents(typed, &card, &bundle)?;
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
    bar.finish_and_clear();
    let floats = FloatLayers(choice.floats()).to_string();
    let tuned = with_property(&path, &onnx, "tamis.floats", &floats)?;
    write_whole(&typed.output, &tuned)?;
    if typed.json {
        print_line(report(typed, &choice, latents.len()))?;
    } else {
        table(typed, &choice, latents.len())?;
    }
    if choice.kept.cosine < goal.cosine || choice.kept.agreement < goal.agreement {
        say("the goal is not reached even in floats; is the head run on other latents?");
    }
    Ok(outcome)
}

/// Latents of the files to calibrate with.
fn latents(
    typed: &Typed,
    card: &HeadCard,
    bundle: &Arc<Bundle>,
) -> anyhow::Result<(Vec<Latent>, Outcome)> {
    let found = find_files(&typed.calib)?;
    files::spare_inputs(&found, &typed.output)?;
    let paths: Vec<PathBuf> = found.into_iter().map(|f| f.path).collect();
    let (packets, media): (Vec<PathBuf>, Vec<PathBuf>) =
        paths.into_iter().partition(|p| holds_packets(p));
    let reading = files::reading(&typed.input)?;
    let (mut kept, mut result) = (Vec::new(), Outcome::Done);
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
                Some((latent, Ok(_))) if kept.len() < LATENTS => kept.push(latent.clone()),
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
    Ok((kept, result))
}

fn report(typed: &Typed, choice: &Choice, count: usize) -> serde_json::Value {
    let kept = |g: &Goal| json!({ "cosine": g.cosine, "agreement": g.agreement });
    let layers: Vec<_> = choice
        .layers
        .iter()
        .map(|l| {
            json!({
                "block": l.block, "layer": LAYERS[l.layer], "zd": l.zd, "lim": l.lim,
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

fn table(typed: &Typed, choice: &Choice, count: usize) -> Result<()> {
    print_line("layer          LIM      ZD   1 - cosine alone   numbers")?;
    for l in &choice.layers {
        let name = format!("{}.{}", l.block, LAYERS[l.layer]);
        let lim = l.lim.map_or("-".into(), |x| format!("{x:.4}"));
        let kind = if l.float { "float" } else { "int8" };
        print_line(format!("{name:<10} {lim:>8}  {:>6.4}   {:>16.2e}   {kind}", l.zd, l.error))?;
    }
    let words =
        |g: &Goal| format!("cosine {:.5}, same label {:.1} %", g.cosine, 100.0 * g.agreement);
    print_line(format!("all in int8: {} (n = {count})", words(&choice.all_int8)))?;
    let (all, floats) = (choice.layers.len(), choice.floats().len());
    print_line(format!("{} of {all} layers in int8: {}", all - floats, words(&choice.kept)))?;
    print_line(format!("written to {}", typed.output.display()))
}
