//! What `tamis tune --target-ms` measured of a head: the ways to run it that are worth their time.

use serde::{Deserialize, Serialize};

use super::precision::HeadOptions;
use super::schedule::{Schedule, Tokens};

/// The property of an ONNX file that holds the table.
pub const TUNED: &str = "tamis.tuned";

/// Most that is read of a table, in bytes, and rows of it: files come from anywhere.
const MOST_BYTES: usize = 64 << 10;
const MOST_ROWS: usize = 128;
/// Letters of a machine's name or of a date, at most.
const MOST_LETTERS: usize = 200;

/// A table of ways to run a head, the fastest first: each is more faithful than all that are faster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuned {
    /// The processor that times were taken on.
    pub machine: String,
    /// Day on which they were taken: `2026-11-28`.
    pub date: String,
    /// Tokens of a latent, those of classes included.
    pub tokens: usize,
    /// Latents that answers were compared on.
    pub latents: usize,
    /// The ways.
    pub rows: Vec<TunedRow>,
}

/// A way to run a head, and what it costs and keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunedRow {
    /// The tokens that it goes on with; all if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Whether layers run in int8, but for those that the head keeps in floats.
    pub int8: bool,
    /// Time of one latent on one thread, a median. Units: milliseconds.
    pub ms: f64,
    /// How many times as fast as with all tokens, in floats, measured in turns with it.
    pub speedup: f64,
    /// Mean cosine of the logits to those of all tokens in floats.
    pub cosine: f64,
    /// Latents with the same first label. Units: per cent.
    pub agreement: f64,
    /// Latents with the right label, if that was known. Units: per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}

impl TunedRow {
    /// How a head is run so.
    pub fn options(&self) -> HeadOptions {
        let tokens = self.schedule.clone().map_or(Tokens::All, Tokens::By);
        HeadOptions { int8: self.int8, tokens }
    }

    /// The way in words: `merge 1:0.7 3:0.5, int8`.
    pub fn way(&self) -> String {
        let tokens = self.schedule.as_ref().map_or("all tokens".into(), Schedule::to_string);
        format!("{tokens}, {}", if self.int8 { "int8" } else { "floats" })
    }
}

impl Tuned {
    /// Reads a table; `None` of nothing.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > MOST_BYTES {
            return Err(format!("has {} bytes, at most {MOST_BYTES} are read", text.len()));
        }
        let table: Self = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        if table.rows.is_empty() || table.rows.len() > MOST_ROWS {
            return Err(format!("has {} rows, needed are 1 to {MOST_ROWS}", table.rows.len()));
        }
        for (key, word) in [("machine", &table.machine), ("date", &table.date)] {
            // They are printed: a terminal must not obey a file.
            if word.chars().count() > MOST_LETTERS || word.chars().any(char::is_control) {
                return Err(format!("{key} is longer than {MOST_LETTERS} letters, or no line"));
            }
        }
        for (i, row) in table.rows.iter().enumerate() {
            let above = |x: f64| x > 0.0 && x < f64::INFINITY;
            let part = |x: f64| (0.0..=100.0).contains(&x);
            let wrong = [
                ("ms", row.ms, above(row.ms)),
                ("speedup", row.speedup, above(row.speedup)),
                ("cosine", row.cosine, (-1.0..=1.0).contains(&row.cosine)),
                ("agreement", row.agreement, part(row.agreement)),
                ("accuracy", row.accuracy.unwrap_or(0.0), row.accuracy.is_none_or(part)),
            ];
            if let Some((key, value, _)) = wrong.iter().find(|w| !w.2) {
                return Err(format!("row {}: {key} of {value} cannot be", i + 1));
            }
        }
        Ok(Some(table))
    }

    /// The table as [`Self::parse`] reads it.
    ///
    /// # Errors
    /// If it would be longer than what is read.
    pub fn text(&self) -> Result<String, String> {
        let text = toml::to_string(self).map_err(|e| e.to_string())?;
        Self::parse(&text).map(|_| text)
    }

    /// The most faithful row that takes at most so many milliseconds.
    ///
    /// # Errors
    /// Names the fastest row if none is as fast as that.
    pub fn within(&self, ms: f64) -> Result<&TunedRow, String> {
        let fits = self.rows.iter().filter(|r| r.ms <= ms);
        let best = fits.max_by(|a, b| a.cosine.total_cmp(&b.cosine).then(b.ms.total_cmp(&a.ms)));
        let fastest = || self.rows.iter().min_by(|a, b| a.ms.total_cmp(&b.ms));
        best.ok_or_else(|| match fastest() {
            Some(row) => format!(
                "{ms} cannot be met: the fastest way ({}) takes {:.3} ms on {:?} and keeps {:.1} % \
                 of the answers (cosine {:.4}); allow that, or take a smaller head",
                row.way(),
                row.ms,
                self.machine,
                row.agreement,
                row.cosine
            ),
            None => format!("{ms} cannot be met: the table has no row"),
        })
    }

    /// Says so if times were taken on another processor than this machine's.
    pub fn elsewhere(&self) -> Option<String> {
        let here = machine();
        (here != self.machine).then(|| {
            format!(
                "times were measured on {:?}, this is {here:?}: tune the head here for its own",
                self.machine
            )
        })
    }
}

