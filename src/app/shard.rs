//! `encode --shard i/n`: one of several processes that share a folder of files, and what is done of it.
//!
//! Which process takes a file depends on the file's path alone, so that all may begin and end when they like.
//! Each writes down what it has done in a ledger of its own in the output folder, a line of JSON for each
//! output, once that has its name; all read all ledgers. A file is done if its size, its time and the
//! settings are those that stand there, and its output is there with as many bytes.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::pipeline::sources::Found;

/// What the names of ledgers begin with.
const LEDGER: &str = "tamis-shard-";
/// Longest line that is read of a ledger, in bytes.
const LINE: u64 = 1 << 16;
/// Shards at most.
const MOST: u32 = 1 << 20;

/// Number `index` of `of` processes, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((index, of)) if index < of && of <= MOST => Ok(Self { index, of }),
            _ => Err(format!("counted from 0, as 0/4 to 3/4 for four processes; {MOST} at most")),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl Shard {
    /// What the names of outputs end in until they are whole: no other process has it.
    pub fn part(self) -> String {
        format!("part-{}-of-{}", self.index, self.of)
    }

    /// Whether this process takes a file.
    pub fn takes(self, file: &Found) -> bool {
        // By its parts, whatever stands between them here.
        let mut name = Sha256::new();
        for (i, part) in file.below.iter().enumerate() {
            name.update(if i > 0 { &b"/"[..] } else { b"" });
            name.update(part.as_encoded_bytes());
        }
        let digest = name.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first) % u64::from(self.of) == u64::from(self.index)
    }
}

/// What an input was before it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    bytes: u64,
    modified_ns: u64,
}

impl Seen {
    /// `None` for a file that is not there, or has no time.
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let modified = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self { bytes: found.len(), modified_ns: u64::try_from(modified.as_nanos()).ok()? })
    }
}

/// One output that is done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Line {
    /// Path of the input below the folder that was named.
    input: String,
    /// Its size and when it was changed, in nanoseconds since 1970.
    bytes: u64,
    modified_ns: u64,
    /// Path of the output below the output folder, its size, and when it was written.
    output: String,
    output_bytes: u64,
    output_modified_ns: u64,
    /// What else the output depends on.
    settings: String,
}

/// What is done, by whatever process.
#[derive(Debug)]
pub struct Done {
    folder: PathBuf,
    settings: String,
    lines: HashSet<Line>,
    /// The ledger of this process, which is locked as long as it works.
    ledger: Mutex<File>,
    path: PathBuf,
}

impl Done {
    /// Reads the ledgers of an output folder, which is made, and opens that of this process.
    ///
    /// # Errors
    /// `Io` if the folder or a ledger cannot be read or made, `Config` if another process does this part.
    pub fn open(folder: &Path, shard: Shard, settings: String) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let path = folder.join(format!("{LEDGER}{}-of-{}.jsonl", shard.index, shard.of));
        let ledger = File::options().create(true).append(true).open(&path);
        let mut ledger = ledger.map_err(|e| Error::io(&path, e))?;
        // Some file systems have no locks.
        if let Err(TryLockError::WouldBlock) = ledger.try_lock() {
            let reason = format!("another process works on part {shard} of {}", folder.display());
            return Err(Error::config("--shard", reason));
        }
        // The line before may have been cut by a kill.
        ledger.write_all(b"\n").map_err(|e| Error::io(&path, e))?;
        let mut lines = HashSet::new();
        for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
            let path = entry.map_err(|e| Error::io(folder, e))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(LEDGER) && name.ends_with(".jsonl") {
                read(&path, &mut lines)?;
            }
        }
        let ledger = Mutex::new(ledger);
        Ok(Self { folder: folder.to_owned(), settings, lines, ledger, path })
    }

    /// Whether an output is there as these settings make it of its input.
    pub fn has(&self, input: &Found, output: &Path) -> bool {
        let line = Seen::of(&input.path).and_then(|seen| self.line(input, seen, output));
        line.is_some_and(|line| self.lines.contains(&line))
    }

    /// Writes down that an output is done, if its input is still what was `seen` before it was read.
    ///
    /// # Errors
    /// `Io` if the ledger cannot be written.
    pub fn note(&self, input: &Found, seen: Option<Seen>, output: &Path) -> Result<()> {
        let still = seen.filter(|_| Seen::of(&input.path) == seen);
        let Some(line) = still.and_then(|seen| self.line(input, seen, output)) else {
            return Ok(());
        };
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }

    /// The line of an output that is there; none for names that are no text: they are done again.
    fn line(&self, input: &Found, seen: Seen, output: &Path) -> Option<Line> {
        let written = Seen::of(output)?;
        Some(Line {
            input: input.below.to_str()?.to_owned(),
            bytes: seen.bytes,
            modified_ns: seen.modified_ns,
            output: output.strip_prefix(&self.folder).ok()?.to_str()?.to_owned(),
            output_bytes: written.bytes,
            output_modified_ns: written.modified_ns,
            settings: self.settings.clone(),
        })
    }
}

