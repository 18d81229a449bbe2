//! Structures and numbers that the kernel takes.
//!
//! Source: `linux/videodev2.h`; sizes and numbers as a C compiler gives them.

use std::ffi::c_long;

use rustix::ioctl::{Opcode, opcode};

use super::super::ioctl::Plain;

/// What a device is and can do.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Capability {
    pub driver: [u8; 16],
    pub card: [u8; 32],
    pub bus: [u8; 32],
    pub version: u32,
    /// Of the whole device.
    pub capabilities: u32,
    /// Of this node, if `capabilities` says that it is told.
    pub node: u32,
    pub reserved: [u32; 3],
}

/// A format, by its number.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct FormatEntry {
    pub index: u32,
    pub buffer_type: u32,
    pub flags: u32,
    pub description: [u8; 32],
    pub fourcc: u32,
    pub media_bus: u32,
    pub reserved: [u32; 3],
}

/// A size of a format, by its number.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct SizeEntry {
    pub index: u32,
    pub fourcc: u32,
    pub kind: u32,
    /// Width and height; or least, most and step of the width, and of the height.
    pub sides: [u32; 6],
    pub reserved: [u32; 2],
}

/// Seconds as a fraction.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction {
    pub numerator: u32,
    pub denominator: u32,
}

/// A time from frame to frame at a size, by its number.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct IntervalEntry {
    pub index: u32,
    pub fourcc: u32,
    pub width: u32,
    pub height: u32,
    pub kind: u32,
    /// One; or least, most and step.
    pub intervals: [Fraction; 3],
    pub reserved: [u32; 2],
}

/// How pictures are stored.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Format {
    pub buffer_type: u32,
    // The union behind it holds addresses in another of its forms.
    #[cfg(target_pointer_width = "64")]
    pub pad: u32,
    pub width: u32,
    pub height: u32,
    pub fourcc: u32,
    pub field: u32,
    pub stride: u32,
    pub bytes: u32,
    pub colorspace: u32,
    /// Says that what follows is valid.
    pub magic: u32,
    pub flags: u32,
    pub encoding: u32,
    pub quantization: u32,
    pub transfer: u32,
    pub rest: [[u32; 19]; 2],
}

/// How often pictures come.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub buffer_type: u32,
    pub capability: u32,
    pub mode: u32,
    pub interval: Fraction,
    pub extended: u32,
    pub buffers: u32,
    pub rest: [[u32; 22]; 2],
}

/// Asks for buffers.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub count: u32,
    pub buffer_type: u32,
    pub memory: u32,
    pub capabilities: u32,
    pub flags: u32,
}

/// A buffer that is asked about, lent to the driver or taken back.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub index: u32,
    pub buffer_type: u32,
    pub used: u32,
    pub flags: u32,
    pub field: u32,
    // A gap of four bytes where these are of eight.
    pub seconds: c_long,
    pub micros: c_long,
    pub timecode: [u32; 4],
    pub sequence: u32,
    pub memory: u32,
    pub offset: u32,
    // The union ends as an address does.
    #[cfg(target_pointer_width = "64")]
    pub pad: u32,
    pub length: u32,
    pub reserved: u32,
    pub request: u32,
}

/// A kind of buffers, to start or stop.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct BufferType(pub u32);

impl Plain for Capability {}
impl Plain for FormatEntry {}
impl Plain for SizeEntry {}
impl Plain for IntervalEntry {}
impl Plain for Format {}
impl Plain for Parameters {}
impl Plain for Buffers {}
impl Plain for Buffer {}
impl Plain for BufferType {}

const _: () = {
    let wide = size_of::<usize>() == 8;
    assert!(size_of::<Capability>() == 104);
    assert!(size_of::<FormatEntry>() == 64);
    assert!(size_of::<SizeEntry>() == 44);
    assert!(size_of::<IntervalEntry>() == 52);
    assert!(size_of::<Format>() == if wide { 208 } else { 204 });
    assert!(std::mem::offset_of!(Format, width) == if wide { 8 } else { 4 });
    assert!(size_of::<Parameters>() == 204);
    assert!(std::mem::offset_of!(Parameters, interval) == 12);
    assert!(size_of::<Buffers>() == 20);
    assert!(size_of::<Buffer>() == if wide { 88 } else { 68 });
    assert!(std::mem::offset_of!(Buffer, seconds) == if wide { 24 } else { 20 });
    assert!(std::mem::offset_of!(Buffer, sequence) == if wide { 56 } else { 44 });
    assert!(std::mem::offset_of!(Buffer, offset) == if wide { 64 } else { 52 });
    assert!(std::mem::offset_of!(Buffer, length) == if wide { 72 } else { 56 });
};