/// What this machine's processor calls itself; the kind of machine if it does not say.
pub fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let named = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    // Small boards name the whole board.
    let board = read("/proc/device-tree/model");
    let names = [named.map_or("", |n| n.1), board.trim_end_matches('\0'), std::env::consts::ARCH];
    let name = names.into_iter().map(str::trim).find(|n| !n.is_empty()).unwrap_or("unknown");
    name.chars().filter(|c| !c.is_control()).take(MOST_LETTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(schedule: &str, ms: f64, cosine: f64) -> TunedRow {
        let schedule = (!schedule.is_empty()).then(|| schedule.parse().expect("schedule"));
        TunedRow {
            schedule,
            int8: true,
            ms,
            speedup: 4.0 / ms,
            cosine,
            agreement: 99.5,
            accuracy: None,
        }
    }

    fn table() -> Tuned {
        Tuned {
            machine: "a \"machine\"".into(),
            date: "2026-11-28".into(),
            tokens: 197,
            latents: 100,
            rows: vec![
                row("wpr 1:0.7 3:0.49", 1.5, 0.97),
                TunedRow { accuracy: Some(50.0), ..row("merge 1:0.5", 2.0, 0.99) },
                row("", 4.0, 1.0),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = table().text().expect("text");
        assert_eq!(Tuned::parse(&text), Ok(Some(table())), "{text}");
        assert_eq!(Tuned::parse(""), Ok(None));
    }

    #[test]
    fn the_most_faithful_that_fits_is_taken() {
        let table = table();
        let ms = |target| table.within(target).map(|r| r.ms);
        assert_eq!((ms(1.5), ms(3.99), ms(9.0)), (Ok(1.5), Ok(2.0), Ok(4.0)));
        let why = ms(1.0).expect_err("too fast");
        assert!(why.contains("wpr 1:0.7 3:0.49, int8") && why.contains("1.500 ms"), "{why}");
        assert!(ms(f64::NAN).is_err());
        assert!(table.elsewhere().is_some());
        assert_eq!(Tuned { machine: machine(), ..table }.elsewhere(), None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let text = table().text().expect("text");
        for (from, to, why) in [
            ("ms = 1.5", "ms = nan", "row 1: ms"),
            ("ms = 1.5", "ms = -1.0", "row 1: ms"),
            ("cosine = 0.97", "cosine = 2.0", "cosine of 2"),
            ("accuracy = 50.0", "accuracy = inf", "row 2: accuracy"),
            ("wpr 1:0.7", "best 1:0.7", "no such policy"),
            ("wpr 1:0.7", "wpr 1:7", "not BLOCK:SHARE"),
            ("2026-11-28", "\\u001b[2J", "date"),
            ("latents = 100", "latents = -1", "integer"),
            ("latents = 100", "latents = 100\nmore = 1", "more"),
        ] {
            let found = Tuned::parse(&text.replace(from, to)).expect_err(to);
            assert!(found.contains(why), "{to}: {found}");
        }
        let long = Tuned::parse(&"#".repeat(MOST_BYTES + 1)).expect_err("long");
        assert!(long.contains("65537"), "{long}");
        let many = Tuned { rows: vec![row("", 1.0, 1.0); MOST_ROWS + 1], ..table() };
        assert!(many.text().is_err_and(|why| why.contains("129 rows")));
    }
}
