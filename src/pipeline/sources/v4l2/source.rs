//! One camera, played for ever.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::NAP;
use super::super::away::Away;
use super::super::clock::{Clock, since_boot};
use super::super::times::Times;
use super::choose::{choose, differences};
use super::find::{Finder, Identity, Tree};
use super::video::{Shape, Shot, Video, Wish};
use super::watch::{Sequence, Still};
use crate::codec::Stamp;
use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;
use crate::pipeline::warning::Warning;

/// Lost items that stand for pictures missing between two, at most.
const MISSING: u32 = 64;

/// How long a camera is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Between attempts to find it: at first, at most.
    pub back_off: [Duration; 2],
    /// One that gives no picture for so long is opened anew.
    pub silence: Duration,
    /// A picture that stays the same for so long is spoken of.
    pub still: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (first, long) = (Duration::from_millis(250), Duration::from_secs(5));
        Self { back_off: [first, long], silence: long, still: long }
    }
}

/// Plays one camera. One that goes away is waited for, and taken up again under whatever number it comes back.
pub struct CameraSource {
    name: String,
    finder: Finder,
    video: Box<dyn Video>,
    wish: Wish,
    stop: Arc<AtomicBool>,
    patience: Patience,
    away: Away,
    playing: Option<Playing>,
    /// What is to be given before anything else comes.
    due: VecDeque<Item>,
    /// What goes with the next item.
    warnings: Vec<Warning>,
    /// What was said of how the camera plays.
    said: Vec<String>,
    clock: Clock,
    times: Times,
    still: Still,
    index: u64,
}

/// A camera that plays, or should.
struct Playing {
    shape: Shape,
    sequence: Sequence,
    /// When it gave its last picture, or began.
    heard: Instant,
}

impl CameraSource {
    /// A camera that is looked for when the first item is asked for.
    pub fn new(
        name: &str,
        identity: Identity,
        wish: Wish,
        video: Box<dyn Video>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let finder = Finder::new(Tree::default(), identity);
        Self::patient(name, finder, wish, video, stop, Patience::default())
    }

