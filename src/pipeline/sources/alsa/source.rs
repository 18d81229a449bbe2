//! One microphone, played for ever.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::NAP;
use super::super::away::Away;
use super::super::clock::{Clock, since_boot};
use super::super::feed::Reading;
use super::blocks::{Block, Blocks};
use super::choose::{choose, differences};
use super::find::{Finder, Identity, Tree};
use super::listen::{Break, Chunk, Heard, Listen, Shape, Wish};
use super::mute::Mute;
use super::times::Times;
use crate::codec::{Frame, Stamp};
use crate::error::{Error, Result};
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::line::Source;
use crate::pipeline::warning::Warning;

/// One that breaks off and breaks off again is given as long to gather something.
const BREATH: Duration = Duration::from_millis(10);

/// How long a microphone is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Between attempts to find it: at first, at most.
    pub back_off: [Duration; 2],
    /// One that gives nothing for so long is opened anew.
    pub silence: Duration,
    /// Sound that does not move for so long is spoken of.
    pub mute: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (first, long) = (Duration::from_millis(250), Duration::from_secs(5));
        Self { back_off: [first, long], silence: long, mute: long }
    }
}

/// Plays one microphone. One that goes away is waited for, and taken up again under whatever number it comes back.
///
/// Where something is missing a sound ends and another begins; what is missing is a lost item between them.
pub struct MicrophoneSource {
    name: String,
    finder: Finder,
    listen: Box<dyn Listen>,
    wish: Wish,
    stop: Arc<AtomicBool>,
    patience: Patience,
    away: Away,
    playing: Option<Playing>,
    /// What is to be given before anything else comes.
    due: VecDeque<Item>,
    /// What goes with the next item.
    warnings: Vec<Warning>,
    /// What was said of how the microphone plays.
    said: Vec<String>,
    clock: Clock,
    times: Times,
    mute: Mute,
    index: u64,
}

/// A microphone that plays, or should.
struct Playing {
    shape: Shape,
    blocks: Blocks,
    /// How long it was listened to since it gave something.
    silent: Duration,
    /// Why it broke off since.
    broken: Option<Break>,
}

impl MicrophoneSource {
    /// A microphone that is looked for when the first item is asked for.
    pub fn new(
        name: &str,
        identity: Identity,
        wish: Wish,
        listen: Box<dyn Listen>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let finder = Finder::new(Tree::default(), identity);
        Self::patient(name, finder, wish, listen, stop, Patience::default())
    }

