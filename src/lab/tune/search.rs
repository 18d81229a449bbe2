//! Which ways to run a head are worth their time: schedules of its tokens, in floats and in int8.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::median;
use super::propose::{Family, Room, SHARES};
use super::staircase::Staircase;
use super::trial::{Trial, between, fall_behind, front, rounded};
use crate::codec::{Bundle, Latent};
use crate::error::{Error, Result};
use crate::runtime::{
    Head, LayerPlace, Options, Precision, Schedule, Tokens, Tuned, TunedRow, encoder_of, machine,
};

/// Latents that every way is tried on; how many ways at least are tried on all, and up to twice as many timed again.
const FEW: usize = 8;
const FINAL: usize = 24;
/// Ways that are run between two runs in floats with all tokens.
const EACH: usize = 16;
/// Turns in which the rows of the table are timed: at least, at most, and for how long; calls that count.
const TURNS: [usize; 2] = [5, 25];
const TIME: Duration = Duration::from_secs(20);
const CALLS: usize = 2;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Name of the head.
    pub name: &'a str,
    /// Its ONNX file.
    pub onnx: &'a [u8],
    /// The codec of the latents.
    pub bundle: &'a Bundle,
    /// What answers are compared on, at least one.
    pub latents: &'a [Latent],
    /// For each of them the place of its label, if that is known.
    pub truths: Option<&'a [usize]>,
    /// Layers that stay floats in int8.
    pub floats: &'a [LayerPlace],
    /// The time that there is for a latent. Units: milliseconds.
    pub target_ms: f64,
    /// The day that it is.
    pub date: String,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The table for the head.
    pub tuned: Tuned,
    /// Every way that was tried, with what is known of it: those that soon fell behind on few latents.
    pub tried: Vec<TunedRow>,
    /// Time against tokens, in floats and in int8.
    pub stairs: [Staircase; 2],
}

/// Runs the head in all ways.
struct Runner<'a> {
    asked: &'a Asked<'a>,
    /// In floats and in int8.
    heads: [Head; 2],
    /// Latents in an order in which the first are like all.
    order: Vec<usize>,
    /// Times in floats with all tokens.
    base: Vec<f64>,
    stop: &'a AtomicBool,
}

/// Searches the front of time and faithfulness, the cosine of the logits to those of floats with all tokens: what
/// falls behind on few latents is tried on no more (successive halving). `None` if it is stopped before.
///
/// Source: VFlowOpt (arXiv 2508.05211), equation 8, for the measure without labels; Jamieson and Talwalkar 2016 for
/// the halving.
///
/// # Errors
/// `Bundle` if no transformer is recognised in the head, or it does not run on the latents; `Input` if
/// there are no latents.
pub fn search(
    asked: &Asked<'_>,
    stop: &AtomicBool,
    mut progress: impl FnMut(&str, usize, usize),
) -> Result<Option<Found>> {
    if asked.latents.is_empty() {
        return Err(Error::input(asked.name, "there are no latents to tune on"));
    }
    let encoder = encoder_of(asked.name, asked.onnx)?;
    let head = |precision| {
        let options = Options { precision, ..Options::default() };
        Head::from_onnx_as(asked.name, asked.onnx, &options)
    };
    let precision = Precision::Int8 { floats: asked.floats.to_vec() };
    let small = |layer| precision.is_small(layer);
    let heads = [head(Precision::Float)?, head(precision.clone())?];
    let (classes, patches) = match &encoder.embed {
        Some(embed) => {
            let shape = heads[0].card().shape(asked.bundle, &asked.latents[0])?;
            let (high, wide) = if shape.len() > 3 { (shape[2], shape[3]) } else { (1, shape[2]) };
            let patches = (high / embed.patch[0]) * (wide / embed.patch[1]);
            (embed.before.len() / encoder.width, patches)
        }
        // How many tokens tract makes is not known; all go on.
        None => (0, 0),
    };
    let tokens = classes + patches;
    let told = |done, all| progress("timing numbers of tokens", done, all);
    let Some(stairs) = Staircase::measure(&encoder, &small, tokens, stop, told) else {
        return Ok(None);
    };
    let blocks = encoder.blocks.len();
    let room = Room { blocks, classes, patches, stairs };
    let all = LayerPlace::all(encoder.embed.is_some(), blocks);
    let any_small = asked.floats.len() < all.count();
    let families = if patches > 0 { Family::all(blocks, any_small) } else { Vec::new() };
    let order = spread(asked.latents.len());
    let mut runner = Runner { asked, heads, order, base: Vec::new(), stop };
    let tried = runner.halve(&families, &room, any_small, &mut progress)?;
    let Some((rows, mut tried)) = tried else { return Ok(None) };
    let Some(rows) = runner.time(rows, &mut progress)? else { return Ok(None) };
    tried.extend(rows.iter().cloned());
    let tuned = Tuned {
        machine: machine(),
        date: asked.date.clone(),
        tokens,
        latents: asked.latents.len(),
        rows: front(rows, asked.target_ms).into_iter().map(rounded).collect(),
    };
    Ok(Some(Found { tuned, tried, stairs: room.stairs }))
}

