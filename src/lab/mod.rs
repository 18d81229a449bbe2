//! Studies: what a codec gives and costs.
