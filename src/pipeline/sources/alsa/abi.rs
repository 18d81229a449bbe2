//! Structures and numbers that the kernel takes.
//!
//! Source: `sound/asound.h`; sizes and numbers as a C compiler gives them. Its `unsigned long` is as wide as an address.

use std::ffi::c_long;

use rustix::ioctl::{Opcode, opcode};

use super::super::depth::Depth;
use super::super::ioctl::Plain;

/// What a node is.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Info {
    pub device: u32,
    pub subdevice: u32,
    pub stream: i32,
    pub card: i32,
    pub id: [[u8; 32]; 2],
    pub name: [[u8; 16]; 5],
    pub subname: [u8; 32],
    pub class: i32,
    pub subclass: i32,
    pub subdevices: u32,
    pub subdevices_free: u32,
    pub sync: [u8; 16],
    pub reserved: [u32; 16],
}

/// A number between two, or some of those between.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub min: u32,
    pub max: u32,
    /// Whether the ends are out of it, whether only whole numbers are in it, whether nothing is.
    pub flags: u32,
}

/// How sound is stored and how fast it comes: what is allowed still.
#[repr(C)]
#[derive(Debug, Default, Clone)]
pub(super) struct Hardware {
    pub flags: u32,
    /// Access, format and what is below it; then what is reserved.
    pub masks: [[u32; 8]; 8],
    /// Those from [`FIRST_INTERVAL`] on; then what is reserved.
    pub intervals: [Interval; 21],
    /// Which of them are asked for.
    pub asked: u32,
    pub changed: u32,
    pub info: u32,
    pub bits: u32,
    pub rate_numerator: u32,
    pub rate_denominator: u32,
    pub fifo: usize,
    pub reserved: [u32; 16],
}

/// When whoever waits is woken, and when the stream stops.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Software {
    pub times: i32,
    pub period_step: u32,
    pub sleep_min: u32,
    pub wake_at: usize,
    pub align: usize,
    pub start_at: usize,
    pub stop_at: usize,
    pub silence_threshold: usize,
    pub silence_size: usize,
    pub boundary: usize,
    /// Says that what follows is valid.
    pub protocol: u32,
    pub clock: u32,
    pub reserved: [u32; 14],
}

/// A moment.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Moment {
    pub seconds: c_long,
    pub nanos: c_long,
}

/// How a stream stands.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Status {
    pub state: i32,
    // A gap of four bytes where a moment is of sixteen.
    pub began: Moment,
    pub now: Moment,
    pub taken: usize,
    pub written: usize,
    pub delay: isize,
    /// Time steps that can be taken.
    pub ready: usize,
    pub ready_most: usize,
    pub overrange: usize,
    pub suspended: i32,
    pub audio_data: u32,
    pub audio: Moment,
    pub driver: Moment,
    pub accuracy: u32,
    #[cfg(target_pointer_width = "64")]
    pub reserved: [u32; 5],
    #[cfg(not(target_pointer_width = "64"))]
    pub reserved: [u32; 9],
}

/// For what needs no more than its number.
#[derive(Debug, Default)]
pub(super) struct Nothing;

impl Plain for Info {}
impl Plain for Hardware {}
impl Plain for Software {}
impl Plain for Status {}
impl Plain for Nothing {}

const _: () = {
    use std::mem::offset_of;
    let wide = size_of::<usize>() == 8;
    assert!(size_of::<Info>() == 288);
    assert!(offset_of!(Info, name) == 80 && offset_of!(Info, subdevices) == 200);
    assert!(size_of::<Interval>() == 12);
    assert!(size_of::<Hardware>() == if wide { 608 } else { 604 });
    assert!(offset_of!(Hardware, intervals) == 260 && offset_of!(Hardware, asked) == 512);
    assert!(offset_of!(Hardware, rate_numerator) == 528 && offset_of!(Hardware, fifo) == 536);
    assert!(size_of::<Software>() == if wide { 136 } else { 104 });
    assert!(offset_of!(Software, wake_at) == if wide { 16 } else { 12 });
    assert!(offset_of!(Software, boundary) == if wide { 64 } else { 36 });
    assert!(offset_of!(Software, clock) == if wide { 76 } else { 44 });
    assert!(size_of::<Status>() == if wide { 152 } else { 108 });
    assert!(offset_of!(Status, now) == if wide { 24 } else { 12 });
    assert!(offset_of!(Status, ready) == if wide { 64 } else { 32 });
    assert!(offset_of!(Status, suspended) == if wide { 88 } else { 44 });
    assert!(offset_of!(Status, accuracy) == if wide { 128 } else { 68 });
};

pub(super) const INFO: Opcode = opcode::read::<Info>(b'A', 0x01);
pub(super) const HW_REFINE: Opcode = opcode::read_write::<Hardware>(b'A', 0x10);
pub(super) const HW_PARAMS: Opcode = opcode::read_write::<Hardware>(b'A', 0x11);
pub(super) const SW_PARAMS: Opcode = opcode::read_write::<Software>(b'A', 0x13);
pub(super) const STATUS: Opcode = opcode::read::<Status>(b'A', 0x20);
pub(super) const PREPARE: Opcode = opcode::none(b'A', 0x40);
pub(super) const START: Opcode = opcode::none(b'A', 0x42);
pub(super) const DROP: Opcode = opcode::none(b'A', 0x43);
pub(super) const RESUME: Opcode = opcode::none(b'A', 0x47);

/// A stream that captures.
pub(super) const CAPTURE: i32 = 1;

pub(super) const ACCESS: usize = 0;
pub(super) const FORMAT: usize = 1;
/// Samples of a time step stand together, and are taken by reading.
pub(super) const READ_INTERLEAVED: u32 = 3;

const FIRST_INTERVAL: usize = 8;
pub(super) const CHANNELS: usize = 10 - FIRST_INTERVAL;
pub(super) const RATE: usize = 11 - FIRST_INTERVAL;
pub(super) const PERIOD: usize = 13 - FIRST_INTERVAL;
pub(super) const BUFFER: usize = 17 - FIRST_INTERVAL;

pub(super) const OPEN_MIN: u32 = 1;
pub(super) const OPEN_MAX: u32 = 2;
pub(super) const WHOLE: u32 = 4;

pub(super) const RUNNING: i32 = 3;
pub(super) const XRUN: i32 = 4;
pub(super) const SUSPENDED: i32 = 7;
pub(super) const DISCONNECTED: i32 = 8;

/// The first protocol that lets the clock be chosen: 2.0.12.
pub(super) const PROTOCOL: u32 = 0x2_000c;
/// Moments are noted.
pub(super) const TIMES: i32 = 1;
pub(super) const MONOTONIC: u32 = 1;

/// The kernel's number of a format.
pub(super) fn format(depth: Depth) -> u32 {
    match depth {
        Depth::S16 => 2,
        Depth::S24 => 6,
        Depth::S32 => 10,
        Depth::Float => 14,
        Depth::S24in3 => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn numbers_are_those_of_a_c_compiler() {
        let found = [
            (INFO, 0x8120_4101_u32),
            (HW_REFINE, 0xc260_4110),
            (HW_PARAMS, 0xc260_4111),
            (SW_PARAMS, 0xc088_4113),
            (STATUS, 0x8098_4120),
            (PREPARE, 0x4140),
            (START, 0x4142),
            (DROP, 0x4143),
            (RESUME, 0x4147),
        ];
        for (found, expected) in found {
            assert_eq!(found, Opcode::from(expected), "{expected:#x}");
        }
    }
}
