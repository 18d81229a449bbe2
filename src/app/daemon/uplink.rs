//! Sends what is stored: one thread, one batch at a time, the most important first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::{Value, json};

use super::backoff::BackOff;
use super::client::{Answer, Client};
use crate::app::log;
use crate::error::{Error, Result};
use crate::pipeline::config::UplinkConfig;
use crate::pipeline::store::{RealDisk, Store};
use crate::pipeline::uplink::{Backlog, Batch, Pace, Settings, Uplink};

/// How long nothing is looked for when there was nothing to send, and longest sleep before the stop flag is looked at.
const NAP: Duration = Duration::from_millis(100);
/// How often the backlog is summed up.
const SUM: Duration = Duration::from_secs(1);
/// Longest wait that a receiver may ask for.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long a stream waits whose packets are in conflict with those of the receiver.
const CONFLICT: Duration = Duration::from_secs(60);
/// The time that the rate is taken over.
const WINDOW: Duration = Duration::from_secs(10);

/// A thread that sends. It ends when this is dropped; an answer that is waited for is then not heard, and what it
/// would have acknowledged is sent again.
pub struct Sending {
    shared: Arc<Shared>,
}

/// What the thread and those who look at it share.
struct Shared {
    /// Taken out when it is to end: so the store is let go at once, whatever the thread waits for.
    uplink: Mutex<Option<Uplink>>,
    seen: Mutex<Seen>,
    stop: AtomicBool,
    sent_bytes: AtomicU64,
    failures: AtomicU64,
}

/// How it stands.
#[derive(Default)]
struct Seen {
    up: bool,
    reason: Option<String>,
    backlog: Backlog,
    /// Times and bits of the newest batches.
    recent: VecDeque<(Instant, u64)>,
}

/// How it stands, in numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sums {
    pub up: bool,
    pub backlog_bytes: u64,
    pub sent_bytes: u64,
    pub failures: u64,
    pub passed_bytes: u64,
    pub refused_packets: u64,
    /// The share of what was to go first that does.
    pub first_share: f64,
}

