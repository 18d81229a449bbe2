//! A real microphone.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::super::ioctl::{Plain, call};
use super::abi::{self, Hardware, Info, Nothing, Software, Status};
use super::listen::{Break, Chunk, Heard, Listen, Offer, Shape, Wish};
use super::offers;
use crate::error::{Error, Result};
use crate::pipeline::media::{CHANNELS_LIMIT, RATE_LIMIT};

/// Parts of a second: what comes at once, at least; what is read at once, at most.
const PERIODS: u32 = 25;
const READS: u32 = 5;
/// Seconds that the driver may hold, if it can: nobody needs to be quicker than that.
const HOLDS: u32 = 2;
/// How often a device is asked to wake up, and the pause between.
const WAKES: u32 = 100;
const WAKE: Duration = Duration::from_millis(10);

/// A device of the kernel that captures sound.
#[derive(Debug, Default)]
pub struct Device {
    node: PathBuf,
    fd: Option<OwnedFd>,
    shape: Option<Shape>,
    /// Time steps that the driver holds at most.
    holds: usize,
    /// Whether the driver's times are those of the monotonic clock.
    times: bool,
    /// What is read at once.
    buffer: Vec<u8>,
}

impl Device {
    /// A device that is not open.
    pub fn new() -> Self {
        Self::default()
    }

    fn error(&self, doing: &str, why: &io::Error) -> Error {
        let reason = match Errno::from_io_error(why) {
            Some(Errno::BUSY | Errno::AGAIN) => "another program uses it; end that one",
            Some(Errno::NODEV | Errno::NXIO) => "it is gone",
            Some(Errno::ACCESS | Errno::PERM) => {
                "not allowed; add this user to the group of the device, often audio"
            }
            Some(Errno::NOTTY) => "it is no microphone of ALSA",
            _ => "",
        };
        let reason = if reason.is_empty() { why.to_string() } else { format!("{reason} ({why})") };
        self.fault(format!("{doing}: {reason}"))
    }

    fn fault(&self, reason: impl Into<String>) -> Error {
        Error::Device { device: self.node.display().to_string(), reason: reason.into() }
    }

    fn fd(&self) -> Result<&OwnedFd> {
        self.fd.as_ref().ok_or_else(|| self.fault("is not open"))
    }

    fn ask<const REQUEST: rustix::ioctl::Opcode, T: Plain>(
        &self,
        doing: &str,
        value: &mut T,
    ) -> Result<()> {
        call::<REQUEST, T>(self.fd()?, value).map_err(|e| self.error(doing, &e))
    }

    /// Sets format, channels, rate, and how much the driver holds and gives at once.
    fn set(&mut self, offer: &Offer, rate: u32) -> Result<Shape> {
        let mut some = Hardware::any();
        some.only(abi::FORMAT, abi::format(offer.depth));
        some.fix(abi::CHANNELS, offer.channels);
        some.fix(abi::RATE, rate);
        let refused = "setting format, channels and rate";
        some.refine(self.fd()?).map_err(|e| self.error(refused, &e))?;
        // What it cannot do is left to it.
        let [least, most] = some.ends(abi::PERIOD);
        let mut bounded = some.clone();
        bounded.intervals[abi::PERIOD].min = (rate / PERIODS).clamp(least, most);
        if bounded.refine(self.fd()?).is_ok() {
            some = bounded;
        }
        let [least, most] = some.ends(abi::BUFFER);
        let mut bounded = some.clone();
        bounded.intervals[abi::BUFFER].max = rate.saturating_mul(HOLDS).clamp(least, most);
        if bounded.refine(self.fd()?).is_ok() {
            some = bounded;
        }
        (some.asked, some.changed, some.info) = (u32::MAX, 0, 0);
        self.ask::<{ abi::HW_PARAMS }, _>(refused, &mut some)?;
        let [[found, _], [channels, _]] = [abi::RATE, abi::CHANNELS].map(|i| some.ends(i));
        let [[period, _], [holds, _]] = [abi::PERIOD, abi::BUFFER].map(|i| some.ends(i));
        let sound = (1..=RATE_LIMIT).contains(&found)
            && channels == offer.channels
            && (1..=CHANNELS_LIMIT).contains(&(channels as usize))
            && (1..=holds).contains(&period);
        if !sound {
            return Err(self.fault(format!(
                "gives {channels} channels at {found} Hz, {period} of {holds} time steps at once, where {} at {rate} Hz were set: the driver is broken; try another source.format",
                offer.channels
            )));
        }
        self.holds = holds as usize;
        let period = Duration::from_secs_f64(f64::from(period) / f64::from(found));
        Ok(Shape { depth: offer.depth, channels, rate: found, period })
    }

    /// Says when to wake whoever waits, when to stop, and by which clock times are told.
    fn set_times(&mut self, shape: &Shape) -> Result<()> {
        let period = (shape.period.as_secs_f64() * f64::from(shape.rate)).round() as usize;
        let software = || Software {
            times: abi::TIMES,
            period_step: 1,
            wake_at: period.max(1),
            align: 1,
            // It is started by a call, and stops when it holds no more.
            start_at: self.holds,
            stop_at: self.holds,
            ..Software::default()
        };
        let (protocol, clock) = (abi::PROTOCOL, abi::MONOTONIC);
        let mut with_clock = Software { protocol, clock, ..software() };
        self.times = call::<{ abi::SW_PARAMS }, _>(self.fd()?, &mut with_clock).is_ok();
        if !self.times {
            self.ask::<{ abi::SW_PARAMS }, _>("setting when it wakes", &mut software())?;
        }
        Ok(())
    }

