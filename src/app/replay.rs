//! `tamis replay`: the packets of a recording once more, at the pace of their capture.

use std::path::PathBuf;

use serde_json::json;

use super::args::Replay as Typed;
use super::{
    Outcome, files, nothing_came_through, outcome, print_aside, print_line, stop_flag, tell,
};
use crate::error::Error;
use crate::pipeline::sinks::Container;
use crate::pipeline::sinks::Output;
use crate::pipeline::sources::{Files, Paced, find_files};
use crate::pipeline::stages::Cut;
use crate::pipeline::{Pipeline, Stage};

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let found = find_files(&typed.inputs)?;
    if found.is_empty() {
        return Err(Error::input(typed.inputs[0].display(), "holds no file").into());
    }
    if typed.speed.is_finite() && found.iter().any(|f| f.path.as_os_str() == "-") {
        let reason = "a pipe has a pace of its own; name a file, or say `--speed max`";
        return Err(Error::input("-", reason).into());
    }
    files::check_ending(&typed.output, "tamis")?;
    files::spare_inputs(&found, &typed.output)?;
    let paths: Vec<PathBuf> = found.into_iter().map(|f| f.path).collect();
    let stop = stop_flag();
    let source = Paced::new(Files::packets(paths), typed.speed, stop.clone());
    let (place, out) = Output::open(&typed.output)?;
    let sink = Container::new(out, &typed.output);
    // One packet at a time: none waits for another.
    let cut = typed.groups.map(|n| Box::new(Cut::new(n.into())) as Box<dyn Stage>);
    let stages = cut.into_iter().collect();
    let line = Pipeline::new(Box::new(source), stages, vec![Box::new(sink)], 1)?;
    let report = line.run(&stop, |_, item| tell(item)).inspect_err(|_| place.discard_empty())?;
    match report.delivered {
        // Nothing is better than a recording of nothing.
        0 => place.discard_empty(),
        _ => place.keep()?,
    }
    let line = match typed.json {
        true => json!({
            "output": typed.output.display().to_string(), "packets": report.delivered, "lost": report.lost_count(),
            "bytes": report.packet_bytes, "speed": typed.speed,
        })
        .to_string(),
        false => format!("tamis: {} packets, {} bytes", report.delivered, report.packet_bytes),
    };
    if typed.json && typed.output.as_os_str() != "-" {
        print_line(line)?
    } else {
        print_aside(line)
    }
    match nothing_came_through(&report) {
        Some(error) => Err(error.into()),
        None => Ok(outcome(&report)),
    }
}
