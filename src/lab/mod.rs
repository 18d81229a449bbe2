//! Studies: what a codec gives and costs.

pub mod bench;
pub mod bench_head;
mod cluster;
mod contexts;
pub mod eval;
mod fit;
mod histogram;
mod klt;
pub mod metrics;
mod of;
pub mod order;
pub mod plan;
pub mod plot;
mod sparse;
mod spectral;

pub use fit::{Fit, Fitted, fit, refit};
pub use of::Of;
#[cfg(feature = "onnx")]
pub mod tune;
