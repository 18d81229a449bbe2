//! A device that is away, or was until it gave something.

use std::time::{Duration, Instant};

/// How often it is said, at most, that a device that is away is now away for another reason.
const SPEAK: Duration = Duration::from_secs(60);

/// Since when a device is away, why, and when it is looked for next.
#[derive(Debug)]
pub(super) struct Away {
    since: Instant,
    /// When it is looked for next, and the pause after that.
    next: Instant,
    pause: Duration,
    longest: Duration,
    /// Why it is away, and when that was said.
    why: Option<(String, Instant)>,
}

impl Away {
    /// One that is looked for now; the pauses between attempts are at first and at most as long as that.
    pub fn new([pause, longest]: [Duration; 2]) -> Self {
        let now = Instant::now();
        Self { since: now, next: now, pause, longest, why: None }
    }

    /// The time until it is looked for.
    pub fn wait(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Puts off when it is looked for. Whether the reason is to be said: once, and again if it is another after a while.
    pub fn fails(&mut self, why: &str) -> bool {
        let told = |(old, at): &(String, Instant)| *old == why || at.elapsed() < SPEAK;
        let news = !self.why.as_ref().is_some_and(told);
        if news {
            self.why = Some((why.to_owned(), Instant::now()));
        }
        self.next = Instant::now() + self.pause;
        self.pause = (2 * self.pause).min(self.longest);
        news
    }

    /// How long it was away, if it was said that it is.
    pub fn was(&self) -> Option<Duration> {
        self.why.as_ref().map(|_| self.since.elapsed())
    }
}
