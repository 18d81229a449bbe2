//! Files that paths, folders and patterns name.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file found, and its path below the folder that was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Its path below the folder that was named.
    pub below: PathBuf,
}

/// Every file that `inputs` name: files as they are, folders with all below them in name order,
/// patterns expanded. Hidden files and folders in folders are passed over, and what a store keeps beside its recordings.
///
/// # Errors
/// `Io` if a path does not exist or a pattern matches nothing.
pub fn find_files(inputs: &[PathBuf]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let file = |path: &Path| {
        let below = path.file_name().map_or_else(|| path.into(), PathBuf::from);
        Found { path: path.into(), below }
    };
    for input in inputs {
        if input.is_dir() {
            walk(input, input, &mut found)?;
        } else if input.exists() || input.as_os_str() == "-" {
            found.push(file(input));
        } else {
            let before = found.len();
            let pattern = input.to_string_lossy();
            let missing = || Error::io(input, std::io::ErrorKind::NotFound.into());
            for path in glob::glob(&pattern).map_err(|_| missing())?.flatten() {
                if path.is_dir() {
                    walk(&path, &path, &mut found)?;
                } else {
                    found.push(file(&path));
                }
            }
            if found.len() == before {
                return Err(missing());
            }
        }
    }
    Ok(found)
}

/// What a store, a receiver or the shards of `encode` keep beside recordings.
fn is_ours(name: &str) -> bool {
    let list = name.starts_with("watch-") && name.ends_with(".json");
    let ledger = name.starts_with("tamis-shard-") && name.ends_with(".jsonl");
    list || ledger || ["lock", "uplink.json", "given-up.jsonl"].contains(&name)
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Found>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || is_ours(&name) {
            continue;
        }
        // A link to a folder is not followed: it may lead back up.
        if path.is_dir() && !path.is_symlink() {
            walk(root, &path, found)?;
        } else if path.is_file() {
            let below = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
            found.push(Found { path, below });
        }
    }
    Ok(())
}
