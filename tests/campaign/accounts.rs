//! A line into which faults are put: what its accounts say at every moment, and whether it is true.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tamis::codec::Stamp;
use tamis::error::{Error, Result};
use tamis::pipeline::{Full, Item, Ledger, Live, Parts, Pipeline, Sink, Source, Stage};

use super::common::Noise;
use super::{say, times};

/// What was done, counted where it was done.
#[derive(Default)]
struct Truth {
    given: AtomicU64,
    lost: AtomicU64,
    dropped: AtomicU64,
    written: AtomicU64,
    unwritten: AtomicU64,
    hangs: AtomicU64,
    panics: AtomicU64,
    errors: AtomicU64,
}

fn one(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn broken(why: &str) -> Error {
    Error::Device { device: "test".into(), reason: why.into() }
}

struct Giver(Arc<Truth>, Noise);

impl Source for Giver {
    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn next(&mut self) -> Result<Option<Item>> {
        if self.1.below(20_000) == 0 {
            one(&self.0.errors);
            return Err(broken("the source"));
        }
        one(&self.0.given);
        let index = self.0.given.load(Ordering::Relaxed);
        let mut item = Item { stamp: Stamp { index, ..Stamp::default() }, ..Item::default() };
        if self.1.below(1000) == 0 {
            one(&self.0.lost);
            item.lose("unreadable", "made so");
        }
        Ok(Some(item))
    }
}

struct Faulty(Arc<Truth>, Noise);

impl Stage for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }

    fn needs(&self) -> Parts {
        Parts::NONE
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        for item in &mut *batch {
            match self.1.below(10_000) {
                0..40 => {
                    one(&self.0.lost);
                    item.lose("faulty", "made so");
                }
                40..80 => {
                    one(&self.0.dropped);
                    item.drop_for("faulty");
                }
                80 if self.1.below(5) == 0 => {
                    one(&self.0.panics);
                    panic!("made so");
                }
                81 if self.1.below(5) == 0 => {
                    one(&self.0.errors);
                    return Err(broken("the stage"));
                }
                82 if self.1.below(60) == 0 => {
                    one(&self.0.hangs);
                    std::thread::sleep(Duration::from_secs(2));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

struct Taker(Arc<Truth>, Noise);

impl Sink for Taker {
    fn needs(&self) -> Parts {
        Parts::NONE
    }

    fn write(&mut self, _: &Item) -> Result<()> {
        match self.1.below(20_000) {
            0 => {
                one(&self.0.errors);
                one(&self.0.unwritten);
                Err(broken("the sink"))
            }
            1..20 => {
                one(&self.0.unwritten);
                Err(Error::input("item", "made so"))
            }
            _ => {
                one(&self.0.written);
                Ok(())
            }
        }
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn nothing_is_unaccounted_whatever_fails() {
    let frames = times(100_000, 1_000_000) as u64;
    let truth = Arc::new(Truth::default());
    let ledger = Arc::new(Ledger::default());
    let (over, scrapes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let scraper = {
        let (ledger, over, scrapes) = (ledger.clone(), over.clone(), scrapes.clone());
        std::thread::spawn(move || {
            let mut before = 0;
            while !over.load(Ordering::Relaxed) {
                let report = ledger.report();
                assert_eq!(report.unaccounted(), 0, "{report:?}");
                assert!(report.received >= before);
                before = report.received;
                one(&scrapes);
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    std::panic::set_hook(Box::new(|_| ()));
    let (mut runs, mut seed) = (0, 1);
    while ledger.progress().0 < frames {
        let full = if runs % 2 == 0 { Full::Wait } else { Full::DropOldest };
        let (hang, drain) = (Duration::from_millis(500), Duration::from_millis(500));
        let live = Live { stop: Arc::default(), ledger: ledger.clone(), full, hang, drain };
        seed += 3;
        let source = Giver(truth.clone(), Noise(seed));
        let stage = Faulty(truth.clone(), Noise(seed + 1));
        let sink = Taker(truth.clone(), Noise(seed + 2));
        let line = Pipeline::new(Box::new(source), vec![Box::new(stage)], vec![Box::new(sink)], 8)
            .unwrap();
        let stop = live.stop.clone();
        // Not everything ends by a fault.
        let mut left = 30_000;
        let _ = line.run_live(&live, |_, _| {
            left -= 1;
            if left == 0 {
                stop.store(true, Ordering::Relaxed);
            }
        });
        runs += 1;
    }
    let _ = std::panic::take_hook();
    over.store(true, Ordering::Relaxed);
    scraper.join().unwrap();
    // Threads that were left behind come back, and count nothing twice.
    std::thread::sleep(Duration::from_millis(2500));
    let report = ledger.report();
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    assert_eq!((report.unaccounted(), report.in_flight()), (0, 0), "{report:?}");
    assert_eq!(report.received, of(&truth.given));
    assert_eq!(report.delivered, of(&truth.written), "what the sink took is delivered");
    let lost = |kind| report.lost.get(kind).copied().unwrap_or(0);
    let dropped = |kind| report.dropped.get(kind).copied().unwrap_or(0);
    assert_eq!(lost("sink"), of(&truth.unwritten));
    // Some of these were still on their way when their line failed.
    let told = lost("unreadable") + lost("faulty");
    assert!(
        told <= of(&truth.lost)
            && of(&truth.lost) - told <= lost("line_failed") + lost("hung") + dropped("queue_full")
    );
    assert!(dropped("faulty") <= of(&truth.dropped));
    say(format_args!(
        "{} frames in {runs} runs of a line, looked at {} times: delivered {}, dropped {:?}, lost {:?}; \
         {} errors, {} panics, {} hangs; unaccounted 0",
        report.received,
        of(&scrapes),
        report.delivered,
        report.dropped,
        report.lost,
        of(&truth.errors),
        of(&truth.panics),
        of(&truth.hangs),
    ));
}
