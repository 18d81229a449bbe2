//! Studies: what a codec gives and costs.

pub mod metrics;
pub mod plot;
