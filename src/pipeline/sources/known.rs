//! Files of a watched folder that were read, known over runs of a line and, with a store, of the process.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};

/// Largest list read.
const MOST: u64 = 64 << 20;
/// What came to its end is on disk after so long: then the file it came from need not be read again.
const SURE: Duration = Duration::from_secs(2);

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
    /// Where `done` is kept.
    file: Option<PathBuf>,
    unsaved: bool,
}

#[derive(Debug)]
struct UnderWay {
    path: PathBuf,
    state: State,
    /// Items that its line had received with the last of its own.
    received: u64,
    /// When all of these had come to their end.
    landed: Option<Instant>,
}

impl Known {
    /// Keeps what is done in a file too, and takes over what an earlier process kept there. A list that cannot be read
    /// is empty: then files are read again, and nothing is lost.
    pub fn keep_at(&self, file: &Path) {
        let mut files = self.lock();
        if files.file.as_deref() == Some(file) {
            return;
        }
        files.file = Some(file.into());
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

    /// Passes files over.
    pub(super) fn pass_over(&self, list: Vec<(PathBuf, State)>) {
        let mut files = self.lock();
        files.begun.extend(list.iter().cloned());
        files.done.extend(list);
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
    pub(super) fn begin(&self, path: &Path, state: State) {
        self.lock().begun.insert(path.into(), state);
    }

    /// A file was read to its end, and the line had received so many items then.
    pub(super) fn end(&self, path: PathBuf, state: State, received: u64) {
        self.lock().under_way.push_back(UnderWay { path, state, received, landed: None });
    }

    /// So many items of the line have come to their end; `all` if nothing is waited for any more.
    ///
    /// # Errors
    /// `Io` if the list cannot be written: files may be read again.
    pub fn settle(&self, landed: u64, all: bool) -> Result<()> {
        let mut files = self.lock();
        let files = &mut *files;
        let now = Instant::now();
        for file in files.under_way.iter_mut().take_while(|f| f.received <= landed) {
            file.landed.get_or_insert(now);
        }
        let sure = |f: &UnderWay| f.landed.is_some_and(|at| all || now - at >= SURE);
        while files.under_way.front().is_some_and(sure)
            && let Some(file) = files.under_way.pop_front()
        {
            files.done.insert(file.path, file.state);
            files.unsaved = true;
        }
        match (&files.file, files.unsaved) {
            (Some(file), true) => {
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
        known.keep_at(&list);
        for name in ["a", "b", "c"] {
            known.begin(Path::new(name), state);
        }
        known.end("a".into(), state, 10);
        known.end("b".into(), state, 20);
        known.settle(15, false).unwrap();
        assert!(!list.exists(), "it may not be synced yet");
        known.settle(15, true).unwrap();
        let next = Known::default();
        next.keep_at(&list);
        let knows = |known: &Known| ["a", "b", "c"].map(|n| known.has(Path::new(n), state));
        assert_eq!((knows(&known), knows(&next)), ([true; 3], [true, false, false]));
        assert!(!next.has(Path::new("a"), (6, state.1)), "it is another file now");
        next.retain(|_| false);
        next.settle(0, false).unwrap();
        std::fs::write(&list, b"[[\"a\"").unwrap();
        let last = Known::default();
        last.keep_at(&list);
        assert_eq!(knows(&last), [false; 3]);
    }
}
