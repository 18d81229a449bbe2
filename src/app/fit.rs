//! `tamis fit`: a bundle from a folder of pictures or sounds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;

use super::args::Fit as Typed;
use super::{Outcome, files};
use crate::codec::{Card, Frame, Kind, Layout};
use crate::error::{Error, Result};
use crate::lab::{Fit, Of, fit};
use crate::pipeline::media::{self, Axes};
use crate::pipeline::sources::find_files;

/// Fewest pictures a fit can be trusted on; audio.md section 8 found ten too few.
const FEW_PICTURES: usize = 50;
/// Fewest cells of bands: below, tables follow chance.
const FEW_CELLS: usize = 1000;
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
    let axes = Axes::bands_first(typed.bands_first);
    // What each file holds; the unreadable are named.
    let looks: Vec<Option<Look>> = paths
        .par_iter()
        .map(|path| {
            let look = media::read_with(path, &limits, axes);
            bar.inc(1);
            match look {
                Ok(d) => Some(Look::at(&d.frame)),
                Err(e) => {
                    bar.suspend(|| eprintln!("tamis: passed over: {e}"));
                    None
                }
            }
        })
        .collect();
    bar.finish_and_clear();
    let unreadable = looks.iter().filter(|l| l.is_none()).count();
    let (of, inputs) = choose(looks.iter().flatten(), typed.inputs_per_frame)?;
    let kind = of.kind();
    let bands_of = of == Of::Bands;
    let chosen: Vec<&PathBuf> = paths
        .iter()
        .zip(&looks)
        .filter(|(_, look)| look.is_some_and(|l| (l.of, l.channels) == (of, inputs)))
        .map(|(path, _)| path)
        .collect();
    let used = || looks.iter().flatten().filter(|l| (l.of, l.channels) == (of, inputs));
    let levels = typed.levels.unwrap_or(if kind == Kind::Image { 3 } else { 7 });
    let allowed = if kind == Kind::Image { 1..=4 } else { 1..=9 };
    if !allowed.contains(&levels) {
        let reason = format!("{levels} is outside {} to {}", allowed.start(), allowed.end());
        return Err(Error::config("--levels", reason).into());
    }
    warn_if_few(of, chosen.len(), used().map(|l| l.length).sum::<f64>(), levels);
    if bands_of && typed.dense {
        let reason = "is for gray and colours; bands are rotated once for all positions";
        return Err(Error::config("--dense", reason).into());
    }
    let bands = inputs << (levels * if kind == Kind::Image { 2 } else { 1 });
    // Fixed point knows one and three colours at three levels; the rest is dense.
    let fixed = of == Of::Colours && levels == 3 && [1, 3].contains(&inputs) && !typed.dense;
    let name = typed.output.file_name().map(|n| n.to_string_lossy().into_owned());
    let options = Fit {
        kind,
        terms: fixed.then_some(typed.terms.into()),
        spectral: bands_of,
        inputs,
        levels,
        channels: typed.channels.unwrap_or(of.channels(bands)),
        rate: if kind == Kind::Audio { 44100 } else { 0 },
        card: Card {
            name: name.unwrap_or_default(),
            description: describe(of, inputs, fixed),
            data: format!("{} files. {}", chosen.len(), typed.data).trim().into(),
            licence: typed.licence.clone(),
            command: command(),
        },
    };
    let bar = files::progress(2 * chosen.len() as u64, "fitting");
    let start = std::time::Instant::now();
    let read = |path: &&PathBuf| {
        let mut frame = media::read_with(path, &limits, axes).ok()?.frame;
        if Look::at(&frame).of != of {
            return None;
        }
        frame.shorten(typed.seconds);
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
            "most_psnr_db": fitted.most_db,
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
        if let Some(db) = fitted.most_db {
            println!(
                "the {} channels of {bands} that were left out allow {db:.1} dB on these files, of the range \
                 of their samples; more --channels allow more",
                bands - bundle.channels(),
            );
        }
        if !fitted.cost_db.is_empty() {
            let costs = fitted.cost_db.iter().map(|(n, db)| format!("{n} channels {db:.3} dB"));
            let costs: Vec<String> = costs.collect();
            println!("{} terms a channel instead of all cost: {}", typed.terms, costs.join(", "));
        }
    }
    Ok(if unreadable > 0 { Outcome::WithLosses } else { Outcome::Done })
}

/// What a file holds.
#[derive(Debug, Clone, Copy)]
struct Look {
    of: Of,
    channels: usize,
    /// Seconds of sound, pixels of bands.
    length: f64,
}

impl Look {
    fn at(frame: &Frame) -> Self {
        let length = match frame.layout {
            Layout::Audio { rate } => frame.extent[0] as f64 / f64::from(rate),
            Layout::Bands { .. } => frame.positions() as f64,
            Layout::Gray | Layout::Rgb => 0.0,
        };
        Self { of: Of::layout(frame.layout), channels: frame.channels, length }
    }
}

/// The kind and number of channels that most files have, or as many as asked for.
fn choose<'a>(looks: impl Iterator<Item = &'a Look>, asked: Option<usize>) -> Result<(Of, usize)> {
    let mut counts: BTreeMap<(Of, usize), usize> = BTreeMap::new();
    for &Look { of, channels, .. } in looks {
        if asked.is_none_or(|a| a == channels) {
            *counts.entry((of, channels)).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|&(_, n)| n);
    let (found, _) = most.ok_or_else(|| {
        let reason = match asked {
            Some(n) => format!("no readable picture or sound with {n} channels among the inputs"),
            None => "no readable picture or sound among the inputs".into(),
        };
        Error::input("fit", reason)
    })?;
    Ok(found)
}

fn warn_if_few(of: Of, files: usize, length: f64, levels: u32) {
    let cell = f64::from(1u32 << (2 * levels));
    match of {
        Of::Colours if files < FEW_PICTURES => eprintln!(
            "tamis: {files} pictures are few; a fit on under {FEW_PICTURES} may lose to `rgb`"
        ),
        Of::Bands if length < cell * FEW_CELLS as f64 => eprintln!(
            "tamis: {length:.0} pixels are few; fit on {:.0} at least, of any number of pictures",
            cell * FEW_CELLS as f64
        ),
        Of::Sound if length < FEW_SECONDS => {
            eprintln!("tamis: {length:.0} s of sound are few; fit on {FEW_SECONDS:.0} s at least")
        }
        _ => {}
    }
}

fn describe(of: Of, inputs: usize, fixed: bool) -> String {
    match of {
        Of::Bands => format!("pictures of {inputs} bands, one KLT of the spectrum, packet bands"),
        Of::Colours if fixed => {
            format!("pictures of {inputs} colours, sparse weighted KLT in fixed point")
        }
        Of::Colours => format!("pictures of {inputs} colours, weighted KLT of the packet bands"),
        Of::Sound if inputs == 2 => "sound, mid/side, one scale per packet band".into(),
        Of::Sound => format!("sound of {inputs} channels, one scale per packet band"),
    }
}

/// The command line as typed, without the path of the program.
pub(super) fn command() -> String {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    format!("tamis {}", typed.join(" "))
}
