//! `tamisdec`: packets to pictures.

mod imp;
mod stream;

use gst::glib;
use tamis::runtime::DecoderSize;

glib::wrapper! {
    /// The element.
    pub struct TamisDec(ObjectSubclass<imp::TamisDec>) @extends gst_video::VideoDecoder, gst::Element, gst::Object;
}

/// What makes pictures of latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstTamisDecoder")]
pub enum DecoderName {
    /// The linear inverse, which every bundle has.
    #[default]
    #[enum_value(name = "Linear inverse, as quick as a JPEG's", nick = "linear")]
    Linear,
    /// The bundle's neural decoder.
    #[enum_value(name = "Neural, the most faithful", nick = "default")]
    Default,
    /// The bundle's small neural decoder.
    #[enum_value(name = "Neural, small", nick = "edge")]
    Edge,
}

impl DecoderName {
    fn size(self) -> Option<DecoderSize> {
        match self {
            Self::Linear => None,
            Self::Default => Some(DecoderSize::Default),
            Self::Edge => Some(DecoderSize::Edge),
        }
    }
}
