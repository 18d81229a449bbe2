//! YUV4MPEG2: the stream every video tool can write to a pipe.

use std::io::Read;
use std::time::Duration;

use super::{FPS, Limits, fill};
use crate::codec::yuv::rgb;
use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};

/// Longest header line accepted.
const LINE_BYTES: usize = 1024;

/// How the colour planes are subsampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chroma {
    /// Half the width and half the height, whatever the siting.
    C420,
    /// Half the width.
    C422,
    /// Full size.
    C444,
    /// No colour.
    Mono,
}

impl Chroma {
    /// Height and width of one colour plane, sides rounded up.
    fn plane(self, height: usize, width: usize) -> (usize, usize) {
        match self {
            Self::C420 => (height.div_ceil(2), width.div_ceil(2)),
            Self::C422 => (height, width.div_ceil(2)),
            Self::C444 => (height, width),
            Self::Mono => (0, 0),
        }
    }
}

/// What the stream's first line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Y4mHeader {
    /// Rows of a frame.
    pub height: usize,
    /// Columns of a frame.
    pub width: usize,
    /// Frames per second as a fraction.
    pub rate: (u32, u32),
    /// Subsampling.
    pub chroma: Chroma,
    /// Whether brightness spans 0..=255, not 16..=235.
    pub full_range: bool,
}

impl Y4mHeader {
    /// Parses the first line, without its line feed.
    fn parse(line: &str, name: &str, limits: &Limits) -> Result<Self> {
        let wrong = |field: &str, fix: &str| {
            Err(Error::input(name, format!("YUV4MPEG2 header has {field}; {fix}")))
        };
        let mut fields = line.split(' ').filter(|f| !f.is_empty());
        if fields.next() != Some("YUV4MPEG2") {
            return Err(Error::input(
                name,
                "is not a YUV4MPEG2 stream; write one (for example with -f yuv4mpegpipe)",
            ));
        }
        let (mut height, mut width) = (0_u32, 0_u32);
        let (mut rate, mut chroma, mut full_range) = ((25, 1), Chroma::C420, false);
        for field in fields {
            let mut letters = field.chars();
            let letter = letters.next();
            let value = letters.as_str();
            match letter {
                Some('W') => width = value.parse().unwrap_or(0),
                Some('H') => height = value.parse().unwrap_or(0),
                Some('F') => match fraction(value) {
                    // 0:0 means unknown; time must pass all the same.
                    Some((0, 0)) => {}
                    Some((n, d)) if FPS.contains(&(f64::from(n) / f64::from(d))) => rate = (n, d),
                    _ => {
                        let fix = "needed two numbers N:D, 0.001 to 1000000 frames per second";
                        return wrong(&format!("frame rate {value:?}"), fix);
                    }
                },
                Some('C') => {
                    chroma = match value {
                        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Chroma::C420,
                        "422" => Chroma::C422,
                        "444" => Chroma::C444,
                        "mono" => Chroma::Mono,
                        _ => {
                            let fix = "8-bit 420, 422, 444 and mono are read (-pix_fmt yuv420p)";
                            return wrong(&format!("colour space C{value}"), fix);
                        }
                    };
                }
                Some('X') if value == "COLORRANGE=FULL" => full_range = true,
                Some('I') if matches!(value, "t" | "b" | "m") => {
                    return wrong(&format!("interlacing I{value}"), "deinterlace it first");
                }
                // Pixel shape, unknown fields and comments do not change the samples.
                _ => {}
            }
        }
        limits.check_picture(name, height.into(), width.into())?;
        Ok(Self { height: height as usize, width: width as usize, rate, chroma, full_range })
    }

    /// Time of a frame since the start of the stream.
    pub fn time(&self, index: u64) -> Duration {
        let nanos =
            u128::from(index) * 1_000_000_000 * u128::from(self.rate.1) / u128::from(self.rate.0);
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        Duration::new(u64::try_from(seconds).unwrap_or(u64::MAX), rest as u32)
    }

    /// Bytes of one stored frame.
    fn frame_bytes(&self) -> usize {
        let (rows, columns) = self.chroma.plane(self.height, self.width);
        self.height * self.width + 2 * rows * columns
    }
}

