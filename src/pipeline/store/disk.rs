//! What the store does to a disk: a trait, so that a failing one can stand in for it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A disk and its clock.
pub trait Disk: Send + Sync {
    /// Time since some moment; it never goes back.
    fn now(&self) -> Duration;

    /// The clock on the wall.
    fn utc(&self) -> SystemTime;

    /// Makes a folder and those above it; one that is there stays.
    ///
    /// # Errors
    /// The system's own, as with all that follow.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// What stands in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;

    /// A new, empty file; an older one of its name is emptied.
    fn create(&self, file: &Path) -> io::Result<Arc<dyn Growing>>;

    /// A file to be written at its end; made if it is not there.
    fn extend(&self, file: &Path) -> io::Result<Arc<dyn Growing>>;

    /// A file to be read; it goes on as it was if another takes its name.
    fn open(&self, file: &Path) -> io::Result<Box<dyn Readable>>;

    /// Gives a file another name in its folder; what had that name is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// Makes sure that names made, changed and removed in a folder outlast a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Bytes that may still be written.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;

    /// Locks a file until what is returned is dropped, or the process ends in whatever way; `None`
    /// if another process has it.
    fn lock(&self, file: &Path) -> io::Result<Option<Box<dyn Send + Sync>>>;
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name alone.
    pub name: String,
    /// Length of the file.
    pub bytes: u64,
    /// When it was written last.
    pub modified: SystemTime,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// A file that only grows.
pub trait Growing: Send + Sync {
    /// Writes at the end; after an error some of the bytes may be there.
    ///
    /// # Errors
    /// The system's own, as with all that follow.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts it to this length.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Makes sure that what was written outlasts a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// A file that can be read from any place.
pub trait Readable: Read + Seek + Send {}

impl<T: Read + Seek + Send> Readable for T {}

/// The machine's own disk and clocks.
#[derive(Debug, Clone, Copy)]
pub struct RealDisk {
    start: Instant,
}

impl Default for RealDisk {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Disk for RealDisk {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn utc(&self) -> SystemTime {
        SystemTime::now()
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            // Names that are no text are none of ours, and what is gone by now is gone.
            let (Ok(name), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) else {
                continue;
            };
            let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            entries.push(Entry { name, bytes: meta.len(), modified, is_folder: meta.is_dir() });
        }
        Ok(entries)
    }

    fn create(&self, file: &Path) -> io::Result<Arc<dyn Growing>> {
        let file = OpenOptions::new().append(true).create(true).open(file)?;
        file.set_len(0)?;
        Ok(Arc::new(file))
    }

    fn extend(&self, file: &Path) -> io::Result<Arc<dyn Growing>> {
        Ok(Arc::new(OpenOptions::new().append(true).create(true).open(file)?))
    }

    fn open(&self, file: &Path) -> io::Result<Box<dyn Readable>> {
        Ok(Box::new(File::open(file)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        std::fs::remove_file(file)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, file: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let file = OpenOptions::new().append(true).create(true).open(file)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}

impl Growing for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Whether there is no room, for which room can be made.
pub(super) fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
