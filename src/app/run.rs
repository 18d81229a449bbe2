//! `tamis run` and `tamis check`: the line that a config describes.

use serde_json::{Value, json};

use super::args::{Check, Run};
use super::{Outcome, nothing_came_through, outcome, print_line, stop_flag, tell};
use crate::pipeline::Report;
use crate::pipeline::config::Config;

/// Runs a config to its end, or until a signal asks to stop.
pub fn run(typed: &Run) -> anyhow::Result<Outcome> {
    let config = Config::open(&typed.config)?;
    if let Some(infer) = &config.infer {
        infer.options()?.1.into_iter().for_each(super::say);
    }
    let report = config.build()?.run(&stop_flag(), |_, item| tell(item))?;
    if typed.json {
        print_line(fields(&report))?;
    } else {
        eprintln!("tamis: {}", words(&report));
    }
    match nothing_came_through(&report) {
        Some(error) => Err(error.into()),
        None => Ok(outcome(&report)),
    }
}

/// Reads and checks a config, bundle and head included.
pub fn check(typed: &Check) -> anyhow::Result<Outcome> {
    let config = Config::open(&typed.config)?;
    let path = typed.config.display();
    if typed.json {
        print_line(
            json!({ "path": typed.config.display().to_string(), "ok": true, "bundle": config.codec.bundle }),
        )?;
    } else {
        print_line(format!("{path}: good; a line of {} sinks", config.sink.len()))?;
    }
    Ok(Outcome::Done)
}

/// The accounts of a line that has ended.
fn fields(r: &Report) -> Value {
    let lost: Vec<Value> =
        r.lost_names.iter().map(|(name, why)| json!({ "path": name, "error": why })).collect();
    json!({
        "received": r.received, "delivered": r.delivered, "dropped": r.dropped, "lost": r.lost,
        "in_flight": r.in_flight(), "warnings": r.warnings, "bytes": r.packet_bytes,
        "latency_ms": {
            "p50": r.latency(0.5).as_secs_f64() * 1e3, "p99": r.latency(0.99).as_secs_f64() * 1e3,
        },
        "lost_items": lost,
    })
}

fn words(r: &Report) -> String {
    let list = |counts: &std::collections::BTreeMap<&str, u64>| match counts.is_empty() {
        true => "0".to_owned(),
        false => counts.iter().map(|(k, n)| format!("{n} ({k})")).collect::<Vec<_>>().join(", "),
    };
    format!(
        "received {} = delivered {} + dropped {} + lost {} + in flight {}; {} bytes; latency p50 {:.1} ms, p99 {:.1} ms",
        r.received,
        r.delivered,
        list(&r.dropped),
        list(&r.lost),
        r.in_flight(),
        r.packet_bytes,
        r.latency(0.5).as_secs_f64() * 1e3,
        r.latency(0.99).as_secs_f64() * 1e3,
    )
}
