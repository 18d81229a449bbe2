//! Pixels of a frame to its planes: the sum of the colours and, for colour codecs, two opponents.

use std::ops::Range;

use crate::codec::fixed::{self, CENTRE};
use crate::codec::{Frame, Samples};
use crate::signal::mirror;

/// The pixels of a frame, by how they lie in memory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pixels<'a> {
    /// Red, green, blue bytes.
    Rgb8(&'a [u8]),
    /// One byte.
    Gray8(&'a [u8]),
    /// Anything else, sample by sample.
    Other { samples: &'a Samples, channels: usize },
}

impl<'a> Pixels<'a> {
    pub fn of(frame: &'a Frame) -> Self {
        match (&frame.samples, frame.channels) {
            (Samples::U8(v), 3) => Self::Rgb8(v),
            (Samples::U8(v), 1) => Self::Gray8(v),
            (samples, channels) => Self::Other { samples, channels },
        }
    }

    /// Planes of some columns of a row of `width` pixels, mirrored beyond it. Opponents that are
    /// not wanted are empty.
    #[inline(always)]
    pub fn planes(
        &self,
        row: usize,
        columns: Range<usize>,
        width: usize,
        sum: &mut [i16],
        a: &mut [i16],
        b: &mut [i16],
    ) {
        let left = columns.start;
        let inside = columns.start.min(width)..columns.end.min(width);
        let first = row * width;
        match *self {
            Self::Rgb8(pixels) => {
                let pixels = &pixels[3 * (first + inside.start)..3 * (first + inside.end)];
                let (pixels, _) = pixels.as_chunks::<3>();
                if a.is_empty() {
                    for (sum, p) in sum.iter_mut().zip(pixels) {
                        let [r, g, b] = p.map(i16::from);
                        *sum = (r + g + b) * 8 - CENTRE;
                    }
                } else {
                    for (((sum, a), b), p) in
                        sum.iter_mut().zip(a.iter_mut()).zip(b.iter_mut()).zip(pixels)
                    {
                        let [red, green, blue] = p.map(i16::from);
                        *sum = (red + green + blue) * 8 - CENTRE;
                        *a = (red - blue) * 8;
                        *b = (2 * green - red - blue) * 8;
                    }
                }
            }
            Self::Gray8(pixels) => {
                for (sum, &p) in
                    sum.iter_mut().zip(&pixels[first + inside.start..first + inside.end])
                {
                    *sum = i16::from(p) * 24 - CENTRE;
                }
                a.fill(0);
                b.fill(0);
            }
            Self::Other { samples, channels } => {
                for x in inside.clone() {
                    let at = (first + x) * channels;
                    let [r, g, blue] =
                        [0, 1, 2].map(|c| fixed::value(samples, at + c.min(channels - 1)));
                    sum[x - left] = r + g + blue - CENTRE;
                    if !a.is_empty() {
                        a[x - left] = r - blue;
                        b[x - left] = 2 * g - r - blue;
                    }
                }
            }
        }
        for x in inside.end..columns.end {
            let (to, from) = (x - left, mirror(x, width));
            // A picture narrower than a cell, or a tile that begins beyond it, looks further back.
            if from >= left {
                sum[to] = sum[from - left];
                if !a.is_empty() {
                    (a[to], b[to]) = (a[from - left], b[from - left]);
                }
            } else {
                let one = |v: &mut [i16]| if v.is_empty() { 0..0 } else { to..to + 1 };
                let (ra, rb) = (one(a), one(b));
                self.planes(row, from..from + 1, width, &mut sum[to..=to], &mut a[ra], &mut b[rb]);
            }
        }
    }
}
