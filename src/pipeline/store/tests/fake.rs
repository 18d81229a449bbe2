//! A disk in memory with a cache, which fails, fills up and loses power when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::super::disk::{Disk, Entry, Growing, Readable};
use super::Noise;

/// Bytes that reach the disk together.
const BLOCK: usize = 64;

#[derive(Default)]
struct File {
    data: Vec<u8>,
    /// What outlasts a power cut.
    synced: Vec<u8>,
    /// Bytes that a failed sync dropped though they can be read: no later sync writes them.
    dropped: Vec<(usize, usize)>,
}

/// A change of a folder that a power cut may undo. Creations and renames have the file.
enum Change {
    Named(PathBuf, usize),
    Renamed(PathBuf, PathBuf, usize),
    Removed(PathBuf),
}

impl Change {
    fn folder(&self) -> &Path {
        let (Self::Named(path, _) | Self::Renamed(path, ..) | Self::Removed(path)) = self;
        path.parent().unwrap()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Named(path, file) => drop(names.insert(path.clone(), *file)),
            Self::Renamed(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Removed(path) => drop(names.remove(path)),
        }
    }
}

struct Inside {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    kept: BTreeMap<PathBuf, usize>,
    changes: Vec<Change>,
    folders: BTreeSet<PathBuf>,
    now: Duration,
    calls: u64,
    /// Calls that fail, and how.
    fails: Option<(std::ops::Range<u64>, ErrorKind)>,
    capacity: u64,
    noise: Noise,
}

#[derive(Clone)]
pub struct FakeDisk(Arc<Mutex<Inside>>);

struct Handle(FakeDisk, usize);

impl FakeDisk {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inside {
            files: Vec::new(),
            names: BTreeMap::new(),
            kept: BTreeMap::new(),
            changes: Vec::new(),
            folders: BTreeSet::new(),
            now: Duration::from_secs(1),
            calls: 0,
            fails: None,
            capacity: u64::MAX,
            noise: Noise::new(seed),
        })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub fn wait(&self, time: Duration) {
        self.with(|x| x.now += time);
    }

    pub fn calls(&self) -> u64 {
        self.with(|x| x.calls)
    }

    /// From now on these calls fail.
    pub fn fail(&self, calls: std::ops::Range<u64>, kind: ErrorKind) {
        self.with(|x| x.fails = Some((calls, kind)));
    }

    /// Whether the next call fails.
    pub fn fails(&self) -> bool {
        self.with(|x| x.fails.as_ref().is_some_and(|(calls, _)| calls.contains(&(x.calls + 1))))
    }

    pub fn works(&self) {
        self.with(|x| x.fails = None);
    }

    pub fn hold(&self, capacity: u64) {
        self.with(|x| x.capacity = capacity);
    }

    pub fn used(&self) -> u64 {
        self.with(|x| x.used())
    }

    pub fn names(&self) -> Vec<String> {
        let name = |p: &PathBuf| p.file_name().unwrap().to_str().unwrap().to_string();
        self.with(|x| x.names.keys().map(name).collect())
    }

    /// Takes the power away: of what was not synced some stays, at random.
    pub fn cut_power(&self, seed: u64) {
        self.with(|x| {
            let mut noise = Noise::new(seed);
            x.fails = None;
            let mut names = std::mem::take(&mut x.kept);
            let mut changes: Vec<Change> = std::mem::take(&mut x.changes);
            // Mostly in the order they came in, sometimes in any.
            if noise.below(2) == 0 {
                for i in (1..changes.len()).rev() {
                    changes.swap(i, noise.below(i + 1));
                }
            }
            let odds = noise.below(4);
            changes.iter().filter(|_| noise.below(4) <= odds).for_each(|c| c.apply(&mut names));
            for file in &mut x.files {
                file.data = survivors(file, &mut noise);
                file.synced = file.data.clone();
                file.dropped.clear();
            }
            x.names = names.clone();
            x.kept = names;
        });
    }
}

/// What of a file outlasts a power cut.
fn survivors(file: &File, noise: &mut Noise) -> Vec<u8> {
    let common = file.data.iter().zip(&file.synced).take_while(|(a, b)| a == b).count();
    let mut data = match noise.below(4) {
        0 => return file.synced.clone(),
        1 => file.data.clone(),
        // Torn.
        2 => file.data[..common + noise.below(file.data.len() - common + 1)].to_vec(),
        // Some blocks did not make it.
        _ => {
            let mut data = file.data.clone();
            for block in data[common..].chunks_mut(BLOCK) {
                if noise.below(3) == 0 {
                    block.fill(0);
                }
            }
            data
        }
    };
    // Truncated, and that was not synced.
    if common < file.synced.len() && noise.below(2) == 0 {
        data = file.synced.clone();
    }
    for &(from, to) in &file.dropped {
        let to = to.min(data.len());
        data[from.min(to)..to].fill(0);
    }
    data
}

