//! Wavelets, packets, extent: slices in, slices out.
//!
//! Pure functions on slices. No input or output, no threads, no model, no device.
//! Start at [`PacketTransform`]; [`Analysis`] and [`Synthesis`] are its streaming twins.

mod extent;
pub(crate) mod fixed;
pub(crate) mod lifting;
mod packet;
mod stream;
pub use extent::{cells, mirror};
pub use lifting::{Ends, Sample};
pub use packet::PacketTransform;
pub use stream::{Analysis, Synthesis};
