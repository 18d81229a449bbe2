//! The command line: arguments, one file per verb, exit codes.
//!
//! Data goes to stdout, words to stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 done with losses,
//! 65 bad data, 66 no input, 78 config.

mod args;
mod bench;
mod check;
mod codecs;
mod daemon;
mod decode;
mod decoders;
mod demo;
mod doctor;
mod encode;
mod eval;
mod eval_head;
mod eval_orders;
mod export;
mod files;
mod fit;
pub mod http;
mod infer;
mod info;
mod log;
mod order;
mod overlay;
mod plan;
mod receive;
mod recover;
mod replay;
mod shard;
mod time;
#[cfg(feature = "onnx")]
mod tune;
#[cfg(feature = "onnx")]
mod tune_table;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;

use self::args::{Args, Verb};
use crate::error::{Error, Result};
use crate::pipeline::{Item, Report};

/// Reasons remembered by [`say_once`]: as many as files may be coded at once.
const REMEMBERED: usize = 256;

/// What a verb that did not fail reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    WithLosses,
}

/// Parses the command line, runs it, and says how it went.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::WithLosses) => ExitCode::from(3),
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            say_once(&e);
            ExitCode::from(exit_code(&e))
        }
    }
}

fn run(args: Args) -> anyhow::Result<Outcome> {
    match args.verb {
        Verb::Demo(a) => demo::run(&a),
        Verb::Encode(a) => encode::run(&a),
        Verb::Decode(a) => decode::run(&a),
        Verb::Info(a) => info::run(&a),
        Verb::Export(a) => export::run(&a),
        Verb::Replay(a) => replay::run(&a),
        Verb::Recover(a) => recover::run(&a),
        Verb::Infer(a) => infer::run(&a),
        #[cfg(feature = "onnx")]
        Verb::Tune(a) => tune::run(&a),
        #[cfg(not(feature = "onnx"))]
        Verb::Tune(a) => match crate::runtime::Head::from_onnx(&a.head, &[]) {
            Ok(_) => Ok(Outcome::Done),
            Err(e) => Err(e.into()),
        },
        Verb::Run(a) => daemon::run(&a),
        Verb::Receive(a) => receive::run(&a),
        Verb::Check(a) => check::run(&a),
        Verb::Plan(a) => plan::run(&a),
        Verb::Doctor(a) => doctor::run(&a),
        Verb::Fit(a) => fit::run(&a),
        Verb::Order(a) => order::run(&a),
        Verb::Eval(a) => eval::run(&a),
        Verb::Bench(a) => bench::run(&a),
    }
}

/// The code for an error that ended a verb.
fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Error>() {
        Some(Error::Input { .. } | Error::Bitstream { .. } | Error::Limit { .. }) => 65,
        Some(Error::Io { why, .. }) if why.kind() == std::io::ErrorKind::NotFound => 66,
        Some(Error::Config { at, .. }) if at.starts_with("--") || at == "HEAD" => 2,
        Some(Error::Config { .. }) => 78,
        _ => 1,
    }
}

/// Whoever read our output has seen enough: `tamis ... | head` is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<Error>(),
        Some(Error::Io { why, .. }) if why.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints a line of data.
fn print_line(line: impl std::fmt::Display) -> Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}").map_err(|e| Error::io("stdout", e))
}

/// A flag that the signals that ask to stop set; what is in flight is still delivered.
fn stop_flag() -> Arc<AtomicBool> {
    // One for all lines: whoever stops the first does not want the second.
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        if let Err(e) = listen(&flag) {
            say(format_args!("signals will not drain the line: {e}"));
        }
        flag
    })
    .clone()
}

/// Signals that come so soon after the first are the same request: some send one to a process and to its group.
const TOGETHER: Duration = Duration::from_millis(500);

fn listen(flag: &Arc<AtomicBool>) -> std::io::Result<()> {
    let asked = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT];
    let mut signals = signal_hook::iterator::Signals::new(asked)?;
    let flag = flag.clone();
    let wait = move || {
        let mut first: Option<Instant> = None;
        for _ in signals.forever() {
            match first {
                None => {
                    flag.store(true, Ordering::Relaxed);
                    first = Some(Instant::now());
                    say("stopping after what is in flight; again to quit at once");
                }
                Some(at) if at.elapsed() < TOGETHER => {}
                // For lines that wait on a silent source.
                Some(_) => {
                    say("quits at once; what is in flight is lost");
                    signal_hook::low_level::exit(1);
                }
            }
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
}

/// Says on stderr what was odd about an item, or why it is gone.
fn tell(item: &Item) {
    for warning in &item.warnings {
        say(format_args!("{}: {warning}", item.name));
    }
    if let Some(crate::pipeline::Gone::Lost(_, why)) = &item.gone {
        say_once(format_args!("{}: {why}", item.name));
    }
}

/// The outcome of a report: losses if anything is missing.
fn outcome(report: &Report) -> Outcome {
    if report.unread {
        say("stopped before the input came to its end");
    }
    if report.has_losses() { Outcome::WithLosses } else { Outcome::Done }
}

/// The outcome for an input that was not begun because the line was stopped.
fn unread(input: &std::path::Path) -> Outcome {
    say(format_args!("{}: not begun, stopped before", input.display()));
    Outcome::WithLosses
}

/// Says something on stderr.
fn say(words: impl std::fmt::Display) {
    log::info(None, words);
}

/// Says what was wrong, but not again what it said a moment ago: every block of a sound may fail
/// for one reason, and the only input's reason is also the verb's.
fn say_once(words: impl std::fmt::Display) {
    static SAID: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
    let words = words.to_string();
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.contains(&words) {
        return;
    }
    say(&words);
    if said.len() == REMEMBERED {
        said.pop_front();
    }
    said.push_back(words);
}

/// Prints a line on stderr. That nobody listens there is no reason to stop.
fn print_aside(line: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The error of a report in which nothing at all came through but losses.
fn nothing_came_through(report: &Report) -> Option<Error> {
    let (name, why) = report.lost_names.first()?;
    (report.delivered == 0).then(|| Error::input(name, why))
}
