//! One file or stream as items: a picture, the blocks of a sound, the frames of a video, packets.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::time::Duration;

use super::mcap::recording;
use super::packets::Packets;
use crate::bitstream::begins_stream;
use crate::codec::{Frame, Layout, Samples, Stamp};
use crate::error::{Error, Result};
use crate::pipeline::item::Item;
use crate::pipeline::media::{
    self, Axes, Decoded, Format, Limits, RawAudio, RawDepth, RawPixels, RawVideo, WavReader,
    Y4mReader, sniff,
};
use crate::pipeline::warning::Warning;

/// Bytes looked at to tell what a stream is.
const SNIFF: usize = 64;

type Input = Box<dyn Read + Send>;

/// How inputs are read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Largest sizes accepted.
    pub limits: Limits,
    /// Time steps of sound per item.
    pub block: usize,
    /// Sample rate that sounds are brought to; `None` keeps theirs.
    pub rate: Option<u32>,
    /// What bytes without a header are; `None` refuses them.
    pub raw: Option<Raw>,
    /// Pictures a second where the input gives no times; `None` has them all at time 0.
    pub fps: Option<f64>,
    /// Pictures are given as they come, and none says that it is the last: what is to be said of the end comes in
    /// an item without a picture.
    pub live: bool,
    /// Where the bands of NumPy arrays stand.
    pub axes: Axes,
}

impl Default for Reading {
    fn default() -> Self {
        let limits = Limits::default();
        let axes = Axes::default();
        Self { limits, block: 16384, rate: None, raw: None, fps: None, live: false, axes }
    }
}

/// What bytes without a header are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raw {
    /// 8-bit frames of `[height, width]`.
    Video(RawPixels, [usize; 2]),
    /// Interleaved samples.
    Audio {
        /// Their width.
        depth: RawDepth,
        /// Time steps per second.
        rate: u32,
        /// Channels.
        channels: usize,
    },
}

/// A file or stream being read.
pub struct Feed {
    name: String,
    index: u64,
    body: Body,
    /// The item before the one being read: it learns whether it is the last.
    held: Option<Item>,
    /// That item goes next, whatever follows.
    due: bool,
    /// Pictures are not held.
    live: bool,
    /// Something was read.
    begun: bool,
    /// What ended the input early, told after the item held.
    failed: Option<Error>,
    ended: bool,
}

enum Body {
    Picture(Option<Decoded>),
    Sound { blocks: Blocks, rate: u32, channels: usize, steps: usize, at: u64 },
    Y4m(Y4mReader<Input>),
    Raw(RawVideo<Input>),
    Packets(Packets<Input>),
}

enum Blocks {
    Whole(Frame, Vec<Warning>),
    Wav(WavReader<Input>),
    Raw(RawAudio<Input>),
}

