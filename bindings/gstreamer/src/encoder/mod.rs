//! `tamisenc`: pictures to packets.

mod imp;
mod stream;

use gst::glib;
use tamis::bitstream::Coder;

glib::wrapper! {
    /// The element.
    pub struct TamisEnc(ObjectSubclass<imp::TamisEnc>) @extends gst_video::VideoEncoder, gst::Element, gst::Object;
}

/// How packets are coded. Pipelines keep pace with a camera: the quick one unless asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstTamisCoder")]
pub enum CoderName {
    /// A table for each value.
    #[enum_value(name = "A third smaller", nick = "dense")]
    Dense,
    /// A table for each channel.
    #[default]
    #[enum_value(name = "Two to three times as quick", nick = "fast")]
    Fast,
}

impl From<CoderName> for Coder {
    fn from(name: CoderName) -> Self {
        match name {
            CoderName::Dense => Self::Dense,
            CoderName::Fast => Self::Fast,
        }
    }
}
