//! Goes on with fewer tokens: those that a schedule keeps.

use super::score::{self, Map};
use crate::runtime::schedule::{Policy, Schedule};

/// Blocks up to this share of all have scores that settle slowly, blocks from the other on are settled.
const EARLY_LATE: [f32; 2] = [0.25, 0.75];
/// Rounds of votes in early, middle and late blocks.
///
/// Source: Zero-TPrune: 30 to 50, 5 to 10, 1.
const ROUNDS: [usize; 3] = [30, 5, 1];
/// How many times the mean voters receive; where none does, all vote.
const THRESHOLD: f32 = 4.0;
/// Side of the cells, in patches, in which what is left out lives on as a mean.
const RECYCLED: usize = 7;
/// Of what is left out, the share that goes as duplicates.
const DUPLICATES: f32 = 0.25;
/// Every so many patches of every so many rows are kept whatever they hold, as many of a single row.
const FLOOR: usize = 2;

/// What the blocks of one run left out so far.
#[derive(Debug)]
pub(crate) struct Thinning<'a> {
    schedule: &'a Schedule,
    blocks: usize,
    /// Tokens before those of patches: never left out.
    classes: usize,
    /// Rows and columns of patches.
    grid: [usize; 2],
    /// The token that stands for each patch.
    owner: Vec<Option<usize>>,
    /// How far each token was turned and stretched so far.
    turned: Vec<f32>,
}

/// What a block saw when tokens are to be left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub block: usize,
    pub width: usize,
    pub heads: usize,
    /// Empty unless [`Thinning::wants_map`].
    pub map: &'a [f32],
    /// Shape: `[n, 3 width]`.
    pub qkv: &'a [f32],
}

/// What becomes of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Kept,
    Gone,
    /// Becomes part of another, which is kept.
    Into(usize),
}

impl<'a> Thinning<'a> {
    /// `bits` are those that each patch takes, looked at by [`Policy::Bits`] alone, which chooses at once.
    ///
    /// # Panics
    /// If it does, and there are not as many.
    pub fn new(
        schedule: &'a Schedule,
        blocks: usize,
        classes: usize,
        grid: [usize; 2],
        bits: &[f32],
    ) -> Self {
        let patches = grid[0] * grid[1];
        let mut owner: Vec<_> = (0..patches).map(|p| Some(classes + p)).collect();
        let least = schedule.stages.last().and_then(|(block, _)| schedule.left(*block, patches));
        if let (Policy::Bits, Some(left)) = (schedule.policy, least) {
            owner.fill(None);
            let kept = score::highest(bits, 0..patches, left);
            kept.iter().enumerate().for_each(|(at, &p)| owner[p] = Some(classes + at));
        }
        Self { schedule, blocks, classes, grid, owner, turned: Vec::new() }
    }

    /// The patches to begin with, if those are not all.
    pub fn begins_with(&self) -> Option<Vec<usize>> {
        (self.schedule.policy == Policy::Bits).then(|| self.places())
    }

    /// Tokens to begin with.
    pub fn tokens(&self) -> usize {
        self.classes + self.places().len()
    }

    /// The patches that are left: of each token the first that it stands for.
    pub fn places(&self) -> Vec<usize> {
        let mut first = vec![true; self.classes + self.owner.len()];
        let own = |(place, owner): (usize, &Option<usize>)| {
            owner.is_some_and(|t| std::mem::take(&mut first[t])).then_some(place)
        };
        self.owner.iter().enumerate().filter_map(own).collect()
    }

    fn last(&self) -> usize {
        self.schedule.stages.last().map_or(0, |(block, _)| *block)
    }

    /// Whether a block's attention map is looked at.
    pub(super) fn wants_map(&self, block: usize) -> bool {
        matches!(self.schedule.policy, Policy::Wpr | Policy::Flow | Policy::Adaptive)
            && self.schedule.stages.iter().any(|(at, _)| *at == block)
    }

    /// Whether it is looked at what a block's layers do to tokens.
    pub(super) fn wants_turns(&self, block: usize) -> bool {
        self.schedule.policy == Policy::Transition && block <= self.last()
    }

    /// Adds to attention scores: a token that stands for many counts as many.
    pub(super) fn key_bias(&self, tokens: usize) -> Option<Vec<f32>> {
        let merged = tokens < self.classes + self.owner.len();
        (merged && self.schedule.policy == Policy::Merge)
            .then(|| self.sizes(tokens).iter().map(|s| s.ln()).collect())
    }

    /// How many patches each token stands for.
    fn sizes(&self, tokens: usize) -> Vec<f32> {
        let mut sizes = vec![0.0; tokens];
        self.owner.iter().flatten().for_each(|&t| sizes[t] += 1.0);
        sizes.iter_mut().take(self.classes).for_each(|s| *s = 1.0);
        sizes
    }

    /// What a layer made of its input, without the residual. Shape: `[n, width]` twice.
    pub(super) fn turn(&mut self, input: &[f32], output: &[f32], width: usize) {
        let turned = score::transition(input, output, width);
        self.turned.resize(turned.len(), 0.0);
        self.turned.iter_mut().zip(turned).for_each(|(sum, t)| *sum += t);
    }

