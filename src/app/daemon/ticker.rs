//! What a store does by the way: syncing, making room, telling what was given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::pipeline::store::Store;

/// How often: well within the time that what was written may wait to be synced.
const EVERY: Duration = Duration::from_millis(100);

/// Lets a store work until it is dropped, on a thread of its own: a slow disk holds up no line.
#[derive(Debug)]
pub struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub fn start(store: &Arc<Store>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (store, stopped) = (store.clone(), stop.clone());
        let run = move || {
            while !stopped.load(Ordering::Relaxed) {
                store.tick();
                std::thread::sleep(EVERY);
            }
        };
        let thread = std::thread::Builder::new().name("store".into()).spawn(run);
        let thread = thread.map_err(|e| Error::io("thread of the store", e))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Each line syncs what it wrote when it ends.
            let _ = thread.join();
        }
    }
}
