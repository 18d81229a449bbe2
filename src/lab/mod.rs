//! Studies: what a codec gives and costs.

mod fit;
mod histogram;
mod klt;
pub mod metrics;
pub mod plot;

pub use fit::{Fit, fit};
