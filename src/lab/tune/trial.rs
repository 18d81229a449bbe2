//! Ways to run a head side by side: which fall behind, and which are worth their time.

use super::propose::{Family, Room};
use super::{first, median};
use crate::runtime::{Schedule, TunedRow, cosine};

/// A row of the table has to save this part of the time of the one before.
const STEP: f64 = 0.03;
/// A way is taken for no worse by less than this.
const NOISE: f64 = 1e-6;

/// A way that is tried.
#[derive(Debug, Clone, Default)]
pub(super) struct Trial {
    /// Where it belongs to, and its share.
    family: Option<(usize, f32)>,
    pub schedule: Option<Schedule>,
    pub int8: bool,
    seen: usize,
    cosines: f64,
    same: usize,
    right: usize,
    /// Times, as parts of those in floats with all tokens.
    parts: Vec<f64>,
}

impl Trial {
    /// The way that leaves out nothing.
    pub fn all_tokens(int8: bool) -> Self {
        Self { int8, ..Self::default() }
    }

    /// The way of a family that ends with this share, if that should save time.
    pub fn of(i: usize, family: &Family, keep: f32, room: &Room) -> Option<Self> {
        let schedule = family.schedule(keep, room)?;
        let (at, int8) = (Some((i, keep)), family.int8);
        Some(Self { family: at, schedule: Some(schedule), int8, ..Self::default() })
    }

    /// Adds what it answered to one latent, beside the answer in floats with all tokens.
    pub fn add(&mut self, found: &[f32], answer: &[f32], truth: Option<usize>, part: f64) {
        let alike = cosine(found, answer);
        self.seen += 1;
        // Nothing but zeros is like nothing.
        self.cosines += if alike.is_finite() { alike.min(1.0) } else { -1.0 };
        self.same += usize::from(first(found) == first(answer));
        self.right += usize::from(truth.is_some() && first(found) == truth);
        self.parts.push(part);
    }

    pub fn part(&self) -> f64 {
        median(self.parts.clone())
    }

    fn cosine(&self) -> f64 {
        self.cosines / self.seen.max(1) as f64
    }

    pub fn row(&self, base: f64, truths: bool) -> TunedRow {
        let per_cent = |n: usize| 100.0 * n as f64 / self.seen.max(1) as f64;
        TunedRow {
            schedule: self.schedule.clone(),
            int8: self.int8,
            ms: base * self.part(),
            speedup: 1.0 / self.part(),
            cosine: self.cosine(),
            agreement: per_cent(self.same),
            accuracy: truths.then(|| per_cent(self.right)),
        }
    }
}

/// Of each family the share between two that were tried that should take just less than this part of the time.
pub(super) fn between(trials: &[Trial], families: &[Family], room: &Room, part: f64) -> Vec<Trial> {
    let aim = part * (1.0 - STEP / 2.0);
    let mut more = Vec::new();
    for (i, family) in families.iter().enumerate() {
        let of = |t: &Trial| t.family.filter(|f| f.0 == i).map(|f| (f.1, t.part()));
        // From the largest share on.
        let known: Vec<(f32, f64)> = trials.iter().filter_map(of).collect();
        let pair = known.windows(2).find(|w| w[0].1 > aim && w[1].1 <= aim);
        let Some([high, low]) = pair.and_then(|p| <&[_; 2]>::try_from(p).ok()) else { continue };
        let along = ((aim - low.1) / (high.1 - low.1)) as f32;
        let found = Trial::of(i, family, low.0 + along * (high.0 - low.0), room);
        let new = |t: &Trial| trials.iter().all(|o| o.int8 != t.int8 || o.schedule != t.schedule);
        more.extend(found.filter(new));
    }
    more
}

