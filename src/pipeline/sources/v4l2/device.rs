//! A real camera.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode as Access, OFlags};
use rustix::io::Errno;

use super::super::ioctl::{Plain, call};
use super::super::pixels::Pixels;
use super::abi::{self, Buffer, BufferType, Buffers, Capability, Format, Parameters};
use super::offers;
use super::sys::Mapping;
use super::video::{Colour, Fourcc, Mode, Shape, Shot, Video, Wish};
use crate::error::{Error, Result};

/// Buffers that are asked for: as many pictures may wait.
const BUFFERS: u32 = 4;
/// Most that are taken; a driver may give more than was asked for.
const MOST: u32 = 32;
/// Bytes that a buffer may have for each that a picture needs, and besides.
const SLACK: (usize, usize) = (4, 4 << 20);

/// A device of the kernel that captures video.
#[derive(Debug, Default)]
pub struct Device {
    node: PathBuf,
    // Before the device, so that they are let go first.
    buffers: Vec<Mapping>,
    /// Bytes of a picture, at most.
    bytes: usize,
    fd: Option<OwnedFd>,
    /// What went wrong behind the last picture.
    failed: Option<Error>,
}

impl Device {
    /// A device that is not open.
    pub fn new() -> Self {
        Self::default()
    }

    fn error(&self, doing: &str, why: &io::Error) -> Error {
        let reason = match Errno::from_io_error(why) {
            Some(Errno::BUSY) => "another program uses it; end that one",
            Some(Errno::NODEV | Errno::NXIO) => "it is gone",
            Some(Errno::ACCESS | Errno::PERM) => {
                "not allowed; add this user to the group of the device, often video"
            }
            Some(Errno::NOTTY) => "it is no camera of Video4Linux",
            _ => "",
        };
        let reason = if reason.is_empty() { why.to_string() } else { format!("{reason} ({why})") };
        Error::Device {
            device: self.node.display().to_string(),
            reason: format!("{doing}: {reason}"),
        }
    }

    fn fault(&self, reason: impl Into<String>) -> Error {
        Error::Device { device: self.node.display().to_string(), reason: reason.into() }
    }

    fn fd(&self) -> Result<&OwnedFd> {
        self.fd.as_ref().ok_or_else(|| self.fault("is not open"))
    }

    /// Asks for buffers, maps them, and lets the driver fill them.
    fn lend_all(&mut self, shape: &Shape) -> Result<()> {
        let wanted = shape.bytes();
        let most = wanted.saturating_mul(SLACK.0).saturating_add(SLACK.1);
        let (buffer_type, memory) = (abi::CAPTURE, abi::MMAP);
        let mut asked = Buffers { count: BUFFERS, buffer_type, memory, ..Buffers::default() };
        self.ask::<{ abi::REQBUFS }, _>("asking for buffers", &mut asked)?;
        if asked.count == 0 {
            return Err(self.fault("gives no buffers; end other programs that use it"));
        }
        for index in 0..asked.count.min(MOST) {
            let mut buffer = Buffer { index, buffer_type, memory, ..Buffer::default() };
            self.ask::<{ abi::QUERYBUF }, _>("asking for a buffer", &mut buffer)?;
            let len = buffer.length as usize;
            // A JPEG is as long as it is, a picture of plain pixels is not shorter than its pixels.
            let least = if shape.pixels == Pixels::Mjpeg { 1 } else { wanted };
            if !(least..=most).contains(&len) {
                let [width, height] = shape.size;
                return Err(self.fault(format!(
                    "buffers of {len} bytes for {width}x{height} {}, needed {least} to {most}: the driver is broken; try another source.format",
                    shape.pixels.name()
                )));
            }
            let mapped = Mapping::new(self.fd()?, buffer.offset, len);
            self.buffers.push(mapped.map_err(|e| self.error("mapping a buffer", &e))?);
            self.ask::<{ abi::QBUF }, _>("lending a buffer", &mut buffer)?;
        }
        Ok(())
    }

