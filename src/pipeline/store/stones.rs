//! The file of tombstones of one stream.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, Growing};
use super::tombstone::{GivenUp, Tombstone, add};

/// Its name.
pub(super) const NAME: &str = "given-up.jsonl";
/// Its name while it is written anew.
pub(super) const PART: &str = "given-up.part";
/// Bytes from which on older lines are summed up, at most and at least.
const LONG: (u64, u64) = (1 << 20, 1 << 11);

/// Tombstones, in the order in which they were set.
pub(super) struct Stones {
    folder: PathBuf,
    file: Option<Arc<dyn Growing>>,
    /// Length of the file up to the end of its last whole line.
    bytes: u64,
    /// Length that it should have at most.
    most: u64,
    /// Length at which it is written anew.
    long: u64,
    /// Whether something may stand behind the last whole line, and how much was found there.
    ragged: bool,
    behind: u64,
    sums: GivenUp,
    /// Index of the last packet that any tells of.
    last: Option<u64>,
}

impl Stones {
    /// Reads the file of a stream's folder, and gives its lines; it may take a part of `quota`.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn load(disk: &dyn Disk, folder: &Path, quota: u64) -> io::Result<(Self, Vec<Tombstone>)> {
        let mut text = Vec::new();
        match disk.open(&folder.join(NAME)) {
            Ok(mut file) => drop(file.read_to_end(&mut text)?),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        // A power cut tore what stands behind the last end of a line.
        let end = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let most = (quota / 16).min(LONG.0).max(LONG.1);
        let mut stones = Self {
            folder: folder.into(),
            file: None,
            bytes: end as u64,
            most,
            long: most,
            ragged: end < text.len(),
            behind: (text.len() - end) as u64,
            sums: GivenUp::new(),
            last: None,
        };
        let lines = read(&text);
        lines.iter().for_each(|stone| stones.count(stone));
        Ok((stones, lines))
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes + self.behind
    }

    /// All that was given up.
    pub fn sums(&self) -> &GivenUp {
        &self.sums
    }

    /// Index of the last packet given up.
    pub fn last_index(&self) -> Option<u64> {
        self.last
    }

    /// Writes one down; when this returns, it outlasts a power cut.
    ///
    /// # Errors
    /// If it cannot be written: then it counts as not set.
    pub fn set(&mut self, disk: &dyn Disk, stone: &Tombstone) -> io::Result<()> {
        let line = stone.to_line() + "\n";
        if let Err(e) = self.append(disk, line.as_bytes()) {
            // Should it stay though the power goes, the deed is done at the next start.
            let cut = self.file.as_ref().map(|file| file.truncate(self.bytes));
            self.ragged |= matches!(cut, Some(Err(_)));
            self.file = None;
            return Err(e);
        }
        self.bytes += line.len() as u64;
        self.count(stone);
        if self.bytes > self.long {
            // If it cannot be shortened now, it is later.
            let _ = self.compact(disk);
            self.long = self.most.max(self.bytes + self.most / 4);
        }
        Ok(())
    }

    fn append(&mut self, disk: &dyn Disk, line: &[u8]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let file = disk.extend(&self.folder.join(NAME))?;
                self.file = Some(file.clone());
                disk.sync_folder(&self.folder)?;
                file
            }
        };
        if self.ragged {
            file.truncate(self.bytes)?;
            (self.ragged, self.behind) = (false, 0);
        }
        file.append(line)?;
        file.sync()
    }

    fn count(&mut self, stone: &Tombstone) {
        add(&mut self.sums, stone);
        self.last = self.last.max(Some(stone.last_index));
    }

    /// Writes the file anew, its older lines summed up: one for each reason and number of groups left.
    fn compact(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let mut text = Vec::new();
        disk.open(&self.folder.join(NAME))?.read_to_end(&mut text)?;
        let from = text.len().saturating_sub((self.most / 4) as usize);
        let from =
            text[from..].iter().position(|&b| b == b'\n').map_or(text.len(), |n| from + n + 1);
        let mut sums: BTreeMap<_, Tombstone> = BTreeMap::new();
        for stone in read(&text[..from]) {
            match sums.get_mut(&(stone.reason, stone.groups_left)) {
                Some(sum) => sum.join(&stone),
                None => {
                    let sum = Tombstone { segment: None, ..stone };
                    sums.insert((sum.reason, sum.groups_left), sum);
                }
            }
        }
        let mut out: Vec<u8> =
            sums.values().flat_map(|sum| (sum.to_line() + "\n").into_bytes()).collect();
        out.extend(&text[from..]);
        let part = self.folder.join(PART);
        let written = disk.create(&part).and_then(|file| {
            file.append(&out)?;
            file.sync()?;
            disk.rename(&part, &self.folder.join(NAME))
        });
        if let Err(e) = written {
            // What stays is removed at the next start.
            let _ = disk.remove(&part);
            return Err(e);
        }
        (self.file, self.bytes) = (None, out.len() as u64);
        disk.sync_folder(&self.folder)
    }
}

/// The lines that are whole.
fn read(text: &[u8]) -> Vec<Tombstone> {
    text.split(|&b| b == b'\n')
        .filter_map(|line| Tombstone::from_line(std::str::from_utf8(line).ok()?))
        .collect()
}
