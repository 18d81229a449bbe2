//! Whether a microphone hears anything.

use std::time::Duration;

/// Looks whether the sound moves.
#[derive(Debug, Default)]
pub(super) struct Mute {
    /// The value at which it stands still, for how long, and whether that was said.
    still: Option<(f32, Duration, bool)>,
}

impl Mute {
    /// Whether these samples, which last for `length`, make it the same value for longer than `patience`; true once
    /// each time it stands still.
    pub fn stands(&mut self, samples: &[f32], length: Duration, patience: Duration) -> bool {
        let Some(&first) = samples.first() else { return false };
        if samples.iter().any(|x| *x != first) {
            self.still = None;
            return false;
        }
        match &mut self.still {
            Some((value, time, said)) if *value == first => {
                *time += length;
                *time > patience && !std::mem::replace(said, true)
            }
            still => {
                *still = Some((first, length, false));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_that_stands_still_is_told_once() {
        let (s, mut mute) = (Duration::from_secs, Mute::default());
        let mut hear = |samples: &[f32]| mute.stands(samples, s(1), s(3));
        assert_eq!([0; 6].map(|_| hear(&[0.0, 0.0])), [false, false, false, true, false, false]);
        assert!(!hear(&[]) && !hear(&[0.0, 0.1]) && !hear(&[0.0]));
        assert_eq!([0; 4].map(|_| hear(&[0.5])), [false, false, false, true]);
    }
}
