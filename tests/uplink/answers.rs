//! What a daemon makes of answers that are none, and of those that ask it to wait.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Heard, channel};
use std::time::{Duration, Instant};

use super::daemon::Daemon;
use super::receiver::{Receiver, packets};
use super::{LONG, Place, config, until_whole};

/// Gives one answer after the other, then closes every connection; tells when each request came.
fn script(answers: Vec<String>) -> (u16, Heard<(Instant, usize)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, heard) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let Some(len) = request(&mut stream) else { continue };
            let _ = told.send((Instant::now(), len));
            let Some(answer) = answers.next() else { return };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, heard)
}

/// Reads a request; the bytes of its body.
fn request(stream: &mut TcpStream) -> Option<usize> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("post /v1/packets/ridge-07/gate "), "{head}");
    let length = head.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(length)
}

#[test]
fn only_a_receiver_acknowledges_and_its_wishes_are_heard() {
    let place = Place::make();
    let close = "Connection: close\r\n";
    let of = |status: &str, headers: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\n{close}{headers}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let answers = vec![
        of("503 Busy", "Retry-After: 3\r\n", ""),
        of("200 OK", "", "<html>sign in to this network</html>"),
        of("302 Found", "Location: http://example.com/\r\n", ""),
        of("200 OK", "", &format!("{{\"x\": \"{}", "y".repeat(3 << 20))),
        format!("HTTP/1.1 200 OK\r\n{close}Content-Length: 99\r\n\r\n{{\"stored\""),
    ];
    let count = answers.len();
    let (port, heard) = script(answers);
    let daemon = Daemon::start(place.path(), &config(port, 40, ""));
    let first = heard.recv_timeout(LONG).unwrap().0;
    let second = heard.recv_timeout(LONG).unwrap().0;
    assert!(second - first >= Duration::from_millis(2900), "{:?}", second - first);
    for _ in 2..count {
        heard.recv_timeout(LONG).unwrap();
    }
    daemon
        .until("the last failure", LONG, |d| d.status()["uplink"]["failures"].as_u64() >= Some(5));
    let said = daemon.said();
    for words in ["answers 503", "no tamis receiver", "answers 302", "broke off"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let status = daemon.status()["uplink"].clone();
    assert_eq!((&status["state"], &status["sent_bytes"]), (&"down".into(), &0.into()), "{status}");
    daemon.stop();
    // All of it is still to be sent.
    let receiver = Receiver::start(&place.received(), 0, &[]);
    let daemon = Daemon::start(place.path(), &config(receiver.address.port(), 10, ""));
    until_whole(&daemon, &receiver, 50);
    daemon.stop();
    receiver.stop();
    place.check(50);
}

#[test]
fn a_wrong_token_is_named_and_a_right_one_heard() {
    let place = Place::make();
    let write = |name: &str, token: &str| std::fs::write(place.path().join(name), token).unwrap();
    write("theirs", "right-w0rd\n");
    write("ours", "wr0ng-word\n");
    let theirs = place.path().join("theirs");
    let receiver =
        Receiver::start(&place.received(), 0, &["--token-file", theirs.to_str().unwrap()]);
    let port = receiver.address.port();
    let daemon = Daemon::start(place.path(), &config(port, 20, "token_file = \"ours\""));
    daemon.until("a refusal", LONG, |d| {
        d.status()["uplink"]["reason"].as_str().is_some_and(|r| r.contains("401"))
    });
    let page = daemon.status().to_string();
    write("ours", "right-w0rd\n");
    daemon.until("an upload", LONG, |d| d.status()["uplink"]["state"] == "up");
    daemon.until("all", LONG, |d| d.status()["uplink"]["backlog_bytes"] == 0);
    for text in [daemon.said(), page, daemon.status().to_string(), receiver.said()] {
        assert!(!text.contains("w0rd") && !text.contains("wr0ng"), "{text}");
    }
    daemon.stop();
    receiver.stop();
    assert_eq!(packets(&place.received().join("ridge-07/gate")).len(), 20);
}

#[test]
fn what_fails_on_the_way_is_named() {
    let place = Place::make();
    let receiver = Receiver::start(&place.received(), 0, &[]);
    let good = config(receiver.address.port(), 5, "");
    for (url, words) in [
        // Who answers there speaks no TLS.
        (format!("https://{}/", receiver.address), ["TLS", "TLS"]),
        ("http://no-such-host.invalid/".into(), ["DNS", "takes too long"]),
    ] {
        let place = Place::make();
        let at = format!("http://127.0.0.1:{}/", receiver.address.port());
        let daemon = Daemon::start(place.path(), &good.replace(&at, &url));
        daemon.until("a reason", LONG, |d| {
            let status = d.status();
            let reason = status["uplink"]["reason"].as_str().unwrap_or_default();
            words.iter().any(|w| reason.contains(w))
        });
        daemon.stop();
    }
    receiver.stop();
}

#[test]
fn a_wrong_uplink_is_refused_at_the_start() {
    let place = Place::make();
    let good = config(1, 5, "");
    for (from, to, word) in [
        ("http://127.0.0.1:1/", "http://me:hunter2@127.0.0.1/", "token_file"),
        ("ridge-07", "../etc", "device"),
        ("device", "first = 0\ndevice", "first"),
        ("device", "rate = \"5 bit/s\"\ndevice", "rate"),
        ("device", "rate = \"5 parsecs\"\ndevice", "kbit/s"),
        ("device", "batch = \"1 GiB\"\ndevice", "batch"),
        ("device", "tokenfile = \"x\"\ndevice", "token_file"),
        ("kind = \"store\"", "kind = \"container\"\npath = \"x.tamis\"", "sink"),
    ] {
        std::fs::write(place.path().join("x.toml"), good.replacen(from, to, 1)).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"));
        let output = command.args(["check", "x.toml"]).current_dir(place.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{to}: {said}");
        assert!(said.contains(word) && !said.contains("hunter2"), "{to}: {said}");
    }
}
