//! What a config says of one line.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::units::Time;
use crate::bitstream::Coder;
use crate::error::{Error, Result};
use crate::pipeline::line::Full;
use crate::pipeline::media::RawPixels;
use crate::pipeline::rate::Bucket;
use crate::pipeline::sources::gst::{Launch, Media};
use crate::pipeline::sources::{Depth, Pixels};
use crate::pipeline::stages::{Hours, KEYS, Target};
use crate::pipeline::zenoh::Congestion;
use crate::runtime::{Device, HeadOptions, options_within};

/// One line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Its name in accounts, metrics and the store.
    #[serde(default = "default_name")]
    pub name: String,
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
    #[serde(default)]
    pub sink: Vec<SinkConfig>,
    /// Items that a stage is given at once, at most.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// What the queue behind the source does when it is full; by the source if nothing is said.
    pub queue: Option<Full>,
    /// When the line captures; always if nothing is said.
    pub schedule: Option<ScheduleConfig>,
    /// What the line may take of the machine.
    #[serde(default)]
    pub budget: BudgetConfig,
    /// What happens when the line ends; by the source if nothing is said.
    pub restart: Option<Restart>,
}

/// When a line captures, by the clock on the wall.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Hours of the day in UTC: `"05:00-09:30"`; all day if there are none.
    #[serde(default)]
    pub hours: Vec<String>,
    /// How much of every period.
    pub on: Option<Time>,
    /// The period, counted from midnight in UTC.
    pub of: Option<Time>,
}

impl ScheduleConfig {
    /// What it says.
    ///
    /// # Errors
    /// `Config` if hours are none, or only one of `on` and `of` is given.
    pub fn hours(&self) -> Result<Hours> {
        let of_day = self.hours.iter().map(|text| {
            let clock = |text: &str| {
                let (h, m) = text.trim().split_once(':')?;
                let (h, m): (u64, u64) = (h.parse().ok()?, m.parse().ok()?);
                (h < 24 && m < 60 || h == 24 && m == 0).then_some(3600 * h + 60 * m)
            };
            let both = text.split_once('-').and_then(|(a, b)| Some((clock(a)?, clock(b)?)));
            let reason = || format!("{text:?}; needed are hours in UTC, as in \"05:00-09:30\"");
            both.ok_or_else(|| Error::config("schedule.hours", reason()))
        });
        let part = match (self.on, self.of) {
            (None, None) => None,
            (Some(on), Some(of)) if !on.0.is_zero() && on.0 <= of.0 => Some((on.0, of.0)),
            (Some(_), Some(_)) => {
                let reason = "on must be more than nothing, and no longer than of";
                return Err(Error::config("schedule.on", reason));
            }
            _ => {
                let reason = "on and of belong together, as in on = \"1 min\", of = \"10 min\"";
                return Err(Error::config("schedule", reason));
            }
        };
        Ok(Hours { of_day: of_day.collect::<Result<_>>()?, part })
    }
}

/// What a line may take of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// Share of one core that the stages may take; above it a line of live pictures goes down its ladder: fewer tokens,
    /// the fast coder, fewer channels, fewer frames.
    pub cpu: f64,
    /// Whether it does.
    pub ladder: bool,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { cpu: 0.9, ladder: true }
    }
}

