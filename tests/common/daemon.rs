//! A `tamis run` that is watched from outside.

#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

pub struct Daemon {
    child: Child,
    said: Arc<Mutex<String>>,
    address: Option<SocketAddr>,
}

impl Daemon {
    /// Runs a config in its folder; with pages, waits for them.
    pub fn start(folder: &Path, config: &str) -> Self {
        Self::start_with(folder, config, &[])
    }

    pub fn start_with(folder: &Path, config: &str, environment: &[(&str, &str)]) -> Self {
        let path = folder.join("tamis.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
        command.args(["run", "tamis.toml", "--json"]).current_dir(folder);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (out, lines) = (said.clone(), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                *out.lock().unwrap() += &format!("{line}\n");
            }
        });
        let mut daemon = Self { child, said, address: None };
        if config.contains("[http]") {
            daemon
                .until("pages", Duration::from_secs(20), |d| d.said().contains("pages at http://"));
            let said = daemon.said();
            let at = said.split("pages at http://").nth(1).unwrap();
            daemon.address = Some(at.split_whitespace().next().unwrap().parse().unwrap());
        }
        daemon
    }

    /// What it said on stderr so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The status line's code and the body of a page.
    pub fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address.unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        // Pictures are no text.
        let answer = String::from_utf8_lossy(&bytes);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.into())
    }

    pub fn status(&self) -> Value {
        let (code, body) = self.page("/status");
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// One stream, its accounts checked.
    pub fn stream(&self, name: &str) -> Value {
        let status = self.status();
        let streams = status["streams"].as_array().unwrap();
        for s in streams {
            let sum =
                |v: &Value| v.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
            let parts: [u64; 4] = [
                s["delivered"].as_u64().unwrap(),
                sum(&s["dropped"]),
                sum(&s["lost"]),
                s["in_flight"].as_u64().unwrap(),
            ];
            assert_eq!(s["received"].as_u64().unwrap(), parts.iter().sum::<u64>(), "{s}");
            assert_eq!(s["unaccounted"], 0, "{s}");
        }
        streams.iter().find(|s| s["name"] == name).unwrap_or(&Value::Null).clone()
    }

    pub fn delivered(&self, name: &str) -> u64 {
        self.stream(name)["delivered"].as_u64().unwrap_or(0)
    }

    /// Waits until something holds; how long it took.
    pub fn until(&self, what: &str, bound: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let begin = Instant::now();
        while !holds(self) {
            assert!(begin.elapsed() < bound, "waited for {what}; it said\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        begin.elapsed()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Tells it to stop: how it ended, what it printed, and how long it took.
    pub fn stop(mut self) -> (ExitStatus, Value, Duration) {
        let begin = Instant::now();
        self.signal("TERM");
        let (status, printed) = self.wait();
        (status, printed, begin.elapsed())
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> (ExitStatus, Value) {
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

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream of a small scene without an end.
pub fn scene(name: &str, fps: u32, sink: &str) -> String {
    format!(
        "[[stream]]\nname = \"{name}\"\nsource = {{ kind = \"scene\", width = 64, height = 48, fps = {fps} }}\n\
         codec = {{ bundle = \"rgb\", quality = 50 }}\n[[stream.sink]]\n{sink}\n"
    )
}

/// Bytes of a y4m stream of small grey pictures.
pub fn y4m(frames: usize) -> Vec<u8> {
    let mut bytes = b"YUV4MPEG2 W32 H24 F10:1 Ip A1:1 Cmono\n".to_vec();
    for i in 0..frames {
        bytes.extend(b"FRAME\n");
        bytes.extend((0..32 * 24).map(|p| (p + 7 * i) as u8));
    }
    bytes
}
