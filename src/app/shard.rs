//! `encode --shard i/n`: one of several processes that share a folder of files, and what is done of it.
//!
//! Which process takes a file depends on the file's path alone, so that all may begin and end when they like.
//! Each writes down what it has done in a ledger of its own in the output folder, a line of JSON for each
//! output, once that has its name; all read all ledgers. A file is done if its size, its time and the
//! settings are those that stand there, and its output is there with as many bytes.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
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
    /// Whether this process takes a file.
    pub fn takes(self, file: &Found) -> bool {
        let digest = Sha256::digest(file.below.as_os_str().as_encoded_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first) % u64::from(self.of) == u64::from(self.index)
    }
}

/// One output that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    /// Path of the input below the folder that was named.
    input: String,
    /// Its size and when it was changed, in nanoseconds since 1970.
    bytes: u64,
    modified_ns: u64,
    /// Path of the output below the output folder, and its size.
    output: String,
    output_bytes: u64,
    /// What else the output depends on.
    settings: String,
}

/// What is done, by whatever process.
#[derive(Debug)]
pub struct Done {
    folder: PathBuf,
    settings: String,
    lines: HashMap<String, Line>,
    /// The ledger of this process.
    ledger: Mutex<File>,
    path: PathBuf,
}

impl Done {
    /// Reads the ledgers of an output folder, which is made, and opens that of this process.
    ///
    /// # Errors
    /// `Io` if the folder or a ledger cannot be read or made.
    pub fn open(folder: &Path, shard: Shard, settings: String) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let mut lines = HashMap::new();
        for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
            let path = entry.map_err(|e| Error::io(folder, e))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(LEDGER) && name.ends_with(".jsonl") {
                read(&path, &mut lines)?;
            }
        }
        let path = folder.join(format!("{LEDGER}{}-of-{}.jsonl", shard.index, shard.of));
        let mut ledger = File::options().create(true).append(true).open(&path);
        // The line before may have been cut by a kill.
        if let Ok(ledger) = &mut ledger {
            ledger.write_all(b"\n").map_err(|e| Error::io(&path, e))?;
        }
        let ledger = Mutex::new(ledger.map_err(|e| Error::io(&path, e))?);
        Ok(Self { folder: folder.to_owned(), settings, lines, ledger, path })
    }

    /// Whether an output is there as these settings make it of its input.
    pub fn has(&self, input: &Found, output: &Path) -> bool {
        let line = self.line(input, output);
        line.is_some_and(|line| self.lines.get(&line.input) == Some(&line))
    }

    /// Writes down that an output is done.
    ///
    /// # Errors
    /// `Io` if the ledger cannot be written.
    pub fn note(&self, input: &Found, output: &Path) -> Result<()> {
        let Some(line) = self.line(input, output) else { return Ok(()) };
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.write_all(text.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }

    /// The line of an output that is there; none for names that are no text: they are done again.
    fn line(&self, input: &Found, output: &Path) -> Option<Line> {
        let (from, to) = (fs::metadata(&input.path).ok()?, fs::metadata(output).ok()?);
        let modified = from.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Line {
            input: input.below.to_str()?.to_owned(),
            bytes: from.len(),
            modified_ns: u64::try_from(modified.as_nanos()).ok()?,
            output: output.strip_prefix(&self.folder).ok()?.to_str()?.to_owned(),
            output_bytes: to.len(),
            settings: self.settings.clone(),
        })
    }
}

/// Reads the lines of a ledger that are whole; the last of an input counts.
fn read(path: &Path, lines: &mut HashMap<String, Line>) -> Result<()> {
    let mut file = BufReader::new(File::open(path).map_err(|e| Error::io(path, e))?);
    let mut text = Vec::new();
    loop {
        text.clear();
        let read = (&mut file).take(LINE).read_until(b'\n', &mut text);
        if read.map_err(|e| Error::io(path, e))? == 0 {
            return Ok(());
        }
        if let Ok(line) = serde_json::from_slice::<Line>(&text) {
            lines.insert(line.input.clone(), line);
        }
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
        let first = open("a").unwrap();
        assert!(!first.has(&file, &output));
        first.note(&file, &output).unwrap();
        assert!(open("a").unwrap().has(&file, &output));
        assert!(!open("b").unwrap().has(&file, &output));
        // Another process reads it too, and a line that was cut is none.
        let ledger = folder.path().join("out/tamis-shard-0-of-1.jsonl");
        let text = fs::read_to_string(&ledger).unwrap();
        fs::write(&ledger, &text[..text.trim_end().len() - 3]).unwrap();
        assert!(!open("a").unwrap().has(&file, &output));
        open("a").unwrap().note(&file, &output).unwrap();
        assert!(open("a").unwrap().has(&file, &output));
        fs::write(&output, "").unwrap();
        assert!(!open("a").unwrap().has(&file, &output));
        fs::write(&output, "latent").unwrap();
        fs::write(&input, "pictures").unwrap();
        assert!(!open("a").unwrap().has(&file, &output));
    }
}
