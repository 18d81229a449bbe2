//! Keeps a line's stages within their time: the first of a line, and the last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::pipeline::item::{Item, Parts};
use crate::pipeline::ladder::Ladder;
use crate::pipeline::line::Stage;

/// From one decision to the next.
const WINDOW: Duration = Duration::from_millis(300);
/// Share of the allowed time above which something is given up, and up to which it may be taken back.
const HIGH: f64 = 0.95;
const LOW: f64 = 0.75;
/// Windows in which there must have been room before something is taken back: at first, at most.
const PATIENCE: [u32; 2] = [6, 100];
/// How much more a rung is taken to cost than the one below it, before it was tried.
const GUESS: f64 = 1.6;
/// A rung that had to be left again so soon was taken back too early.
const SOON: u32 = 40;

/// What both ends of a line know.
struct Load {
    began: Option<Instant>,
    window: Instant,
    busy: Duration,
    /// Pictures that came, whatever became of them.
    came: u64,
    /// Time for each picture that came, on every rung that was tried.
    costs: Vec<Option<f64>>,
    /// Windows with room, and how many there must be.
    room: u32,
    patience: u32,
    /// Windows since the last change for the better, and whether it held.
    since: u32,
    held: bool,
}

/// The first stage: counts what comes, and leaves out pictures on the lowest rungs.
pub struct Begin {
    ladder: Arc<Ladder>,
    load: Arc<Mutex<Load>>,
    seen: u64,
}

/// The last stage: counts the time, and decides.
pub struct End {
    ladder: Arc<Ladder>,
    load: Arc<Mutex<Load>>,
    /// Share of one core that the stages may take.
    cpu: f64,
}

/// Both ends of a line whose stages may take a share `cpu` of one core.
pub fn governed(ladder: &Arc<Ladder>, cpu: f64) -> (Begin, End) {
    let load = Arc::new(Mutex::new(Load {
        began: None,
        window: Instant::now(),
        busy: Duration::ZERO,
        came: 0,
        costs: vec![None; ladder.steps()],
        room: 0,
        patience: PATIENCE[0],
        since: u32::MAX,
        held: true,
    }));
    let begin = Begin { ladder: ladder.clone(), load: load.clone(), seen: 0 };
    (begin, End { ladder: ladder.clone(), load, cpu })
}

fn lock(load: &Mutex<Load>) -> MutexGuard<'_, Load> {
    load.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage for Begin {
    fn name(&self) -> &str {
        "begin"
    }

    fn needs(&self) -> Parts {
        Parts::FRAME
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, batch: &mut [Item]) -> Result<()> {
        let mut load = lock(&self.load);
        // Of a batch that was left out whole there is no end.
        load.began = Some(Instant::now());
        load.came += batch.len() as u64;
        let every = self.ladder.rung().every;
        for item in batch {
            if !self.seen.is_multiple_of(every) {
                item.drop_for("budget");
            }
            self.seen += 1;
        }
        Ok(())
    }
}

impl Stage for End {
    fn name(&self) -> &str {
        "end"
    }

    fn needs(&self) -> Parts {
        Parts::NONE
    }

    fn makes(&self) -> Parts {
        Parts::NONE
    }

    fn run(&mut self, _: &mut [Item]) -> Result<()> {
        let mut load = lock(&self.load);
        if let Some(began) = load.began.take() {
            load.busy += began.elapsed();
        }
        let wall = load.window.elapsed();
        if wall >= WINDOW {
            let step = self.ladder.step();
            let (busy, came) = (load.busy.as_secs_f64(), load.came.max(1) as f64);
            let share = busy / wall.as_secs_f64() / self.cpu;
            let next = load.decide(step, share, busy / came);
            if next != step {
                let percent = 100.0 * share;
                let why = match next > step {
                    true => format!("cpu: stages take {percent:.0} % of their time"),
                    false => format!("cpu: there is room again, {percent:.0} % is taken"),
                };
                self.ladder.go(next, why);
            } else if next == 0 {
                self.ladder.go(0, "within budget".into());
            }
            (load.window, load.busy, load.came) = (Instant::now(), Duration::ZERO, 0);
        }
        Ok(())
    }
}

impl Load {
    /// The rung to stand on after a window in which this share of the allowed time was taken, `cost` for each picture.
    fn decide(&mut self, step: usize, share: f64, cost: f64) -> usize {
        // The time for a picture rises and falls with what else the machine does; the newest tells most.
        self.costs[step] = Some(self.costs[step].map_or(cost, |c| c + 0.5 * (cost - c)));
        self.since = self.since.saturating_add(1);
        if share > HIGH {
            if self.since < SOON {
                (self.patience, self.held) = ((2 * self.patience).min(PATIENCE[1]), false);
            }
            self.room = 0;
            // Far too much needs more than one step.
            let steps = if share > 1.5 / self.costs.len() as f64 + 1.0 { 2 } else { 1 };
            return (step + steps).min(self.costs.len() - 1);
        }
        let Some(better) = step.checked_sub(1) else { return step };
        let ratio = match (self.costs[better], self.costs[step]) {
            (Some(above), Some(here)) if here > 0.0 => (above / here).clamp(1.0, 4.0),
            _ => GUESS,
        };
        self.room = if share * ratio < LOW { self.room + 1 } else { 0 };
        // What a rung costs is forgotten slowly: what else ran then may be over.
        if let Some(above) = &mut self.costs[better] {
            *above *= 0.993;
        }
        if self.room < self.patience {
            return step;
        }
        // The last change for the better held: the machine is there again.
        if std::mem::replace(&mut self.held, true) {
            self.patience = PATIENCE[0];
        }
        (self.room, self.since) = (0, 0);
        better
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rungs cost less and less; the machine gives `speed` of its time. The rungs after each window.
    fn play(load: &mut Load, step: &mut usize, speed: f64, windows: usize) -> Vec<usize> {
        let costs = [0.030, 0.024, 0.020, 0.012, 0.008, 0.004];
        (0..windows)
            .map(|_| {
                let cost = costs[*step] / speed;
                // Twenty-five pictures a second; what does not fit takes all the time there is.
                let share = (25.0 * cost).min(1.05);
                *step = load.decide(*step, share, cost);
                *step
            })
            .collect()
    }

    #[test]
    fn it_settles_when_the_machine_slows_down_and_comes_back() {
        let ladder = Arc::new(Ladder::new(
            crate::pipeline::ladder::Rung {
                tokens: None,
                coder: crate::bitstream::Coder::Dense,
                channels: 48,
                every: 1,
            },
            &[12, 24, 48],
            false,
        ));
        let (begin, _) = governed(&ladder, 1.0);
        let mut load = lock(&begin.load);
        assert_eq!(load.costs.len(), 6);
        let mut step = 0;
        assert!(play(&mut load, &mut step, 1.0, 20).iter().all(|&s| s == 0));
        // Half of the machine is gone: within five seconds it stands where all fits, and stays there but for a
        // look now and then whether there is room again.
        let slow = play(&mut load, &mut step, 0.5, 200);
        let five = (5.0 / WINDOW.as_secs_f64()) as usize;
        let looks = slow[five..].iter().filter(|&&s| s < 3).count();
        assert!(looks <= 5 && slow[five..].iter().all(|&s| s >= 2), "{slow:?}");
        let changes = slow[five..].windows(2).filter(|w| w[0] != w[1]).count();
        assert!(changes <= 8, "{changes} changes: {slow:?}");
        // It is there again.
        let back = play(&mut load, &mut step, 1.0, 400);
        assert_eq!(step, 0, "{back:?}");
    }
}
