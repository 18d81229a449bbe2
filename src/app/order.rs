//! `tamis order`: what each channel of a bundle is worth, and a bundle in another order.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::args::Order as Typed;
use super::{Outcome, files, fit, print_line};
use crate::codec::{Bundle, Card, Parts};
use crate::error::{Error, Result};
use crate::lab::order::{By, Order, Scores};
use crate::lab::refit;
use crate::pipeline::media;
use crate::pipeline::sources::find_files;
use crate::runtime::{decoder_file, decoders_of, find_bundle};

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let bundle = find_bundle(&typed.bundle).map_err(|e| Error::input(&typed.bundle, e))?;
    let scores = Scores::new(&bundle);
    let orders: Vec<(By, Order)> = By::ALL.iter().map(|&by| (by, scores.order(by))).collect();
    let mut report = json!({
        "bundle": bundle.card.name, "codec": bundle.codec_id().to_string(),
        "channels": bundle.channels(), "groups": bundle.groups, "orders": fields(&orders),
    });
    if !typed.json {
        table(&bundle, &orders, typed.by.unwrap_or(By::Natural))?;
    }
    let Some(output) = &typed.output else {
        if typed.json {
            print_line(report)?;
        }
        return Ok(Outcome::Done);
    };
    if let Ok(there) = Bundle::open(output)
        && (there.codec_id(), there.tables_id()) == (bundle.codec_id(), bundle.tables_id())
    {
        let reason = format!(
            "{} is the bundle itself, and its recordings need it as it is; name another folder",
            output.display()
        );
        return Err(Error::config("--output", reason).into());
    }
    let by = typed.by.unwrap_or(By::Relevance);
    let mut outcome = Outcome::Done;
    let mut ordered = bundle.reordered(&scores.order(by).channels)?;
    if typed.refit.is_empty() {
        super::say(
            "the entropy coders' numbers went with their channels; --refit makes them fit again",
        );
    } else {
        ordered = refitted(&ordered, &typed.refit, &mut outcome)?;
    }
    let name = output.file_name().map(|n| n.to_string_lossy().into_owned());
    let card = Card {
        name: name.unwrap_or_default(),
        description: format!("{}; channels by {}", bundle.card.description, by.name()),
        command: format!("{}; {}", bundle.card.command, fit::command()),
        ..bundle.card.clone()
    };
    let ordered = Bundle::new(Parts { card, ..Parts::clone(&ordered) })?;
    files::write_bundle(output, &ordered)?;
    copy_decoders(&bundle, &ordered, output)?;
    report["output"] = json!({
        "bundle": output.display().to_string(), "by": by.name(), "codec": ordered.codec_id().to_string(),
        "tables": ordered.tables_id().to_string(), "refitted": !typed.refit.is_empty(),
    });
    if typed.json {
        print_line(report)?;
    } else {
        print_line(format!(
            "{}: channels by {}, codec {}",
            output.display(),
            by.name(),
            ordered.codec_id()
        ))?;
    }
    Ok(outcome)
}

/// Decoders read latents of one codec: they go along where that is still the same.
fn copy_decoders(bundle: &Bundle, ordered: &Bundle, output: &Path) -> Result<()> {
    for size in decoders_of(bundle) {
        if ordered.codec_id() != bundle.codec_id() {
            super::say(format_args!(
                "the {} decoder stays behind: it reads the channels in their old order",
                size.name()
            ));
        } else if let Some((_, onnx)) = decoder_file(bundle, size)? {
            files::write_whole(&output.join(size.file()), &onnx)?;
        }
    }
    Ok(())
}

/// The bundle with tables and contexts from files.
fn refitted(bundle: &Bundle, inputs: &[PathBuf], outcome: &mut Outcome) -> Result<Bundle> {
    let paths: Vec<PathBuf> = find_files(inputs)?.into_iter().map(|f| f.path).collect();
    let limits = media::Limits::default();
    let bar = files::progress(paths.len() as u64, "fitting");
    let bad = std::sync::atomic::AtomicBool::new(false);
    let read = |path: &PathBuf| match media::read(path, &limits) {
        Ok(mut decoded) => {
            decoded.frame.shorten(fit::SECONDS);
            Some(decoded.frame)
        }
        Err(e) => {
            bar.suspend(|| super::say(format_args!("passed over: {e}")));
            bad.store(true, std::sync::atomic::Ordering::Relaxed);
            None
        }
    };
    let fitted = refit(bundle, &paths, read, || bar.inc(1));
    bar.finish_and_clear();
    if bad.into_inner() {
        *outcome = Outcome::WithLosses;
    }
    fitted
}

/// Scores and channels of each order, by its name.
fn fields(orders: &[(By, Order)]) -> Value {
    let of = |order: &Order| {
        let mut fields = json!({ "scores": order.scores, "order": order.channels });
        if let Some(core) = order.core {
            fields["core"] = core.into();
        }
        fields
    };
    orders.iter().map(|(by, order)| (by.name().to_owned(), of(order))).collect()
}

/// A line for each channel, in the order that was asked for.
fn table(bundle: &Bundle, orders: &[(By, Order)], by: By) -> Result<()> {
    let mut heads = format!("{:>7} {:>5} {:>9} {:>9}", "channel", "group", "step", "deviation");
    for (by, _) in &orders[1..] {
        heads += &format!(" {:>18}", by.name());
    }
    print_line(format!("{} channels; scores, and in brackets places, from 0", bundle.channels()))?;
    print_line(heads)?;
    let places: Vec<Vec<usize>> = orders.iter().map(|o| o.1.places()).collect();
    let Some((_, asked)) = orders.iter().find(|o| o.0 == by) else { return Ok(()) };
    for &c in &asked.channels {
        let group = bundle.groups.partition_point(|&end| end <= c);
        let mut line = format!(
            "{c:>7} {group:>5} {:>9} {:>9}",
            short(bundle.steps[c].into()),
            short(bundle.deviation[c].into())
        );
        for ((_, order), places) in orders.iter().zip(&places).skip(1) {
            line += &format!(" {:>12} {:>5}", short(order.scores[c]), format!("({})", places[c]));
        }
        print_line(line)?;
    }
    for (by, order) in orders {
        if let Some(core) = order.core {
            print_line(format!("Salient-Core by {}: the first {core} channels", by.name()))?;
        }
    }
    Ok(())
}

/// A number of four digits, with an exponent if it would be long.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        size if (0.001..100_000.0).contains(&size) => {
            let places = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            format!("{x:.places$}")
        }
        _ => format!("{x:.3e}"),
    }
}
