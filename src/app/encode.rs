//! `tamis encode`: pictures and sounds to `.tamis`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde_json::{Value, json};

use super::args::Encode as Typed;
use super::codecs::Codecs;
use super::files;
use super::shard::{self, Done, Seen, Shard};
use super::{Outcome, outcome, print_aside, print_line, say, say_once, stop_flag, tell, unread};
use crate::bitstream::Coder;
use crate::codec::{Layout, Quality};
use crate::error::{Error, Result};
use crate::pipeline::rate::Bucket;
use crate::pipeline::sinks::Container;
use crate::pipeline::sinks::{Output, PART};
use crate::pipeline::sources::find_files;
use crate::pipeline::sources::{Files, Found, Reading};
use crate::pipeline::stages::{Encode, Pack, Rated, Spent, Target};
use crate::pipeline::{Item, Ledger, Pipeline, Report, Stage};
use crate::runtime::Device;

/// How far above its rate a stream may be.
const FAR: f64 = 0.05;
/// Frames coded at once when they are waiting.
const BATCH: usize = 8;

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let found = find_files(&typed.inputs)?;
    if found.is_empty() {
        return Err(Error::input(typed.inputs[0].display(), "holds no file").into());
    }
    if let Some(threads) = typed.threads {
        // Fails only if a pool exists already, and none does this early.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build_global();
    }
    if let Some(reason) = typed.device.check()?.instead {
        say(format_args!("no GPU, the processor encodes: {reason}"));
    }
    let job = Job {
        codecs: Codecs::new(typed.codec.as_deref())?,
        reading: files::reading(&typed.input)?,
        quality: Quality::new(typed.quality)?,
        target: match (typed.bpp, typed.bitrate) {
            (Some(bits), _) => Some(Target::Density(bits)),
            (_, Some(kilobits)) => Some(Target::Rate(Bucket::new(1000.0 * kilobits))),
            _ => None,
        },
        coder: match typed.coder {
            super::args::Coder::Dense => Coder::Dense,
            super::args::Coder::Fast => Coder::Fast,
        },
        keys: typed.keys,
        channels: typed.channels,
        device: typed.device,
        part: typed.shard.map_or_else(|| PART.to_owned(), Shard::part),
        // Of one stream the strips of a frame go side by side, of several the files.
        threads: match files::is_folder(&typed.output) {
            true => 1,
            false => typed.threads.unwrap_or(1),
        },
    };
    let stop = stop_flag();
    if !files::is_folder(&typed.output) {
        if typed.shard.is_some() {
            let reason = "parts are for a folder of outputs; let --output end in /";
            return Err(Error::config("--shard", reason).into());
        }
        files::spare_inputs(&found, &typed.output)?;
        files::check_ending(&typed.output, "tamis")?;
        let paths = found.into_iter().map(|f| f.path).collect();
        let coded = job.encode(paths, &typed.output, &stop)?;
        say_if_not_resampled(typed, &[&coded]);
        let to_stdout = typed.output.as_os_str() == "-";
        report(typed.json, to_stdout, &coded.json(&typed.output), &coded.words(&typed.output))?;
        return Ok(coded.outcome());
    }
    let single = found.len() == 1;
    let mut jobs: Vec<(Found, PathBuf)> = {
        let outputs = match typed.shard {
            Some(_) => shard::outputs(&found)?,
            None => files::outputs(&found),
        };
        let place = |o: PathBuf| files::with_ending(&typed.output.join(o), "tamis");
        found.into_iter().zip(outputs.into_iter().map(place)).collect()
    };
    let mut done = None;
    if let Some(shard) = typed.shard {
        let ledger = Done::open(&typed.output, shard, settings(typed, &job.codecs)?)?;
        let all = jobs.len();
        jobs.retain(|(input, _)| shard.takes(input));
        let mine = jobs.len();
        jobs.retain(|(input, output)| !ledger.has(input, output));
        let before = mine - jobs.len();
        say(format_args!("shard {shard}: {mine} of {all} files, {before} of them done already"));
        done = Some(ledger);
    }
    let bar = files::progress(jobs.len() as u64, "encoding");
    let results: Vec<Option<Result<Coded>>> = jobs
        .par_iter()
        .map(|(input, output)| {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let seen = done.as_ref().and_then(|_| Seen::of(&input.path));
            let coded = files::make_folder_of(output)
                .and_then(|()| job.encode(vec![input.path.clone()], output, &stop))
                .and_then(|coded| {
                    // What lost something is tried again, and said again.
                    let whole = !coded.report.unread && !coded.report.has_losses();
                    done.as_ref()
                        .filter(|_| whole)
                        .map_or(Ok(()), |d| d.note(input, seen, output))?;
                    Ok(coded)
                })
                // The only input's error ends the verb and is said there.
                .map_err(|e| match e {
                    // It names no file.
                    e @ Error::Device { .. } if !single => Error::input(input.path.display(), e),
                    e => e,
                })
                .inspect_err(|e| {
                    if !single {
                        say_once(e)
                    }
                });
            bar.inc(1);
            Some(coded)
        })
        .collect();
    bar.finish_and_clear();
    say_if_not_resampled(typed, &results.iter().flatten().flatten().collect::<Vec<_>>());
    let mut all = Outcome::Done;
    for ((input, output), result) in jobs.iter().zip(results) {
        match result {
            None => all = unread(&input.path),
            Some(Ok(coded)) => {
                report(typed.json, false, &coded.json(output), &coded.words(output))?;
                if coded.outcome() == Outcome::WithLosses {
                    all = Outcome::WithLosses;
                }
            }
            Some(Err(e)) if single => return Err(e.into()),
            Some(Err(e)) => {
                all = Outcome::WithLosses;
                if typed.json {
                    print_line(
                        json!({ "path": input.path.display().to_string(), "error": e.to_string() }),
                    )?;
                }
            }
        }
    }
    Ok(all)
}

