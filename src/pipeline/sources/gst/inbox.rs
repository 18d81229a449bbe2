//! What GStreamer's threads leave for the line's.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gstreamer::Sample;

/// Samples that wait, a bounded number: the oldest give way, and are counted.
#[derive(Debug)]
pub(super) struct Inbox {
    room: usize,
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    samples: VecDeque<Sample>,
    dropped: u64,
    /// Why nothing more comes.
    ended: Option<String>,
}

/// What was in it.
#[derive(Debug)]
pub(super) enum Taken {
    /// So many were dropped before what comes next.
    Dropped(u64),
    /// A sample.
    Sample(Sample),
    /// Nothing now.
    Nothing,
    /// Nothing ever again: why.
    Ended(String),
}

impl Inbox {
    /// Room for so many samples.
    pub fn new(room: usize) -> Self {
        Self { room, waiting: Mutex::default(), news: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a sample behind the others.
    pub fn put(&self, sample: Sample) {
        let mut waiting = self.lock();
        while waiting.samples.len() >= self.room {
            waiting.samples.pop_front();
            waiting.dropped += 1;
        }
        waiting.samples.push_back(sample);
        drop(waiting);
        self.news.notify_one();
    }

    /// Says why nothing more comes; the first who says so is heard.
    pub fn end(&self, why: impl Into<String>) {
        self.lock().ended.get_or_insert_with(|| why.into());
        self.news.notify_one();
    }

    /// Takes what is next, and waits for it a while.
    pub fn take(&self, wait: Duration) -> Taken {
        let idle = |w: &mut Waiting| w.samples.is_empty() && w.dropped == 0 && w.ended.is_none();
        let waiting = self.news.wait_timeout_while(self.lock(), wait, idle);
        let (mut waiting, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        if waiting.dropped > 0 {
            return Taken::Dropped(std::mem::take(&mut waiting.dropped));
        }
        match (waiting.samples.pop_front(), &waiting.ended) {
            (Some(sample), _) => Taken::Sample(sample),
            (None, Some(why)) => Taken::Ended(why.clone()),
            (None, None) => Taken::Nothing,
        }
    }
}
