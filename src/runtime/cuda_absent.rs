//! Without the feature `cuda` there is no GPU.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::device::GpuSpeeds;
use crate::codec::{Bundle, FrameRef, Quality};
use crate::error::Result;

/// None.
#[derive(Debug)]
pub(super) struct Gpu(Infallible);

impl Gpu {
    pub fn name(&self) -> &str {
        match self.0 {}
    }
}

/// Why there is none.
pub(super) fn open(_: u32) -> std::result::Result<Arc<Gpu>, String> {
    Err("this build has no CUDA; build it with --features cuda".into())
}

/// None.
#[derive(Debug)]
pub(super) struct GpuEncoder(Infallible);

impl GpuEncoder {
    pub fn new(gpu: &Arc<Gpu>, _: &Bundle, _: usize, _: Quality, _: f32) -> Result<Self> {
        match gpu.0 {}
    }

    pub fn name(&self) -> &str {
        match self.0 {}
    }

    pub fn takes(_: FrameRef<'_>) -> bool {
        false
    }

    pub fn set_quality(&mut self, _: &Bundle, _: Quality, _: f32) {
        match self.0 {}
    }

    pub fn speeds(&mut self, _: FrameRef<'_>, _: Option<usize>, _: Duration) -> Result<GpuSpeeds> {
        match self.0 {}
    }

    pub fn encode(&mut self, _: &[FrameRef<'_>], _: &mut [&mut [i16]]) -> Result<()> {
        match self.0 {}
    }
}
