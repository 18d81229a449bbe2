//! Schedules that are worth a try.

use super::staircase::Staircase;
use crate::runtime::{Policy, Schedule};

/// Shares that are tried first.
pub(super) const SHARES: [f32; 7] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3];
/// A schedule that should take more than this part of the time is not tried.
const GAIN: f64 = 0.98;

/// Random is what others have to beat, and no choice.
const TRIED: [Policy; 6] =
    [Policy::Wpr, Policy::Flow, Policy::Transition, Policy::Adaptive, Policy::Merge, Policy::Bits];

/// Schedules of one policy, with stages in the same blocks, that differ in what they keep.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub policy: Policy,
    /// Blocks, and the power of the share that is left from there on.
    stages: Vec<(usize, f32)>,
    pub int8: bool,
}

/// What a transformer goes through, and how long it takes.
#[derive(Debug)]
pub(super) struct Room {
    pub blocks: usize,
    /// Tokens before those of patches.
    pub classes: usize,
    pub patches: usize,
    /// In floats and in int8.
    pub stairs: [Staircase; 2],
}

/// Where stages may stand: one in the first block, in a quarter, in the middle; two; three.
fn places(blocks: usize) -> Vec<Vec<(usize, f32)>> {
    let [quarter, half, late] = [blocks / 4, blocks / 2, 3 * blocks / 4];
    let mut places = vec![
        vec![(0, 1.0)],
        vec![(quarter, 1.0)],
        vec![(half, 1.0)],
        vec![(quarter, 0.5), (half, 1.0)],
        vec![(quarter, 1.0 / 3.0), (half, 2.0 / 3.0), (late, 1.0)],
    ];
    places.retain(|p| p.windows(2).all(|w| w[0].0 < w[1].0));
    places.dedup();
    places
}

impl Family {
    /// All of a transformer with so many blocks, in floats, and in int8 if that is `small`.
    pub fn all(blocks: usize, small: bool) -> Vec<Self> {
        let places = places(blocks);
        let mut all = Vec::new();
        for int8 in [false, true].into_iter().take(1 + usize::from(small)) {
            for policy in TRIED {
                let fits = |stages: &&Vec<(usize, f32)>| match policy {
                    // It acts before the first block.
                    Policy::Bits => stages[..] == [(0, 1.0)],
                    Policy::Adaptive => stages.len() == 1,
                    _ => true,
                };
                let family = |s: &Vec<_>| Self { policy, stages: s.clone(), int8 };
                all.extend(places.iter().filter(fits).map(family));
            }
        }
        all
    }

    /// The one that ends with this share, or with as many more tokens as cost nothing; `None` if it should save no
    /// time.
    pub fn schedule(&self, keep: f32, room: &Room) -> Option<Schedule> {
        let stairs = &room.stairs[usize::from(self.int8)];
        let mut most = 1.0f32;
        let mut share = |&(block, power): &(usize, f32)| {
            let share = keep.powf(power);
            // Of attention, it is no number of tokens.
            if self.policy != Policy::Adaptive {
                let left = (share * room.patches as f32).ceil() as usize;
                let edge = stairs.edge(room.classes + left) - room.classes;
                most = most.min(share_of(edge, room.patches));
            } else {
                most = share;
            }
            (block, most)
        };
        let stages = self.stages.iter().map(&mut share).collect();
        let schedule = Schedule { policy: self.policy, stages };
        let part = || stairs.part(&schedule, room.blocks, room.classes, room.patches);
        (self.policy == Policy::Adaptive || part() < GAIN).then_some(schedule)
    }
}

/// A share, short in words if that is possible, that leaves so many patches.
fn share_of(left: usize, patches: usize) -> f32 {
    // In the middle, so that rounding leaves no other number.
    let share = (left as f32 - 0.5) / patches as f32;
    let short = (share * 1e4).round() / 1e4;
    let same = (patches as f32 * short).ceil() as usize == left;
    if same { short } else { share }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(blocks: usize) -> Room {
        let steps = (20..=109).map(|n: usize| (n, n.div_ceil(6) as f64)).collect();
        let stairs = Staircase { steps };
        Room { blocks, classes: 1, patches: 108, stairs: [stairs.clone(), stairs] }
    }

    #[test]
    fn schedules_end_at_edges_and_are_read_again() {
        let mut tried = 0;
        for blocks in [1, 2, 6, 12] {
            for family in Family::all(blocks, true) {
                for keep in SHARES {
                    let Some(schedule) = family.schedule(keep, &room(blocks)) else { continue };
                    assert_eq!(schedule.to_string().parse(), Ok(schedule.clone()));
                    assert!(schedule.stages.iter().all(|s| s.0 < blocks));
                    tried += 1;
                }
            }
        }
        assert!(tried > 500, "{tried}");
        let family = &Family { policy: Policy::Merge, stages: vec![(1, 1.0)], int8: false };
        let schedule = family.schedule(0.5, &room(6)).expect("schedule");
        // 54 patches and a class are one more than nine tiles: as many as ten hold are left.
        assert_eq!(schedule.left(1, 108), Some(57));
    }

    #[test]
    fn a_share_leaves_what_it_is_made_for() {
        for patches in [1, 2, 3, 7, 108, 196, 1024, 16384] {
            for left in 1..=patches {
                let schedule =
                    Schedule { policy: Policy::Merge, stages: vec![(0, share_of(left, patches))] };
                assert_eq!(schedule.left(0, patches), Some(left), "{left} of {patches}");
            }
        }
    }
}
