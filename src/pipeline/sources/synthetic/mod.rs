//! A scene and a sound made in code: the same on every machine, whatever was asked for before.

mod font;
mod scene;
mod shape;
mod tone;

pub use scene::Scene;
pub use tone::Tone;

/// One well-mixed number per counter value.
///
/// Source: the output function of SplitMix64 (Steele, Lea, Flood 2014).
#[inline]
fn hash(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
