//! Paths from what was typed: inputs found, outputs chosen, progress shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::args::Input;
use crate::codec::Bundle;
use crate::error::{Error, Result};
use crate::pipeline::media::{Axes, RATE_LIMIT, RawDepth, RawPixels};
use crate::pipeline::sinks::PART;
pub use crate::pipeline::sinks::{make_folder_of, with_ending, write_whole};
use crate::pipeline::sources::{Found, Raw, Reading};

/// Endings of files that are something else than what some verb writes.
const ENDINGS: [&str; 26] = [
    "png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "ppm", "pgm", "pnm", "gif", "jxl", "avif",
    "wav", "flac", "ogg", "oga", "opus", "mp3", "y4m", "mp4", "npy", "mcap", "toml", "svg", "onnx",
];

/// Refuses an output whose name says that it is of another kind than `ending`: it may be somebody's.
///
/// # Errors
/// `Config`, with what it should end in.
pub fn check_ending(output: &Path, ending: &str) -> Result<()> {
    let found = output.extension().map(|e| e.to_string_lossy().to_lowercase());
    match found.filter(|e| e != ending && ENDINGS.contains(&e.as_str())) {
        Some(found) => {
            let reason = format!(
                "{} would be no .{found} file; name a .{ending}, or a folder as in `-o out/`",
                output.display()
            );
            Err(Error::config("--output", reason))
        }
        None => Ok(()),
    }
}

/// Whether an output that was typed means a folder.
pub fn is_folder(output: &Path) -> bool {
    let typed = output.to_string_lossy();
    output.is_dir() || typed.ends_with('/') || typed.ends_with(std::path::MAIN_SEPARATOR)
}

/// Paths below an output folder, without ending: one for each input, no two alike.
pub fn outputs(found: &[Found]) -> Vec<PathBuf> {
    let short = |f: &Found| match f.below.as_os_str().to_str() {
        Some("-") => PathBuf::from("stdin"),
        _ => f.below.with_extension(""),
    };
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for f in found {
        *counts.entry(short(f)).or_default() += 1;
    }
    let mut seen: BTreeMap<PathBuf, usize> = BTreeMap::new();
    found
        .iter()
        .map(|f| {
            // Two inputs of one name keep their endings; if that is not enough, they are counted.
            let name = if counts[&short(f)] > 1 { f.below.clone() } else { short(f) };
            let n = seen.entry(name.clone()).or_default();
            *n += 1;
            if *n == 1 { name } else { PathBuf::from(format!("{}-{n}", name.display())) }
        })
        .collect()
}

/// Refuses an output that is one of the inputs: it would be gone before it is read.
///
/// # Errors
/// `Config`, naming the file.
pub fn spare_inputs(found: &[Found], output: &Path) -> Result<()> {
    for written in written(output) {
        if found.iter().any(|f| is_same(&f.path, &written)) {
            let reason = format!(
                "writing {} would overwrite the input {}; name another file",
                output.display(),
                written.display()
            );
            return Err(Error::config("--output", reason));
        }
    }
    Ok(())
}

/// The files that an output is written to: it has another name until it is whole.
pub fn written(output: &Path) -> [PathBuf; 2] {
    [output.to_path_buf(), with_ending(output, PART)]
}

/// Refuses an output folder with inputs in it that have endings as outputs have.
///
/// # Errors
/// `Config`, naming the file.
pub fn spare_inputs_in(found: &[Found], folder: &Path) -> Result<()> {
    let Ok(folder) = folder.canonicalize() else { return Ok(()) };
    let written = |path: &Path| {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        ending.is_some_and(|e| {
            ["png", "ppm", "pgm", "wav", "npy", "tif", "tiff", "mcap"].contains(&e.as_str())
        })
    };
    let within = |f: &&Found| {
        written(&f.path) && f.path.canonicalize().is_ok_and(|p| p.starts_with(&folder))
    };
    match found.iter().find(within) {
        Some(f) => {
            let reason = format!(
                "the input {} lies in it and might be overwritten; name another folder",
                f.path.display()
            );
            Err(Error::config("--output", reason))
        }
        None => Ok(()),
    }
}

/// Refuses an output folder that inputs lie in: what is written there would be read the next time.
///
/// # Errors
/// `Config`, naming the folder.
pub fn spare_folder_of(found: &[Found], folder: &Path) -> Result<()> {
    let Ok(target) = folder.canonicalize() else { return Ok(()) };
    let within = |f: &Found| f.path.canonicalize().is_ok_and(|p| p.parent() == Some(&target));
    if found.iter().any(within) {
        let reason = format!("inputs lie in {}; name a folder of its own", folder.display());
        return Err(Error::config("--output", reason));
    }
    Ok(())
}

