//! Encoders, decoders and heads, prepared once and run many times.
//!
//! Everything here answers to [`crate::codec::plain`]: the same latents, bit for bit, in less memory
//! and piece by piece.

mod cpu;
mod decoder;
mod encoder;
#[cfg(feature = "onnx")]
mod head;
#[cfg(not(feature = "onnx"))]
#[path = "head_absent.rs"]
mod head;
mod head_card;
mod models;
#[cfg(feature = "onnx")]
mod neural;
#[cfg(not(feature = "onnx"))]
#[path = "neural_absent.rs"]
mod neural;
mod neural_bands;
mod neural_card;
mod tiles;
mod whole;

pub use cpu::Simd;
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use head::Head;
pub use head_card::{HeadCard, Prediction};
pub use models::{
    decoder_file, decoders_of, find_bundle, find_codec, find_decoder, find_head, shipped_bundles,
    shipped_heads,
};
pub use neural::Neural;
pub use neural_card::{DecoderCard, DecoderSize, Role};
