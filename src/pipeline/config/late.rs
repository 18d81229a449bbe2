//! A file that is made when something is written to it, not before.

use std::io::{self, Write};
use std::path::PathBuf;

use super::build::{open, unused};
use crate::error::Error;

/// One more file beside those of earlier runs of a line. A run that gives nothing leaves none: a camera that is away
/// for a night would leave thousands.
pub(super) struct Late {
    path: PathBuf,
    file: Option<Box<dyn Write + Send>>,
}

impl Late {
    /// A file called like `path`, or beside it.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }
}

impl Write for Late {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() {
            let opened = open(&unused(&self.path), false).map_err(|e| match e {
                Error::Io { why, .. } => why,
                other => io::Error::other(other),
            });
            self.file = Some(opened?);
        }
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_nothing_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.tamis");
        std::fs::write(&path, "first").expect("a file");
        Late::new(path.clone()).flush().expect("nothing to write");
        assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 1);
        let mut late = Late::new(path.clone());
        late.write_all(b"se").and_then(|()| late.write_all(b"cond")).expect("a second file");
        late.flush().expect("written");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
        assert_eq!(read("x.tamis").as_deref(), Some("first"));
        assert_eq!(read("x-2.tamis").as_deref(), Some("second"));
    }
}