    pub(super) fn patient(
        name: &str,
        finder: Finder,
        wish: Wish,
        listen: Box<dyn Listen>,
        stop: Arc<AtomicBool>,
        patience: Patience,
    ) -> Self {
        Self {
            name: name.to_owned(),
            finder,
            listen,
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
            mute: Mute::default(),
            index: 0,
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Finds and starts the microphone.
    fn begin(&mut self) -> Result<Playing> {
        let node = self.finder.look()?;
        let offers = self.listen.open(&node, &self.wish)?;
        let (offer, rate) = choose(&node.display().to_string(), &offers, &self.wish)?;
        let shape = self.listen.start(offer, rate)?;
        let Wish { rate, channels, .. } = self.wish;
        if shape.rate == 0 || shape.channels < channels.max(1) {
            return Err(self.fault(format!("plays as {shape:?}, which is nothing")));
        }
        let steps = Reading::default().block;
        let blocks = Blocks::new([shape.rate, rate], channels as usize, steps)?;
        let mut said: Vec<String> = self.finder.settle(&node).into_iter().collect();
        said.extend(differences(&shape, &self.wish));
        let news = said.iter().filter(|s| !self.said.contains(s));
        self.warnings.extend(news.map(|s| Warning::from(s.as_str())));
        self.said = said;
        Ok(Playing { shape, blocks, silent: Duration::ZERO, broken: None })
    }

    fn fault(&self, reason: String) -> Error {
        Error::Device { device: self.finder.identity().to_string(), reason }
    }

    /// Waits for a while, or looks for the microphone if it is time.
    fn look(&mut self) {
        let wait = self.away.wait();
        if !wait.is_zero() {
            return std::thread::sleep(wait.min(NAP));
        }
        match self.begin() {
            Ok(playing) => self.playing = Some(playing),
            Err(why) => self.leave(&why),
        }
    }

    /// Lets the microphone go, to look for it after a pause; says why once, and again if it is another reason after a
    /// while.
    fn leave(&mut self, why: &Error) {
        self.listen.close();
        self.times.end();
        let why = why.to_string();
        if self.away.fails(&why) {
            let text = format!("{why}; it is looked for until it is back");
            self.lose("microphone_gone", text, since_boot(), false);
        }
    }

    /// Gives a lost item next; one that was sound has a place in the stream.
    fn lose(&mut self, kind: &'static str, why: String, at: Duration, counts: bool) {
        let mut stamp = Stamp { index: self.index, ..Stamp::default() };
        self.clock.stamp_at(&mut stamp, at);
        self.index += u64::from(counts);
        self.due.push_back(Item::lost(stamp, &self.name, kind, why));
    }

    /// Gives a block next.
    fn give(&mut self, block: Block, end: bool) -> Result<()> {
        let frame = Frame::audio(self.wish.rate, self.wish.channels as usize, block.samples)?;
        let mut stamp = Stamp { index: self.index, ..Stamp::default() };
        self.clock.stamp_at(&mut stamp, block.begin);
        self.index += 1;
        self.due.push_back(Item { end, ..Item::new(stamp, &self.name, frame) });
        Ok(())
    }

    /// Ends the sound with what is left of it.
    fn finish(&mut self, playing: &mut Playing) -> Result<()> {
        match playing.blocks.finish()? {
            Some(block) => self.give(block, true),
            None => Ok(()),
        }
    }

    /// Takes up what was heard.
    fn hear(&mut self, heard: Heard, playing: &mut Playing) -> Result<()> {
        match heard {
            Heard::Sound(chunk) => self.take(&chunk, playing),
            Heard::Broken(why) => {
                self.finish(playing)?;
                self.times.breaks();
                if playing.broken.replace(why).is_some() {
                    std::thread::sleep(BREATH);
                    playing.silent += BREATH;
                }
                Ok(())
            }
        }
    }

    /// Gives sound next, behind what is missing before it.
    fn take(&mut self, chunk: &Chunk, playing: &mut Playing) -> Result<()> {
        let (shape, arrival) = (playing.shape, since_boot());
        let steps = chunk.bytes.len() / shape.bytes();
        if steps * shape.bytes() != chunk.bytes.len() {
            let (len, step) = (chunk.bytes.len(), shape.bytes());
            return Err(self.fault(format!("gives {len} bytes, where a time step has {step}")));
        }
        if steps == 0 {
            return Ok(());
        }
        playing.silent = Duration::ZERO;
        if let Some(away) = self.away.was() {
            let seconds = away.as_secs_f64();
            self.warnings.push(format!("the microphone is back after {seconds:.1} s").into());
        }
        self.away = Away::new(self.patience.back_off);
        let length = Duration::from_secs_f64(steps as f64 / f64::from(shape.rate));
        let said = chunk.time.map(|t| self.clock.since_boot(t));
        let place = self.times.place(said, arrival, length, shape.period);
        self.warnings.extend(self.times.warning(arrival).map(Warning::from));
        let broken = playing.broken.take();
        if !place.missing.is_zero() {
            self.finish(playing)?;
            let seconds = place.missing.as_secs_f64();
            let missing = (seconds * f64::from(shape.rate)).round();
            let (kind, why) = match broken {
                Some(why) => (why.kind(), why.to_string()),
                None => ("driver_dropped", "the driver gave none".to_owned()),
            };
            let why = format!("{missing} time steps ({seconds:.3} s) of the microphone: {why}");
            self.lose(kind, why, place.begin.saturating_sub(place.missing), true);
        }
        let (samples, replaced) = shape.depth.read(&chunk.bytes);
        if replaced > 0 {
            let text = format!("{replaced} values were no number: replaced by 0 or full scale");
            self.warnings.push(text.into());
        }
        if self.mute.stands(&samples, length, self.patience.mute) {
            let seconds = self.patience.mute.as_secs_f64();
            self.warnings.push(
                format!("the same value for more than {seconds} s: the microphone is muted, or nothing is plugged in")
                    .into(),
            );
        }
        let samples = mix(samples, shape.channels as usize, self.wish.channels as usize);
        for block in playing.blocks.push(&samples, place.begin + length)? {
            self.give(block, false)?;
        }
        Ok(())
    }

    /// Plays on, or finds out that the microphone is gone.
    fn listen(&mut self, playing: &mut Playing) -> Result<()> {
        let begin = Instant::now();
        let heard = self.listen.next(NAP)?;
        // Where nobody listened, because others had to be waited for or the process slept, it was not silent.
        playing.silent += begin.elapsed().min(2 * NAP);
        if let Some(heard) = heard {
            self.hear(heard, playing)?;
        }
        if playing.silent > self.patience.silence {
            let seconds = self.patience.silence.as_secs_f64();
            return Err(self.fault(format!("gives no sound for {seconds} s")));
        }
        Ok(())
    }

    /// Ends the sound that plays.
    fn end(&mut self) -> Result<()> {
        match self.playing.take() {
            Some(mut playing) => self.finish(&mut playing),
            None => Ok(()),
        }
    }
}

impl Source for MicrophoneSource {
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
                self.end()?;
                match self.due.is_empty() {
                    true => return Ok(None),
                    false => continue,
                }
            }
            let Some(mut playing) = self.playing.take() else {
                self.look();
                continue;
            };
            match self.listen(&mut playing) {
                Ok(()) => self.playing = Some(playing),
                Err(why) => {
                    self.finish(&mut playing)?;
                    self.leave(&why);
                }
            }
        }
    }

    fn close(&mut self) -> Vec<Item> {
        self.listen.close();
        // What cannot be given any more is not worth an error.
        let _ = self.end();
        std::mem::take(&mut self.due).into()
    }
}

/// Some channels of more: the mean for one, else the first.
fn mix(samples: Vec<f32>, has: usize, wished: usize) -> Vec<f32> {
    if has <= wished {
        return samples;
    }
    let steps = samples.chunks_exact(has);
    match wished {
        1 => steps.map(|step| step.iter().sum::<f32>() / has as f32).collect(),
        _ => steps.flat_map(|step| &step[..wished]).copied().collect(),
    }
}
