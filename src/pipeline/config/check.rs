//! What a config's types cannot say: ranges, and parts that do not fit together.

use std::path::{Path, PathBuf};

use super::{CodecConfig, Config, RawConfig, SinkConfig, SourceConfig, StageConfig};
use crate::codec::{Kind, Quality};
use crate::error::{Error, Result};
use crate::pipeline::media::RawPixels;
use crate::pipeline::media::{FPS, Limits, RATE_LIMIT, check_sound_shape};
use crate::pipeline::stages::{Encode, Every, check_fit};
use crate::runtime::{find_bundle, find_head_with};

/// Longest sound made in code: four months.
const SECONDS_LIMIT: f64 = 1e7;

/// Checks a config, and that its bundle and head exist and fit.
pub(super) fn check(config: &Config) -> Result<()> {
    check_codec(&config.codec)?;
    check_source(&config.source)?;
    for stage in &config.stage {
        match *stage {
            StageConfig::Resize { width, height } | StageConfig::Crop { width, height, .. } => {
                check_picture("stage", width, height)?;
            }
            StageConfig::Every { n } => {
                Every::new(n)?;
            }
        }
    }
    check_sinks(config)?;
    let bundle = find_bundle(&config.codec.bundle)?;
    if let Some((kind, channels)) = makes(&config.source) {
        check_fit(&bundle, kind, channels).map_err(|e| Error::config("codec.bundle", e))?;
        if kind == Kind::Audio && !config.stage.is_empty() {
            return Err(Error::config("stage", "works on pictures, the source makes sound"));
        }
    }
    let bundle = std::sync::Arc::new(bundle);
    let channels = config.codec.channels.unwrap_or(bundle.channels());
    Encode::new(bundle.clone(), channels, Quality::DEFAULT)
        .map_err(|e| Error::config("codec.channels", e))?;
    if let Some(infer) = &config.infer {
        find_head_with(&infer.head, &infer.options()?.0)?.check(&bundle)?;
    }
    Ok(())
}

/// One size to aim at, and one that can be.
fn check_codec(codec: &CodecConfig) -> Result<()> {
    if let Some(quality) = codec.quality {
        Quality::new(quality).map_err(|e| Error::config("codec.quality", e))?;
    }
    let sizes = [("codec.bpp", codec.bpp), ("codec.bitrate", codec.bitrate)];
    for (at, size) in sizes.into_iter().filter_map(|(at, size)| Some((at, size?))) {
        if !(size > 0.0 && size <= 1e9) {
            return Err(Error::config(
                at,
                format!("{size}; a number above 0, at most 1e9, is needed"),
            ));
        }
    }
    let given = [codec.quality.is_some(), codec.bpp.is_some(), codec.bitrate.is_some()];
    if given.iter().filter(|&&g| g).count() > 1 {
        return Err(Error::config("codec", "quality, bpp and bitrate exclude each other"));
    }
    match codec.keys {
        0 => Err(Error::config("codec.keys", "0; 1 lets every picture stand alone")),
        _ => Ok(()),
    }
}

fn check_source(source: &SourceConfig) -> Result<()> {
    let config = |e: Error| Error::config("source", e);
    match source {
        SourceConfig::Scene { width, height, frames, fps, .. } => {
            if !FPS.contains(fps) {
                let reason = format!("{fps}; {} to {} is allowed", FPS.start(), FPS.end());
                return Err(Error::config("source.fps", reason));
            }
            if *frames == 0 {
                return Err(Error::config("source.frames", "0; at least 1 is needed"));
            }
            check_picture("source", *width, *height)
        }
        SourceConfig::Tone { rate, channels, seconds, .. } => {
            check_sound_shape("tone", *rate, *channels).map_err(config)?;
            let step = 1.0 / f64::from(*rate);
            if !(step..=SECONDS_LIMIT).contains(seconds) {
                let reason = format!("{seconds}; {step} to {SECONDS_LIMIT} is allowed");
                return Err(Error::config("source.seconds", reason));
            }
            Ok(())
        }
        SourceConfig::Files { paths, .. } if paths.is_empty() => {
            Err(Error::config("source.paths", "names no file"))
        }
        SourceConfig::Files { resample: Some(rate), .. } if !(1..=RATE_LIMIT).contains(rate) => {
            let reason = format!("{rate} Hz; 1 to {RATE_LIMIT} is allowed");
            Err(Error::config("source.resample", reason))
        }
        SourceConfig::Stdin { raw: Some(RawConfig::Video { width, height, .. }) } => {
            check_picture("source.raw", *width, *height)
        }
        SourceConfig::Stdin { raw: Some(RawConfig::Audio { rate, channels, .. }) } => {
            check_sound_shape("raw", *rate, *channels).map_err(config)
        }
        SourceConfig::Files { .. } | SourceConfig::Stdin { raw: None } => Ok(()),
    }
}

fn check_picture(at: &str, width: usize, height: usize) -> Result<()> {
    let limits = Limits::default();
    limits.check_picture(at, height as u64, width as u64).map_err(|e| Error::config(at, e))
}

/// What a source makes and in how many channels, where its config tells.
fn makes(source: &SourceConfig) -> Option<(Kind, usize)> {
    match source {
        SourceConfig::Scene { .. } => Some((Kind::Image, 3)),
        SourceConfig::Tone { channels, .. } => Some((Kind::Audio, *channels)),
        SourceConfig::Stdin { raw: Some(RawConfig::Video { pixels, .. }) } => {
            Some((Kind::Image, if *pixels == RawPixels::Gray8 { 1 } else { 3 }))
        }
        SourceConfig::Stdin { raw: Some(RawConfig::Audio { channels, .. }) } => {
            Some((Kind::Audio, *channels))
        }
        SourceConfig::Files { .. } | SourceConfig::Stdin { raw: None } => None,
    }
}

/// No sink writes where another writes, or where the source reads.
fn check_sinks(config: &Config) -> Result<()> {
    if config.sink.is_empty() {
        return Err(Error::config("sink", "a line needs one at least"));
    }
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let mut taken: Vec<PathBuf> = match &config.source {
        SourceConfig::Files { paths, .. } => {
            paths.iter().filter(|p| p.is_file()).map(|p| whole(p)).collect()
        }
        _ => Vec::new(),
    };
    for sink in &config.sink {
        let path = match sink {
            SinkConfig::Container { path } | SinkConfig::Json { path } => path,
            SinkConfig::Frames { folder } => folder,
        };
        if taken.contains(&whole(path)) {
            let reason = format!("{} is named twice; name another path", path.display());
            return Err(Error::config("sink", reason));
        }
        taken.push(whole(path));
        if matches!(sink, SinkConfig::Json { .. }) && config.infer.is_none() {
            let reason = "json needs a head: add [infer] with head = \"...\"";
            return Err(Error::config("sink", reason));
        }
    }
    Ok(())
}
