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
/// Bytes from which on older lines are summed up.
const LONG: u64 = 1 << 20;
/// Bytes of lines that are then kept as they are.
const KEPT: usize = 1 << 18;

/// Tombstones, in the order in which they were set.
pub(super) struct Stones {
    folder: PathBuf,
    file: Option<Arc<dyn Growing>>,
    /// Length of the file up to the end of its last whole line.
    bytes: u64,
    /// Length at which it is written anew.
    long: u64,
    /// Whether something may stand behind the last whole line.
    ragged: bool,
    sums: GivenUp,
    /// Index of the last packet that any tells of.
    last: Option<u64>,
}

impl Stones {
    /// Reads the file of a stream's folder, and gives its lines.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    pub fn load(disk: &dyn Disk, folder: &Path) -> io::Result<(Self, Vec<Tombstone>)> {
        let mut text = Vec::new();
        match disk.open(&folder.join(NAME)) {
            Ok(mut file) => drop(file.read_to_end(&mut text)?),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let mut stones = Self {
            folder: folder.into(),
            file: None,
            bytes: text.len() as u64,
            long: LONG,
            ragged: text.last().is_some_and(|&b| b != b'\n'),
            sums: GivenUp::new(),
            last: None,
        };
        let lines = read(&text);
        lines.iter().for_each(|stone| stones.count(stone));
        Ok((stones, lines))
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
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
        let mut line = if self.ragged { "\n".to_string() } else { String::new() };
        line += &stone.to_line();
        line.push('\n');
        if let Err(e) = self.append(disk, line.as_bytes()) {
            // Should it stay after all, the deed is done at the next start.
            let cut = self.file.as_ref().map(|file| file.truncate(self.bytes));
            self.ragged |= !matches!(cut, Some(Ok(())) | None);
            self.file = None;
            return Err(e);
        }
        self.ragged = false;
        self.bytes += line.len() as u64;
        self.count(stone);
        if self.bytes > self.long {
            // If it cannot be shortened now, it is later.
            let _ = self.compact(disk);
            self.long = LONG.max(self.bytes + KEPT as u64);
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
        file.append(line)?;
        file.sync()
    }

    fn count(&mut self, stone: &Tombstone) {
        add(&mut self.sums, stone);
        self.last = self.last.max(Some(stone.last_index));
    }

    /// Writes the file anew, its older lines summed up: a line for each reason, and whether the packets are gone or cut.
    fn compact(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let mut text = Vec::new();
        disk.open(&self.folder.join(NAME))?.read_to_end(&mut text)?;
        let from = text.len().saturating_sub(KEPT);
        let from =
            text[from..].iter().position(|&b| b == b'\n').map_or(text.len(), |n| from + n + 1);
        let mut sums: BTreeMap<_, Tombstone> = BTreeMap::new();
        for stone in read(&text[..from]) {
            let key = (stone.reason, stone.groups_left > 0);
            match sums.get_mut(&key) {
                Some(sum) => {
                    sum.join(&stone);
                    sum.groups_left = sum.groups_left.max(stone.groups_left);
                }
                None => drop(sums.insert(key, Tombstone { segment: None, ..stone })),
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
