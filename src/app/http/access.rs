//! Who may see the pages: this machine, or whoever knows the token.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderName};
use hyper::{HeaderMap, Uri};
use sha2::{Digest, Sha256};

use super::routes::decoded;
use crate::error::{Error, Result};

/// What address and token are called where they are set.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    pub listen: &'static str,
    pub token: &'static str,
}

/// The rule of a server.
pub enum Access {
    /// No token: visitors of this machine only.
    Local,
    /// Only visitors who know the token. Neither it nor its digest is ever shown.
    Token {
        digest: [u8; 32],
        /// What a browser keeps instead of the token, `NAME=VALUE`.
        cookie: String,
    },
}

/// What becomes of a request.
pub enum Verdict {
    Welcome,
    /// The token stood in the address: it goes into this cookie, and out of sight.
    Entered(String),
    Unknown,
    /// A name that is not this machine's: some page in a browser here pretends to be ours.
    WrongHost,
}

impl Access {
    /// The rule for an address and a token.
    ///
    /// # Errors
    /// `Config` if there is no token and the address is not loopback, or the token cannot be sent in a header.
    pub fn new(listen: SocketAddr, token: Option<&str>, named: Named) -> Result<Self> {
        let Some(token) = token else {
            if listen.ip().to_canonical().is_loopback() {
                return Ok(Self::Local);
            }
            let reason = format!("{listen} is not loopback; set {}", named.token);
            return Err(Error::config(named.listen, reason));
        };
        // A file ends with a newline.
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            let reason = "must hold one word of ASCII letters, digits and signs";
            return Err(Error::config(named.token, reason));
        }
        // Named after its value, so that daemons on one machine do not overwrite each other's.
        let secret: String =
            digest(&format!("tamis cookie {token}")).iter().map(|b| format!("{b:02x}")).collect();
        let (name, value) = secret.split_at(8);
        Ok(Self::Token { digest: digest(token), cookie: format!("tamis-{name}={value}") })
    }

    /// Judges a request by its address and headers.
    pub fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Verdict {
        match self {
            Self::Local if is_local(headers) => Verdict::Welcome,
            Self::Local => Verdict::WrongHost,
            Self::Token { digest, cookie } => {
                let mut bearers = texts(headers, AUTHORIZATION).filter_map(bearer);
                let mut cookies = texts(headers, COOKIE).flat_map(|c| c.split(';')).map(str::trim);
                let kept = self::digest(cookie);
                if bearers.any(|t| same(t, digest)) || cookies.any(|c| same(c, &kept)) {
                    Verdict::Welcome
                } else if typed_token(uri).is_some_and(|t| same(&t, digest)) {
                    Verdict::Entered(format!("{cookie}; Path=/; HttpOnly; SameSite=Strict"))
                } else {
                    Verdict::Unknown
                }
            }
        }
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Compares digests to the last byte: how long it takes tells nothing about the secret.
fn same(given: &str, expected: &[u8; 32]) -> bool {
    digest(given).iter().zip(expected).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn texts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The token of `/?token=TOKEN`.
fn typed_token(uri: &Uri) -> Option<String> {
    let query = uri.query().filter(|_| uri.path() == "/")?;
    query.split('&').find_map(|pair| pair.strip_prefix("token=")).map(decoded)
}

/// Whether every `Host` names this machine, and there is one. A page elsewhere may point its own name here.
fn is_local(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).into_iter().peekable();
    hosts.peek().is_some() && hosts.all(|h| h.to_str().is_ok_and(is_local_name))
}

fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let six = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    match six {
        Some(six) => {
            six.parse::<Ipv6Addr>().is_ok_and(|a| IpAddr::V6(a).to_canonical().is_loopback())
        }
        None => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse::<Ipv4Addr>().is_ok_and(|a| a.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_local_name;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in
            ["localhost", "LOCALHOST:80", "127.0.0.1", "127.9.9.9:8080", "[::1]", "[::1]:80"]
        {
            assert!(is_local_name(host), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "::1",
            "[::2]:80",
            "127.1",
            "localhost:80:80",
            "0.0.0.0",
        ] {
            assert!(!is_local_name(host), "{host}");
        }
    }
}
