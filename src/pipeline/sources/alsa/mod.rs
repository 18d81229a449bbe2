//! Microphones by ALSA, straight from the kernel: no system library.
//!
//! [`MicrophoneSource`] keeps one microphone playing for ever. It knows microphones by what they are, not by the number
//! that the kernel happened to give their card ([`find`]), and talks to them through [`Listen`]: [`Device`] is a real one.
//!
//! Source: `sound/asound.h`, and `sound/core/pcm_native.c` of the kernel.

mod abi;
mod blocks;
mod choose;
mod device;
pub mod find;
mod listen;
mod mute;
mod offers;
mod source;
#[cfg(test)]
mod tests;
mod times;

pub use device::Device;
pub use listen::{Break, Chunk, Heard, Listen, Offer, Shape, Wish};
pub use source::MicrophoneSource;