impl Feed {
    /// Opens a file, or standard input if `path` is `-`.
    ///
    /// # Errors
    /// `Io` if it cannot be read, `Input` if it is of no known format or damaged, `Limit` if it is
    /// too large.
    pub fn open(path: &Path, how: &Reading) -> Result<Self> {
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            return Self::read(Box::new(std::io::stdin()), "stdin", how);
        }
        let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if size.is_dir() {
            return Err(Error::input(name, "is a folder; name the files in it"));
        }
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        Self::read(Box::new(BufReader::new(file)), &name, how)
    }

    /// Reads bytes of any known format.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(mut input: Input, name: &str, how: &Reading) -> Result<Self> {
        let body = match how.raw {
            Some(Raw::Video(pixels, extent)) => {
                Body::Raw(RawVideo::new(input, pixels, extent, name, &how.limits)?)
            }
            Some(Raw::Audio { depth, rate, channels }) => Body::Sound {
                blocks: Blocks::Raw(RawAudio::new(input, depth, rate, channels, name)?),
                rate,
                channels,
                steps: how.block,
                at: 0,
            },
            None => {
                let mut head = Vec::new();
                input = recording(input).map_err(|e| Error::io(name, e))?;
                let first = input.by_ref().take(SNIFF as u64).read_to_end(&mut head);
                first.map_err(|e| match e.kind() {
                    std::io::ErrorKind::InvalidData => Error::input(name, e),
                    _ => Error::io(name, e),
                })?;
                body(head, input, name, how)?
            }
        };
        let name = name.to_owned();
        let (held, failed) = (None, None);
        let (due, live, begun, ended) = (false, how.live, false, false);
        Ok(Self { name, index: 0, body, held, due, live, begun, failed, ended })
    }

    /// The file or stream.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it gives packets instead of frames.
    pub fn is_packets(&self) -> bool {
        matches!(self.body, Body::Packets(_))
    }

    /// Whether it says itself when its pictures were.
    pub fn has_times(&self) -> bool {
        matches!(self.body, Body::Y4m(_) | Body::Packets(_))
    }

    /// Stops reading: the item held back is the last.
    pub fn close(&mut self) -> Option<Item> {
        self.ended = true;
        self.failed = None;
        self.held.take().map(ended)
    }

    /// The next item; `None` at the end.
    ///
    /// # Errors
    /// `Io`, `Input` or `Limit`: the rest of the input cannot be read, or it holds no frame.
    pub fn next_item(&mut self) -> Result<Option<Item>> {
        if std::mem::take(&mut self.due) {
            return Ok(self.held.take());
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.ended {
            return Ok(None);
        }
        // Sounds must say which item is their last, so one is always held back.
        loop {
            let next = self.body.next(&self.name);
            let next = match next {
                Ok(next) => next,
                Err(e) => {
                    self.ended = true;
                    return match self.held.take() {
                        // What was read so far is whole; the error comes behind it.
                        Some(held) => {
                            self.failed = Some(e);
                            Ok(Some(ended(held)))
                        }
                        None => Err(e),
                    };
                }
            };
            let Some(mut item) = next else {
                self.ended = true;
                return self.end();
            };
            self.begun = true;
            if !self.is_packets() {
                item.stamp.index = self.index;
                self.index += 1;
            }
            let waits = !self.live || item.gone.is_some() || is_sound(&item);
            if self.held.is_none() && !waits {
                return Ok(Some(item));
            }
            if let Some(held) = self.held.replace(item) {
                self.due = !waits;
                return Ok(Some(held));
            }
        }
    }

    /// The last item, with what is to be said of the end.
    fn end(&mut self) -> Result<Option<Item>> {
        let warnings = self.body.warnings();
        match self.held.take().map(ended) {
            Some(mut last) => {
                last.warnings.extend(warnings);
                Ok(Some(last))
            }
            None if !self.begun && !self.is_packets() => {
                let why: Vec<&str> = warnings.iter().map(|w| &**w).collect();
                let why = if why.is_empty() { "holds no frame".into() } else { why.join("; ") };
                Err(Error::input(&self.name, why))
            }
            None if warnings.is_empty() => Ok(None),
            None => {
                let name = self.name.clone();
                Ok(Some(Item { name, end: true, warnings, ..Item::default() }))
            }
        }
    }
}

fn is_sound(item: &Item) -> bool {
    item.frame.as_ref().is_some_and(Frame::is_audio)
        || item.header.as_ref().is_some_and(|h| h.rate() > 0)
}

/// Marks the last item of an input. A sound packet says so itself: its recording may be cut.
fn ended(mut item: Item) -> Item {
    item.end |= item.header.as_ref().is_none_or(|h| h.rate() == 0);
    item
}

/// What a stream with this head is.
fn body(head: Vec<u8>, input: Input, name: &str, how: &Reading) -> Result<Body> {
    let limits = &how.limits;
    if begins_stream(&head) {
        let input: Input = Box::new(Cursor::new(head).chain(input));
        return Ok(Body::Packets(Packets::new(input, name)));
    }
    if head.starts_with(b"YUV4MPEG2") {
        // Read byte by byte up to the first frame, so it must be buffered.
        let input: Input = Box::new(BufReader::new(Cursor::new(head).chain(input)));
        return Ok(Body::Y4m(Y4mReader::new(input, name, limits)?));
    }
    // Refused before it is read: it may be endless.
    let format = Some(sniff(&head).ok_or_else(|| media::refusal(&head, name))?);
    let steps = how.block;
    if format == Some(Format::Wav) && how.rate.is_none() {
        let input: Input = Box::new(Cursor::new(head).chain(input));
        let wav = WavReader::new(input, name, limits)?;
        let (rate, channels) = (wav.header().rate, wav.header().channels);
        return Ok(Body::Sound { blocks: Blocks::Wav(wav), rate, channels, steps, at: 0 });
    }
    let mut bytes = head;
    let rest = limits.bytes.saturating_add(1).saturating_sub(bytes.len() as u64);
    input.take(rest).read_to_end(&mut bytes).map_err(|e| Error::io(name, e))?;
    limits.check_bytes(name, bytes.len() as u64)?;
    let decoded = media::read_bytes_with(&bytes, name, limits, how.axes)?;
    drop(bytes);
    let Layout::Audio { rate } = decoded.frame.layout else {
        return Ok(Body::Picture(Some(decoded)));
    };
    let (mut frame, warnings) = (decoded.frame, decoded.warnings);
    if let Some(to) = how.rate
        && to != rate
    {
        frame = media::resample(&frame, to)?;
    }
    let (rate, channels) = (how.rate.unwrap_or(rate), frame.channels);
    let blocks = Blocks::Whole(frame, warnings);
    Ok(Body::Sound { blocks, rate, channels, steps, at: 0 })
}

