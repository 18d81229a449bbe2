//! `tamis plan`: what a budget buys, measured on samples of the user's own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Plan as Typed;
use super::{Outcome, files, print_line, say};
use crate::codec::{Frame, Layout, Quality};
use crate::error::{Error, Result};
use crate::lab::plan::{Way, plan};
use crate::pipeline::Source;
use crate::pipeline::config::{Config, SourceConfig, StreamConfig};
use crate::pipeline::sources::{Files, Reading, find_files};
use crate::runtime::find_bundle;

/// Frames that are measured, at most, and values of all of them.
const FRAMES: usize = 24;
const VALUES: usize = 60_000_000;
/// Pictures a second, where nothing says.
const FPS: f64 = 30.0;
/// Volts of the battery that mAh are of.
const VOLTS: f64 = 5.0;

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let config = Config::open(&typed.config)?;
    let paths = find_files(&typed.samples)?.into_iter().map(|f| f.path).collect();
    let mut source = Files::new(paths, Reading::default());
    let frames = sample(&mut source)?;
    let mut streams = Vec::new();
    let (mut kbits, mut quota) = (Vec::new(), None);
    for stream in &config.streams {
        let bundle = Arc::new(find_bundle(&stream.codec.bundle)?);
        let bar = files::progress(0, "measuring");
        let codec = &stream.codec;
        let asked = codec.quality.map(Quality::new).transpose()?;
        let ways = plan(&bundle, &frames, codec.coder, codec.keys, asked, |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        let ways = match ways {
            Ok(ways) => ways,
            // Samples of a camera say nothing of a microphone.
            Err(e @ Error::Shape { .. }) if config.streams.len() > 1 => {
                say(format_args!("{}: not measured: {e}", stream.name));
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        quota = config.store.as_ref().map(|s| s.settings().map(|s| s.quota_bytes)).transpose()?;
        let plan = Plan { stream, frames: &frames, quota, typed, ways, of: bundle.groups.len() };
        kbits.extend(plan.asked().map(|way| plan.kbits(way)));
        match typed.json {
            true => streams.push(plan.fields()),
            false => plan.print()?,
        }
    }
    if typed.json {
        print_line(json!({ "frames": frames.len(), "streams": streams }))?;
    } else if kbits.len() > 1 {
        // Store and uplink are theirs together.
        let sum: f64 = kbits.iter().sum();
        let days = |bytes: u64| {
            format!(", {:.1} days in the store", bytes as f64 / (125.0 * sum).max(1e-9) / 86400.0)
        };
        let stored = quota.map_or(String::new(), days);
        print_line(format!("all {} as configured: {sum:.0} kbit/s{stored}", kbits.len()))?;
    }
    Ok(Outcome::Done)
}

/// Frames of the samples, all of one size and kind.
fn sample(source: &mut Files) -> Result<Vec<Frame>> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut values = 0;
    while frames.len() < FRAMES && values < VALUES {
        let Some(item) = source.next()? else { break };
        super::tell(&item);
        let Some(frame) = item.frame else { continue };
        let frame = frame.to_rgb().unwrap_or(frame);
        let same =
            |f: &Frame| f.layout == frame.layout && (f.extent == frame.extent || f.is_audio());
        if frames.first().is_none_or(same) {
            values += frame.samples.len();
            let end = frame.is_audio() && item.end;
            frames.push(frame);
            // One sound is enough, and two are not one.
            if end {
                break;
            }
        }
    }
    Ok(frames)
}

struct Plan<'a> {
    stream: &'a StreamConfig,
    frames: &'a [Frame],
    quota: Option<u64>,
    typed: &'a Typed,
    ways: Vec<Way>,
    of: usize,
}

