//! Places of a stream, in runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A set of places, kept as runs: their first and last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(super) struct Spans {
    runs: BTreeMap<u64, u64>,
}

impl Spans {
    /// Adds all places from `first` to `last`.
    pub fn add(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let (mut from, mut to) = (first, last);
        if let Some((&start, &end)) = self.runs.range(..=from).next_back()
            && end >= from.saturating_sub(1)
        {
            (from, to) = (start, to.max(end));
        }
        while let Some((&start, &end)) = self.runs.range(from..=to.saturating_add(1)).next() {
            to = to.max(end);
            self.runs.remove(&start);
        }
        self.runs.insert(from, to);
    }

    /// Whether all places from `first` to `last` are in it.
    pub fn has(&self, first: u64, last: u64) -> bool {
        self.runs.range(..=first).next_back().is_some_and(|(_, &end)| end >= last)
    }

    /// How many places from `first` to `last` are in it.
    pub fn count(&self, first: u64, last: u64) -> u64 {
        let from = self.runs.range(..=first).next_back().map_or(first, |(&start, _)| start);
        let runs = self.runs.range(from..=last.max(from));
        runs.filter(|&(&a, &b)| a <= last && b >= first)
            .map(|(&a, &b)| (b.min(last) - a.max(first)).saturating_add(1))
            .fold(0, u64::saturating_add)
    }

    /// The last place in it.
    pub fn last(&self) -> Option<u64> {
        self.runs.last_key_value().map(|(_, &end)| end)
    }
}

impl From<Vec<(u64, u64)>> for Spans {
    fn from(runs: Vec<(u64, u64)>) -> Self {
        let mut spans = Self::default();
        runs.into_iter().for_each(|(a, b)| spans.add(a, b));
        spans
    }
}

impl From<Spans> for Vec<(u64, u64)> {
    fn from(spans: Spans) -> Self {
        spans.runs.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_the_numbers_do_no_harm() {
        let mut spans = Spans::default();
        spans.add(u64::MAX, u64::MAX);
        spans.add(0, 0);
        spans.add(1, u64::MAX - 2);
        assert!(!spans.has(0, u64::MAX) && spans.has(0, u64::MAX - 2));
        spans.add(u64::MAX - 1, u64::MAX - 1);
        assert!(spans.has(0, u64::MAX));
        assert_eq!((spans.count(0, u64::MAX), Vec::from(spans).len()), (u64::MAX, 1));
    }

    proptest! {
        #[test]
        fn they_are_a_set(adds in proptest::collection::vec((0u64..60, 0u64..9), 0..20), ask in (0u64..60, 0u64..9)) {
            let (mut spans, mut truth) = (Spans::default(), BTreeSet::new());
            for (first, more) in adds {
                spans.add(first, first + more);
                truth.extend(first..=first + more);
            }
            let (first, last) = (ask.0, ask.0 + ask.1);
            let inside = (first..=last).filter(|i| truth.contains(i)).count() as u64;
            prop_assert_eq!(spans.count(first, last), inside);
            prop_assert_eq!(spans.has(first, last), inside == last - first + 1);
            prop_assert_eq!(spans.last(), truth.last().copied());
            let runs: Vec<(u64, u64)> = spans.clone().into();
            prop_assert!(runs.windows(2).all(|w| w[0].1 + 1 < w[1].0), "{:?}", runs);
            prop_assert_eq!(Spans::from(runs), spans);
        }
    }
}
