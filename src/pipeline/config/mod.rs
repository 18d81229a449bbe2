//! What a config says: one line, in TOML.

mod check;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::line::{Pipeline, Sink, Source, Stage};
use super::media::{RawDepth, RawPixels, WavDepth};
use super::rate::Bucket;
use super::sinks::{Container, Frames, JsonLines, Picture};
use super::sources::synthetic::{Scene, Tone};
use super::sources::{Files, Raw, Reading, SceneSource, ToneSource, find_files};
use super::stages::{Crop, Decode, Encode, Every, Infer, KEYS, Pack, Rated, Resize, Target};
use crate::bitstream::Coder;
use crate::codec::{Quality, read_file};
use crate::error::{Error, Result};
use crate::runtime::{HeadOptions, find_bundle, find_head_with, options_within};

/// Largest config read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where items come from.
    pub source: SourceConfig,
    /// What is done to frames before they are coded, in this order.
    #[serde(default)]
    pub stage: Vec<StageConfig>,
    /// How frames are coded.
    pub codec: CodecConfig,
    /// A model that reads the latents.
    pub infer: Option<InferConfig>,
    /// Where items go.
    pub sink: Vec<SinkConfig>,
    /// Items that a stage is given at once, at most.
    #[serde(default = "default_batch")]
    pub batch: usize,
}

/// Where items come from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum SourceConfig {
    /// Files, and folders as streams in name order.
    Files {
        /// Files and folders.
        paths: Vec<PathBuf>,
        /// Sample rate that sounds are brought to.
        resample: Option<u32>,
    },
    /// Standard input: any file format, y4m, WAV of unknown length, or bare bytes.
    Stdin {
        /// What bare bytes are: `video` or `audio`.
        raw: Option<RawConfig>,
    },
    /// A scene made in code.
    Scene {
        /// Columns.
        #[serde(default = "default_width")]
        width: usize,
        /// Rows.
        #[serde(default = "default_height")]
        height: usize,
        /// Frames.
        frames: u64,
        /// Frames per second of capture time.
        #[serde(default = "default_fps")]
        fps: f64,
        /// Plays like a camera: no frame comes before its time.
        #[serde(default)]
        live: bool,
        /// Chooses the scene.
        #[serde(default)]
        seed: u64,
    },
    /// A sound made in code.
    Tone {
        /// Time steps per second.
        #[serde(default = "default_rate")]
        rate: u32,
        /// Channels.
        #[serde(default = "default_channels")]
        channels: usize,
        /// Length.
        seconds: f64,
        /// Chooses the sound.
        #[serde(default)]
        seed: u64,
    },
}

/// What bare bytes are.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum RawConfig {
    /// 8-bit frames.
    Video {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// `rgb24`, `gray8`, `nv12` or `yuyv422`.
        #[serde(default)]
        pixels: RawPixels,
    },
    /// Interleaved samples.
    Audio {
        /// Time steps per second.
        rate: u32,
        /// Channels.
        channels: usize,
        /// 32-bit float instead of 16-bit integers, low byte first.
        #[serde(default)]
        float: bool,
    },
}

/// What is done to frames before they are coded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum StageConfig {
    /// Resizes pictures.
    Resize {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Keeps a rectangle of pictures.
    Crop {
        /// First column.
        left: usize,
        /// First row.
        top: usize,
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Keeps one item in `n`.
    Every {
        /// How many make one.
        n: u64,
    },
}

/// How frames are coded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodecConfig {
    /// Bundle: name or path.
    pub bundle: String,
    /// 1 to 100; 75 if neither this nor `bpp` nor `bitrate` is given.
    pub quality: Option<u8>,
    /// Bits for each pixel, or for each value of a sound, instead of a quality.
    pub bpp: Option<f64>,
    /// Kilobits a second, as the stream plays, instead of a quality.
    pub bitrate: Option<f64>,
    /// Channels kept: the end of one of the bundle's groups.
    pub channels: Option<usize>,
    /// `dense` or `fast`.
    #[serde(default)]
    pub coder: Coder,
    /// Pictures of a stream from one that stands alone to the next.
    #[serde(default = "default_keys")]
    pub keys: u64,
}

impl CodecConfig {
    /// The size to aim at, if there is one.
    fn target(&self) -> Option<Target> {
        let rate = |kilobits: f64| Target::Rate(Bucket::new(1000.0 * kilobits));
        self.bpp.map(Target::Density).or(self.bitrate.map(rate))
    }
}

/// A model that reads the latents.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InferConfig {
    /// Head: name or path.
    pub head: String,
    /// The time there is for a latent, by the table in the head that `tune` wrote; without it, all tokens in floats.
    ///
    /// Units: milliseconds.
    pub target_ms: Option<f64>,
}

impl InferConfig {
    /// How the head is run, and what is to be said of its table.
    ///
    /// # Errors
    /// `Config` if it has no table, or no row as fast as that.
    pub fn options(&self) -> Result<(HeadOptions, Option<String>)> {
        match self.target_ms {
            Some(ms) => options_within(&self.head, ms, "infer.target_ms"),
            None => Ok((HeadOptions::default(), None)),
        }
    }
}

/// Where items go.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum SinkConfig {
    /// A `.tamis` file; `-` is standard output.
    Container {
        /// The file.
        path: PathBuf,
    },
    /// Decoded pictures and sounds in a folder.
    Frames {
        /// The folder.
        folder: PathBuf,
    },
    /// Predictions as JSON lines; `-` is standard output.
    Json {
        /// The file.
        path: PathBuf,
    },
}

