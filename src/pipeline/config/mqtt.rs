//! What a config says of the broker that events and status are published at.

use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::units::Time;
use crate::error::{Error, Result};
use crate::pipeline::store::check_name;

/// Ports of brokers, without and with TLS.
const PORTS: [u16; 2] = [1883, 8883];
/// Events that may be held.
const QUEUE: std::ops::RangeInclusive<usize> = 2..=1_000_000;
/// Shortest time from one status to the next, and longest.
const EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(86_400)];
/// Bytes of a prefix at most.
const TOPIC: usize = 200;

/// The broker that events and status are published at.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// The broker: `mqtts://host:port`, or `mqtt://`.
    pub url: String,
    /// Name of this sender; that of the uplink if nothing is said.
    pub device: Option<String>,
    /// Who it is for the broker.
    pub user: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// File with the certificates (PEM) that the broker's is checked by, instead of those of the public authorities.
    pub ca_file: Option<PathBuf>,
    /// What all topics begin with; `tamis/DEVICE` if nothing is said.
    pub topic: Option<String>,
    /// Time from one status to the next.
    #[serde(default = "default_every")]
    pub every: Time,
    /// Events held while the broker is away; the oldest of more are dropped.
    #[serde(default = "default_queue")]
    pub queue: usize,
}

/// Where a broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl MqttConfig {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// `Config` with the key and the reason. A URL is not repeated in it: it may hold a password.
    pub fn check(&self) -> Result<()> {
        let wrong = |at: &str, reason: String| Err(Error::config(format!("mqtt.{at}"), reason));
        let address = self.address()?;
        let Some(device) = &self.device else {
            return wrong("device", "is missing; or set uplink.device".into());
        };
        check_name(device).map_err(|e| Error::config("mqtt.device", e))?;
        if self.user.as_deref().is_some_and(|u| u.is_empty() || u.contains('\0')) {
            return wrong("user", "is no name".into());
        }
        if self.password_file.is_some() && self.user.is_none() {
            return wrong("password_file", "needs mqtt.user beside it".into());
        }
        if self.ca_file.is_some() && !address.tls {
            return wrong("ca_file", "is for TLS; write mqtts:// in mqtt.url".into());
        }
        check_topic(&self.prefix())?;
        if !(EVERY[0]..=EVERY[1]).contains(&self.every.0) {
            return wrong("every", format!("{:?}; 100 ms to 1 d are taken", self.every.0));
        }
        if !QUEUE.contains(&self.queue) {
            let (least, most) = QUEUE.into_inner();
            return wrong("queue", format!("{}; {least} to {most} events are taken", self.queue));
        }
        Ok(())
    }

    /// Name of this sender.
    pub fn device(&self) -> &str {
        self.device.as_deref().unwrap_or_default()
    }

    /// What all topics begin with.
    pub fn prefix(&self) -> String {
        self.topic.clone().unwrap_or_else(|| format!("tamis/{}", self.device()))
    }

    /// Where the broker is.
    ///
    /// # Errors
    /// `Config` if the URL is none.
    pub fn address(&self) -> Result<BrokerAddress> {
        parse(&self.url).map_err(|reason| Error::config("mqtt.url", reason))
    }

    /// Whether the password could be read on its way by others.
    pub fn is_open(&self) -> bool {
        let local = |host: &str| ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        self.password_file.is_some() && self.address().is_ok_and(|a| !a.tls && !local(&a.host))
    }
}