/// What outputs depend on besides their inputs.
fn settings(typed: &Typed, codecs: &Codecs) -> Result<String> {
    let Typed { quality, bpp, bitrate, channels, coder, keys, input, .. } = typed;
    let version = env!("CARGO_PKG_VERSION");
    let codec = codecs.ids()?;
    Ok(format!(
        "tamis {version}, codec {codec}, quality {quality}, bpp {bpp:?}, bitrate {bitrate:?}, channels \
         {channels:?}, coder {coder:?}, keys {keys}, {input:?}"
    ))
}

/// One line about an output: on stdout, or on stderr if the data itself goes to stdout.
fn report(as_json: bool, to_stdout: bool, json: &Value, words: &str) -> Result<()> {
    let line = if as_json { json.to_string() } else { words.to_owned() };
    if to_stdout {
        print_aside(line);
        Ok(())
    } else {
        print_line(line)
    }
}

/// Says that `--resample` did nothing, if there was no sound.
fn say_if_not_resampled(typed: &Typed, coded: &[&Coded]) {
    if typed.input.resample.is_some() && !coded.is_empty() && coded.iter().all(|c| c.rate() == 0) {
        say("--resample changes sounds only, and these are pictures");
    }
}

/// What all outputs have in common.
struct Job {
    codecs: Codecs,
    reading: Reading,
    quality: Quality,
    /// What is aimed at instead of a quality.
    target: Option<Target>,
    coder: Coder,
    keys: u64,
    channels: Option<usize>,
    device: Device,
    /// What the names of outputs end in until they are whole.
    part: String,
    /// Threads for each frame.
    threads: usize,
}

