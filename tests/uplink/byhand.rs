//! Batches sent by hand: repeated, reordered, cut off, wrong, hostile.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use tamis::bitstream::{Packet, PacketWriter, StreamHeader};

use super::receiver::{Receiver, ask, packets, post};

/// Packets of a recording that is made for this.
fn recording(frames: u32) -> (StreamHeader, Vec<Packet>) {
    let folder = tempfile::tempdir().unwrap();
    let y4m: Vec<u8> = super::daemon::y4m(frames as usize);
    std::fs::write(folder.path().join("x.y4m"), y4m).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"));
    let to = folder.path().join("x.tamis");
    let output = command.arg("encode").arg(folder.path().join("x.y4m")).arg("-o").arg(&to).output();
    assert!(output.unwrap().status.success());
    let found = packets(folder.path());
    let header = found[&0].0.clone();
    (header, found.into_values().map(|p| p.1).collect())
}

fn batch(header: &StreamHeader, packets: &[Packet]) -> Vec<u8> {
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(header);
    packets.iter().for_each(|p| bytes.extend(writer.packet(p)));
    bytes
}

#[test]
fn repeated_reordered_and_late_parts_are_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(folder.path(), 0, &[]);
    let at = receiver.address;
    let (header, all) = recording(30);
    let part = |from, to| all.iter().map(|p| p.part(from..to)).collect::<Vec<_>>();
    let send = |packets: &[Packet]| {
        let (code, body) = post(at, "ridge-07/gate", &batch(&header, packets));
        assert_eq!(code, 200, "{body}");
        (body["stored"].as_u64().unwrap(), body["known"].as_u64().unwrap())
    };
    let mut outer = part(4, 15);
    outer.reverse();
    assert_eq!(send(&outer), (30, 0));
    assert_eq!(send(&part(0, 2)), (30, 0));
    assert_eq!(send(&part(0, 2)), (0, 30));
    assert_eq!(send(&part(1, 4)), (30, 0));
    assert_eq!(send(&outer), (0, 30));
    let port = at.port();
    receiver.kill();
    let receiver = Receiver::start(folder.path(), port, &[]);
    assert_eq!(send(&all), (0, 30));
    assert_eq!(receiver.packets("ridge-07", "gate"), (30, 30));
    // Another packet of the same index.
    let mut other = all[3].clone();
    other.stamp.captured += Duration::from_secs(5);
    let (code, body) = post(at, "ridge-07/gate", &batch(&header, &[other]));
    assert_eq!((code, &body["conflicts"]), (409, &json!(1)), "{body}");
    assert!(body["error"].as_str().unwrap().contains("device name"), "{body}");
    receiver.stop();
    let found = packets(&folder.path().join("ridge-07/gate"));
    assert!(found.into_values().map(|p| p.1).eq(all.iter().cloned()));
}