fn parse(url: &str) -> std::result::Result<BrokerAddress, &'static str> {
    let secure = url.strip_prefix("mqtts://");
    let (tls, rest) = match (secure, url.strip_prefix("mqtt://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        // It may hold a password in some other form: it is not repeated.
        _ => return Err("must begin with mqtts:// or mqtt://"),
    };
    if rest.contains('@') {
        return Err("must hold no name and password; use mqtt.user and mqtt.password_file");
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // The colons of an address of IPv6 stand in brackets.
    let end = rest.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match rest[end..].find(':') {
        Some(at) => (&rest[..end + at], Some(&rest[end + at + 1..])),
        None => (rest, None),
    };
    let port = match port.map(str::parse) {
        None => PORTS[usize::from(tls)],
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err("names a port that is none; needed are only host and port"),
    };
    let six = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if six.is_some() && tls {
        return Err("with mqtts:// the host needs a name: a certificate is checked by it");
    }
    let named = |h: &str| h.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match six.map_or(named(host), |six| six.parse::<Ipv6Addr>().is_ok()) {
        true if !host.is_empty() => Ok(BrokerAddress { tls, host: host.into(), port }),
        true => Err("names no host"),
        false => Err("names a host that is none; needed are only host and port"),
    }
}

/// A prefix that a broker takes, and that makes no topic which is read as a pattern.
fn check_topic(topic: &str) -> Result<()> {
    let odd = |c: char| c.is_control() || "+#".contains(c);
    let empty = topic.split('/').any(str::is_empty);
    if empty || topic.len() > TOPIC || topic.starts_with('$') || topic.contains(odd) {
        let reason = format!(
            "{topic:?}: needed are names with / between them, {TOPIC} bytes at most, without + and #, not beginning with $"
        );
        return Err(Error::config("mqtt.topic", reason));
    }
    Ok(())
}

fn default_every() -> Time {
    Time(Duration::from_secs(10))
}

fn default_queue() -> usize {
    1000
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn urls_without_secrets() {
        for (good, tls, host, port) in [
            ("mqtt://a", false, "a", 1883),
            ("mqtts://a.example", true, "a.example", 8883),
            ("mqtt://127.0.0.1:1884/", false, "127.0.0.1", 1884),
            ("mqtt://[::1]:80", false, "[::1]", 80),
            ("mqtt://[::1]", false, "[::1]", 1883),
        ] {
            let expected = BrokerAddress { tls, host: host.into(), port };
            assert_eq!(parse(good), Ok(expected), "{good}");
        }
        for bad in [
            "",
            "a",
            "http://a",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://a:0",
            "mqtt://a:99999",
            "mqtt://a:x",
            "mqtt://a/b",
            "mqtt://a b",
            "mqtt://a?x",
            "mqtt://[::1",
            "mqtt://[a]",
            "mqtt://]",
            "mqtts://[::1]",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for secret in ["mqtt://me:hunter2@a", "mqtts://a/hunter2@b", "hunter2", "mqtt://me:hunter2"]
        {
            let e = parse(secret).expect_err(secret);
            assert!(!e.contains("hunter2"), "{e}");
        }
    }

    fn config(mqtt: &str, sink: &str, head: bool) -> Result<Config> {
        let infer = if head { "infer = { head = \"waste\" }\n" } else { "" };
        let text = format!(
            "{mqtt}\n[[stream]]\nname = \"gate\"\nsource = {{ kind = \"scene\" }}\n\
             codec = {{ bundle = \"rgb\" }}\n{infer}[[stream.sink]]\n{sink}\n"
        );
        Config::parse(&text, "test.toml")
    }

    const CONTAINER: &str = "kind = \"container\"\npath = \"-\"";

    #[test]
    fn what_cannot_work_is_refused() {
        let table = |rest: &str| format!("[mqtt]\nurl = \"mqtt://a\"\n{rest}");
        let ridge = |rest: &str| table(&format!("device = \"ridge-07\"\n{rest}"));
        let mqtt = config(&ridge(""), CONTAINER, false).expect("a config").mqtt.expect("a broker");
        assert_eq!((mqtt.prefix().as_str(), mqtt.queue), ("tamis/ridge-07", 1000));
        assert_eq!(mqtt.every.0, Duration::from_secs(10));
        for (mqtt, words) in [
            (table(""), "mqtt.device"),
            (table("device = \"a/b\""), "mqtt.device"),
            (ridge("password_file = \"p\""), "mqtt.user"),
            (ridge("user = \"\""), "mqtt.user"),
            (ridge("ca_file = \"p\""), "mqtts://"),
            (ridge("topic = \"a/+/b\""), "mqtt.topic"),
            (ridge("topic = \"/a\""), "mqtt.topic"),
            (ridge("topic = \"\""), "mqtt.topic"),
            (ridge("topic = \"$SYS/a\""), "mqtt.topic"),
            (ridge("every = \"1 ms\""), "mqtt.every"),
            (ridge("queue = 1"), "mqtt.queue"),
            (ridge("tpoic = \"a\""), "topic"),
            ("[mqtt]\ndevice = \"a\"".into(), "url"),
            ("[mqtt]\nurl = \"mqtt://me:hunter2@a\"\ndevice = \"a\"".into(), "mqtt.url"),
        ] {
            let why = config(&mqtt, CONTAINER, false).expect_err(&mqtt).to_string();
            assert!(why.contains(words) && !why.contains("hunter2"), "{mqtt}: {why}");
        }
    }

    #[test]
    #[cfg(feature = "onnx")]
    fn a_sink_needs_a_broker_and_a_head() {
        let broker = "[mqtt]\nurl = \"mqtt://a\"\ndevice = \"b\"";
        let sink = "kind = \"mqtt\"\nmin_score = 0.5\non_change = true";
        config(broker, sink, true).expect("a config");
        let twice = format!("{sink}\n[[stream.sink]]\nkind = \"mqtt\"");
        for (broker, sink, head, words) in [
            ("", sink, true, "[mqtt]"),
            (broker, sink, false, "[infer]"),
            (broker, "kind = \"mqtt\"\nmin_score = 1.5", true, "min_score"),
            (broker, &twice, true, "twice"),
        ] {
            let why = config(broker, sink, head).expect_err(words).to_string();
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn the_name_is_that_of_the_uplink() {
        let text = "[store]\nfolder = \"s\"\n[uplink]\nurl = \"http://a\"\ndevice = \"ridge-07\"\n\
                    [mqtt]\nurl = \"mqtt://a\"";
        let config = config(text, "kind = \"store\"", false).expect("a config");
        assert_eq!(config.mqtt.expect("a broker").prefix(), "tamis/ridge-07");
    }
}
