//! The line that a config describes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use super::late::Late;
use super::stream::{RawConfig, Restart, SinkConfig, SourceConfig, StageConfig, StreamConfig};
use crate::bitstream::Limits;
use crate::codec::{Kind, Quality};
use crate::error::{Error, Result};
use crate::pipeline::Ledger;
use crate::pipeline::heads::Heads;
use crate::pipeline::ladder::{Ladder, Rung};
use crate::pipeline::line::{Full, Pipeline, Sink, Source, Stage};
use crate::pipeline::media::{RawDepth, WavDepth};
use crate::pipeline::outbox::Outbox;
use crate::pipeline::sinks::{Container, Events, Frames, JsonLines, Picture, Stored, Which};
use crate::pipeline::sources::gst;
use crate::pipeline::sources::synthetic::{Scene, Tone};
use crate::pipeline::sources::{
    Files, Known, Numbered, Paced, Peer, Raw, Reading, SceneSource, Socket, ToneSource, Watch,
    find_files,
};
#[cfg(target_os = "linux")]
use crate::pipeline::sources::{alsa, v4l2};
use crate::pipeline::stages::{
    Crop, Cut, Decode, Encode, Every, Infer, Pack, Rated, Resize, Same, Slices, Unpack, governed,
};
use crate::pipeline::store::{Store, StreamWriter};
use crate::pipeline::zenoh::{self, Link};
use crate::runtime::{Tokens, find_bundle};

/// What lines of one process share, and what a run of a line begins with.
#[derive(Clone, Default)]
pub struct Place {
    /// Set to stop the line: sources that wait look at it.
    pub stop: Arc<AtomicBool>,
    /// Where lines store what they are told to.
    pub store: Option<Arc<Store>>,
    /// Where lines put their events, if they are told to.
    pub outbox: Option<Arc<Outbox>>,
    /// Number of the first item, at least.
    pub index: u64,
    /// Files that they read.
    pub known: Known,
    /// Files that sinks of this process wrote: these stay too.
    pub written: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// The accounts of the line.
    pub ledger: Arc<Ledger>,
    /// The models that lines run.
    pub heads: Arc<Heads>,
}

impl Place {
    /// Whether an earlier run of a line wrote to a file; from now on one has.
    fn wrote(&self, path: &Path) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        !written.insert(std::path::absolute(path).unwrap_or_else(|_| path.into()))
    }
}

impl StreamConfig {
    /// Whether items come when they come, and not as they are asked for.
    pub fn is_live(&self) -> bool {
        match &self.source {
            SourceConfig::Scene { live, frames, .. } => *live || frames.is_none(),
            SourceConfig::Socket { .. }
            | SourceConfig::Camera { .. }
            | SourceConfig::Microphone { .. }
            | SourceConfig::Gstreamer { .. } => true,
            SourceConfig::Files { .. }
            | SourceConfig::Watch { .. }
            | SourceConfig::Stdin { .. }
            | SourceConfig::Replay { .. }
            | SourceConfig::Zenoh { .. }
            | SourceConfig::Tone { .. } => false,
        }
    }

    /// Whether its source gives packets, which are not coded again.
    pub(super) fn gives_packets(&self) -> bool {
        matches!(self.source, SourceConfig::Replay { .. } | SourceConfig::Zenoh { .. })
    }

    /// What the queue behind the source does when it is full.
    pub fn full(&self) -> Full {
        // A microphone that has to wait says what it lost and ends the sound there; a queue would drop from its middle.
        let drops = self.is_live() && !matches!(self.source, SourceConfig::Microphone { .. });
        let usual = if drops { Full::DropOldest } else { Full::Wait };
        self.queue.unwrap_or(usual)
    }

