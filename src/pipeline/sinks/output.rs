//! Where a file is written: beside its name, so that an older one stays until the new is whole.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Ending of what is written until it is whole.
pub const PART: &str = "part";

/// An output that was named, and the file that becomes it.
pub struct Output {
    target: PathBuf,
    /// What is written until then; `None` for devices, pipes and standard output.
    part: Option<PathBuf>,
}

impl Output {
    /// Opens an output for writing.
    ///
    /// A process that is killed leaves `NAME.part`, which can be read as far as it got.
    ///
    /// # Errors
    /// `Io` if it cannot be opened.
    pub fn open(typed: &Path) -> Result<(Self, Box<dyn Write + Send>)> {
        Self::open_as(typed, PART)
    }

    /// As [`Self::open`], with another ending than `part`: that may be the input.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as(typed: &Path, ending: &str) -> Result<(Self, Box<dyn Write + Send>)> {
        if typed.as_os_str() == "-" {
            return Ok((Self { target: typed.into(), part: None }, Box::new(std::io::stdout())));
        }
        let (output, file) = Self::place(typed, ending)?;
        Ok((output, Box::new(file)))
    }

    /// Opens a file that can be sought in, as [`Self::open`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn create(path: &Path) -> Result<(Self, File)> {
        Self::place(path, PART)
    }

    fn place(typed: &Path, ending: &str) -> Result<(Self, File)> {
        make_folder_of(typed)?;
        // A link to a file stays a link.
        let target = typed.canonicalize().unwrap_or_else(|_| typed.into());
        let plain = std::fs::symlink_metadata(&target).map_or(true, |m| m.is_file());
        let part = plain.then(|| with_ending(&target, ending));
        let path = part.as_ref().unwrap_or(&target);
        let file = File::create(path).map_err(|e| Error::io(path, e))?;
        Ok((Self { target, part }, file))
    }

    /// Gives what was written its name.
    ///
    /// # Errors
    /// `Io` if it cannot be renamed.
    pub fn keep(self) -> Result<()> {
        let Some(part) = self.part else { return Ok(()) };
        std::fs::rename(part, &self.target).map_err(|e| Error::io(self.target, e))
    }

    /// Removes what was written, if nothing was; the rest of a failed recording can still be read.
    pub fn discard_empty(&self) {
        if let Some(part) = &self.part
            && std::fs::metadata(part).is_ok_and(|m| m.len() == 0)
        {
            // If it cannot be removed, an empty file is what stays; the error is reported anyway.
            let _ = std::fs::remove_file(part);
        }
    }
}

/// Writes a file as a whole: it is there with all its bytes, or as it was.
///
/// # Errors
/// `Io` if it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let (output, mut file) = Output::create(path)?;
    if let Err(e) = file.write_all(bytes) {
        if let Some(part) = &output.part {
            // A piece of it is of no use. If it cannot be removed either, it stays.
            let _ = std::fs::remove_file(part);
        }
        return Err(Error::io(path, e));
    }
    output.keep()
}

/// Path with `ending` behind whatever its name is.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// Makes the folder that a file will stand in.
///
/// # Errors
/// `Io` if it cannot be made.
pub fn make_folder_of(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))
        }
        _ => Ok(()),
    }
}
