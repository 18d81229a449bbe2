//! What systemd is told: that the process is ready, reloads, stops, and is alive.
//!
//! Source: sd_notify(3), sd_watchdog_enabled(3).

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::status::Board;

/// How often the one line of `systemctl status` changes.
const STATUS: Duration = Duration::from_secs(5);

/// Tells systemd, if it is there.
#[derive(Debug)]
pub struct Notify {
    socket: Option<(UnixDatagram, String)>,
    /// How often it wants to hear that the process is alive.
    watchdog: Option<Duration>,
    fed: Option<Instant>,
    said: Option<Instant>,
}

impl Notify {
    /// Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub fn from_environment() -> Self {
        let path = std::env::var("NOTIFY_SOCKET").ok();
        let socket = path.and_then(|path| Some((UnixDatagram::unbound().ok()?, path)));
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|t| t.parse::<u64>().ok());
        let ours =
            std::env::var("WATCHDOG_PID").map_or(true, |pid| pid.parse() == Ok(std::process::id()));
        // Twice in that time, as the manual wants it.
        let watchdog = micros.filter(|_| ours).map(|m| Duration::from_micros(m / 2));
        Self { socket, watchdog, fed: None, said: None }
    }

    pub fn ready(&self) {
        self.send("READY=1");
    }

    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// The process is alive.
    pub fn watchdog(&mut self) {
        if let Some(every) = self.watchdog
            && self.fed.is_none_or(|fed| fed.elapsed() >= every)
        {
            self.fed = Some(Instant::now());
            self.send("WATCHDOG=1");
        }
    }

    /// What the lines do, in one line.
    pub fn status(&mut self, board: &Board) {
        if self.socket.is_some() && self.said.is_none_or(|said| said.elapsed() >= STATUS) {
            self.said = Some(Instant::now());
            self.send(&format!("STATUS={}", board.words()));
        }
    }

    fn send(&self, state: &str) {
        let Some((socket, path)) = &self.socket else { return };
        // Whoever does not listen does not want to know.
        let _ = match path.strip_prefix('@') {
            None => socket.send_to(state.as_bytes(), path),
            Some(name) => send_abstract(socket, state, name),
        };
    }
}

#[cfg(target_os = "linux")]
fn send_abstract(socket: &UnixDatagram, state: &str, name: &str) -> std::io::Result<usize> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    socket.send_to_addr(state.as_bytes(), &address)
}

#[cfg(not(target_os = "linux"))]
fn send_abstract(_: &UnixDatagram, _: &str, _: &str) -> std::io::Result<usize> {
    Ok(0)
}
