//! What is to be sent next of what is stored, and the books of what was acknowledged.
//!
//! The store is the backlog. Pass 0 gives the groups that go first, of all packets of all streams of which nothing was
//! given yet, oldest first; as many as the link carries. Only when it has nothing to give, pass 1 gives those that did
//! not go then, pass 2 the groups behind them, and so on. So the first groups of a new packet overtake the outer groups
//! of all older ones. The books stand in `STORE/uplink.json` and are written once a second: what a crash lets be sent
//! twice, a receiver keeps once.

mod batch;
mod books;
mod pace;
mod reach;
mod spans;
#[cfg(test)]
mod tests;
mod walk;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use batch::Batch;
pub use pace::Pace;

use self::books::{Book, Books, Done, GROUPS};
use self::reach::Reach;
use self::walk::{Pass, Step, Walk};
use crate::error::{Error, Result};
use crate::pipeline::store::{Disk, SegmentInfo, Store};

/// How often the store is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often the books are written.
const SAVE: Duration = Duration::from_secs(1);

/// What an uplink is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who is sent to, under which name: what one has acknowledged, another has not.
    pub to: String,
    /// Groups that go first, where the link carries them; a third of them if nothing is said.
    pub first: Option<usize>,
}

/// What is left to send.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backlog {
    /// About how many bytes: exact when nothing of a segment was sent, or all.
    pub bytes: u64,
    /// When the oldest segment was begun of which something is left, where known.
    pub oldest: Option<SystemTime>,
    /// Packets that were given up by the store before all of them was sent, about.
    pub passed_packets: u64,
    /// Bytes of these that were not sent, about.
    pub passed_bytes: u64,
    /// Packets that the receiver refused for good.
    pub refused_packets: u64,
    /// The share of what was to go first, in bytes, that does.
    pub first_share: f64,
    /// Why that is so.
    pub why: String,
    /// The last error of reading what is stored or of writing the books, or why a stream was held.
    pub error: Option<String>,
}

/// Gives what is to be sent, most important first.
pub struct Uplink {
    store: Arc<Store>,
    disk: Arc<dyn Disk>,
    /// Where the books stand.
    folder: PathBuf,
    reach: Reach,
    books: Books,
    lanes: Vec<Lane>,
    /// The stream that has its turn.
    turn: usize,
    looked: Option<Duration>,
    saved: Duration,
    unsaved: bool,
    backlog: Backlog,
}

/// One stream.
struct Lane {
    name: String,
    segments: Vec<SegmentInfo>,
    walks: Vec<Walk>,
    /// Nothing of it is given before.
    held: Duration,
}

impl Uplink {
    /// What is to be sent of these streams of a store in `folder`.
    pub fn open(
        store: Arc<Store>,
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        streams: &[String],
        settings: Settings,
    ) -> Self {
        let books = Books::load(disk.as_ref(), &folder, &settings.to);
        let lane = |name: &String| Lane {
            name: name.clone(),
            segments: Vec::new(),
            walks: Vec::new(),
            held: Duration::ZERO,
        };
        Self {
            store,
            folder,
            books,
            lanes: streams.iter().map(lane).collect(),
            turn: 0,
            looked: None,
            saved: disk.now(),
            disk,
            reach: Reach::new(settings.first),
            unsaved: false,
            backlog: Backlog::default(),
        }
    }

    /// The next batch, of at most `most` bytes if it has more than one packet; `None` if there is nothing to send.
    /// It is to be given back: to [`Self::acknowledged`], [`Self::failed`] or [`Self::refused`], before the next.
    pub fn next(&mut self, most: usize) -> Option<Batch> {
        let now = self.disk.now();
        if self.looked.is_none_or(|at| now.saturating_sub(at) >= LOOK) {
            self.look();
        }
        self.reach.turn(self.books.streams.values(), now);
        for pass in 0..=GROUPS {
            for turn in 0..self.lanes.len() {
                let lane = (self.turn + turn) % self.lanes.len();
                if self.lanes[lane].held > now {
                    continue;
                }
                if let Some(batch) = self.fill(lane, pass, most) {
                    self.turn = lane + 1;
                    return Some(batch);
                }
            }
            if pass == 0 {
                self.reach.emptied();
            }
        }
        self.reach.idle();
        None
    }

    fn fill(&mut self, lane: usize, pass: usize, most: usize) -> Option<Batch> {
        let reach = &self.reach;
        let groups = |book: &Book| groups_of(pass, reach, book);
        let lane = &mut self.lanes[lane];
        let book = self.books.streams.entry(lane.name.clone()).or_default();
        let due = groups(book).due;
        if due.is_empty() || pass > 0 && book.groups <= due.start {
            return None;
        }
        if lane.walks.len() <= pass {
            lane.walks.resize_with(pass + 1, Walk::default);
        }
        let walk = &mut lane.walks[pass];
        let mut batch = Batch::new(&lane.name, pass);
        loop {
            match walk.next(&self.store, &lane.name, &lane.segments, book, groups) {
                Ok(Some(Step::Part(header, packet))) => {
                    if !batch.add(&header, &packet, most) {
                        walk.back(Step::Part(header, packet));
                        break;
                    }
                    if batch.bytes.len() >= most {
                        break;
                    }
                }
                Ok(Some(Step::Nothing(done))) => batch.note(done),
                Ok(None) => break,
                // What else is there can be sent.
                Err(e) => self.backlog.error = Some(e.to_string()),
            }
        }
        if batch.packets > 0 {
            return Some(batch);
        }
        self.unsaved |= !batch.done.is_empty();
        batch.done.iter().for_each(|done| book.add(done));
        walk.acknowledged();
        None
    }