/// Outputs of shards: the whole name of the input and an ending, so that none depends on what else lies there.
///
/// # Errors
/// `Config` if two inputs have one name below the folders they were named with.
pub fn outputs(found: &[Found]) -> Result<Vec<PathBuf>> {
    let mut names = HashSet::new();
    if let Some(twice) = found.iter().find(|f| !names.insert(&f.below)) {
        let reason = format!("two inputs are called {}; name one folder", twice.below.display());
        return Err(Error::config("--shard", reason));
    }
    Ok(found.iter().map(|f| f.below.clone()).collect())
}

/// Reads the lines of a ledger that are whole.
fn read(path: &Path, lines: &mut HashSet<Line>) -> Result<()> {
    let mut file = BufReader::new(File::open(path).map_err(|e| Error::io(path, e))?);
    let mut text = Vec::new();
    loop {
        text.clear();
        let read = (&mut file).take(LINE).read_until(b'\n', &mut text);
        if read.map_err(|e| Error::io(path, e))? == 0 {
            return Ok(());
        }
        lines.extend(serde_json::from_slice::<Line>(&text));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(below: &str) -> Found {
        Found { path: below.into(), below: below.into() }
    }

    #[test]
    fn every_file_has_one_shard() {
        let files: Vec<Found> = (0..2000).map(|i| found(&format!("d{}/{i}.png", i % 7))).collect();
        for of in [1, 2, 7] {
            let counts: Vec<usize> = (0..of)
                .map(|index| files.iter().filter(|f| Shard { index, of }.takes(f)).count())
                .collect();
            assert_eq!(counts.iter().sum::<usize>(), files.len());
            let fair = files.len() / of as usize;
            assert!(counts.iter().all(|c| c.abs_diff(fair) < fair / 3 + 1), "{counts:?}");
        }
        // The same on every machine and in every version.
        assert!(Shard { index: 3, of: 4 }.takes(&found("a/b.png")));
    }

    #[test]
    fn shards_are_counted_from_0() {
        assert_eq!("3/4".parse(), Ok(Shard { index: 3, of: 4 }));
        for text in ["4/4", "-1/4", "0/0", "1", "", "a/b", "0/1048577"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_changed_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in.png"), folder.path().join("out/in.tamis"));
        fs::create_dir(folder.path().join("out")).unwrap();
        fs::write(&input, "picture").unwrap();
        fs::write(&output, "latent").unwrap();
        let file = Found { path: input.clone(), below: "in.png".into() };
        let shard = Shard { index: 0, of: 1 };
        let open = |settings: &str| Done::open(&folder.path().join("out"), shard, settings.into());
        let note = |done: &Done| done.note(&file, Seen::of(&input), &output).unwrap();
        let first = open("a").unwrap();
        assert!(!first.has(&file, &output));
        note(&first);
        // Two processes at one part would write into each other's outputs.
        assert!(open("a").unwrap_err().to_string().contains("another process works on part 0/1"));
        drop(first);
        assert!(open("a").unwrap().has(&file, &output));
        assert!(!open("b").unwrap().has(&file, &output));
        // Another process reads it too, and a line that was cut is none.
        let ledger = folder.path().join("out/tamis-shard-0-of-1.jsonl");
        let text = fs::read_to_string(&ledger).unwrap();
        fs::write(&ledger, &text[..text.trim_end().len() - 3]).unwrap();
        assert!(!open("a").unwrap().has(&file, &output));
        note(&open("a").unwrap());
        assert!(open("a").unwrap().has(&file, &output));
        fs::write(&output, "").unwrap();
        assert!(!open("a").unwrap().has(&file, &output));
        fs::write(&output, "latent").unwrap();
        note(&open("a").unwrap());
        fs::write(&input, "pictures").unwrap();
        assert!(!open("a").unwrap().has(&file, &output));
        // What was changed while it was read is not done.
        let before = Seen::of(&input);
        fs::write(&input, "other pictures").unwrap();
        open("a").unwrap().note(&file, before, &output).unwrap();
        assert!(!open("a").unwrap().has(&file, &output));
        // Settings that take turns do not hide each other.
        note(&open("a").unwrap());
        note(&open("b").unwrap());
        assert!(open("a").unwrap().has(&file, &output) && open("b").unwrap().has(&file, &output));
    }
}
