//! `tamis fit`: a bundle from a folder of pictures or sounds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;

use super::args::Fit as Typed;
use super::{Outcome, files};
use crate::codec::{Card, Frame, Kind, Layout, Samples};
use crate::error::{Error, Result};
use crate::lab::{Fit, fit};
use crate::pipeline::media;
use crate::pipeline::sources::find_files;

/// Fewest pictures a fit can be trusted on; audio.md section 8 found ten too few.
const FEW_PICTURES: usize = 50;
/// Fewest seconds of sound; below, silent bands are cut off for good.
const FEW_SECONDS: f64 = 30.0;
/// Seconds read of each sound, unless more or fewer are asked for.
pub(super) const SECONDS: f64 = 30.0;

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let found = find_files(&typed.inputs)?;
    files::spare_folder_of(&found, &typed.output)?;
    let paths: Vec<PathBuf> = found.into_iter().map(|f| f.path).collect();
    let limits = media::Limits::default();
    let bar = files::progress(paths.len() as u64, "looking");
    // Kind, channels and length of each file; the unreadable are named.
    let looks: Vec<Option<(Kind, usize, f64)>> = paths
        .par_iter()
        .map(|path| {
            let look = media::read(path, &limits);
            bar.inc(1);
            match look {
                Ok(d) => Some(shape(&d.frame)),
                Err(e) => {
                    bar.suspend(|| eprintln!("tamis: passed over: {e}"));
                    None
                }
            }
        })
        .collect();
    bar.finish_and_clear();
    let unreadable = looks.iter().filter(|l| l.is_none()).count();
    let (kind, inputs) = choose(looks.iter().flatten(), typed.inputs_per_frame)?;
    let chosen: Vec<&PathBuf> = paths
        .iter()
        .zip(&looks)
        .filter(|(_, look)| look.is_some_and(|(k, c, _)| k == kind && c == inputs))
        .map(|(path, _)| path)
        .collect();
    warn_if_few(kind, chosen.len(), looks.iter().flatten().map(|l| l.2).sum());
    let levels = typed.levels.unwrap_or(if kind == Kind::Image { 3 } else { 7 });
    let allowed = if kind == Kind::Image { 1..=4 } else { 1..=9 };
    if !allowed.contains(&levels) {
        let reason = format!("{levels} is outside {} to {}", allowed.start(), allowed.end());
        return Err(Error::config("--levels", reason).into());
    }
    let bands = inputs << (levels * if kind == Kind::Image { 2 } else { 1 });
    // Fixed point knows one and three colours at three levels; the rest is dense.
    let fixed = kind == Kind::Image && levels == 3 && [1, 3].contains(&inputs) && !typed.dense;
    let name = typed.output.file_name().map(|n| n.to_string_lossy().into_owned());
    let options = Fit {
        kind,
        terms: fixed.then_some(typed.terms.into()),
        inputs,
        levels,
        channels: typed.channels.unwrap_or(if kind == Kind::Image { bands / 4 } else { bands }),
        rate: if kind == Kind::Audio { 44100 } else { 0 },
        card: Card {
            name: name.unwrap_or_default(),
            description: describe(kind, inputs, fixed),
            data: format!("{} files. {}", chosen.len(), typed.data).trim().into(),
            licence: typed.licence.clone(),
            command: command(),
        },
    };
    let bar = files::progress(2 * chosen.len() as u64, "fitting");
    let start = std::time::Instant::now();
    let read = |path: &&PathBuf| {
        let mut frame = media::read(path, &limits).ok()?.frame;
        shorten(&mut frame, typed.seconds);
        Some(frame)
    };
    let fitted = fit(&options, &chosen, read, || bar.inc(1))?;
    bar.finish_and_clear();
    let bundle = &fitted.bundle;
    let folder = &typed.output;
    let bytes = files::write_bundle(folder, bundle)?;
    let seconds = start.elapsed().as_secs_f64();
    let passed = paths.len() - chosen.len();
    if typed.json {
        let report = serde_json::json!({
            "bundle": folder, "codec": bundle.codec_id().to_string(),
            "tables": bundle.tables_id().to_string(), "channels": bundle.channels(),
            "files": chosen.len(), "passed_over": passed, "bytes": bytes, "seconds": seconds,
            "sparsity_cost_db": fitted.cost_db.iter()
                .map(|(n, db)| serde_json::json!({ "channels": n, "db": db }))
                .collect::<Vec<_>>(),
        });
        println!("{report}");
    } else {
        println!(
            "{}: codec {}, {} channels from {} files ({passed} passed over), {} bytes, {seconds:.1} s",
            folder.display(),
            bundle.codec_id(),
            bundle.channels(),
            chosen.len(),
            bytes,
        );
        if !fitted.cost_db.is_empty() {
            let costs = fitted.cost_db.iter().map(|(n, db)| format!("{n} channels {db:.3} dB"));
            let costs: Vec<String> = costs.collect();
            println!("{} terms a channel instead of all cost: {}", typed.terms, costs.join(", "));
        }
    }
    Ok(if unreadable > 0 { Outcome::WithLosses } else { Outcome::Done })
}