/// What became of one output.
struct Coded {
    report: Report,
    first_input: PathBuf,
    bundle: String,
    codec: String,
    /// `None` where it followed a size.
    quality: Option<u8>,
    /// What was spent if it did.
    spent: Option<Spent>,
    /// Kilobits a second that were asked for.
    wanted: Option<f64>,
    layout: Layout,
    /// Values per pixel or time step.
    channels: usize,
    resampled: bool,
    bytes: u64,
    /// Pixels, or time steps times channels.
    samples: u64,
    seconds: f64,
}

impl Job {
    fn encode(&self, paths: Vec<PathBuf>, output: &Path, stop: &AtomicBool) -> Result<Coded> {
        let start = Instant::now();
        let first_input = paths[0].clone();
        let mut source = Files::new(paths, self.reading.clone());
        let first = source.peek()?;
        let lasts = first.map_or(Duration::ZERO, |i| i.lasts);
        let frame = first.and_then(|i| i.frame.as_ref());
        if let (Some(Target::Rate(_)), Some(frame)) = (&self.target, frame)
            && !frame.is_audio()
            && lasts.is_zero()
        {
            let reason = "these pictures have no times; give them a rate, as in `--fps 25`, or say \
                          --bpp";
            return Err(Error::config("--bitrate", reason));
        }
        let (layout, channels) = frame.map_or((Layout::Rgb, 3), |f| (f.layout, f.channels));
        // What was odd about it may be why.
        let bundle = self
            .codecs
            .fit(layout, channels)
            .inspect_err(|_| first.iter().for_each(|i| tell(i)))?;
        let kept = self.channels.unwrap_or(bundle.channels());
        let pack = Pack::new(bundle.clone()).coder(self.coder).keys(self.keys);
        let wrong = |e| Error::config("--channels", e);
        let mut spent = None;
        let stages: Vec<Box<dyn Stage>> = match &self.target {
            Some(target) => {
                let rated = Rated::new(bundle.clone(), kept, pack, target.clone());
                let rated = rated.map_err(|e| match e {
                    e @ Error::Bundle { .. } => e,
                    e => wrong(e),
                })?;
                let rated = rated.threads(self.threads).device(self.device)?;
                spent = Some(rated.spent());
                vec![Box::new(rated)]
            }
            None => {
                let encode = Encode::new(bundle.clone(), kept, self.quality).map_err(wrong)?;
                let encode = encode.threads(self.threads).device(self.device)?;
                vec![Box::new(encode), Box::new(pack)]
            }
        };
        let (place, out) = Output::open_as(output, &self.part)?;
        let bytes = std::sync::Arc::<AtomicU64>::default();
        let out = Counting { out, count: bytes.clone() };
        let line = Pipeline::new(
            Box::new(source),
            stages,
            vec![Box::new(Container::new(out, output))],
            BATCH,
        )?;
        // Not what was delivered: chunks of a sound that is coded whole bring nothing before its end.
        let mut packets = 0u64;
        let look = |_: &Ledger, item: &Item| {
            packets += u64::from(item.packet.is_some());
            tell(item);
        };
        let done = line.run(stop, look).and_then(|report| match report.lost_names.first() {
            Some((name, why)) if packets == 0 => Err(Error::input(name, why)),
            None if packets == 0 && !report.unread => {
                Err(Error::input(first_input.display(), "holds no frame"))
            }
            _ => Ok(report),
        });
        let report = done.inspect_err(|_| place.discard_empty())?;
        match packets {
            // Nothing is better than a recording of nothing.
            0 => place.discard_empty(),
            _ => place.keep()?,
        }
        let seconds = start.elapsed().as_secs_f64();
        let spent = spent.map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let bytes = bytes.load(Ordering::Relaxed);
        Ok(Coded {
            samples: report.positions,
            report,
            first_input,
            bundle: bundle.card.name.clone(),
            codec: bundle.codec_id().to_string(),
            quality: self.target.is_none().then_some(self.quality.value()),
            wanted: match &self.target {
                Some(Target::Rate(bucket)) => Some(bucket.rate() / 1000.0),
                _ => None,
            },
            spent,
            layout,
            channels,
            resampled: self.reading.rate.is_some(),
            bytes,
            seconds,
        })
    }
}

