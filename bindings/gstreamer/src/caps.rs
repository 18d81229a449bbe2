//! Caps of packets: what a stream says of itself, before its first packet.

use gst::glib;
use tamis::bitstream::{Event, Limits, PacketReader, PacketWriter, StreamHeader, begins_stream};
use tamis::codec::Layout;

/// Media type of recordings.
const RECORDING: &str = "application/x-tamis";
/// Media type of packets of pictures: the base classes take nothing that is not called video.
const PICTURES: &str = "video/x-tamis";

/// Bytes of a recording, cut anywhere.
pub fn recording() -> gst::Caps {
    gst::Caps::new_empty_simple(RECORDING)
}

/// A packet in every buffer.
pub fn packets() -> gst::Caps {
    gst::Caps::builder(PICTURES).field("parsed", true).build()
}

/// The pads that an element always has: one that takes this, one that gives that.
pub fn pads(takes: &gst::Caps, gives: &gst::Caps) -> Vec<gst::PadTemplate> {
    let always = gst::PadPresence::Always;
    [("sink", gst::PadDirection::Sink, takes), ("src", gst::PadDirection::Src, gives)]
        .into_iter()
        // Both names are valid.
        .filter_map(|(name, way, caps)| gst::PadTemplate::new(name, way, always, caps).ok())
        .collect()
}

/// The packets of a stream of pictures of this height and width. A rate of 0 is none.
pub fn of(header: &StreamHeader, extent: [usize; 2], fps: gst::Fraction) -> gst::Caps {
    let record = PacketWriter::new().repeat(header);
    let side = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    gst::Caps::builder(PICTURES)
        .field("parsed", true)
        .field("format", if header.layout == Layout::Gray { "GRAY8" } else { "RGB" })
        .field("width", side(extent[1]))
        .field("height", side(extent[0]))
        .field("framerate", fps)
        .field("bundle", &header.bundle)
        .field("codec", header.codec.to_string())
        .field("codec_data", gst::Buffer::from_slice(record))
        .build()
}

/// The header in caps; `None` if there is none, or none that can be read.
pub fn header(caps: &gst::CapsRef) -> Option<StreamHeader> {
    let data = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
    let data = data.map_readable().ok()?;
    let mut reader = PacketReader::midway(Limits::default());
    reader.push(&data);
    reader.finish();
    match reader.next_event() {
        Ok(Some(Event::Header(header))) => Some(header),
        _ => None,
    }
}

/// Lets GStreamer know a recording by its first bytes.
pub fn register_typefind(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    let rank = gst::Rank::PRIMARY;
    let caps = recording();
    gst::TypeFind::register(
        Some(plugin),
        RECORDING,
        rank,
        Some("tamis"),
        Some(&recording()),
        move |t| {
            if t.peek(0, 4).is_some_and(|head| head.len() == 4 && begins_stream(head)) {
                t.suggest(gst::TypeFindProbability::Maximum, &caps);
            }
        },
    )
}
