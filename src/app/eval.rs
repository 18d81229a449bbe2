//! `tamis eval`: rate and distortion of codecs on your files, as a table and a plot.

use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::args::{DecoderName, Eval as Typed};
use super::codecs::{self, Codecs};
use super::decoders::choose;
use super::{Outcome, eval_orders, files, print_line};
use crate::codec::{Bundle, Frame, Layout, Quality};
use crate::error::{Error, Result};
use crate::lab::eval::{Measure, measure};
use crate::lab::plot::{Plot, Point, Series, line_plot};
use crate::pipeline::media;
use crate::pipeline::sources::find_files;

/// Qualities measured if none are asked for.
const QUALITIES: [u8; 7] = [25, 40, 50, 60, 75, 85, 95];

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    if let Some(output) = &typed.output
        && output.extension().is_some_and(|e| !e.eq_ignore_ascii_case("svg"))
    {
        let reason = format!("{}: the plot is an SVG; name a .svg", output.display());
        return Err(Error::config("--output", reason).into());
    }
    let paths: Vec<_> = find_files(&typed.inputs)?.into_iter().map(|f| f.path).collect();
    let typical = if typed.orders { &[75][..] } else { &QUALITIES };
    let qualities = if typed.quality.is_empty() { typical } else { &typed.quality };
    let qualities: Vec<Quality> =
        qualities.iter().map(|&q| Quality::new(q)).collect::<Result<_>>()?;
    let (limits, axes) = (media::Limits::default(), media::Axes::bands_first(typed.bands_first));
    let mut outcome = Outcome::Done;
    let mut frames: Vec<(String, Frame)> = Vec::new();
    let bar = files::progress(paths.len() as u64, "reading");
    for path in &paths {
        match media::read_with(path, &limits, axes) {
            Ok(d) => frames.push((path.display().to_string(), d.frame)),
            Err(e) => {
                outcome = Outcome::WithLosses;
                bar.suspend(|| super::say(&e));
                if typed.json {
                    print_line(
                        json!({ "path": path.display().to_string(), "error": e.to_string() }),
                    )?;
                }
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let Some((_, first)) = frames.first() else {
        return Err(Error::input("eval", "no readable picture or sound among the inputs").into());
    };
    let of = Of::frame(first);
    let bundles: Vec<Arc<Bundle>> = if typed.codec.is_empty() {
        vec![Codecs::default().fit(first.layout, first.channels)?]
    } else {
        typed.codec.iter().map(|n| codecs::asked(n).map(Arc::new)).collect::<Result<_>>()?
    };
    if typed.orders {
        if of == Of::Bands {
            let reason = "compares orders for gray and colours, and these are pictures of bands";
            return Err(Error::config("--orders", reason).into());
        }
        let ([bundle], [quality]) = (&bundles[..], &qualities[..]) else {
            let reason = "compares the orders of one bundle at one quality; name one --codec and \
                          one --quality";
            return Err(Error::config("--orders", reason).into());
        };
        return eval_orders::run(bundle, &frames, *quality, typed, outcome);
    }
    let asked: Vec<Option<DecoderName>> = match (typed.preview, &typed.decoder[..]) {
        (true, _) => vec![Some(DecoderName::Linear)],
        (false, []) => vec![None],
        (false, names) => names.iter().copied().map(Some).collect(),
    };
    let mut pairs = Vec::new();
    for bundle in &bundles {
        for asked in &asked {
            pairs.push((bundle, choose(bundle, *asked)?));
        }
    }
    let bar = files::progress((pairs.len() * qualities.len() * frames.len()) as u64, "measuring");
    let mut curves = Vec::new();
    for (bundle, decoder) in &pairs {
        let channels = typed.channels.unwrap_or(bundle.channels());
        let mut curve = Vec::new();
        for &quality in &qualities {
            let measures: Vec<Result<Measure>> = frames
                .par_iter()
                .map(|(_, frame)| {
                    let m = measure(bundle, frame, channels, quality, decoder.neural.as_ref());
                    bar.inc(1);
                    m
                })
                .collect();
            let mut good = Vec::new();
            for ((path, _), m) in frames.iter().zip(measures) {
                match m {
                    Ok(m) => {
                        if typed.json {
                            let about = json!({ "path": path });
                            print_line(fields(&m, of, bundle, decoder.name, quality, &about))?;
                        }
                        good.push(m);
                    }
                    Err(e) => {
                        outcome = Outcome::WithLosses;
                        bar.suspend(|| eprintln!("tamis: {path}: {e}"));
                    }
                }
            }
            if let Some(mean) = mean(&good) {
                let n = json!({ "mean_of": good.len() });
                if typed.json {
                    print_line(fields(&mean, of, bundle, decoder.name, quality, &n))?;
                }
                curve.push((quality, mean));
            }
        }
        let name = match &decoder.neural {
            Some(_) => format!("{} {}", bundle.card.name, decoder.name),
            None => bundle.card.name.clone(),
        };
        curves.push((name, curve));
    }
    bar.finish_and_clear();
    if !typed.json {
        table(&curves, of, frames.len())?;
    }
    if let Some(output) = &typed.output {
        files::write_whole(output, plot(&curves, of).as_bytes())?;
    }
    Ok(outcome)
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Colours,
    Bands,
    Sound,
}

impl Of {
    fn frame(frame: &Frame) -> Self {
        match frame.layout {
            Layout::Gray | Layout::Rgb => Self::Colours,
            Layout::Bands { .. } => Self::Bands,
            Layout::Audio { .. } => Self::Sound,
        }
    }

    /// What bits are counted by, as JSON has it.
    fn unit(self) -> &'static str {
        if self == Self::Colours { "bpp" } else { "bits_per_sample" }
    }
}

type Curve = (String, Vec<(Quality, Measure)>);

fn fields(
    m: &Measure,
    of: Of,
    bundle: &Bundle,
    decoder: &str,
    quality: Quality,
    about: &Value,
) -> Value {
    let mut line = about.clone();
    line["codec"] = bundle.card.name.clone().into();
    line["decoder"] = decoder.into();
    line["quality"] = quality.value().into();
    line["bytes"] = m.bytes.into();
    // JSON has no infinity: an exact copy has no finite ratio and gives null.
    line[of.unit()] = json!(m.bits);
    line["psnr_db"] = json!(m.psnr_db);
    match of {
        Of::Sound => {
            line["snr_db"] = json!(m.second);
            line["lsd_db"] = json!(m.third);
        }
        Of::Bands => line["angle_degrees"] = json!(m.second),
        Of::Colours => line["ms_ssim"] = json!(m.second),
    }
    line
}

/// Means over files; the ratios of exact copies (infinite) are left out of theirs.
fn mean(measures: &[Measure]) -> Option<Measure> {
    let of = |value: fn(&Measure) -> f64| {
        let finite: Vec<f64> = measures.iter().map(value).filter(|v| v.is_finite()).collect();
        if finite.is_empty() {
            f64::INFINITY
        } else {
            finite.iter().sum::<f64>() / finite.len() as f64
        }
    };
    (!measures.is_empty()).then(|| Measure {
        bytes: measures.iter().map(|m| m.bytes).sum::<usize>() / measures.len(),
        bits: of(|m| m.bits),
        psnr_db: of(|m| m.psnr_db),
        second: of(|m| m.second),
        third: of(|m| m.third),
    })
}

fn table(curves: &[Curve], of: Of, files: usize) -> Result<()> {
    let heads = match of {
        Of::Sound => ["bits/sample", "PSNR dB", "SNR dB", "LSD dB"],
        Of::Bands => ["bits/sample", "PSNR dB", "angle deg", ""],
        Of::Colours => ["bpp", "PSNR dB", "MS-SSIM", ""],
    };
    print_line(format!("mean of {files} files, whole files"))?;
    let [bits, psnr, second, third] = heads;
    print_line(format!(
        "{:<14} {:>7} {bits:>12} {psnr:>9} {second:>9} {third:>7}",
        "codec", "quality"
    ))?;
    for (name, curve) in curves {
        for (quality, m) in curve {
            let third = if of == Of::Sound { format!("{:.2}", m.third) } else { String::new() };
            let second = if of == Of::Sound {
                format!("{:.2}", m.second)
            } else {
                format!("{:.4}", m.second)
            };
            print_line(format!(
                "{name:<14} {:>7} {:>12.4} {:>9.2} {second:>9} {third:>7}",
                quality.value(),
                m.bits,
                m.psnr_db
            ))?;
        }
    }
    Ok(())
}

fn plot(curves: &[Curve], of: Of) -> String {
    let series = curves.iter().map(|(name, curve)| Series {
        name: name.clone(),
        points: curve
            .iter()
            .map(|(q, m)| Point { x: m.bits, y: m.psnr_db, label: Some(q.value().to_string()) })
            .collect(),
        ..Series::default()
    });
    line_plot(&Plot {
        title: "Rate and distortion, mean of the files; labels are qualities".into(),
        x_label: if of == Of::Colours { "bits per pixel" } else { "bits per sample" }.into(),
        y_label: "PSNR in dB".into(),
        log_x: true,
        series: series.collect(),
    })
}