    fn ask<const REQUEST: rustix::ioctl::Opcode, T: Plain>(
        &self,
        doing: &str,
        value: &mut T,
    ) -> Result<()> {
        call::<REQUEST, T>(self.fd()?, value).map_err(|e| self.error(doing, &e))
    }

    /// Sets how often pictures come, and says how often they do; zero if the driver does not say.
    fn pace(&self, fps: f64) -> Duration {
        let mut set = Parameters { buffer_type: abi::CAPTURE, ..Parameters::default() };
        // A camera that knows no rates plays at the one it has.
        if self.ask::<{ abi::G_PARM }, _>("asking for the rate", &mut set).is_err() {
            return Duration::ZERO;
        }
        if set.capability & abi::CAP_INTERVAL != 0 {
            set = Parameters { buffer_type: abi::CAPTURE, ..Parameters::default() };
            set.interval = offers::interval(fps);
            if self.ask::<{ abi::S_PARM }, _>("setting the rate", &mut set).is_err() {
                return Duration::ZERO;
            }
        }
        let rate = offers::rate(set.interval);
        rate.and_then(|r| Duration::try_from_secs_f64(1.0 / r).ok()).unwrap_or_default()
    }
}

impl Video for Device {
    fn open(&mut self, node: &Path, wish: &Wish) -> Result<Vec<Mode>> {
        self.close();
        self.node = node.into();
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = rustix::fs::open(node, flags, Access::empty());
        self.fd = Some(fd.map_err(|e| self.error("opening it", &e.into()))?);
        let mut cap = Capability::default();
        self.ask::<{ abi::QUERYCAP }, _>("asking what it is", &mut cap)?;
        let able = abilities(&cap);
        if able & abi::CAP_CAPTURE == 0 {
            let reason = match able & abi::CAP_CAPTURE_PLANES {
                0 => "captures no video; name the node that does: tamis doctor lists them",
                _ => {
                    "gives pictures in planes of their own, which is not read; take it by another program and stdin"
                }
            };
            return Err(self.fault(reason));
        }
        if able & abi::CAP_STREAMING == 0 {
            return Err(self.fault("has no buffers to map; its driver is too old"));
        }
        Ok(offers::modes(self.fd()?, wish))
    }

    fn start(&mut self, mode: &Mode, fps: f64) -> Result<Shape> {
        let mut format = Format {
            buffer_type: abi::CAPTURE,
            width: mode.size[0],
            height: mode.size[1],
            fourcc: mode.fourcc.0,
            field: abi::FIELD_NONE,
            // Fields behind it mean something.
            magic: abi::MAGIC,
            ..Format::default()
        };
        self.ask::<{ abi::S_FMT }, _>("setting the format", &mut format)?;
        let found = Fourcc(format.fourcc);
        let Some(pixels) = found.pixels().filter(|_| found == mode.fourcc) else {
            return Err(self.fault(format!(
                "gives {found} where {} was offered; set source.format to another",
                mode.fourcc
            )));
        };
        let shape = Shape {
            pixels,
            size: [format.width, format.height],
            stride: format.stride,
            interval: self.pace(fps),
            colour: colour(&format, pixels),
            interlaced: (abi::FIELD_INTERLACED..=abi::FIELD_LAST).contains(&format.field),
        };
        shape.check(&self.node.display().to_string())?;
        self.bytes = shape.bytes();
        self.lend_all(&shape)?;
        self.ask::<{ abi::STREAMON }, _>("starting it", &mut BufferType(abi::CAPTURE))?;
        Ok(shape)
    }

