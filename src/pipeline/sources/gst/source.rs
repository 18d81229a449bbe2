//! One chain of GStreamer's elements, as a source.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gstreamer as gst;

use super::super::clock::{Clock, since_boot};
use super::super::times::Times;
use super::super::{NAP, Reading};
use super::allowed::ALLOWED;
use super::build::{build, start};
use super::inbox::Taken;
use super::picture::picture;
use super::player::Player;
use super::sound::{Block, Gather, piece};
use super::{Description, Installed, Launch, Media, Wish};
use crate::codec::Stamp;
use crate::error::{Error, Result};
use crate::pipeline::item::{Gone, Item, Parts};
use crate::pipeline::line::Source;
use crate::pipeline::warning::Warning;

/// A sound whose next piece begins so much later than it should is another sound.
const GAP: Duration = Duration::from_millis(200);

/// Checks a description: its grammar, the list, and that the elements are installed, take their properties and fit
/// together. No device is opened.
///
/// # Errors
/// `Config`.
pub fn check(launch: &Launch, wish: &Wish) -> Result<()> {
    wish.check()?;
    build(&Description::read(launch)?, wish).map(drop)
}

/// A source that begins to play when the first item is asked for.
///
/// # Errors
/// `Config` as [`check`].
pub fn open(
    name: &str,
    launch: &Launch,
    wish: Wish,
    silence: Option<Duration>,
    stop: Arc<AtomicBool>,
) -> Result<Box<dyn Source>> {
    wish.check()?;
    let description = Description::read(launch)?;
    Ok(Box::new(GstSource::new(name, description, wish, silence, stop)))
}

/// What this machine's GStreamer can do.
pub fn installed() -> Option<Result<Installed>> {
    Some(start().map(|()| {
        let there = |name: &&&str| gst::ElementFactory::find(name).is_some();
        let elements = ALLOWED
            .iter()
            .map(|(group, all)| (*group, all.iter().filter(there).copied().collect()));
        let (major, minor, micro, _) = gst::version();
        Installed { version: format!("{major}.{minor}.{micro}"), elements: elements.collect() }
    }))
}

/// Plays one pipeline to its end, which is an error: cameras have none. Whoever runs the line begins it again.
pub struct GstSource {
    name: String,
    description: Description,
    wish: Wish,
    /// One that gives nothing for so long has failed; without it, it is waited for.
    silence: Option<Duration>,
    stop: Arc<AtomicBool>,
    player: Option<Player>,
    /// When it gave something last, or began.
    heard: Instant,
    /// What is to be given before anything else comes.
    due: VecDeque<Item>,
    /// Why there is nothing behind that.
    failed: Option<Error>,
    /// What goes with the next item.
    warnings: Vec<Warning>,
    /// It was said that pictures are interlaced.
    combs: bool,
    gather: Gather,
    /// When the next piece of sound should begin.
    follows: Option<Duration>,
    clock: Clock,
    times: Times,
    index: u64,
}

