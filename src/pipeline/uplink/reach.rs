//! How much of a new packet goes first: as much as the link carries of all that is made.

use std::time::Duration;

use super::books::{Book, GROUPS};

/// From one decision to the next, at least.
const WINDOW: Duration = Duration::from_secs(1);
/// Of what the link carries, what is given to new packets at most.
const SAFE: f64 = 0.9;
/// By how much the share grows where there is room, and for how many windows there must have been.
const GROW: f64 = 1.3;
const PATIENCE: u32 = 2;
/// The share is no less: the first group goes in any case.
const LEAST: f64 = 0.01;

/// A share of the bytes of the groups that are to go first, and what it is decided by.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    /// Groups that go first at most; a third of them if nothing is said.
    most: Option<usize>,
    share: f64,
    why: String,
    /// Nothing was acknowledged since a failure: nobody knows what the link carries.
    paused: bool,
    begun: Duration,
    seen: Seen,
    room: u32,
}

/// What a window saw.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Packets that were stored.
    came: u64,
    /// Packets of which the first groups were acknowledged, and the bytes of these.
    went: u64,
    bytes: u64,
    /// Bytes of groups behind them.
    outer: u64,
    /// At some moment all that was new had been sent, and all that there was.
    emptied: bool,
    idle: bool,
}

impl Reach {
    pub fn new(most: Option<usize>) -> Self {
        Self {
            most,
            share: 1.0,
            why: "all that was to go first does".into(),
            paused: true,
            begun: Duration::ZERO,
            seen: Seen::default(),
            room: 0,
        }
    }

    /// The share of the bytes that were to go first which does, and why.
    pub fn share(&self) -> (f64, &str) {
        (self.share, &self.why)
    }

    /// Groups that are to go first where there is room.
    pub fn size(&self, book: &Book) -> usize {
        size(self.most, book)
    }

    /// Groups that do go first.
    pub fn first(&self, book: &Book) -> usize {
        first(self.share, self.size(book), book)
    }

    pub fn came(&mut self, packets: u64) {
        self.seen.came += packets;
    }

    /// All that was new was sent.
    pub fn emptied(&mut self) {
        self.seen.emptied = true;
    }

    /// All that there was was sent.
    pub fn idle(&mut self) {
        self.seen.idle = true;
    }

    /// A batch was acknowledged: `first` if it was of groups that go first.
    pub fn went(&mut self, first: bool, packets: u64, bytes: usize, now: Duration) {
        if std::mem::take(&mut self.paused) {
            (self.seen, self.begun) = (Seen::default(), now);
            return;
        }
        match first {
            true => {
                self.seen.went += packets;
                self.seen.bytes += bytes as u64;
            }
            false => self.seen.outer += bytes as u64,
        }
    }

    /// A batch failed.
    pub fn failed(&mut self) {
        self.paused = true;
    }

    /// Decides anew, if it is time.
    pub fn turn<'a>(&mut self, books: impl Iterator<Item = &'a Book> + Clone, now: Duration) {
        if self.paused || now.saturating_sub(self.begun) < WINDOW {
            return;
        }
        let Seen { came, went, bytes, outer, emptied, idle } = std::mem::take(&mut self.seen);
        self.begun = now;
        // Of the bytes that are to go first, those that do.
        let most = self.most;
        let part = |share: f64| {
            let sums = books.clone().fold((0.0, 0.0), |(some, all), book| {
                let size = size(most, book);
                (some + book.weight(first(share, size, book)), all + book.weight(size))
            });
            sums.0 / f64::max(sums.1, 1.0)
        };
        if !emptied {
            self.room = 0;
            if went < came {
                let carries = went as f64 / came as f64;
                self.share = (part(self.share) * carries * SAFE).clamp(LEAST, 1.0);
                let percent = 100.0 * carries;
                self.why =
                    format!("the link carried first groups of {percent:.0} % of what was made");
            }
            return;
        }
        if self.share == 1.0 {
            return;
        }
        let more = (self.share * GROW).min(1.0);
        let needs = bytes as f64 * (part(more) / part(self.share).max(LEAST) - 1.0);
        self.room = if idle || needs <= SAFE * outer as f64 { self.room + 1 } else { 0 };
        if self.room >= PATIENCE {
            (self.share, self.room) = (more, 0);
            self.why = match more == 1.0 {
                true => "all that was to go first does".into(),
                false => "the link carries more again".into(),
            };
        }
    }
}

