//! Events on their way to a broker: so many at most, the oldest gives way, each is counted until it is acknowledged.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Events that are handed over before the first of them is acknowledged, at most.
const WINDOW: usize = 100;
/// Events held if nothing else is said.
const USUAL: usize = 1000;
/// Bytes of an event at most: brokers and subscribers take no more, or not everywhere.
const LARGEST: usize = 256 << 10;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number: none is given twice.
    pub id: u64,
    /// The stream that made it.
    pub stream: Arc<str>,
    /// What it says, as JSON.
    pub record: Arc<str>,
}

/// What became of all events. At every moment `made = acknowledged + dropped + queued`, where the last is counted by
/// what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events that lines made.
    pub made: u64,
    /// Events that the broker has taken.
    pub acknowledged: u64,
    /// Events that gave way, or were too large.
    pub dropped: u64,
    /// Events that wait, or of which nobody knows yet whether they arrived.
    pub queued: u64,
}

/// Holds events until a broker has taken them. Lines put them in and never wait; one connection at a time takes them.
#[derive(Debug)]
pub struct Outbox(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    waiting: VecDeque<Letter>,
    /// Handed over and not acknowledged.
    flying: VecDeque<Letter>,
    made: u64,
    acknowledged: u64,
    dropped: u64,
    /// The connection that may take: what an older one still says does not count.
    visit: u64,
    waker: Option<Waker>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            most: USUAL,
            waiting: VecDeque::new(),
            flying: VecDeque::new(),
            made: 0,
            acknowledged: 0,
            dropped: 0,
            visit: 0,
            waker: None,
        }))
    }
}

impl Outbox {
    /// Holds so many events from now on, two at least; the oldest of more are dropped.
    pub fn hold(&self, most: usize) {
        let mut inner = self.lock();
        inner.most = most.max(2);
        while inner.waiting.len() + inner.flying.len() > inner.most
            && inner.waiting.pop_front().or_else(|| inner.flying.pop_front()).is_some()
        {
            inner.dropped += 1;
        }
    }

    /// Takes an event. When it is full, the oldest that waits is dropped.
    pub fn put(&self, stream: &Arc<str>, record: String) {
        let mut inner = self.lock();
        inner.made += 1;
        if record.len() > LARGEST {
            inner.dropped += 1;
            return;
        }
        if inner.waiting.len() + inner.flying.len() >= inner.most {
            // One waits: fewer are handed over than are held.
            let oldest = inner.waiting.pop_front().or_else(|| inner.flying.pop_front());
            inner.dropped += u64::from(oldest.is_some());
        }
        let (id, stream) = (inner.made, stream.clone());
        inner.waiting.push_back(Letter { id, stream, record: record.into() });
        inner.wake();
    }

    /// A new connection, which the other methods want to know: what an older one did not see acknowledged is given again.
    pub fn begin(&self) -> u64 {
        let mut inner = self.lock();
        inner.visit += 1;
        inner.recall();
        inner.visit
    }

    /// The connection is no more: what was not acknowledged waits again.
    pub fn recall(&self, visit: u64) {
        let mut inner = self.lock();
        if inner.visit == visit {
            inner.recall();
        }
    }

    /// The oldest event that waits, as soon as one may be handed over.
    pub fn poll_next(&self, visit: u64, cx: &mut Context<'_>) -> Poll<Letter> {
        let mut inner = self.lock();
        if inner.visit != visit {
            return Poll::Pending;
        }
        if inner.flying.len() < WINDOW.min(inner.most / 2).max(1)
            && let Some(letter) = inner.waiting.pop_front()
        {
            inner.flying.push_back(letter.clone());
            return Poll::Ready(letter);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The broker has an event.
    pub fn acknowledged(&self, visit: u64, id: u64) {
        let mut inner = self.lock();
        if inner.visit != visit {
            return;
        }
        // It may have been dropped since.
        if let Some(at) = inner.flying.iter().position(|l| l.id == id) {
            inner.flying.remove(at);
            inner.acknowledged += 1;
        }
        inner.wake();
    }

    /// Drops all: nobody will send it.
    pub fn empty(&self) {
        let mut inner = self.lock();
        inner.dropped += (inner.waiting.len() + inner.flying.len()) as u64;
        inner.waiting.clear();
        inner.flying.clear();
    }

    /// What became of all events.
    pub fn tally(&self) -> Tally {
        let inner = self.lock();
        let queued = (inner.waiting.len() + inner.flying.len()) as u64;
        let (made, acknowledged, dropped) = (inner.made, inner.acknowledged, inner.dropped);
        Tally { made, acknowledged, dropped, queued }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn recall(&mut self) {
        while let Some(letter) = self.flying.pop_back() {
            self.waiting.push_front(letter);
        }
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(outbox: &Outbox, visit: u64) -> Option<Letter> {
        match outbox.poll_next(visit, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(letter) => Some(letter),
            Poll::Pending => None,
        }
    }

    fn numbers(outbox: &Outbox) -> [u64; 4] {
        let t = outbox.tally();
        assert_eq!(t.made, t.acknowledged + t.dropped + t.queued, "{t:?}");
        [t.made, t.acknowledged, t.dropped, t.queued]
    }

    #[test]
    fn the_oldest_gives_way_and_the_sum_holds() {
        let (outbox, gate) = (Outbox::default(), Arc::from("gate"));
        outbox.hold(4);
        for i in 0..10 {
            outbox.put(&gate, i.to_string());
        }
        assert_eq!(numbers(&outbox), [10, 0, 6, 4]);
        let visit = outbox.begin();
        let (a, b) = (next(&outbox, visit), next(&outbox, visit));
        let (a, b) = (a.expect("the oldest"), b.expect("the next"));
        assert_eq!((&*a.record, &*b.record), ("6", "7"));
        assert_eq!(next(&outbox, visit), None, "only half are handed over before an answer");
        // What waits gives way, not what may have arrived.
        outbox.put(&gate, "10".into());
        assert_eq!(numbers(&outbox), [11, 0, 7, 4]);
        outbox.acknowledged(visit, b.id);
        outbox.acknowledged(visit, b.id);
        assert_eq!(numbers(&outbox), [11, 1, 7, 3]);
        // The next connection is given again what was not acknowledged, first; the old one is not heard any more.
        let new = outbox.begin();
        outbox.acknowledged(visit, a.id);
        assert_eq!(next(&outbox, visit), None);
        assert_eq!(next(&outbox, new).map(|l| l.id), Some(a.id));
        outbox.recall(visit);
        outbox.recall(new);
        let records: Vec<String> = std::iter::from_fn(|| {
            let letter = next(&outbox, new)?;
            outbox.acknowledged(new, letter.id);
            Some(letter.record.to_string())
        })
        .collect();
        assert_eq!(records, ["6", "9", "10"]);
        assert_eq!(numbers(&outbox), [11, 4, 7, 0]);
        outbox.put(&gate, "x".repeat(LARGEST + 1));
        assert_eq!(numbers(&outbox), [12, 4, 8, 0]);
        (0..4).for_each(|i| outbox.put(&gate, i.to_string()));
        outbox.hold(2);
        assert_eq!(numbers(&outbox), [16, 4, 10, 2]);
        outbox.empty();
        assert_eq!(numbers(&outbox), [16, 4, 12, 0]);
    }
}