impl Runner<'_> {
    /// Tries all on few latents, the better half on twice as many, and so on: those that saw all, and all others.
    fn halve(
        &mut self,
        families: &[Family],
        room: &Room,
        any_small: bool,
        progress: &mut impl FnMut(&str, usize, usize),
    ) -> Result<Option<(Vec<TunedRow>, Vec<TunedRow>)>> {
        let mut trials = vec![Trial::all_tokens(false)];
        trials.extend(any_small.then(|| Trial::all_tokens(true)));
        for (i, family) in families.iter().enumerate() {
            trials.extend(SHARES.iter().filter_map(|&keep| Trial::of(i, family, keep, room)));
        }
        trials.sort_by_key(|t| t.int8);
        // Their plans are made now, which takes time.
        for int8 in [false, true] {
            if self.run(None, int8, self.order[0])?.is_none() {
                return Ok(None);
            }
        }
        let all = self.order.len();
        let mut seen = FEW.min(all);
        if !self.visit(&mut trials, 0..seen, progress)? {
            return Ok(None);
        }
        // What should just do it was not among the shares that were tried.
        let part = self.asked.target_ms / median(self.base.clone());
        let mut more = between(&trials, families, room, part);
        if !self.visit(&mut more, 0..seen, progress)? {
            return Ok(None);
        }
        trials.extend(more);
        let mut behind = Vec::new();
        while seen < all {
            let ahead = trials.len().div_ceil(2).max(FINAL);
            behind.extend(fall_behind(&mut trials, ahead));
            let next = if trials.len() <= FINAL { all } else { all.min(2 * seen) };
            if !self.visit(&mut trials, seen..next, progress)? {
                return Ok(None);
            }
            seen = next;
        }
        // All are timed again: a choice by the first times would favour those that were lucky.
        if trials.len() > 2 * FINAL {
            behind.extend(fall_behind(&mut trials, 2 * FINAL));
        }
        let base = median(self.base.clone());
        let truths = self.asked.truths.is_some();
        let rows = |trials: Vec<Trial>| trials.iter().map(|t| t.row(base, truths)).collect();
        Ok(Some((rows(trials), rows(behind))))
    }

    /// Tries ways on these latents; false if stopped.
    fn visit(
        &mut self,
        trials: &mut [Trial],
        places: Range<usize>,
        progress: &mut impl FnMut(&str, usize, usize),
    ) -> Result<bool> {
        let what = format!("trying {} ways", trials.len());
        let (mut done, all) = (0, trials.len() * places.len());
        for place in places {
            let latent = self.order[place];
            let truth = self.asked.truths.map(|t| t[latent]);
            for some in trials.chunks_mut(EACH) {
                progress(&what, done, all);
                let Some((answer, base)) = self.run(None, false, latent)? else {
                    return Ok(false);
                };
                self.base.push(base);
                for trial in some.iter_mut() {
                    let run = self.run(trial.schedule.as_ref(), trial.int8, latent)?;
                    let Some((found, ms)) = run else { return Ok(false) };
                    trial.add(&found, &answer, truth, ms / base);
                }
                done += some.len();
            }
        }
        Ok(true)
    }

    /// Logits and milliseconds; `None` if stopped.
    fn run(
        &mut self,
        schedule: Option<&Schedule>,
        int8: bool,
        latent: usize,
    ) -> Result<Option<(Vec<f32>, f64)>> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let head = &mut self.heads[usize::from(int8)];
        head.keep(&schedule.map_or(Tokens::All, |s| Tokens::By(s.clone())))?;
        let before = Instant::now();
        let logits = head.logits(self.asked.bundle, &self.asked.latents[latent])?;
        Ok(Some((logits, before.elapsed().as_secs_f64() * 1e3)))
    }

    /// Times rows in turns, so that what else the machine does falls on all alike; `None` if stopped.
    fn time(
        &mut self,
        mut rows: Vec<TunedRow>,
        progress: &mut impl FnMut(&str, usize, usize),
    ) -> Result<Option<Vec<TunedRow>>> {
        let mut ways: Vec<_> = rows.iter().map(|r| (r.schedule.clone(), r.int8)).collect();
        let base = ways.iter().position(|w| *w == (None, false)).unwrap_or(ways.len());
        if base == ways.len() {
            ways.push((None, false));
        }
        let mut times = vec![Vec::new(); ways.len()];
        let begin = Instant::now();
        for turn in 0..TURNS[1] {
            if turn >= TURNS[0] && begin.elapsed() > TIME {
                break;
            }
            progress("timing the best", turn, TURNS[1]);
            let latent = self.order[turn % self.order.len()];
            for ((schedule, int8), times) in ways.iter().zip(&mut times) {
                for call in 0..=CALLS {
                    let run = self.run(schedule.as_ref(), *int8, latent)?;
                    let Some((_, ms)) = run else { return Ok(None) };
                    // Another way's weights were in the caches.
                    if call > 0 {
                        times.push(ms);
                    }
                }
            }
        }
        let times: Vec<f64> = times.into_iter().map(median).collect();
        for (row, ms) in rows.iter_mut().zip(&times) {
            row.ms = *ms;
            row.speedup = times[base] / ms;
        }
        Ok(Some(rows))
    }
}

/// All places below `count`, each far from those before: files of one kind lie side by side.
pub(super) fn spread(count: usize) -> Vec<usize> {
    let shared = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a > 1
    };
    let golden = (0.618 * count as f64) as usize;
    let step = (golden.max(1)..).find(|&s| !shared(count, s)).unwrap_or(1);
    (0..count).map(|i| i * step % count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latent_has_its_turn() {
        for count in 1..200 {
            let mut order = spread(count);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..count));
        }
        assert_eq!(spread(100)[..4], [0, 61, 22, 83]);
    }
}
