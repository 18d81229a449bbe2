//! Files of a watched folder that were read, known over runs of a line and, with a store, of the process.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::pipeline::Report;

/// Largest list read.
const MOST: u64 = 64 << 20;
/// What came to its end is on disk after so long, at least: then the file it came from need not be read again.
const SURE: Duration = Duration::from_secs(2);
/// How often the list is written, at most.
const SAVE: Duration = Duration::from_secs(1);

/// What tells that a file is as it was: its length, and when it was changed.
pub(super) type State = (u64, Option<SystemTime>);

/// Files that were read, as they were.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    /// Those that are not begun again in this process.
    begun: BTreeMap<PathBuf, State>,
    /// Those that another process need not read: all they held has come to its end.
    done: BTreeMap<PathBuf, State>,
    /// Those that were read to their end, of which something may be on its way.
    under_way: VecDeque<UnderWay>,
    /// Where `done` is kept, and the time after which what came to its end outlasts a power cut.
    file: Option<PathBuf>,
    sure: Duration,
    unsaved: bool,
    saved: Option<Instant>,
    /// The folder that is watched.
    folder: Option<PathBuf>,
    /// Items that the line had lost when the file that is read was begun.
    lost: u64,
}

/// How far a line has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Items received.
    pub received: u64,
    /// Items that have come to their end.
    pub landed: u64,
    /// Of these, those that should have been kept and were not.
    pub lost: u64,
}

impl Progress {
    /// By the accounts of a line.
    pub fn of(report: &Report) -> Self {
        let meant = ["schedule", "every", "budget"];
        let meant: u64 = meant.iter().filter_map(|why| report.dropped.get(why)).sum();
        Self {
            received: report.received,
            landed: report.received - report.in_flight(),
            lost: report.lost_count() + report.dropped_count() - meant,
        }
    }
}

#[derive(Debug)]
struct UnderWay {
    path: PathBuf,
    state: State,
    /// Items that its line had received with the last of its own, and lost before the first.
    received: u64,
    lost: u64,
    /// When all of these had come to their end.
    landed: Option<Instant>,
}

impl Known {
    /// Keeps what is done in a file too, and takes over what an earlier process kept there; what came to its end
    /// outlasts a power cut after `sync`. A list that cannot be read is empty: then files are read again, and nothing is
    /// lost.
    pub fn keep_at(&self, file: &Path, sync: Duration) {
        let mut files = self.lock();
        if files.file.as_deref() == Some(file) {
            return;
        }
        files.file = Some(file.into());
        files.sure = SURE.max(2 * sync);
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|f| f.take(MOST).read_to_end(&mut bytes));
        let list: Vec<(PathBuf, u64, Duration)> = match read {
            Ok(_) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        for (path, len, changed) in list {
            let state = (len, UNIX_EPOCH.checked_add(changed));
            files.begun.entry(path.clone()).or_insert(state);
            files.done.insert(path, state);
        }
    }

    /// A folder is watched; whether it is another than before.
    pub(super) fn watch(&self, folder: &Path) -> bool {
        let mut files = self.lock();
        files.folder.replace(folder.into()).as_deref() != Some(folder)
    }

    /// Passes files over.
    pub(super) fn pass_over(&self, list: BTreeMap<PathBuf, State>) {
        let mut files = self.lock();
        files.begun.extend(list.clone());
        files.done.extend(list);
        files.unsaved = true;
    }

    /// Forgets files that are not there any more: the folder may be used for years.
    pub(super) fn retain(&self, there: impl Fn(&Path) -> bool) {
        let mut files = self.lock();
        files.begun.retain(|path, _| there(path));
        let before = files.done.len();
        files.done.retain(|path, _| there(path));
        files.unsaved |= files.done.len() < before;
    }

    /// Whether a file was read as it is.
    pub(super) fn has(&self, path: &Path, state: State) -> bool {
        self.lock().begun.get(path) == Some(&state)
    }

    /// A file is read now.
    pub(super) fn begin(&self, path: &Path, state: State, progress: Progress) {
        let mut files = self.lock();
        files.begun.insert(path.into(), state);
        files.lost = progress.lost;
    }

    /// A file was read to its end.
    pub(super) fn end(&self, path: PathBuf, state: State, progress: Progress) {
        let mut files = self.lock();
        let lost = files.lost;
        let received = progress.received;
        files.under_way.push_back(UnderWay { path, state, received, lost, landed: None });
    }

    /// The line has come so far; `all` if nothing is waited for any more. A file of which something may have been lost
    /// is read again by the next process.
    ///
    /// # Errors
    /// `Io` if the list cannot be written: files may be read again.
    pub fn settle(&self, progress: Progress, all: bool) -> Result<()> {
        let mut files = self.lock();
        let files = &mut *files;
        let now = Instant::now();
        for file in files.under_way.iter_mut().take_while(|f| f.received <= progress.landed) {
            file.landed.get_or_insert(now);
        }
        files.under_way.retain(|f| f.landed != Some(now) || f.lost == progress.lost);
        let bound = files.sure;
        let sure = |f: &UnderWay| f.landed.is_some_and(|at| all || now - at >= bound);
        while files.under_way.front().is_some_and(sure)
            && let Some(file) = files.under_way.pop_front()
        {
            files.done.insert(file.path, file.state);
            files.unsaved = true;
        }
        let due = all || files.saved.is_none_or(|at| at.elapsed() >= SAVE);
        match (&files.file, files.unsaved && due) {
            (Some(file), true) => {
                files.saved = Some(now);
                save(file, &files.done).map_err(|e| Error::io(file, e))?;
                files.unsaved = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn save(file: &Path, done: &BTreeMap<PathBuf, State>) -> std::io::Result<()> {
    let time = |state: &State| state.1?.duration_since(UNIX_EPOCH).ok();
    // A name that is no text cannot be kept: its file is read again.
    let list = done.iter().filter_map(|(p, s)| Some((p.to_str()?, s.0, time(s)?)));
    let bytes = serde_json::to_vec(&list.collect::<Vec<_>>()).map_err(std::io::Error::other)?;
    let part = file.with_extension("part");
    File::create(&part).and_then(|mut f| f.write_all(&bytes).and_then(|()| f.sync_all()))?;
    std::fs::rename(&part, file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_to_its_end_is_known_to_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("watch.json");
        let state = (5, Some(UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123)));
        let known = Known::default();
        let sync = Duration::from_secs(1);
        known.keep_at(&list, sync);
        let at = |received, landed, lost| Progress { received, landed, lost };
        for (n, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let n = n as u64;
            known.begin(Path::new(name), state, at(10 * n, 10 * n, 0));
            if name != "d" {
                known.end(name.into(), state, at(10 * n + 10, 10 * n, 0));
            }
        }
        known.settle(at(35, 15, 0), false).unwrap();
        assert!(!list.exists(), "it may not be synced yet");
        known.settle(at(35, 15, 0), true).unwrap();
        // Something of b was lost, or of c.
        known.settle(at(35, 35, 1), true).unwrap();
        let next = Known::default();
        next.keep_at(&list, sync);
        let knows = |known: &Known| ["a", "b", "c", "d"].map(|n| known.has(Path::new(n), state));
        assert_eq!((knows(&known), knows(&next)), ([true; 4], [true, false, false, false]));
        assert!(!next.has(Path::new("a"), (6, state.1)), "it is another file now");
        next.retain(|_| false);
        next.settle(at(0, 0, 0), false).unwrap();
        std::fs::write(&list, b"[[\"a\"").unwrap();
        let last = Known::default();
        last.keep_at(&list, sync);
        assert_eq!(knows(&last), [false; 4]);
    }
}
