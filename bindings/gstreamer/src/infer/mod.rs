//! `tamisinfer`: packets to predictions, decoding nothing.

mod imp;

use gst::glib;

glib::wrapper! {
    /// The element.
    pub struct TamisInfer(ObjectSubclass<imp::TamisInfer>) @extends gst_base::BaseTransform, gst::Element, gst::Object;
}
