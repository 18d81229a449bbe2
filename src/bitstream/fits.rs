//! Whether a packet is what its stream and the bundle say.

use super::header::StreamHeader;
use super::packet::Packet;
use super::reader::Limits;
use crate::codec::{Bundle, Kind, Layout, bands};
use crate::error::{Error, Result};

/// Refuses a packet that is not what its stream's header and the bundle say.
pub(super) fn check_extent(
    bundle: &Bundle,
    header: &StreamHeader,
    packet: &Packet,
    limits: &Limits,
) -> Result<()> {
    let [first, second] = packet.header.extent;
    let positions = (first as u64).saturating_mul(second as u64);
    let wrong = |reason| Err(Error::Bitstream { offset: 0, reason });
    match (bundle.kind, header.layout) {
        (Kind::Image, Layout::Audio { .. })
        | (Kind::Audio, Layout::Gray | Layout::Rgb | Layout::Bands { .. }) => {
            let (kind, layout) = (bundle.kind, header.layout);
            let reason = format!("the stream holds {layout:?}, the bundle codes {kind:?}");
            Err(Error::bundle(&bundle.card.name, reason))
        }
        (Kind::Image, layout) if !bands::codes(bundle, layout, header.channels) => {
            let (inputs, channels) = (bundle.inputs, header.channels);
            let reason = format!(
                "the stream holds {layout:?} of {channels} values per pixel, the bundle codes {inputs}"
            );
            Err(Error::bundle(&bundle.card.name, reason))
        }
        (Kind::Image, Layout::Bands { .. })
            if positions.saturating_mul(header.channels as u64) > limits.values =>
        {
            let what = format!("pixels times bands of a picture, {second} x {first},");
            let actual = positions.saturating_mul(header.channels as u64);
            Err(Error::Limit { what, limit: limits.values, actual })
        }
        (Kind::Image, _) if first == 0 || second == 0 => {
            wrong(format!("a picture of {second}x{first} pixels, 1x1 at least is needed"))
        }
        (Kind::Audio, _) if first != header.channels => {
            let channels = header.channels;
            wrong(format!("sound of {first} channels, its stream's header says {channels}"))
        }
        (Kind::Audio, _) if (first as u64).saturating_mul(second as u64) > limits.sound => {
            let what = format!("time steps times channels of a sound packet, {second} x {first},");
            let actual = (first as u64).saturating_mul(second as u64);
            Err(Error::Limit { what, limit: limits.sound, actual })
        }
        _ => Ok(()),
    }
}
