//! What was given up: one line for each deed, on disk before the deed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// Why packets, or groups of them, are no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Room was needed, and these were the oldest.
    Oldest,
    /// Room was needed, and these were the outer groups of the oldest.
    Thin,
    /// They were as old as a step of the staircase.
    Staircase,
    /// There was no room for them.
    Deny,
    /// The disk failed, or did.
    Error,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Oldest, Self::Thin, Self::Staircase, Self::Deny, Self::Error];

    /// The word for it in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oldest => "oldest",
            Self::Thin => "thin",
            Self::Staircase => "staircase",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }
}

/// One line of `given-up.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// When.
    pub utc: SystemTime,
    /// Number of the segment; `None` for packets that never came into one, and in sums.
    pub segment: Option<u64>,
    /// Index of the first packet.
    pub first_index: u64,
    /// Index of the last packet.
    pub last_index: u64,
    /// Packets that are gone, or lost groups.
    pub packets: u64,
    /// Bytes that are gone.
    pub bytes: u64,
    /// Groups that the packets keep at most; 0: they are gone.
    pub groups_left: usize,
    /// Why.
    pub reason: Reason,
}

impl Tombstone {
    /// The line, without its end.
    pub fn to_line(&self) -> String {
        let utc = self.utc.duration_since(UNIX_EPOCH).unwrap_or_default();
        json!({
            "utc": utc.as_secs_f64(),
            "segment": self.segment,
            "first_index": self.first_index,
            "last_index": self.last_index,
            "packets": self.packets,
            "bytes": self.bytes,
            "groups_left": self.groups_left,
            "reason": self.reason.name(),
        })
        .to_string()
    }

    /// Reads a line; `None` if it is none, as one that a power cut tore.
    pub fn from_line(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        let utc = Duration::try_from_secs_f64(value.get("utc")?.as_f64()?).ok()?;
        let reason = value.get("reason")?.as_str()?;
        Some(Self {
            utc: UNIX_EPOCH.checked_add(utc)?,
            segment: number("segment"),
            first_index: number("first_index")?,
            last_index: number("last_index")?,
            packets: number("packets")?,
            bytes: number("bytes")?,
            groups_left: usize::try_from(number("groups_left")?).ok()?,
            reason: Reason::ALL.into_iter().find(|r| r.name() == reason)?,
        })
    }

    /// Whether both say the same, whenever they said it.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        Self { utc: other.utc, ..self.clone() } == *other
    }

    /// Takes in what another of the same reason says.
    pub(super) fn join(&mut self, other: &Self) {
        self.utc = self.utc.max(other.utc);
        self.first_index = self.first_index.min(other.first_index);
        self.last_index = self.last_index.max(other.last_index);
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// How much was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Packets that are gone.
    pub packets: u64,
    /// Packets that lost groups; one that did twice counts twice.
    pub cut: u64,
    /// Bytes that are gone.
    pub bytes: u64,
}

/// How much was given up for which reason.
pub type GivenUp = BTreeMap<Reason, Amount>;

/// Adds what a tombstone stands for.
pub(super) fn add(sums: &mut GivenUp, stone: &Tombstone) {
    let sum = sums.entry(stone.reason).or_default();
    if stone.groups_left == 0 {
        sum.packets = sum.packets.saturating_add(stone.packets);
    } else {
        sum.cut = sum.cut.saturating_add(stone.packets);
    }
    sum.bytes = sum.bytes.saturating_add(stone.bytes);
}
