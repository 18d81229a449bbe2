//! Exactly what was typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// A fine sieve for camera and microphone streams.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a codec for your sensor from a folder of its pictures or sounds, in closed form
    Fit(Fit),
}

/// `tamis fit`
#[derive(Debug, clap::Args)]
pub struct Fit {
    /// Pictures or sounds, folders of them, or patterns
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Folder of the bundle to write
    #[arg(short, long)]
    pub output: PathBuf,
    /// Latent channels kept [default: a quarter of the bands of pictures, all bands of sounds]
    #[arg(long)]
    pub channels: Option<usize>,
    /// Levels of the packet transform [default: 3 for pictures, 7 for sounds]
    #[arg(long)]
    pub levels: Option<u32>,
    /// Colours or sound channels coded together [default: as most of the inputs have]
    #[arg(long)]
    pub inputs_per_frame: Option<usize>,
    /// Seconds read of each sound, so that a long one does not outweigh the others
    #[arg(long, default_value_t = 30.0)]
    pub seconds: f64,
    /// What the bundle was fitted on, for its card
    #[arg(long, default_value = "")]
    pub data: String,
    /// Licence, for its card
    #[arg(long, default_value = "")]
    pub licence: String,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}
