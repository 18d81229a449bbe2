//! The alphabet of the entropy coders: one token for every small value, one for a range of large ones.
//!
//! Tokens 0 to 10 are the values 0, 1, -1, 2, -2 ... 5, -5. Magnitudes from 6 on have two tokens per
//! octave up to 127 and one above; their sign and place in the range follow as raw bits. So one
//! small alphabet holds every `i16` and no value is out of reach.

/// Number of tokens.
pub const ALPHABET: usize = 29;
/// Frequencies of a table add up to 2 to the power of this.
pub const PRECISION_BITS: u32 = 15;

/// Magnitudes below have tokens of their own.
const DIRECT: u16 = 6;
/// Tokens of these.
pub const DIRECT_TOKENS: usize = 2 * DIRECT as usize - 1;
/// What they stand for.
const DIRECT_VALUES: [i16; DIRECT_TOKENS] = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5];
/// First token of a whole octave, that of 128.
const OCTAVES: usize = 20;

/// Token of a value.
#[inline(always)]
pub fn token(value: i16) -> usize {
    let magnitude = value.unsigned_abs();
    if magnitude < DIRECT {
        let both = 2 * usize::from(magnitude);
        return both - usize::from(value > 0);
    }
    let octave = magnitude.ilog2() as usize;
    if octave >= 7 {
        return OCTAVES + octave - 7;
    }
    let half = usize::from(magnitude >> (octave - 1) & 1);
    // 6 is in the upper half of its octave.
    DIRECT_TOKENS + 2 * (octave - 2) + half - 1
}

/// The token of a value if it has one of its own, and whether it has.
#[inline(always)]
pub fn direct_token(value: i16) -> (u8, bool) {
    let magnitude = value.unsigned_abs();
    (magnitude.wrapping_mul(2).wrapping_sub(u16::from(value > 0)) as u8, magnitude < DIRECT)
}

/// Raw bits behind a token, the sign among them, and the smallest magnitude it stands for.
#[inline(always)]
pub fn raw_bits(token: usize) -> (u32, u16) {
    if token < DIRECT_TOKENS {
        return (0, token.div_ceil(2) as u16);
    }
    if token >= OCTAVES {
        let octave = (token - OCTAVES + 7) as u32;
        return (octave + 1, 1 << octave);
    }
    let place = token - DIRECT_TOKENS + 1;
    let (octave, half) = ((place / 2 + 2) as u32, (place % 2) as u16);
    (octave, (2 + half) << (octave - 1))
}

/// The raw bits of a value that has some: the place in its range, then the sign, 1 if negative.
#[inline(always)]
pub fn raw_of(value: i16, token: usize) -> u32 {
    let (_, base) = raw_bits(token);
    u32::from(value.unsigned_abs() - base) << 1 | u32::from(value < 0)
}

/// The value of a token, for which `raw` reads so many bits if it has any.
#[inline(always)]
pub fn value_of(token: usize, raw: impl FnOnce(u32) -> u32) -> i16 {
    if token < DIRECT_TOKENS {
        return DIRECT_VALUES[token];
    }
    let (bits, base) = raw_bits(token);
    let raw = raw(bits);
    let magnitude = base + (raw >> 1) as u16;
    if raw & 1 == 1 { magnitude.wrapping_neg() as i16 } else { magnitude as i16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_one_token() {
        let mut seen = [0u32; ALPHABET];
        for value in i16::MIN..=i16::MAX {
            let t = token(value);
            let (bits, base) = raw_bits(t);
            let (direct, small) = direct_token(value);
            assert_eq!(
                (small, small && usize::from(direct) == t),
                (bits == 0, bits == 0),
                "{value}"
            );
            assert!(t < ALPHABET && value.unsigned_abs() >= base);
            let raw = if bits > 0 { raw_of(value, t) } else { 0 };
            assert!(bits == 0 || raw >> bits == 0, "{value}");
            assert_eq!(value_of(t, |_| raw), value);
            seen[t] += 1;
        }
        assert!(seen.iter().all(|&n| n > 0), "{seen:?}");
    }
}
