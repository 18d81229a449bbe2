//! A pipeline that plays, and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};

use super::build::{build, foreign};
use super::hide::Hidden;
use super::inbox::{Inbox, Taken};
use super::{Description, Media, Wish};
use crate::error::{Error, Result};

/// Pictures that wait at most; they are large.
const PICTURES: usize = 4;
/// Buffers of sound that wait at most, of some 10 ms each.
const SOUNDS: usize = 100;

/// A pipeline that plays until it is dropped.
pub(super) struct Player {
    pipeline: gst::Pipeline,
    sink: AppSink,
    inbox: Arc<Inbox>,
}

impl Player {
    /// Builds a pipeline and lets it play.
    pub fn start(name: &str, description: &Description, wish: &Wish) -> Result<Self> {
        let (pipeline, sink) = build(description, wish)?;
        let room = if wish.media == Media::Sound { SOUNDS } else { PICTURES };
        let inbox = Arc::new(Inbox::new(room));
        receive(&sink, &inbox);
        listen(&pipeline, &inbox, description.hidden());
        // Whatever clock a source brings, times are those of the kernel's monotonic one.
        pipeline.use_clock(Some(&gst::SystemClock::obtain()));
        // From here on it is stopped when it is dropped.
        let player = Self { pipeline, sink, inbox };
        let failed = |_| {
            // The reason was said on the bus; if not, there is none.
            let reason = match player.inbox.take(Duration::ZERO) {
                Taken::Ended(why) => why,
                _ => "the pipeline does not begin to play".into(),
            };
            Error::Device { device: name.into(), reason }
        };
        let paused = player.pipeline.set_state(gst::State::Paused).map_err(failed)?;
        // What is live comes when it comes; what is made as fast as it is asked for is played by the clock.
        player.sink.set_sync(paused != gst::StateChangeSuccess::NoPreroll);
        player.pipeline.set_state(gst::State::Playing).map_err(failed)?;
        Ok(player)
    }

    /// Takes what is next, and waits for it a while.
    pub fn take(&self, wait: Duration) -> Taken {
        self.inbox.take(wait)
    }

    /// When a sample was captured, by the monotonic clock.
    pub fn time(&self, sample: &gst::Sample) -> Option<Duration> {
        let time = sample.buffer()?.pts()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let running = segment.to_running_time(time)?;
        let began = self.sink.base_time()?;
        Some(Duration::from_nanos(began.nseconds().saturating_add(running.nseconds())))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // It may fail, and is over all the same.
        let _ = self.pipeline.set_state(gst::State::Null);
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
    }
}

/// Lets samples come into the inbox.
fn receive(sink: &AppSink, inbox: &Arc<Inbox>) {
    let (samples, end) = (inbox.clone(), inbox.clone());
    let callbacks = AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            samples.put(sink.pull_sample().map_err(|_| gst::FlowError::Eos)?);
            Ok(gst::FlowSuccess::Ok)
        })
        .eos(move |_| end.end("the pipeline has come to its end"))
        .build();
    sink.set_callbacks(callbacks);
}

/// Lets errors come into the inbox, without what must not be seen; and whatever should not be in the pipeline.
fn listen(pipeline: &gst::Pipeline, inbox: &Arc<Inbox>, hidden: Hidden) {
    if let Some(bus) = pipeline.bus() {
        let inbox = inbox.clone();
        bus.set_sync_handler(move |_, message| {
            if let gst::MessageView::Error(error) = message.view() {
                inbox.end(hidden.hide(&words(error)));
            }
            // Nobody else listens: they would heap up.
            gst::BusSyncReply::Drop
        });
    }
    let inbox = inbox.clone();
    pipeline.connect_deep_element_added(move |_, _, element| {
        if let Some(why) = foreign(element) {
            // What is not in a state to run does nothing.
            element.set_locked_state(true);
            inbox.end(why);
        }
    });
}

/// An error, with the element that has it and what it says beside.
fn words(error: &gst::message::Error) -> String {
    let source = error.src().and_then(|s| s.downcast_ref::<gst::Element>());
    let name = source.and_then(|e| e.factory()).map(|f| f.name().to_string());
    let beside = error.debug().unwrap_or_default();
    // Its first line says where in GStreamer's source, and in which object.
    let beside = beside.split_once('\n').map_or("", |(_, rest)| rest).replace('\n', "; ");
    let error = error.error();
    let all = [name.as_deref().unwrap_or_default(), error.message().trim(), beside.trim()];
    all.into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(": ")
}
