//! Paths from what was typed: files, folders, patterns.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Result};

/// Every file that `inputs` name: files as they are, folders with all below them in name order,
/// patterns expanded. Hidden files and folders in folders are passed over.
///
/// # Errors
/// `Io` if a path does not exist or a pattern matches nothing.
pub fn expand(inputs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for input in inputs {
        if input.is_dir() {
            walk(input, &mut files)?;
        } else if input.exists() || input.as_os_str() == "-" {
            files.push(input.clone());
        } else {
            let before = files.len();
            let pattern = input.to_string_lossy();
            let matches = glob::glob(&pattern).map_err(|e| Error::config(&pattern, e))?;
            for path in matches.flatten() {
                if path.is_dir() { walk(&path, &mut files)? } else { files.push(path) }
            }
            if files.len() == before {
                return Err(Error::io(input, std::io::ErrorKind::NotFound.into()));
            }
        }
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        // A link to a folder is not followed: it may lead back up.
        if path.is_dir() && !path.is_symlink() {
            walk(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// A bar on stderr when that is a terminal, else nothing.
pub fn progress(len: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(len);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}