    fn next(&mut self, patience: Duration) -> Result<Option<Shot>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let wait = Timespec::try_from(patience).ok();
        let mut ready = [PollFd::new(self.fd()?, PollFlags::IN)];
        match poll(&mut ready, wait.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(e) => return Err(self.error("waiting for a picture", &e.into())),
        }
        let there = ready[0].revents().contains(PollFlags::IN);
        let mut buffer = Buffer::default();
        (buffer.buffer_type, buffer.memory) = (abi::CAPTURE, abi::MMAP);
        match call::<{ abi::DQBUF }, _>(self.fd()?, &mut buffer) {
            Ok(()) => {}
            Err(e) if there && e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            // Something else than a picture woke it, and it says no more of that.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                return Err(self.error("waiting for a picture", &Errno::NODEV.into()));
            }
            Err(e) => return Err(self.error("taking a picture", &e)),
        }
        let Some(mapped) = self.buffers.get(buffer.index as usize) else {
            return Err(
                self.fault(format!("gives buffer {}, which it does not have", buffer.index))
            );
        };
        let shot = Shot {
            bytes: mapped.copy((buffer.used as usize).min(self.bytes)),
            time: time(&buffer),
            sequence: buffer.sequence,
            damaged: buffer.flags & abi::FLAG_ERROR != 0,
        };
        // The picture is there, whatever becomes of its buffer.
        self.failed = self.ask::<{ abi::QBUF }, _>("lending a buffer", &mut buffer).err();
        Ok(Some(shot))
    }

    fn close(&mut self) {
        if let Some(fd) = self.fd.as_ref().filter(|_| !self.buffers.is_empty()) {
            // A camera that is gone cannot be stopped.
            let _ = call::<{ abi::STREAMOFF }, _>(fd, &mut BufferType(abi::CAPTURE));
        }
        self.buffers.clear();
        self.fd = None;
        self.failed = None;
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the node can do; of the whole device, if the driver does not tell.
pub(super) fn abilities(cap: &Capability) -> u32 {
    if cap.capabilities & abi::CAP_NODE != 0 { cap.node } else { cap.capabilities }
}

/// When the picture was captured, by the monotonic clock.
fn time(buffer: &Buffer) -> Option<Duration> {
    let micros = u32::try_from(buffer.micros).ok().filter(|&m| m < 1_000_000)?;
    let seconds = u64::try_from(buffer.seconds).ok()?;
    (buffer.flags & abi::FLAG_CLOCK == abi::FLAG_MONOTONIC)
        .then(|| Duration::new(seconds, micros * 1000))
}

/// What the numbers mean, with what is meant where the driver says nothing.
///
/// Source: `V4L2_MAP_YCBCR_ENC_DEFAULT` and `V4L2_MAP_QUANTIZATION_DEFAULT` of the kernel header.
fn colour(format: &Format, pixels: Pixels) -> Colour {
    let plain = matches!(pixels, Pixels::Yuyv | Pixels::Nv12);
    // Drivers that do not know of these fields leave what was there.
    let known = format.magic == abi::MAGIC;
    let encoding = match (format.encoding, format.colorspace) {
        (encoding, _) if known && encoding != 0 => encoding,
        (_, abi::COLORSPACE_REC709 | abi::COLORSPACE_DCI_P3) => abi::ENCODING_709,
        (_, abi::COLORSPACE_BT2020) => abi::ENCODING_BT2020,
        (_, abi::COLORSPACE_SMPTE240M) => abi::ENCODING_SMPTE240M,
        _ => abi::ENCODING_601,
    };
    let matrix = match encoding {
        abi::ENCODING_601 | abi::ENCODING_XV601 => None,
        abi::ENCODING_709 => Some("BT.709"),
        abi::ENCODING_BT2020 => Some("BT.2020"),
        abi::ENCODING_SMPTE240M => Some("SMPTE 240M"),
        _ => Some("of another kind"),
    };
    let full = match format.quantization {
        abi::FULL_RANGE if known => Some(true),
        abi::LIMITED_RANGE if known => Some(false),
        _ => (plain && format.colorspace == abi::COLORSPACE_JPEG).then_some(true),
    };
    Colour { matrix: matrix.filter(|_| plain), full }
}
