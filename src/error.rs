//! The one error of the library: a variant for each party who must act.

use std::path::PathBuf;

/// What went wrong, with the values needed to act on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller passed data of the wrong shape.
    #[error("{what}: expected {expected}, got {actual}")]
    Shape {
        /// The thing that has the wrong shape.
        what: String,
        /// What was needed.
        expected: String,
        /// What was there.
        actual: String,
    },
    /// A bundle or a head on disk cannot be used.
    #[error("{path}: {reason}")]
    Bundle {
        /// The bundle's name or path.
        path: String,
        /// Why it cannot be used, and what to do.
        reason: String,
    },
    /// Bytes that claim to be a tamis stream are not.
    #[error("bitstream, byte {offset}: {reason}")]
    Bitstream {
        /// Offset of the offending byte from the start of the stream.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A picture, sound or other input file is damaged or of no known format.
    #[error("{path}: {reason}")]
    Input {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something is larger than the limit set for it.
    #[error("{what} is {actual}, limit {limit}")]
    Limit {
        /// The thing that is too large.
        what: String,
        /// The limit, in the same unit as `actual`.
        limit: u64,
        /// The size found.
        actual: u64,
    },
    /// A device asked for by name cannot be used.
    #[error("device {device}: {reason}")]
    Device {
        /// The device's name.
        device: String,
        /// Why not.
        reason: String,
    },
    /// The configuration is wrong.
    #[error("{at}: {reason}")]
    Config {
        /// File and line, or the option.
        at: String,
        /// What is wrong, and the nearest valid choice.
        reason: String,
    },
    /// The operating system refused.
    #[error("{path}: {why}")]
    Io {
        /// The file or stream.
        path: PathBuf,
        /// The system's own word. Not called `source`: it stands in the message, and what prints
        /// an error with its sources would say it twice.
        why: std::io::Error,
    },
}

/// Result with this library's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps a system error with the path it happened on.
    pub fn io(path: impl Into<PathBuf>, why: std::io::Error) -> Self {
        Self::Io { path: path.into(), why }
    }

    /// A shape error from anything printable.
    pub fn shape(what: impl Into<String>, expected: impl ToString, actual: impl ToString) -> Self {
        Self::Shape {
            what: what.into(),
            expected: expected.to_string(),
            actual: actual.to_string(),
        }
    }

    /// An input error from a path and a reason.
    pub fn input(path: impl ToString, reason: impl ToString) -> Self {
        Self::Input { path: path.to_string(), reason: reason.to_string() }
    }

    /// A bundle error from a name or path and a reason.
    pub fn bundle(path: impl ToString, reason: impl ToString) -> Self {
        Self::Bundle { path: path.to_string(), reason: reason.to_string() }
    }

    /// A configuration error from a place and a reason.
    pub fn config(at: impl ToString, reason: impl ToString) -> Self {
        Self::Config { at: at.to_string(), reason: reason.to_string() }
    }
}
