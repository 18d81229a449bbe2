//! Studies: what a codec gives and costs.

pub mod eval;
mod fit;
mod histogram;
mod klt;
pub mod metrics;
pub mod plot;

pub use fit::{Fit, fit};