impl Inside {
    fn used(&self) -> u64 {
        self.names.values().map(|&f| self.files[f].data.len() as u64).sum()
    }

    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match &self.fails {
            Some((calls, kind)) if calls.contains(&self.calls) => Err((*kind).into()),
            _ => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or(ErrorKind::NotFound.into())
    }

    fn make(&mut self, path: &Path) -> usize {
        self.files.push(File::default());
        let file = self.files.len() - 1;
        self.change(Change::Named(path.into(), file));
        file
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }
}

impl Disk for FakeDisk {
    fn now(&self) -> Duration {
        self.with(|x| x.now)
    }

    fn utc(&self) -> SystemTime {
        self.with(|x| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + x.now)
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.with(|x| {
            x.call()?;
            x.folders.insert(folder.into());
            Ok(())
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let utc = self.utc();
        self.with(|x| {
            x.call()?;
            let entry = |path: &PathBuf, bytes, is_folder| {
                let name = path.file_name().unwrap().to_str().unwrap().to_string();
                let here = path.parent() == Some(folder);
                here.then_some(Entry { name, bytes, modified: utc, is_folder })
            };
            let files = x.names.iter().map(|(p, &f)| (p, x.files[f].data.len() as u64, false));
            let folders = x.folders.iter().map(|p| (p, 0, true));
            Ok(files.chain(folders).filter_map(|(p, n, f)| entry(p, n, f)).collect())
        })
    }

    fn create(&self, file: &Path) -> io::Result<Arc<dyn Growing>> {
        self.with(|x| {
            x.call()?;
            Ok(Arc::new(Handle(self.clone(), x.make(file))) as _)
        })
    }

    fn extend(&self, file: &Path) -> io::Result<Arc<dyn Growing>> {
        self.with(|x| {
            x.call()?;
            let file = x.find(file).unwrap_or_else(|_| x.make(file));
            Ok(Arc::new(Handle(self.clone(), file)) as _)
        })
    }

    fn open(&self, file: &Path) -> io::Result<Box<dyn Readable>> {
        self.with(|x| {
            x.call()?;
            let file = x.find(file)?;
            Ok(Box::new(Cursor::new(x.files[file].data.clone())) as _)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|x| {
            x.call()?;
            let file = x.find(from)?;
            x.change(Change::Renamed(from.into(), to.into(), file));
            Ok(())
        })
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.with(|x| {
            x.call()?;
            x.find(file)?;
            x.change(Change::Removed(file.into()));
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.with(|x| {
            x.call()?;
            let (here, other) =
                std::mem::take(&mut x.changes).into_iter().partition(|c| c.folder() == folder);
            x.changes = other;
            let here: Vec<Change> = here;
            here.iter().for_each(|c| c.apply(&mut x.kept));
            Ok(())
        })
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        self.with(|x| {
            x.call()?;
            Ok(x.capacity.saturating_sub(x.used()))
        })
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.with(|x| {
            x.call()?;
            Ok(Some(Box::new(()) as _))
        })
    }
}

impl Growing for Handle {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.with(|x| {
            let mut room = x.capacity.saturating_sub(x.used()).min(bytes.len() as u64) as usize;
            let mut done = x.call();
            if done.is_err() {
                room = room.min(x.noise.below(bytes.len() + 1));
            } else if room < bytes.len() {
                done = Err(ErrorKind::StorageFull.into());
            }
            x.files[self.1].data.extend(&bytes[..room]);
            done
        })
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.0.with(|x| {
            x.call()?;
            let file = &mut x.files[self.1];
            file.data.truncate(bytes as usize);
            // What is written there next is new, and is synced as such.
            file.dropped.iter_mut().for_each(|(_, to)| *to = (*to).min(bytes as usize));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.0.with(|x| {
            let done = x.call();
            let file = &mut x.files[self.1];
            match done {
                Ok(()) => file.synced = file.data.clone(),
                Err(_) => file.dropped.push((file.synced.len(), file.data.len())),
            }
            done
        })
    }
}
