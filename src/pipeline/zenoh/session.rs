//! A session with those that a config names, and nobody else.

use ::zenoh::{Config, Session, Wait};

use super::Link;
use crate::bitstream::Limits;
use crate::error::{Error, Result};

/// Opens a session. Nobody is waited for: an address that is away is tried again and again.
pub(super) fn open(link: &Link) -> Result<Session> {
    let endpoints = |at: &Option<String>| match at {
        Some(at) => format!("[\"tcp/{at}\"]"),
        None => "[]".into(),
    };
    let mut config = Config::default();
    let largest = Limits::default().packet_bytes.to_string();
    for (key, value) in [
        ("mode", "\"peer\""),
        ("listen/endpoints", &endpoints(&link.listen)),
        ("connect/endpoints", &endpoints(&link.connect)),
        ("connect/timeout_ms", "-1"),
        ("connect/exit_on_failure", "false"),
        // Whoever is not named is not looked for, and does not find this process.
        ("scouting/multicast/enabled", "false"),
        ("scouting/gossip/enabled", "false"),
        ("transport/link/rx/max_message_size", &largest),
    ] {
        let wrong = |e| Error::config("zenoh", format!("{key}: {e}"));
        config.insert_json5(key, value).map_err(wrong)?;
    }
    ::zenoh::open(config).wait().map_err(|e| failed(link, "cannot be opened", &*e))
}

/// An error of Zenoh.
pub(super) fn failed(link: &Link, what: &str, e: &(dyn std::error::Error + Send + Sync)) -> Error {
    let at = link.listen.as_ref().or(link.connect.as_ref()).map_or("", |at| at);
    let path = format!("zenoh {} at {at}", link.key);
    Error::io(path, std::io::Error::other(format!("{what}: {e}")))
}
