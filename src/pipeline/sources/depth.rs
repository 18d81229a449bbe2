//! How samples come from a microphone.

use serde::Deserialize;

/// A format that a microphone may be asked for; low byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Whole numbers of 16 bits.
    S16,
    /// Whole numbers of 32 bits.
    S32,
    /// The low 24 bits of 32.
    S24,
    /// Whole numbers of 24 bits, in three bytes.
    S24in3,
    /// Numbers with a point, of 32 bits, from -1 to 1.
    Float,
}

impl Depth {
    /// All there are; the first that a microphone has is taken.
    pub const ALL: [Self; 5] = [Self::S16, Self::S32, Self::S24, Self::S24in3, Self::Float];

    /// Its name in configs.
    pub fn name(self) -> &'static str {
        match self {
            Self::S16 => "s16",
            Self::S32 => "s32",
            Self::S24 => "s24",
            Self::S24in3 => "s24in3",
            Self::Float => "float",
        }
    }

    /// Bytes of a sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S24in3 => 3,
            Self::S32 | Self::S24 | Self::Float => 4,
        }
    }

    /// The samples that these bytes are, and how many were no number and became 0 or full scale; bytes behind the last
    /// whole sample are left out.
    ///
    /// Units: full scale is 1.
    pub fn read(self, bytes: &[u8]) -> (Vec<f32>, u64) {
        let mut replaced = 0;
        let float = |x: f32, replaced: &mut u64| {
            if x.is_finite() {
                return x;
            }
            *replaced += 1;
            if x.is_nan() { 0.0 } else { x.signum() }
        };
        let full = 2.0_f32.powi(31);
        let samples = match self {
            Self::S16 => {
                let values = bytes.as_chunks().0.iter();
                values.map(|&b| f32::from(i16::from_le_bytes(b)) / 32768.0).collect()
            }
            Self::S32 => {
                let values = bytes.as_chunks().0.iter();
                values.map(|&b| i32::from_le_bytes(b) as f32 / full).collect()
            }
            Self::S24 => {
                // What is in the highest byte is not said.
                let values = bytes.as_chunks().0.iter();
                values.map(|&b| (i32::from_le_bytes(b) << 8) as f32 / full).collect()
            }
            Self::S24in3 => {
                let values = bytes.as_chunks().0.iter();
                values.map(|&[a, b, c]| i32::from_le_bytes([0, a, b, c]) as f32 / full).collect()
            }
            Self::Float => {
                let values = bytes.as_chunks().0.iter();
                values.map(|&b| float(f32::from_le_bytes(b), &mut replaced)).collect()
            }
        };
        (samples, replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_are_read() {
        let read = |depth: Depth, bytes: &[u8]| depth.read(bytes).0;
        assert_eq!(read(Depth::S16, &[0, 0x80, 0, 0x40, 7]), [-1.0, 0.5]);
        assert_eq!(read(Depth::S32, &[0, 0, 0, 0x80, 0, 0, 0, 0x40, 1, 2, 3]), [-1.0, 0.5]);
        let step = 2.0_f32.powi(-23);
        assert_eq!(
            read(Depth::S24, &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0, 0, 0, 0x80, 0x7f]),
            [step, -step, -1.0]
        );
        assert_eq!(
            read(Depth::S24in3, &[1, 0, 0, 0xff, 0xff, 0xff, 0, 0, 0x80, 9]),
            [step, -step, -1.0]
        );
        let floats = [0.25, f32::NAN, f32::NEG_INFINITY, 1.5].map(f32::to_le_bytes).concat();
        assert_eq!(Depth::Float.read(&floats), (vec![0.25, 0.0, -1.0, 1.5], 2));
        for depth in Depth::ALL {
            assert!(read(depth, &[]).is_empty() && read(depth, &[1]).is_empty());
            assert_eq!(read(depth, &[0; 24]).len(), 24 / depth.bytes());
        }
    }
}
