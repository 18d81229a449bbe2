//! Says what is missing in sounds that nothing decodes.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Stage;
use crate::pipeline::warning::Warning;

/// Compares where each packet of a sound begins with where the one before ended.
#[derive(Debug, Default)]
pub struct Gaps {
    /// Where the sound of each stream goes on.
    next: BTreeMap<u32, u64>,
}

impl Stage for Gaps {
    fn name(&self) -> &str {
        "gaps"
    }

    fn needs(&self) -> Parts {
        Parts::LATENT
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in batch {
            let sound = item.header.as_ref().is_some_and(|h| h.rate() > 0);
            let Some(latent) = item.latent.as_ref().filter(|_| sound) else { continue };
            let (span, steps) = (latent.span, latent.grid.last().copied().unwrap_or(0) as u64);
            let expected = self.next.remove(&item.stamp.stream);
            if let Some(expected) = expected.or((!span.reset).then_some(0))
                && expected != span.position
                && !span.reset
            {
                let text = match span.position.checked_sub(expected) {
                    Some(missing) => format!("{missing} steps of the latent missing before it"),
                    None => format!("it goes back to step {}, {expected} was next", span.position),
                };
                item.warnings.push(Warning::missing(text));
            }
            if !span.end {
                self.next.insert(item.stamp.stream, span.position.saturating_add(steps));
            }
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.next.clear();
    }
}
