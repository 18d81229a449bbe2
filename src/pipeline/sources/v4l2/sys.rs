//! The two things that only the kernel can do, and that the compiler cannot check: calls into a driver and its memory.

use std::io;
use std::os::fd::AsFd;
use std::ptr::{NonNull, null_mut};

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::abi::Plain;

/// Asks the driver for `REQUEST` with `value`, which it may change.
///
/// # Errors
/// The system's word.
pub(super) fn call<const REQUEST: Opcode, T: Plain>(
    device: impl AsFd,
    value: &mut T,
) -> io::Result<()> {
    // The number of a request says how many bytes the kernel reads and writes.
    const { assert!(size_of::<T>() == (REQUEST as usize >> 16) & 0x3fff) };
    loop {
        // SAFETY: the kernel touches as many bytes as the number says, which are all of `value`; any bits are a
        // value of a plain structure; and none holds an address that would be followed.
        let done = unsafe { ioctl(&device, Updater::<REQUEST, T>::new(value)) };
        match done {
            Err(Errno::INTR) => {}
            done => return done.map_err(io::Error::from),
        }
    }
}

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
