//! What is handed to the kernels: layouts that `encode.cu` shares.

use cudarc::driver::DeviceRepr;

use super::super::plan::Plan;
use crate::codec::fixed::{CELL, HALF_BANDS};
use crate::codec::{FrameRef, SamplesRef};
use crate::signal::cells;

/// Rows of a block of `rows`, cells of its chunks and of its segments.
const STRIP: usize = 64;
const CHUNK: usize = 16;
const SEGMENT: usize = 64;
/// Columns of a block of `columns`, and rows of cells of its segments.
pub(super) const LANES: usize = 32;
const FALL: usize = 64;

/// Longest side of a picture: blocks and numbers of the kernels reach so far.
pub(super) const SIDE: usize = 4_000_000;

/// How pixels lie in memory, as the kernels number it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Rgb = 0,
    Gray = 1,
    Nv12 = 2,
    Yuyv = 3,
}

/// The bytes of a picture that the kernels take as they are; `None` for other samples.
pub(super) fn bytes(frame: FrameRef<'_>) -> Option<(Format, &[u8])> {
    match (frame.samples, frame.channels) {
        (SamplesRef::U8(v), 3) => Some((Format::Rgb, v)),
        (SamplesRef::U8(v), 1) => Some((Format::Gray, v)),
        (SamplesRef::Nv12(v), _) => Some((Format::Nv12, v)),
        (SamplesRef::Yuyv(v), _) => Some((Format::Yuyv, v)),
        _ => None,
    }
}

/// A batch of pictures of one size: `Picture` of `encode.cu`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(super) struct Picture {
    height: i32,
    width: i32,
    rows: i32,
    cols: i32,
    format: i32,
    colour: i32,
    pitch: i32,
    chroma_pitch: i32,
    chroma: u64,
    /// Bytes of a picture.
    picture: u64,
    track_pitch: i32,
    channels: i32,
    /// Values of the tracks of a picture.
    tracks: u64,
}

/// The bands that some channel reads: `Reads` of `encode.cu`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Reads {
    sum: u64,
    half: u32,
    sum_across: u32,
    half_across: u32,
    sum_list: u32,
    half_list: u32,
    sum_tracks: u32,
    half_pairs: u32,
}

/// A channel: `Channel` of `encode.cu`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Channel {
    bias: i16,
    factor: i16,
    part: i16,
    back: i16,
    shift: u16,
    count: u16,
    first: u32,
}

/// The layouts are C's, without pointers, and the kernels have the same.
#[allow(unsafe_code)]
mod layouts {
    use super::{Channel, DeviceRepr, Picture, Reads};

    // SAFETY: see above; `tests/cuda` runs the kernels on them.
    unsafe impl DeviceRepr for Picture {}
    // SAFETY: see above.
    unsafe impl DeviceRepr for Reads {}
    // SAFETY: see above.
    unsafe impl DeviceRepr for Channel {}
}

impl Reads {
    pub fn new(plan: &Plan) -> Self {
        let list = |bits: u8| {
            let set = (0..8u32).filter(|b| bits >> b & 1 == 1);
            set.enumerate().fold(0, |list, (i, band)| list | band << (4 * i))
        };
        let half = |[a, b]: [u8; 2]| u32::from(a) | u32::from(b) << 4;
        Self {
            sum: u64::from_le_bytes(plan.sum),
            half: plan.half.iter().rev().fold(0, |all, &both| all << 8 | half(both)),
            sum_across: plan.sum_across.into(),
            half_across: plan.half_across.into(),
            sum_list: list(plan.sum_across),
            half_list: list(plan.half_across),
            sum_tracks: plan.sum_across.count_ones(),
            half_pairs: plan.half_across.count_ones(),
        }
    }

    /// Whether no band is read.
    pub fn is_empty(&self) -> bool {
        self.sum_tracks + self.half_pairs == 0
    }

    /// Threads of a block of `columns`, and of one of `rows`.
    pub fn threads(&self) -> [u32; 2] {
        let warps = (self.sum_tracks + self.half_pairs).max(1);
        [warps * LANES as u32, if self.half_pairs > 0 { STRIP + STRIP / 2 } else { STRIP } as u32]
    }
}

/// Channels, and their terms: the number of a band above its weight.
pub(super) fn tables(plan: &Plan) -> (Vec<Channel>, Vec<u32>) {
    let mut terms = Vec::new();
    let channels = plan.rows.iter().map(|row| {
        let first = terms.len() as u32;
        terms.extend(row.terms.iter().map(|&(b, w)| u32::from(b) << 16 | u32::from(w as u16)));
        Channel {
            bias: row.bias,
            factor: row.divisor.factor,
            part: row.divisor.part,
            back: row.divisor.back,
            shift: row.divisor.shift as u16,
            count: row.terms.len() as u16,
            first,
        }
    });
    (channels.collect(), terms)
}

impl Picture {
    /// Pictures like this one; `None` if numbers of the kernels do not reach so far.
    pub fn new(frame: FrameRef<'_>, plan: &Plan, reads: &Reads) -> Option<Self> {
        let (format, bytes) = bytes(frame)?;
        let [height, width] = [frame.extent[0], frame.extent[1]];
        if height.max(width) > SIDE {
            return None;
        }
        let [rows, cols] = [height, width].map(|e| cells(e, CELL));
        let (pitch, chroma_pitch) = match format {
            Format::Rgb => (3 * width, 0),
            Format::Gray => (width, 0),
            Format::Nv12 => (width, 2 * width.div_ceil(2)),
            Format::Yuyv => (4 * width.div_ceil(2), 0),
        };
        let track_pitch = cols.next_multiple_of(CHUNK);
        let each = CELL * (reads.sum_tracks + reads.half_pairs) as usize * rows;
        let int = |v: usize| i32::try_from(v).ok();
        Some(Self {
            height: int(height)?,
            width: int(width)?,
            rows: int(rows)?,
            cols: int(cols)?,
            format: format as i32,
            colour: i32::from(plan.inputs == 3),
            pitch: int(pitch)?,
            chroma_pitch: int(chroma_pitch)?,
            chroma: (height * width) as u64,
            picture: bytes.len() as u64,
            track_pitch: int(track_pitch)?,
            channels: int(plan.rows.len())?,
            tracks: (track_pitch as u64).checked_mul(each as u64)?,
        })
    }

    /// Bytes of the pixels of a picture, values of its tracks, values of its latents.
    pub fn sizes(&self) -> [usize; 3] {
        let latents = self.channels as usize * self.rows as usize * self.cols as usize;
        [self.picture as usize, self.tracks as usize, latents]
    }

    /// Blocks of `rows` and of `columns` for so many pictures.
    pub fn grids(&self, pictures: u32) -> [(u32, u32, u32); 2] {
        let (rows, cols) = (self.rows as usize, self.cols as usize);
        let blocks = |across: usize, down: usize| (across as u32, down as u32, pictures);
        [
            blocks(cols.div_ceil(SEGMENT), (rows * CELL).div_ceil(STRIP)),
            blocks(cols.div_ceil(LANES), rows.div_ceil(FALL)),
        ]
    }
}

// The half bands of an opponent follow those of the other in the kernels' shared memory.
const _: () = assert!(HALF_BANDS == 16 && CELL == 8);