fn shape(frame: &Frame) -> (Kind, usize, f64) {
    match frame.layout {
        Layout::Audio { rate } => {
            (Kind::Audio, frame.channels, frame.extent[0] as f64 / f64::from(rate))
        }
        _ => (Kind::Image, frame.channels, 0.0),
    }
}

/// The kind and number of channels that most files have, or as many as asked for.
fn choose<'a>(
    looks: impl Iterator<Item = &'a (Kind, usize, f64)>,
    asked: Option<usize>,
) -> Result<(Kind, usize)> {
    let mut counts: BTreeMap<(bool, usize), usize> = BTreeMap::new();
    for &(kind, channels, _) in looks {
        if asked.is_none_or(|a| a == channels) {
            *counts.entry((kind == Kind::Audio, channels)).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|&(_, n)| n);
    let ((audio, channels), _) = most.ok_or_else(|| {
        let reason = match asked {
            Some(n) => format!("no readable picture or sound with {n} channels among the inputs"),
            None => "no readable picture or sound among the inputs".into(),
        };
        Error::input("fit", reason)
    })?;
    Ok((if audio { Kind::Audio } else { Kind::Image }, channels))
}

fn warn_if_few(kind: Kind, files: usize, seconds: f64) {
    if kind == Kind::Image && files < FEW_PICTURES {
        eprintln!(
            "tamis: {files} pictures are few; a fit on under {FEW_PICTURES} may lose to `rgb`"
        );
    }
    if kind == Kind::Audio && seconds < FEW_SECONDS {
        eprintln!("tamis: {seconds:.0} s of sound are few; fit on {FEW_SECONDS:.0} s at least");
    }
}

/// Keeps the first `seconds` of a sound.
pub(super) fn shorten(frame: &mut Frame, seconds: f64) {
    if let Layout::Audio { rate } = frame.layout {
        let steps = frame.extent[0].min((seconds * f64::from(rate)) as usize);
        let len = steps * frame.channels;
        frame.extent[0] = steps;
        match &mut frame.samples {
            Samples::U8(v) | Samples::Nv12(v) | Samples::Yuyv(v) => v.truncate(len),
            Samples::U16(v) => v.truncate(len),
            Samples::I16(v) => v.truncate(len),
            Samples::F32(v) => v.truncate(len),
        }
    }
}

fn describe(kind: Kind, inputs: usize, fixed: bool) -> String {
    match kind {
        Kind::Image if fixed => {
            format!("pictures of {inputs} colours, sparse weighted KLT in fixed point")
        }
        Kind::Image => format!("pictures of {inputs} colours, weighted KLT of the packet bands"),
        Kind::Audio if inputs == 2 => "sound, mid/side, one scale per packet band".into(),
        Kind::Audio => format!("sound of {inputs} channels, one scale per packet band"),
    }
}

/// The command line as typed, without the path of the program.
pub(super) fn command() -> String {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    format!("tamis {}", typed.join(" "))
}
