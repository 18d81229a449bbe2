//! Sixteen cameras behind five megabits a second, on two cores, each with a head.

use std::time::{Duration, Instant};

use super::daemon::Daemon;
use super::{say, times};

const STREAMS: u64 = 16;
const FPS: f64 = 5.0;

#[test]
fn sixteen_streams_with_a_head_fit_two_cores_and_five_megabits() {
    if cfg!(debug_assertions) {
        say(
            "sixteen streams: left out, this build is not optimised; cargo test --release --test campaign",
        );
        return;
    }
    let time = Duration::from_secs(times(30, 600) as u64);
    let folder = tempfile::tempdir().unwrap();
    let mut config = String::from(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\nfolder = \"store\"\nquota = \"256 MiB\"\n",
    );
    for n in 0..STREAMS {
        config += &format!(
            "[[stream]]\nname = \"camera-{n:02}\"\n\
             source = {{ kind = \"scene\", width = 640, height = 360, fps = {FPS}, seed = {n} }}\n\
             codec = {{ bundle = \"rgb\", bitrate = 290 }}\ninfer = {{ head = \"waste\" }}\n\
             [[stream.sink]]\nkind = \"store\"\n"
        );
    }
    let daemon = Daemon::start(folder.path(), &config);
    // What is known of latencies is that of the last minute.
    std::thread::sleep(Duration::from_secs(70).min(10 * time));
    let sums = |daemon: &Daemon| {
        let status = daemon.status();
        let streams = status["streams"].as_array().unwrap().clone();
        let sum = |what: &dyn Fn(&serde_json::Value) -> f64| streams.iter().map(what).sum::<f64>();
        let counts = |s: &serde_json::Value, key: &str| -> f64 {
            s[key].as_object().unwrap().values().filter_map(serde_json::Value::as_f64).sum()
        };
        let number = |v: &serde_json::Value| v.as_f64().unwrap();
        let p99 = streams.iter().map(|s| number(&s["latency_ms"]["p99"])).fold(0.0, f64::max);
        let unaccounted = sum(&|s| number(&s["unaccounted"]).abs());
        assert_eq!(unaccounted, 0.0);
        (
            sum(&|s| number(&s["delivered"])),
            sum(&|s| counts(s, "dropped") + counts(s, "lost")),
            sum(&|s| number(&s["bits_per_s"])),
            p99,
        )
    };
    let (before, begin) = (sums(&daemon), Instant::now());
    let (mut slowest, mut most) = (0.0_f64, 0.0_f64);
    while begin.elapsed() < time {
        std::thread::sleep(Duration::from_secs(2));
        let now = sums(&daemon);
        (slowest, most) = (slowest.max(now.3), most.max(now.2));
    }
    let after = sums(&daemon);
    let fps = (after.0 - before.0) / begin.elapsed().as_secs_f64();
    let gone = after.1 - before.1;
    daemon.stop();
    say(format_args!(
        "{STREAMS} streams of 640x360 at {FPS} frames a second with a head, for {:.0} s: {fps:.1} frames a second, {gone} \
         dropped or lost, at most {:.2} Mbit/s, slowest p99 {slowest:.0} ms",
        begin.elapsed().as_secs_f64(),
        most / 1e6,
    ));
    assert!(fps > 0.99 * FPS * STREAMS as f64, "{fps} frames a second");
    assert!(gone == 0.0 && most <= 5e6 && slowest < 250.0, "{gone} {most} {slowest}");
}
