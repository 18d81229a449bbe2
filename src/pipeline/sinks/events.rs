//! Predictions as events for a broker.

use std::sync::Arc;

use super::prediction_json;
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Sink;
use crate::pipeline::outbox::Outbox;
use crate::runtime::HeadCard;

/// Which predictions are events.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Which {
    /// Those whose first label scores so much at least.
    pub min_score: f32,
    /// Those whose first label is another than that of the event before.
    pub on_change: bool,
}

/// Puts the record of each prediction that counts into an outbox. It waits for nobody.
pub struct Events {
    outbox: Arc<Outbox>,
    stream: Arc<str>,
    head: HeadCard,
    choice: Choice,
}

/// Which predictions were events, and are.
#[derive(Debug, Default)]
struct Choice {
    which: Which,
    /// The first label of the last event.
    last: Option<String>,
}

impl Events {
    /// Events of `stream`, which are what `head` says.
    pub fn new(outbox: Arc<Outbox>, stream: &str, head: HeadCard, which: Which) -> Self {
        let choice = Choice { which, last: None };
        Self { outbox, stream: stream.into(), head, choice }
    }
}

impl Choice {
    /// Whether a prediction is an event.
    fn counts(&mut self, top: Option<&(String, f32)>) -> bool {
        let Some((label, score)) = top else { return false };
        if *score < self.which.min_score {
            return false;
        }
        let changed = self.last.as_ref() != Some(label);
        if changed {
            self.last = Some(label.clone());
        }
        changed || !self.which.on_change
    }
}

impl Sink for Events {
    fn needs(&self) -> Parts {
        Parts::PREDICTION
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        for prediction in &item.predictions {
            if self.choice.counts(prediction.top.first()) {
                let record = prediction_json(item, prediction, &self.head);
                self.outbox.put(&self.stream, record.to_string());
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(which: Which, seen: &[(&str, f32)]) -> Vec<usize> {
        let mut choice = Choice { which, last: None };
        let top: Vec<_> = seen.iter().map(|(label, score)| ((*label).to_owned(), *score)).collect();
        (0..top.len()).filter(|&i| choice.counts(Some(&top[i]))).collect()
    }

    #[test]
    fn only_what_counts_is_an_event() {
        let seen = [("a", 0.9), ("a", 0.4), ("b", 0.4), ("a", 0.8), ("b", 0.6), ("b", 0.7)];
        let which = |min_score, on_change| Which { min_score, on_change };
        assert_eq!(events(which(0.0, false), &seen), [0, 1, 2, 3, 4, 5]);
        assert_eq!(events(which(0.5, false), &seen), [0, 3, 4, 5]);
        assert_eq!(events(which(0.0, true), &seen), [0, 2, 3, 4]);
        // What does not count is no change.
        assert_eq!(events(which(0.5, true), &seen), [0, 4]);
    }
}
