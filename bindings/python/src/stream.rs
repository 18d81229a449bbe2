//! What reads a recording: bytes in, latents and losses out, without the interpreter.

use std::collections::BTreeMap;
use std::sync::Arc;

use tamis::bitstream::{Before, Event, Indexes, Limits, Packet, PacketReader, StreamHeader};
use tamis::codec::{Kind, Latent, Layout, Stamp};
use tamis::{Error, Result};

use crate::bundle::{Ready, bundle_of};

/// Streams whose last latents are kept, and bytes of all of them: what a few bytes may ask for.
const STREAMS: usize = 64;
const BYTES: usize = 1 << 29;

/// How much of each packet is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prefix {
    pub channels: Option<usize>,
    pub groups: Option<usize>,
}

/// A latent that was read.
pub struct Read {
    pub latent: Arc<Latent>,
    pub ready: Arc<Ready>,
    pub layout: Layout,
    pub stamp: Stamp,
    pub lost_groups: usize,
}

/// What comes next.
pub enum Step {
    Latent(Read),
    /// Something is lost, in words.
    Loss(String),
    /// It needs more bytes.
    More,
    /// There is no more.
    End,
}

struct Stream {
    header: StreamHeader,
    ready: Arc<Ready>,
    seen: Indexes,
    /// The last picture, which the next may continue.
    last: Option<(u64, Arc<Latent>)>,
}

/// A recording on its way from bytes to latents.
pub struct Recording {
    reader: PacketReader,
    limits: Limits,
    prefix: Prefix,
    bundle: Option<Arc<Ready>>,
    streams: BTreeMap<u32, Stream>,
    headers: BTreeMap<u32, StreamHeader>,
    /// A loss that is told before the latent that it belongs to.
    waiting: Option<Read>,
    ended: bool,
    /// What the end is told with, last first.
    farewell: Option<Vec<String>>,
}

impl Recording {
    pub fn new(prefix: Prefix, bundle: Option<Arc<Ready>>) -> Self {
        let limits = Limits::default();
        Self {
            reader: PacketReader::new(limits.clone()),
            limits,
            prefix,
            bundle,
            streams: BTreeMap::new(),
            headers: BTreeMap::new(),
            waiting: None,
            ended: false,
            farewell: None,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
    }

    pub fn finish(&mut self) {
        self.reader.finish();
        self.ended = true;
    }

    pub fn complete(&self) -> bool {
        self.reader.is_complete()
    }

    /// Headers so far, by the number of their stream.
    pub fn headers(&self) -> &BTreeMap<u32, StreamHeader> {
        &self.headers
    }

    /// # Errors
    /// `Bitstream` if this is no recording, `Bundle` if nobody has the codec of a stream.
    pub fn step(&mut self) -> Result<Step> {
        if let Some(read) = self.waiting.take() {
            return Ok(Step::Latent(read));
        }
        loop {
            match self.reader.next_event()? {
                Some(Event::Header(header)) => {
                    self.headers.insert(header.stream, header);
                }
                Some(Event::Packet(packet)) => return self.packet(packet),
                Some(Event::Damage { offset, bytes, reason, .. }) => {
                    let words = format!("{bytes} bytes skipped from byte {offset}: {reason}");
                    return Ok(Step::Loss(words));
                }
                Some(Event::Footer(_)) => {}
                None if !self.ended => return Ok(Step::More),
                None => {
                    let farewell = match &mut self.farewell {
                        Some(farewell) => farewell,
                        None => {
                            let words = self.last_words();
                            self.farewell.insert(words)
                        }
                    };
                    return Ok(farewell.pop().map_or(Step::End, Step::Loss));
                }
            }
        }
    }

    fn last_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if !self.reader.is_complete() {
            words.push("the recording is incomplete: it ends without an index".into());
        }
        for (number, stream) in &self.streams {
            let missing = stream.seen.missing();
            if missing > 0 {
                words.push(format!("stream {number}: {missing} packets missing between others"));
            }
        }
        words
    }

