//! The names of `model.rs` when the feature `onnx` is off: every use says which feature to turn on.

use super::cpu::Simd;
use super::precision::{Engine, Precision};
use super::schedule::Tokens;
use crate::error::{Error, Result};

/// A model, which this build cannot run.
#[derive(Debug)]
pub struct Model;

/// How a model is to be run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Numbers of the linear layers of a transformer.
    pub precision: Precision,
    /// Instructions it is compiled for.
    pub simd: Option<Simd>,
    /// The tokens that a transformer goes on with.
    pub tokens: Tokens,
}

fn absent(name: &str) -> Error {
    Error::bundle(name, "this tamis was built without models; build it with `--features onnx`")
}

impl Model {
    /// Always fails.
    ///
    /// # Errors
    /// `Bundle`.
    pub fn from_onnx(name: &str, _onnx: &[u8], _options: &Options) -> Result<Self> {
        Err(absent(name))
    }

    /// Always fails.
    ///
    /// # Errors
    /// `Bundle`.
    pub fn shape_of(name: &str, _onnx: &[u8]) -> Result<Vec<usize>> {
        Err(absent(name))
    }

    /// What runs it: nothing.
    pub fn engine(&self) -> &Engine {
        &Engine::Absent
    }

    /// Always fails.
    ///
    /// # Errors
    /// `Bundle`.
    pub fn run(&mut self, _shape: &[usize], _values: &[f32]) -> Result<Vec<f32>> {
        Err(absent("model"))
    }
}