/// Two numbers with a colon between them.
fn fraction(text: &str) -> Option<(u32, u32)> {
    let (n, d) = text.split_once(':')?;
    Some((n.parse().ok()?, d.parse().ok()?))
}

/// Reads frames one at a time.
#[derive(Debug)]
pub struct Y4mReader<R> {
    input: R,
    name: String,
    header: Y4mHeader,
    buffer: Vec<u8>,
    index: u64,
    lost: Option<String>,
    ended: bool,
}

impl<R: Read> Y4mReader<R> {
    /// Reads the stream's header.
    ///
    /// # Errors
    /// `Input` if it is no such stream or of a kind not read, `Limit` if frames are too large.
    pub fn new(mut input: R, name: &str, limits: &Limits) -> Result<Self> {
        let line = line(&mut input, name)?.unwrap_or_default();
        let header = Y4mHeader::parse(&line, name, limits)?;
        let name = name.to_owned();
        Ok(Self { input, name, header, buffer: Vec::new(), index: 0, lost: None, ended: false })
    }

    /// The header as read.
    pub fn header(&self) -> &Y4mHeader {
        &self.header
    }

    /// The next frame as `U8`, RGB (BT.601) or gray; `None` at the end.
    ///
    /// # Errors
    /// `Input` if the stream is out of step, `Io` if the input fails.
    pub fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.ended {
            return Ok(None);
        }
        // Whatever comes next, an error included, is the last thing said unless a frame is whole.
        self.ended = true;
        let Some(line) = line(&mut self.input, &self.name)? else { return Ok(None) };
        if line.split(' ').next() != Some("FRAME") {
            let reason =
                format!("frame {} does not start with FRAME; the stream is damaged", self.index);
            return Err(Error::input(&self.name, reason));
        }
        let wanted = self.header.frame_bytes();
        let found = fill(&mut self.input, &mut self.buffer, wanted)
            .map_err(|e| Error::io(&self.name, e))?;
        if found < wanted {
            self.lost = Some(format!(
                "frame {} is cut short ({found} of {wanted} bytes) and left out",
                self.index
            ));
            return Ok(None);
        }
        self.ended = false;
        self.index += 1;
        self.paint().map(Some)
    }

    /// Capture time of the frame read last, since the start of the stream.
    pub fn time_of_last(&self) -> Duration {
        self.header.time(self.index.saturating_sub(1))
    }

    /// Time from one frame to the next.
    pub fn interval(&self) -> Duration {
        self.header.time(1)
    }

    /// What was left out at the end of the stream, if anything.
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// The buffered planes as a frame.
    fn paint(&self) -> Result<Frame> {
        let Y4mHeader { height, width, chroma, full_range, .. } = self.header;
        let (luma, colors) = self.buffer.split_at(height * width);
        if chroma == Chroma::Mono {
            let stretch = |&y: &u8| if full_range { y } else { rgb(y, 128, 128, false)[0] };
            let gray = luma.iter().map(stretch).collect();
            return Frame::new(Layout::Gray, 1, vec![height, width], Samples::U8(gray));
        }
        let (rows, columns) = chroma.plane(height, width);
        let (blue, red) = colors.split_at(rows * columns);
        let (down, across) = (height.div_ceil(rows), width.div_ceil(columns));
        let mut out = Vec::with_capacity(3 * height * width);
        for (y, line) in luma.chunks_exact(width).enumerate() {
            let row = y / down * columns;
            for (x, &value) in line.iter().enumerate() {
                let at = row + x / across;
                out.extend_from_slice(&rgb(value, blue[at], red[at], full_range));
            }
        }
        Frame::rgb(height, width, out)
    }
}

/// The next line without its line feed; `None` at the end of the input.
fn line(input: &mut impl Read, name: &str) -> Result<Option<String>> {
    let mut text = Vec::new();
    let mut byte = [0];
    loop {
        let read = match input.read(&mut byte) {
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::io(name, e)),
        };
        if read == 0 {
            return Ok((!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned()));
        }
        if byte[0] == b'\n' {
            return Ok(Some(String::from_utf8_lossy(&text).into_owned()));
        }
        if text.len() == LINE_BYTES {
            let reason =
                format!("line longer than {LINE_BYTES} bytes; this is no YUV4MPEG2 stream");
            return Err(Error::input(name, reason));
        }
        text.push(byte[0]);
    }
}