/// What happens when a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// It has ended.
    Never,
    /// If it failed it begins again, after a while that grows.
    OnFailure,
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
    /// A folder that files come into: each is read when it has not grown for a while.
    Watch {
        /// The folder.
        folder: PathBuf,
        /// How long a file must be as it is.
        #[serde(default = "default_settle")]
        settle: Time,
        /// Whether files that are there at the start are read too.
        #[serde(default = "yes")]
        existing: bool,
        /// Sample rate that sounds are brought to.
        resample: Option<u32>,
    },
    /// Bytes that another program sends, in any format that standard input takes.
    Socket {
        /// Address to listen at, `127.0.0.1:5004`; one sender at a time.
        listen: Option<String>,
        /// Address to connect to, again and again.
        connect: Option<String>,
        /// UNIX socket to listen at.
        path: Option<PathBuf>,
        /// What bare bytes are: `video` or `audio`.
        raw: Option<RawConfig>,
    },
    /// Standard input: any file format, y4m, WAV of unknown length, or bare bytes.
    Stdin {
        /// What bare bytes are: `video` or `audio`.
        raw: Option<RawConfig>,
    },
    /// A camera of this machine.
    Camera {
        /// A link, `/dev/v4l/by-id/...`; or `usb:VENDOR:PRODUCT`, with or without `:SERIAL`; or a node, `/dev/video0`.
        device: String,
        /// Columns.
        #[serde(default = "default_camera_width")]
        width: u32,
        /// Rows.
        #[serde(default = "default_camera_height")]
        height: u32,
        /// Pictures a second.
        #[serde(default = "default_fps")]
        fps: f64,
        /// `yuyv`, `nv12`, `rgb24`, `mjpeg` or `grey`; chosen if nothing is said, but never `grey`.
        format: Option<Pixels>,
    },
    /// Recordings: their packets as they are, at the pace of their capture.
    Replay {
        /// `.tamis` files, and folders of such, in name order.
        paths: Vec<PathBuf>,
        /// How many times that pace; `inf` is as fast as they go.
        #[serde(default = "one")]
        speed: f64,
    },
    /// A microphone of this machine.
    Microphone {
        /// A card, `hw:CARD=USB,DEV=0`; or a link, `/dev/snd/by-id/...`; or `usb:VENDOR:PRODUCT`, with or without
        /// `:SERIAL`; or the id or a name of a card.
        device: String,
        /// Time steps per second.
        #[serde(default = "default_microphone_rate")]
        rate: u32,
        /// Channels.
        #[serde(default = "default_microphone_channels")]
        channels: u32,
        /// `s16`, `s32`, `s24`, `s24in3` or `float`; chosen if nothing is said.
        format: Option<Depth>,
    },
    /// A chain of GStreamer's elements; of the list of those that a config may name.
    Gstreamer {
        /// As `gst-launch-1.0` takes it, without an end.
        pipeline: Launch,
        /// `picture` or `sound`.
        #[serde(default)]
        media: Media,
        /// `rgb24`, `nv12` or `grey`; `rgb24` if nothing is said.
        format: Option<Pixels>,
        /// Sample rate that sound is brought to.
        rate: Option<u32>,
        /// Channels that sound is brought to.
        channels: Option<usize>,
        /// A pipeline that gives nothing for so long has failed; if nothing is said, it is waited for.
        silence: Option<Time>,
    },
    /// Packets that another process publishes by Zenoh, each group of channels under a key of its own.
    Zenoh {
        /// What the keys begin with, `tamis/belt`.
        key: String,
        /// How many groups of each packet are subscribed to, the most important first; all if nothing is said.
        groups: Option<usize>,
        /// Address of this machine that others connect to, `127.0.0.1:7447`.
        listen: Option<String>,
        /// Address of another process or of a router, tried again and again.
        connect: Option<String>,
    },
    /// A scene made in code.
    Scene {
        /// Columns.
        #[serde(default = "default_width")]
        width: usize,
        /// Rows.
        #[serde(default = "default_height")]
        height: usize,
        /// Frames; without it there is no end.
        frames: Option<u64>,
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
    /// Where pictures are encoded: `cpu`, `cuda:0` (and no other), `auto`.
    #[serde(default)]
    pub device: Device,
    /// `dense` or `fast`.
    #[serde(default)]
    pub coder: Coder,
    /// Pictures of a stream from one that stands alone to the next.
    #[serde(default = "default_keys")]
    pub keys: u64,
}

impl CodecConfig {
    /// The size to aim at, if there is one.
    pub(super) fn target(&self) -> Option<Target> {
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
    /// Segments in the store: see `[store]`.
    Store,
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
    /// Predictions as events at a broker: see `[mqtt]`.
    Mqtt {
        /// Only those whose first label scores so much at least.
        #[serde(default)]
        min_score: f32,
        /// Only those whose first label is another than that of the event before.
        #[serde(default)]
        on_change: bool,
    },
    /// Packets by Zenoh, each group of channels under a key of its own.
    Zenoh {
        /// What the keys begin with, `tamis/belt`.
        key: String,
        /// `block` or `drop`: what happens when those who subscribe are slower than the line.
        #[serde(default)]
        congestion: Congestion,
        /// What is waited before the first packet, for others to connect.
        wait: Option<Time>,
        /// Address of this machine that others connect to, `127.0.0.1:7447`.
        listen: Option<String>,
        /// Address of another process or of a router, tried again and again.
        connect: Option<String>,
    },
}

pub(super) fn default_name() -> String {
    "main".into()
}

fn default_settle() -> Time {
    Time(Duration::from_secs(1))
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

pub(super) fn default_batch() -> usize {
    8
}

fn default_width() -> usize {
    640
}

fn default_height() -> usize {
    360
}

fn default_camera_width() -> u32 {
    640
}

fn default_camera_height() -> u32 {
    480
}

fn default_microphone_rate() -> u32 {
    48000
}

fn default_microphone_channels() -> u32 {
    1
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
