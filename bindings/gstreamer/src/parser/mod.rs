//! `tamisparse`: the bytes of a recording to packets.

mod imp;
mod stream;

use gst::glib;

glib::wrapper! {
    /// The element.
    pub struct TamisParse(ObjectSubclass<imp::TamisParse>) @extends gst_base::BaseParse, gst::Element, gst::Object;
}
