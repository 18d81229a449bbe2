//! What is stored, and what is left of it when the process is killed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tamis::bitstream::{Event, Limits, PacketReader};

use super::HTTP;
use super::common::{Daemon, scene};

const LONG: Duration = Duration::from_secs(20);

/// Segments of a stream, oldest first.
pub fn segments(folder: &Path, stream: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("store").join(stream)).unwrap();
    let paths = entries.map(|e| e.unwrap().path());
    let mut found: Vec<PathBuf> =
        paths.filter(|p| p.extension().is_some_and(|e| e == "tamis" || e == "open")).collect();
    found.sort();
    found
}

/// Indices of the packets of a segment, and whether it is whole.
pub fn packets(path: &Path) -> (Vec<u64>, bool) {
    let mut reader = PacketReader::new(Limits::default());
    reader.push(&std::fs::read(path).unwrap());
    reader.finish();
    let mut found = Vec::new();
    while let Some(event) = reader.next_event().unwrap() {
        if let Event::Packet(packet) = event {
            found.push(packet.stamp.index);
        }
    }
    (found, reader.is_complete())
}

fn config(store: &str) -> String {
    format!("{HTTP}[store]\nfolder = \"store\"\n{store}\n{}", scene("gate", 50, "kind = \"store\""))
}

#[test]
fn numbers_go_on_after_a_kill_and_nothing_older_than_a_second_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("segment_time = \"2 s\"\nsync = \"200 ms\"");
    let mut known = BTreeSet::new();
    for round in 0..3 {
        let begin = Instant::now();
        let daemon = Daemon::start(folder.path(), &config);
        daemon.until("frames", LONG, |d| d.delivered("gate") > 0);
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        daemon.until("more", LONG, |d| d.delivered("gate") > 40 * (1 + round % 2) * 2);
        let before = daemon.delivered("gate");
        daemon.kill();
        let daemon = Daemon::start(folder.path(), &config);
        daemon.until("frames", LONG, |d| d.delivered("gate") > 0);
        daemon.stop();
        let mut found = BTreeSet::new();
        for path in segments(folder.path(), "gate") {
            let (indices, whole) = packets(&path);
            assert!(whole, "{}", path.display());
            assert!(indices.iter().all(|i| found.insert(*i)), "twice in {}", path.display());
        }
        assert!(known.is_subset(&found));
        // Fifty a second: one second of them at most.
        assert!(found.len() as u64 + 50 >= known.len() as u64 + before, "{before}");
        known = found;
    }
}

#[test]
fn the_oldest_go_when_the_store_is_full_and_are_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("quota = \"1 MiB\"\nsegment = \"64 KiB\"\nkeep_free = \"0 B\"")
        .replace("width = 64, height = 48", "width = 320, height = 240")
        .replace("quality = 50", "quality = 90");
    let daemon = Daemon::start(folder.path(), &config);
    let given = |d: &Daemon| {
        d.status()["store"]["streams"]["gate"]["given_up"]["oldest"]["packets"]
            .as_u64()
            .unwrap_or(0)
    };
    daemon.until("the oldest to go", Duration::from_secs(60), |d| given(d) > 10);
    let status = daemon.status();
    assert!(status["store"]["bytes"].as_u64() <= Some(1 << 20), "{status}");
    let (code, metrics) = daemon.page("/metrics");
    assert!(
        code == 200
            && metrics
                .contains("tamis_store_given_up_packets_total{stream=\"gate\",reason=\"oldest\"}")
    );
    let (_, printed, _) = daemon.stop();
    assert_eq!(printed["dropped"], serde_json::json!({}));
    // Delivered is there, or on a tombstone.
    let there: u64 =
        segments(folder.path(), "gate").iter().map(|p| packets(p).0.len() as u64).sum();
    let stones = std::fs::read_to_string(folder.path().join("store/gate/given-up.jsonl")).unwrap();
    let gone: u64 = stones
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["packets"].as_u64().unwrap())
        .sum();
    assert_eq!(printed["delivered"].as_u64(), Some(there + gone), "{printed}");
}

#[test]
fn sound_is_stored_in_parts_that_stand_alone() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[store]\nfolder = \"store\"\nsegment_time = \"1 s\"\n[source]\nkind = \"tone\"\nrate = 8000\nchannels = 1\nseconds = 120\n[codec]\nbundle = \"mono\"\n[[sink]]\nkind = \"store\"\n";
    let mut daemon = Daemon::start(folder.path(), config);
    let (status, printed) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{}", daemon.said());
    let mut all = 0;
    for (i, path) in segments(folder.path(), "main").iter().enumerate() {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"));
        // A tone plays as fast as it can: a segment holds many parts.
        let out = folder.path().join(i.to_string());
        std::fs::create_dir(&out).unwrap();
        let output = command.arg("decode").arg(path).arg("-o").arg(&out).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for wav in std::fs::read_dir(out).unwrap() {
            all += (wav.unwrap().metadata().unwrap().len() - 44) / 2;
        }
    }
    assert!(all == 120 * 8000, "{all} {printed}");
}

#[test]
fn a_second_daemon_on_one_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), &config(""));
    daemon.until("frames", LONG, |d| d.delivered("gate") > 0);
    let mut second =
        Daemon::start(folder.path(), &config("").replace("[http]\nlisten = \"127.0.0.1:0\"\n", ""));
    let (status, _) = second.wait();
    assert_eq!(status.code(), Some(1));
    std::thread::sleep(Duration::from_millis(100));
    assert!(second.said().contains("another process"), "{}", second.said());
}