    /// Leaves out what the schedule says behind the attention of a block. Tokens `[n, width]` -> the number
    /// that is left, at the beginning.
    pub(super) fn step(&mut self, seen: Seen<'_>, tokens: &mut [f32]) -> usize {
        let n = tokens.len() / seen.width;
        let left = self.schedule.left(seen.block, self.owner.len());
        // A share of attention is no number of tokens.
        let adaptive = self.schedule.policy == Policy::Adaptive;
        let Some(left) = left.filter(|left| adaptive || self.classes + left < n) else { return n };
        let map = Map { heads: seen.heads, n, values: seen.map };
        let mut weights = self.sizes(n);
        let fates = match self.schedule.policy {
            Policy::Bits => return n,
            Policy::Wpr => self.by_rank(map, seen, left),
            Policy::Flow => {
                weights = score::received(map, THRESHOLD);
                self.recycled(&weights, left)
            }
            Policy::Transition => self.best(&self.turned, left),
            Policy::Adaptive => {
                let (_, keep) = self
                    .schedule
                    .stages
                    .iter()
                    .find(|(b, _)| *b == seen.block)
                    .copied()
                    .unwrap_or_default();
                self.share(&score::received(map, THRESHOLD), keep)
            }
            Policy::Merge => self.merged(seen, &weights, n - self.classes - left),
            Policy::Random(seed) => {
                let number = |t: usize| shuffled(u64::from(seed) << 32 | self.place_of(t) as u64);
                let scores: Vec<f32> = (0..n).map(number).collect();
                self.best(&scores, left)
            }
        };
        self.apply(&fates, &weights, tokens, seen.width)
    }

    /// The first patch that a token stands for.
    fn place_of(&self, token: usize) -> usize {
        self.owner.iter().position(|o| *o == Some(token)).unwrap_or(0)
    }

    /// The best of the patches.
    fn best(&self, scores: &[f32], left: usize) -> Vec<Fate> {
        let mut fates = vec![Fate::Gone; scores.len()];
        fates[..self.classes].fill(Fate::Kept);
        let kept = score::highest(scores, self.classes..scores.len(), left);
        kept.into_iter().for_each(|t| fates[t] = Fate::Kept);
        fates
    }

    /// First duplicates go, then what is ranked lowest among the rest.
    fn by_rank(&self, map: Map<'_>, seen: Seen<'_>, left: usize) -> Vec<Fate> {
        let n = map.n;
        let votes = score::page_rank(map, 0, 1);
        let many = (DUPLICATES * (n - self.classes - left) as f32) as usize;
        let keys = keys(seen.qkv, seen.width);
        let gone = score::duplicates(&keys, seen.width, &votes, self.classes, many);
        let rest: Vec<usize> = (0..n).filter(|t| !gone.contains(t)).collect();
        let share = seen.block as f32 / self.blocks as f32;
        let rounds = ROUNDS[EARLY_LATE.iter().filter(|&&at| share >= at).count()];
        let values = map.part(&rest);
        let part = Map { heads: map.heads, n: rest.len(), values: &values };
        let ranks = score::page_rank(part, self.classes, rounds);
        let mut scores = vec![f32::NEG_INFINITY; n];
        rest.iter().zip(ranks).for_each(|(&t, rank)| scores[t] = rank);
        self.best(&scores, left)
    }

    /// The best go on; of the others the weighted mean of every cell of the grid, in the place of the best of
    /// them. A cell without others gives none, and then there is one fewer.
    fn recycled(&self, scores: &[f32], left: usize) -> Vec<Fate> {
        let [rows, columns] = self.grid;
        let cells = rows.div_ceil(RECYCLED) * columns.div_ceil(RECYCLED);
        // Only once: what is a mean already is ranked like all others.
        let first = self.owner.iter().all(Option::is_some)
            && self.owner.len() + self.classes == scores.len();
        if !first || cells >= left {
            return self.best(scores, left);
        }
        let mut fates = self.best(scores, left - cells);
        let mut chosen: Vec<Option<usize>> = vec![None; cells];
        let cell = |t: usize| {
            let place = t - self.classes;
            place / columns / RECYCLED * columns.div_ceil(RECYCLED) + place % columns / RECYCLED
        };
        for t in self.classes..fates.len() {
            if fates[t] == Fate::Gone {
                let best = &mut chosen[cell(t)];
                if best.is_none_or(|b| scores[t] > scores[b]) {
                    *best = Some(t);
                }
            }
        }
        for t in self.classes..fates.len() {
            if fates[t] == Fate::Gone
                && let Some(best) = chosen[cell(t)]
            {
                fates[t] = if best == t { Fate::Kept } else { Fate::Into(best) };
            }
        }
        fates
    }

