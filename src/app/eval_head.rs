//! What a head makes of the first channels of each order, for `tamis eval --orders --head`.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::codec::Bundle;
use crate::error::{Error, Result};
use crate::lab::order::{Order, Trial};
use crate::runtime::{HeadCard, Prediction, find_head};

/// Files that the relevance of channels to the task is taken from, at most.
const FILES: usize = 64;

/// A head, and the files it is asked about.
pub struct Task<'a> {
    name: &'a str,
    bundle: &'a Arc<Bundle>,
    card: HeadCard,
}

impl<'a> Task<'a> {
    /// Finds the head.
    ///
    /// # Errors
    /// `Config` if there is none, `Bundle` if it reads another codec.
    pub fn new(name: &'a str, bundle: &'a Arc<Bundle>) -> Result<Self> {
        let head = find_head(name).map_err(|e| Error::config("--head", e))?;
        head.check(bundle)?;
        Ok(Self { name, bundle, card: head.card().clone() })
    }

    /// What a file shows, by the folder it stands in or by the letters before the first `_` of its
    /// name.
    ///
    /// # Errors
    /// `Input` if neither is a label of the head.
    pub fn truth(&self, path: &str) -> Result<String> {
        let text = |part: Option<&std::ffi::OsStr>| part.map(|s| s.to_string_lossy().into_owned());
        let file = Path::new(path);
        let folder = text(file.parent().and_then(Path::file_name)).unwrap_or_default();
        let stem = text(file.file_stem()).unwrap_or_default();
        let before = stem.split('_').next().unwrap_or_default();
        let labels = &self.card.labels;
        let known = |name: &str| labels.iter().find(|l| *l == name).cloned();
        known(&folder).or_else(|| known(before)).ok_or_else(|| {
            let reason = format!(
                "neither its folder {folder:?} nor the name before `_` {before:?} is a label of \
                 {}: {}",
                self.name,
                labels.join(", ")
            );
            Error::input(path, reason)
        })
    }

    /// Change of the answer when a channel is left out, for each channel: half the sum of the
    /// changes of all probabilities, mean over the first files.
    ///
    /// # Errors
    /// As [`crate::runtime::Head::run`].
    pub fn relevance(&self, trials: &[Trial]) -> Result<Vec<f64>> {
        let all: Vec<usize> = (0..self.bundle.channels()).collect();
        let trials = &trials[..trials.len().min(FILES)];
        let each = self.shared(trials, |ask, part| {
            let mut changes = vec![0.0; all.len()];
            for trial in part {
                let whole = ask(trial, &all)?;
                for (c, change) in changes.iter_mut().enumerate() {
                    let kept: Vec<usize> = all.iter().copied().filter(|&k| k != c).collect();
                    *change += distance(&whole, &ask(trial, &kept)?) / trials.len() as f64;
                }
            }
            Ok(changes)
        })?;
        Ok(sum(&each, all.len()))
    }

    /// Share of files that are named rightly, for each number of channels, mean over draws.
    ///
    /// Units: percent.
    ///
    /// # Errors
    /// As [`crate::runtime::Head::run`].
    pub fn right(
        &self,
        trials: &[Trial],
        truths: &[String],
        orders: &[Order],
        counts: &[usize],
    ) -> Result<Vec<f64>> {
        let pairs: Vec<(&Trial, &String)> = trials.iter().zip(truths).collect();
        let each = self.shared(&pairs, |ask, part| {
            let mut right = vec![0.0; counts.len()];
            for (trial, truth) in part {
                for order in orders {
                    for (sum, &n) in right.iter_mut().zip(counts) {
                        let found = ask(trial, &order.channels[..n])?;
                        *sum += f64::from(found.top.first().is_some_and(|t| t.0 == **truth));
                    }
                }
            }
            Ok(right)
        })?;
        let asked = (trials.len() * orders.len()).max(1) as f64;
        Ok(sum(&each, counts.len()).into_iter().map(|n| 100.0 * n / asked).collect())
    }

    /// Shares files out to threads, each with a head of its own to ask.
    fn shared<T: Sync>(
        &self,
        files: &[T],
        work: impl Fn(&mut dyn FnMut(&Trial, &[usize]) -> Result<Prediction>, &[T]) -> Result<Vec<f64>>
        + Sync,
    ) -> Result<Vec<Vec<f64>>> {
        let part = files.len().div_ceil(rayon::current_num_threads()).max(1);
        files
            .par_chunks(part)
            .map(|part| {
                let mut head = find_head(self.name)?;
                work(&mut |trial, kept| head.run(self.bundle, &trial.keeping(kept)), part)
            })
            .collect()
    }
}

/// Half the sum of the differences of two answers' probabilities.
fn distance(a: &Prediction, b: &Prediction) -> f64 {
    let of = |label: &str| b.top.iter().find(|t| t.0 == label).map_or(0.0, |t| t.1);
    a.top.iter().map(|(label, p)| f64::from((p - of(label)).abs())).sum::<f64>() / 2.0
}

fn sum(parts: &[Vec<f64>], len: usize) -> Vec<f64> {
    (0..len).map(|k| parts.iter().map(|p| p[k]).sum()).collect()
}
