//! `tamis decode`: `.tamis` to pictures and sounds.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use serde_json::json;

use super::args::{Decode as Typed, Unpacking};
use super::codecs;
use super::decoders::Decoders;
use super::{
    Outcome, files, nothing_came_through, outcome, print_aside, print_line, say, say_once,
    stop_flag, tell, unread,
};
use crate::bitstream::{Limits, StreamHeader};
use crate::codec::{Bundle, Kind};
use crate::error::{Error, Result};
use crate::pipeline::media::WavDepth;
use crate::pipeline::sinks::{Frames, Names, Picture};
use crate::pipeline::sources::Files;
use crate::pipeline::sources::find_files;
use crate::pipeline::stages::{Cut, Decode, Gaps, Unpack};
use crate::pipeline::{Parts, Pipeline, Report, Sink, Stage};
use crate::runtime::{find_bundle, find_codec};

/// Packets unpacked at once when they are waiting.
const BATCH: usize = 8;

/// Where what one input holds goes.
pub struct Place {
    /// The file that was typed, or the path of the input below the folder, without ending.
    pub path: PathBuf,
    /// Whether a folder was typed.
    pub folder: bool,
    /// Names given to all outputs.
    pub names: Names,
}

impl Place {
    /// The folder and the beginning of the names in it, if a folder was typed.
    pub fn in_folder(&self) -> Option<(PathBuf, String)> {
        let folder = self.path.parent().map(Path::to_path_buf).unwrap_or_default();
        let stem = self.path.file_name().map(|n| n.to_string_lossy().into_owned());
        self.folder.then(|| (folder, stem.unwrap_or_default()))
    }
}

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let depth = if typed.float { WavDepth::F32 } else { WavDepth::I16 };
    let picture = if typed.ppm { Picture::Ppm } else { Picture::Png };
    let decoders = Decoders::new(&typed.decoding);
    let notes = Arc::<Mutex<Vec<String>>>::default();
    let done = each(&typed.unpacking, &decoders, "decoding", |place, _, header| {
        let frames = frames(place, picture, depth);
        let Some(bands) = &typed.bands else { return Ok(Box::new(frames)) };
        check_bands(bands, header, place)?;
        Ok(Box::new(frames.bands(bands.clone(), notes.clone())))
    });
    notes.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(say);
    done
}

/// Refuses bands that a stream does not have, and a number of them that makes no picture.
fn check_bands(bands: &[usize], header: Option<&StreamHeader>, place: &Place) -> Result<()> {
    let Some(header) = header else { return Ok(()) };
    let wrong = |reason| Err(Error::config("--bands", reason));
    if !header.layout.is_bands() {
        return wrong("these are no pictures of bands; leave it out".into());
    }
    if let Some(bad) = bands.iter().find(|&&b| b >= header.channels) {
        return wrong(format!("{bad}; there are bands 0 to {}", header.channels - 1));
    }
    let ending = place.path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let whole = ending.is_some_and(|e| ["npy", "tif", "tiff"].contains(&e.as_str()));
    if (place.folder || !whole) && ![1, 3].contains(&bands.len()) {
        return wrong(format!(
            "{} of them make no picture; name one or three, or a .npy or .tif as output",
            bands.len()
        ));
    }
    Ok(())
}

/// Writes decoded pictures and sounds.
pub fn frames(place: &Place, picture: Picture, depth: WavDepth) -> Frames {
    if place.path.as_os_str() == "-" {
        return Frames::stdout(depth);
    }
    match place.in_folder() {
        Some((folder, stem)) => {
            Frames::folder(folder, &stem, picture, depth).names(place.names.clone())
        }
        None => Frames::file(&place.path, depth),
    }
}

