//! Calls into a driver of the kernel.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl};

/// Plain numbers without padding that matters: whatever the kernel writes there is a value.
///
/// Only structures of files `abi.rs` are: none of them holds an address that the kernel would follow.
pub(super) trait Plain: Default {}

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