impl Sending {
    /// Sends these streams of a store as a config says.
    ///
    /// # Errors
    /// `Config` or `Io` if token or certificates cannot be read.
    pub fn start(
        config: &UplinkConfig,
        folder: &std::path::Path,
        store: &Arc<Store>,
        streams: &[String],
    ) -> Result<Self> {
        let client = Client::new(config)?;
        if config.is_open() {
            log::warn(None, "uplink: with http:// everybody on the way can read the token");
        }
        let to = format!("{} as {}", config.url.trim_end_matches('/'), config.device);
        let settings = Settings { to, first: config.first };
        let disk = Arc::new(RealDisk::default());
        let uplink = Uplink::open(store.clone(), disk, folder.into(), streams, settings);
        let reason = Some("nothing was sent yet".into());
        let shared = Arc::new(Shared {
            uplink: Mutex::new(Some(uplink)),
            seen: Mutex::new(Seen { reason, ..Seen::default() }),
            stop: AtomicBool::new(false),
            sent_bytes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        let mut work = Work {
            shared: shared.clone(),
            client,
            pace: Pace::new(config.rate.map(|r| r.0)),
            begun: Instant::now(),
            most: config.batch_bytes(),
            back_off: BackOff::default(),
            summed: None,
        };
        let most = work.most;
        let thread = std::thread::Builder::new().name("uplink".into());
        thread.spawn(move || work.run(most)).map_err(|e| Error::io("thread of the uplink", e))?;
        Ok(Self { shared })
    }

    /// How it stands, for the page.
    pub fn status(&self) -> Value {
        let seen = lock(&self.shared.seen);
        let oldest = seen.backlog.oldest.and_then(|o| o.duration_since(UNIX_EPOCH).ok());
        json!({
            "state": if seen.up { "up" } else { "down" },
            "reason": seen.reason,
            "backlog_bytes": seen.backlog.bytes,
            "first": { "share": seen.backlog.first_share, "reason": seen.backlog.why },
            "bits_per_s": seen.rate(),
            "sent_bytes": self.shared.sent_bytes.load(Ordering::Relaxed),
            "failures": self.shared.failures.load(Ordering::Relaxed),
            "oldest_unsent_utc": oldest.map(|o| o.as_secs_f64()),
            "passed_over": {
                "packets": seen.backlog.passed_packets, "bytes": seen.backlog.passed_bytes,
            },
            "refused_packets": seen.backlog.refused_packets,
            "error": seen.backlog.error,
        })
    }

    /// How it stands, in numbers.
    pub fn sums(&self) -> Sums {
        let seen = lock(&self.shared.seen);
        Sums {
            up: seen.up,
            backlog_bytes: seen.backlog.bytes,
            sent_bytes: self.shared.sent_bytes.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
            passed_bytes: seen.backlog.passed_bytes,
            refused_packets: seen.backlog.refused_packets,
            first_share: seen.backlog.first_share,
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(mut uplink) = lock(&self.shared.uplink).take() {
            // What is not written down is sent again.
            let _ = uplink.save(true);
        }
    }
}

/// The thread.
struct Work {
    shared: Arc<Shared>,
    client: Client,
    pace: Pace,
    begun: Instant,
    /// Bytes of the next batch at most: fewer after one that was too much.
    most: usize,
    back_off: BackOff,
    summed: Option<Instant>,
}

impl Work {
    fn run(&mut self, most: usize) {
        loop {
            let bytes = self.pace.bytes(self.most);
            let Some(next) = self.with(|uplink| uplink.next(bytes)) else { return };
            self.sum();
            let Some(batch) = next else {
                self.nap(NAP);
                continue;
            };
            self.nap(self.pace.wait(self.begun.elapsed()));
            if self.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let begin = self.begun.elapsed();
            let answer = self.client.send(&batch);
            if let Answer::Taken = answer {
                self.pace.sent(batch.bytes.len(), begin, self.begun.elapsed());
                // Batches grow again, little by little.
                self.most = self.most.saturating_mul(2).min(most);
            }
            self.hear(answer, &batch);
        }
    }

    fn hear(&mut self, answer: Answer, batch: &Batch) {
        match answer {
            Answer::Taken => {
                self.with(|uplink| uplink.acknowledged(batch));
                self.back_off.reset();
                let bits = 8 * batch.bytes.len() as u64;
                self.shared.sent_bytes.fetch_add(bits / 8, Ordering::Relaxed);
                self.turn(true, None);
                let now = Instant::now();
                let mut seen = lock(&self.shared.seen);
                seen.recent.push_back((now, bits));
                while seen.recent.front().is_some_and(|r| now - r.0 > WINDOW) {
                    seen.recent.pop_front();
                }
            }
            Answer::Never(why) | Answer::TooLarge(why) if batch.packets > 1 => {
                self.fail(batch, &why);
                self.most = (self.most.min(batch.bytes.len()) / 2).max(1);
            }
            Answer::TooLarge(why) => self.hear(Answer::Later(why, None), batch),
            Answer::Later(why, again) => {
                self.fail(batch, &why);
                let wait = self.back_off.wait();
                self.nap(again.map_or(wait, |a| a.min(PATIENCE)));
            }
            Answer::Conflict(why) => {
                let why = format!("{}: {why}", batch.stream);
                self.fail(batch, &why);
                self.with(|uplink| uplink.hold(&batch.stream, CONFLICT, &why));
            }
            Answer::Never(why) => {
                let (stream, index) = (&batch.stream, batch.indices.map_or(0, |i| i.0));
                let words = format!("packet {index} is passed over: {why}");
                log::error(Some(stream), &words);
                self.with(|uplink| uplink.refused(batch));
                self.turn(false, Some(words));
            }
        }
    }

    fn fail(&mut self, batch: &Batch, why: &str) {
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        self.with(|uplink| uplink.failed(batch));
        self.turn(false, Some(why.to_owned()));
    }

    /// Notes whether it works, and says so when that changes.
    fn turn(&self, up: bool, reason: Option<String>) {
        let mut seen = lock(&self.shared.seen);
        if (seen.up, &seen.reason) != (up, &reason) {
            match &reason {
                Some(why) => log::warn(None, format_args!("uplink is down: {why}")),
                None => log::info(None, "uplink is up"),
            }
        }
        (seen.up, seen.reason) = (up, reason);
    }

    /// Sums up the backlog and writes the books, if that is due.
    fn sum(&mut self) {
        if self.summed.is_some_and(|at| at.elapsed() < SUM) {
            return;
        }
        self.summed = Some(Instant::now());
        let backlog = self.with(|uplink| {
            // That it failed stands in the backlog.
            let _ = uplink.save(false);
            uplink.backlog()
        });
        if let Some(backlog) = backlog {
            lock(&self.shared.seen).backlog = backlog;
        }
    }

    fn nap(&mut self, time: Duration) {
        let since = Instant::now();
        loop {
            let left = time.saturating_sub(since.elapsed());
            if left.is_zero() || self.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(left.min(NAP));
            self.sum();
        }
    }

    /// Does something with the uplink, unless it is to end.
    fn with<T>(&self, what: impl FnOnce(&mut Uplink) -> T) -> Option<T> {
        lock(&self.shared.uplink).as_mut().map(what)
    }
}

impl Seen {
    /// Bits a second, over the newest batches.
    fn rate(&self) -> f64 {
        let now = Instant::now();
        let recent = self.recent.iter().filter(|r| now - r.0 <= WINDOW);
        recent.map(|r| r.1).sum::<u64>() as f64 / WINDOW.as_secs_f64()
    }
}

/// What is shared; whoever panicked left it in order, as every change is made whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
