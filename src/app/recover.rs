//! `tamis recover`: what is left of a recording, as a recording that is whole.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::args::Recover as Typed;
use super::files;
use super::{Outcome, print_aside, print_line, say};
use crate::bitstream::{Limits, Salvage, Salvaged};
use crate::error::{Error, Result};
use crate::pipeline::sinks::Output;

/// Bytes read at once.
const CHUNK: usize = 1 << 16;
/// Ending of the output until it is whole. Not `part`: `recover x.part -o x` is what is typed most.
const UNFINISHED: &str = "recovering";

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let (input, output) = (&typed.input, &typed.output);
    let kind = std::fs::metadata(input).map_err(|e| Error::io(input, e))?;
    if !kind.is_file() {
        return Err(Error::input(input.display(), "is no plain file; it is read twice").into());
    }
    files::check_ending(output, "tamis")?;
    spare(input, output)?;
    let mut salvage = Salvage::new(Limits::default());
    each_chunk(input, |bytes| salvage.survey(bytes))?;
    salvage.begin().map_err(|e| Error::input(input.display(), e))?;
    // Opened only now: what is no recording leaves no output.
    let (place, out) = Output::open_as(output, UNFINISHED)?;
    let mut out = BufWriter::new(out);
    let io = |e| Error::io(output, e);
    each_chunk(input, |bytes| out.write_all(&salvage.push(bytes)?).map_err(io))?;
    let (rest, found) = salvage.finish()?;
    out.write_all(&rest).and_then(|()| out.flush()).map_err(io)?;
    drop(out);
    place.keep()?;
    for d in &found.damage {
        say(format_args!("{}: byte {}: {}", input.display(), d.offset, d.reason));
    }
    report(typed, &found)?;
    Ok(if found.has_losses() { Outcome::WithLosses } else { Outcome::Done })
}

/// Refuses an output that is the input, or whose unfinished form is.
fn spare(input: &Path, output: &Path) -> Result<()> {
    let unfinished = files::with_ending(output, UNFINISHED);
    let same = |path: &Path| {
        let paths = (path.canonicalize(), input.canonicalize());
        matches!(paths, (Ok(a), Ok(b)) if a == b)
    };
    match same(output) || same(&unfinished) {
        true => {
            let reason = format!("{} needs another name than the input", output.display());
            Err(Error::config("--output", reason))
        }
        false => Ok(()),
    }
}

fn each_chunk(path: &Path, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => take(&chunk[..n])?,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io(path, e)),
        }
    }
}

fn report(typed: &Typed, found: &Salvaged) -> Result<()> {
    let line = if typed.json { fields(typed, found).to_string() } else { words(typed, found) };
    // Data may go to stdout; then the report goes to stderr.
    if typed.output.as_os_str() == "-" {
        print_aside(line);
        return Ok(());
    }
    print_line(line)
}

fn fields(typed: &Typed, found: &Salvaged) -> Value {
    let damage: Vec<Value> = found
        .damage
        .iter()
        .map(|d| json!({ "offset": d.offset, "bytes": d.bytes, "reason": d.reason }))
        .collect();
    json!({
        "path": typed.input.display().to_string(), "output": typed.output.display().to_string(), "packets": found.packets, "cut": found.cut,
        "headless": found.headless, "skipped_bytes": found.skipped(), "damage": damage,
        "incomplete": !found.complete, "lost": found.has_losses(),
    })
}

fn words(typed: &Typed, found: &Salvaged) -> String {
    let (packets, cut, skipped) = (found.packets, found.cut, found.skipped());
    let mut words = format!(
        "{}: {packets} packets kept, {cut} of them cut, {skipped} bytes skipped at {} places",
        typed.output.display(),
        found.damage.len()
    );
    if found.headless > 0 {
        words += &format!(", {} packets left out as their stream has no header", found.headless);
    }
    words
}
