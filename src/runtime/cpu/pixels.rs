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
                // Byte by byte and by index: this is the form that becomes shuffles of registers.
                let count = pixels.len();
                let wide = |v: u8| i16::from(v);
                if a.is_empty() {
                    for (sum, p) in sum[..count].iter_mut().zip(pixels) {
                        *sum = (wide(p[0]) + wide(p[1]) + wide(p[2])) * 8 - CENTRE;
                    }
                } else {
                    let (sum, a, b) = (&mut sum[..count], &mut a[..count], &mut b[..count]);
                    for (i, p) in pixels.iter().enumerate() {
                        let (red, green, blue) = (wide(p[0]), wide(p[1]), wide(p[2]));
                        sum[i] = (red + green + blue) * 8 - CENTRE;
                        a[i] = (red - blue) * 8;
                        b[i] = (2 * green - red - blue) * 8;
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
            Self::Other { .. } => {
                for x in inside.clone() {
                    let [red, green, blue] = self.pixel(first + x);
                    sum[x - left] = red + green + blue - CENTRE;
                    if !a.is_empty() {
                        a[x - left] = red - blue;
                        b[x - left] = 2 * green - red - blue;
                    }
                }
            }
        }
        for x in inside.end..columns.end {
            let (to, from) = (x - left, mirror(x, width));
            // A tile that begins near the edge or beyond it may have to look back out of itself.
            let [red, green, blue] = match from >= left {
                true => {
                    sum[to] = sum[from - left];
                    if !a.is_empty() {
                        (a[to], b[to]) = (a[from - left], b[from - left]);
                    }
                    continue;
                }
                false => self.pixel(first + from),
            };
            sum[to] = red + green + blue - CENTRE;
            if !a.is_empty() {
                (a[to], b[to]) = (red - blue, 2 * green - red - blue);
            }
        }
    }

    /// Red, green and blue of one pixel, 8 to a level.
    #[inline(always)]
    fn pixel(&self, at: usize) -> [i16; 3] {
        match *self {
            Self::Rgb8(v) => [v[3 * at], v[3 * at + 1], v[3 * at + 2]].map(|x| i16::from(x) * 8),
            Self::Gray8(v) => [i16::from(v[at]) * 8; 3],
            Self::Other { samples, channels } => {
                let last = channels - 1;
                [0, 1, 2].map(|c| fixed::value(samples, at * channels + last.min(c)))
            }
        }
    }
}