impl Plan<'_> {
    /// Frames, or blocks of sound, a second.
    fn rate(&self) -> f64 {
        if let Layout::Audio { rate } = self.frames[0].layout {
            return f64::from(rate) / self.frames[0].extent[0].max(1) as f64;
        }
        let told = match &self.stream.source {
            SourceConfig::Scene { fps, .. } | SourceConfig::Camera { fps, .. } => Some(*fps),
            _ => None,
        };
        let mut rate = told.or(self.typed.fps).unwrap_or(FPS);
        for stage in &self.stream.stage {
            if let crate::pipeline::config::StageConfig::Every { n } = stage {
                rate /= *n as f64;
            }
        }
        rate
    }

    fn kbits(&self, way: &Way) -> f64 {
        8.0 * way.bytes * self.rate() / 1e3
    }

    /// Share of one core.
    fn cpu(&self, way: &Way) -> f64 {
        way.ms / 1e3 * self.rate()
    }

    /// Days until the store is full.
    fn days(&self, way: &Way) -> Option<f64> {
        Some(self.quota? as f64 / (way.bytes * self.rate()).max(1e-9) / 86400.0)
    }

    /// The most faithful way within a rate.
    fn within(&self, kbits: f64) -> Option<&Way> {
        let fits = self.ways.iter().filter(|w| self.kbits(w) <= kbits);
        fits.max_by(|a, b| a.db.total_cmp(&b.db))
    }

    /// mAh a day, by a stated figure for a busy core.
    fn mah(&self, way: &Way) -> Option<f64> {
        Some(1e3 * self.typed.watts? * self.cpu(way).min(1.0) * 24.0 / VOLTS)
    }

    /// The way that the config asks for: its quality, or what its size buys.
    fn asked(&self) -> Option<&Way> {
        let codec = &self.stream.codec;
        let values: usize = match self.frames[0].is_audio() {
            true => self.frames[0].samples.len(),
            false => self.frames[0].extent.iter().product(),
        };
        let dense = codec.bpp.map(|bpp| bpp * values as f64 * self.rate() / 1e3);
        match codec.bitrate.or(dense) {
            Some(kbits) => self.within(kbits),
            None => {
                let quality = self.stream.codec.quality.unwrap_or(75);
                let near = |w: &&Way| w.quality.value().abs_diff(quality);
                self.ways.iter().filter(|w| w.groups == self.of).min_by_key(near)
            }
        }
    }

    fn row(&self, way: &Way) -> String {
        let days = self.days(way).map_or("-".into(), |d| format!("{d:.1}"));
        format!(
            "{:>7} {:>6} {:>10.0} {:>9.0} {:>7.2} {:>8.2} {:>6.0} {days:>8}",
            way.quality.value(),
            way.groups,
            way.bytes,
            self.kbits(way),
            way.db,
            way.ms,
            100.0 * self.cpu(way),
        )
    }

    fn print(&self) -> Result<()> {
        let rate = self.rate();
        let what = if self.frames[0].is_audio() { "blocks" } else { "frames" };
        print_line(format!(
            "{}: {} {what} of {:?}, {rate:.2} a second, {}",
            self.stream.name,
            self.frames.len(),
            self.frames[0].extent,
            self.stream.codec.bundle,
        ))?;
        print_line(
            "quality groups  bytes each  kbit/s      dB  ms each  cpu %  days in the store",
        )?;
        let mut hull: Vec<&Way> = self.ways.iter().filter(|w| w.on_hull).collect();
        hull.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
        hull.iter().try_for_each(|way| print_line(self.row(way)))?;
        if let Some(way) = self.asked() {
            let stored =
                self.days(way).map_or(String::new(), |d| format!(", {d:.1} days in the store"));
            let mah = self
                .mah(way)
                .map_or(String::new(), |m| format!(", {m:.0} mAh a day at {VOLTS} V for coding"));
            let fits = if self.cpu(way) > self.stream.budget.cpu {
                "; more than its share of a core: it will go down its ladder"
            } else {
                ""
            };
            let head = match &self.stream.infer {
                Some(infer) => format!("; the head {} comes on top", infer.head),
                None => String::new(),
            };
            print_line(format!(
                "as configured: quality {}, {} of {} groups: {:.0} kbit/s, {:.1} dB, {:.0} % of a core{head}{stored}{mah}{fits}",
                way.quality.value(),
                way.groups,
                self.of,
                self.kbits(way),
                way.db,
                100.0 * self.cpu(way),
            ))?;
        }
        if let Some(kbits) = self.typed.uplink {
            print_line(match self.within(kbits) {
                Some(way) => format!(
                    "uplink of {kbits:.0} kbit/s: quality {}, {} groups, {:.1} dB at {rate:.2} {what} a second",
                    way.quality.value(),
                    way.groups,
                    way.db
                ),
                None => {
                    let least = self.ways.iter().map(|w| w.bytes).fold(f64::INFINITY, f64::min);
                    let fps = kbits * 1e3 / 8.0 / least.max(1e-9);
                    format!("uplink of {kbits:.0} kbit/s: {fps:.2} {what} a second at the coarsest")
                }
            })?;
        }
        Ok(())
    }

    fn fields(&self) -> Value {
        let way = |w: &Way| {
            json!({
                "quality": w.quality.value(), "groups": w.groups, "bytes": w.bytes, "ms": w.ms,
                "db": w.db, "on_hull": w.on_hull, "kbit_per_s": self.kbits(w), "cpu": self.cpu(w),
                "days": self.days(w), "mah_per_day": self.mah(w),
            })
        };
        json!({
            "name": self.stream.name, "bundle": self.stream.codec.bundle, "rate": self.rate(),
            "as_configured": self.asked().map(way),
            "within_uplink": self.typed.uplink.and_then(|kbits| self.within(kbits)).map(way),
            "ways": self.ways.iter().map(way).collect::<Vec<_>>(),
        })
    }
}
