//! What is done now and then: syncing, cutting, mending.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::disk::{Growing, is_full};
use super::repair::{adopt, repair};
use super::settings::Policy;
use super::state::State;
use super::thin::{Job, Want};
use super::tombstone::Reason;
use super::write::SLACK;

/// Wait after a failure.
const REST: Duration = Duration::from_secs(10);
/// Longest time that packets which were refused stand on no tombstone.
const REFUSED: Duration = Duration::from_secs(60);

/// An open segment that is to be synced, as it is now.
struct Waiting {
    s: usize,
    number: u64,
    file: Arc<dyn Growing>,
    bytes: u64,
    now: Duration,
}

impl Store {
    /// Syncs what waits, cuts and mends what is due. To be called a few times a second; writers do
    /// not wait for most of it.
    pub fn tick(&self) {
        self.sync_waiting();
        self.cut_one();
        let mut state = self.state();
        state.keep_house();
        self.publish(&state);
    }

    fn sync_waiting(&self) {
        for Waiting { s, number, file, bytes, now } in self.waiting() {
            // Without the lock: it may take long.
            let done = file.sync();
            let mut state = self.state();
            let stream = &mut state.streams[s];
            let Some(open) = stream.open.as_mut().filter(|open| open.number == number) else {
                continue;
            };
            match done {
                Ok(()) => {
                    open.synced = open.synced.max(bytes);
                    open.waits = (open.synced < open.bytes).then_some(now);
                }
                Err(e) => stream.abandon(true, &e, now),
            }
        }
    }

    /// Open segments with bytes that have waited long enough.
    fn waiting(&self) -> Vec<Waiting> {
        let state = self.state();
        let (now, sync) = (state.disk.now(), state.settings.sync);
        let open =
            state.streams.iter().enumerate().filter_map(|(s, x)| Some((s, x.open.as_ref()?)));
        open.filter(|(_, x)| x.waits.is_some_and(|since| now.saturating_sub(since) >= sync))
            .map(|(s, x)| Waiting {
                s,
                number: x.number,
                file: x.file.clone(),
                bytes: x.bytes,
                now,
            })
            .collect()
    }

    /// Cuts one segment, as the staircase asks, or ahead of the need.
    fn cut_one(&self) {
        let Some((s, job, reason)) = self.take_job() else { return };
        // Without the lock: it is read and written whole.
        let cut = job.run();
        let mut state = self.state();
        let Some(k) = state.streams[s].segments.iter().position(|x| x.number == job.number) else {
            return;
        };
        state.streams[s].segments[k].busy = false;
        let done = match cut {
            Ok(cut) => state.finish(s, k, cut, reason),
            // Someone else removed it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => state.give_up(s, k, Reason::Error),
            Err(e) => Err(e),
        };
        state.rest_after(s, done);
    }

    fn take_job(&self) -> Option<(usize, Job, Reason)> {
        let mut state = self.state();
        if state.disk.now() < state.rest {
            return None;
        }
        state.ask_free(false);
        let (s, k, want, reason) = state.next_cut()?;
        if want == Want::Groups(0) {
            let done = state.give_up(s, k, reason);
            state.rest_after(s, done);
            return None;
        }
        let job = state.job(s, k, want);
        state.streams[s].segments[k].busy = true;
        Some((s, job, reason))
    }
}

impl State {
    fn keep_house(&mut self) {
        let now = self.disk.now();
        if now >= self.rest {
            let (s, done) = self.mend(now);
            self.rest_after(s, done);
        }
        if self.settings.policy != Policy::Deny {
            self.make_room(SLACK, false);
        }
        (0..self.streams.len()).for_each(|s| self.set_wish(s));
    }

    /// Does what could not be done before; tells whose disk failed.
    fn mend(&mut self, now: Duration) -> (usize, io::Result<()>) {
        let disk = self.disk.clone();
        if let Some((s, k)) = self.owing() {
            let done = self.pay(s, k);
            if done.is_err() {
                return (s, done);
            }
        }
        for s in 0..self.streams.len() {
            if !self.streams[s].broken.is_empty() {
                let done = self.mend_first(s);
                if done.is_err() {
                    return (s, done);
                }
            }
            let stream = &mut self.streams[s];
            if stream.unsure {
                stream.settle(disk.as_ref());
            }
            let old = stream.refused_since.is_some_and(|at| now.saturating_sub(at) >= REFUSED);
            if (old || !stream.late.is_empty())
                && let Err(e) = stream.write_down(disk.as_ref())
            {
                return (s, Err(e));
            }
        }
        (0, Ok(()))
    }

    fn mend_first(&mut self, s: usize) -> io::Result<()> {
        let (disk, now) = (self.disk.clone(), self.time());
        let mut broken = self.streams[s].broken.remove(0);
        let mut done = repair(disk.as_ref(), &mut self.streams[s], &mut broken, now).map(drop);
        if done.as_ref().is_err_and(is_full) && self.make_room(broken.bytes, true) {
            done = repair(disk.as_ref(), &mut self.streams[s], &mut broken, now).map(drop);
        }
        // What is doubtful must be written again: to sync it once more would prove nothing.
        if done.as_ref().is_err_and(is_full) && !broken.doubtful {
            done = adopt(disk.as_ref(), &mut self.streams[s], &broken, now);
        }
        if done.is_err() {
            self.streams[s].broken.push(broken);
        }
        done
    }

    fn rest_after(&mut self, s: usize, done: io::Result<()>) {
        if let Err(e) = done {
            self.rest = self.disk.now() + REST;
            self.streams[s].error = Some(e.to_string());
        }
    }
}
