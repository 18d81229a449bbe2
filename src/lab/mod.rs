//! Studies: what a codec gives and costs.

mod fit;
mod histogram;
mod klt;

pub use fit::{Fit, fit};
