//! How much may be on its way at once: items are counted by the queues, their samples here.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::item::Item;
use super::line::LOOK;

/// Pixels and sound values on their way at most; one item may always go, however large. Some bytes
/// can ask for the largest picture, and the queues hold many such.
const LIMIT: u64 = 1 << 27;

/// The samples on their way through one line.
#[derive(Debug, Default)]
pub(super) struct Flight {
    under_way: Mutex<u64>,
    landed: Condvar,
}

/// An item's share; given back when it is dropped, whatever became of the item.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    flight: &'a Flight,
    size: u64,
}

impl Flight {
    /// Waits until an item of `size` fits beside what is under way, or until the line is halted.
    pub fn board(&self, size: u64, halted: &dyn Fn() -> bool) -> Ticket<'_> {
        let mut under_way = self.lock();
        while *under_way > 0 && *under_way + size > LIMIT && !halted() {
            let wait = self.landed.wait_timeout(under_way, LOOK);
            under_way = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        *under_way += size;
        Ticket { flight: self, size }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        *self.flight.lock() -= self.size;
        self.flight.landed.notify_one();
    }
}

/// Pixels or sound values that an item holds or will hold.
pub(super) fn size(item: &Item) -> u64 {
    let coded =
        item.packet.as_ref().map_or(0, |p| p.header.extent.iter().map(|&n| n as u64).product());
    item.frame.as_ref().map_or(0, |f| f.samples.len() as u64).max(coded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn one_large_item_goes_alone_and_the_next_waits_for_it() {
        let flight = Flight::default();
        let go = || false;
        let large = flight.board(LIMIT * 2, &go);
        let landed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _small = flight.board(1, &go);
                assert!(landed.load(Ordering::SeqCst), "boarded beside an item over the limit");
            });
            std::thread::sleep(2 * LOOK);
            landed.store(true, Ordering::SeqCst);
            drop(large);
        });
        let _half = (flight.board(LIMIT / 2, &go), flight.board(LIMIT / 2, &go));
        // A halted line waits for nothing.
        let _more = flight.board(1, &|| true);
        assert_eq!(*flight.lock(), LIMIT + 1);
    }
}
