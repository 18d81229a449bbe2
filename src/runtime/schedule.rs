//! Which tokens a transformer goes on with, and from which block on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Weighted page rank over attention, and without duplicates.
    ///
    /// Source: Wang et al. 2024 (arXiv 2305.17328), Zero-TPrune.
    Wpr,
    /// What tokens receive from those that most attend to; the others live on as a few means.
    ///
    /// Source: VFlowOpt (arXiv 2508.05211).
    Flow,
    /// How far layers turn and stretch tokens; needs no attention map.
    ///
    /// Source: TransPrune (arXiv 2507.20630).
    Transition,
    /// As many as hold a share of what the tokens of a stage receive, so easy pictures keep fewer; and every second of
    /// every second row.
    ///
    /// Source: the spatial floor of ATP-LLaVA (arXiv 2412.00447), with a share in place of its trained threshold.
    Adaptive,
    /// The most alike are averaged, pair by pair.
    ///
    /// Source: Bolya et al. 2023 (arXiv 2210.09461), ToMe.
    Merge,
    /// Those whose numbers take the most bits, chosen before the first block.
    Bits,
    /// Any, the same for a seed: what others have to beat.
    Random(u32),
}

/// Names of policies, as they are typed.
pub const POLICIES: [&str; 7] =
    ["wpr", "flow", "transition", "adaptive", "merge", "bits", "random"];

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let random = |seed: &str| seed.parse().ok().map(Self::Random);
        let found = match text {
            "wpr" => Some(Self::Wpr),
            "flow" => Some(Self::Flow),
            "transition" => Some(Self::Transition),
            "adaptive" => Some(Self::Adaptive),
            "merge" => Some(Self::Merge),
            "bits" => Some(Self::Bits),
            "random" => Some(Self::Random(0)),
            _ => text.strip_prefix("random").and_then(random),
        };
        found
            .ok_or_else(|| format!("no such policy as {text:?}; there are {}", POLICIES.join(", ")))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Self::Wpr => 0,
            Self::Flow => 1,
            Self::Transition => 2,
            Self::Adaptive => 3,
            Self::Merge => 4,
            Self::Bits => 5,
            Self::Random(seed) => {
                f.write_str(POLICIES[6])?;
                return if *seed == 0 { Ok(()) } else { write!(f, "{seed}") };
            }
        };
        f.write_str(POLICIES[place])
    }
}

/// A policy and where it acts, in words: `wpr 1:0.7 3:0.5`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    /// How tokens are chosen.
    pub policy: Policy,
    /// Blocks, ascending, between whose attention and layers tokens are left out, and the share of all
    /// patches that is left then. Of [`Policy::Adaptive`] it is the share of what those still there receive; of
    /// [`Policy::Bits`] the smallest counts, and from the first block on.
    pub stages: Vec<(usize, f32)>,
}

impl Schedule {
    /// Two stages, in the second block of six and in the middle one, that end with a share `keep` of the
    /// patches; one, in the first of these, of [`Policy::Adaptive`].
    pub fn even(policy: Policy, keep: f32, blocks: usize) -> Self {
        let (first, second) = (blocks / 4, blocks / 2);
        let stages = match first == second || policy == Policy::Adaptive {
            true => vec![(first, keep)],
            false => vec![(first, keep.sqrt()), (second, keep)],
        };
        Self { policy, stages }
    }

    /// How many of `patches` are left from `block` on.
    pub fn left(&self, block: usize, patches: usize) -> Option<usize> {
        let stage = self.stages.iter().find(|(at, _)| *at == block);
        stage.map(|(_, keep)| ((patches as f32 * keep).ceil() as usize).max(1).min(patches))
    }
}

/// The tokens a transformer goes on with.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Tokens {
    /// All.
    #[default]
    All,
    /// A share of the patches in the end, as [`Schedule::even`] has it.
    Share(Policy, f32),
    /// What a schedule says.
    By(Schedule),
}

impl Tokens {
    /// The schedule for so many blocks.
    ///
    /// # Errors
    /// Names a block that is not there.
    pub fn schedule(&self, blocks: usize) -> Result<Option<Schedule>, String> {
        let schedule = match self {
            Self::All => return Ok(None),
            Self::Share(_, keep) if !(*keep > 0.0 && *keep <= 1.0) => {
                return Err(format!(
                    "is to keep a share of {keep} of its tokens; needed is one above 0, to 1"
                ));
            }
            Self::Share(policy, keep) => Schedule::even(*policy, *keep, blocks),
            Self::By(schedule) => schedule.clone(),
        };
        match schedule.stages.iter().find(|(block, _)| *block >= blocks) {
            Some((block, _)) => Err(format!(
                "is to keep fewer tokens from block {block} on, but has {blocks} blocks"
            )),
            None => Ok(Some(schedule)),
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let policy = words.next().ok_or("is empty")?.parse()?;
        let stage = |word: &str| {
            let (block, keep) = word.split_once(':')?;
            let (block, keep) = (block.parse().ok()?, keep.parse().ok()?);
            (keep > 0.0 && keep <= 1.0).then_some((block, keep))
        };
        let stages: Vec<(usize, f32)> = words
            .map(|w| {
                stage(w).ok_or_else(|| format!("{w:?} is not BLOCK:SHARE, a share above 0 to 1"))
            })
            .collect::<Result<_, _>>()?;
        let rises = |w: &[(usize, f32)]| w[0].0 >= w[1].0 || w[0].1 < w[1].1;
        if stages.is_empty() || stages.windows(2).any(rises) {
            return Err("blocks must rise and shares fall, and there must be one".into());
        }
        Ok(Self { policy, stages })
    }
}

impl TryFrom<String> for Schedule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.to_string()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.policy)?;
        self.stages.iter().try_for_each(|(block, keep)| write!(f, " {block}:{keep}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["wpr 1:0.7 3:0.5", "random3 0:1", "adaptive 2:0.25", "merge 1:0.5"] {
            assert_eq!(text.parse::<Schedule>().map(|s| s.to_string()), Ok(text.into()));
        }
        for name in POLICIES {
            assert_eq!(name.parse::<Policy>().map(|p| p.to_string()), Ok(name.into()));
        }
        for wrong in
            ["", "wpr", "best 1:0.5", "wpr 1:0", "wpr 1:1.5", "wpr 3:0.5 1:0.4", "wpr 1:0.5 2:0.6"]
        {
            assert!(wrong.parse::<Schedule>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn blocks_that_are_not_there_are_named() {
        let schedule = Schedule { policy: Policy::Wpr, stages: vec![(1, 0.7), (6, 0.5)] };
        let tokens = Tokens::By(schedule.clone());
        assert!(tokens.schedule(6).is_err_and(|why| why.contains("block 6")));
        assert_eq!(tokens.schedule(7), Ok(Some(schedule)));
        assert_eq!(Tokens::All.schedule(2), Ok(None));
        assert!(Tokens::Share(Policy::Wpr, f32::NAN).schedule(2).is_err());
    }

    #[test]
    fn a_share_is_of_all_patches_and_never_nothing() {
        let schedule = Schedule::even(Policy::Wpr, 0.49, 6);
        assert_eq!(schedule.to_string(), "wpr 1:0.7 3:0.49");
        assert_eq!(schedule.left(1, 196), Some(138));
        assert_eq!(schedule.left(3, 196), Some(97));
        assert_eq!(schedule.left(2, 196), None);
        assert_eq!(Schedule::even(Policy::Wpr, 0.001, 1).left(0, 10), Some(1));
    }
}
