//! Frames from the bytes that a camera gives.

use super::super::pixels::Pixels;
use super::mjpeg;
use super::video::Shape;
use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};
use crate::pipeline::media::Limits;

/// Widest row accepted, in bytes that are used; drivers pad rows to pages at most.
const WIDEST: usize = 8;
/// The same for narrow pictures.
const PAD: usize = 1 << 16;
/// Bytes a JPEG may have besides four for each pixel.
const JPEG_PAD: usize = 1 << 20;

impl Shape {
    /// Rows and bytes of a row of each plane; none if each picture is a file.
    fn planes(&self) -> Vec<[usize; 2]> {
        let [width, height] = self.size.map(|n| n as usize);
        let pairs = 2 * width.div_ceil(2);
        match self.pixels {
            Pixels::Yuyv => vec![[height, 2 * pairs]],
            Pixels::Nv12 => vec![[height, width], [height.div_ceil(2), pairs]],
            Pixels::Rgb24 => vec![[height, 3 * width]],
            Pixels::Grey => vec![[height, width]],
            Pixels::Mjpeg => Vec::new(),
        }
    }

    /// Bytes of the widest row.
    fn row(&self) -> usize {
        self.planes().iter().map(|&[_, row]| row).max().unwrap_or(0)
    }

    /// Bytes from row to row.
    fn step(&self) -> usize {
        if self.stride == 0 { self.row() } else { self.stride as usize }
    }

    /// Bytes that hold one picture, at most what a JPEG may have.
    pub(super) fn bytes(&self) -> usize {
        let [width, height] = self.size.map(|n| n as usize);
        let planes = self.planes();
        match planes.last() {
            // The padding behind the last row may be missing.
            Some([_, last]) => {
                let rows: usize = planes.iter().map(|&[rows, _]| rows).sum();
                rows.saturating_sub(1).saturating_mul(self.step()).saturating_add(*last)
            }
            None => width.saturating_mul(height).saturating_mul(4).saturating_add(JPEG_PAD),
        }
    }

    /// Checks what a driver says of its pictures before anything is sized by it.
    ///
    /// # Errors
    /// `Limit` or `Input` if they are too large or empty, `Device` if rows overlap or lie too far apart.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        let [width, height] = self.size;
        Limits::default().check_picture(name, height.into(), width.into())?;
        let (row, step) = (self.row(), self.step());
        if step < row || step > row * WIDEST + PAD {
            let reason = format!(
                "rows of {} at width {width} every {step} bytes, needed {row} to {}: the driver is broken; try another source.format",
                self.pixels.name(),
                row * WIDEST + PAD
            );
            return Err(Error::Device { device: name.into(), reason });
        }
        Ok(())
    }

    /// What is not as the codec takes it, one sentence each.
    pub(super) fn oddities(&self) -> Vec<String> {
        let (mut all, name) = (Vec::new(), self.pixels.name());
        match self.pixels {
            Pixels::Yuyv | Pixels::Nv12 => {
                if let Some(matrix) = self.colour.matrix {
                    all.push(format!(
                        "{name} of the camera is {matrix}; it is taken as BT.601: colours shift a little"
                    ));
                }
                if self.colour.full == Some(true) {
                    all.push(format!(
                        "{name} of the camera has full range; it is taken as 16 to 235: contrast grows, ends are cut"
                    ));
                }
            }
            Pixels::Rgb24 | Pixels::Grey if self.colour.full == Some(false) => {
                all.push(format!(
                    "{name} of the camera has video range; it is taken as 0 to 255: contrast shrinks"
                ));
            }
            Pixels::Rgb24 | Pixels::Grey | Pixels::Mjpeg => {}
        }
        if self.interlaced {
            all.push(
                "the camera gives interlaced pictures: what moves has combs; choose another mode"
                    .into(),
            );
        }
        all
    }

    /// The frame that `bytes` hold.
    ///
    /// # Errors
    /// `Input` if they hold less than a picture, or a damaged one.
    pub(super) fn frame(&self, mut bytes: Vec<u8>, name: &str) -> Result<Frame> {
        let [width, height] = self.size.map(|n| n as usize);
        let layout = match self.pixels {
            Pixels::Mjpeg => return mjpeg::read(&bytes, [height, width], name),
            Pixels::Grey => Layout::Gray,
            _ => Layout::Rgb,
        };
        let wanted = self.bytes();
        if bytes.len() < wanted {
            let reason = format!("{} of {wanted} bytes of a picture came", bytes.len());
            return Err(Error::input(name, reason));
        }
        pack(&mut bytes, &self.planes(), self.step());
        let samples = match self.pixels {
            Pixels::Yuyv => Samples::Yuyv(bytes),
            Pixels::Nv12 => Samples::Nv12(bytes),
            _ => Samples::U8(bytes),
        };
        Frame::new(layout, self.pixels.channels(), vec![height, width], samples)
    }
}

/// Moves rows that lie `step` apart together, in place.
pub(super) fn pack(bytes: &mut Vec<u8>, planes: &[[usize; 2]], step: usize) {
    let (mut from, mut to) = (0, 0);
    for &[rows, row] in planes {
        if row == step && from == to {
            from += rows * row;
            to = from;
            continue;
        }
        for _ in 0..rows {
            bytes.copy_within(from..from + row, to);
            from += step;
            to += row;
        }
    }
    bytes.truncate(to);
}