    fn packet(&mut self, mut packet: Packet) -> Result<Step> {
        let number = packet.stamp.stream;
        let which = format!("packet {} of stream {number}", packet.stamp.index);
        let Some(header) = self.headers.get(&number) else {
            return Ok(Step::Loss(format!("{which}: its stream has no header")));
        };
        let known = self.streams.get(&number).is_some_and(|s| s.header == *header);
        if !known {
            let ready = match &self.bundle {
                Some(ready) => ready.clone(),
                None => bundle_of(header)?,
            };
            // The places of a stream go on when its header changes.
            let seen = self.streams.remove(&number).map(|s| s.seen).unwrap_or_default();
            let stream = Stream { header: header.clone(), ready, seen, last: None };
            self.streams.insert(number, stream);
        }
        let Some(stream) = self.streams.get_mut(&number) else {
            return Ok(Step::Loss(format!("{which}: its stream is not known")));
        };
        let ready = stream.ready.clone();
        let bundle = &ready.bundle;
        stream.seen.insert(packet.stamp.index);
        packet.stamp.boot = header.boot;
        packet.stamp.utc = header.utc.and_then(|t| t.checked_add(packet.stamp.captured));
        packet.cut(self.prefix.groups_of(&bundle.groups));
        let before = stream.last.as_ref();
        let before = before.map(|(index, latent)| Before { index: *index, latent });
        let unpacked = ready.packer().unpack(bundle, header, &packet, before, &self.limits);
        let mut unpacked = match unpacked {
            Ok(unpacked) => unpacked,
            // Another codec, or other tables: no packet of this stream can be read.
            Err(e @ Error::Bundle { .. }) => return Err(e),
            Err(e) => return Ok(Step::Loss(format!("{which}: {e}"))),
        };
        let all = packet.header.lengths.len();
        let lost = unpacked.lost_groups;
        let reason = unpacked.reason.take();
        let layout = header.layout;
        let empty = unpacked.latent.channels == 0;
        let latent = match bundle.kind {
            Kind::Image => {
                let whole = Arc::new(unpacked.latent);
                stream.last = Some((packet.stamp.index, whole.clone()));
                self.forget();
                let channels = self.prefix.channels.unwrap_or(usize::MAX);
                if channels < whole.channels {
                    let mut part = Latent::clone(&whole);
                    part.truncate(channels);
                    Arc::new(part)
                } else {
                    whole
                }
            }
            Kind::Audio => {
                unpacked.latent.truncate(self.prefix.channels.unwrap_or(usize::MAX));
                Arc::new(unpacked.latent)
            }
        };
        if empty {
            let why = reason.unwrap_or("it has no groups".into());
            return Ok(Step::Loss(format!("{which}: {why}")));
        }
        let read = Read { latent, ready, layout, stamp: packet.stamp, lost_groups: lost };
        match reason {
            Some(reason) => {
                self.waiting = Some(read);
                Ok(Step::Loss(format!("{which}: {lost} of {all} groups lost: {reason}")))
            }
            None => Ok(Step::Latent(read)),
        }
    }

    /// Lets go of the last pictures of the lowest streams where there are too many.
    fn forget(&mut self) {
        let size = |s: &Stream| s.last.as_ref().map_or(0, |(_, l)| 2 * l.values.len());
        let kept = |s: &&mut Stream| s.last.is_some();
        while self.streams.values().filter(|s| s.last.is_some()).count() > STREAMS
            || self.streams.values().map(size).sum::<usize>() > BYTES
        {
            match self.streams.values_mut().find(kept) {
                Some(stream) => stream.last = None,
                None => return,
            }
        }
    }
}

impl Prefix {
    /// Groups of a bundle that hold the channels asked for.
    fn groups_of(&self, ends: &[usize]) -> usize {
        let of_channels =
            self.channels.map(|n| ends.iter().take_while(|&&end| end < n).count() + 1);
        of_channels.or(self.groups).unwrap_or(usize::MAX)
    }
}
