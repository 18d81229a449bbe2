//! `tamis export`: `.tamis` to what other programs read.

use std::io::BufWriter;

use super::args::Export as Typed;
use super::decode::{Place, each, frames};
use super::decoders::Decoders;
use super::{Outcome, files};
use crate::bitstream::StreamHeader;
use crate::error::{Error, Result};
use crate::pipeline::Sink;
use crate::pipeline::media::WavDepth;
use crate::pipeline::sinks::{Mcap, Messages, Npy, Output, Picture};

pub fn run(typed: &Typed) -> anyhow::Result<Outcome> {
    let depth = if typed.float { WavDepth::F32 } else { WavDepth::I16 };
    let messages = if typed.packets { Messages::Packets } else { Messages::Frames };
    let pipe = typed.unpacking.output.as_os_str() == "-";
    if pipe && (typed.png || typed.npy) {
        let reason = "- can take WAV and MCAP only; name a file, or a folder as in `-o out/`";
        return Err(Error::config("--output", reason).into());
    }
    let output = &typed.unpacking.output;
    if !files::is_folder(output) {
        for (asked, ending) in [(typed.npy, "npy"), (typed.mcap, "mcap")] {
            if asked {
                files::check_ending(output, ending)?;
            }
        }
    }
    let decoders = Decoders::new(&typed.decoding);
    each(&typed.unpacking, &decoders, "exporting", |place, bundle, header| {
        if typed.npy {
            let (bundle, integers) = (bundle.clone(), typed.integers);
            let Some((folder, stem)) = place.in_folder() else {
                return Ok(Box::new(Npy::file(bundle, &place.path, integers)));
            };
            let names = place.names.clone();
            return Ok(Box::new(Npy::folder(bundle, folder, &stem, names, integers)));
        }
        if typed.mcap {
            check_colours("--mcap", header.filter(|_| !typed.packets), place)?;
            return mcap(place, messages);
        }
        check_kind(typed, header, place)?;
        Ok(Box::new(frames(place, Picture::Png, depth)))
    })
}

fn mcap(place: &Place, messages: Messages) -> Result<Box<dyn Sink>> {
    if place.path.as_os_str() == "-" {
        return Ok(Box::new(Mcap::new(std::io::stdout(), "stdout", messages)?));
    }
    let path = match place.in_folder() {
        Some((folder, stem)) => place.names.unused(&folder, &stem, "mcap"),
        None => place.path.clone(),
    };
    let (output, file) = Output::create(&path)?;
    Ok(Box::new(Mcap::new(BufWriter::new(file), path, messages)?.becoming(output)))
}

/// Refuses bands where only gray and colours can be written.
fn check_colours(flag: &str, header: Option<&StreamHeader>, place: &Place) -> Result<()> {
    match header.filter(|h| h.layout.is_bands()) {
        Some(header) => {
            let reason = format!(
                "{} would be of {} bands; `tamis decode` writes them as .npy and .tif, and some of them \
                 as a picture with --bands",
                place.path.display(),
                header.channels
            );
            Err(Error::config(flag, reason))
        }
        None => Ok(()),
    }
}

/// Refuses sounds as PNG and pictures as WAV.
fn check_kind(typed: &Typed, header: Option<&StreamHeader>, place: &Place) -> Result<()> {
    let Some(header) = header else { return Ok(()) };
    check_colours("--png", Some(header), place)?;
    let (sound, name) = (header.rate() > 0, place.path.display());
    match (typed.wav, sound) {
        (false, true) => {
            Err(Error::config("--png", format!("{name} would be of sound; use --wav")))
        }
        (true, false) => {
            Err(Error::config("--wav", format!("{name} would be of pictures; use --png")))
        }
        _ => Ok(()),
    }
}
