//! The same codec with its channels in another order.

use super::bundle::{Bundle, Parts};
use super::contexts::{
    BANDS, Choice, Contexts, FEATURES, FIRST_REFERENCE, LEVELS, REFERENCES, TAPS, block_start,
};
use super::projection::Projection;
use super::tables::Tables;
use crate::error::{Error, Result};

impl Bundle {
    /// The same codec with its channels in another order, and so with another codec id.
    ///
    /// `order[k]` is the channel that comes to stand at place `k`; the groups keep their sizes. All
    /// channels together say what they said before. The numbers of the entropy coders go with their
    /// channels; where a channel of the dense coder looked at one that no longer stands before it in
    /// its group, it looks at none, which costs bits until the contexts are fitted anew.
    ///
    /// # Errors
    /// `Shape` if `order` does not name every channel once.
    pub fn reordered(&self, order: &[usize]) -> Result<Self> {
        let channels = self.channels();
        let mut place = vec![usize::MAX; channels];
        for (k, &c) in order.iter().enumerate().filter(|(_, c)| **c < channels) {
            place[c] = k;
        }
        if order.len() != channels || place.contains(&usize::MAX) {
            let expected = format!("each of 0 to {} once", channels.saturating_sub(1));
            return Err(Error::shape("order of channels", expected, format!("{order:?}")));
        }
        let p: &Parts = self;
        let rows = permuted(p.analysis.weight(), p.analysis.terms(), order);
        let analysis = match p.analysis.index() {
            Some(index) => {
                let terms = p.analysis.terms();
                Projection::sparse(p.analysis.cols(), terms, permuted(index, terms, order), rows)?
            }
            None => Projection::dense(p.analysis.cols(), rows)?,
        };
        let synthesis = match p.synthesis.index() {
            Some(index) => {
                let index = index.iter().map(|&c| place[usize::from(c)] as u16).collect();
                let weight = p.synthesis.weight().to_vec();
                Projection::sparse(channels, p.synthesis.terms(), index, weight)?
            }
            None => Projection::dense(channels, permuted(p.synthesis.weight(), 1, order))?,
        };
        let tables = Tables::new(
            p.tables.frequencies().to_vec(),
            permuted(p.tables.choices(), 1, order),
            channels,
        )?;
        Self::new(Parts {
            analysis,
            synthesis,
            tables,
            contexts: contexts(&p.contexts, &p.groups, order, &place),
            bias: permuted(&p.bias, 1, order),
            steps: permuted(&p.steps, 1, order),
            deviation: permuted(&p.deviation, 1, order),
            ..p.clone()
        })
    }
}

/// Runs of `each` values, one for each channel, in another order.
///
/// Shape: `[..., channels, each]`.
fn permuted<T: Copy>(values: &[T], each: usize, order: &[usize]) -> Vec<T> {
    values
        .chunks_exact((order.len() * each).max(1))
        .flat_map(|all| order.iter().flat_map(move |&c| &all[c * each..(c + 1) * each]))
        .copied()
        .collect()
}

fn contexts(c: &Contexts, groups: &[usize], order: &[usize], place: &[usize]) -> Contexts {
    let channels = order.len();
    let mut references = permuted(&c.references, REFERENCES, order);
    let choice = |choice: &Choice| Choice {
        weights: permuted(&choice.weights, FEATURES, order),
        select: permuted(&choice.select, choice.phases(channels) * LEVELS, order),
    };
    let (mut alone, mut continued) = (choice(&c.alone), c.continued.as_ref().map(choice));
    let mut first = 0;
    for &end in groups {
        for k in first..end {
            let known = first..block_start(first, k);
            for r in 0..REFERENCES {
                let reference = &mut references[k * REFERENCES + r];
                let to = place[usize::from(*reference)];
                *reference = to as u16;
                if known.contains(&to) {
                    continue;
                }
                // Not there when this channel is decoded: itself stands for none, with no weight.
                *reference = k as u16;
                for choice in std::iter::once(&mut alone).chain(&mut continued) {
                    for band in 0..BANDS {
                        let at = (band * channels + k) * FEATURES + FIRST_REFERENCE + 2 * r;
                        choice.weights[at..at + 2].fill(0);
                    }
                }
            }
        }
        first = end;
    }
    Contexts {
        references,
        taps: permuted(&c.taps, TAPS, order),
        alone,
        continued,
        frequencies: c.frequencies.clone(),
    }
}
