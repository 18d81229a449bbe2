//! Recordings as MCAP, the log format of robots.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use mcap::records::MessageHeader;
use mcap::write::NoSeek;
use mcap::{McapError, WriteOptions, Writer};

use super::output::Output;
use crate::bitstream::PacketWriter;
use crate::codec::{Frame, Layout};
use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;
use crate::pipeline::media::{WavDepth, encode_png, put_samples};
use crate::pipeline::records::Records;

/// Encoding of messages whose bytes, one after the other, are a `.tamis` stream.
pub(crate) const ENCODING: &str = "tamis";

/// Name and definition of what pictures become.
const IMAGE: (&str, &str) = (
    "sensor_msgs/msg/CompressedImage",
    "std_msgs/Header header\nstring format\nuint8[] data\n\
     ================================================================================\n\
     MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n\
     ================================================================================\n\
     MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n",
);

/// Name and definition of what sounds become.
const AUDIO: (&str, &str) = (
    "foxglove_msgs/msg/RawAudio",
    "builtin_interfaces/Time timestamp\nuint8[] data\nstring format\nuint32 sample_rate\n\
     uint32 number_of_channels\n\
     ================================================================================\n\
     MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n",
);

/// What messages hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    /// Decoded pictures as PNG and sounds as 16-bit samples, in ROS 2 messages that viewers know.
    Frames,
    /// The packets as they are; `decode`, `info` and `infer` read them from the MCAP file.
    Packets,
}

/// Writes an MCAP file: a topic for each stream, times of capture as log times.
///
/// Source: the MCAP specification; `sensor_msgs/CompressedImage` and `foxglove_msgs/RawAudio`.
pub struct Mcap<W: Write> {
    /// `None` once finished.
    writer: Option<Writer<NoSeek<W>>>,
    path: PathBuf,
    messages: Messages,
    records: Records,
    /// Channel and messages written, by topic.
    topics: BTreeMap<String, (u16, u32)>,
    /// Topic and time of the last message.
    last: Option<(String, u64)>,
    /// Of each sound that has not ended: when it began, and the time steps written.
    sounds: BTreeMap<u32, (u64, u64)>,
    /// The file that this becomes once it is whole.
    output: Option<Output>,
}

impl<W: Write + Send> Mcap<W> {
    /// Writes to `out`, which errors call `path`.
    ///
    /// # Errors
    /// `Io` if the output fails.
    pub fn new(out: W, path: impl Into<PathBuf>, messages: Messages) -> Result<Self> {
        let path = path.into();
        let profile = if messages == Messages::Frames { "ros2" } else { "" };
        let library = concat!("tamis ", env!("CARGO_PKG_VERSION"));
        let options = WriteOptions::new().profile(profile).library(library).disable_seeking(true);
        let writer = options.create(NoSeek::new(out)).map_err(|e| failed(&path, e))?;
        Ok(Self {
            writer: Some(writer),
            path,
            messages,
            records: Records::default(),
            topics: BTreeMap::new(),
            last: None,
            sounds: BTreeMap::new(),
            output: None,
        })
    }

    /// Gives the file its name once it is whole.
    pub fn becoming(mut self, output: Output) -> Self {
        self.output = Some(output);
        self
    }

