//! Streams on disk, in segments: what is synced outlasts a crash, and what is given up is accounted for.
//!
//! ```text
//! STORE/lock                                        held by the one process that writes
//! STORE/STREAM/00000000000000000012.open            being written: the beginning of a `.tamis` at any moment
//! STORE/STREAM/00000000000000000011.tamis           closed
//! STORE/STREAM/given-up.jsonl                       tombstones: written before what they stand for is deleted
//! ```
//!
//! A segment is an ordinary `.tamis` file, and its number the index of its first packet. It begins
//! with a packet that stands alone, so each can be read without the others. A tombstone is a
//! promise: a deed that a power cut or an error came before is done at the next chance.

mod contents;
mod disk;
mod open;
mod recover;
mod repair;
mod rewrite;
mod room;
mod segment;
mod settings;
mod state;
mod status;
mod stones;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod thin;
mod tick;
mod tombstone;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use disk::{Disk, Entry, Growing, Readable, RealDisk};
pub use recover::Recovered;
pub use settings::{Policy, Settings};
pub use status::{Place, SegmentInfo, Status, StreamStatus};
pub use tombstone::{Amount, GivenUp, Reason, Tombstone};
pub use write::{Refused, StreamWriter, Written};

use crate::error::{Error, Result};
use segment::{CLOSED, OPEN, path};
pub(crate) use settings::check_name;
use settings::{LOCK, is_name};
use state::State;

/// A folder of streams that this process alone writes.
pub struct Store {
    state: Mutex<State>,
    /// As it was after the last change: who asks for it does not wait for the disk.
    status: Mutex<Status>,
    _lock: Box<dyn Send + Sync>,
}

impl Store {
    /// Where it is.
    pub fn folder(&self) -> PathBuf {
        self.state().folder.clone()
    }

    /// What was written is synced within this time.
    pub fn sync_time(&self) -> Duration {
        self.state().settings.sync
    }

    /// Locks a store, which is made if it is not there, and closes the segments that a crash left open.
    ///
    /// # Errors
    /// `Io` if another process has it, or its folders cannot be read or made. A damaged or unreadable
    /// segment is no error.
    pub fn open(
        folder: &Path,
        settings: Settings,
        disk: Arc<dyn Disk>,
    ) -> Result<(Arc<Self>, Vec<Recovered>)> {
        let io = |e| Error::io(folder, e);
        disk.make_folder(folder).map_err(io)?;
        if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
            // It may be one that is not ours to read; then its name was synced by who made it.
            let _ = disk.sync_folder(above);
        }
        let Some(lock) = disk.lock(&folder.join(LOCK)).map_err(io)? else {
            let reason = "another process writes this store; give each its own";
            // It may be about to end: whoever starts us may try again.
            return Err(io(std::io::Error::new(std::io::ErrorKind::ResourceBusy, reason)));
        };
        let mut names: Vec<String> = disk
            .list(folder)
            .map_err(io)?
            .into_iter()
            .filter(|entry| entry.is_folder && is_name(&entry.name))
            .map(|entry| entry.name)
            .collect();
        names.sort();
        let mut state = State::new(disk.clone(), settings, folder.into());
        let mut recovered = Vec::new();
        for name in names {
            let place = folder.join(&name);
            let (stream, found) = recover::load(
                disk.as_ref(),
                &place,
                &name,
                state.settings.quota_bytes,
                state.time(),
            )
            .map_err(|e| Error::io(place, e))?;
            state.streams.push(stream);
            recovered.extend(found);
        }
        state.ask_free(true);
        let status = Mutex::new(status::status(&state));
        let store = Self { state: Mutex::new(state), status, _lock: lock };
        Ok((Arc::new(store), recovered))
    }

    /// The writer of a stream, which is made if it is not there.
    ///
    /// # Errors
    /// `Config` if this is no name of a stream, or if it has a writer already; `Io` if its folder
    /// cannot be made.
    pub fn stream(self: &Arc<Self>, name: &str) -> Result<StreamWriter> {
        check_name(name)?;
        let mut state = self.state();
        let s = match state.streams.iter().position(|s| s.name == name) {
            Some(s) => s,
            None => {
                let folder = state.folder.join(name);
                let made = state.make_stream(name, folder.clone());
                made.map_err(|e| Error::io(folder, e))?
            }
        };
        if std::mem::replace(&mut state.streams[s].taken, true) {
            return Err(Error::config(format!("stream {name:?}"), "it has a writer already"));
        }
        state.set_wish(s);
        let wish = state.streams[s].wish.clone();
        self.publish(&state);
        drop(state);
        Ok(StreamWriter::new(self.clone(), s, wish))
    }

    /// Time after which a segment ends.
    pub fn segment_time(&self) -> Duration {
        self.state().settings.segment_time
    }

    /// What is in it. This reads memory only, and waits for no disk.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The segments of a stream, oldest first; none if there is no such stream.
    pub fn segments(&self, stream: &str) -> Vec<SegmentInfo> {
        let state = self.state();
        state.streams.iter().find(|s| s.name == stream).map_or(Vec::new(), status::segments)
    }

    /// Opens a segment to be read; `None` if it was given up. What is being read stays as it is;
    /// of the open segment there is what was written by then, perhaps with a piece of a record.
    ///
    /// # Errors
    /// `Config` if this is no name of a stream, `Io` if the segment cannot be opened.
    pub fn read(&self, stream: &str, number: u64) -> Result<Option<Box<dyn Readable>>> {
        check_name(stream)?;
        let (folder, disk) = {
            let state = self.state();
            (state.folder.join(stream), state.disk.clone())
        };
        // It may be closed in between.
        for ending in [CLOSED, OPEN, CLOSED] {
            let path = path(&folder, number, ending);
            match disk.open(&path) {
                Ok(file) => return Ok(Some(file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io(path, e)),
            }
        }
        Ok(None)
    }

    /// What is known; a writer that panicked leaves it in order, as every change is made whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        let now = status::status(state);
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl State {
    /// Makes the folder of a stream; returns its place.
    fn make_stream(&mut self, name: &str, folder: PathBuf) -> io::Result<usize> {
        self.disk.make_folder(&folder)?;
        self.disk.sync_folder(&self.folder)?;
        let (stream, _) = recover::load(
            self.disk.as_ref(),
            &folder,
            name,
            self.settings.quota_bytes,
            self.time(),
        )?;
        self.streams.push(stream);
        Ok(self.streams.len() - 1)
    }
}