fn size(most: Option<usize>, book: &Book) -> usize {
    most.unwrap_or(book.groups.div_ceil(3)).clamp(1, GROUPS)
}

/// As many of `size` groups as take no more than a share of their bytes, one at least.
fn first(share: f64, size: usize, book: &Book) -> usize {
    let most = share * book.weight(size);
    (1..=size).rev().find(|&n| book.weight(n) <= most * 1.0001).unwrap_or(1)
}

#[cfg(test)]
#[allow(clippy::field_reassign_with_default)]
mod tests {
    use super::*;

    /// A link of `speed` bytes a second under a stream of 25 packets of 1000 bytes a second, from `from` to `to`
    /// seconds. What is late at the end, in seconds, and the share after each second.
    fn play(
        reach: &mut Reach,
        book: &Book,
        late: &mut f64,
        speed: f64,
        time: [u64; 2],
    ) -> Vec<f64> {
        let mut shares = Vec::new();
        for tenth in 10 * time[0]..10 * time[1] {
            let now = Duration::from_millis(100 * tenth);
            *late += 2.5;
            reach.came(if tenth % 2 == 0 { 2 } else { 3 });
            let each = book.weight(reach.first(book)) / book.weight(15) * 1000.0;
            let goes = (speed / 10.0 / each).min(*late);
            *late -= goes;
            let whole = tenth as f64 * goes;
            reach.went(true, (whole + goes) as u64 - whole as u64, (goes * each) as usize, now);
            if *late < 1.0 {
                reach.emptied();
                let left = speed / 10.0 - goes * each;
                let outer = 2.5 * (1000.0 - each);
                reach.went(false, 0, left.min(outer) as usize, now);
                if left > outer {
                    reach.idle();
                }
            }
            reach.turn([book].into_iter(), now);
            if tenth % 10 == 9 {
                shares.push(reach.share);
            }
        }
        shares
    }

    #[test]
    fn half_a_link_carries_fewer_groups_within_five_seconds_and_all_when_it_is_whole() {
        let mut book = Book::default();
        book.groups = 15;
        book.weigh(0, &[250, 150, 120, 90, 80, 70, 50, 40, 40, 30, 20, 20, 20, 10, 10]);
        let mut reach = Reach::new(Some(15));
        let mut late = 0.0;
        let whole = play(&mut reach, &book, &mut late, 30_000.0, [0, 20]);
        assert!(whole.iter().all(|&s| s == 1.0), "{whole:?}");
        let half = play(&mut reach, &book, &mut late, 15_000.0, [20, 60]);
        assert!(half[4..].windows(2).all(|w| w[0] == w[1]), "settled: {half:?}");
        assert!((0.3..0.6).contains(&half[39]) && late < 25.0, "{late} packets late, {half:?}");
        let back = play(&mut reach, &book, &mut late, 30_000.0, [60, 90]);
        assert!(back[15] == 1.0 && late < 5.0, "{late} packets late, {back:?}");
        // Far too slow: the first group goes all the same.
        let slow = play(&mut reach, &book, &mut late, 3_000.0, [90, 120]);
        assert_eq!(reach.first(&book), 1, "{slow:?}");
    }

    #[test]
    fn what_a_link_that_is_down_does_not_carry_changes_nothing() {
        let mut reach = Reach::new(None);
        let mut book = Book::default();
        book.groups = 12;
        let second = Duration::from_secs(1);
        for n in 1..100 {
            reach.came(25);
            if n == 1 {
                reach.went(true, 25, 1000, n * second);
            }
            reach.failed();
            reach.turn([&book].into_iter(), n * second);
        }
        reach.went(true, 1, 10, 100 * second);
        reach.came(10);
        reach.went(true, 100, 1000, 101 * second);
        reach.turn([&book].into_iter(), 102 * second);
        assert_eq!((reach.share().0, reach.first(&book), reach.size(&book)), (1.0, 4, 4));
    }
}
