//! Packets between processes by Zenoh: all of them, the first groups only, and a link that is cut.

#![cfg(all(feature = "cli", feature = "zenoh"))]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "common/daemon.rs"]
mod daemon;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daemon::Daemon;
use tamis::bitstream::{Event, Limits, Packet, PacketReader};

const LONG: Duration = Duration::from_secs(120);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Publishes a scene, and writes it down.
fn publisher(port: u16, frames: u64, live: bool, fps: u32) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[[stream]]\nname = \"belt\"\n\
         source = {{ kind = \"scene\", width = 64, height = 48, frames = {frames}, live = {live}, fps = {fps} }}\n\
         codec = {{ bundle = \"rgb\", quality = 50, channels = 12 }}\nbudget = {{ ladder = false }}\n\
         queue = \"wait\"\n\
         [[stream.sink]]\nkind = \"container\"\npath = \"whole.tamis\"\n\
         [[stream.sink]]\nkind = \"zenoh\"\nkey = \"tamis/belt\"\nwait = \"3 s\"\nlisten = \"127.0.0.1:{port}\"\n"
    )
}

/// Writes down what comes.
fn subscriber(port: u16, groups: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[[stream]]\nname = \"copy\"\n\
         source = {{ kind = \"zenoh\", key = \"tamis/belt\", connect = \"127.0.0.1:{port}\"{groups} }}\n\
         codec = {{ bundle = \"rgb\" }}\n\
         [[stream.sink]]\nkind = \"container\"\npath = \"copy.tamis\"\n"
    )
}

fn packets(path: &Path) -> Vec<Packet> {
    let mut reader = PacketReader::new(Limits::default());
    reader.push(&std::fs::read(path).unwrap());
    reader.finish();
    let mut packets = Vec::new();
    while let Some(event) = reader.next_event().unwrap() {
        match event {
            Event::Packet(packet) => packets.push(packet),
            Event::Damage { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }
    packets
}

#[test]
fn ten_thousand_packets_and_their_first_groups() {
    const FRAMES: u64 = 10_000;
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let port = free_port();
    let all = Daemon::start(folders[0].path(), &subscriber(port, ""));
    let first = Daemon::start(folders[1].path(), &subscriber(port, ", groups = 1"));
    let publisher = Daemon::start(folders[2].path(), &publisher(port, FRAMES, false, 30));
    for (name, subscriber) in [("all", &all), ("first", &first)] {
        subscriber.until(name, LONG, |d| d.delivered("copy") >= FRAMES);
        let stream = subscriber.stream("copy");
        assert_eq!(
            (&stream["received"], &stream["delivered"]),
            (&FRAMES.into(), &FRAMES.into()),
            "{stream}"
        );
    }
    let ends = [publisher, all, first].map(|d| d.stop().0.code());
    assert_eq!(ends, [Some(0); 3]);
    let whole = packets(&folders[2].path().join("whole.tamis"));
    assert_eq!(whole.len() as u64, FRAMES);
    assert!(whole.iter().any(|p| p.header.continues.is_some()) && whole[0].groups() == (0..3));
    // Byte for byte: headers, times, index.
    let read = |folder: usize, name| std::fs::read(folders[folder].path().join(name)).unwrap();
    assert!(read(2, "whole.tamis") == read(0, "copy.tamis"), "the recordings differ");
    let firsts = packets(&folders[1].path().join("copy.tamis"));
    assert_eq!(firsts.len(), whole.len());
    for (first, whole) in firsts.iter().zip(&whole) {
        assert_eq!(first, &whole.part(0..1));
    }
}

/// Carries bytes between two ends, until it is cut.
struct Cable {
    port: u16,
    /// What is connected; nobody is let in while it is cut.
    ends: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Cable {
    fn new(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ends = Arc::new(Mutex::new(Some(Vec::new())));
        let shared = ends.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let mut ends = shared.lock().unwrap();
                let Some(ends) = ends.as_mut() else { continue };
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let mut bytes = vec![0; 1 << 16];
                        while let Ok(n @ 1..) = from.read(&mut bytes) {
                            if to.write_all(&bytes[..n]).is_err() {
                                break;
                            }
                        }
                        // Whoever is gone already hears nothing.
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                ends.extend([near, far]);
            }
        });
        Self { port, ends }
    }

    fn cut(&self) {
        for end in self.ends.lock().unwrap().take().unwrap() {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        *self.ends.lock().unwrap() = Some(Vec::new());
    }
}

#[test]
fn a_gap_is_counted_when_the_link_is_cut() {
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let port = free_port();
    let publisher = Daemon::start(folders[0].path(), &publisher(port, 100_000, true, 50));
    let cable = Cable::new(port);
    let subscriber = Daemon::start(folders[1].path(), &subscriber(cable.port, ""));
    subscriber.until("packets", LONG, |d| d.delivered("copy") > 20);
    cable.cut();
    std::thread::sleep(Duration::from_millis(500));
    let before = subscriber.delivered("copy");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(subscriber.delivered("copy"), before, "nothing comes through a cut link");
    cable.mend();
    subscriber.until("more", LONG, |d| d.delivered("copy") > before + 50);
    assert_eq!(publisher.stream("belt")["lost"], serde_json::json!({}));
    publisher.stop();
    let stream = subscriber.stream("copy");
    let (status, report, _) = subscriber.stop();
    // Something was lost.
    assert_eq!(status.code(), Some(3), "{report}");
    let copy = packets(&folders[1].path().join("copy.tamis"));
    let (first, last) = (copy[0].stamp.index, copy[copy.len() - 1].stamp.index);
    let missing = last + 1 - first - copy.len() as u64;
    assert!(missing > 50, "{missing}");
    assert_eq!(stream["lost"], serde_json::json!({ "gap": missing }), "{report}");
    // What came is what was sent.
    let whole = packets(&folders[0].path().join("whole.tamis"));
    for packet in &copy {
        assert_eq!(Some(packet), whole.get(packet.stamp.index as usize));
    }
}

#[test]
fn who_comes_late_begins_with_a_packet_that_stands_alone() {
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let port = free_port();
    let publisher = Daemon::start(folders[0].path(), &publisher(port, 100_000, true, 50));
    publisher.until("packets", LONG, |d| d.delivered("belt") > 40);
    let subscriber = Daemon::start(folders[1].path(), &subscriber(port, ""));
    subscriber.until("packets", LONG, |d| d.delivered("copy") > 40);
    let stream = subscriber.stream("copy");
    assert_eq!(stream["lost"], serde_json::json!({}), "{stream}");
    subscriber.stop();
    let copy = packets(&folders[1].path().join("copy.tamis"));
    assert!(copy[0].stamp.index > 0 && copy[0].header.continues.is_none());
    let dropped = stream["dropped"]["joined_midway"].as_u64().unwrap_or(0);
    assert!(dropped < 64, "{stream}");
    publisher.stop();
}
