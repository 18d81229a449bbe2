//! A daemon that publishes at a real broker: one that restarts, is away, or refuses it.

#![cfg(all(feature = "cli", feature = "onnx"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod broker;
#[path = "../common/daemon.rs"]
mod daemon;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use broker::{Broker, Listener, free_port, is_there};
use daemon::{Daemon, scene};
use serde_json::Value;

const LONG: Duration = Duration::from_secs(25);
const ONLINE: &str = "tamis/ridge-07/online";
const STATUS: &str = "tamis/ridge-07/status";
const EVENT: &str = "tamis/ridge-07/gate/event";

fn mqtt(port: u16, rest: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n\
         device = \"ridge-07\"\nevery = \"200 ms\"\n{rest}\n"
    )
}

/// A stream whose predictions are published, and written down.
fn gate() -> String {
    let sinks = "kind = \"json\"\npath = \"gate.jsonl\"\n[[stream.sink]]\nkind = \"mqtt\"";
    let head = "budget = { ladder = false }\ninfer = { head = \"waste\" }\n[[stream.sink]]";
    scene("gate", 20, sinks).replacen("[[stream.sink]]", head, 1)
}

/// A stream without predictions.
fn yard() -> String {
    scene("yard", 10, "kind = \"container\"\npath = \"yard.tamis\"")
}

/// The accounts of events, which are right.
fn tally(daemon: &Daemon) -> Value {
    let mqtt = daemon.status()["mqtt"].clone();
    let n = |name: &str| mqtt[name].as_u64().unwrap();
    assert_eq!(n("made"), n("acknowledged") + n("dropped") + n("queued"), "{mqtt}");
    mqtt
}

/// Records by the index of their picture.
fn records<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<u64, Value> {
    let records = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|r| (r["index"].as_u64().unwrap(), r)).collect()
}

#[test]
fn no_event_is_missing_when_the_broker_restarts() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::open(folder.path(), free_port());
    let (port, listener) = (broker.port, Listener::start(broker.port, None));
    let daemon = Daemon::start(folder.path(), &(mqtt(port, "") + &gate()));
    daemon.until("events", LONG, |d| tally(d)["acknowledged"].as_u64() > Some(10));
    assert_eq!(listener.heard(ONLINE), ["1"]);
    drop(broker);
    // Whoever listens is back before the daemon tries again.
    daemon.until("two failures", LONG, |d| tally(d)["failures"].as_u64() >= Some(2));
    let status = tally(&daemon);
    assert_eq!(status["state"], "down", "{status}");
    let broker = Broker::open(folder.path(), port);
    daemon.until("the broker", LONG, |d| tally(d)["state"] == "up");
    let before = tally(&daemon)["acknowledged"].as_u64();
    daemon.until("more events", LONG, |d| tally(d)["acknowledged"].as_u64() > before);
    let status = tally(&daemon);
    assert_eq!((&status["reconnects"], &status["dropped"]), (&1.into(), &0.into()), "{status}");
    let (_, metrics) = daemon.page("/metrics");
    for line in [
        "tamis_mqtt_up 1",
        "tamis_mqtt_reconnects_total 1",
        "tamis_mqtt_dropped_events_total 0",
        "# TYPE tamis_mqtt_acknowledged_events_total counter",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let status: Value = serde_json::from_str(listener.heard(STATUS).last().unwrap()).unwrap();
    let stream = &status["streams"][0];
    assert_eq!((&stream["name"], &status["mqtt"]["state"]), (&"gate".into(), &"up".into()));
    assert!(stream["delivered"].as_u64() > Some(0) && stream["groups"].is_null(), "{status}");
    let (status, printed, took) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(6), "{took:?}");
    listener.until_last(ONLINE, "0");
    // What the lines made until the end was sent, each as it was written down.
    let written = std::fs::read_to_string(folder.path().join("gate.jsonl")).unwrap();
    let (written, heard) = (records(written.lines()), listener.heard(EVENT));
    let heard = records(heard.iter().map(String::as_str));
    assert_eq!(written.len() as u64, printed["delivered"].as_u64().unwrap());
    let missing: Vec<_> = written.keys().filter(|i| !heard.contains_key(i)).collect();
    assert!(missing.is_empty(), "missing {missing:?} of {}", written.len());
    assert!(heard == written);
    drop(broker);
}

