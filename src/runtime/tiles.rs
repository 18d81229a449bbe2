//! How a picture is cut into tiles that all have one size.

use std::ops::Range;

/// Tiles along one axis of a picture: what is read of each, and what is kept.
///
/// Units: cells. All tiles are read from ranges of one length, because a model is prepared for a
/// size: those at the ends have less to read beyond what they keep on the one side, and read more on
/// the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    /// Cells of the picture.
    len: usize,
    /// Cells that are read of every tile.
    pub window: usize,
    /// Cells that are kept of every tile but the last.
    step: usize,
    /// Cells on each side that what is kept depends on.
    reach: usize,
}

impl Axis {
    /// Tiles of `most` cells at most, of which as many as possible are kept: a multiple of `unit`.
    ///
    /// One tile takes the whole axis if it fits, or if there is no `reach`.
    pub fn new(len: usize, reach: Option<usize>, most: usize, unit: usize) -> Self {
        let whole = Self { len, window: len, step: len.max(1), reach: 0 };
        let Some(reach) = reach.filter(|_| len > most) else { return whole };
        // Where a tile is little more than what it reads beyond, larger tiles cost less.
        let room = most.saturating_sub(2 * reach).max(2 * reach) / unit * unit;
        let room = room.max(unit);
        let step = len.div_ceil(len.div_ceil(room)).next_multiple_of(unit);
        let window = step + 2 * reach;
        if window < len { Self { len, window, step, reach } } else { whole }
    }

    /// The tiles in their order: what is read, and what is kept of it.
    pub fn tiles(self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        (0..self.len).step_by(self.step).map(move |start| {
            let first = start.saturating_sub(self.reach).min(self.len - self.window);
            (first..first + self.window, start..(start + self.step).min(self.len))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_axis_once_with_all_they_depend_on() {
        for len in 0..400 {
            for (reach, most, unit) in [(0, 8, 1), (3, 16, 4), (9, 32, 4), (40, 64, 8), (7, 500, 4)]
            {
                let axis = Axis::new(len, Some(reach), most, unit);
                let mut next = 0;
                for (read, keep) in axis.tiles() {
                    assert_eq!((read.len(), keep.start), (axis.window, next));
                    assert!(read.start == 0 || read.start + reach <= keep.start);
                    assert!(read.end == len || keep.end + reach <= read.end);
                    assert!(keep.end == len || keep.end.is_multiple_of(unit));
                    next = keep.end;
                }
                assert_eq!(next, len);
                let most = most.max(4 * reach).max(2 * reach + unit);
                assert!(axis.window <= most || axis.window == len);
            }
        }
    }

    #[test]
    fn without_reach_there_is_one_tile() {
        let axis = Axis::new(1000, None, 64, 4);
        assert_eq!(axis.tiles().collect::<Vec<_>>(), [(0..1000, 0..1000)]);
    }
}
