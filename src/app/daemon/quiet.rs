//! What a line has to say, as long as it is not too much.

use std::fmt::Display;
use std::time::{Duration, Instant};

use crate::app::log;

/// What may be said in a while.
const MOST: u32 = 20;
const WHILE: Duration = Duration::from_secs(10);

/// Says some of many.
#[derive(Default)]
pub struct Quiet {
    since: Option<Instant>,
    said: u32,
    kept: u64,
}

impl Quiet {
    /// Says it, or counts it.
    pub fn say(&mut self, stream: &str, words: impl Display) {
        if self.since.is_none_or(|s| s.elapsed() > WHILE) {
            if self.kept > 0 {
                log::warn(Some(stream), format_args!("{} more were not said", self.kept));
            }
            *self = Self { since: Some(Instant::now()), ..Self::default() };
        }
        if self.said < MOST {
            self.said += 1;
            log::warn(Some(stream), words);
        } else {
            self.kept += 1;
        }
    }
}