#[test]
fn the_oldest_events_give_way_while_the_broker_is_away() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let daemon = Daemon::start(folder.path(), &(mqtt(port, "queue = 10") + &gate()));
    daemon.until("drops", LONG, |d| tally(d)["dropped"].as_u64() > Some(10));
    let status = tally(&daemon);
    assert_eq!((&status["queued"], &status["acknowledged"]), (&10.into(), &0.into()), "{status}");
    assert!(daemon.said().contains("mqtt is down: no broker listens there"), "{}", daemon.said());
    // The line does not wait, and loses nothing.
    let stream = daemon.stream("gate");
    assert_eq!((&stream["state"], &stream["restarts"]), (&"running".into(), &0.into()), "{stream}");
    assert!(stream["delivered"].as_u64() > Some(20), "{stream}");
    let broker = Broker::open(folder.path(), port);
    daemon.until("the broker", LONG, |d| tally(d)["acknowledged"].as_u64() > Some(10));
    drop(broker);
    let (status, _, took) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn a_password_is_asked_for_and_never_said() {
    if !is_there() {
        return;
    }
    const CANARY: &str = "canary-51c0ffee";
    let folder = tempfile::tempdir().unwrap();
    let (passwords, ours) = (folder.path().join("passwords"), folder.path().join("password"));
    let mut make = Command::new("mosquitto_passwd");
    let made = make.args(["-c", "-b"]).arg(&passwords).args(["me", "right-4711"]).output();
    if !made.is_ok_and(|m| m.status.success()) {
        eprintln!("skipped: mosquitto_passwd is not installed");
        return;
    }
    std::fs::write(&ours, format!("{CANARY}\n")).unwrap();
    let rest = format!("allow_anonymous false\npassword_file {}", passwords.display());
    let broker = Broker::start(folder.path(), free_port(), &rest);
    let user = "user = \"me\"\npassword_file = \"password\"";
    let daemon = Daemon::start(folder.path(), &(mqtt(broker.port, user) + &yard()));
    daemon.until("a refusal", LONG, |d| tally(d)["failures"].as_u64() > Some(0));
    std::thread::sleep(Duration::from_millis(2500));
    let status = tally(&daemon);
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("mqtt.password_file"), "{reason}");
    assert!(status["failures"].as_u64() <= Some(4), "it storms: {status}");
    assert_eq!(daemon.said().matches("mqtt is down").count(), 1, "{}", daemon.said());
    let shown = |d: &Daemon| [d.said(), d.page("/status").1, d.page("/metrics").1, d.page("/").1];
    shown(&daemon).iter().for_each(|words| assert!(!words.contains(CANARY), "{words}"));
    // The right one is taken without a restart.
    std::fs::write(&ours, "right-4711\n").unwrap();
    daemon.until("the broker", LONG, |d| tally(d)["state"] == "up");
    let listener = Listener::start(broker.port, Some(("me", "right-4711")));
    listener.until_last(ONLINE, "1");
    // Another stream changes nothing here, another topic does.
    let file = folder.path().join("tamis.toml");
    let more = yard().replace("yard", "more");
    std::fs::write(&file, mqtt(broker.port, user) + &yard() + &more).unwrap();
    daemon.until("the new stream", LONG, |d| d.delivered("more") > 0);
    assert_eq!(listener.heard(ONLINE), ["1"]);
    let user = format!("{user}\ntopic = \"site/a\"");
    std::fs::write(&file, mqtt(broker.port, &user) + &yard() + &more).unwrap();
    listener.until_last("site/a/online", "1");
    assert_eq!(listener.heard(ONLINE), ["1", "0"]);
    assert_eq!(daemon.stream("yard")["restarts"], 0);
    let words = [&shown(&daemon)[..], &[listener.all()]].concat();
    words.iter().for_each(|words| assert!(!words.contains("right-4711"), "{words}"));
    daemon.stop();
    listener.until_last("site/a/online", "0");
}

#[test]
fn a_daemon_that_is_killed_is_said_to_be_gone() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::open(folder.path(), free_port());
    let daemon = Daemon::start(folder.path(), &(mqtt(broker.port, "") + &yard()));
    daemon.until("the broker", LONG, |d| tally(d)["state"] == "up");
    let listener = Listener::start(broker.port, None);
    // What is said is kept for those who come later.
    listener.until_last(ONLINE, "1");
    daemon.kill();
    listener.until_last(ONLINE, "0");
}
