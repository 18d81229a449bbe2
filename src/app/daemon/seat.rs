//! What is known of a line from outside: its accounts, its state, and what it saw last.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::quiet::Quiet;
use crate::app::log;
use crate::codec::{Latent, Layout};
use crate::pipeline::config::{SourceConfig, StreamConfig};
use crate::pipeline::sources::Known;
use crate::pipeline::{Flight, Gone, Item, Ladder, Ledger};

/// The time that rates are taken over.
const WINDOW: Duration = Duration::from_secs(10);
/// A picture is kept for whoever looked within this time.
const LOOKED: Duration = Duration::from_secs(3);

/// A line's place: it stays over runs and reloads.
pub struct Seat {
    pub name: String,
    pub ledger: Arc<Ledger>,
    seen: Mutex<Seen>,
    next: AtomicU64,
    /// Files that its source read.
    pub known: Known,
}

/// What a line saw last.
#[derive(Default)]
pub struct Seen {
    pub bundle: String,
    /// The folder that it watches, if it does: nothing need come.
    pub folder: Option<PathBuf>,
    pub head: Option<String>,
    pub state: State,
    pub restarts: u64,
    /// Since when it runs.
    pub since: Option<Instant>,
    pub last: Option<Instant>,
    /// Times and bits of the newest items.
    recent: VecDeque<(Instant, u64)>,
    pub kind: Option<&'static str>,
    /// What encoded the last item.
    pub device: String,
    pub extent: Vec<usize>,
    pub quality: u8,
    /// Channels and bits of each group of the last packet.
    pub groups: Vec<(usize, u64)>,
    pub top: Vec<(String, f32)>,
    /// Rows and columns of patches, and those that were kept.
    pub tokens: Option<([usize; 2], Vec<usize>)>,
    pub bytes: u64,
    pub ladder: Option<Arc<Ladder>>,
    /// When somebody looked at its pictures, a latent since, and the newest picture made of one.
    looked: Option<Instant>,
    latent: Option<(Latent, Layout)>,
    pub picture: Option<Vec<u8>>,
    quiet: Quiet,
}

/// What a line does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum State {
    #[default]
    Running,
    Restarting(String),
    /// It has ended: why, if it failed.
    Stopped(Option<String>),
}

impl Seat {
    pub fn new(name: &str, flight: &Arc<Flight>) -> Self {
        Self {
            name: name.into(),
            ledger: Arc::new(Ledger::new(flight.clone())),
            seen: Mutex::default(),
            next: AtomicU64::new(0),
            known: Known::default(),
        }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line is another now.
    pub fn take(&self, config: &StreamConfig) {
        let mut seen = self.seen();
        seen.bundle.clone_from(&config.codec.bundle);
        seen.folder = match &config.source {
            SourceConfig::Watch { folder, .. } => Some(folder.clone()),
            _ => None,
        };
        seen.head = config.infer.as_ref().map(|i| i.head.clone());
        (seen.groups, seen.top, seen.tokens) = (Vec::new(), Vec::new(), None);
    }

    /// Place of the first item of the next run.
    pub fn next_index(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    pub fn begin(&self) {
        self.ledger.turned();
        let mut seen = self.seen();
        (seen.state, seen.since) = (State::Running, Some(Instant::now()));
    }

    pub fn fail(&self, why: &str) {
        let mut seen = self.seen();
        seen.state = State::Restarting(why.into());
        seen.restarts += 1;
    }

    /// Says once that something is wrong which nothing here can mend.
    pub fn fail_once(&self, why: &str) {
        let mut seen = self.seen();
        if seen.state != State::Restarting(why.into()) {
            log::error(Some(&self.name), why);
            seen.state = State::Restarting(why.into());
        }
    }

    pub fn end(&self, why: Option<String>) {
        self.seen().state = State::Stopped(why);
    }

    /// Whether its loop turned within this time.
    pub fn turns(&self, bound: Duration) -> bool {
        self.ledger.since_turn() < bound
    }

    /// Looks at an item at the end of its way.
    pub fn see(&self, item: &Item) {
        let mut seen = self.seen();
        self.next.fetch_max(item.stamp.index.saturating_add(1), Ordering::Relaxed);
        for warning in &item.warnings {
            seen.quiet.say(&self.name, format_args!("{}: {warning}", item.name));
        }
        match &item.gone {
            Some(Gone::Lost(_, why)) => {
                seen.quiet.say(&self.name, format_args!("{}: {why}", item.name));
                return;
            }
            // Outside its hours, and between the pictures it keeps, a line is well.
            Some(Gone::Dropped("schedule" | "every")) => {
                seen.last = Some(Instant::now());
                return;
            }
            Some(Gone::Dropped(_)) => return,
            None => {}
        }
        let now = Instant::now();
        let bits = item.packet.as_ref().map_or(0, |p| 8 * p.payload.len() as u64);
        seen.last = Some(now);
        if !matches!(seen.state, State::Stopped(_)) {
            // A sink that hung does no longer.
            seen.state = State::Running;
        }
        seen.bytes += bits / 8;
        seen.recent.push_back((now, bits));
        while seen.recent.front().is_some_and(|r| now - r.0 > WINDOW) {
            seen.recent.pop_front();
        }
        if let (Some(packet), Some(header)) = (&item.packet, &item.header) {
            let sound = header.rate() > 0;
            seen.kind = Some(if sound { "sound" } else { "picture" });
            seen.device.clone_from(&header.device);
            seen.extent = packet.header.extent.to_vec();
            seen.quality = packet.header.quality.value();
            let first = packet.header.first_group;
            let begins = |g: usize| g.checked_sub(1).map_or(0, |g| header.groups[g]);
            let groups = packet.header.lengths.iter().enumerate();
            seen.groups = groups
                .filter(|(g, _)| first + g < header.groups.len())
                .map(|(g, &n)| (header.groups[first + g] - begins(first + g), 8 * n as u64))
                .collect();
        }
        if let Some(prediction) = item.predictions.first() {
            seen.top = prediction.top.iter().take(3).cloned().collect();
            let kept = prediction.patches.clone();
            seen.tokens = prediction.grid.filter(|_| !kept.is_empty()).map(|grid| (grid, kept));
        }
        // The next is kept when this was made into a picture.
        let looks = seen.looked.is_some_and(|l| l.elapsed() < LOOKED) && seen.latent.is_none();
        if let (true, Some(latent), Some(header)) = (looks, &item.latent, &item.header)
            && header.rate() == 0
        {
            seen.latent = Some((latent.clone(), header.layout));
        }
    }

    /// Somebody looks at its pictures.
    pub fn look(&self) -> Option<Vec<u8>> {
        let mut seen = self.seen();
        seen.looked = Some(Instant::now());
        seen.picture.clone()
    }

    /// A new latent that somebody wants to see.
    pub fn latent(&self) -> Option<(Latent, Layout, String)> {
        let mut seen = self.seen();
        let (latent, layout) = seen.latent.take()?;
        Some((latent, layout, seen.bundle.clone()))
    }
}

impl Seen {
    /// Items and bits a second, over the newest.
    pub fn rates(&self) -> (f64, f64) {
        let now = Instant::now();
        let recent = self.recent.iter().filter(|r| now - r.0 <= WINDOW);
        let (count, bits) = recent.fold((0u64, 0u64), |(n, b), r| (n + 1, b + r.1));
        let time = self.since.map_or(WINDOW, |s| s.elapsed().min(WINDOW)).as_secs_f64().max(0.1);
        (count as f64 / time, bits as f64 / time)
    }
}
