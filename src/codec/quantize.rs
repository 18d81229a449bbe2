//! Reals to integers and back.

use super::quality::Quality;
use crate::wide::wide;

/// How a projected value becomes an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantizer {
    /// Division by the channel's step, rounded towards zero more than away: tamis' own.
    Step,
    /// WaLLoC's Gaussian companding to `bits` bits, rounded half to even. Quality has no effect.
    Companding {
        /// Bits per value, 2 to 8.
        bits: u32,
    },
}

/// Constants of WaLLoC's bottleneck: scale and largest companded value.
///
/// Source: walloc.md 1.5.
fn companding(bits: u32) -> (f64, f64) {
    let m = f64::from((1u32 << (bits - 1)) - 1);
    (m / 1.85, m + 0.5 - 1e-3)
}

impl Quantizer {
    /// Integers of one channel with a step that has the quality's factor in it already. To their
    /// size in steps `rounding` is added, and what is behind the point dropped: 0.5 is the nearest.
    pub fn quantize(self, values: &[f32], step: f32, rounding: f32, out: &mut [i16]) {
        match self {
            Self::Step => divide(values, step, rounding, out),
            Self::Companding { bits } => {
                for (q, &y) in out.iter_mut().zip(values) {
                    *q = compand(f64::from(y), bits).round_ties_even() as i16;
                }
            }
        }
    }

    /// Reals of one channel: the inverse of [`Self::quantize`] up to half a step.
    pub fn dequantize(self, values: &[i16], step: f32, quality: Quality, out: &mut [f32]) {
        match self {
            Self::Step => {
                let step = step * quality.factor();
                for (y, &q) in out.iter_mut().zip(values) {
                    *y = f32::from(q) * step;
                }
            }
            Self::Companding { bits } => {
                let m = (1i16 << (bits - 1)) - 1;
                let table: Vec<f32> = (-m..=m).map(|q| expand(q, bits) as f32).collect();
                for (y, &q) in out.iter_mut().zip(values) {
                    *y = table[(q.clamp(-m, m) + m) as usize];
                }
            }
        }
    }
}

wide! {
    fn divide(values: &[f32], step: f32, rounding: f32, out: &mut [i16]) {
        for (q, &y) in out.iter_mut().zip(values) {
            let steps = y / step;
            let size = (steps.abs() + rounding).min(32767.0);
            *q = size.copysign(steps) as i16;
        }
    }
}

/// WaLLoC's `ToUniform`: the Gaussian distribution function, scaled to the integers.
///
/// Source: walloc.md 1.5.
pub(crate) fn compand(x: f64, bits: u32) -> f64 {
    let (scale, max) = companding(bits);
    max * libm::erf(x / (scale * std::f64::consts::SQRT_2))
}

/// WaLLoC's `ToNormal` of one integer, by Newton's method on [`compand`].
fn expand(q: i16, bits: u32) -> f64 {
    let (scale, max) = companding(bits);
    // The reference clamps the quantile to [1e-4, 1 - 1e-4].
    let p = (f64::from(q) / (2.0 * max) + 0.5).clamp(1e-4, 1.0 - 1e-4);
    let target = 2.0 * p - 1.0;
    let mut z = 0.0f64;
    for _ in 0..60 {
        let slope = (2.0 / std::f64::consts::PI).sqrt() * (-z * z / 2.0).exp();
        let error = libm::erf(z / std::f64::consts::SQRT_2) - target;
        // Half a unit at most, or the flat tail throws Newton out of the range of erf.
        z -= (error / slope).clamp(-0.5, 0.5);
    }
    z * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_round_half_away_from_zero() {
        let mut out = [0; 5];
        let values = [0.5, -0.5, 1.49, -1.51, 1e9];
        Quantizer::Step.quantize(&values, 1.0, 0.5, &mut out);
        assert_eq!(out, [1, -1, 1, -2, 32767]);
        Quantizer::Step.quantize(&values, 1.0, 0.25, &mut out);
        assert_eq!(out, [0, 0, 1, -1, 32767]);
    }

    #[test]
    fn companding_inverts() {
        for bits in 2..=8 {
            let m = (1i16 << (bits - 1)) - 1;
            for q in -m..=m {
                let x = expand(q, bits);
                assert!((compand(x, bits) - f64::from(q)).abs() < 1e-9, "bits {bits} q {q}");
            }
        }
    }
}
