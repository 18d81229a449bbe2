//! Packets to and from other processes and machines by Zenoh, each group of channels under a key of its own.
//!
//! Group 0 of stream 0 is published at `KEY/0/0`, group 1 at `KEY/0/1`: whoever subscribes to `KEY/*/0` has the most
//! important channels of all streams, and nothing else crosses the network. A message is the header record (with group
//! 0) and a packet record that holds one group, as they stand in a recording; its attachment is one byte, the number of
//! groups of the whole packet.
//!
//! The library is needed only with the feature `zenoh`; configs are read without it too.

#[cfg(any(feature = "zenoh", test))]
mod joining;

#[cfg(not(feature = "zenoh"))]
mod absent;
#[cfg(feature = "zenoh")]
mod session;
#[cfg(feature = "zenoh")]
mod sink;
#[cfg(feature = "zenoh")]
mod source;

use std::net::SocketAddr;

use serde::Deserialize;

#[cfg(not(feature = "zenoh"))]
pub use self::absent::{sink, source};
#[cfg(feature = "zenoh")]
pub use self::sink::{ZenohSink, sink};
#[cfg(feature = "zenoh")]
pub use self::source::{ZenohSource, source};
use crate::error::{Error, Result};

/// Bytes of a key at most.
const KEY: usize = 200;

/// What a process talks about, and with whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What the keys of all groups begin with.
    pub key: String,
    /// Address of this machine that others connect to.
    pub listen: Option<String>,
    /// Address of another process, or of a router, again and again.
    pub connect: Option<String>,
}

/// What a sink does when those who listen are slower than the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Congestion {
    /// It waits, and the line counts what it has no time for. One that takes nothing for five seconds is left.
    #[default]
    Block,
    /// Zenoh drops messages; those who listen count the gaps.
    Drop,
}

impl Link {
    /// What a config says, unchecked.
    pub fn new(key: &str, listen: &Option<String>, connect: &Option<String>) -> Self {
        Self { key: key.into(), listen: listen.clone(), connect: connect.clone() }
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    /// `Config` with the key below `at` and the reason.
    pub fn check(&self, at: &str) -> Result<()> {
        let wrong = |key: &str, reason: String| Err(Error::config(format!("{at}.{key}"), reason));
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let part = |part: &str| !part.is_empty() && part.chars().all(plain);
        if self.key.len() > KEY || !self.key.split('/').all(part) {
            let reason =
                "needed are parts of a-z, A-Z, 0-9, . _ - with / between, as in \"tamis/belt\"";
            return wrong("key", format!("{:?}: {reason}", self.key));
        }
        if self.listen.is_none() && self.connect.is_none() {
            let reason = "zenoh needs listen or connect, as in \"127.0.0.1:7447\"";
            return Err(Error::config(at, reason));
        }
        if let Some(listen) = &self.listen {
            match listen.parse::<SocketAddr>() {
                Ok(address) if address.ip().is_loopback() => {}
                Ok(_) => {
                    let reason = "is open to others than this machine; listen at 127.0.0.1, or connect to a Zenoh router";
                    return wrong("listen", format!("{listen} {reason}"));
                }
                Err(_) => {
                    let reason = "is no address and port, as in 127.0.0.1:7447";
                    return wrong("listen", format!("{listen} {reason}"));
                }
            }
        }
        if let Some(to) = &self.connect {
            let whole = |(host, port): (&str, &str)| {
                let host = host.trim_matches(['[', ']']);
                let name = |c: char| plain(c) || c == ':';
                !host.is_empty()
                    && host.chars().all(name)
                    && port.parse::<u16>().is_ok_and(|p| p > 0)
            };
            if !to.rsplit_once(':').is_some_and(whole) {
                let reason = "is no host and port, as in 192.168.1.7:7447";
                return wrong("connect", format!("{to} {reason}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let link = |key: &str, listen: Option<&str>, connect: Option<&str>| {
            Link::new(key, &listen.map(Into::into), &connect.map(Into::into))
        };
        let here = Some("127.0.0.1:7447");
        for good in [
            link("tamis/belt", here, None),
            link("a", Some("[::1]:7447"), None),
            link("a/b/c", here, Some("robot.local:7447")),
            link("a", None, Some("[fe80::1]:7447")),
        ] {
            good.check("source").unwrap();
        }
        for (bad, part) in [
            (link("", here, None), "source.key"),
            (link("a//b", here, None), "source.key"),
            (link("a/**", here, None), "source.key"),
            (link("/a", here, None), "source.key"),
            (link(&"a".repeat(201), here, None), "source.key"),
            (link("a", None, None), "needs listen or connect"),
            (link("a", Some("0.0.0.0:7447"), None), "open to others"),
            (link("a", Some("7447"), None), "no address and port"),
            (link("a", None, Some("robot")), "no host and port"),
            (link("a", None, Some("robot:0")), "no host and port"),
            (link("a", None, Some("robot:7447#exit_on_failure=true")), "no host and port"),
            (link("a", None, Some("a/b:7447")), "no host and port"),
        ] {
            let said = bad.check("source").unwrap_err().to_string();
            assert!(said.contains(part), "{bad:?}: {said}");
        }
    }
}
