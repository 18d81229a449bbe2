//! What is lost: counted, and said on the bus.

use gst::glib;
use gst::prelude::*;

use crate::CATEGORY;
use crate::packets::Missing;

/// The property `stats`, which [`Losses::structure`] answers.
pub fn property() -> glib::ParamSpec {
    glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
        .nick("Statistics")
        .blurb(
            "What was lost since the start: lost-packets, lost-groups, lost-bytes, skipped-packets",
        )
        .read_only()
        .build()
}

/// What an element could not hand on since it was started.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Losses {
    /// Packets that never came, or of which nothing was left.
    pub packets: u64,
    /// Groups of channels that packets lost: those are coarser.
    pub groups: u64,
    /// Bytes that are no record.
    pub bytes: u64,
    /// Packets passed over on purpose: before the first that stands alone, or of other streams.
    pub skipped: u64,
}

impl Losses {
    /// Whether nothing is lost.
    pub fn is_nothing(&self) -> bool {
        self.packets == 0 && self.groups == 0 && self.bytes == 0
    }

    /// Counts what was missing of a packet, and whether all of it was; what is to be said of it.
    pub fn add(&mut self, missing: &Missing, lost: bool) -> Option<Told> {
        let first = self.is_nothing();
        self.packets += missing.packets + u64::from(lost);
        self.groups += missing.groups;
        self.bytes += missing.bytes;
        let reason = missing.reason.clone()?;
        Some(Told { losses: self.clone(), first, reason })
    }

    /// The numbers as a structure of this name.
    pub fn structure(&self, name: &str) -> gst::Structure {
        self.fields(name).build()
    }

    fn fields(&self, name: &str) -> gst::structure::Builder {
        gst::Structure::builder(name)
            .field("lost-packets", self.packets)
            .field("lost-groups", self.groups)
            .field("lost-bytes", self.bytes)
            .field("skipped-packets", self.skipped)
    }

    /// Posts an element message `tamis-loss`: the numbers so far, and why they grew. The first is a
    /// warning too, which every application shows.
    pub fn tell(&self, element: &gst::Element, first: bool, reason: &str) {
        gst::warning!(CATEGORY, obj = element, "{reason}");
        let structure = self.fields("tamis-loss").field("reason", reason).build();
        let message = gst::message::Element::builder(structure).src(element).build();
        // Without a bus nobody listens.
        let _ = element.post_message(message);
        if first {
            gst::element_warning!(
                element,
                gst::StreamError::Decode,
                ("{reason}"),
                ["more losses are counted in the property stats and posted as tamis-loss messages"]
            );
        }
    }
}

/// Losses that are to be told.
pub struct Told {
    losses: Losses,
    first: bool,
    reason: String,
}

impl Told {
    /// As [`Losses::tell`].
    pub fn tell(&self, element: &gst::Element) {
        self.losses.tell(element, self.first, &self.reason);
    }
}
