//! What a chain is to give.

use serde::Deserialize;

use super::super::Pixels;
use crate::error::{Error, Result};
use crate::pipeline::media::check_sound_shape;

/// Pictures or sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// Pictures.
    #[default]
    Picture,
    /// Sound.
    Sound,
}

/// What a chain is to give; what is left open is as its elements give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// Pictures or sound.
    pub media: Media,
    /// How pixels come: `Rgb24`, which is taken if nothing is said, `Nv12` or `Grey`.
    pub pixels: Option<Pixels>,
    /// Sample rate of sound.
    pub rate: Option<u32>,
    /// Channels of sound.
    pub channels: Option<usize>,
}

impl Wish {
    /// Whether its parts fit together.
    ///
    /// # Errors
    /// `Config` if they do not.
    pub fn check(&self) -> Result<()> {
        let no = |key: &str, why: &str| Err(Error::config(format!("source.{key}"), why));
        match (self.media, self.pixels) {
            (Media::Sound, Some(_)) => return no("format", "is of pictures, not of sound"),
            (_, Some(Pixels::Yuyv | Pixels::Mjpeg)) => {
                return no("format", "rgb24, nv12 or grey is needed: GStreamer converts to them");
            }
            (Media::Picture, _) if self.rate.is_some() => {
                return no("rate", "is of sound; add media = \"sound\"");
            }
            (Media::Picture, _) if self.channels.is_some() => {
                return no("channels", "is of sound; add media = \"sound\"");
            }
            _ => {}
        }
        check_sound_shape("source", self.rate.unwrap_or(1), self.channels.unwrap_or(1))
            .map_err(|e| Error::config("source", e))
    }

    /// The caps that what is appended to a chain gives.
    pub fn caps(&self) -> String {
        match (self.media, self.pixels) {
            // They are read as BT.601.
            (Media::Picture, Some(Pixels::Nv12)) => {
                "video/x-raw,format=NV12,colorimetry=bt601".into()
            }
            (Media::Picture, Some(Pixels::Grey)) => "video/x-raw,format=GRAY8".into(),
            // One format and not a choice of two: the converter then gets matrix and range right.
            (Media::Picture, _) => "video/x-raw,format=RGB".into(),
            (Media::Sound, _) => {
                let mut caps = "audio/x-raw,format={S16LE,F32LE},layout=interleaved".to_owned();
                caps.extend(self.rate.map(|rate| format!(",rate={rate}")));
                caps.extend(self.channels.map(|n| format!(",channels={n}")));
                caps
            }
        }
    }
}
