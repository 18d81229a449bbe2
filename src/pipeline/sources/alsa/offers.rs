//! What a device says it can do.

use std::io;
use std::os::fd::AsFd;

use super::super::depth::Depth;
use super::super::ioctl::call;
use super::abi::{self, Hardware, Interval};
use super::listen::{Offer, Wish};

/// Rates that devices usually have.
const USUAL: [u32; 14] = [
    8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 176_400,
    192_000,
];
/// Channels that are tried at most.
const MOST: u32 = 64;

/// What can be read of a device, all its formats together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// Its formats.
    pub depths: Vec<Depth>,
    /// Channels: least and most.
    pub channels: [u32; 2],
    /// Those of the usual rates that it has; its least and its most, if it has none of them.
    pub rates: Vec<u32>,
}

impl Hardware {
    /// Everything that can be read.
    pub(super) fn any() -> Self {
        let all = Interval { min: 0, max: u32::MAX, flags: 0 };
        let mut any = Self { masks: [[u32::MAX; 8]; 8], intervals: [all; 21], ..Self::default() };
        any.only(abi::ACCESS, abi::READ_INTERLEAVED);
        any
    }

    /// Leaves one of a mask.
    pub(super) fn only(&mut self, mask: usize, bit: u32) {
        self.masks[mask] = [0; 8];
        self.masks[mask][bit as usize / 32] = 1 << (bit % 32);
    }

    fn has(&self, mask: usize, bit: u32) -> bool {
        self.masks[mask][bit as usize / 32] & 1 << (bit % 32) != 0
    }

    /// Leaves one number.
    pub(super) fn fix(&mut self, interval: usize, value: u32) {
        self.intervals[interval] = Interval { min: value, max: value, flags: abi::WHOLE };
    }

    /// The least and the most whole number that is left.
    pub(super) fn ends(&self, interval: usize) -> [u32; 2] {
        let Interval { min, max, flags } = self.intervals[interval];
        let least = min.saturating_add(u32::from(flags & abi::OPEN_MIN != 0));
        [least, max.saturating_sub(u32::from(flags & abi::OPEN_MAX != 0)).max(least)]
    }

    /// Lets the driver take away what it does not have.
    ///
    /// # Errors
    /// The system's word, if nothing is left.
    pub(super) fn refine(&mut self, device: impl AsFd) -> io::Result<()> {
        (self.asked, self.changed, self.info) = (u32::MAX, 0, 0);
        call::<{ abi::HW_REFINE }, _>(device, self)
    }

    /// What is left with another number fixed, if anything is.
    fn with(&self, device: impl AsFd, interval: usize, value: u32) -> Option<Self> {
        let mut with = self.clone();
        with.fix(interval, value);
        with.refine(device).ok().map(|()| with)
    }

    /// Those of the usual rates that are left, and `also` if it is.
    fn rates(&self, device: impl AsFd, also: Option<u32>) -> Vec<u32> {
        let [least, most] = self.ends(abi::RATE);
        let mut rates: Vec<u32> = USUAL.into_iter().chain(also).collect();
        rates.sort_unstable();
        rates.dedup();
        rates.retain(|r| (least..=most).contains(r) && self.with(&device, abi::RATE, *r).is_some());
        if rates.is_empty() {
            rates = vec![least, most];
            rates.dedup();
        }
        rates
    }
}

/// All that a device can do.
///
/// # Errors
/// The system's word, if it cannot be asked.
pub(super) fn abilities(device: impl AsFd) -> io::Result<Abilities> {
    let mut any = Hardware::any();
    any.refine(&device)?;
    let mut depths = Depth::ALL.to_vec();
    depths.retain(|d| any.has(abi::FORMAT, abi::format(*d)));
    Ok(Abilities { depths, channels: any.ends(abi::CHANNELS), rates: any.rates(&device, None) })
}

/// What can be read near what is wished, format by format.
///
/// # Errors
/// The system's word, if it cannot be asked.
pub(super) fn offers(device: impl AsFd, wish: &Wish) -> io::Result<Vec<Offer>> {
    let mut any = Hardware::any();
    any.refine(&device)?;
    let mut all = Vec::new();
    for depth in Depth::ALL.into_iter().filter(|d| any.has(abi::FORMAT, abi::format(*d))) {
        let mut some = any.clone();
        some.only(abi::FORMAT, abi::format(depth));
        if some.refine(&device).is_err() {
            continue;
        }
        let [least, most] = some.ends(abi::CHANNELS);
        let (more, fewer) = (wish.channels.max(least)..=most.min(MOST), 1..=wish.channels);
        // With too few there is at least something to name.
        let mut counts = more.chain(fewer.rev().filter(|c| (least..=most).contains(c)));
        let found = counts.find_map(|c| Some((c, some.with(&device, abi::CHANNELS, c)?)));
        if let Some((channels, some)) = found {
            let rates = some.rates(&device, Some(wish.rate));
            all.push(Offer { depth, channels, rates });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_read_with_its_ends() {
        let mut some = Hardware::any();
        assert!(some.has(abi::ACCESS, 3) && !some.has(abi::ACCESS, 0) && !some.has(abi::ACCESS, 4));
        some.only(abi::FORMAT, 32);
        assert!(some.has(abi::FORMAT, 32) && !some.has(abi::FORMAT, 0));
        assert_eq!(some.ends(abi::RATE), [0, u32::MAX]);
        some.fix(abi::RATE, 48000);
        assert_eq!(some.ends(abi::RATE), [48000, 48000]);
        let mut open = |min, max, flags| {
            some.intervals[abi::PERIOD] = Interval { min, max, flags };
            some.ends(abi::PERIOD)
        };
        assert_eq!(open(10, 20, abi::OPEN_MIN | abi::OPEN_MAX), [11, 19]);
        assert_eq!(open(10, 10, abi::OPEN_MAX), [10, 10]);
        assert_eq!(open(u32::MAX, 0, abi::OPEN_MIN | abi::OPEN_MAX), [u32::MAX, u32::MAX]);
    }
}