/// Takes out all but so many: those that lose the most beside the best that are no slower. What leaves out nothing
/// stays.
pub(super) fn fall_behind(trials: &mut Vec<Trial>, ahead: usize) -> Vec<Trial> {
    let mut known: Vec<(f64, f64, Trial)> =
        trials.drain(..).map(|t| (t.part(), 1.0 - t.cosine() + NOISE, t)).collect();
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = f64::INFINITY;
    for (_, loss, trial) in &mut known {
        least = least.min(*loss);
        *loss = if trial.schedule.is_none() { 0.0 } else { *loss / least };
    }
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    let behind = known.split_off(ahead.min(known.len()));
    trials.extend(known.into_iter().map(|k| k.2));
    trials.sort_by_key(|t| t.int8);
    behind.into_iter().map(|k| k.2).collect()
}

/// Rows that keep more than all faster ones, the fastest first, not too close to each other; the slowest that meets
/// the target is among them.
pub(super) fn front(mut rows: Vec<TunedRow>, target_ms: f64) -> Vec<TunedRow> {
    rows.sort_by(|a, b| a.ms.total_cmp(&b.ms).then(b.cosine.total_cmp(&a.cosine)));
    let mut best = f64::NEG_INFINITY;
    rows.retain(|r| {
        r.cosine > best && {
            best = r.cosine;
            true
        }
    });
    let mut last = f64::INFINITY;
    rows.reverse();
    rows.retain(|r| {
        let stays = r.ms <= last * (1.0 - STEP) || (last > target_ms && r.ms <= target_ms);
        last = if stays { r.ms } else { last };
        stays
    });
    rows.reverse();
    rows
}

/// Figures as exact as they are known.
pub(super) fn rounded(row: TunedRow) -> TunedRow {
    let to = |x: f64, places: i32| (x * 10f64.powi(places)).round() / 10f64.powi(places);
    TunedRow {
        // Up, or a target would be missed by a rounding.
        ms: (row.ms * 1e4).ceil() / 1e4,
        speedup: to(row.speedup, 3),
        cosine: to(row.cosine, 7),
        agreement: to(row.agreement, 2),
        accuracy: row.accuracy.map(|a| to(a, 2)),
        ..row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ms: f64, cosine: f64) -> TunedRow {
        let (speedup, agreement) = (1.0, 100.0);
        TunedRow { schedule: None, int8: false, ms, speedup, cosine, agreement, accuracy: None }
    }

    #[test]
    fn the_front_rises_and_holds_the_target() {
        let rows = [(4.0, 1.0), (3.0, 0.9), (2.0, 0.95), (3.95, 0.99), (2.95, 0.97), (1.0, 0.5)];
        let rows: Vec<_> = rows.into_iter().map(|(ms, cosine)| row(ms, cosine)).collect();
        let times =
            |target| -> Vec<f64> { front(rows.clone(), target).iter().map(|r| r.ms).collect() };
        assert_eq!(times(2.5), [1.0, 2.0, 2.95, 4.0]);
        // Hardly faster than the last, but it is what the target asks for.
        assert_eq!(times(3.97), [1.0, 2.0, 2.95, 3.95, 4.0]);
        assert_eq!(front(Vec::new(), 1.0), []);
    }

    #[test]
    fn what_loses_most_for_its_time_falls_behind() {
        let trial = |part: f64, cosine: f64, schedule: &str| Trial {
            schedule: schedule.parse().ok(),
            seen: 1,
            cosines: cosine,
            parts: vec![part],
            ..Trial::default()
        };
        let mut trials = vec![
            trial(1.0, 1.0, ""),
            trial(0.9, 0.98, "merge 1:0.9"),
            trial(0.8, 0.99, "merge 1:0.8"),
            trial(0.5, 0.6, "wpr 1:0.5"),
            trial(0.4, 0.7, "merge 1:0.4"),
        ];
        let behind = fall_behind(&mut trials, 3);
        let parts = |trials: &[Trial]| trials.iter().map(Trial::part).collect::<Vec<_>>();
        let mut ahead = parts(&trials);
        ahead.sort_by(f64::total_cmp);
        assert_eq!((ahead, parts(&behind)), (vec![0.4, 0.8, 1.0], vec![0.5, 0.9]));
    }
}
