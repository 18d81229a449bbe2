//! tamis for GStreamer: `tamisenc`, `tamisparse`, `tamisdec`, `tamisinfer`.
//!
//! Between the elements every buffer holds records of the bitstream as they stand in a recording: a
//! packet, and the headers before it; at the end a buffer with the index. So `tamisenc ! filesink`
//! writes a recording, and whatever reads recordings reads what arrives in pieces.

mod caps;
mod decoder;
mod encoder;
#[cfg(feature = "onnx")]
mod infer;
mod losses;
mod packets;
mod parser;
mod picture;

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;

static CATEGORY: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("tamis", gst::DebugColorFlags::empty(), Some("tamis elements"))
});

/// Author, as `gst-inspect-1.0` shows it.
const AUTHOR: &str = "The authors of tamis";

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    let rank = gst::Rank::PRIMARY;
    gst::Element::register(Some(plugin), "tamisenc", rank, encoder::TamisEnc::static_type())?;
    gst::Element::register(Some(plugin), "tamisparse", rank, parser::TamisParse::static_type())?;
    gst::Element::register(Some(plugin), "tamisdec", rank, decoder::TamisDec::static_type())?;
    #[cfg(feature = "onnx")]
    gst::Element::register(
        Some(plugin),
        "tamisinfer",
        gst::Rank::NONE,
        infer::TamisInfer::static_type(),
    )?;
    caps::register_typefind(plugin)
}

/// The symbols that GStreamer looks for.
// What the macro makes is not documented.
#[allow(missing_docs)]
mod plugin {
    use super::plugin_init;

    gst::plugin_define!(
        tamis,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        env!("CARGO_PKG_VERSION"),
        // GStreamer knows no word for "MIT OR Apache-2.0", and warns of words it does not know.
        "MIT/X11",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "https://crates.io/crates/tamis",
        "2026-11-28"
    );
}

/// The value, also where a thread panicked with it: GStreamer has made an error of that already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