    fn play(&self) -> Result<()> {
        self.ask::<{ abi::PREPARE }, _>("preparing it", &mut Nothing)?;
        self.ask::<{ abi::START }, _>("starting it", &mut Nothing)
    }

    /// Goes on after the sound broke off.
    fn again(&self, why: Break) -> Result<Option<Heard>> {
        self.play()?;
        Ok(Some(Heard::Broken(why)))
    }

    /// Goes on after the device slept: where it was, if it can.
    fn wake(&self) -> Result<Option<Heard>> {
        for _ in 0..WAKES {
            match call::<{ abi::RESUME }, _>(self.fd()?, &mut Nothing) {
                Ok(()) => return Ok(Some(Heard::Broken(Break::Suspended))),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(WAKE),
                Err(_) => break,
            }
        }
        self.again(Break::Suspended)
    }

    /// When the first of the time steps that wait was captured.
    fn time(&self, status: &Status, rate: u32) -> Option<Duration> {
        let nanos = u32::try_from(status.now.nanos).ok().filter(|&n| n < 1_000_000_000)?;
        let seconds = u64::try_from(status.now.seconds).ok()?;
        let now = Duration::new(seconds, nanos);
        let ready = status.ready;
        if !self.times || now.is_zero() || ready > self.holds {
            return None;
        }
        now.checked_sub(Duration::from_secs_f64(ready as f64 / f64::from(rate)))
    }
}

impl Listen for Device {
    fn open(&mut self, node: &Path, wish: &Wish) -> Result<Vec<Offer>> {
        self.close();
        self.node = node.into();
        let fd = open(node).map_err(|e| self.error("opening it", &e))?;
        self.fd = Some(fd);
        let mut info = Info::default();
        self.ask::<{ abi::INFO }, _>("asking what it is", &mut info)?;
        if info.stream != abi::CAPTURE {
            return Err(self.fault(
                "plays sound and captures none; name the one that does: tamis doctor lists them",
            ));
        }
        offers::offers(self.fd()?, wish).map_err(|e| self.error("asking what it can do", &e))
    }

    fn start(&mut self, offer: &Offer, rate: u32) -> Result<Shape> {
        let shape = self.set(offer, rate)?;
        self.set_times(&shape)?;
        let steps = (shape.rate / READS).max(1);
        self.buffer = vec![0; steps as usize * shape.bytes()];
        self.shape = Some(shape);
        self.play()?;
        Ok(shape)
    }

    fn next(&mut self, patience: Duration) -> Result<Option<Heard>> {
        let wait = Timespec::try_from(patience).ok();
        let mut ready = [PollFd::new(self.fd()?, PollFlags::IN)];
        match poll(&mut ready, wait.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(e) => return Err(self.error("waiting for sound", &e.into())),
        }
        let Some(shape) = self.shape else { return Err(self.fault("does not play")) };
        let mut status = Status::default();
        self.ask::<{ abi::STATUS }, _>("asking how it stands", &mut status)?;
        match status.state {
            abi::RUNNING => {}
            abi::XRUN => return self.again(Break::Overrun),
            abi::SUSPENDED => return self.wake(),
            abi::DISCONNECTED => return Err(self.error("taking sound", &Errno::NODEV.into())),
            _ => return self.again(Break::Stopped),
        }
        let time = self.time(&status, shape.rate);
        let (step, most) = (shape.bytes(), self.buffer.len());
        let len = status.ready.saturating_mul(step);
        if len == 0 {
            // Something else woke it.
            std::thread::sleep(WAKE);
            return Ok(None);
        }
        let Some(fd) = &self.fd else { return Err(self.fault("is not open")) };
        // Reading is what READI_FRAMES does, without an address in a structure.
        match rustix::io::read(fd, &mut self.buffer[..len.min(most - most % step)]) {
            Ok(0) => Ok(None),
            Ok(len) => {
                let bytes = self.buffer.get(..len).unwrap_or_default().to_vec();
                Ok(Some(Heard::Sound(Chunk { bytes, time })))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(Errno::PIPE) => self.again(Break::Overrun),
            Err(Errno::STRPIPE) => self.wake(),
            Err(Errno::BADFD) => self.again(Break::Stopped),
            Err(e) => Err(self.error("taking sound", &e.into())),
        }
    }

    fn close(&mut self) {
        if let Some(fd) = self.fd.take().filter(|_| self.shape.take().is_some()) {
            // A microphone that is gone cannot be stopped.
            let _ = call::<{ abi::DROP }, _>(&fd, &mut Nothing);
        }
        self.shape = None;
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.close();
    }
}

/// Opens a node without waiting for whoever uses it.
///
/// # Errors
/// The system's word.
pub(super) fn open(node: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(node, flags, Mode::empty())?)
}
