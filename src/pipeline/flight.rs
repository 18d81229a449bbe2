//! How much may be on its way at once: items are counted by the queues, their samples here.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::item::Item;
use super::line::LOOK;

/// Pixels and sound values on their way at most; one item may always go, however large. Some bytes
/// can ask for the largest picture, and the queues hold many such.
const LIMIT: u64 = 1 << 27;

/// The samples on their way through lines that share it.
#[derive(Debug, Default)]
pub struct Flight {
    under_way: Mutex<u64>,
    landed: Condvar,
}

impl Flight {
    /// Waits until an item of `size` fits beside what is under way, or until the line is halted.
    pub(super) fn board(&self, size: u64, halted: &dyn Fn() -> bool) {
        let mut under_way = self.lock();
        while *under_way > 0 && *under_way + size > LIMIT && !halted() {
            let wait = self.landed.wait_timeout(under_way, LOOK);
            under_way = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        *under_way += size;
    }

    /// Whether an item of `size` fits beside what is under way; then it is under way too.
    pub(super) fn try_board(&self, size: u64) -> bool {
        let mut under_way = self.lock();
        let fits = *under_way == 0 || *under_way + size <= LIMIT;
        if fits {
            *under_way += size;
        }
        fits
    }

    /// Whether nothing is under way.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        *self.lock() == 0
    }

    /// Gives an item's share back.
    pub(super) fn land(&self, size: u64) {
        *self.lock() -= size;
        self.landed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
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
        flight.board(LIMIT * 2, &go);
        assert!(!flight.try_board(1));
        let landed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                flight.board(1, &go);
                assert!(landed.load(Ordering::SeqCst), "boarded beside an item over the limit");
            });
            std::thread::sleep(2 * LOOK);
            landed.store(true, Ordering::SeqCst);
            flight.land(LIMIT * 2);
        });
        flight.board(LIMIT - 1, &go);
        // A halted line waits for nothing.
        flight.board(1, &|| true);
        assert_eq!(*flight.lock(), LIMIT + 1);
    }
}
