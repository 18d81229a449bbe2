//! A daemon that is killed, reloaded, and whose sources come and go.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use tamis::bitstream::{Event, Limits, PacketReader};

use super::common::Noise;
use super::daemon::{Daemon, scene, y4m};
use super::{say, times};

const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";
const LONG: Duration = Duration::from_secs(30);

/// Indices of all packets of a stored stream; each segment must be readable, and closed ones whole.
fn stored(folder: &Path) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ending = path.extension().unwrap_or_default().to_owned();
        if ending != "tamis" && ending != "open" {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if bytes.is_empty() && ending == "open" {
            // Killed before the first packet of a segment.
            continue;
        }
        let mut reader = PacketReader::new(Limits::default());
        reader.push(&bytes);
        reader.finish();
        while let Some(event) = reader.next_event().unwrap() {
            match event {
                Event::Packet(packet) => {
                    assert!(found.insert(packet.stamp.index), "twice: {}", packet.stamp.index);
                }
                Event::Damage { .. } => assert!(ending == "open", "{}", path.display()),
                _ => {}
            }
        }
        assert!(ending == "open" || reader.is_complete(), "{}", path.display());
    }
    found
}

#[test]
fn kills_cost_a_second_at_most_and_the_next_start_is_quick() {
    let kills = times(8, 500);
    let folder = tempfile::tempdir().unwrap();
    let line = scene("gate", 50, "kind = \"store\"");
    let config = format!(
        "{HTTP}[store]\nfolder = \"store\"\nsegment_time = \"1 s\"\nsync = \"300 ms\"\n{line}"
    );
    let stream = folder.path().join("store/gate");
    let mut noise = Noise(5);
    let (mut slowest, mut most, mut total) = (Duration::ZERO, 0, 0);
    for _ in 0..kills {
        let before = if stream.exists() { stored(&stream) } else { BTreeSet::new() };
        let begin = Instant::now();
        let daemon = Daemon::start(folder.path(), &config);
        daemon.until("the first frame", LONG, |d| d.delivered("gate") > 0);
        slowest = slowest.max(begin.elapsed());
        std::thread::sleep(Duration::from_millis(noise.below(1500) as u64));
        let delivered = daemon.delivered("gate");
        daemon.kill();
        let after = stored(&stream);
        assert!(before.is_subset(&after), "what was there stays");
        let kept = (after.len() - before.len()) as u64;
        let lost = delivered.saturating_sub(kept);
        (most, total) = (most.max(lost), total + lost);
        assert!(lost <= 50, "{lost} of {delivered} frames, 50 a second");
    }
    assert!(
        slowest < Duration::from_secs(if cfg!(debug_assertions) { 6 } else { 2 }),
        "{slowest:?}"
    );
    say(format_args!(
        "{kills} kills of a daemon that stores 50 frames a second: {total} delivered frames lost, {most} at most at once; \
         slowest start to its first frame {:.2} s",
        slowest.as_secs_f64()
    ));
}

#[test]
fn senders_that_come_back_are_heard() {
    let rounds = times(10, 100) as u64;
    let folder = tempfile::tempdir().unwrap();
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "{HTTP}[source]\nkind = \"socket\"\nlisten = \"{at}\"\n[codec]\nbundle = \"rgb\"\n[[sink]]\nkind = \"container\"\npath = \"x.tamis\"\n"
    );
    let daemon = Daemon::start(folder.path(), &config);
    daemon.until("the door", LONG, |_| TcpStream::connect(at).is_ok());
    let mut slowest = Duration::ZERO;
    for round in 1..=rounds {
        let mut sender = TcpStream::connect(at).unwrap();
        let bytes = y4m(3);
        // Every other breaks off within its last frame.
        let torn = if round % 2 == 0 { bytes.len() - 300 } else { bytes.len() };
        sender.write_all(&bytes[..torn]).unwrap();
        drop(sender);
        let expected = 3 * round - round / 2;
        slowest = slowest.max(daemon.until("frames", LONG, |d| d.delivered("main") == expected));
    }
    assert!(slowest < Duration::from_secs(10));
    assert_eq!(daemon.stream("main")["restarts"], 0);
    say(format_args!(
        "a sender that went and came back {rounds} times of {rounds}, its frames flow again within {:.2} s",
        slowest.as_secs_f64()
    ));
}

#[test]
fn reloads_leave_other_lines_alone() {
    let reloads = times(10, 200);
    let folder = tempfile::tempdir().unwrap();
    let kept = scene("kept", 30, "kind = \"container\"\npath = \"kept.tamis\"");
    let text = |n: usize| {
        let sink = format!("kind = \"container\"\npath = \"other-{n}.tamis\"");
        format!("{HTTP}{kept}{}", scene("other", 10, &sink))
    };
    let daemon = Daemon::start(folder.path(), &text(0));
    daemon.until("frames", LONG, |d| d.delivered("kept") > 3);
    let (mut slowest, mut refused) = (Duration::ZERO, Duration::ZERO);
    let file = folder.path().join("tamis.toml");
    for n in 1..=reloads {
        if n % 5 == 0 {
            std::fs::write(&file, text(n).replace("quality = 50", "quality = 500")).unwrap();
            daemon.signal("HUP");
            let count = (n / 5) as u64;
            refused = refused.max(daemon.until("a refusal", LONG, |d| {
                d.status()["reloads"]["refused"].as_u64() >= Some(count)
            }));
        } else {
            std::fs::write(&file, text(n)).unwrap();
            daemon.signal("HUP");
            let path = folder.path().join(format!("other-{n}.tamis"));
            slowest = slowest.max(daemon.until("the new line", LONG, |_| path.exists()));
        }
    }
    let (status, printed, _) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{printed}");
    let kept = &printed["streams"]["kept"];
    assert_eq!(kept["dropped"], serde_json::json!({}));
    assert_eq!((&kept["received"], &kept["lost"]), (&kept["delivered"], &serde_json::json!({})));
    let mut reader = PacketReader::new(Limits::default());
    reader.push(&std::fs::read(folder.path().join("kept.tamis")).unwrap());
    reader.finish();
    let mut next = 0;
    while let Some(event) = reader.next_event().unwrap() {
        if let Event::Packet(packet) = event {
            assert_eq!(packet.stamp.index, next, "no frame is missing");
            next += 1;
        }
    }
    assert_eq!(kept["delivered"], next);
    say(format_args!(
        "{reloads} reloads under load, every fifth refused: {next} frames of the line beside, none missing; a new line within \
         {:.2} s, a refusal within {:.2} s",
        slowest.as_secs_f64(),
        refused.as_secs_f64()
    ));
}
