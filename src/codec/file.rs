//! Small files, read whole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Reads a plain file of `limit` bytes at most: a device may have no end, and a pipe no writer.
///
/// # Errors
/// `Io` if it cannot be read, `Input` if it is no plain file, `Limit` if it is larger.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let io = |e| Error::io(path, e);
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(Error::input(path.display(), "is no plain file; name one"));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    File::open(path).map_err(io)?.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    let actual = bytes.len() as u64;
    if actual > limit {
        let what = format!("{}, in bytes,", path.display());
        return Err(Error::Limit { what, limit, actual });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("x");
        std::fs::write(&path, [7; 5]).expect("written");
        assert_eq!(read_file(&path, 5).expect("five bytes"), [7; 5]);
        assert!(matches!(read_file(&path, 4), Err(Error::Limit { limit: 4, .. })));
        assert!(matches!(read_file(folder.path(), 4), Err(Error::Input { .. })));
        assert!(matches!(read_file(&folder.path().join("none"), 4), Err(Error::Io { .. })));
        #[cfg(unix)]
        assert!(matches!(read_file(Path::new("/dev/zero"), 4), Err(Error::Input { .. })));
    }
}
