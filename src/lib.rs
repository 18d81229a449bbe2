//! tamis: importance-ordered learned latents, from sensor to model.
//!
//! A *tamis* is a fine sieve. Frames from cameras and microphones become small integer latents whose
//! channels stand in order of importance; latents become packets that may be cut after any group of
//! channels; models run on the latents themselves.
//!
//! # Nouns
//!
//! [`codec::Bundle`] holds the numbers of a codec, [`codec::Frame`] samples as the sensor gave them,
//! [`codec::Latent`] integers in order of importance, [`bitstream::Packet`] a latent in bytes,
//! [`runtime::Head`] a model on latents. In the line, an `Item` carries them from a `Source` through
//! `Stage`s to `Sink`s (module `pipeline`).
//!
//! # Floors
//!
//! Imports go down only; a test keeps it so.
//!
//! ```text
//! app        arguments -> call -> exit code
//! lab        fit, orders, metrics, eval, bench, tune: what a codec or a head gives and costs
//! pipeline   Source -> [Stage] -> Sink, one loop; media files; configs
//! runtime    Encoder, Decoder, Head, and the transformers in heads  (not bitstream)
//! bitstream  Latent <-> Packet <-> bytes        (not signal, not runtime)
//! codec      Bundle, Frame, Latent, plain encoder and decoder
//! signal     wavelets, packets, extent: slices in, slices out
//! ground     error, wide: loops for wide registers
//! ```
//!
//! # Features
//!
//! `cli` (default) is the command line, `onnx` (default) runs heads, `pipeline` reads and writes
//! files, `gstreamer` (a system library) plays what GStreamer can. Without any, the embedded encoder is left: signal, codec, bitstream, runtime.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use tamis::bitstream::{StreamHeader, pack, unpack};
//! use tamis::codec::{Frame, Quality, Stamp};
//! use tamis::runtime::{Decoder, Encoder, find_bundle};
//!
//! let bundle = Arc::new(find_bundle("rgb")?);
//! let frame = Frame::rgb(48, 64, vec![128; 48 * 64 * 3])?;
//! let mut encoder = Encoder::new(bundle.clone(), 48, Quality::DEFAULT)?;
//! let latent = encoder.push(&frame, false)?;
//! let mut packet = pack(&bundle, &latent, Stamp::default())?;
//! packet.cut(2); // the 6 most important channels of 48
//! let header = StreamHeader::new(&bundle, frame.layout, 3, &Stamp::default());
//! let coarse = unpack(&bundle, &header, &packet)?.latent;
//! let picture = Decoder::new(bundle, 48).push(&coarse, frame.layout)?;
//! assert_eq!(picture.extent, [48, 64]);
//! # Ok::<(), tamis::Error>(())
//! ```

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
mod wide;

pub use error::{Error, Result};
