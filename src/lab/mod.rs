//! Studies: what a codec gives and costs.

pub mod bench;
mod cluster;
mod contexts;
pub mod eval;
mod fit;
mod histogram;
mod klt;
pub mod metrics;
pub mod order;
pub mod plot;
mod sparse;

pub use fit::{Fit, Fitted, fit, refit};
