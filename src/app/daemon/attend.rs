//! One line: run again and again, as its config says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::seat::Seat;
use crate::app::log;
use crate::error::{Error, Result};
use crate::pipeline::config::{
    LimitsConfig, Place, Restart, SinkConfig, SourceConfig, StreamConfig,
};
use crate::pipeline::sources::Progress;
use crate::pipeline::{Live, Report};

/// Waiting before a line begins again: at first, at most. A source that comes back is read within ten seconds.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];
/// A line that ran for so long was well, and waits little again.
const WELL: Duration = Duration::from_secs(60);
/// Longest sleep before the stop flag is looked at.
const NAP: Duration = Duration::from_millis(50);

/// Runs a line until its source ends or it is stopped.
pub fn attend(
    config: &StreamConfig,
    seat: &Arc<Seat>,
    place: &Place,
    limits: LimitsConfig,
) -> Result<Report> {
    let stop = &place.stop;
    let live = Live {
        stop: stop.clone(),
        ledger: seat.ledger.clone(),
        full: config.full(),
        hang: limits.hang.0,
        drain: limits.drain.0,
    };
    let mut pause = BACK_OFF[0];
    loop {
        let begin = Instant::now();
        seat.begin();
        let error = match run(config, seat, place, &live) {
            Ok(report) => return Ok(report),
            Err(e) if config.restart() == Restart::Never => return Err(e),
            // It was to end anyway; what was wrong is said all the same.
            Err(e) if stop.load(Ordering::Relaxed) => {
                log::error(Some(&config.name), e);
                return Ok(seat.ledger.report());
            }
            Err(e) => e,
        };
        if begin.elapsed() > WELL {
            pause = BACK_OFF[0];
        }
        let seconds = pause.as_secs_f64();
        log::error(Some(&config.name), format_args!("{error}; begins again in {seconds} s"));
        seat.fail(&error.to_string());
        let since = Instant::now();
        while since.elapsed() < pause {
            if stop.load(Ordering::Relaxed) {
                return Ok(seat.ledger.report());
            }
            seat.ledger.turned();
            std::thread::sleep(NAP);
        }
        pause = (2 * pause).min(BACK_OFF[1]);
    }
}

/// One run. A panic of what is built or written costs this line and no other.
fn run(config: &StreamConfig, seat: &Arc<Seat>, place: &Place, live: &Live) -> Result<Report> {
    let place = Place {
        index: seat.next_index(),
        known: seat.known.clone(),
        ledger: seat.ledger.clone(),
        ..place.clone()
    };
    // What other sinks write is begun anew by the next process: then all is to be read again.
    let outlasts = |s: &SinkConfig| matches!(s, SinkConfig::Store | SinkConfig::Mqtt { .. });
    if let (SourceConfig::Watch { .. }, Some(store)) = (&config.source, &place.store)
        && config.sink.contains(&SinkConfig::Store)
        && config.sink.iter().all(outlasts)
    {
        let list = store.folder().join(format!("watch-{}.json", config.name));
        seat.known.keep_at(&list, store.sync_time());
    }
    let run = || {
        let line = config.build(&place)?;
        seat.seen().ladder = line.ladder();
        line.run_live(live, |_, item| seat.see(item))
    };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let ended = caught.unwrap_or_else(|_| {
        live.ledger.give_up("panic");
        Err(Error::Device { device: "cpu".into(), reason: "a sink panicked".into() })
    });
    let progress = Progress::of(&seat.ledger.report());
    if let Err(e) = seat.known.settle(progress, ended.is_ok()) {
        log::warn(Some(&config.name), format_args!("{e}; files may be read again"));
    }
    ended
}
