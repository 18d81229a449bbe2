//! The line that a config describes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::stream::{RawConfig, Restart, SinkConfig, SourceConfig, StageConfig, StreamConfig};
use crate::codec::Quality;
use crate::error::{Error, Result};
use crate::pipeline::line::{Full, Pipeline, Sink, Source, Stage};
use crate::pipeline::media::{RawDepth, WavDepth};
use crate::pipeline::sinks::{Container, Frames, JsonLines, Picture};
use crate::pipeline::sources::synthetic::{Scene, Tone};
#[cfg(target_os = "linux")]
use crate::pipeline::sources::v4l2::{CameraSource, Device, Wish, find::Identity};
use crate::pipeline::sources::{
    Files, Numbered, Peer, Raw, Reading, SceneSource, Socket, ToneSource, Watch, find_files,
};
use crate::pipeline::stages::{Crop, Decode, Encode, Every, Infer, Pack, Rated, Resize};
use crate::runtime::{find_bundle, find_head_with};

/// What lines of one process share, and what a run of a line begins with.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Set to stop the line: sources that wait look at it.
    pub stop: Arc<AtomicBool>,
    /// Place of the first item in its stream.
    pub index: u64,
}

impl StreamConfig {
    /// Whether items come when they come, and not as they are asked for.
    pub fn is_live(&self) -> bool {
        match &self.source {
            SourceConfig::Scene { live, frames, .. } => *live || frames.is_none(),
            SourceConfig::Socket { .. } | SourceConfig::Camera { .. } => true,
            SourceConfig::Files { .. }
            | SourceConfig::Watch { .. }
            | SourceConfig::Stdin { .. }
            | SourceConfig::Tone { .. } => false,
        }
    }

    /// What the queue behind the source does when it is full.
    pub fn full(&self) -> Full {
        let usual = if self.is_live() { Full::DropOldest } else { Full::Wait };
        self.queue.unwrap_or(usual)
    }

    /// What happens when the line ends.
    pub fn restart(&self) -> Restart {
        let usual = match &self.source {
            SourceConfig::Watch { .. } | SourceConfig::Socket { .. } => Restart::OnFailure,
            _ if self.is_live() => Restart::OnFailure,
            _ => Restart::Never,
        };
        self.restart.unwrap_or(usual)
    }

    /// Builds the line, opening what it reads and writes.
    ///
    /// # Errors
    /// `Io` if something cannot be opened, `Config` or `Bundle` as [`Config::parse`](super::Config::parse).
    pub fn build(&self, place: &Place) -> Result<Pipeline> {
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
        let mut source = self.source(place)?;
        if place.index > 0 {
            source = Box::new(Numbered::new(source, place.index));
        }
        Pipeline::new(source, stages, sinks, self.batch)
    }

    fn source(&self, place: &Place) -> Result<Box<dyn Source>> {
        Ok(match &self.source {
            SourceConfig::Files { paths, resample } => {
                let how = Reading { rate: *resample, ..Reading::default() };
                let paths = find_files(paths)?.into_iter().map(|f| f.path).collect();
                Box::new(Files::new(paths, how))
            }
            SourceConfig::Stdin { raw } => {
                let raw = raw.as_ref().map(RawConfig::raw);
                Box::new(Files::new(vec!["-".into()], Reading { raw, ..Reading::default() }))
            }
            SourceConfig::Watch { folder, settle, existing, resample } => {
                let how = Reading { rate: *resample, ..Reading::default() };
                Box::new(Watch::new(folder, settle.0, *existing, how, place.stop.clone()))
            }
            SourceConfig::Socket { listen, connect, path, raw } => {
                let peer = match (listen, connect, path) {
                    (Some(at), ..) => Peer::Listen(at.clone()),
                    (_, Some(to), _) => Peer::Connect(to.clone()),
                    (.., Some(path)) => Peer::Unix(path.clone()),
                    _ => {
                        return Err(Error::config(
                            "source",
                            "a socket needs listen, connect or path",
                        ));
                    }
                };
                let raw = raw.as_ref().map(RawConfig::raw);
                let how = Reading { raw, live: true, ..Reading::default() };
                Box::new(Socket::new(&self.name, peer, how, place.stop.clone())?)
            }
            #[cfg(target_os = "linux")]
            SourceConfig::Camera { device, width, height, fps, format } => {
                let (width, height, fps, pixels) = (*width, *height, *fps, *format);
                let wish = Wish { width, height, fps, pixels };
                let (identity, video) = (Identity::parse(device)?, Box::new(Device::new()));
                let stop = place.stop.clone();
                Box::new(CameraSource::new(&self.name, identity, wish, video, stop))
            }
            #[cfg(not(target_os = "linux"))]
            SourceConfig::Camera { .. } => {
                return Err(Error::config("source.kind", "camera is of Linux"));
            }
            SourceConfig::Scene { width, height, frames, fps, live, seed } => {
                let scene = Scene::new(*width, *height, *seed);
                let source = SceneSource::new(scene, frames.unwrap_or(u64::MAX), *fps);
                Box::new(if *live || frames.is_none() { source.live() } else { source })
            }
            SourceConfig::Tone { rate, channels, seconds, seed } => {
                let steps = (seconds * f64::from(*rate)) as u64;
                let tone = Tone::new(*rate, *channels, *seed);
                Box::new(ToneSource::new(tone, *rate, steps, Reading::default().block))
            }
        })
    }
}

impl RawConfig {
    fn raw(&self) -> Raw {
        match *self {
            Self::Video { width, height, pixels } => Raw::Video(pixels, [height, width]),
            Self::Audio { rate, channels, float } => {
                let depth = if float { RawDepth::F32le } else { RawDepth::S16le };
                Raw::Audio { depth, rate, channels }
            }
        }
    }
}

fn open(path: &Path) -> Result<Box<dyn Write + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdout()));
    }
    let file = File::create(path).map_err(|e| Error::io(path, e))?;
    Ok(Box::new(BufWriter::new(file)))
}
