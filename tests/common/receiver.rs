//! A `tamis receive` that is watched from outside, and a link to it that is slow or broken.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tamis::bitstream::{Event, Limits, Packet, PacketReader, StreamHeader};

pub struct Receiver {
    child: Child,
    said: Arc<Mutex<String>>,
    pub address: SocketAddr,
}

impl Receiver {
    /// Receives into a folder; port 0 is any.
    pub fn start(folder: &Path, port: u16, more: &[&str]) -> Self {
        let begin = Instant::now();
        loop {
            let mut receiver = Self::spawn(folder, port, more);
            while receiver.child.try_wait().unwrap().is_none() {
                let said = receiver.said();
                if let Some(at) = said.split("receives at http://").nth(1) {
                    receiver.address = at.split_whitespace().next().unwrap().parse().unwrap();
                    return receiver;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            // The port of the one before may not be free yet.
            assert!(begin.elapsed() < Duration::from_secs(20), "{}", receiver.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn spawn(folder: &Path, port: u16, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        command.arg("receive").arg(folder).args(["--json", "--listen"]);
        command.arg(format!("127.0.0.1:{port}")).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (out, lines) = (said.clone(), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                *out.lock().unwrap() += &format!("{line}\n");
            }
        });
        Self { child, said, address: ([127, 0, 0, 1], port).into() }
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub fn status(&self) -> Value {
        let (code, body) = ask(self.address, "GET /v1/status", "", &[]);
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub fn stream(&self, device: &str, stream: &str) -> Value {
        self.status()["devices"][device][stream].clone()
    }

    /// Packets of a stream that are there, and those that are whole.
    pub fn packets(&self, device: &str, stream: &str) -> (u64, u64) {
        let s = self.stream(device, stream);
        (s["packets"].as_u64().unwrap_or(0), s["whole"].as_u64().unwrap_or(0))
    }

    /// Bytes of memory that it had at most.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Tells it to stop: how it ended, and what it printed.
    pub fn stop(mut self) -> (ExitStatus, Value) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        let status = self.child.wait().unwrap();
        (status, serde_json::from_str(&printed).unwrap_or(Value::Null))
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks once; the code and the body of the answer.
pub fn ask(address: SocketAddr, line: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = if headers.contains("Content-Length") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head =
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // It may be refused before it is all sent.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head[9..12].parse().unwrap(), body.into())
}

/// Uploads a batch.
pub fn post(address: SocketAddr, to: &str, body: &[u8]) -> (u16, Value) {
    let line = format!("POST /v1/packets/{to}");
    let (code, body) = ask(address, &line, "Content-Type: application/x-tamis\r\n", body);
    (code, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// Files of packets in a folder, oldest first.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|e| e.unwrap().path());
    let mut found: Vec<PathBuf> =
        paths.filter(|p| p.extension().is_some_and(|e| e == "tamis" || e == "open")).collect();
    found.sort();
    found
}

/// All packets of a folder with their headers; each may be there once, and begins with its first group.
pub fn packets(folder: &Path) -> BTreeMap<u64, (StreamHeader, Packet)> {
    let mut found = BTreeMap::new();
    for path in files(folder) {
        let mut reader = PacketReader::new(Limits::default());
        reader.push(&std::fs::read(&path).unwrap());
        reader.finish();
        let mut header = None;
        while let Some(event) = reader.next_event().unwrap() {
            match event {
                Event::Header(h) => header = Some(h),
                Event::Packet(packet) => {
                    let index = packet.stamp.index;
                    assert_eq!(packet.header.first_group, 0, "{}: {index}", path.display());
                    let new = found.insert(index, (header.clone().unwrap(), packet)).is_none();
                    assert!(new, "{}: {index} is there twice", path.display());
                }
                _ => {}
            }
        }
    }
    found
}

/// A link to an address: it can be slow, and it can be down.
pub struct Link {
    pub port: u16,
    /// Bytes a second towards the receiver; 0 closes everything.
    speed: Arc<AtomicU64>,
    pub carried: Arc<AtomicU64>,
}

impl Link {
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (speed, carried) = (Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicU64::new(0)));
        let link = Self { port, speed: speed.clone(), carried: carried.clone() };
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if speed.load(Ordering::Relaxed) == 0 {
                    continue;
                }
                let Ok(far) = TcpStream::connect(to) else { continue };
                let (from, back) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let (speed, carried) = (speed.clone(), carried.clone());
                std::thread::spawn(move || carry(from, far, &speed, &carried));
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut &back, &mut &near);
                    let _ = near.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        link
    }

    pub fn set_speed(&self, bytes_per_s: u64) {
        self.speed.store(bytes_per_s, Ordering::Relaxed);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, speed: &AtomicU64, carried: &AtomicU64) {
    let mut bytes = [0; 1024];
    from.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    loop {
        let speed = speed.load(Ordering::Relaxed);
        if speed == 0 {
            break;
        }
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) => {
                carried.fetch_add(n as u64, Ordering::Relaxed);
                if speed < u64::MAX {
                    std::thread::sleep(Duration::from_secs_f64(n as f64 / speed as f64));
                }
                if to.write_all(&bytes[..n]).is_err() {
                    break;
                }
            }
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(_) => break,
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