/// Whether two paths lead to one file, by whatever links.
pub fn is_same(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |p: &Path| std::fs::metadata(p).map(|m| (m.dev(), m.ino()));
        matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
    }
    #[cfg(not(unix))]
    {
        matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
    }
}

/// Writes the two files of a bundle into a folder, which is made, and returns the size of its weights.
///
/// # Errors
/// `Io` if they cannot be written, `Config` if another bundle is there: its recordings need it.
pub fn write_bundle(folder: &Path, bundle: &Bundle) -> Result<usize> {
    spare_bundle(folder, bundle)?;
    let (manifest, weights) = bundle.to_files()?;
    // The manifest last: what is there without it is no bundle.
    write_whole(&folder.join("weights.safetensors"), &weights)?;
    write_whole(&folder.join("codec.toml"), manifest.as_bytes())?;
    Ok(weights.len())
}

/// Refuses a folder that holds another bundle than this one.
///
/// # Errors
/// `Config`, naming both.
pub fn spare_bundle(folder: &Path, bundle: &Bundle) -> Result<()> {
    let ids = |b: &Bundle| (b.codec_id(), b.tables_id());
    match Bundle::open(folder) {
        Ok(there) if ids(&there) != ids(bundle) => {
            let reason = format!(
                "{} holds the bundle {} (codec {}), without which its recordings cannot be read; \
                 name another folder, or remove it first",
                folder.display(),
                there.card.name,
                there.codec_id()
            );
            Err(Error::config("--output", reason))
        }
        _ => Ok(()),
    }
}

/// How inputs are read, from what was typed.
///
/// # Errors
/// `Config` if a raw format cannot be read.
pub fn reading(typed: &Input) -> Result<Reading> {
    let axes = Axes::bands_first(typed.bands_first);
    let mut reading = Reading { rate: typed.resample, fps: typed.fps, axes, ..Reading::default() };
    if let Some(format) = &typed.raw_video {
        reading.raw = Some(raw_video(format).ok_or_else(|| {
            let reason = format!(
                "{format:?} is not like 640x480:rgb24; gray8, nv12 and yuyv422 are known too"
            );
            Error::config("--raw-video", reason)
        })?);
    }
    if let Some(format) = &typed.raw_audio {
        reading.raw = Some(raw_audio(format).ok_or_else(|| {
            let reason = format!("{format:?} is not like 44100:2:s16le or 8000:1:f32le");
            Error::config("--raw-audio", reason)
        })?);
    }
    if let Some(rate) = typed.resample.filter(|r| !(1..=RATE_LIMIT).contains(r)) {
        let reason = format!("{rate} Hz; 1 to {RATE_LIMIT} is allowed");
        return Err(Error::config("--resample", reason));
    }
    Ok(reading)
}

/// Reads `WIDTHxHEIGHT:rgb24`.
pub fn raw_video(format: &str) -> Option<Raw> {
    let (size, pixel) = format.split_once(':')?;
    let (width, height) = size.split_once('x')?;
    let pixels = RawPixels::named(pixel)?;
    Some(Raw::Video(pixels, [height.parse().ok()?, width.parse().ok()?]))
}

/// Reads `RATE:CHANNELS:s16le`.
pub fn raw_audio(format: &str) -> Option<Raw> {
    let mut parts = format.split(':');
    let (rate, channels) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let depth = match parts.next()? {
        "s16le" => RawDepth::S16le,
        "f32le" => RawDepth::F32le,
        _ => return None,
    };
    parts.next().is_none().then_some(Raw::Audio { depth, rate, channels })
}

/// A bar on stderr when that is a terminal, else nothing.
pub fn progress(len: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(len);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_never_collide() {
        let found: Vec<Found> = ["a.png", "a.jpg", "b.png", "d/a.png", "c", "a.png"]
            .iter()
            .map(|p| Found { path: p.into(), below: p.into() })
            .collect();
        let names: Vec<String> = outputs(&found).iter().map(|p| p.display().to_string()).collect();
        assert_eq!(names, ["a.png", "a.jpg", "b", "d/a", "c", "a.png-2"]);
    }

    #[test]
    fn raw_formats() {
        assert_eq!(raw_video("4x3:rgb24"), Some(Raw::Video(RawPixels::Rgb24, [3, 4])));
        assert_eq!(raw_video("4x3:yuv"), None);
        assert!(raw_audio("8000:1:f32le").is_some());
        assert_eq!(raw_audio("8000:1:f32le:9"), None);
    }
}
