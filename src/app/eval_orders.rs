//! `tamis eval --orders`: what the first channels of each order give, on your files: to the eye, and
//! with `--head` to a model.

use std::sync::Arc;

use rayon::prelude::*;
use serde_json::json;

use super::args::Eval as Typed;
use super::eval_head::Task;
use super::{Outcome, files, print_line, say};
use crate::codec::{Bundle, Frame, Quality};
use crate::error::Result;
use crate::lab::order::{By, Order, Scores, Trial, counts, mean_gain_db, spearman};
use crate::lab::plot::{Plot, Point, Series, panels};

/// Draws of the random order, whose mean is shown.
const DRAWS: u64 = 8;

/// One order, or several draws of it, and what it gives.
struct Study {
    name: &'static str,
    orders: Vec<Order>,
    /// Rank correlation of its scores with the ablation.
    spearman: Option<f64>,
    /// Bits and decibels at each number of channels.
    points: Vec<[f64; 2]>,
    /// Percent of the files that the head names rightly; empty without one.
    right: Vec<f64>,
}

pub fn run(
    bundle: &Arc<Bundle>,
    frames: &[(String, Frame)],
    quality: Quality,
    typed: &Typed,
    mut outcome: Outcome,
) -> anyhow::Result<Outcome> {
    let counts = counts(bundle);
    let scores = Scores::new(bundle);
    let task = typed.head.as_deref().map(|name| Task::new(name, bundle)).transpose()?;
    let bar = files::progress(frames.len() as u64, "leaving channels out");
    let trials: Vec<Result<(Trial, Vec<f64>, String)>> = frames
        .par_iter()
        .map(|(path, frame)| {
            let tried = || {
                let truth = task.as_ref().map(|t| t.truth(path)).transpose()?.unwrap_or_default();
                let trial = Trial::new(bundle, frame, quality)?;
                let rises = trial.ablation(bundle)?;
                Ok((trial, rises, truth))
            };
            let tried = tried();
            bar.inc(1);
            tried
        })
        .collect();
    bar.finish_and_clear();
    let (mut good, mut truths) = (Vec::new(), Vec::new());
    let mut rises = vec![0.0; bundle.channels()];
    let mut first_error = None;
    for ((path, _), trial) in frames.iter().zip(trials) {
        match trial {
            Ok((trial, of_file, truth)) => {
                rises.iter_mut().zip(of_file).for_each(|(a, b)| *a += b);
                good.push(trial);
                truths.push(truth);
            }
            Err(e) => {
                outcome = Outcome::WithLosses;
                say(format_args!("{path}: {e}"));
                if typed.json {
                    print_line(json!({ "path": path, "error": e.to_string() }))?;
                }
                first_error.get_or_insert(e);
            }
        }
    }
    if let (true, Some(e)) = (good.is_empty(), first_error) {
        return Err(e.into());
    }
    let mut studies: Vec<Study> = By::ALL
        .iter()
        .map(|&by| match by {
            By::Random(_) => (by.name(), (1..=DRAWS).map(By::Random).collect()),
            by => (by.name(), vec![by]),
        })
        .map(|(name, draws): (_, Vec<By>)| {
            Study::new(name, draws.iter().map(|&by| scores.order(by)).collect(), &rises)
        })
        .collect();
    studies.push(Study::new("ablation", vec![Order::of(rises.clone())], &rises));
    if let Some(task) = &task {
        studies.push(Study::new("task", vec![Order::of(task.relevance(&good)?)], &rises));
    }
    let bar = files::progress(studies.len() as u64, "measuring orders");
    for study in &mut studies {
        study.points = points(bundle, &good, &study.orders, &counts)?;
        if let Some(task) = &task {
            study.right = task.right(&good, &truths, &study.orders, &counts)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let audio = frames.first().is_some_and(|f| f.1.is_audio());
    if typed.json {
        lines(&studies, &counts, bundle, quality, good.len(), audio)?;
    } else {
        table(&studies, &counts, bundle, quality, good.len(), audio)?;
    }
    if let Some(output) = &typed.output {
        let svg = panels(&plots(&studies, &counts, &bundle.card.name, quality, audio));
        files::write_whole(output, svg.as_bytes())?;
    }
    Ok(outcome)
}

impl Study {
    fn new(name: &'static str, orders: Vec<Order>, rises: &[f64]) -> Self {
        let found: Vec<f64> = orders.iter().filter_map(|o| spearman(&o.scores, rises)).collect();
        let spearman = (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64);
        Self { name, orders, spearman, points: Vec::new(), right: Vec::new() }
    }

    /// Decibels above another on the mean, at equal bits and at equal numbers of channels.
    fn gains_db(&self, base: &Self) -> [Option<f64>; 2] {
        let curve = |s: &Self| s.points.iter().map(|p| (p[0], p[1])).collect::<Vec<_>>();
        let differences: Vec<f64> = self
            .points
            .iter()
            .zip(&base.points)
            .map(|(a, b)| a[1] - b[1])
            .filter(|d| d.is_finite())
            .collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        [mean_gain_db(&curve(self), &curve(base)), (!differences.is_empty()).then_some(mean)]
    }
}

/// Bits and decibels at each number of channels, mean over files and draws.
fn points(
    bundle: &Arc<Bundle>,
    trials: &[Trial],
    orders: &[Order],
    counts: &[usize],
) -> Result<Vec<[f64; 2]>> {
    let each: Vec<Vec<[f64; 2]>> = trials
        .par_iter()
        .flat_map_iter(|trial| orders.iter().map(move |order| (trial, order)))
        .map(|(trial, order)| {
            let point = |&n: &usize| {
                let kept = &order.channels[..n];
                let bits = kept.iter().map(|&c| trial.bits()[c]).sum();
                Ok([bits, trial.psnr_db(bundle, kept)?])
            };
            counts.iter().map(point).collect::<Result<_>>()
        })
        .collect::<Result<_>>()?;
    let mean = |k: usize, what: usize| {
        // The ratio of an exact copy is infinite and left out, as in the other tables of `eval`.
        let values = each.iter().map(|points| points[k][what]).filter(|v| v.is_finite());
        let (sum, n) = values.fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
        if n > 0 { sum / f64::from(n) } else { f64::INFINITY }
    };
    Ok((0..counts.len()).map(|k| [mean(k, 0), mean(k, 1)]).collect())
}

fn unit(audio: bool) -> &'static str {
    if audio { "bits_per_sample" } else { "bpp" }
}

fn lines(
    studies: &[Study],
    counts: &[usize],
    bundle: &Bundle,
    quality: Quality,
    files: usize,
    audio: bool,
) -> Result<()> {
    for study in studies {
        let point = |(k, n): (usize, &usize)| {
            let [bits, db] = study.points[k];
            let mut point = json!({ "channels": n, unit(audio): bits, "psnr_db": db });
            if let Some(&right) = study.right.get(k) {
                point["right_percent"] = right.into();
            }
            point
        };
        let points: Vec<_> = counts.iter().enumerate().map(point).collect();
        let [bits_db, channels_db] = study.gains_db(&studies[0]);
        print_line(json!({
            "order": study.name, "codec": bundle.card.name, "quality": quality.value(),
            "mean_of": files, "draws": study.orders.len(), "spearman": study.spearman,
            "gain_at_bits_db": bits_db, "gain_at_channels_db": channels_db, "points": points,
        }))?;
    }
    Ok(())
}

fn table(
    studies: &[Study],
    counts: &[usize],
    bundle: &Bundle,
    quality: Quality,
    files: usize,
    audio: bool,
) -> Result<()> {
    print_line(format!(
        "{} at quality {}, mean of {files} files: PSNR in dB of the first channels, and below it {}",
        bundle.card.name,
        quality.value(),
        if audio { "bits per sample" } else { "bits per pixel" }
    ))?;
    let heads: String = counts.iter().map(|n| format!(" {n:>7}")).collect();
    print_line(format!("{:<18}{heads}", "order"))?;
    for study in studies {
        for (what, name) in [(1, study.name), (0, "")] {
            let places = if what == 1 { 2 } else { 3 };
            let row: String =
                study.points.iter().map(|p| format!(" {:>7.places$}", p[what])).collect();
            print_line(format!("{name:<18}{row}"))?;
        }
        if !study.right.is_empty() {
            let row: String = study.right.iter().map(|r| format!(" {r:>7.1}")).collect();
            print_line(format!("{:<18}{row}", "  % right"))?;
        }
    }
    print_line(format!(
        "\n{:<18} {:>20} {:>22} {:>22}",
        "order", "Spearman, ablation", "dB at equal bits", "dB at equal channels"
    ))?;
    // Adding 0 takes the sign off a 0.
    let number = |x: Option<f64>| {
        x.map_or("-".into(), |x| format!("{:.2}", (x * 100.0).round() / 100.0 + 0.0))
    };
    for study in studies {
        let [bits_db, channels_db] = study.gains_db(&studies[0]);
        print_line(format!(
            "{:<18} {:>20} {:>22} {:>22}",
            study.name,
            number(study.spearman),
            number(bits_db),
            number(channels_db)
        ))?;
    }
    print_line("dB above the natural order, mean over what both curves cover")
}

fn plots(
    studies: &[Study],
    counts: &[usize],
    codec: &str,
    quality: Quality,
    audio: bool,
) -> Vec<Plot> {
    // Orders that give the same would hide each other: they share a line. Ablation lies undermost.
    let mut shown: Vec<(String, &Study)> = Vec::new();
    for study in studies.iter().rev() {
        match shown.iter_mut().find(|s| alike(s.1, study)) {
            Some(same) => same.0 = format!("{}, {}", study.name, same.0),
            None => shown.push((study.name.into(), study)),
        }
    }
    let asked = studies.iter().any(|s| !s.right.is_empty());
    let plot = |by_bits: bool, right: bool| {
        let series = shown.iter().map(|(name, study)| Series {
            // One legend serves all panels.
            name: if !by_bits && right == asked { name.clone() } else { String::new() },
            points: (0..counts.len())
                .map(|k| Point {
                    x: if by_bits { study.points[k][0] } else { counts[k] as f64 },
                    y: if right { study.right[k] } else { study.points[k][1] },
                    label: None,
                })
                .collect(),
            ..Series::default()
        });
        let bits = if audio { "bits per sample" } else { "bits per pixel" };
        Plot {
            title: format!(
                "{codec}, quality {}: the first channels of each order",
                quality.value()
            ),
            x_label: if by_bits { bits } else { "channels kept" }.into(),
            y_label: if right { "% right" } else { "PSNR in dB" }.into(),
            log_x: true,
            series: series.collect(),
        }
    };
    let mut plots = vec![plot(true, false), plot(false, false)];
    if asked {
        plots.extend([plot(true, true), plot(false, true)]);
    }
    plots
}

/// Whether two curves cannot be told apart in a plot: 0.05 dB, one part in a hundred of the bits, and
/// half a percent of the files.
fn alike(a: &Study, b: &Study) -> bool {
    let points = a.points.iter().zip(&b.points);
    points
        .into_iter()
        .all(|(a, b)| (a[1] - b[1]).abs() < 0.05 && (a[0] - b[0]).abs() <= 0.01 * b[0])
        && a.right.iter().zip(&b.right).all(|(a, b)| (a - b).abs() < 0.5)
}