impl Coded {
    /// Kilobits a second, as it plays, if it was coded at a rate.
    fn kilobits(&self) -> Option<f64> {
        let spent = self.spent.as_ref().filter(|s| !s.time.is_zero())?;
        self.wanted.map(|_| spent.bits / spent.time.as_secs_f64() / 1000.0)
    }

    /// The outcome; says if a rate was passed.
    fn outcome(&self) -> Outcome {
        let all = outcome(&self.report);
        match (self.kilobits(), self.wanted) {
            (Some(rate), Some(wanted)) if rate > wanted * (1.0 + FAR) => {
                say(format_args!(
                    "{}: {rate:.1} kbit/s, above the {wanted} asked for: it was too short, or does \
                     not get smaller",
                    self.first_input.display()
                ));
                Outcome::WithLosses
            }
            _ => all,
        }
    }

    fn rate(&self) -> u32 {
        match self.layout {
            Layout::Audio { rate } => rate,
            _ => 0,
        }
    }

    /// Bits per pixel or per sample value.
    fn bits(&self) -> f64 {
        if self.samples == 0 { 0.0 } else { self.bytes as f64 * 8.0 / self.samples as f64 }
    }

    fn json(&self, output: &Path) -> Value {
        let unit = if self.rate() > 0 { "bits_per_sample" } else { "bpp" };
        let mut fields = json!({
            "path": self.first_input.display().to_string(), "output": output.display().to_string(), "bundle": self.bundle, "codec": self.codec,
            "quality": self.quality, "frames": self.report.delivered,
            "lost": self.report.lost_count(), "bytes": self.bytes, unit: self.bits(),
            "seconds": self.seconds,
        });
        if self.layout.is_bands() {
            fields["bands"] = self.channels.into();
            fields["bits_per_sample"] = json!(self.bits() / self.channels as f64);
        }
        if let Some((low, high)) = self.spent.as_ref().and_then(|s| s.qualities) {
            fields["qualities"] = json!([low.value(), high.value()]);
        }
        if let Some(kilobits) = self.kilobits() {
            fields["kbit_per_s"] = json!(kilobits);
        }
        if self.rate() > 0 {
            fields["rate"] = self.rate().into();
            fields["resampled"] = self.resampled.into();
        }
        fields
    }

    fn words(&self, output: &Path) -> String {
        let (bytes, bits, bundle) = (self.bytes, self.bits(), &self.bundle);
        let what = match (self.rate(), self.resampled) {
            (0, _) => {
                let n = self.report.delivered;
                let s = if n == 1 { "" } else { "s" };
                let each = match self.layout.is_bands() {
                    true => format!(
                        " ({:.4} for each of {} bands)",
                        bits / self.channels as f64,
                        self.channels
                    ),
                    false => String::new(),
                };
                format!("{n} picture{s}, {bits:.3} bits per pixel{each}")
            }
            (rate, false) => format!("{bits:.3} bits per sample, kept at {rate} Hz"),
            (rate, true) => format!("{bits:.3} bits per sample, resampled to {rate} Hz"),
        };
        let qualities = self.spent.as_ref().and_then(|s| s.qualities);
        let quality = match (self.quality, qualities) {
            (Some(q), _) => format!(" at quality {q}"),
            (None, Some((low, high))) if low == high => format!(" at quality {}", low.value()),
            (None, Some((low, high))) => {
                format!(" at qualities {} to {}", low.value(), high.value())
            }
            (None, None) => String::new(),
        };
        let rate = self.kilobits().map_or(String::new(), |r| format!(" ({r:.1} kbit/s)"));
        format!("{}: {bytes} bytes{rate}, {what}, {bundle}{quality}", output.display())
    }
}

/// A writer that counts what goes through it.
struct Counting<W> {
    out: W,
    count: std::sync::Arc<AtomicU64>,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
