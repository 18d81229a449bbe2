//! The `.tamis` stream inside an MCAP file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, Cursor, Error, ErrorKind, Read, Result};
use std::path::Path;

use mcap::records::Record;
use mcap::sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions};

use crate::bitstream::begins_stream;
use crate::pipeline::sinks::ENCODING;

/// Largest record taken; packets are smaller.
const RECORD: usize = 1 << 28;

/// What an input reads as: itself, or if it is an MCAP file the messages that hold packets.
///
/// # Errors
/// What reading its first bytes gives.
pub fn recording<'a>(mut input: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>> {
    let mut head = Vec::new();
    input.by_ref().take(mcap::MAGIC.len() as u64).read_to_end(&mut head)?;
    let is_mcap = head == mcap::MAGIC;
    let whole = Cursor::new(head).chain(input);
    Ok(if is_mcap { Box::new(Messages::new(whole)) } else { Box::new(whole) })
}

/// Whether a file, or standard input if `path` is `-`, begins like a recording.
pub fn holds_packets(path: &Path) -> bool {
    let begins = |head: &[u8]| begins_stream(head) || head.starts_with(mcap::MAGIC);
    if path.as_os_str() == "-" {
        // Looked at, not taken.
        return std::io::stdin().lock().fill_buf().is_ok_and(begins);
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|f| f.take(16).read_to_end(&mut head));
    read.is_ok() && begins(&head)
}

struct Messages<R> {
    input: R,
    reader: LinearReader,
    /// Channels whose messages hold packets, with the header that they begin with if they are cut.
    channels: BTreeMap<u16, Vec<u8>>,
    /// Streams that they carry.
    streams: BTreeSet<String>,
    /// Bytes of the message being read.
    message: Cursor<Vec<u8>>,
}

impl<R: Read> Messages<R> {
    fn new(input: R) -> Self {
        let options = LinearReaderOptions::default()
            .with_validate_chunk_crcs(true)
            .with_record_length_limit(RECORD);
        let reader = LinearReader::new_with_options(options);
        Self {
            input,
            reader,
            channels: BTreeMap::new(),
            streams: BTreeSet::new(),
            message: Cursor::default(),
        }
    }

    /// Goes on to the next message; none is left if this says no.
    fn advance(&mut self) -> Result<bool> {
        while let Some(event) = self.reader.next_event() {
            match event.map_err(wrong)? {
                LinearReadEvent::ReadRequest(n) => {
                    let n = self.input.read(self.reader.insert(n))?;
                    self.reader.notify_read(n);
                }
                LinearReadEvent::Record { opcode, data } => {
                    match mcap::parse_record(opcode, data).map_err(wrong)? {
                        Record::Channel(c)
                            if c.message_encoding == ENCODING
                                && !self.channels.contains_key(&c.id) =>
                        {
                            let field =
                                |name: &str| c.metadata.get(name).cloned().unwrap_or_default();
                            let stream = field("stream");
                            if !self.streams.insert(stream.clone()) {
                                return Err(invalid(format!(
                                    "it holds two recordings, both with a stream {stream} (one of \
                                     them {}); part them with `mcap filter --include-topic-regex`",
                                    c.topic
                                )));
                            }
                            self.channels.insert(c.id, unhex(&field("header")));
                        }
                        Record::Message { header, data } => {
                            let Some(first) = self.channels.get_mut(&header.channel_id) else {
                                continue;
                            };
                            let mut bytes = std::mem::take(first);
                            if begins_stream(&data) {
                                bytes.clear();
                            }
                            bytes.extend_from_slice(&data);
                            self.message = Cursor::new(bytes);
                            return Ok(true);
                        }
                        _ => {}
                    }
                }
            }
        }
        match self.channels.is_empty() {
            true => Err(invalid(
                "this MCAP file holds no packets of ours; `export --mcap --packets` makes such",
            )),
            false => Ok(false),
        }
    }
}

/// Bytes that stand as hexadecimal digits; none if there is anything else.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    digits.unwrap_or_default().chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect()
}

/// An error that is the file's.
fn invalid(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, reason.into())
}

fn wrong(error: mcap::McapError) -> Error {
    invalid(match error {
        mcap::McapError::UnsupportedCompression(kind) => format!(
            "its chunks are compressed by {kind}; rewrite it with `mcap compress --compression none`"
        ),
        other => format!("damaged or cut MCAP file: {other}; `mcap recover` may mend it"),
    })
}

impl<R: Read> Read for Messages<R> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        loop {
            let n = self.message.read(to)?;
            if n > 0 || to.is_empty() || !self.advance()? {
                return Ok(n);
            }
        }
    }
}
