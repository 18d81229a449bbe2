//! The accounts of lines that have ended, in words or as JSON.

use serde_json::{Value, json};

use super::Ended;
use crate::app::args::Run;
use crate::app::{Outcome, log, nothing_came_through, outcome, print_line};
use crate::pipeline::Report;
use crate::pipeline::config::Restart;

/// Prints how lines ended. Of one its error is that of the process.
pub fn print(typed: &Run, ended: Vec<Ended>) -> anyhow::Result<Outcome> {
    let alone = ended.len() == 1;
    let (mut all, mut objects) = (Outcome::Done, serde_json::Map::new());
    let mut failed = None;
    for Ended { name, config, result } in ended {
        let report = match result {
            Ok(report) => report,
            Err(e) if alone => return Err(e.into()),
            Err(e) => {
                log::error(Some(&name), &e);
                objects.insert(name, json!({ "error": e.to_string() }));
                failed.get_or_insert(e);
                continue;
            }
        };
        // A stream without an end is not unread when it is stopped.
        let endless = config.restart() == Restart::OnFailure;
        let mut report = report;
        report.unread &= !endless;
        if typed.json {
            objects.insert(name.clone(), fields(&report));
        } else {
            log::info((!alone).then_some(name.as_str()), words(&report));
        }
        if let (true, Some(error)) = (!endless, nothing_came_through(&report)) {
            failed.get_or_insert(error);
        } else if outcome(&report) == Outcome::WithLosses {
            all = Outcome::WithLosses;
        }
    }
    if typed.json {
        match objects.values().next() {
            Some(only) if alone => print_line(only)?,
            _ => print_line(json!({ "streams": objects }))?,
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(all),
    }
}

/// The accounts of a line that has ended.
fn fields(r: &Report) -> Value {
    let lost: Vec<Value> =
        r.lost_names.iter().map(|(name, why)| json!({ "path": name, "error": why })).collect();
    json!({
        "received": r.received, "delivered": r.delivered, "dropped": r.dropped, "lost": r.lost,
        "in_flight": r.in_flight(), "unaccounted": r.unaccounted(), "warnings": r.warnings,
        "bytes": r.packet_bytes,
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
