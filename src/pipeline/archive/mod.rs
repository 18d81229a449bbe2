//! What was received, as ordinary recordings: every group of every packet once, whatever comes how often in what order.
//!
//! ```text
//! DIR/lock                                          held by the one process that writes
//! DIR/DEVICE/STREAM/00000000000000000000.tamis      packets from this index on, in order; no index yet while it grows
//! DIR/DEVICE/STREAM/00000000000000000000.late       what is to be joined to it
//! ```
//!
//! Packets that come in order are appended; groups that come late are journalled beside them. A segment is then written
//! anew with both, takes the old one's name, and the journal goes: at every moment a reader sees packets that begin
//! with their first group, each once. What is acknowledged is synced, in one of both files.

mod merge;
mod scan;
mod segment;
mod status;
mod stream;
mod take;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use status::StreamStatus;
pub use take::Taken;

use self::stream::Stream;
use crate::error::{Error, Result};
use crate::pipeline::store::{Disk, check_name};

/// Name of the file that is locked.
const LOCK: &str = "lock";
/// Streams of all devices at most: each is a folder.
const STREAMS: usize = 10_000;

/// A folder of recordings that this process alone writes.
pub struct Archive {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    streams: Mutex<BTreeMap<(String, String), Arc<Shelf>>>,
    _lock: Box<dyn Send + Sync>,
}

/// One stream of one device.
struct Shelf {
    stream: Mutex<Stream>,
    /// As it was after the last change: who asks for it does not wait for the disk.
    status: Mutex<StreamStatus>,
}

impl Archive {
    /// Locks a folder, which is made if it is not there, and looks at what is in it.
    ///
    /// # Errors
    /// `Io` if another process has it, or it cannot be read or made.
    pub fn open(folder: &Path, disk: Arc<dyn Disk>) -> Result<Self> {
        let io = |e| Error::io(folder, e);
        disk.make_folder(folder).map_err(io)?;
        let Some(lock) = disk.lock(&folder.join(LOCK)).map_err(io)? else {
            let reason = "another process writes this folder; give each its own";
            return Err(io(std::io::Error::new(std::io::ErrorKind::ResourceBusy, reason)));
        };
        let names = |folder: &Path| -> Result<Vec<String>> {
            let entries = disk.list(folder).map_err(|e| Error::io(folder, e))?;
            let folders =
                entries.into_iter().filter(|e| e.is_folder && check_name(&e.name).is_ok());
            Ok(folders.map(|e| e.name).collect())
        };
        let mut streams = BTreeMap::new();
        for device in names(folder)? {
            for name in names(&folder.join(&device))? {
                let stream = Stream::open(disk.clone(), folder.join(&device).join(&name))?;
                streams.insert((device.clone(), name), Arc::new(Shelf::new(stream)));
            }
        }
        Ok(Self { disk, folder: folder.into(), streams: Mutex::new(streams), _lock: lock })
    }

    /// Takes a batch: the bytes of a `.tamis` stream. When this returns, all of it outlasts a power cut.
    ///
    /// # Errors
    /// `Config` if one of both is no name, `Bitstream` if the bytes are no stream, `Limit` if they scatter over too
    /// many segments or there are too many streams, `Io` if the disk fails. Then some of it may be stored; it can be
    /// sent again.
    pub fn take(&self, device: &str, stream: &str, bytes: &[u8]) -> Result<Taken> {
        let shelf = self.shelf(device, stream)?;
        let mut stream = lock(&shelf.stream);
        let taken = stream.take(bytes);
        shelf.publish(&stream);
        taken
    }

    /// What there is, by device and stream.
    pub fn status(&self) -> BTreeMap<(String, String), StreamStatus> {
        let shelves = lock(&self.streams).clone();
        shelves.into_iter().map(|(name, shelf)| (name, lock(&shelf.status).clone())).collect()
    }

    /// Joins what is due, and looks through some of what no one has looked through. To be called a few times a second.
    pub fn tick(&self) {
        self.each(Stream::tick);
    }

    /// Joins all that came late and gives every segment its index.
    pub fn close(&self) {
        self.each(Stream::close);
    }

    fn each(&self, what: impl Fn(&mut Stream) -> bool) {
        let shelves: Vec<Arc<Shelf>> = lock(&self.streams).values().cloned().collect();
        for shelf in shelves {
            let mut stream = lock(&shelf.stream);
            if what(&mut stream) {
                shelf.publish(&stream);
            }
        }
    }

    fn shelf(&self, device: &str, stream: &str) -> Result<Arc<Shelf>> {
        check_name(device)?;
        check_name(stream)?;
        let mut streams = lock(&self.streams);
        let name = (device.to_owned(), stream.to_owned());
        if let Some(shelf) = streams.get(&name) {
            return Ok(shelf.clone());
        }
        if streams.len() >= STREAMS {
            let (what, actual) = ("number of streams".into(), streams.len() as u64 + 1);
            return Err(Error::Limit { what, limit: STREAMS as u64, actual });
        }
        let folder = self.folder.join(device);
        let place = folder.join(stream);
        let io = |e| Error::io(&place, e);
        self.disk.make_folder(&folder).map_err(io)?;
        self.disk.sync_folder(&self.folder).map_err(io)?;
        self.disk.make_folder(&place).map_err(io)?;
        self.disk.sync_folder(&folder).map_err(io)?;
        let shelf = Arc::new(Shelf::new(Stream::open(self.disk.clone(), place)?));
        streams.insert(name, shelf.clone());
        Ok(shelf)
    }
}

impl Shelf {
    fn new(stream: Stream) -> Self {
        let status = Mutex::new(stream.status());
        Self { stream: Mutex::new(stream), status }
    }

    fn publish(&self, stream: &Stream) {
        *lock(&self.status) = stream.status();
    }
}

/// What is known; who panicked left files that are in order, and what is known of them is read again.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