impl GstSource {
    /// A source that begins to play when the first item is asked for.
    pub fn new(
        name: &str,
        description: Description,
        wish: Wish,
        silence: Option<Duration>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            description,
            wish,
            silence,
            stop,
            player: None,
            heard: Instant::now(),
            due: VecDeque::new(),
            failed: None,
            warnings: Vec::new(),
            combs: false,
            gather: Gather::new(Reading::default().block),
            follows: None,
            clock: Clock::new(),
            times: Times::default(),
            index: 0,
        }
    }

    fn stamp(&mut self, at: Duration) -> Stamp {
        let mut stamp = Stamp { index: self.index, ..Stamp::default() };
        self.clock.stamp_at(&mut stamp, at);
        self.index += 1;
        stamp
    }

    /// Gives a lost item next, in the place of what was lost.
    fn lose(&mut self, why: &Error, at: Duration) {
        let mut item = Item::lost(self.stamp(at), &self.name, "damaged_frame", String::new());
        item.lose("damaged_frame", why);
        self.due.push_back(item);
    }

    /// Gives a dropped item for each that gave way: they came, and nobody took them in time.
    fn drop(&mut self, count: u64) {
        self.end_sound();
        for _ in 0..count {
            let stamp = self.stamp(since_boot());
            let gone = Some(Gone::Dropped("source_full"));
            self.due.push_back(Item { stamp, name: self.name.clone(), gone, ..Item::default() });
        }
    }

    fn take(&mut self, sample: &gst::Sample, said: Option<Duration>) {
        let arrival = since_boot();
        self.heard = Instant::now();
        let said = said.map(|t| self.clock.since_boot(t));
        let at = self.times.mend(said, arrival);
        self.warnings.extend(self.times.warning(arrival).map(Warning::from));
        match self.wish.media {
            Media::Picture => self.take_picture(sample, at),
            Media::Sound => self.take_sound(sample, at),
        }
    }

    fn take_picture(&mut self, sample: &gst::Sample, at: Duration) {
        let picture = match picture(sample, &self.name) {
            Ok(picture) => picture,
            Err(why) => return self.lose(&why, at),
        };
        if picture.interlaced && !std::mem::replace(&mut self.combs, true) {
            let words = "the pictures are interlaced: what moves has combs; put deinterlace into the pipeline";
            self.warnings.push(words.into());
        }
        let stamp = self.stamp(at);
        let lasts = picture.lasts;
        self.due.push_back(Item { lasts, ..Item::new(stamp, &self.name, picture.frame) });
    }

    fn take_sound(&mut self, sample: &gst::Sample, at: Duration) {
        let piece = match piece(sample, &self.name) {
            Ok(piece) => piece,
            Err(why) => {
                self.end_sound();
                return self.lose(&why, at);
            }
        };
        if self.follows.is_some_and(|follows| at > follows + GAP) {
            self.warnings.push("sound is missing: what follows is a sound of its own".into());
            self.end_sound();
        }
        self.follows = Some(at + piece.lasts());
        if let Some(block) = self.gather.put(piece, at) {
            self.give(block);
        }
    }

    /// The sound so far is whole; what follows is another.
    fn end_sound(&mut self) {
        self.follows = None;
        if let Some(block) = self.gather.end() {
            self.give(block);
        }
    }

    fn give(&mut self, block: Block) {
        match block.frame {
            Ok(frame) => {
                let stamp = self.stamp(block.at);
                self.due.push_back(Item { end: block.end, ..Item::new(stamp, &self.name, frame) });
            }
            Err(why) => self.lose(&why, block.at),
        }
    }

    /// Lets the pipeline go. What was heard of a sound is given, then the error.
    fn fail(&mut self, reason: String) {
        self.player = None;
        self.end_sound();
        self.failed = Some(Error::Device { device: self.name.clone(), reason });
    }

    fn listen(&mut self, player: Player) {
        match player.take(NAP) {
            Taken::Dropped(count) => self.drop(count),
            Taken::Sample(sample) => {
                let said = player.time(&sample);
                self.take(&sample, said);
            }
            Taken::Ended(why) => return self.fail(why),
            Taken::Nothing => {
                if let Some(silence) = self.silence.filter(|s| self.heard.elapsed() > *s) {
                    let seconds = silence.as_secs_f64();
                    return self.fail(format!("the pipeline gives nothing for {seconds} s"));
                }
            }
        }
        self.player = Some(player);
    }
}

impl Source for GstSource {
    fn makes(&self) -> Parts {
        Parts::FRAME
    }

    fn next(&mut self) -> Result<Option<Item>> {
        loop {
            if let Some(mut item) = self.due.pop_front() {
                item.warnings.append(&mut self.warnings);
                return Ok(Some(item));
            }
            if let Some(why) = self.failed.take() {
                return Err(why);
            }
            if self.stop.load(Ordering::Relaxed) {
                self.player = None;
                self.end_sound();
                if self.due.is_empty() {
                    return Ok(None);
                }
                continue;
            }
            match self.player.take() {
                Some(player) => self.listen(player),
                None => {
                    self.player = Some(Player::start(&self.name, &self.description, &self.wish)?);
                    self.heard = Instant::now();
                }
            }
        }
    }

    fn close(&mut self) -> Vec<Item> {
        self.player = None;
        self.end_sound();
        std::mem::take(&mut self.due).into()
    }
}
