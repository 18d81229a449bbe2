//! Fewer groups of an old segment.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contents::{Contents, survey};
use super::disk::Disk;
use super::rewrite::rewrite;
use super::segment::{CLOSED, PART, path};

/// How far a segment is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// As little as frees so many bytes; to one group if none does.
    Bytes(u64),
    /// To so many groups.
    Groups(usize),
}

/// A segment to be cut. What is needed to do so without holding the lock.
pub(super) struct Job {
    pub disk: Arc<dyn Disk>,
    pub folder: PathBuf,
    pub number: u64,
    pub bytes: u64,
    pub want: Want,
}

/// A cut segment, which lies beside the one it is to replace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thinner {
    pub groups: usize,
    pub bytes: u64,
    /// Packets that lost groups.
    pub packets: u64,
    pub contents: Contents,
}

/// What came of a job.
pub(super) enum Cut {
    Thinner(Thinner),
    /// Nothing to be cut: it has so many groups at most.
    AsItIs(usize),
}

impl Job {
    /// Writes the cut segment beside the other. The other stays as it is.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn run(&self) -> io::Result<Cut> {
        let (disk, folder) = (self.disk.as_ref(), self.folder.as_path());
        let from = path(folder, self.number, CLOSED);
        let found = survey(disk.open(&from)?.as_mut(), self.bytes)?;
        let groups = match self.want {
            Want::Groups(groups) => groups,
            Want::Bytes(bytes) => {
                (1..found.groups).rev().find(|&k| found.behind(k) >= bytes).unwrap_or(1)
            }
        };
        if found.behind(groups) == 0 {
            return Ok(Cut::AsItIs(groups.min(found.groups)));
        }
        let to = path(folder, self.number, PART);
        let bytes = match rewrite(disk, &from, &to, self.bytes, groups) {
            Ok((bytes, _)) => bytes,
            // Nobody can read it, whatever it has.
            Err(e) if e.kind() == io::ErrorKind::InvalidData => return Ok(Cut::AsItIs(1)),
            Err(e) => return Err(e),
        };
        let packets = found.group_packets.get(groups..).and_then(|n| n.iter().max()).copied();
        settle(disk, folder, &to)?;
        let packets = packets.unwrap_or(0);
        Ok(Cut::Thinner(Thinner { groups, bytes, packets, contents: found.contents }))
    }
}

/// Makes sure that the copy outlasts a power cut before a tombstone relies on it.
fn settle(disk: &dyn Disk, folder: &Path, copy: &Path) -> io::Result<()> {
    disk.sync_folder(folder).inspect_err(|_| {
        // What stays is removed at the next start.
        let _ = disk.remove(copy);
    })
}
