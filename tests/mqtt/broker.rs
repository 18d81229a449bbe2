//! A mosquitto of a test, and somebody who listens there.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};

/// Where distributions put it.
const MOSQUITTO: [&str; 3] = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];

pub struct Broker {
    child: Child,
    pub port: u16,
}

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether there is a broker to test with; if not, says so.
pub fn is_there() -> bool {
    let there = MOSQUITTO.iter().any(|m| Command::new(m).arg("-h").output().is_ok());
    if !there {
        eprintln!("skipped: mosquitto is not installed");
    }
    there
}

impl Broker {
    /// Starts a broker that keeps nothing; `rest` is more of its config.
    pub fn start(folder: &Path, port: u16, rest: &str) -> Self {
        let config = folder.join(format!("mosquitto-{port}.conf"));
        let words = format!("listener {port} 127.0.0.1\nuser root\npersistence false\n{rest}\n");
        std::fs::write(&config, words).unwrap();
        let spawn = |name: &&str| {
            let mut command = Command::new(name);
            command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
            match command.spawn() {
                Err(e) if e.kind() == ErrorKind::NotFound => None,
                spawned => Some(spawned.unwrap()),
            }
        };
        let child = MOSQUITTO.iter().find_map(spawn).unwrap();
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(10), "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, port }
    }

    /// A broker that anybody may use.
    pub fn open(folder: &Path, port: u16) -> Self {
        Self::start(folder, port, "allow_anonymous true")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hears all that is published, and comes back at once when the broker does.
pub struct Listener {
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Listener {
    /// Listens at a port, as `user` with a password if one is given; waits until it does.
    pub fn start(port: u16, user: Option<(&str, &str)>) -> Self {
        let mut options = MqttOptions::new("listener", "127.0.0.1", port);
        options.set_max_packet_size(1 << 20, 1 << 20);
        if let Some((user, password)) = user {
            options.set_credentials(user, password);
        }
        let (client, mut connection) = Client::new(options, 100);
        let heard: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let (ready, listens) = std::sync::mpsc::channel();
        let out = heard.clone();
        std::thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        client.subscribe("#", QoS::AtLeastOnce).unwrap();
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => drop(ready.send(())),
                    Ok(Event::Incoming(Packet::Publish(p))) => {
                        let words = String::from_utf8(p.payload.to_vec()).unwrap();
                        out.lock().unwrap().push((p.topic, words));
                    }
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        });
        listens.recv_timeout(Duration::from_secs(10)).unwrap();
        Self { heard }
    }

    /// All that was heard on a topic so far.
    pub fn heard(&self, topic: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|h| h.0 == topic).map(|h| h.1.clone()).collect()
    }

    /// All that was heard.
    pub fn all(&self) -> String {
        format!("{:?}", self.heard.lock().unwrap())
    }

    /// Waits until the last word on a topic is this.
    pub fn until_last(&self, topic: &str, word: &str) {
        let begin = Instant::now();
        while self.heard(topic).last().map(String::as_str) != Some(word) {
            assert!(begin.elapsed() < Duration::from_secs(15), "{topic}: {}", self.all());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