    /// What happens when the line ends.
    pub fn restart(&self) -> Restart {
        let usual = match &self.source {
            SourceConfig::Watch { .. }
            | SourceConfig::Socket { .. }
            | SourceConfig::Zenoh { .. } => Restart::OnFailure,
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
        if let Some(schedule) = &self.schedule {
            stages.push(Box::new(schedule.hours()?));
        }
        for stage in &self.stage {
            stages.push(match *stage {
                StageConfig::Resize { width, height } => Box::new(Resize { height, width }),
                StageConfig::Crop { left, top, width, height } => {
                    Box::new(Crop { top, left, height, width })
                }
                StageConfig::Every { n } => Box::new(Every::new(n)?),
            });
        }
        let stored = self.sink.contains(&SinkConfig::Store);
        let store = place.store.as_ref().filter(|_| stored);
        let mut writer = match store {
            Some(store) => Some(store.stream(&self.name)?),
            None => None,
        };
        let wish = writer.as_ref().map(StreamWriter::key_wish).unwrap_or_default();
        if let Some(store) = store.filter(|_| !self.gives_packets()) {
            stages.push(Box::new(Slices::new(store.segment_time(), wish.clone())));
        }
        let first = writer.as_ref().map_or(0, StreamWriter::next_index).max(place.index);
        let mut head = None;
        if let Some(infer) = &self.infer {
            head = Some(place.heads.get(&infer.head, &infer.options()?.0)?);
        }
        let prunes =
            head.as_ref().is_some_and(|h| h.patch().is_some() && *h.tokens() == Tokens::All);
        let governs = self.is_live() && self.budget.ladder && bundle.kind == Kind::Image;
        let ladder = governs.then(|| {
            let first = Rung { tokens: None, coder: self.codec.coder, channels, every: 1 };
            Arc::new(Ladder::new(first, &bundle.groups, prunes))
        });
        let mut end: Option<Box<dyn Stage>> = None;
        if let Some(ladder) = &ladder {
            let ends = governed(ladder, self.budget.cpu);
            stages.insert(0, Box::new(ends.0));
            end = Some(Box::new(ends.1));
        }
        let broken = Arc::new(AtomicBool::new(false));
        let pack = Pack::new(bundle.clone()).wish(wish).broken(broken.clone());
        let pack = pack.coder(self.codec.coder);
        let pack = pack.keys(self.codec.keys).ladder(ladder.clone());
        match self.codec.target() {
            _ if self.gives_packets() => {
                stages.push(Box::new(Same::new(bundle.clone())));
                if channels < bundle.channels() {
                    let groups = bundle.groups.iter().filter(|&&end| end <= channels).count();
                    stages.push(Box::new(Cut::new(groups)));
                }
                // Packets that only go on are not looked into.
                let frames = self.sink.iter().any(|s| matches!(s, SinkConfig::Frames { .. }));
                if head.is_some() || frames {
                    stages.push(Box::new(Unpack::new(bundle.clone(), Limits::default())));
                }
            }
            Some(target) => {
                let rated = Rated::new(bundle.clone(), channels, pack, target)?;
                let rated = rated.device(self.codec.device)?;
                stages.push(Box::new(if self.is_live() { rated.quick() } else { rated }));
            }
            None => {
                let quality = self.codec.quality.map_or(Ok(Quality::DEFAULT), Quality::new)?;
                let encode = Encode::new(bundle.clone(), channels, quality)?;
                let encode = encode.device(self.codec.device)?;
                stages.push(Box::new(encode.ladder(ladder.clone())));
                stages.push(Box::new(pack));
            }
        }
        if let Some(head) = &head {
            let infer = Infer::new(bundle.clone(), head.clone())?;
            stages.push(Box::new(infer.ladder(ladder.clone())));
        }
        if self.sink.iter().any(|s| matches!(s, SinkConfig::Frames { .. })) {
            stages.push(Box::new(Decode::new(bundle, channels)));
        }
        stages.extend(end);
        // Before the sinks: a line whose source cannot be opened leaves no file.
        let mut source = self.source(place)?;
        if stored || first > 0 {
            source = Box::new(Numbered::new(source, first));
        }
        // What a service said before it was started again stays.
        let goes_on = self.restart() == Restart::OnFailure;
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        for sink in &self.sink {
            sinks.push(match (sink, &head) {
                (SinkConfig::Container { path }, _) if place.wrote(path) => {
                    Box::new(Container::new(Late::new(path.clone()), path.clone()))
                }
                (SinkConfig::Container { path }, _) => {
                    Box::new(Container::new(open(path, false)?, path.clone()))
                }
                (SinkConfig::Store, _) => match writer.take() {
                    Some(writer) => Box::new(Stored::new(writer)),
                    None => {
                        let reason = "store is named twice, or there is none";
                        return Err(Error::config("sink", reason));
                    }
                },
                (SinkConfig::Frames { folder }, _) => {
                    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
                    Box::new(Frames::folder(folder, "frame", Picture::Png, WavDepth::I16))
                }
                (SinkConfig::Json { path }, Some(head)) => Box::new(JsonLines::new(
                    open(path, goes_on || place.wrote(path))?,
                    head.card().clone(),
                )),
                (SinkConfig::Json { .. }, None) => {
                    return Err(Error::config("sink", "json needs a head"));
                }
                (SinkConfig::Mqtt { min_score, on_change }, head) => {
                    let (Some(outbox), Some(head)) = (&place.outbox, head) else {
                        return Err(Error::config("sink", "mqtt needs a head and [mqtt]"));
                    };
                    let which = Which { min_score: *min_score, on_change: *on_change };
                    Box::new(Events::new(outbox.clone(), &self.name, head.card().clone(), which))
                }
                (SinkConfig::Zenoh { key, congestion, wait, listen, connect }, _) => {
                    let wait = wait.map(|w| w.0).unwrap_or_default();
                    zenoh::sink(Link::new(key, listen, connect), *congestion, wait)?
                }
            });
        }
        let line = Pipeline::new(source, stages, sinks, self.batch)?;
        Ok(line.with_ladder(ladder).with_broken(broken))
    }

    /// Refuses a sink that writes over one of these recordings.
    fn spare(&self, recordings: &[PathBuf]) -> Result<()> {
        let there: BTreeSet<PathBuf> =
            recordings.iter().filter_map(|p| p.canonicalize().ok()).collect();
        for sink in &self.sink {
            let (SinkConfig::Container { path } | SinkConfig::Json { path }) = sink else {
                continue;
            };
            if path.canonicalize().is_ok_and(|p| there.contains(&p)) {
                let reason = format!("{} is replayed: it would be written over", path.display());
                return Err(Error::config("sink.path", reason));
            }
        }
        Ok(())
    }

    fn source(&self, place: &Place) -> Result<Box<dyn Source>> {
        Ok(match &self.source {
            SourceConfig::Files { paths, resample } => {
                let how = Reading { rate: *resample, ..Reading::default() };
                let paths = find_files(paths)?.into_iter().map(|f| f.path).collect();
                Box::new(Files::new(paths, how))
            }
            SourceConfig::Replay { paths, speed } => {
                let paths: Vec<PathBuf> = find_files(paths)?.into_iter().map(|f| f.path).collect();
                self.spare(&paths)?;
                Box::new(Paced::new(Files::packets(paths), *speed, place.stop.clone()))
            }
            SourceConfig::Stdin { raw } => {
                let raw = raw.as_ref().map(RawConfig::raw);
                Box::new(Files::new(vec!["-".into()], Reading { raw, ..Reading::default() }))
            }
            SourceConfig::Watch { folder, settle, existing, resample } => {
                let how = Reading { rate: *resample, ..Reading::default() };
                let (stop, known) = (place.stop.clone(), place.known.clone());
                let ledger = place.ledger.clone();
                Box::new(Watch::new(folder, settle.0, *existing, how, stop, known, ledger))
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
                let wish = v4l2::Wish { width, height, fps, pixels };
                let identity = v4l2::find::Identity::parse(device)?;
                let (video, stop) = (Box::new(v4l2::Device::new()), place.stop.clone());
                Box::new(v4l2::CameraSource::new(&self.name, identity, wish, video, stop))
            }
            #[cfg(target_os = "linux")]
            SourceConfig::Microphone { device, rate, channels, format } => {
                let wish = alsa::Wish { rate: *rate, channels: *channels, depth: *format };
                let identity = alsa::find::Identity::parse(device)?;
                let (listen, stop) = (Box::new(alsa::Device::new()), place.stop.clone());
                Box::new(alsa::MicrophoneSource::new(&self.name, identity, wish, listen, stop))
            }
            #[cfg(not(target_os = "linux"))]
            SourceConfig::Camera { .. } | SourceConfig::Microphone { .. } => {
                return Err(Error::config("source.kind", "cameras and microphones are of Linux"));
            }
            SourceConfig::Gstreamer { pipeline, media, format, rate, channels, silence } => {
                let (media, pixels, rate, channels) = (*media, *format, *rate, *channels);
                let wish = gst::Wish { media, pixels, rate, channels };
                let silence = silence.map(|s| s.0);
                gst::open(&self.name, pipeline, wish, silence, place.stop.clone())?
            }
            SourceConfig::Zenoh { key, groups, listen, connect } => {
                let link = Link::new(key, listen, connect);
                zenoh::source(&self.name, &link, *groups, place.stop.clone())?
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

/// Opens what a sink writes; with `on` behind what is there.
pub(super) fn open(path: &Path, on: bool) -> Result<Box<dyn Write + Send>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdout()));
    }
    let mut options = File::options();
    options.create(true).write(true).append(on).truncate(!on);
    let file = options.open(path).map_err(|e| Error::io(path, e))?;
    Ok(Box::new(BufWriter::new(file)))
}

/// A name beside one that an earlier run wrote: `x-2.tamis`, `x-3.tamis`.
pub(super) fn unused(path: &Path) -> PathBuf {
    if path.as_os_str() == "-" || !path.is_file() {
        return path.into();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let name = |n: u64| path.with_file_name(format!("{stem}-{n}.{ending}"));
    (2..).map(name).find(|p| !p.exists()).unwrap_or_else(|| path.into())
}
