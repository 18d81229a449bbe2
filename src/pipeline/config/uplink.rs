//! What a config says of the uplink.

use std::path::PathBuf;

use serde::Deserialize;

use super::units::{Rate, Size};
use crate::error::{Error, Result};
use crate::pipeline::store::check_name;

/// Bytes of a batch: as little and as much as is taken, and what is usual.
const BATCH: [u64; 3] = [4 << 10, 16 << 20, 256 << 10];
/// Groups of a packet at most.
const GROUPS: usize = 15;

/// Where what is stored is sent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UplinkConfig {
    /// The receiver: `https://host:port/`, or `http://`, perhaps with a path before its own.
    pub url: String,
    /// File with the token that the receiver asks for.
    pub token_file: Option<PathBuf>,
    /// File with the certificates (PEM) that the receiver's is checked by, instead of those of the public authorities.
    pub ca_file: Option<PathBuf>,
    /// Name of this sender.
    pub device: String,
    /// What it sends at most; as much as the link takes if nothing is said.
    pub rate: Option<Rate>,
    /// Groups that go first; a third of them if nothing is said.
    pub first: Option<usize>,
    /// Bytes sent at once at most; 256 KiB if nothing is said.
    pub batch: Option<Size>,
}

impl UplinkConfig {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// `Config` with the key and the reason. A URL with a password is not repeated in it.
    pub fn check(&self) -> Result<()> {
        check_url(&self.url)?;
        check_name(&self.device).map_err(|e| Error::config("uplink.device", e))?;
        let batch = self.batch_bytes() as u64;
        if !(BATCH[0]..=BATCH[1]).contains(&batch) {
            let reason = format!("{batch} bytes; {} to {} are taken", BATCH[0], BATCH[1]);
            return Err(Error::config("uplink.batch", reason));
        }
        if self.first.is_some_and(|first| !(1..=GROUPS).contains(&first)) {
            return Err(Error::config(
                "uplink.first",
                format!("1 to {GROUPS} groups can go first"),
            ));
        }
        match self.rate {
            Some(Rate(rate)) if rate < 100.0 => {
                let reason = format!("{rate} bit/s; at least 100 bit/s are needed");
                Err(Error::config("uplink.rate", reason))
            }
            _ => Ok(()),
        }
    }

    /// Bytes of a batch at most.
    pub fn batch_bytes(&self) -> usize {
        let bytes = self.batch.map_or(BATCH[2], |b| b.0);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Where batches of a stream are sent.
    pub fn address(&self, stream: &str) -> String {
        format!("{}/v1/packets/{}/{stream}", self.url.trim_end_matches('/'), self.device)
    }

    /// Whether the token could be read on its way by others.
    pub fn is_open(&self) -> bool {
        let Some(rest) = self.url.strip_prefix("http://") else { return false };
        let host = rest.split('/').next().unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |h| h.0);
        self.token_file.is_some() && !["localhost", "127.0.0.1", "[::1]"].contains(&name)
    }
}

fn check_url(url: &str) -> Result<()> {
    let wrong = |reason: &str| Err(Error::config("uplink.url", reason));
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else {
        // It may hold a password in some other form: it is not repeated.
        return wrong("must begin with https:// or http://");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if url.contains('@') {
        return wrong("must hold no name and password; use uplink.token_file");
    }
    if host.is_empty() || host.starts_with(':') {
        return wrong("names no host");
    }
    if url.contains(['?', '#']) || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return wrong("must hold neither ?, # nor spaces; only host, port and path");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_without_secrets() {
        for good in
            ["https://a", "http://127.0.0.1:8748/", "https://a.example:1/x/y/", "http://[::1]:80"]
        {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "ftp://a",
            "https://",
            "https:///x",
            "https://:80",
            "https://a b",
            "https://a?x=y",
            "https://a/#x",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
        for secret in ["https://me:hunter2@a/", "http://a/hunter2@b", "hunter2"] {
            let e = check_url(secret).expect_err(secret).to_string();
            assert!(!e.contains("hunter2"), "{e}");
        }
    }
}
