//! Files, one after the other, as one source.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::feed::{Feed, Reading};
use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;

/// Packets looked at for one whose stream has a header.
const AHEAD: usize = 4096;

/// Reads files in order. Pictures and video frames form stream 0; every sound is a stream of its
/// own. A file that cannot be read is a lost item, and the next one follows.
pub struct Files {
    paths: VecDeque<PathBuf>,
    how: Reading,
    feed: Option<Feed>,
    makes: Parts,
    pictures: u64,
    streams: u32,
    /// Items read by [`Files::peek`].
    ahead: VecDeque<Item>,
}

impl Files {
    /// Reads media files, or standard input where a path is `-`.
    pub fn new(paths: Vec<PathBuf>, how: Reading) -> Self {
        Self {
            paths: paths.into(),
            how,
            feed: None,
            makes: Parts::FRAME,
            pictures: 0,
            streams: 1,
            ahead: VecDeque::new(),
        }
    }

    /// Reads `.tamis` files.
    pub fn packets(paths: Vec<PathBuf>) -> Self {
        Self { makes: Parts::PACKET, ..Self::new(paths, Reading::default()) }
    }

    /// Reads one more file, behind the others.
    pub fn push(&mut self, path: PathBuf) {
        self.paths.push_back(path);
    }

    /// Gives pictures as they come: see [`Reading::live`].
    pub fn live(mut self, live: bool) -> Self {
        self.how.live = live;
        self
    }

    /// The first item that tells which codec fits, without taking it: one that can be read, and
    /// whose stream has a header if it is a packet.
    ///
    /// # Errors
    /// As [`Source::next`].
    pub fn peek(&mut self) -> Result<Option<&Item>> {
        let dumb = |i: &Item| i.gone.is_some() || (i.packet.is_some() && i.header.is_none());
        while self.ahead.back().is_none_or(dumb) {
            if self.makes == Parts::PACKET && self.ahead.len() == AHEAD {
                return Ok(None);
            }
            match self.read()? {
                Some(item) => self.ahead.push_back(item),
                None => return Ok(None),
            }
        }
        Ok(self.ahead.back())
    }

    /// Gives pictures the next place in stream 0, and each sound a stream.
    fn place(&mut self, mut item: Item, has_times: bool) -> Item {
        if item.packet.is_some() || item.gone.is_some() {
            return item;
        }
        if item.frame.as_ref().is_some_and(crate::codec::Frame::is_audio) {
            item.stamp.stream = self.streams;
            if item.end {
                self.streams += 1;
            }
        } else {
            item.stamp.index = self.pictures;
            item.stamp.stream = 0;
            if let (Some(fps), false) = (self.how.fps, has_times) {
                let time = |n| Duration::try_from_secs_f64(n / fps).unwrap_or_default();
                (item.stamp.captured, item.lasts) = (time(self.pictures as f64), time(1.0));
            }
            self.pictures += 1;
        }
        item
    }

    fn read(&mut self) -> Result<Option<Item>> {
        loop {
            let Some(feed) = &mut self.feed else {
                let Some(path) = self.paths.pop_front() else { return Ok(None) };
                match Feed::open(&path, &self.how) {
                    Ok(feed) if feed.is_packets() != (self.makes == Parts::PACKET) => {
                        let why = match feed.is_packets() {
                            true => "is a .tamis file already; `decode` and `info` read it",
                            false => "is no .tamis file; `encode` makes one of it",
                        };
                        return Ok(Some(unreadable(&path, why)));
                    }
                    Ok(feed) => self.feed = Some(feed),
                    Err(e) => return Ok(Some(unreadable(&path, &e.to_string()))),
                }
                continue;
            };
            match feed.next_item() {
                Ok(Some(item)) => {
                    let has_times = feed.has_times();
                    return Ok(Some(self.place(item, has_times)));
                }
                Ok(None) => self.feed = None,
                Err(e) => {
                    let item = unreadable(Path::new(feed.name()), &e.to_string());
                    self.feed = None;
                    return Ok(Some(item));
                }
            }
        }
    }
}

impl Source for Files {
    fn makes(&self) -> Parts {
        self.makes
    }

    fn next(&mut self) -> Result<Option<Item>> {
        match self.ahead.pop_front() {
            Some(item) => Ok(Some(item)),
            None => self.read(),
        }
    }

    fn close(&mut self) -> Vec<Item> {
        let mut rest: Vec<Item> = self.ahead.drain(..).collect();
        if let Some(mut feed) = self.feed.take() {
            let has_times = feed.has_times();
            rest.extend(feed.close().map(|item| self.place(item, has_times)));
        }
        rest
    }
}

fn unreadable(path: &Path, why: &str) -> Item {
    let mut item = Item { name: path.display().to_string(), ..Item::default() };
    item.lose("unreadable", why);
    item
}
