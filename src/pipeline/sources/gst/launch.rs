//! A description as it stands in a config.

use std::fmt;

use serde::Deserialize;

/// Elements, properties and caps as `gst-launch-1.0` takes them. It may hold passwords, so it is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Launch(pub(super) String);

impl Launch {
    /// A description.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Launch({} bytes)", self.0.len())
    }
}
