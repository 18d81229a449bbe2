//! The command line: arguments, one file per verb, exit codes.
//!
//! Data goes to stdout, words to stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 done with losses,
//! 65 bad data, 66 no input, 78 config.

mod args;
mod files;
mod fit;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Verb};
use crate::error::Error;

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
        Err(e) => {
            eprintln!("tamis: {e:#}");
            ExitCode::from(exit_code(&e))
        }
    }
}

fn run(args: Args) -> anyhow::Result<Outcome> {
    match args.verb {
        Verb::Fit(a) => fit::run(&a),
    }
}

/// The code for an error that ended a verb.
fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Error>() {
        Some(Error::Input { .. } | Error::Bitstream { .. } | Error::Limit { .. }) => 65,
        Some(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => 66,
        Some(Error::Config { .. }) => 78,
        _ => 1,
    }
}
