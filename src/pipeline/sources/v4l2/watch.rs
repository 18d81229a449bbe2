//! What is odd about one picture after the other: some are missing, or all are the same.

use std::time::Duration;

/// Counts pictures that are missing between those that came.
#[derive(Debug, Default)]
pub(super) struct Sequence(Option<u32>);

impl Sequence {
    /// How many are missing before the picture that the driver counted as `number`.
    pub fn missing(&mut self, number: u32) -> u32 {
        let last = self.0.replace(number);
        let gap = last.map_or(0, |last| number.wrapping_sub(last).wrapping_sub(1));
        // A count that stands still or goes back began anew, or says nothing.
        if gap > u32::MAX / 2 { 0 } else { gap }
    }
}

/// Looks whether the picture changes.
#[derive(Debug, Default)]
pub(super) struct Still {
    /// The last picture by its checksum, since when it is there, and whether that was said.
    picture: Option<(u32, Duration, bool)>,
}

impl Still {
    /// Whether the picture is, with this one, the same for longer than `patience`; true once each time it stands still.
    pub fn stands(&mut self, bytes: &[u8], now: Duration, patience: Duration) -> bool {
        let sum = crc32c::crc32c(bytes);
        match &mut self.picture {
            Some((last, since, said)) if *last == sum => {
                let stands = now.saturating_sub(*since) > patience;
                stands && !std::mem::replace(said, true)
            }
            picture => {
                *picture = Some((sum, now, false));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_and_a_new_count_is_none() {
        let mut sequence = Sequence::default();
        let numbers = [7, 8, 10, 15, 15, 14, 0, 1, u32::MAX, 0, 3];
        let found = numbers.map(|n| sequence.missing(n));
        assert_eq!(found, [0, 0, 1, 4, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn a_picture_that_stands_still_is_told_once() {
        let (s, mut still) = (Duration::from_secs, Still::default());
        let mut at = |picture: &[u8], t| still.stands(picture, s(t), s(5));
        assert!(!at(b"a", 0) && !at(b"a", 5));
        assert!(at(b"a", 6));
        assert!(!at(b"a", 7) && !at(b"a", 100));
        assert!(!at(b"b", 101) && !at(b"b", 105) && !at(b"a", 106) && !at(b"a", 111));
        assert!(at(b"a", 112));
    }
}
