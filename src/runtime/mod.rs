//! Encoders, decoders and heads, prepared once and run many times.
//!
//! Everything here answers to [`crate::codec::plain`]: the same latents, bit for bit, in less memory
//! and piece by piece.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "cuda_absent.rs"]
mod cuda;
mod decoder;
mod device;
mod encoder;
#[cfg(feature = "onnx")]
mod halves;
#[cfg(feature = "onnx")]
mod head;
#[cfg(not(feature = "onnx"))]
#[path = "head_absent.rs"]
mod head;
mod head_card;
#[cfg(feature = "onnx")]
mod model;
#[cfg(not(feature = "onnx"))]
#[path = "model_absent.rs"]
mod model;
mod models;
#[cfg(feature = "onnx")]
mod neural;
#[cfg(not(feature = "onnx"))]
#[path = "neural_absent.rs"]
mod neural;
mod neural_bands;
mod neural_card;
mod numbers;
mod plan;
mod precision;
mod property;
#[cfg(feature = "onnx")]
mod recognise;
mod schedule;
mod tiles;
#[cfg(feature = "onnx")]
mod transformer;
mod tuned;
mod whole;

pub use cpu::Simd;
pub use decoder::Decoder;
pub use device::{Device, Found, GpuSpeeds};
pub use encoder::Encoder;
pub use head::Head;
pub use head_card::{HeadCard, Prediction};
pub use model::{Model, Options};
#[cfg(all(feature = "onnx", feature = "pipeline"))]
pub(crate) use model::{block_similarities, encoder_of};
pub use models::{
    decoder_file, decoders_of, find_bundle, find_codec, find_decoder, find_head, find_head_with,
    head_file, options_within, shipped_bundles, shipped_heads,
};
pub use neural::Neural;
pub use neural_card::{DecoderCard, DecoderSize, Role};
pub use numbers::cosine;
#[cfg(feature = "pipeline")]
pub(crate) use numbers::noise;
pub use precision::{Engine, FloatLayers, HeadOptions, LayerPlace, Precision};
pub use property::with_property;
pub use schedule::{POLICIES, Policy, Schedule, Tokens};
#[cfg(all(feature = "onnx", feature = "pipeline"))]
pub(crate) use transformer::{Transformer, prepare};
pub use tuned::{TUNED, Tuned, TunedRow, machine};