pub(super) const QUERYCAP: Opcode = opcode::read::<Capability>(b'V', 0);
pub(super) const ENUM_FMT: Opcode = opcode::read_write::<FormatEntry>(b'V', 2);
pub(super) const S_FMT: Opcode = opcode::read_write::<Format>(b'V', 5);
pub(super) const REQBUFS: Opcode = opcode::read_write::<Buffers>(b'V', 8);
pub(super) const QUERYBUF: Opcode = opcode::read_write::<Buffer>(b'V', 9);
pub(super) const QBUF: Opcode = opcode::read_write::<Buffer>(b'V', 15);
pub(super) const DQBUF: Opcode = opcode::read_write::<Buffer>(b'V', 17);
pub(super) const STREAMON: Opcode = opcode::write::<BufferType>(b'V', 18);
pub(super) const STREAMOFF: Opcode = opcode::write::<BufferType>(b'V', 19);
pub(super) const G_PARM: Opcode = opcode::read_write::<Parameters>(b'V', 21);
pub(super) const S_PARM: Opcode = opcode::read_write::<Parameters>(b'V', 22);
pub(super) const ENUM_FRAMESIZES: Opcode = opcode::read_write::<SizeEntry>(b'V', 74);
pub(super) const ENUM_FRAMEINTERVALS: Opcode = opcode::read_write::<IntervalEntry>(b'V', 75);

/// Buffers of captured pictures that lie in one piece.
pub(super) const CAPTURE: u32 = 1;
/// Buffers that the driver owns and lets be mapped.
pub(super) const MMAP: u32 = 1;

pub(super) const CAP_CAPTURE: u32 = 0x1;
pub(super) const CAP_CAPTURE_PLANES: u32 = 0x1000;
pub(super) const CAP_STREAMING: u32 = 0x0400_0000;
pub(super) const CAP_NODE: u32 = 0x8000_0000;
/// The interval can be set.
pub(super) const CAP_INTERVAL: u32 = 0x1000;

/// Sizes and intervals that are listed one by one.
pub(super) const DISCRETE: u32 = 1;

pub(super) const FLAG_ERROR: u32 = 0x40;
pub(super) const FLAG_CLOCK: u32 = 0xe000;
pub(super) const FLAG_MONOTONIC: u32 = 0x2000;

/// Whole pictures, all rows of one moment.
pub(super) const FIELD_NONE: u32 = 1;
/// Fields that make a picture, in one buffer: from here to [`FIELD_LAST`], all rows are not of one moment.
pub(super) const FIELD_INTERLACED: u32 = 4;
pub(super) const FIELD_LAST: u32 = 9;

pub(super) const COLORSPACE_SMPTE240M: u32 = 2;
pub(super) const COLORSPACE_REC709: u32 = 3;
pub(super) const COLORSPACE_JPEG: u32 = 7;
pub(super) const COLORSPACE_BT2020: u32 = 10;
pub(super) const COLORSPACE_DCI_P3: u32 = 12;
pub(super) const ENCODING_601: u32 = 1;
pub(super) const ENCODING_709: u32 = 2;
pub(super) const ENCODING_XV601: u32 = 3;
pub(super) const ENCODING_BT2020: u32 = 6;
pub(super) const ENCODING_SMPTE240M: u32 = 8;
pub(super) const FULL_RANGE: u32 = 1;
pub(super) const LIMITED_RANGE: u32 = 2;
/// What [`Format::magic`] is if the driver filled in the rest.
pub(super) const MAGIC: u32 = 0xfeed_cafe;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn numbers_are_those_of_a_c_compiler() {
        let found = [
            (QUERYCAP, 0x8068_5600_u32),
            (ENUM_FMT, 0xc040_5602),
            (S_FMT, 0xc0d0_5605),
            (REQBUFS, 0xc014_5608),
            (QUERYBUF, 0xc058_5609),
            (QBUF, 0xc058_560f),
            (DQBUF, 0xc058_5611),
            (STREAMON, 0x4004_5612),
            (STREAMOFF, 0x4004_5613),
            (G_PARM, 0xc0cc_5615),
            (S_PARM, 0xc0cc_5616),
            (ENUM_FRAMESIZES, 0xc02c_564a),
            (ENUM_FRAMEINTERVALS, 0xc034_564b),
        ];
        for (found, expected) in found {
            assert_eq!(found, Opcode::from(expected), "{expected:#x}");
        }
    }
}