    /// As many of the best as hold this share of all scores, and a grid of patches.
    fn share(&self, scores: &[f32], share: f32) -> Vec<Fate> {
        let patches = &scores[self.classes..];
        let mut order: Vec<usize> = (0..patches.len()).collect();
        order.sort_by(|&a, &b| patches[b].total_cmp(&patches[a]).then(a.cmp(&b)));
        let (mut held, all) = (0.0, patches.iter().sum::<f32>());
        let within = |&&p: &&usize| {
            let before = held;
            held += patches[p];
            before < share * all
        };
        let left = order.iter().take_while(within).count();
        let mut fates = self.best(scores, left);
        let [rows, columns] = self.grid;
        let along = if rows == 1 { FLOOR * FLOOR } else { FLOOR };
        for (place, owner) in self.owner.iter().enumerate() {
            if (place / columns).is_multiple_of(FLOOR)
                && (place % columns).is_multiple_of(along)
                && let Some(t) = owner
            {
                fates[*t] = Fate::Kept;
            }
        }
        fates
    }

    /// The most alike become one, so often that `count` tokens are gone.
    fn merged(&self, seen: Seen<'_>, weights: &[f32], count: usize) -> Vec<Fate> {
        let n = weights.len();
        let deep = seen.width / seen.heads;
        let mut means = vec![0.0; n * deep];
        let keys = keys(seen.qkv, seen.width);
        for (to, key) in means.chunks_exact_mut(deep).zip(keys.chunks_exact(seen.width)) {
            for head in key.chunks_exact(deep) {
                to.iter_mut().zip(head).for_each(|(to, x)| *to += x);
            }
        }
        let mut sizes = weights.to_vec();
        let mut into: Vec<usize> = (0..n).collect();
        let (mut alive, mut left) = (into.clone(), count);
        while left > 0 {
            let part: Vec<f32> =
                alive.iter().flat_map(|&t| &means[t * deep..(t + 1) * deep]).copied().collect();
            let pairs = score::pairs(&part, deep, self.classes, left);
            if pairs.is_empty() {
                break;
            }
            left -= pairs.len();
            for (a, b) in pairs {
                let (a, b) = (alive[a], alive[b]);
                into[a] = b;
                sizes[b] += sizes[a];
                for i in 0..deep {
                    let x = means[a * deep + i];
                    let to = &mut means[b * deep + i];
                    *to += sizes[a] / sizes[b] * (x - *to);
                }
            }
            alive.retain(|&t| into[t] == t);
        }
        let fate = |t: usize| {
            let mut end = t;
            while into[end] != end {
                end = into[end];
            }
            if end == t { Fate::Kept } else { Fate::Into(end) }
        };
        (0..n).map(fate).collect()
    }

    /// Moves what is left to the front.
    fn apply(
        &mut self,
        fates: &[Fate],
        weights: &[f32],
        tokens: &mut [f32],
        width: usize,
    ) -> usize {
        let mut sums = weights.to_vec();
        for (from, fate) in fates.iter().enumerate() {
            if let Fate::Into(into) = *fate {
                // A mean that grows: each part moves it by its share of the weight so far.
                sums[into] += weights[from];
                let share = if sums[into] > 0.0 { weights[from] / sums[into] } else { 0.0 };
                for i in 0..width {
                    let x = tokens[from * width + i];
                    let to = &mut tokens[into * width + i];
                    *to += share * (x - *to);
                }
            }
        }
        let mut place = vec![None; fates.len()];
        let mut left = 0;
        for (token, fate) in fates.iter().enumerate() {
            if *fate == Fate::Kept {
                tokens.copy_within(token * width..(token + 1) * width, left * width);
                if let Some(turned) = self.turned.get(token).copied() {
                    self.turned[left] = turned;
                }
                place[token] = Some(left);
                left += 1;
            }
        }
        self.turned.truncate(left);
        for owner in &mut self.owner {
            *owner = owner.and_then(|token| match fates[token] {
                Fate::Kept => place[token],
                Fate::Into(into) => place[into],
                Fate::Gone => None,
            });
        }
        left
    }

    /// Every patch at its place again: what was left out is the mean of what was not, so that the mean of all patches
    /// is that of what is left. Shape: `[classes + patches, width]`, of which the first are there.
    pub(super) fn finish(&self, tokens: &mut [f32], left: usize, width: usize) {
        let found = tokens[..left * width].to_vec();
        let token = |t: usize| &found[t * width..(t + 1) * width];
        let mut mean = vec![0.0; width];
        let kept: Vec<usize> = self.owner.iter().flatten().copied().collect();
        for &t in &kept {
            mean.iter_mut().zip(token(t)).for_each(|(m, x)| *m += x / kept.len() as f32);
        }
        let places = tokens[self.classes * width..].chunks_exact_mut(width);
        for (to, owner) in places.zip(&self.owner) {
            to.copy_from_slice(owner.map_or(&mean, token));
        }
    }
}

/// Shape: `[n, 3 width]` -> `[n, width]`.
fn keys(qkv: &[f32], width: usize) -> Vec<f32> {
    qkv.chunks_exact(3 * width).flat_map(|row| &row[width..2 * width]).copied().collect()
}

/// A number of 0 to 1 that looks random.
///
/// Source: Steele et al. 2014, the finalizer of SplitMix64.
fn shuffled(x: u64) -> f32 {
    let mut x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ x >> 31) >> 40) as f32 / (1u64 << 24) as f32
}