#[test]
fn what_is_wrong_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(folder.path(), 0, &[]);
    let at = receiver.address;
    let (header, all) = recording(5);
    let good = batch(&header, &all);
    let reason = |(code, body): (u16, serde_json::Value), expected: u16| {
        assert_eq!(code, expected, "{body}");
        assert!(body["error"].as_str().is_some_and(|e| e.len() > 10), "{body}");
        body["final"] == true
    };
    assert!(reason(post(at, "ridge-07/gate", b"GIF89a and so on"), 400));
    assert!(reason(post(at, "ridge-07/gate", b""), 400));
    assert!(!reason(post(at, "..%2f/gate", &good), 400));
    assert!(!reason(post(at, "ridge-07/.hidden", &good), 400));
    assert!(!reason(post(at, "ridge-07/a/b", &good), 400));
    let (code, _) = ask(at, "POST /v1/elsewhere", "", &good);
    assert_eq!(code, 404);
    let (code, _) = ask(at, "PUT /v1/packets/ridge-07/gate", "", &good);
    assert_eq!(code, 405);
    // A browser cannot send that from some other page.
    let (code, body) =
        ask(at, "POST /v1/packets/ridge-07/gate", "Content-Type: text/plain\r\n", &good);
    assert_eq!(code, 415, "{body}");
    // A claim is refused at once, before anything was sent.
    let claim =
        format!("Content-Type: application/x-tamis\r\nContent-Length: {}\r\n", u64::MAX / 2);
    let (code, body) = ask(at, "POST /v1/packets/ridge-07/gate", &claim, b"");
    assert_eq!(code, 413, "{body}");
    // More than the limit, in pieces without a length.
    let mut stream = TcpStream::connect(at).unwrap();
    let head = "POST /v1/packets/ridge-07/gate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tamis\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk =
        [format!("{:x}\r\n", 1 << 20).into_bytes(), vec![7; 1 << 20], b"\r\n".to_vec()].concat();
    let sent = (0..40).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 40, "it reads without an end");
    // A body that breaks off.
    let mut stream = TcpStream::connect(at).unwrap();
    let head = format!(
        "POST /v1/packets/ridge-07/gate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tamis\r\nContent-Length: {}\r\n\r\n",
        good.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&good[..good.len() / 2]).unwrap();
    drop(stream);
    // A million indices that have nothing to do with each other.
    let mut writer = PacketWriter::new();
    let mut scattered = writer.header(&header);
    for i in 0..20_000_u64 {
        let mut packet = all[0].part(0..1);
        packet.stamp.index = u64::MAX - i * 1_000_003;
        scattered.extend(writer.packet(&packet));
    }
    assert!(!reason(post(at, "ridge-07/gate", &scattered), 422));
    assert_eq!(receiver.packets("ridge-07", "gate").0, 0);
    assert_eq!(ask(at, "GET /healthz", "", b"").0, 200);
    assert_eq!(post(at, "ridge-07/gate", &good).1["stored"], 5);
    let (_, metrics) = ask(at, "GET /metrics", "", b"");
    assert!(
        metrics.contains("tamis_received_packets{device=\"ridge-07\",stream=\"gate\"} 5"),
        "{metrics}"
    );
    receiver.stop();
}

#[test]
fn a_million_tiny_packets_cost_no_more_than_they_weigh() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(folder.path(), 0, &[]);
    let (header, all) = recording(1);
    let mut tiny = all[0].part(0..1);
    // A group of no values has no bytes.
    (tiny.header.lengths, tiny.payload) = (vec![0], Box::default());
    let mut writer = PacketWriter::new();
    let mut bytes = writer.header(&header);
    let mut count = 0;
    while bytes.len() < (16 << 20) - 64 {
        tiny.stamp.index = 3 * count;
        bytes.extend(writer.packet(&tiny));
        count += 1;
    }
    let (code, body) = post(receiver.address, "ridge-07/gate", &bytes);
    assert_eq!((code, body["stored"].as_u64()), (200, Some(count)), "{body}");
    let before = receiver.memory();
    assert!(before < 400 << 20, "{} MiB for {count} packets", before >> 20);
    assert_eq!(post(receiver.address, "ridge-07/gate", &bytes).1["known"].as_u64(), Some(count));
    // Where a folder cannot be made.
    std::fs::write(folder.path().join("blocked"), b"").unwrap();
    let (code, body) = post(receiver.address, "blocked/gate", &bytes);
    assert!(code == 500 && body["error"].as_str().is_some_and(|e| e.contains("blocked")), "{body}");
    receiver.stop();
}

#[test]
fn a_receiver_wants_a_token_that_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret-word\n").unwrap();
    let receiver =
        Receiver::start(&folder.path().join("in"), 0, &["--token-file", file.to_str().unwrap()]);
    let (header, all) = recording(2);
    let bytes = batch(&header, &all);
    for headers in ["", "Authorization: Bearer other\r\n"] {
        let headers = format!("Content-Type: application/x-tamis\r\n{headers}");
        let (code, body) = ask(receiver.address, "POST /v1/packets/a/b", &headers, &bytes);
        assert!(code == 401 && !body.contains("s3cret"), "{body}");
    }
    let headers = "Content-Type: application/x-tamis\r\nAuthorization: Bearer s3cret-word\r\n";
    assert_eq!(ask(receiver.address, "POST /v1/packets/a/b", headers, &bytes).0, 200);
    assert!(!receiver.said().contains("s3cret"));
    // Others than this machine need one.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"));
    let output = command
        .args(["receive", "x", "--listen", "0.0.0.0:0"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("--token-file"), "{said}");
}

#[test]
fn a_second_receiver_on_one_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(folder.path(), 0, &[]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"));
    let output = command
        .arg("receive")
        .arg(folder.path())
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    drop(receiver);
}