fn default_batch() -> usize {
    8
}

fn default_width() -> usize {
    640
}

fn default_height() -> usize {
    360
}

fn default_fps() -> f64 {
    30.0
}

fn default_rate() -> u32 {
    44100
}

fn default_channels() -> usize {
    2
}

fn default_keys() -> u64 {
    KEYS
}

impl Config {
    /// Reads a config file.
    ///
    /// # Errors
    /// `Io` if it cannot be read, `Config` with file, line and reason if it is wrong.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = read_file(path, MAX_BYTES).map_err(|e| match e {
            Error::Io { .. } => e,
            Error::Input { reason, .. } => Error::config(&name, reason),
            other => Error::config(&name, other),
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|e| Error::config(&name, format!("{e}; a config is UTF-8 text")))?;
        Self::parse(&text, &name)
    }

    /// Reads a config that errors call `name`.
    ///
    /// # Errors
    /// `Config` with name, line and reason if it is wrong.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| {
            let before = e.span().map_or(0, |s| s.start.min(text.len()));
            let line = text.as_bytes()[..before].iter().filter(|&&b| b == b'\n').count() + 1;
            Error::config(format!("{name}:{line}"), super::hint::with_hint(e.message()))
        })?;
        check::check(&config).map_err(|e| match e {
            Error::Config { at, reason } => Error::config(format!("{name}: {at}"), reason),
            other => Error::config(name, other),
        })?;
        Ok(config)
    }

    /// Builds the line, opening what it reads and writes.
    ///
    /// # Errors
    /// `Io` if something cannot be opened, `Config` or `Bundle` as [`Self::parse`].
    pub fn build(&self) -> Result<Pipeline> {
        let bundle = Arc::new(find_bundle(&self.codec.bundle)?);
        let channels = self.codec.channels.unwrap_or(bundle.channels());
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        for stage in &self.stage {
            stages.push(match *stage {
                StageConfig::Resize { width, height } => Box::new(Resize { height, width }),
                StageConfig::Crop { left, top, width, height } => {
                    Box::new(Crop { top, left, height, width })
                }
                StageConfig::Every { n } => Box::new(Every::new(n)?),
            });
        }
        let pack = Pack::new(bundle.clone()).coder(self.codec.coder).keys(self.codec.keys);
        match self.codec.target() {
            Some(target) => {
                stages.push(Box::new(Rated::new(bundle.clone(), channels, pack, target)?));
            }
            None => {
                let quality = self.codec.quality.map_or(Ok(Quality::DEFAULT), Quality::new)?;
                stages.push(Box::new(Encode::new(bundle.clone(), channels, quality)?));
                stages.push(Box::new(pack));
            }
        }
        let mut card = None;
        if let Some(infer) = &self.infer {
            let head = find_head_with(&infer.head, &infer.options()?.0)?;
            card = Some(head.card().clone());
            stages.push(Box::new(Infer::new(bundle.clone(), head)?));
        }
        if self.sink.iter().any(|s| matches!(s, SinkConfig::Frames { .. })) {
            stages.push(Box::new(Decode::new(bundle, channels)));
        }
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        for sink in &self.sink {
            sinks.push(match (sink, &card) {
                (SinkConfig::Container { path }, _) => Box::new(Container::new(open(path)?, path)),
                (SinkConfig::Frames { folder }, _) => {
                    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
                    Box::new(Frames::folder(folder, "frame", Picture::Png, WavDepth::I16))
                }
                (SinkConfig::Json { path }, Some(card)) => {
                    Box::new(JsonLines::new(open(path)?, card.clone()))
                }
                (SinkConfig::Json { .. }, None) => {
                    return Err(Error::config("sink", "json needs a head"));
                }
            });
        }
        Pipeline::new(self.source()?, stages, sinks, self.batch)
    }

    fn source(&self) -> Result<Box<dyn Source>> {
        Ok(match &self.source {
            SourceConfig::Files { paths, resample } => {
                let how = Reading { rate: *resample, ..Reading::default() };
                let paths = find_files(paths)?.into_iter().map(|f| f.path).collect();
                Box::new(Files::new(paths, how))
            }
            SourceConfig::Stdin { raw } => {
                let raw = raw.as_ref().map(|r| match *r {
                    RawConfig::Video { width, height, pixels } => {
                        Raw::Video(pixels, [height, width])
                    }
                    RawConfig::Audio { rate, channels, float } => {
                        let depth = if float { RawDepth::F32le } else { RawDepth::S16le };
                        Raw::Audio { depth, rate, channels }
                    }
                });
                Box::new(Files::new(vec!["-".into()], Reading { raw, ..Reading::default() }))
            }
            SourceConfig::Scene { width, height, frames, fps, live, seed } => {
                let scene = Scene::new(*width, *height, *seed);
                let source = SceneSource::new(scene, *frames, *fps);
                Box::new(if *live { source.live() } else { source })
            }
            SourceConfig::Tone { rate, channels, seconds, seed } => {
                let steps = (seconds * f64::from(*rate)) as u64;
                let tone = Tone::new(*rate, *channels, *seed);
                Box::new(ToneSource::new(tone, *rate, steps, Reading::default().block))
            }
        })
    }
}

fn open(path: &Path) -> Result<Box<dyn Write + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdout()));
    }
    let file = File::create(path).map_err(|e| Error::io(path, e))?;
    Ok(Box::new(BufWriter::new(file)))
}
