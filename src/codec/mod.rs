//! What goes in, what comes out, what a bundle says.
//!
//! ```text
//! Frame --pad--> cells --packet transform--> bands --projection--> reals --quantizer--> Latent
//! Frame <-crop-- cells <-inverse transform-- bands <-projection--- reals <-dequantizer- Latent
//! ```
//!
//! A [`Bundle`] holds every number of that chain. [`plain`] walks it straight from the paper and is
//! the truth that every faster path answers to.

pub(crate) mod bands;
mod bundle;
pub(crate) mod contexts;
mod file;
pub(crate) mod fixed;
mod frame;
mod latent;
mod order;
pub mod plain;
mod projection;
mod quality;
mod quantize;
mod store;
mod tables;
pub(crate) mod tokens;
pub(crate) mod yuv;

pub use bundle::{Arithmetic, Bundle, Card, Kind, Parts};
pub use contexts::{Choice, Contexts};
pub(crate) use file::read_file;
pub use frame::{BANDS, Depth, Frame, FrameRef, Layout, Samples, SamplesRef, Stamp};
pub use latent::{CodecId, Latent, Span};
pub use projection::Projection;
pub use quality::Quality;
pub use quantize::Quantizer;
pub use tables::{Tables, anchor_qualities};
pub use tokens::{ALPHABET, PRECISION_BITS, token};
