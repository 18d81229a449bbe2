//! A folder that files come into.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::files::Files;
use super::known::{Known, Progress, State};
use super::{NAP, Reading};
use crate::error::Result;
use crate::pipeline::Ledger;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;

/// How often the folder is looked at, at least.
const LOOK: Duration = Duration::from_millis(500);
/// Endings of files that are still being written, whatever their age.
const UNFINISHED: [&str; 5] = ["part", "tmp", "temp", "crdownload", "filepart"];

/// Reads files as they come into a folder, in the order of their last change. A file is read when it was as it is for a
/// while; again, if it changes after that. A folder that goes away is waited for.
pub struct Watch {
    folder: PathBuf,
    settle: Duration,
    stop: Arc<AtomicBool>,
    files: Files,
    /// What was read, or is passed over.
    known: Known,
    /// The accounts of its line.
    ledger: Arc<Ledger>,
    /// The file that is read.
    reading: Option<(PathBuf, State)>,
    /// What waits, since when it is as it is.
    waiting: BTreeMap<PathBuf, (State, Instant)>,
    /// What has settled, in the order of its last change.
    ready: VecDeque<(PathBuf, State)>,
}

impl Watch {
    /// Looks into `folder`, whose files are read once they were left alone for `settle`, but for those that are `known`
    /// already; and unless `existing` are read, for those that are there when it first does. `ledger` is that of its line.
    pub fn new(
        folder: &Path,
        settle: Duration,
        existing: bool,
        how: Reading,
        stop: Arc<AtomicBool>,
        known: Known,
        ledger: Arc<Ledger>,
    ) -> Self {
        if known.watch(folder) && !existing {
            known.pass_over(list(folder));
        }
        Self {
            folder: folder.into(),
            settle,
            stop,
            files: Files::new(Vec::new(), how),
            known,
            ledger,
            reading: None,
            waiting: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    /// The next file to read, if one has settled.
    fn settled(&mut self, progress: Progress) -> Option<PathBuf> {
        if self.ready.is_empty() {
            self.look();
        }
        // What was changed since waits again.
        let still = |(path, state): &(PathBuf, State)| look_at(path) == Some(*state);
        let (path, state) = std::iter::from_fn(|| self.ready.pop_front()).find(still)?;
        self.known.begin(&path, state, progress);
        self.reading = Some((path.clone(), state));
        Some(path)
    }

    fn look(&mut self) {
        let there = list(&self.folder);
        // A disk that was taken out may be put in again.
        if !there.is_empty() {
            self.known.retain(|path| there.contains_key(path));
        }
        self.waiting.retain(|path, _| there.contains_key(path));
        let now = Instant::now();
        let mut ready = Vec::new();
        for (path, state) in there {
            if self.known.has(&path, state) {
                self.waiting.remove(&path);
                continue;
            }
            let since = self.waiting.entry(path.clone()).or_insert((state, now));
            if since.0 != state {
                *since = (state, now);
            }
            if now.duration_since(since.1) >= self.settle {
                ready.push((path, state));
            }
        }
        ready.sort_by(|(a, s), (b, t)| (s.1, a).cmp(&(t.1, b)));
        self.ready = ready.into();
    }
}

impl Source for Watch {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }

    fn next(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(mut item) = self.files.next()? {
                // Times of files are those of the clock on the wall.
                let changed = self.reading.as_ref().and_then(|r| r.1.1);
                if let Some(changed) = changed.filter(|_| item.gone.is_none()) {
                    item.stamp.captured += changed.duration_since(UNIX_EPOCH).unwrap_or_default();
                    item.stamp.utc = UNIX_EPOCH.checked_add(item.stamp.captured);
                }
                return Ok(Some(item));
            }
            let progress = Progress::of(&self.ledger.report());
            if let Some((path, state)) = self.reading.take() {
                self.known.end(path, state, progress);
            }
            // A list that cannot be written costs no frame: files may be read again.
            let _ = self.known.settle(progress, false);
            match self.settled(progress) {
                Some(path) => self.files.push(path),
                None => {
                    let begin = Instant::now();
                    while begin.elapsed() < LOOK.min(self.settle.max(NAP)) {
                        if self.stop.load(Ordering::Relaxed) {
                            return Ok(None);
                        }
                        std::thread::sleep(NAP);
                    }
                }
            }
        }
    }

    fn close(&mut self) -> Vec<Item> {
        self.files.close()
    }
}

/// Files in a folder that could be read; none if there is no folder.
fn list(folder: &Path) -> BTreeMap<PathBuf, State> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeMap::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter_map(|path| look_at(&path).map(|state| (path, state))).collect()
}

/// What a file is like, if it could be read.
fn look_at(path: &Path) -> Option<State> {
    let hidden = path.file_name()?.as_encoded_bytes().starts_with(b".");
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    let unfinished = ending.is_some_and(|e| UNFINISHED.contains(&e.as_str()));
    if hidden || unfinished {
        return None;
    }
    let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    (meta.len() > 0).then(|| (meta.len(), meta.modified().ok()))
}
