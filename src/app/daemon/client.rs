//! One upload: what is asked, and what an answer means.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error as Failure};

use super::read_token;
use super::trust::read_certificates;
use crate::error::{Error, Result};
use crate::pipeline::config::UplinkConfig;
use crate::pipeline::uplink::Batch;

/// For a name to be found, a connection to be made, and an answer to come.
const RESOLVE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_secs(60);
/// For a batch to be sent: this, and what it takes at a kilobyte a second.
const SEND: Duration = Duration::from_secs(60);
const SLOWEST: u64 = 1000;
/// Bytes of an answer at most.
const MOST: u64 = 64 << 10;
/// A connection that nobody used for so long is not used again: the other side may be about to close it.
const IDLE: Duration = Duration::from_secs(3);

/// Asks a receiver.
pub struct Client {
    agent: Agent,
    config: UplinkConfig,
    /// Never shown.
    bearer: Option<String>,
}

/// What became of a batch.
#[derive(Debug)]
pub enum Answer {
    /// The receiver has all of it.
    Taken,
    /// It may be tried again, after that time if one is named.
    Later(String, Option<Duration>),
    /// The stream is wrong, as it is: others may go on.
    Conflict(String),
    /// It is too large for something on the way.
    TooLarge(String),
    /// What is in it will never be taken, or one packet of it.
    Never(String),
}

impl Client {
    /// A client of the receiver that a config names.
    ///
    /// # Errors
    /// `Config` or `Io` if token or certificates cannot be read.
    pub fn new(config: &UplinkConfig) -> Result<Self> {
        let mut tls = TlsConfig::builder();
        if let Some(file) = &config.ca_file {
            let certificates = read_certificates(file, "uplink.ca_file")?;
            tls = tls.root_certs(RootCerts::from(certificates));
        }
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("tamis/", env!("CARGO_PKG_VERSION")))
            .max_idle_age(IDLE)
            .timeout_resolve(Some(RESOLVE))
            .timeout_connect(Some(CONNECT))
            .timeout_send_request(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_recv_body(Some(ANSWER))
            .build()
            .new_agent();
        let mut client = Self { agent, config: config.clone(), bearer: None };
        client.read_token()?;
        Ok(client)
    }

    fn read_token(&mut self) -> Result<()> {
        if let Some(file) = &self.config.token_file {
            let token = read_token(file, "uplink.token_file")?;
            if !token.bytes().all(|b| b.is_ascii_graphic()) {
                let reason = "must hold one word of ASCII letters, digits and signs";
                return Err(Error::config("uplink.token_file", reason));
            }
            self.bearer = Some(format!("Bearer {token}"));
        }
        Ok(())
    }

    /// Sends a batch.
    pub fn send(&mut self, batch: &Batch) -> Answer {
        let send = SEND + Duration::from_secs(batch.bytes.len() as u64 / SLOWEST);
        let mut request = self
            .agent
            .post(self.config.address(&batch.stream))
            .header("Content-Type", "application/x-tamis");
        if let Some(bearer) = &self.bearer {
            request = request.header("Authorization", bearer);
        }
        let request = request.config().timeout_send_body(Some(send)).build();
        match request.send(&batch.bytes[..]) {
            Ok(response) => self.understand(response, batch.packets),
            Err(e) => Answer::Later(failure(&e), None),
        }
    }

    fn understand(&mut self, response: ureq::http::Response<Body>, packets: u64) -> Answer {
        let status = response.status().as_u16();
        let again = response.headers().get("Retry-After").and_then(|v| v.to_str().ok());
        let again = again.and_then(|v| v.trim().parse().ok()).map(Duration::from_secs);
        let mut bytes = Vec::new();
        let read = response.into_body().into_reader().take(MOST).read_to_end(&mut bytes);
        let body: Value = match read {
            Ok(_) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            Err(e) => return Answer::Later(format!("the answer broke off: {e}"), None),
        };
        let words = match body["error"].as_str() {
            Some(words) => format!("the receiver says {status}: {}", plain(words)),
            None => format!("the receiver answers {status}"),
        };
        let count = |name: &str| body[name].as_u64();
        match status {
            200 => match (count("stored"), count("known")) {
                (Some(stored), Some(known)) if stored.checked_add(known) == Some(packets) => {
                    Answer::Taken
                }
                (Some(_), Some(_)) => {
                    Answer::Later("the receiver did not take all of a batch".into(), None)
                }
                _ => Answer::Later("what answers there is no tamis receiver".into(), None),
            },
            401 | 403 => {
                // It may have been changed since. What is wrong with it now is said by the answer.
                let _ = self.read_token();
                Answer::Later(format!("{words}; see uplink.token_file"), None)
            }
            409 if body["conflicts"].is_u64() => Answer::Conflict(words),
            400 | 413 if body["final"] == true => Answer::Never(words),
            413 => Answer::TooLarge(words),
            429 | 503 => Answer::Later(words, again),
            300..400 => Answer::Later(format!("{words}: it is elsewhere; change uplink.url"), None),
            _ => Answer::Later(words, None),
        }
    }
}

/// What went wrong on the way.
fn failure(e: &Failure) -> String {
    match e {
        Failure::HostNotFound => "its name is not found (DNS)".into(),
        Failure::ConnectionFailed => "no connection can be made".into(),
        Failure::Timeout(what) => format!("it takes too long to {what}"),
        Failure::Tls(_) | Failure::Rustls(_) | Failure::Pem(_) => format!("TLS: {e}"),
        // The system's word for it has no kind of its own.
        Failure::Io(e) if e.to_string().contains("lookup address") => {
            format!("its name is not found (DNS): {e}")
        }
        // What is wrong with a certificate comes this way.
        Failure::Io(e) if e.kind() == std::io::ErrorKind::InvalidData => format!("TLS: {e}"),
        e => format!("the connection failed: {e}"),
    }
}

/// Words of others, as far as they are shown.
fn plain(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(300).collect()
}
