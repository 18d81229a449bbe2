//! Memory that starts at a line of the cache, so that no register is loaded from two.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// Numbers that any bits are good for.
///
/// # Safety
/// Every pattern of bits is a value, and 64 is a multiple of the size.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: plain numbers.
unsafe impl Plain for f32 {}
// SAFETY: plain numbers.
unsafe impl Plain for i8 {}
// SAFETY: plain numbers.
unsafe impl Plain for i16 {}
// SAFETY: plain numbers.
unsafe impl Plain for i32 {}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [u8; 64]);

/// A vector of numbers.
#[derive(Clone)]
pub(super) struct Buffer<T> {
    lines: Vec<Line>,
    len: usize,
    of: PhantomData<T>,
}

impl<T> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} numbers", self.len)
    }
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self { lines: Vec::new(), len: 0, of: PhantomData }
    }
}

impl<T: Plain> Buffer<T> {
    /// Zeros.
    pub fn new(len: usize) -> Self {
        let mut new = Self::default();
        new.fit(len);
        new
    }

    /// Makes it of this length. What it holds then is anything.
    pub fn fit(&mut self, len: usize) {
        let bytes = len.checked_mul(size_of::<T>()).expect("rows that fit in memory");
        let lines = bytes.div_ceil(64);
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0; 64]));
        }
        self.len = len;
    }
}

impl<T: Plain> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` numbers, are aligned to more, and any bits will do.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the lines hold at least `len` numbers, are aligned to more, and any bits will do.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
