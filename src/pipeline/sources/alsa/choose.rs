//! Which of a microphone's offers is nearest to what is wished.

use super::listen::{Offer, Shape, Wish};
use crate::error::{Error, Result};

/// The offer with the nearest rate, of those the one with the fewest channels, of those the first format; and the rate.
///
/// A higher rate is nearer than a lower one: nothing is lost on the way down.
///
/// # Errors
/// `Device` with what is offered, if there are too few channels or the format that is wished is not there.
pub(super) fn choose<'a>(name: &str, offers: &'a [Offer], wish: &Wish) -> Result<(&'a Offer, u32)> {
    let far = |rate: u32| (rate < wish.rate, rate.abs_diff(wish.rate));
    let fits = |offer: &&Offer| {
        wish.depth.is_none_or(|depth| depth == offer.depth) && offer.channels >= wish.channels
    };
    let nearest = offers.iter().filter(fits).filter_map(|offer| {
        let rate = offer.rates.iter().copied().min_by_key(|r| far(*r)).filter(|r| *r > 0)?;
        Some((offer, rate))
    });
    let found = nearest.min_by_key(|(offer, rate)| (far(*rate), offer.channels, offer.depth));
    found.ok_or_else(|| {
        let depth = wish.depth.map_or("", |d| d.name());
        let reason = match offers {
            [] => "offers no format that can be read (s16, s32, s24, s24in3, float)".to_owned(),
            all => {
                let all: Vec<String> = all.iter().map(Offer::words).collect();
                format!(
                    "does not offer {} channels{}{depth}; it offers {}",
                    wish.channels,
                    if depth.is_empty() { "" } else { " of " },
                    all.join("; ")
                )
            }
        };
        Error::Device { device: name.into(), reason }
    })
}

impl Offer {
    fn words(&self) -> String {
        let rates: Vec<String> = self.rates.iter().map(u32::to_string).collect();
        let (depth, channels) = (self.depth.name(), self.channels);
        format!("{channels} channels of {depth} at {} Hz", rates.join(", "))
    }
}

/// What is not as it was wished, one sentence each.
pub(super) fn differences(shape: &Shape, wish: &Wish) -> Vec<String> {
    let mut all = Vec::new();
    if shape.rate != wish.rate {
        all.push(format!(
            "the microphone has no {} Hz: {} Hz are taken and converted",
            wish.rate, shape.rate
        ));
    }
    match (shape.channels, wish.channels) {
        (has, wished) if has == wished => {}
        (has, 1) => all.push(format!("the microphone has {has} channels: their mean is taken")),
        (has, wished) => {
            all.push(format!("the microphone has {has} channels: the first {wished} are taken"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::super::depth::Depth;
    use super::*;

    fn offer(depth: Depth, channels: u32, rates: &[u32]) -> Offer {
        Offer { depth, channels, rates: rates.into() }
    }

    fn wish(rate: u32, channels: u32, depth: Option<Depth>) -> Wish {
        Wish { rate, channels, depth }
    }

    #[test]
    fn the_nearest_rate_then_the_fewest_channels_then_the_first_format() {
        let all = [
            offer(Depth::S32, 2, &[44100, 48000, 96000]),
            offer(Depth::S16, 2, &[44100, 48000]),
            offer(Depth::S24in3, 1, &[48000]),
            offer(Depth::Float, 8, &[16000]),
        ];
        let at = |rate, channels, depth| {
            choose("mic", &all, &wish(rate, channels, depth)).map(|(o, r)| (o.depth, o.channels, r))
        };
        assert_eq!(at(48000, 1, None).expect("found"), (Depth::S24in3, 1, 48000));
        assert_eq!(at(48000, 2, None).expect("found"), (Depth::S16, 2, 48000));
        assert_eq!(at(44100, 1, None).expect("found"), (Depth::S16, 2, 44100));
        assert_eq!(at(96000, 1, None).expect("found"), (Depth::S32, 2, 96000));
        // A higher rate before a lower one; the highest, where all are lower.
        assert_eq!(at(22050, 1, None).expect("found"), (Depth::S16, 2, 44100));
        assert_eq!(at(192_000, 1, None).expect("found"), (Depth::S32, 2, 96000));
        assert_eq!(at(192_000, 1, Some(Depth::S16)).expect("found"), (Depth::S16, 2, 48000));
        assert_eq!(at(48000, 3, None).expect("found"), (Depth::Float, 8, 16000));
        for (channels, depth) in [(9, None), (1, Some(Depth::S24)), (3, Some(Depth::S16))] {
            let why = at(48000, channels, depth).expect_err("refused").to_string();
            assert!(why.contains("1 channels of s24in3 at 48000 Hz"), "{why}");
            assert!(why.contains(&format!("not offer {channels} channels")), "{why}");
        }
        let why = choose("mic", &[], &wish(48000, 1, None)).expect_err("refused").to_string();
        assert!(why.contains("no format that can be read"), "{why}");
        assert!(choose("mic", &[offer(Depth::S16, 1, &[0])], &wish(48000, 1, None)).is_err());
        assert!(choose("mic", &[offer(Depth::S16, 1, &[])], &wish(48000, 1, None)).is_err());
    }
}
