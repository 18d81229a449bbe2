//! What a camera is to the source that plays it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::super::pixels::Pixels;
use crate::error::Result;

/// A camera, or what stands for one.
pub trait Video: Send {
    /// Opens what is at `node`, and says what it offers near what is wished.
    ///
    /// # Errors
    /// `Io` if it cannot be opened, `Device` if it is no camera.
    fn open(&mut self, node: &Path, wish: &Wish) -> Result<Vec<Mode>>;

    /// Starts it in one of its modes, as near to `fps` as it can, and says what it does now.
    ///
    /// # Errors
    /// `Io` or `Device` if it refuses.
    fn start(&mut self, mode: &Mode, fps: f64) -> Result<Shape>;

    /// The next picture; `None` if none came within `patience`.
    ///
    /// # Errors
    /// `Io` or `Device` if the camera is gone.
    fn next(&mut self, patience: Duration) -> Result<Option<Shot>>;

    /// Stops it and lets it go.
    fn close(&mut self);
}

/// What is asked of a camera.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second.
    pub fps: f64,
    /// The format; chosen if nothing is said.
    pub pixels: Option<Pixels>,
}

/// A format by the four letters it has in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fourcc(pub u32);

impl Fourcc {
    /// The format that has these letters.
    pub const fn new(letters: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(letters))
    }

    /// What it is, if it can be read.
    pub fn pixels(self) -> Option<Pixels> {
        Some(match &self.0.to_le_bytes() {
            b"YUYV" => Pixels::Yuyv,
            b"NV12" => Pixels::Nv12,
            b"RGB3" => Pixels::Rgb24,
            b"MJPG" | b"JPEG" => Pixels::Mjpeg,
            b"GREY" => Pixels::Grey,
            _ => return None,
        })
    }
}

impl fmt::Display for Fourcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.to_le_bytes() {
            let plain = letter.is_ascii_graphic() || letter == b' ';
            write!(f, "{}", if plain { char::from(letter) } else { '?' })?;
        }
        Ok(())
    }
}

/// A format at a size.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// The format.
    pub fourcc: Fourcc,
    /// Columns and rows.
    pub size: [u32; 2],
    /// How often pictures can come; empty if the camera does not say.
    ///
    /// Units: pictures a second.
    pub rates: Vec<f64>,
}

/// How pictures come from a camera that plays.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// The format.
    pub pixels: Pixels,
    /// Columns and rows.
    pub size: [u32; 2],
    /// Bytes from row to row; 0 if rows follow each other.
    pub stride: u32,
    /// Time from picture to picture; zero if it is not known.
    pub interval: Duration,
    /// What its numbers mean.
    pub colour: Colour,
    /// Every other row is of another moment.
    pub interlaced: bool,
}

/// What the numbers of a picture mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Colour {
    /// How brightness and colour differences are made, if it is not as BT.601 says.
    pub matrix: Option<&'static str>,
    /// Whether all of 0 to 255 is used; `None` if the driver does not say and the format does not tell.
    pub full: Option<bool>,
}

/// One picture as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shot {
    /// What the driver wrote.
    pub bytes: Vec<u8>,
    /// When it was captured by the monotonic clock, if the driver's clock is that.
    pub time: Option<Duration>,
    /// The driver's count of pictures, those left out included.
    pub sequence: u32,
    /// The driver says that something is wrong with it.
    pub damaged: bool,
}
