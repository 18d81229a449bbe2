//! Quality: an integer index into one fixed table of step factors.

use crate::error::{Error, Result};

/// Rate control: 1 (coarsest) to 100 (finest), 75 by default.
///
/// The step of every channel is the bundle's step times [`Quality::factor`]. Sixteen points below
/// 75 double the step; eight points above it halve the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quality(u8);

impl Quality {
    /// The default, 75: factor 1.
    pub const DEFAULT: Self = Self(75);
    /// The coarsest quality.
    pub const MIN: Self = Self(1);
    /// The finest quality.
    pub const MAX: Self = Self(100);

    /// Checks the range.
    ///
    /// # Errors
    /// `Config` outside 1..=100.
    pub fn new(value: u8) -> Result<Self> {
        match value {
            1..=100 => Ok(Self(value)),
            _ => Err(Error::config("quality", format!("{value} is outside 1..=100"))),
        }
    }

    /// The number itself.
    pub fn value(self) -> u8 {
        self.0
    }

    /// Every quality, coarsest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (1..=100).map(Self)
    }

    /// Step factor: the same 24 bits on every machine.
    pub fn factor(self) -> f32 {
        FACTORS[usize::from(self.0) - 1] as f32 / 65536.0
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Step factors in 1/65536: 2^((75-q)/16) up to 75, 2^((75-q)/8) above, rounded.
const FACTORS: [u32; 100] = [
    1617125, 1548564, 1482910, 1420040, 1359835, 1302182, 1246974, 1194106, 1143480, 1095000,
    1048576, 1004120, 961548, 920782, 881744, 844361, 808563, 774282, 741455, 710020, 679917,
    651091, 623487, 597053, 571740, 547500, 524288, 502060, 480774, 460391, 440872, 422180, 404281,
    387141, 370728, 355010, 339959, 325546, 311744, 298527, 285870, 273750, 262144, 251030, 240387,
    230195, 220436, 211090, 202141, 193571, 185364, 177505, 169979, 162773, 155872, 149263, 142935,
    136875, 131072, 125515, 120194, 115098, 110218, 105545, 101070, 96785, 92682, 88752, 84990,
    81386, 77936, 74632, 71468, 68438, 65536, 60097, 55109, 50535, 46341, 42495, 38968, 35734,
    32768, 30048, 27554, 25268, 23170, 21247, 19484, 17867, 16384, 15024, 13777, 12634, 11585,
    10624, 9742, 8933, 8192, 7512,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_follow_their_formula() {
        for q in Quality::all() {
            let d = 75.0 - f64::from(q.value());
            let exact = (d / if d >= 0.0 { 16.0 } else { 8.0 }).exp2() * 65536.0;
            assert_eq!(FACTORS[usize::from(q.value()) - 1], exact.round() as u32);
        }
        assert_eq!(Quality::DEFAULT.factor(), 1.0);
    }

    #[test]
    fn out_of_range_is_refused() {
        assert!(Quality::new(0).is_err() && Quality::new(101).is_err());
    }
}
