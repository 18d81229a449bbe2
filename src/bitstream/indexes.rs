//! Which places of a stream have been seen.

use std::collections::BTreeMap;

/// The places that packets of one stream had, in any order, as often as they came.
#[derive(Debug, Clone, Default)]
pub struct Indexes {
    /// Runs of neighbours that have been seen: their first and last.
    runs: BTreeMap<u64, u64>,
}

impl Indexes {
    /// Adds a place.
    pub fn insert(&mut self, index: u64) {
        let before = self.runs.range_mut(..=index).next_back();
        let first = match before {
            Some((_, last)) if *last >= index => return,
            Some((&first, last)) if *last == index - 1 => {
                *last = index;
                first
            }
            _ => {
                self.runs.insert(index, index);
                index
            }
        };
        let behind = index.checked_add(1).and_then(|next| self.runs.remove(&next));
        if let Some(last) = behind {
            self.runs.insert(first, last);
        }
    }

    /// Places between the first and the last that never came. None if no two neighbours came: then
    /// the stream was thinned and has no packet for every place.
    pub fn missing(&self) -> u64 {
        if self.runs.iter().all(|(first, last)| first == last) {
            return 0;
        }
        let behind = self.runs.iter().skip(1);
        self.runs.iter().zip(behind).map(|((_, last), (next, _))| next - last - 1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_numbers_do_no_harm() {
        let mut seen = Indexes::default();
        for index in [u64::MAX, 0, u64::MAX, 1, 0, u64::MAX - 1] {
            seen.insert(index);
        }
        assert_eq!(seen.missing(), u64::MAX - 3);
        assert_eq!(Indexes::default().missing(), 0);
    }

    #[test]
    fn a_thinned_stream_misses_nothing() {
        let mut seen = Indexes::default();
        (0..9).for_each(|i| seen.insert(2 * i));
        assert_eq!(seen.missing(), 0);
    }

    proptest! {
        #[test]
        fn order_and_repetition_change_nothing(indexes in proptest::collection::vec(0u64..40, 0..60)) {
            let mut seen = Indexes::default();
            indexes.iter().for_each(|&i| seen.insert(i));
            let mut sorted = indexes.clone();
            sorted.sort_unstable();
            sorted.dedup();
            let neighbours = sorted.windows(2).any(|w| w[1] == w[0] + 1);
            let spread = sorted.last().map_or(0, |l| l - sorted[0] + 1);
            let expected = if neighbours { spread - sorted.len() as u64 } else { 0 };
            prop_assert_eq!(seen.missing(), expected);
        }
    }
}
