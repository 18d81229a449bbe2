//! What was odd about an input but did not stop it.

use std::fmt;

/// One sentence, and whether it says that something is missing.
///
/// Missing data makes a command end with exit code 3; the rest is only worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    text: String,
    missing: bool,
}

impl Warning {
    /// Something of the input is not in what was read.
    pub fn missing(text: impl Into<String>) -> Self {
        Self { text: text.into(), missing: true }
    }

    /// Whether something is missing.
    pub fn is_missing(&self) -> bool {
        self.missing
    }
}

/// A warning that nothing is missing for.
impl<T: Into<String>> From<T> for Warning {
    fn from(text: T) -> Self {
        Self { text: text.into(), missing: false }
    }
}

impl std::ops::Deref for Warning {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq<&str> for Warning {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}