/// Unpacks every input into the sink that `sink` makes for it, decoded if the sink needs frames.
pub fn each(
    typed: &Unpacking,
    decoders: &Decoders,
    what: &'static str,
    sink: impl Fn(&Place, &Arc<Bundle>, Option<&StreamHeader>) -> Result<Box<dyn Sink>> + Sync,
) -> anyhow::Result<Outcome> {
    let found = find_files(&typed.inputs)?;
    if found.is_empty() {
        return Err(Error::input(typed.inputs[0].display(), "holds no file").into());
    }
    if let Some(threads) = typed.threads {
        // Fails only if a pool exists already, and none does this early.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build_global();
    }
    let folder = files::is_folder(&typed.output);
    if !folder && found.len() > 1 {
        let reason = format!("{} inputs need a folder, as in `-o out/`", found.len());
        return Err(Error::config("--output", reason).into());
    }
    match folder {
        true => files::spare_inputs_in(&found, &typed.output)?,
        false => files::spare_inputs(&found, &typed.output)?,
    }
    let outputs = files::outputs(&found);
    let names = Names::default();
    let stop = stop_flag();
    let bar = files::progress(found.len() as u64, what);
    let results: Vec<Option<Result<Unpacked>>> = found
        .par_iter()
        .zip(&outputs)
        .map(|(input, name)| {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let path = if folder { typed.output.join(name) } else { typed.output.clone() };
            let place = Place { path, folder, names: names.clone() };
            let done = unpack(typed, decoders, &input.path, &place, &sink, &stop);
            bar.inc(1);
            Some(done)
        })
        .collect();
    bar.finish_and_clear();
    let mut all = Outcome::Done;
    for (input, result) in found.iter().zip(results) {
        let Some(result) = result else {
            all = unread(&input.path);
            continue;
        };
        let failed = match result {
            Ok(Unpacked { report, decoder }) => {
                if outcome(&report) == Outcome::WithLosses {
                    all = Outcome::WithLosses;
                }
                if !typed.json && report.delivered > 0 {
                    let (input, frames) = (input.path.display(), report.delivered);
                    let by = decoder.map_or(String::new(), |d| format!(" by the {d} decoder"));
                    let output = typed.output.display();
                    say(format_args!("{input}: {frames} frames to {output}{by}"));
                }
                if typed.json {
                    let line = json!({
                        "path": input.path.display().to_string(), "frames": report.delivered, "lost": report.lost_count(),
                        "warnings": report.warnings, "decoder": decoder,
                    });
                    // Data may go to stdout; then the report goes to stderr.
                    if typed.output.as_os_str() == "-" {
                        print_aside(line)
                    } else {
                        print_line(line)?
                    }
                }
                nothing_came_through(&report)
            }
            Err(e) => Some(e),
        };
        if let Some(error) = failed {
            if found.len() == 1 {
                return Err(error.into());
            }
            all = Outcome::WithLosses;
            say_once(&error);
            if typed.json {
                print_line(
                    json!({ "path": input.path.display().to_string(), "error": error.to_string() }),
                )?;
            }
        }
    }
    Ok(all)
}

/// What became of an input.
struct Unpacked {
    report: Report,
    /// Name of the decoder of its pictures, if there were any to decode.
    decoder: Option<&'static str>,
}

fn unpack(
    typed: &Unpacking,
    decoders: &Decoders,
    input: &Path,
    place: &Place,
    sink: impl Fn(&Place, &Arc<Bundle>, Option<&StreamHeader>) -> Result<Box<dyn Sink>>,
    stop: &AtomicBool,
) -> Result<Unpacked> {
    let mut source = Files::packets(vec![PathBuf::from(input)]);
    let header = source.peek()?.and_then(|i| i.header.clone());
    // Without a readable packet any bundle will do: the line only counts what was lost.
    let bundle = bundle_of(typed.codec.as_deref(), header.as_ref())?;
    let channels = match typed.groups {
        Some(0) => return Err(Error::config("--groups", "0; at least 1 is needed")),
        Some(n) => *bundle.groups.get(n - 1).ok_or_else(|| {
            let reason = format!("{n}; the bundle has {}", bundle.groups.len());
            Error::config("--groups", reason)
        })?,
        None => checked_channels(typed.channels, &bundle)?,
    };
    if place.path.as_os_str() != "-" {
        files::make_folder_of(&place.path)?;
    }
    let sink = sink(place, &bundle, header.as_ref())?;
    let mut stages: Vec<Box<dyn Stage>> = Vec::new();
    if let (Parts::PACKET, Some(groups)) = (sink.needs(), typed.groups) {
        stages.push(Box::new(Cut::new(groups)));
    }
    if !sink.needs().without(Parts::PACKET).is_none() {
        let unpack = Unpack::new(bundle.clone(), Limits::default()).keeping(Some(channels));
        stages.push(Box::new(unpack));
    }
    if sink.needs() == Parts::LATENT {
        stages.push(Box::new(Gaps::default()));
    }
    let mut decoder = None;
    if sink.needs() == Parts::FRAME {
        let chosen = decoders.of(&bundle)?;
        // Sound that streams has no choice.
        let choice = bundle.kind == Kind::Image || bundle.is_whole();
        decoder = choice.then_some(chosen.name);
        let decode = Decode::new(bundle, channels);
        stages.push(Box::new(match chosen.neural {
            Some(neural) => decode.neural(neural)?,
            None => decode,
        }));
    }
    let pipeline = Pipeline::new(Box::new(source), stages, vec![sink], BATCH)?;
    let report = pipeline.run(stop, |_, item| tell(item))?;
    Ok(Unpacked { report, decoder })
}

/// The channels asked for, or all there are.
///
/// # Errors
/// `Config` if the bundle has none or not as many.
pub fn checked_channels(asked: Option<usize>, bundle: &Bundle) -> Result<usize> {
    match asked {
        Some(n) if !(1..=bundle.channels()).contains(&n) => {
            let reason = format!("{n}; 1 to {} is possible", bundle.channels());
            Err(Error::config("--channels", reason))
        }
        Some(n) => Ok(n),
        None => Ok(bundle.channels()),
    }
}

/// The bundle for a stream: the one asked for, else the one its header names.
pub fn bundle_of(asked: Option<&str>, header: Option<&StreamHeader>) -> Result<Arc<Bundle>> {
    Ok(Arc::new(match (asked, header) {
        (Some(name), _) => codecs::asked(name)?,
        (None, Some(header)) => find_codec(header.codec, &header.bundle)?,
        (None, None) => find_bundle("rgb")?,
    }))
}
