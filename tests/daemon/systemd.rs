//! What systemd is told.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::common::{Daemon, scene};

#[test]
fn it_says_when_it_is_ready_alive_reloading_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let config = scene("a", 10, "kind = \"container\"\npath = \"x.tamis\"");
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let daemon = Daemon::start_with(folder.path(), &config, &environment);
    let wait_for = |word: &str| {
        let (begin, mut bytes) = (Instant::now(), [0; 512]);
        loop {
            assert!(begin.elapsed() < Duration::from_secs(20), "no {word}");
            if let Ok(n) = socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
                if text.contains(word) {
                    return text;
                }
            }
        }
    };
    wait_for("READY=1");
    for _ in 0..3 {
        wait_for("WATCHDOG=1");
    }
    assert!(wait_for("STATUS=").contains("1 streams"));
    daemon.signal("HUP");
    assert!(wait_for("RELOADING=1").contains("MONOTONIC_USEC="));
    wait_for("READY=1");
    daemon.signal("TERM");
    wait_for("STOPPING=1");
}
