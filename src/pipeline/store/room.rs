//! Room for what comes: what is given up for it, and in which order.

use std::io;
use std::time::Duration;

use super::disk::is_full;
use super::segment::Segment;
use super::settings::Policy;
use super::state::State;
use super::thin::{Cut, Job, Want};
use super::tombstone::Reason;

/// A packet waits no longer than this for room, and one deed.
const PATIENCE: Duration = Duration::from_secs(1);

impl State {
    /// Bytes too few, if `need` more were written.
    pub fn lacks(&self, need: u64) -> u64 {
        let over = self.bytes().saturating_add(need).saturating_sub(self.settings.quota_bytes);
        let keep = self.settings.keep_free_bytes.saturating_add(need);
        over.max(self.free.map_or(0, |free| keep.saturating_sub(free)))
    }

    /// Sees to it that `need` bytes may be written, by what the policy says; `refused` if the disk
    /// itself has just said that there is no room. Returns whether they may.
    pub fn make_room(&mut self, need: u64, refused: bool) -> bool {
        self.ask_free(refused);
        let (start, mut refused, mut failures) = (self.disk.now(), refused, 0);
        loop {
            let lack = self.lacks(need);
            if lack == 0 && !refused {
                return true;
            }
            if self.disk.now().saturating_sub(start) > PATIENCE {
                return false;
            }
            match self.give_some_up(lack.max(1)) {
                Some(true) => refused = false,
                // What is owed is tried once more.
                Some(false) if failures == 0 => failures += 1,
                _ => return false,
            }
        }
    }

    /// One deed that makes room: whether the disk did it; `None` if there is none.
    fn give_some_up(&mut self, lack: u64) -> Option<bool> {
        if self.settings.policy == Policy::Deny {
            return None;
        }
        // What stands on a tombstone comes first: it is given up already.
        if let Some((s, k)) = self.owing() {
            return Some(self.told(s, |state| state.pay(s, k)));
        }
        if self.settings.policy == Policy::Thin
            && let Some((s, k)) = self.oldest(|segment| segment.groups.is_none_or(|g| g > 1))
        {
            let job = self.job(s, k, Want::Bytes(lack));
            let done = job.run().and_then(|cut| self.finish(s, k, cut, Reason::Thin));
            match done {
                // There is no room for the copy either, or someone else removed it.
                Err(e) if is_full(&e) || e.kind() == io::ErrorKind::NotFound => {}
                done => return Some(self.told(s, |_| done)),
            }
        }
        let reason =
            if self.settings.policy == Policy::Thin { Reason::Thin } else { Reason::Oldest };
        let (s, k) = self.oldest(|_| true)?;
        Some(self.told(s, |state| state.give_up(s, k, reason)))
    }

    /// A closed segment that is owed a deed.
    pub fn owing(&self) -> Option<(usize, usize)> {
        self.streams.iter().enumerate().find_map(|(s, stream)| {
            let k = stream.segments.iter().position(|segment| segment.owed.is_some())?;
            Some((s, k))
        })
    }

    /// The oldest closed segment of all streams that is so.
    fn oldest(&self, is_so: impl Fn(&Segment) -> bool) -> Option<(usize, usize)> {
        let of = |s: usize| {
            let segments = &self.streams[s].segments;
            let k = segments.iter().position(|x| !x.busy && x.owed.is_none() && is_so(x))?;
            Some((segments[k].closed, s, k))
        };
        (0..self.streams.len()).filter_map(of).min().map(|(_, s, k)| (s, k))
    }

    /// The work of cutting a segment.
    pub fn job(&self, s: usize, k: usize, want: Want) -> Job {
        let (stream, disk) = (&self.streams[s], self.disk.clone());
        let segment = &stream.segments[k];
        let (number, bytes) = (segment.number, segment.bytes);
        Job { disk, folder: stream.folder.clone(), number, bytes, want }
    }

    /// Takes over what came of it.
    ///
    /// # Errors
    /// As [`Self::thin`].
    pub fn finish(&mut self, s: usize, k: usize, cut: Cut, reason: Reason) -> io::Result<()> {
        match cut {
            Cut::Thinner(thinner) => self.thin(s, k, thinner, reason),
            Cut::AsItIs(groups) => {
                self.streams[s].segments[k].groups = Some(groups);
                Ok(())
            }
        }
    }

    /// Does something for a stream, and notes the error if there is one.
    fn told(&mut self, s: usize, deed: impl FnOnce(&mut Self) -> io::Result<()>) -> bool {
        match deed(self) {
            Ok(()) => true,
            Err(e) => {
                self.streams[s].error = Some(e.to_string());
                false
            }
        }
    }

    /// The next segment that a step of the staircase or the policy asks to be cut, and how far.
    pub fn next_cut(&self) -> Option<(usize, usize, Want, Reason)> {
        let time = self.time();
        for (s, stream) in self.streams.iter().enumerate() {
            for (k, segment) in stream.segments.iter().enumerate() {
                let age = time.saturating_sub(segment.closed);
                let allowed = self.settings.groups_at(age);
                let more = allowed.is_some_and(|n| segment.groups.is_none_or(|g| g > n));
                if let Some(groups) =
                    allowed.filter(|_| more && segment.owed.is_none() && !segment.busy)
                {
                    return Some((s, k, Want::Groups(groups), Reason::Staircase));
                }
            }
        }
        // Ahead of the need, so that no packet waits for it.
        let ahead = self.segment_bytes().min(self.settings.quota_bytes / 16);
        let lack = if self.settings.policy == Policy::Thin { self.lacks(ahead) } else { 0 };
        let (s, k) = self.oldest(|x| x.groups.is_none_or(|g| g > 1)).filter(|_| lack > 0)?;
        Some((s, k, Want::Bytes(lack), Reason::Thin))
    }
}
