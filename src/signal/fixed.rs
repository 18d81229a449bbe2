//! The 9/7 and 5/3 wavelets in 16-bit fixed point: the same integers on every machine.
//!
//! The 9/7 steps are those of [`super::lifting`] without the gains, which belong to the projection.
//! Every product is rounded once and every sum saturates, so nothing depends on the order in which
//! lanes are worked on, and the inverse undoes each step exactly unless a sum saturated.
//! Source: Calderbank, Daubechies, Sweldens & Yeo 1998 (integer lifting); ISO 15444-1 (5/3).

use super::lifting::{Ends, Sample, predict, update};

/// First prediction step: -1 - `ALPHA` / 32768 = -1.58613.
pub(crate) const ALPHA: i16 = 19206;
/// First update step.
pub(crate) const BETA: i16 = -1736;
/// Second prediction step.
pub(crate) const GAMMA: i16 = 28931;
/// Second update step.
pub(crate) const DELTA: i16 = 14533;

/// `a * c / 32768`, rounded half up. `c` is never -32768.
#[inline(always)]
pub(crate) fn mul(a: i16, c: i16) -> i16 {
    ((i32::from(a) * i32::from(c) + 0x4000) >> 15) as i16
}

impl Sample for i16 {
    fn analyze(even: &mut [Self], odd: &mut [Self], width: usize, ends: Ends) {
        predict(odd, even, width, ends, |o, a, b| {
            let t = a.saturating_add(b);
            o.saturating_sub(t).saturating_sub(mul(t, ALPHA))
        });
        update(even, odd, width, ends, |e, a, b| e.saturating_add(mul(a.saturating_add(b), BETA)));
        predict(odd, even, width, ends, |o, a, b| {
            o.saturating_add(mul(a.saturating_add(b), GAMMA))
        });
        update(even, odd, width, ends, |e, a, b| e.saturating_add(mul(a.saturating_add(b), DELTA)));
    }

    fn synthesize(even: &mut [Self], odd: &mut [Self], width: usize, ends: Ends) {
        update(even, odd, width, ends, |e, a, b| e.saturating_sub(mul(a.saturating_add(b), DELTA)));
        predict(odd, even, width, ends, |o, a, b| {
            o.saturating_sub(mul(a.saturating_add(b), GAMMA))
        });
        update(even, odd, width, ends, |e, a, b| e.saturating_sub(mul(a.saturating_add(b), BETA)));
        predict(odd, even, width, ends, |o, a, b| {
            let t = a.saturating_add(b);
            o.saturating_add(mul(t, ALPHA)).saturating_add(t)
        });
    }
}

/// Half as many rows and columns: the mean of every four samples, rounded half up.
///
/// Shape: `[2 * rows, 2 * columns]` of `width = 2 * columns` to `[rows, columns]`.
///
/// # Panics
/// If rows and columns are not pairs, or four samples add up to more than 16 bits.
pub fn halve(data: &[i16], width: usize) -> Vec<i16> {
    assert!(width.is_multiple_of(2) && data.len().is_multiple_of(2 * width), "not pairs");
    let mut out = Vec::with_capacity(data.len() / 4);
    for rows in data.chunks_exact(2 * width) {
        let (upper, lower) = rows.split_at(width);
        let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        out.extend(pairs.map(|(a, b)| (a[0] + a[1] + b[0] + b[1] + 2) >> 2));
    }
    out
}

/// Twice as many rows of `width` samples, by linear interpolation between the middles of pairs of
/// new rows: the inverse of [`halve`], in one direction, where samples lie on a line.
pub fn double(data: &[i16], width: usize) -> Vec<i16> {
    let mut out = Vec::with_capacity(2 * data.len());
    let rows: Vec<&[i16]> = data.chunks_exact(width.max(1)).collect();
    for (k, row) in rows.iter().enumerate() {
        let (above, below) = (rows[k.saturating_sub(1)], rows[(k + 1).min(rows.len() - 1)]);
        out.extend(row.iter().zip(above).map(|(&a, &b)| quarter_way(a, b)));
        out.extend(row.iter().zip(below).map(|(&a, &b)| quarter_way(a, b)));
    }
    out
}

/// Added before a difference is divided by four, so that it rounds.
pub(crate) const QUARTER: i16 = 2;

/// A quarter of the way from `a` to `b`.
fn quarter_way(a: i16, b: i16) -> i16 {
    a.saturating_add(b.saturating_sub(a).saturating_add(QUARTER) >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::PacketTransform;
    use crate::signal::lifting::{HIGH, LOW};

    fn noise(n: usize, scale: i32) -> Vec<i16> {
        let mut seed = 7u32;
        (0..n)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((seed >> 16) as i32 % (2 * scale) - scale) as i16
            })
            .collect()
    }

    #[test]
    fn lifting_is_undone_exactly() {
        for (levels, ends) in [(3, Ends::Mirror), (2, Ends::Periodic), (4, Ends::Mirror)] {
            let plan = PacketTransform::new(levels, ends);
            let signal = noise(64, 3000);
            let (mut data, mut scratch) = (signal.clone(), vec![0i16; 64]);
            plan.forward_1d(&mut data, &mut scratch);
            assert_ne!(data, signal);
            plan.inverse_1d(&mut data, &mut scratch);
            assert_eq!(data, signal);
        }
    }

    #[test]
    fn fixed_point_follows_floating_point() {
        let plan = PacketTransform::new(1, Ends::Mirror);
        let signal = noise(64, 3000);
        let mut real: Vec<f32> = signal.iter().map(|&x| f32::from(x)).collect();
        let mut data = signal;
        plan.forward_1d(&mut real, &mut [0.0; 64]);
        plan.forward_1d(&mut data, &mut [0; 64]);
        for (k, (&a, &b)) in data.iter().zip(&real).enumerate() {
            let gain = if k < 32 { LOW } else { HIGH };
            assert!((f32::from(a) * gain - b).abs() < 4.0, "{k}: {a} {b}");
        }
    }

    #[test]
    fn halving_keeps_what_is_linear() {
        let ramp: Vec<i16> = (0..64).map(|k| 100 * (k / 4) + 40 * (k % 4)).collect();
        let half = halve(&ramp, 4);
        assert_eq!(half[..4], [70, 150, 270, 350]);
        let columns: Vec<i16> = half.iter().step_by(2).copied().collect();
        let doubled = double(&columns, 1);
        assert_eq!(doubled[1..15], (1..15).map(|k| 20 + 100 * k).collect::<Vec<i16>>()[..]);
        assert_eq!(double(&[i16::MIN, i16::MAX], 1).len(), 4);
    }
}
