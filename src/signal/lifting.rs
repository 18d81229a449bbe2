//! CDF 9/7 (bior4.4) by lifting, one level.
//!
//! Source: walloc.md 1.2; Daubechies & Sweldens 1998, table of the 9/7 factorisation.
//! Bands follow pywt's `bior4.4`: the high band has the opposite sign of the JPEG 2000 detail.

/// First prediction step.
pub(super) const ALPHA: f32 = -1.586_134_3;
/// First update step.
pub(super) const BETA: f32 = -0.052_980_12;
/// Second prediction step.
pub(super) const GAMMA: f32 = 0.882_911_1;
/// Second update step.
pub(super) const DELTA: f32 = 0.443_506_84;
/// Gain of the low band.
pub(crate) const LOW: f32 = 1.149_604_4;
/// Gain of the high band: -1 / `LOW`.
pub(crate) const HIGH: f32 = -0.869_864_45;
/// Gain back from the low band: 1 / `LOW`.
pub(super) const LOW_BACK: f32 = 0.869_864_45;
/// Gain back from the high band: -`LOW`.
pub(super) const HIGH_BACK: f32 = -1.149_604_4;

/// What stands beyond the first and last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ends {
    /// The signal repeats: WaLLoC's choice.
    Periodic,
    /// The signal is mirrored about its end samples: tamis' own choice.
    Mirror,
}

/// Applies `step(odd[k], even[k], even[k + 1])` to rows of `width` samples.
pub(super) fn predict<T: Copy>(
    odd: &mut [T],
    even: &[T],
    width: usize,
    ends: Ends,
    step: impl Fn(T, T, T) -> T,
) {
    let body = odd.len() - width;
    let beyond = match ends {
        Ends::Periodic => &even[..width],
        Ends::Mirror => &even[body..],
    };
    // Body and end apart: a plain loop over slices is what becomes registers.
    for ((o, &a), &b) in odd[..body].iter_mut().zip(&even[..body]).zip(&even[width..]) {
        *o = step(*o, a, b);
    }
    for ((o, &a), &b) in odd[body..].iter_mut().zip(&even[body..]).zip(beyond) {
        *o = step(*o, a, b);
    }
}

/// Applies `step(even[k], odd[k - 1], odd[k])` to rows of `width` samples.
pub(super) fn update<T: Copy>(
    even: &mut [T],
    odd: &[T],
    width: usize,
    ends: Ends,
    step: impl Fn(T, T, T) -> T,
) {
    let body = even.len() - width;
    let before = match ends {
        Ends::Periodic => &odd[body..],
        Ends::Mirror => &odd[..width],
    };
    for ((e, &a), &b) in even[..width].iter_mut().zip(before).zip(&odd[..width]) {
        *e = step(*e, a, b);
    }
    for ((e, &a), &b) in even[width..].iter_mut().zip(&odd[..body]).zip(&odd[width..]) {
        *e = step(*e, a, b);
    }
}

/// The step of floating point: `x += c * (a + b)`.
fn add(c: f32) -> impl Fn(f32, f32, f32) -> f32 {
    move |x, a, b| x + c * (a + b)
}

fn scale(values: &mut [f32], gain: f32) {
    for v in values {
        *v *= gain;
    }
}

/// What a transform works on.
pub trait Sample: Copy {
    /// One level of analysis, in place, of `even.len() / width` rows of `width` samples.
    ///
    /// `even` and `odd` enter as the even and odd rows and leave as the low and the high band.
    fn analyze(even: &mut [Self], odd: &mut [Self], width: usize, ends: Ends);

    /// The inverse of [`Self::analyze`]: low and high band in, even and odd rows out.
    fn synthesize(even: &mut [Self], odd: &mut [Self], width: usize, ends: Ends);
}

impl Sample for f32 {
    fn analyze(even: &mut [Self], odd: &mut [Self], width: usize, ends: Ends) {
        predict(odd, even, width, ends, add(ALPHA));
        update(even, odd, width, ends, add(BETA));
        predict(odd, even, width, ends, add(GAMMA));
        update(even, odd, width, ends, add(DELTA));
        scale(even, LOW);
        scale(odd, HIGH);
    }

    fn synthesize(even: &mut [Self], odd: &mut [Self], width: usize, ends: Ends) {
        scale(even, LOW_BACK);
        scale(odd, HIGH_BACK);
        update(even, odd, width, ends, add(-DELTA));
        predict(odd, even, width, ends, add(-GAMMA));
        update(even, odd, width, ends, add(-BETA));
        predict(odd, even, width, ends, add(-ALPHA));
    }
}
