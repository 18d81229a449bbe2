//! Registers of floats and of small whole numbers, one type per instruction set.

use super::buffer::Plain;

/// An instruction set. The kernels reach a type only on machines that have it: see [`super::dispatch`].
pub(super) trait Lanes: Copy + 'static {
    /// Floats of a register.
    const N: usize;
    /// Registers beside each other in a panel of weights.
    const PANEL: usize;
    /// Inputs that one instruction multiplies with weights of one byte, and adds.
    const GROUP: usize;
    /// Groups that are multiplied at once.
    const DEEP: usize;
    /// Rows of a tile of whole numbers, no more than of floats.
    const SMALL_ROWS: usize;
    /// Inputs of a group whose products fall into one sum on the way.
    const TOGETHER: usize;
    /// What the weights of one sign that fall into such a sum, of all groups, may come to.
    const ROOM: f32;
    /// Steps from the lowest to the highest that a quantised input is.
    const STEPS: i32;
    /// What the lowest is stored as.
    const LOWEST: i32;

    /// `N` floats.
    type F: Copy;
    /// `N` whole numbers of 32 bits, or `N * GROUP` small ones.
    type I: Copy;
    /// What a quantised number is stored as.
    type Small: Small;

    fn splat(x: f32) -> Self::F;
    /// # Safety
    /// `N` floats can be read.
    unsafe fn load(from: *const f32) -> Self::F;
    /// # Safety
    /// `N` floats can be written.
    unsafe fn store(a: Self::F, to: *mut f32);

    /// Hints that a line of memory will be read. It may lie anywhere.
    fn prefetch(line: *const u8);

    fn add(a: Self::F, b: Self::F) -> Self::F;
    fn sub(a: Self::F, b: Self::F) -> Self::F;
    fn mul(a: Self::F, b: Self::F) -> Self::F;
    fn div(a: Self::F, b: Self::F) -> Self::F;
    fn max(a: Self::F, b: Self::F) -> Self::F;
    fn min(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once where the machine can.
    fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a` times two to the power that the low bits of `power` hold, by adding them to the exponent.
    fn scale(a: Self::F, power: Self::F) -> Self::F;

    fn no_sums() -> Self::I;
    /// Adds to each sum the products of its weights and inputs, of `DEEP` groups; weights of one lie
    /// `stride` numbers before those of the next.
    ///
    /// # Safety
    /// `N * GROUP` weights can be read for each group, and `DEEP * GROUP` inputs.
    unsafe fn dot(
        sums: Self::I,
        weights: *const Self::Small,
        stride: usize,
        inputs: *const Self::Small,
    ) -> Self::I;
    fn floats(a: Self::I) -> Self::F;
    /// `N` floats of `LOWEST` to `LOWEST + STEPS`, rounded to whole numbers.
    ///
    /// # Safety
    /// `N` numbers can be written.
    unsafe fn round(a: Self::F, to: *mut Self::Small);
}

/// A quantised number as it lies in memory.
pub(super) trait Small: Plain + Default + std::fmt::Debug + Send + Sync + 'static {
    fn of(value: i32) -> Self;
}

impl Small for i8 {
    fn of(value: i32) -> i8 {
        // Of 128 to 255 the bits are kept.
        value as i8
    }
}

impl Small for i16 {
    fn of(value: i32) -> i16 {
        value as i16
    }
}

/// Nothing is assumed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

/// Registers of 256 bits, with fused products, x86 of 2013 and later.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2;

/// Registers of 512 bits and products of bytes (VNNI), x86 servers of 2019 and later.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512;

/// Registers of 128 bits, 64-bit ARM.
#[cfg(target_arch = "aarch64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon;

/// The same with products of bytes (`dotprod`), ARM of 2018 and later.
#[cfg(target_arch = "aarch64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct NeonDot;

#[cfg(target_arch = "aarch64")]
mod arm;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;
