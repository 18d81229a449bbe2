//! What files hold that a bundle can be fitted to.

use crate::codec::{Kind, Layout};

/// Channels of bands that are kept, if nobody says otherwise.
const CHANNELS: usize = 512;

/// What the frames of a bundle are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// Gray or colours.
    Colours,
    /// Pictures of bands.
    Bands,
    /// Sound.
    Sound,
}

impl Of {
    /// What a frame of this layout is.
    pub fn layout(layout: Layout) -> Self {
        match layout {
            Layout::Audio { .. } => Self::Sound,
            Layout::Bands { .. } => Self::Bands,
            Layout::Gray | Layout::Rgb => Self::Colours,
        }
    }

    /// Picture or sound.
    pub fn kind(self) -> Kind {
        if self == Self::Sound { Kind::Audio } else { Kind::Image }
    }

    /// Channels that are kept of all that the transform gives, if nobody says otherwise.
    pub fn channels(self, all: usize) -> usize {
        match self {
            Self::Colours => all / 4,
            Self::Bands => (all / 4).clamp(1, CHANNELS),
            Self::Sound => all,
        }
    }
}