    /// Writes a message to a topic, which `about` describes when it is new.
    fn put(&mut self, topic: &str, time: u64, data: &[u8], about: About) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let fail = |e| failed(&self.path, e);
        if !self.topics.contains_key(topic) {
            let schema = match about.schema {
                Some((name, text)) => writer.add_schema(name, "ros2msg", text.as_bytes()),
                None => Ok(0),
            };
            let encoding = if about.schema.is_some() { "cdr" } else { ENCODING };
            let channel =
                schema.and_then(|s| writer.add_channel(s, topic, encoding, &about.fields));
            self.topics.insert(topic.into(), (channel.map_err(fail)?, 0));
        }
        let Some((channel_id, sequence)) = self.topics.get_mut(topic) else { return Ok(()) };
        let (log_time, publish_time) = (time, time);
        let header =
            MessageHeader { channel_id: *channel_id, sequence: *sequence, log_time, publish_time };
        *sequence = sequence.wrapping_add(1);
        self.last = Some((topic.into(), time));
        writer.write_to_known_channel(&header, data).map_err(fail)
    }

    fn put_frame(&mut self, item: &Item, frame: &Frame) -> Result<()> {
        let (stream, time) = (item.stamp.stream, nanoseconds(item));
        let mut out = Cdr::new();
        if let Layout::Audio { rate } = frame.layout {
            // A decoder holds samples back and fills gaps: what counts is what came before.
            let (began, steps) = *self.sounds.entry(stream).or_insert((time, 0));
            let passed = u128::from(steps) * 1_000_000_000 / u128::from(rate.max(1));
            let time = began.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
            self.sounds.insert(stream, (began, steps + frame.positions() as u64));
            if item.end {
                self.sounds.remove(&stream);
            }
            let mut samples = Vec::new();
            put_samples(frame, WavDepth::I16, &mut samples)?;
            out.time(time).bytes(&samples).text("pcm-s16").word(rate).word(frame.channels as u32);
            let about = About { schema: Some(AUDIO), ..About::default() };
            return self.put(&format!("/tamis/{stream}/audio"), time, &out.0, about);
        }
        let device = item.header.as_ref().map_or("", |h| &h.device);
        out.time(time).text(device).text("png").bytes(&encode_png(frame)?);
        let about = About { schema: Some(IMAGE), ..About::default() };
        self.put(&format!("/tamis/{stream}/image"), time, &out.0, about)
    }
}

/// What a new topic says of itself.
#[derive(Default)]
struct About {
    /// Name and definition of its messages.
    schema: Option<(&'static str, &'static str)>,
    fields: BTreeMap<String, String>,
}

impl<W: Write + Send> Sink for Mcap<W> {
    fn needs(&self) -> Parts {
        match self.messages {
            Messages::Frames => Parts::FRAME,
            Messages::Packets => Parts::PACKET,
        }
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        if self.messages == Messages::Frames {
            return item.frame.as_ref().map_or(Ok(()), |frame| self.put_frame(item, frame));
        }
        let (Some(packet), Some(header)) = (&item.packet, &item.header) else { return Ok(()) };
        let bytes = self.records.next(header, packet);
        let fields = [
            ("bundle", header.bundle.clone()),
            ("codec", header.codec.to_string()),
            ("device", header.device.clone()),
            ("stream", header.stream.to_string()),
            // For readers that begin in the middle.
            ("header", hex(&PacketWriter::new().repeat(header))),
        ];
        let fields = fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let topic = format!("/tamis/{}/packets", header.stream);
        self.put(&topic, nanoseconds(item), &bytes, About { schema: None, fields })
    }

    fn finish(&mut self) -> Result<()> {
        let footer = self.records.finish();
        if let (false, Some((topic, time))) = (footer.is_empty(), self.last.clone()) {
            self.put(&topic, time, &footer, About::default())?;
        }
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        writer.finish().map(drop).map_err(|e| failed(&self.path, e))?;
        writer.into_inner().into_inner().flush().map_err(|e| Error::io(&self.path, e))?;
        self.output.take().map_or(Ok(()), Output::keep)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

/// Since 1970 where the clock was known, else since the stream began.
fn nanoseconds(item: &Item) -> u64 {
    let utc = item.stamp.utc.and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    u64::try_from(utc.unwrap_or(item.stamp.captured).as_nanos()).unwrap_or(u64::MAX)
}

fn failed(path: &std::path::Path, error: McapError) -> Error {
    Error::io(
        path,
        match error {
            McapError::Io(e) => e,
            other => std::io::Error::other(other),
        },
    )
}

/// Bytes of a ROS 2 message: little endian, each field at a multiple of its size.
///
/// Source: OMG CDR, as plain CDR of DDS has it.
struct Cdr(Vec<u8>);

impl Cdr {
    fn new() -> Self {
        Self(vec![0, 1, 0, 0])
    }

    fn word(&mut self, value: u32) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn time(&mut self, nanoseconds: u64) -> &mut Self {
        let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        // Times in ROS end in 2038.
        self.word(seconds.min(i32::MAX as u64) as u32).word(rest as u32)
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.word(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.word(text.len() as u32 + 1);
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_at_multiples_of_their_size() {
        let mut out = Cdr::new();
        out.time(1_500_000_002).text("ab").word(7);
        let expected = [
            &[0, 1, 0, 0][..],
            &1u32.to_le_bytes(),
            &500_000_002u32.to_le_bytes(),
            &3u32.to_le_bytes(),
            b"ab\0\0",
            &7u32.to_le_bytes(),
        ];
        assert_eq!(out.0, expected.concat());
    }
}
