//! The accounts of a line while it runs: what came in, what became of it, what is still on its way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::flight::{Flight, size};
use super::item::Item;
use super::stats::Report;

/// Accounts of one line, over all its runs. At every moment `received = delivered + dropped + lost + in flight`,
/// where the last is counted by what is there, not as what is left over.
#[derive(Debug, Default)]
pub struct Ledger {
    account: Mutex<Account>,
    flight: Arc<Flight>,
    /// When the loop of its line turned last.
    turned: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Account {
    report: Report,
    /// Runs that were given up: what they still hold was counted as lost.
    given_up: u64,
    /// What the others hold of the flight.
    size: u64,
}

impl Ledger {
    /// Accounts of a line whose items share `flight` with those of other lines.
    pub fn new(flight: Arc<Flight>) -> Self {
        Self { flight, ..Self::default() }
    }

    /// The loop of its line turns, whether anything comes or not.
    pub fn turned(&self) {
        *self.turned.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long it has not; zero if it never did.
    pub fn since_turn(&self) -> Duration {
        let turned = *self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        turned.map(|t| t.elapsed()).unwrap_or_default()
    }

    /// The accounts as they stand.
    pub fn report(&self) -> Report {
        self.lock().report.clone()
    }

    /// Items received and delivered so far.
    pub fn progress(&self) -> (u64, u64) {
        let account = self.lock();
        (account.report.received, account.report.delivered)
    }

    /// Takes an item in; waits until its samples fit beside those under way, or the line is halted.
    pub(super) fn board(self: &Arc<Self>, item: &Item, halted: &dyn Fn() -> bool) -> Ticket {
        let size = size(item);
        self.flight.board(size, halted);
        self.ticket(size)
    }

    /// The same without waiting; `None` if its samples do not fit.
    pub(super) fn try_board(self: &Arc<Self>, item: &Item) -> Option<Ticket> {
        let size = size(item);
        self.flight.try_board(size).then(|| self.ticket(size))
    }

    /// Takes an item in that goes no further.
    pub(super) fn turn_away(self: &Arc<Self>, item: &Item) {
        self.ticket(0).land(item);
    }

    fn ticket(self: &Arc<Self>, size: u64) -> Ticket {
        let mut account = self.lock();
        account.report.received += 1;
        account.report.aboard += 1;
        account.size += size;
        let run = account.given_up;
        drop(account);
        Ticket { ledger: self.clone(), size, run, since: Instant::now(), landed: false }
    }

    /// Counts all that is on its way as lost: whoever holds it hangs.
    pub fn give_up(&self, kind: &'static str) {
        let mut account = self.lock();
        account.given_up += 1;
        let aboard = std::mem::take(&mut account.report.aboard);
        *account.report.lost.entry(kind).or_default() += aboard;
        // Other lines need the room, and whoever hangs may never give it back.
        self.flight.land(std::mem::take(&mut account.size));
    }

    /// Says that the line was stopped before its source came to an end.
    pub(super) fn leave_unread(&self) {
        self.lock().report.unread = true;
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item on its way. Dropped without having landed, it is counted as lost.
#[derive(Debug)]
pub(super) struct Ticket {
    ledger: Arc<Ledger>,
    size: u64,
    run: u64,
    since: Instant,
    landed: bool,
}

impl Ticket {
    /// The end of the way: delivered, dropped or lost as the item says.
    pub fn land(mut self, item: &Item) {
        self.landed = true;
        let mut account = self.ledger.lock();
        if account.given_up == self.run {
            account.report.aboard -= 1;
            account.report.count(item, self.since);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut account = self.ledger.lock();
        if account.given_up != self.run {
            return;
        }
        account.size -= self.size;
        self.ledger.flight.land(self.size);
        if !self.landed {
            account.report.aboard -= 1;
            *account.report.lost.entry("line_failed").or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Frame, Layout, Samples};

    #[test]
    fn whatever_becomes_of_an_item_the_sum_holds() {
        let ledger = Arc::new(Ledger::default());
        let go = || false;
        let holds = |expected: [u64; 4]| {
            let r = ledger.report();
            let found =
                [r.received, r.delivered, r.dropped_count() + r.lost_count(), r.in_flight()];
            assert_eq!(found, expected);
            assert_eq!(r.unaccounted(), 0);
        };
        let samples = Samples::U8(vec![0; 3]);
        let frame = Frame::new(Layout::Rgb, 3, vec![1, 1], samples).expect("a pixel");
        let item = || Item { frame: Some(frame.clone()), ..Item::default() };
        let (a, b, c) = (item(), item(), item());
        let (x, y) = (ledger.board(&a, &go), ledger.board(&b, &go));
        let z = ledger.try_board(&c).expect("there is room");
        holds([3, 0, 0, 3]);
        x.land(&a);
        drop(y);
        holds([3, 1, 1, 1]);
        ledger.give_up("hung");
        holds([3, 1, 2, 0]);
        assert!(ledger.flight.is_empty(), "others have all the room");
        // Whoever hung comes back too late.
        z.land(&c);
        holds([3, 1, 2, 0]);
        let mut late = Item::default();
        late.drop_for("queue_full");
        ledger.turn_away(&late);
        holds([4, 1, 3, 0]);
    }
}
