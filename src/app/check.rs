//! `tamis check`: whether a config is one.

use serde_json::json;

use super::args::Check;
use super::{Outcome, print_line};
use crate::pipeline::config::Config;

/// Reads and checks a config, bundle and head included.
pub fn run(typed: &Check) -> anyhow::Result<Outcome> {
    let config = Config::open(&typed.config)?;
    let path = typed.config.display();
    if typed.json {
        let streams: Vec<_> = config
            .streams
            .iter()
            .map(|s| json!({ "name": s.name, "bundle": s.codec.bundle, "sinks": s.sink.len() }))
            .collect();
        print_line(json!({ "path": path.to_string(), "ok": true, "streams": streams }))?;
    } else {
        for s in &config.streams {
            let sinks = if s.sink.len() == 1 { "sink" } else { "sinks" };
            print_line(format!("{path}: {}: good; a line of {} {sinks}", s.name, s.sink.len()))?;
        }
    }
    Ok(Outcome::Done)
}