    /// The receiver has all of a batch.
    pub fn acknowledged(&mut self, batch: &Batch) {
        let Some(lane) = self.lanes.iter_mut().find(|l| l.name == batch.stream) else { return };
        let book = self.books.streams.entry(batch.stream.clone()).or_default();
        batch.done.iter().for_each(|done| book.add(done));
        if let Some(walk) = lane.walks.get_mut(batch.pass) {
            walk.acknowledged();
        }
        self.reach.went(batch.pass == 0, batch.packets, batch.bytes.len(), self.disk.now());
        self.unsaved = true;
    }

    /// Nobody knows what became of a batch: it will be given again.
    pub fn failed(&mut self, batch: &Batch) {
        self.reach.failed();
        if let Some(lane) = self.lanes.iter_mut().find(|l| l.name == batch.stream)
            && let Some(walk) = lane.walks.get_mut(batch.pass)
        {
            *walk = Walk::default();
        }
    }

    /// The receiver will never take a batch: it is passed over, and counted.
    pub fn refused(&mut self, batch: &Batch) {
        self.backlog.refused_packets += batch.packets;
        self.acknowledged(batch);
    }

    /// Gives nothing more of a stream for some time.
    pub fn hold(&mut self, stream: &str, time: Duration, why: &str) {
        self.backlog.error = Some(why.into());
        let until = self.disk.now().saturating_add(time);
        self.lanes.iter_mut().filter(|l| l.name == stream).for_each(|l| l.held = until);
    }

    /// What is left to send, as it was when the store was last looked at.
    pub fn backlog(&mut self) -> Backlog {
        if self.looked.is_none_or(|at| self.disk.now().saturating_sub(at) >= LOOK) {
            self.look();
        }
        let (first_share, why) = self.reach.share();
        let why = why.into();
        let mut backlog =
            Backlog { bytes: 0, oldest: None, first_share, why, ..self.backlog.clone() };
        for lane in &self.lanes {
            let book = self.books.streams.get(&lane.name).cloned().unwrap_or_default();
            for segment in lane.segments.iter().filter(|s| s.packets > 0) {
                let left = book.left(segment.first_index, segment.last_index);
                backlog.bytes += (segment.bytes as f64 * left).round() as u64;
                if left > 0.0
                    && let Some(utc) = segment.begins
                {
                    backlog.oldest = Some(backlog.oldest.map_or(utc, |o| o.min(utc)));
                }
            }
        }
        backlog
    }

    /// Writes the books if that is due, or at once; after a crash what was sent since is sent again.
    ///
    /// # Errors
    /// `Io` if they cannot be written: they are tried again later.
    pub fn save(&mut self, at_once: bool) -> Result<()> {
        let now = self.disk.now();
        if !self.unsaved || !at_once && now.saturating_sub(self.saved) < SAVE {
            return Ok(());
        }
        self.saved = now;
        match self.books.save(self.disk.as_ref(), &self.folder) {
            Ok(()) => {
                self.unsaved = false;
                Ok(())
            }
            Err(e) => {
                let e = Error::io(&self.folder, e);
                self.backlog.error = Some(e.to_string());
                Err(e)
            }
        }
    }

    /// Looks at what is stored: what is new, and what was given up.
    fn look(&mut self) {
        let now = self.disk.now();
        self.looked = Some(now);
        let status = self.store.status();
        for lane in &mut self.lanes {
            let segments = self.store.segments(&lane.name);
            let book = self.books.streams.entry(lane.name.clone()).or_default();
            if let Some(newest) = segments.iter().map(|s| s.last_index).max()
                && book.doubt(newest)
            {
                // The stream was begun anew under its name: all of it is to be sent.
                lane.walks.clear();
                self.unsaved = true;
            }
            for old in &lane.segments {
                let new = segments.iter().find(|s| s.number == old.number);
                let bytes = match new {
                    Some(new) => old.bytes.saturating_sub(new.bytes),
                    None => old.bytes,
                };
                if bytes == 0 || old.packets == 0 {
                    continue;
                }
                let lost = bytes as f64 * book.left(old.first_index, old.last_index);
                self.backlog.passed_bytes += lost.round() as u64;
                if lost > 0.0 {
                    self.backlog.passed_packets += old.packets;
                }
            }
            // Nothing older will come: what is known of it need not be kept in pieces.
            let whole = status.streams.get(&lane.name).is_some_and(|s| s.broken == 0);
            let oldest = segments.first().map_or(0, |s| s.first_index);
            if whole && oldest > 0 {
                book.add(&Done { groups: 0..GROUPS, first: 0, last: oldest - 1 });
            }
            if lane.held <= now {
                let newest = lane.segments.last().map_or((0, 0), |s| (s.number, s.packets));
                let new = segments.iter().rev().take_while(|s| s.number >= newest.0);
                let packets: u64 = new.map(|s| s.packets).sum();
                let same = segments.iter().any(|s| s.number == newest.0);
                self.reach.came(packets.saturating_sub(if same { newest.1 } else { 0 }));
            }
            lane.segments = segments;
        }
    }
}

/// The groups of a pass.
fn groups_of(pass: usize, reach: &Reach, book: &Book) -> Pass {
    let Some(before) = pass.checked_sub(1) else {
        return Pass { due: 0..1, give: 0..reach.first(book) };
    };
    let size = reach.size(book);
    let due = (before * size).min(GROUPS)..(pass * size).min(GROUPS);
    Pass { give: due.clone(), due }
}
