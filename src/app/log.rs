//! What is said on stderr: in words for people, or as JSON for those who collect it.

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use serde_json::json;

use super::time::date_and_time;

/// How things are said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// In words.
    Text,
    /// One JSON object a line: ts, level, stream, msg.
    Json,
}

static AS_JSON: AtomicBool = AtomicBool::new(false);

/// How things are said from now on.
pub fn set_format(format: Format) {
    AS_JSON.store(format == Format::Json, Ordering::Relaxed);
}

/// Says something worth knowing.
pub fn info(stream: Option<&str>, words: impl Display) {
    write("info", stream, &words);
}

/// Says that something was odd, or was lost.
pub fn warn(stream: Option<&str>, words: impl Display) {
    write("warn", stream, &words);
}

/// Says that something failed.
pub fn error(stream: Option<&str>, words: impl Display) {
    write("error", stream, &words);
}

fn write(level: &str, stream: Option<&str>, words: &dyn Display) {
    let line = match AS_JSON.load(Ordering::Relaxed) {
        true => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let mut line = json!({ "ts": date_and_time(now), "level": level });
            if let Some(stream) = stream {
                line["stream"] = stream.into();
            }
            line["msg"] = words.to_string().into();
            line.to_string()
        }
        false => match stream {
            Some(stream) => format!("tamis: {stream}: {words}"),
            None => format!("tamis: {words}"),
        },
    };
    // That nobody listens there is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}
