//! What a device says it can do.

use std::os::fd::AsFd;

use super::super::ioctl::call;
use super::abi::{self, FormatEntry, Fraction, IntervalEntry, SizeEntry};
use super::video::{Fourcc, Mode, Wish};

/// Entries of a list that are read at most: a broken driver may never end one.
const ENTRIES: u32 = 256;

/// Sizes of a format.
enum Sizes {
    /// Columns and rows, one by one.
    Listed(Vec<[u32; 2]>),
    /// Least, most and step of columns, and of rows.
    Between([[u32; 3]; 2]),
    /// The driver does not say.
    Unknown,
}

/// The formats of a device.
pub(super) fn formats(device: impl AsFd) -> Vec<Fourcc> {
    let mut all = Vec::new();
    for index in 0..ENTRIES {
        let mut entry = FormatEntry { index, buffer_type: abi::CAPTURE, ..FormatEntry::default() };
        if call::<{ abi::ENUM_FMT }, _>(&device, &mut entry).is_err() {
            break;
        }
        all.push(Fourcc(entry.fourcc));
    }
    all
}

/// Columns and rows that a format has; the least and the most, if there are all between.
pub(super) fn listed(device: impl AsFd, fourcc: Fourcc) -> Vec<[u32; 2]> {
    match sizes(&device, fourcc) {
        Sizes::Listed(all) => all,
        Sizes::Between([x, y]) => vec![[x[0], y[0]], [x[1], y[1]]],
        Sizes::Unknown => Vec::new(),
    }
}

/// What can be read, at all sizes that are listed or at the one nearest to what is wished.
pub(super) fn modes(device: impl AsFd, wish: &Wish) -> Vec<Mode> {
    let wished = [wish.width, wish.height];
    let mut all = Vec::new();
    for fourcc in formats(&device).into_iter().filter(|f| f.pixels().is_some()) {
        let sizes = match sizes(&device, fourcc) {
            Sizes::Listed(all) => all,
            Sizes::Between([x, y]) => vec![[nearest(x, wished[0]), nearest(y, wished[1])]],
            // It says what it can when it is asked to do it.
            Sizes::Unknown => vec![wished],
        };
        for size in sizes {
            let rates = rates(&device, fourcc, size, wish.fps);
            all.push(Mode { fourcc, size, rates });
        }
    }
    all
}

fn sizes(device: impl AsFd, fourcc: Fourcc) -> Sizes {
    let mut all = Vec::new();
    for index in 0..ENTRIES {
        let mut entry = SizeEntry { index, fourcc: fourcc.0, ..SizeEntry::default() };
        if call::<{ abi::ENUM_FRAMESIZES }, _>(&device, &mut entry).is_err() {
            break;
        }
        let [a, b, c, d, e, f] = entry.sides;
        match entry.kind {
            abi::DISCRETE => all.push([a, b]),
            _ => return Sizes::Between([[a, b, c], [d, e, f]]),
        }
    }
    if all.is_empty() { Sizes::Unknown } else { Sizes::Listed(all) }
}

/// The side nearest to `wished` of those from least to most in steps.
fn nearest([least, most, step]: [u32; 3], wished: u32) -> u32 {
    let (most, step) = (most.max(least), step.max(1));
    let above = wished.clamp(least, most) - least;
    // Rounded to a step; the last one lies within.
    let steps = ((above + step / 2) / step).min((most - least) / step);
    least + steps * step
}

fn rates(device: impl AsFd, fourcc: Fourcc, [width, height]: [u32; 2], wished: f64) -> Vec<f64> {
    let mut all = Vec::new();
    for index in 0..ENTRIES {
        let fourcc = fourcc.0;
        let mut entry = IntervalEntry { index, fourcc, width, height, ..IntervalEntry::default() };
        if call::<{ abi::ENUM_FRAMEINTERVALS }, _>(&device, &mut entry).is_err() {
            break;
        }
        let [one, most, _] = entry.intervals.map(rate);
        match entry.kind {
            abi::DISCRETE => all.extend(one),
            _ => {
                if let (Some(high), Some(low)) = (one, most) {
                    all.push(wished.min(high).max(low));
                }
                break;
            }
        }
    }
    all
}

/// Pictures a second, of the time from one to the next.
pub(super) fn rate(interval: Fraction) -> Option<f64> {
    let rate = f64::from(interval.denominator) / f64::from(interval.numerator);
    (rate > 0.0 && rate.is_finite()).then_some(rate)
}

/// The time from one picture to the next, of pictures a second.
pub(super) fn interval(fps: f64) -> Fraction {
    let thousandths = |factor: f64| (fps * factor).round().clamp(1.0, f64::from(u32::MAX)) as u32;
    // Rates of television are whole numbers by 1.001.
    let whole = |rate: f64| (rate - rate.round()).abs() < 1e-3 && rate.round() >= 1.0;
    if whole(fps) {
        Fraction { numerator: 1, denominator: thousandths(1.0) }
    } else if whole(fps * 1.001) {
        Fraction { numerator: 1001, denominator: (fps * 1.001).round() as u32 * 1000 }
    } else {
        Fraction { numerator: 1000, denominator: thousandths(1000.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_lie_on_steps_within_their_ends() {
        assert_eq!(nearest([16, 4096, 16], 1280), 1280);
        assert_eq!(nearest([16, 4096, 16], 1287), 1280);
        assert_eq!(nearest([16, 4096, 16], 1289), 1296);
        assert_eq!(nearest([16, 100, 16], 5000), 96);
        assert_eq!(nearest([16, 4096, 16], 1), 16);
        assert_eq!(nearest([640, 640, 0], 1280), 640);
        assert_eq!(nearest([0, u32::MAX, 1], u32::MAX), u32::MAX);
        assert_eq!(nearest([9, 3, 7], 5), 9);
    }

    #[test]
    fn intervals_are_those_that_cameras_know() {
        let fraction = |numerator, denominator| Fraction { numerator, denominator };
        assert_eq!(interval(30.0), fraction(1, 30));
        assert_eq!(interval(29.97), fraction(1001, 30000));
        assert_eq!(interval(7.5), fraction(1000, 7500));
        assert_eq!(interval(0.5), fraction(1000, 500));
        assert_eq!(rate(fraction(1, 0)), None);
        assert_eq!(rate(fraction(0, 30)), None);
        assert_eq!(rate(fraction(0, 0)), None);
        assert_eq!(rate(fraction(2, 30)), Some(15.0));
    }
}