impl Body {
    fn next(&mut self, name: &str) -> Result<Option<Item>> {
        let video = |frame: Option<Frame>, captured: Duration| {
            let stamp = Stamp { captured, ..Stamp::default() };
            frame.map(|f| Item::new(stamp, name, f))
        };
        match self {
            Self::Picture(decoded) => Ok(decoded.take().map(|d| {
                let mut item = Item::new(Stamp::default(), name, d.frame);
                item.warnings = d.warnings;
                item
            })),
            Self::Sound { blocks, rate, channels, steps, at } => {
                let (rate, channels) = (*rate, *channels);
                let samples = match blocks.next(*steps, *at as usize)? {
                    Some(samples) => samples,
                    // A sound of no samples is still a sound.
                    None if *at == 0 => Samples::F32(Vec::new()),
                    None => return Ok(None),
                };
                let captured = Duration::from_secs_f64(*at as f64 / f64::from(rate));
                let len = samples.len() / channels;
                *at += (len as u64).max(1);
                let frame = Frame::new(Layout::Audio { rate }, channels, vec![len], samples)?;
                Ok(video(Some(frame), captured))
            }
            Self::Y4m(reader) => {
                let frame = reader.next_frame()?;
                let (captured, lasts) = (reader.time_of_last(), reader.interval());
                Ok(video(frame, captured).map(|item| Item { lasts, ..item }))
            }
            Self::Raw(reader) => Ok(video(reader.next_frame()?, Duration::ZERO)),
            Self::Packets(packets) => packets.next_item(),
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        let one = |w: Option<&str>| w.map(Warning::missing).into_iter().collect();
        match self {
            Self::Picture(_) => Vec::new(),
            Self::Sound { blocks: Blocks::Whole(_, warnings), .. } => warnings.clone(),
            Self::Sound { blocks: Blocks::Wav(wav), .. } => wav.warnings(),
            Self::Sound { blocks: Blocks::Raw(raw), .. } => raw.warnings(),
            Self::Y4m(reader) => one(reader.lost()),
            Self::Raw(reader) => one(reader.lost()),
            Self::Packets(packets) => one(packets.incomplete()),
        }
    }
}

impl Blocks {
    /// The next `steps` time steps, from `at` on.
    fn next(&mut self, steps: usize, at: usize) -> Result<Option<Samples>> {
        match self {
            Self::Wav(wav) => wav.next_block(steps),
            Self::Raw(raw) => Ok(raw.next_block(steps)?.map(|f| f.samples)),
            Self::Whole(frame, _) => {
                let n = frame.channels;
                let (from, to) = (at.min(frame.extent[0]), (at + steps).min(frame.extent[0]));
                if from == to {
                    return Ok(None);
                }
                Ok(Some(match &frame.samples {
                    Samples::U8(v) | Samples::Nv12(v) | Samples::Yuyv(v) => {
                        Samples::U8(v[from * n..to * n].to_vec())
                    }
                    Samples::U16(v) => Samples::U16(v[from * n..to * n].to_vec()),
                    Samples::I16(v) => Samples::I16(v[from * n..to * n].to_vec()),
                    Samples::F32(v) => Samples::F32(v[from * n..to * n].to_vec()),
                }))
            }
        }
    }
}
