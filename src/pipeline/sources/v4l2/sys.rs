//! Memory of a driver: what the compiler cannot check.

use std::io;
use std::os::fd::AsFd;
use std::ptr::{NonNull, null_mut};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A buffer of the driver.
#[derive(Debug)]
pub(super) struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to the process, not to a thread, and nobody else has its address.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a device.
    ///
    /// # Errors
    /// The system's word.
    pub fn new(device: impl AsFd, offset: u32, len: usize) -> io::Result<Self> {
        let (access, shared) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new place is asked for, so no memory that is in use changes.
        let at = unsafe { mmap(null_mut(), len, access, shared, device, offset.into())? };
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { at, len })
    }

    /// A copy of the first bytes, `len` or all there are. The driver must have given the buffer back.
    pub fn copy(&self, len: usize) -> Vec<u8> {
        let len = len.min(self.len);
        let mut bytes = Vec::with_capacity(len);
        // SAFETY: `len` bytes are mapped and as many were reserved, in memory of its own. No reference is made to
        // what a broken driver might still write.
        unsafe {
            std::ptr::copy_nonoverlapping(self.at.as_ptr(), bytes.as_mut_ptr(), len);
            bytes.set_len(len);
        }
        bytes
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and nothing refers to it.
        // What cannot be unmapped stays until the process ends.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), self.len) };
    }
}
