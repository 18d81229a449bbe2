//! Where pictures are encoded: the processor, or a GPU.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::cpu::Simd;
use super::cuda::{self, Gpu};
use crate::error::{Error, Result};

/// What a GPU encodes, in millions of pixels a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GpuSpeeds {
    /// Pictures of a batch.
    pub pictures: usize,
    /// From pixels in the GPU's memory to latents in it.
    pub device: f64,
    /// What its memory could move at most of all that both kernels read and write, by its clock and its
    /// width; 0 if it does not say them.
    pub device_bound: f64,
    /// From pinned memory here and back to it, copies and kernels side by side.
    pub host: f64,
    /// Pixels copied to the GPU and nothing else.
    pub host_bound: f64,
}

/// A device as it is asked for.
///
/// Latents do not depend on it: both count in the same whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// This GPU, and no other: what it cannot do is an error.
    Cuda(u32),
    /// The first GPU for what it can do, else the processor.
    Auto,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |n: &str| n.parse().ok().map(Self::Cuda);
        let known = match text {
            "cpu" => Some(Self::Cpu),
            "auto" => Some(Self::Auto),
            "cuda" => Some(Self::Cuda(0)),
            _ => text.strip_prefix("cuda:").and_then(number),
        };
        known.ok_or_else(|| Error::Device {
            device: format!("{text:?}"),
            reason: "is none; there are cpu, auto, and cuda:0 and so on".into(),
        })
    }
}

impl TryFrom<String> for Device {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// What a device that was asked for comes down to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What does the work: `cpu (avx2)`, `cuda:0 (NVIDIA Orin)`.
    pub name: String,
    /// Why it is not the GPU, where that was to be tried.
    pub instead: Option<String>,
}

impl Device {
    /// What does the work if this device is asked for.
    ///
    /// # Errors
    /// `Device` with the reason if a GPU that was asked for by name cannot be used.
    pub fn check(self) -> Result<Found> {
        let (gpu, instead) = self.open()?;
        Ok(Found { name: gpu.map_or_else(processor, |gpu| gpu.name().to_owned()), instead })
    }

    /// The GPU, if one is to be used, and why none is where one was to be tried.
    pub(super) fn open(self) -> Result<(Option<std::sync::Arc<Gpu>>, Option<String>)> {
        match self {
            Self::Cpu => Ok((None, None)),
            Self::Cuda(n) => cuda::open(n)
                .map(|gpu| (Some(gpu), None))
                .map_err(|reason| Error::Device { device: self.to_string(), reason }),
            Self::Auto => Ok(match cuda::open(0) {
                Ok(gpu) => (Some(gpu), None),
                Err(reason) => (None, Some(reason)),
            }),
        }
    }
}

/// The processor's name.
fn processor() -> String {
    format!("cpu ({})", Simd::best().name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for device in [Device::Cpu, Device::Auto, Device::Cuda(0), Device::Cuda(12)] {
            assert_eq!(device.to_string().parse::<Device>().ok(), Some(device));
        }
        assert_eq!("cuda".parse::<Device>().ok(), Some(Device::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:4294967296", "CPU"] {
            let error = text.parse::<Device>().map_err(|e| e.to_string());
            assert!(error.is_err_and(|e| e.contains(&format!("{text:?}"))), "{text}");
        }
    }

    #[test]
    fn the_processor_is_always_there() {
        let found = Device::Cpu.check().ok();
        assert!(found.is_some_and(|f| f.name.starts_with("cpu (") && f.instead.is_none()));
    }
}