    pub(super) fn patient(
        name: &str,
        finder: Finder,
        wish: Wish,
        video: Box<dyn Video>,
        stop: Arc<AtomicBool>,
        patience: Patience,
    ) -> Self {
        Self {
            name: name.to_owned(),
            finder,
            video,
            wish,
            stop,
            away: Away::new(patience.back_off),
            patience,
            playing: None,
            due: VecDeque::new(),
            warnings: Vec::new(),
            said: Vec::new(),
            clock: Clock::new(),
            times: Times::default(),
            still: Still::default(),
            index: 0,
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Finds and starts the camera.
    fn begin(&mut self) -> Result<Shape> {
        let node = self.finder.look()?;
        let modes = self.video.open(&node, &self.wish)?;
        let mode = choose(&node.display().to_string(), &modes, &self.wish)?;
        let shape = self.video.start(mode, self.wish.fps)?;
        shape.check(&self.name)?;
        let mut said: Vec<String> = self.finder.settle(&node).into_iter().collect();
        said.extend(differences(&shape, &self.wish));
        said.extend(shape.oddities());
        let news = said.iter().filter(|s| !self.said.contains(s));
        self.warnings.extend(news.map(|s| Warning::from(s.as_str())));
        self.said = said;
        Ok(shape)
    }

    /// Waits for a while, or looks for the camera if it is time.
    fn look(&mut self) {
        let wait = self.away.wait();
        if !wait.is_zero() {
            return std::thread::sleep(wait.min(NAP));
        }
        match self.begin() {
            Ok(shape) => {
                let (sequence, heard) = (Sequence::default(), Instant::now());
                self.playing = Some(Playing { shape, sequence, heard });
            }
            Err(why) => self.leave(&why),
        }
    }

    /// Lets the camera go, to look for it after a pause; says why once, and again if it is another reason after a while.
    fn leave(&mut self, why: &Error) {
        self.video.close();
        let why = why.to_string();
        if self.away.fails(&why) {
            let text = format!("{why}; it is looked for until it is back");
            self.lose("camera_gone", text, since_boot(), false);
        }
    }

    /// Gives a lost item next; one that was a picture has a place in the stream.
    fn lose(&mut self, kind: &'static str, why: String, at: Duration, counts: bool) {
        let mut stamp = Stamp { index: self.index, ..Stamp::default() };
        self.clock.stamp_at(&mut stamp, at);
        self.index += u64::from(counts);
        self.due.push_back(Item::lost(stamp, &self.name, kind, why));
    }

    /// Gives a picture next, behind what is missing before it.
    fn take(&mut self, shot: Shot, playing: &mut Playing) {
        let arrival = since_boot();
        if let Some(away) = self.away.was() {
            let seconds = away.as_secs_f64();
            self.warnings.push(format!("the camera is back after {seconds:.1} s").into());
        }
        self.away = Away::new(self.patience.back_off);
        let said = shot.time.map(|t| self.clock.since_boot(t));
        let (before, at) = (self.times.last(), self.times.mend(said, arrival));
        self.warnings.extend(self.times.warning(arrival).map(Warning::from));
        self.miss(playing.sequence.missing(shot.sequence), before, at);
        if shot.damaged {
            let why = "the driver says that the picture is damaged".to_owned();
            return self.lose("damaged_frame", why, at, true);
        }
        if self.still.stands(&shot.bytes, arrival, self.patience.still) {
            let seconds = self.patience.still.as_secs_f64();
            self.warnings.push(
                format!("the same picture for more than {seconds} s: the sensor stands still, or is covered")
                    .into(),
            );
        }
        match playing.shape.frame(shot.bytes, &self.name) {
            Ok(frame) => {
                let mut stamp = Stamp { index: self.index, ..Stamp::default() };
                self.clock.stamp_at(&mut stamp, at);
                self.index += 1;
                let lasts = playing.shape.interval;
                self.due.push_back(Item { lasts, ..Item::new(stamp, &self.name, frame) });
            }
            Err(why) => self.lose("damaged_frame", why.to_string(), at, true),
        }
    }

    /// Gives lost items for pictures that the driver counted between two times and did not give.
    fn miss(&mut self, missing: u32, from: Duration, to: Duration) {
        let step = to.saturating_sub(from) / (missing.saturating_add(1));
        for i in 1..=missing.min(MISSING) {
            let mut why = format!("picture {i} of {missing} that the driver dropped in a row");
            if i == MISSING && missing > MISSING {
                why = format!("{why}; {} more are not listed", missing - MISSING);
            }
            self.lose("driver_dropped", why, from + step * i, true);
        }
    }
}

impl Source for CameraSource {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }

    fn next(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(mut item) = self.due.pop_front() {
                item.warnings.append(&mut self.warnings);
                return Ok(Some(item));
            }
            if self.stopped() {
                return Ok(None);
            }
            let Some(mut playing) = self.playing.take() else {
                self.look();
                continue;
            };
            match self.video.next(NAP) {
                Ok(Some(shot)) => {
                    playing.heard = Instant::now();
                    self.take(shot, &mut playing);
                    self.playing = Some(playing);
                }
                Ok(None) if playing.heard.elapsed() <= self.patience.silence => {
                    self.playing = Some(playing);
                }
                Ok(None) => {
                    let seconds = self.patience.silence.as_secs_f64();
                    let reason = format!("gives no picture for {seconds} s");
                    let device = self.finder.identity().to_string();
                    self.leave(&Error::Device { device, reason });
                }
                Err(why) => self.leave(&why),
            }
        }
    }

    fn close(&mut self) -> Vec<Item> {
        self.video.close();
        std::mem::take(&mut self.due).into()
    }
}
