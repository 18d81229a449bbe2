//! How pixels come from a camera.

use serde::Deserialize;

/// A format that a camera may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pixels {
    /// See [`Samples::Yuyv`](crate::codec::Samples::Yuyv).
    Yuyv,
    /// See [`Samples::Nv12`](crate::codec::Samples::Nv12).
    Nv12,
    /// Red, green, blue bytes.
    Rgb24,
    /// A JPEG for each picture.
    Mjpeg,
    /// Brightness alone, one byte.
    Grey,
}

impl Pixels {
    /// Its name in configs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yuyv => "yuyv",
            Self::Nv12 => "nv12",
            Self::Rgb24 => "rgb24",
            Self::Mjpeg => "mjpeg",
            Self::Grey => "grey",
        }
    }

    /// Channels of its frames.
    pub fn channels(self) -> usize {
        if self == Self::Grey { 1 } else { 3 }
    }
}
