//! Sizes, times and rates as people write them: `"8 GiB"`, `"500 ms"`, `"200 kbit/s"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Duration);

/// Bits a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub f64);

/// Longest time that is taken: a hundred years.
const LONGEST: f64 = 3.2e9;

const SIZES: [(&str, f64); 9] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];
const TIMES: [(&str, f64); 5] =
    [("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86400.0)];

const RATES: [(&str, f64); 6] = [
    ("bit/s", 1.0),
    ("kbit/s", 1e3),
    ("Mbit/s", 1e6),
    ("Gbit/s", 1e9),
    ("kB/s", 8e3),
    ("MB/s", 8e6),
];

/// A number with one of these units, in the first of them.
fn parse(text: &str, units: &[(&str, f64)], example: &str) -> Result<f64, String> {
    let wrong = || {
        let names: Vec<&str> = units.iter().map(|u| u.0).collect();
        format!("{text:?}: needed is a number and a unit ({}), as in {example:?}", names.join(", "))
    };
    let text = text.trim();
    let at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let (_, factor) = units.iter().find(|u| u.0 == unit).ok_or_else(wrong)?;
    match number >= 0.0 && number.is_finite() {
        true => Ok(number * factor),
        false => Err(wrong()),
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = parse(&text, &SIZES, "8 GiB").map_err(serde::de::Error::custom)?;
        // What is beyond any disk is any disk.
        Ok(Self(bytes as u64))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let seconds = parse(&text, &TIMES, "500 ms").map_err(serde::de::Error::custom)?;
        Ok(Self(Duration::from_secs_f64(seconds.min(LONGEST))))
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        parse(&text, &RATES, "200 kbit/s").map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units() {
        assert_eq!(parse("8 GiB", &SIZES, ""), Ok(8.0 * 1_073_741_824.0));
        assert_eq!(parse("1.5kB", &SIZES, ""), Ok(1500.0));
        assert_eq!(parse(" 90 s ", &TIMES, ""), Ok(90.0));
        assert_eq!(parse("200 kbit/s", &RATES, ""), Ok(2e5));
        assert_eq!(parse("1.5 MB/s", &RATES, ""), Ok(1.2e7));
        assert!(parse("200 kbit", &RATES, "").is_err());
        for wrong in ["", "8", "GiB", "8 gib", "-1 B", "1e999 B", "inf B", "8 GiB x"] {
            let e = parse(wrong, &SIZES, "8 GiB").expect_err(wrong);
            assert!(e.contains("GiB") && e.contains("as in"), "{e}");
        }
    }
}
