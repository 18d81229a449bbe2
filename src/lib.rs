//! tamis: importance-ordered learned latents from sensor to model.

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod app;
pub mod bitstream;
pub mod codec;
pub mod error;
#[cfg(feature = "pipeline")]
pub mod lab;
#[cfg(feature = "pipeline")]
pub mod pipeline;
pub mod runtime;
pub mod signal;

pub use error::{Error, Result};
