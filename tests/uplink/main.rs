//! A daemon that sends and a `tamis receive` that keeps: over links that are down, slow or broken.

#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used)]

mod answers;
mod byhand;
#[path = "../common/daemon.rs"]
mod daemon;
mod faults;
#[path = "../common/receiver.rs"]
mod receiver;
mod slow;

use std::path::{Path, PathBuf};
use std::time::Duration;

use daemon::Daemon;
use receiver::{Receiver, files, packets};

const LONG: Duration = Duration::from_secs(40);

/// A daemon with a scene of so many frames that is stored and sent.
pub fn config(port: u16, frames: u64, uplink: &str) -> String {
    config_with(port, frames, "width = 64, height = 48, fps = 50", uplink)
}

pub fn config_with(port: u16, frames: u64, scene: &str, uplink: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\nfolder = \"store\"\nsync = \"100 ms\"\n\
         [uplink]\nurl = \"http://127.0.0.1:{port}/\"\ndevice = \"ridge-07\"\n{uplink}\n\
         [[stream]]\nname = \"gate\"\nsource = {{ kind = \"scene\", {scene}, frames = {frames}, live = true }}\n\
         codec = {{ bundle = \"rgb\", quality = 50 }}\n[[stream.sink]]\nkind = \"store\"\n\
         {IDLE}"
    )
}

/// A line that never ends, so that the process does not either.
const IDLE: &str = "[[stream]]\nname = \"idle\"\nsource = { kind = \"watch\", folder = \"none\" }\n\
     codec = { bundle = \"rgb\" }\n[[stream.sink]]\nkind = \"container\"\npath = \"idle.tamis\"\n";

pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("none")).unwrap();
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn received(&self) -> PathBuf {
        self.path().join("received")
    }

    pub fn sent(&self) -> PathBuf {
        self.path().join("store/gate")
    }

    /// What is stored and what was received are the same, to the last bit.
    pub fn check(&self, expected: u64) {
        let (sent, received) =
            (packets(&self.sent()), packets(&self.received().join("ridge-07/gate")));
        assert_eq!(sent.len() as u64, expected);
        let missing: Vec<_> = sent.keys().filter(|i| !received.contains_key(i)).collect();
        assert!(missing.is_empty(), "missing {missing:?}");
        for (index, packet) in &sent {
            assert_eq!(received[index].0, packet.0, "header of {index}");
            assert!(
                received[index].1 == packet.1,
                "{index}: {:?}, {:?}",
                received[index].1,
                packet.1
            );
        }
        assert_eq!(sent.len(), received.len());
    }
}

/// Waits until so many packets are there, all of them whole.
pub fn until_whole(daemon: &Daemon, receiver: &Receiver, expected: u64) {
    daemon.until("all groups to arrive", LONG, |_| {
        receiver.packets("ridge-07", "gate") == (expected, expected)
    });
    daemon.until("no backlog", LONG, |d| d.status()["uplink"]["backlog_bytes"] == 0);
}

fn decode(path: &Path, to: &Path) -> Vec<(String, Vec<u8>)> {
    std::fs::create_dir(to).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"));
    let output = command.arg("decode").arg(path).arg("-o").arg(to).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(to)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_str().unwrap().into(), std::fs::read(&p).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn what_is_stored_arrives_and_decodes_to_the_same() {
    let place = Place::make();
    let receiver = Receiver::start(&place.received(), 0, &[]);
    let daemon =
        Daemon::start(place.path(), &config(receiver.address.port(), 90, "rate = \"10 Mbit/s\""));
    until_whole(&daemon, &receiver, 90);
    let status = daemon.status()["uplink"].clone();
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&"up".into(), &serde_json::Value::Null),
        "{status}"
    );
    assert!(status["sent_bytes"].as_u64() > Some(9000), "{status}");
    assert!(status["bits_per_s"].as_f64() > Some(0.0), "{status}");
    let (_, metrics) = daemon.page("/metrics");
    for line in
        ["tamis_upload_up 1", "tamis_upload_backlog_bytes 0", "tamis_upload_failures_total 0"]
    {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(place.path().join("store/uplink.json").exists());
    daemon.stop();
    let (status, printed) = receiver.stop();
    assert_eq!(status.code(), Some(0));
    let s = &printed["devices"]["ridge-07"]["gate"];
    assert_eq!(
        (&s["packets"], &s["partial"], &s["late_bytes"]),
        (&90.into(), &0.into(), &0.into()),
        "{s}"
    );
    assert_eq!((&s["first_index"], &s["last_index"]), (&0.into(), &89.into()), "{s}");
    place.check(90);
    let (sent, received) = (files(&place.sent()), files(&place.received().join("ridge-07/gate")));
    assert_eq!((sent.len(), received.len()), (1, 1));
    let [a, b] = ["a", "b"].map(|n| place.path().join(n));
    let pictures = decode(&sent[0], &a);
    assert_eq!(pictures.len(), 90);
    assert!(pictures == decode(&received[0], &b));
}
