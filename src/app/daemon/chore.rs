//! Work that goes on beside the lines, on a thread of its own, until it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::pipeline::store::Store;

/// How often a store works: well within the time that what was written may wait to be synced.
const STORE: Duration = Duration::from_millis(100);

/// Something done again and again.
#[derive(Debug)]
pub struct Chore {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Chore {
    /// Does it now, and `every` time after it is done.
    ///
    /// # Errors
    /// `Io` if there is no thread for it.
    pub fn start(
        name: &str,
        every: Duration,
        mut what: impl FnMut() + Send + 'static,
    ) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let run = move || {
            while !stopped.load(Ordering::Relaxed) {
                what();
                std::thread::sleep(every);
            }
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(run);
        let thread = thread.map_err(|e| Error::io(format!("thread of {name}"), e))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Lets a store sync, make room and write down what was given up: a slow disk holds up no line.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn of_store(store: &Arc<Store>) -> Result<Self> {
        let store = store.clone();
        Self::start("store", STORE, move || store.tick())
    }
}

impl Drop for Chore {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has cost what it would have done; lines sync what they wrote when they end.
            let _ = thread.join();
        }
    }
}
