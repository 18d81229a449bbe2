//! An uplink that is down for long, and then slower than what is made.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::daemon::Daemon;
use super::receiver::{Link, Receiver, packets};
use super::{say, times};

const LONG: Duration = Duration::from_secs(120);

#[test]
fn a_long_backlog_drains_in_order_of_importance() {
    let (down, slow) = (times(10, 600) as u64, times(15, 600) as u64);
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("none")).unwrap();
    let receiver = Receiver::start(&folder.path().join("received"), 0, &[]);
    let link = Link::start(receiver.address);
    link.set_speed(0);
    let (fps, frames) = (25, 25 * (down + slow));
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\nfolder = \"store\"\nsync = \"300 ms\"\n\
         [uplink]\nurl = \"http://127.0.0.1:{}/\"\ndevice = \"ridge\"\nfirst = 1\n\
         [[stream]]\nname = \"gate\"\n\
         source = {{ kind = \"scene\", width = 64, height = 48, fps = {fps}, frames = {frames}, live = true }}\n\
         codec = {{ bundle = \"rgb\", quality = 50 }}\n[[stream.sink]]\nkind = \"store\"\n\
         [[stream]]\nname = \"idle\"\nsource = {{ kind = \"watch\", folder = \"none\" }}\n\
         codec = {{ bundle = \"rgb\" }}\n[[stream.sink]]\nkind = \"container\"\npath = \"idle.tamis\"\n",
        link.port
    );
    let daemon = Daemon::start(folder.path(), &config);
    let bound = Duration::from_secs(down) + LONG;
    daemon.until("the time without uplink", bound, |d| d.delivered("gate") >= fps * down);
    let backlog = daemon.status()["uplink"]["backlog_bytes"].as_u64().unwrap();
    let made = daemon.status()["streams"][0]["bits_per_s"].as_f64().unwrap() / 8.0;
    link.set_speed((0.7 * made) as u64);
    let (mut looks, mut ahead, mut caught) = (0, 0, None);
    let begin = Instant::now();
    while daemon.delivered("gate") < frames {
        std::thread::sleep(Duration::from_millis(500));
        let s = &receiver.stream("ridge", "gate");
        let Some(groups) = s["group_packets"].as_array() else { continue };
        let counts: Vec<u64> = groups.iter().map(|g| g.as_u64().unwrap()).collect();
        // What is more important is never behind.
        assert!(counts.is_sorted_by(|a, b| a >= b), "{s}");
        looks += 1;
        let newest = daemon.delivered("gate");
        if s["last_index"].as_u64().unwrap_or(0) + 4 * fps > newest {
            caught.get_or_insert(begin.elapsed());
            ahead += u64::from(counts.get(4).copied().unwrap_or(0) < counts[0]);
        }
    }
    let caught = caught.expect("first groups of the newest");
    link.set_speed(u64::MAX);
    daemon.until("all groups", bound, |_| receiver.packets("ridge", "gate") == (frames, frames));
    daemon.until("no backlog", LONG, |d| d.status()["uplink"]["backlog_bytes"] == 0);
    daemon.stop();
    let (_, printed) = receiver.stop();
    let sent = packets(&folder.path().join("store/gate"));
    let received = packets(&folder.path().join("received/ridge/gate"));
    assert!(sent.len() as u64 == frames && sent == received, "the same, to the last bit");
    say(format_args!(
        "uplink down for {down} s ({backlog} bytes to send), then at 70 % of {made:.0} bytes a second for {slow} s: first groups \
         caught up with the newest frame after {:.0} s and were ahead of outer groups at {ahead} of {looks} looks; in the end {} \
         packets, every group once, equal to the store; {} packets were sent twice",
        caught.as_secs_f64(),
        received.len(),
        printed["since_start"]["known"]
    ));
}

#[test]
fn half_a_link_carries_the_first_groups_of_all_that_is_new() {
    let phase = Duration::from_secs(times(16, 120) as u64);
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&folder.path().join("received"), 0, &[]);
    let link = Link::start(receiver.address);
    let fps = 20;
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\nfolder = \"store\"\nsync = \"200 ms\"\n\
         [uplink]\nurl = \"http://127.0.0.1:{}/\"\ndevice = \"ridge\"\nfirst = 15\n\
         [[stream]]\nname = \"gate\"\nbudget = {{ ladder = false }}\n\
         source = {{ kind = \"scene\", width = 160, height = 120, fps = {fps} }}\n\
         codec = {{ bundle = \"rgb\", quality = 50, keys = 1 }}\n[[stream.sink]]\nkind = \"store\"\n",
        link.port
    );
    let daemon = Daemon::start(folder.path(), &config);
    let share = |d: &Daemon| d.status()["uplink"]["first"]["share"].as_f64().unwrap_or(0.0);
    // Frames that the receiver is behind.
    let late = |d: &Daemon| {
        let newest = d.delivered("gate");
        newest.saturating_sub(receiver.stream("ridge", "gate")["last_index"].as_u64().unwrap_or(0))
    };
    std::thread::sleep(Duration::from_secs(8));
    daemon.until("a free link", LONG, |d| d.status()["uplink"]["backlog_bytes"] == 0);
    let made = daemon.stream("gate")["bits_per_s"].as_f64().unwrap() / 8.0;
    assert_eq!(share(&daemon), 1.0);
    // What it takes to send it, with heads and headers, and a little more; then half of that.
    let before = (link.carried.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(phase / 4);
    let carried = (link.carried.load(Ordering::Relaxed) - before.0) as f64;
    let whole = 1.2 * carried / before.1.elapsed().as_secs_f64();
    link.set_speed(whole as u64);
    std::thread::sleep(phase / 4);
    link.set_speed((whole / 2.0) as u64);
    let halved = Instant::now();
    std::thread::sleep(Duration::from_secs(5));
    let (mut shares, mut most) = (vec![share(&daemon)], 0);
    while halved.elapsed() < phase {
        std::thread::sleep(Duration::from_millis(500));
        shares.push(share(&daemon));
        most = most.max(late(&daemon));
    }
    let changes = shares.windows(2).filter(|w| w[0] != w[1]).count();
    let settled = shares[shares.len() - 1];
    assert!(settled < 0.7, "{shares:?}");
    assert!(changes <= shares.len() / 8, "{shares:?}");
    assert!(most < 4 * fps, "{most} frames late");
    link.set_speed(u64::MAX);
    let back = daemon.until("all groups first", LONG, |d| share(d) == 1.0);
    daemon.until("no backlog", LONG, |d| {
        d.status()["uplink"]["backlog_bytes"].as_f64() < Some(3.0 * made)
    });
    daemon.stop();
    receiver.stop();
    say(format_args!(
        "a link that carried {whole:.0} bytes a second carries half: 5 s later {:.0} % of the bytes go first, {changes} changes \
         in {:.0} s, newest frame at most {:.1} s late; all of them {:.1} s after the link is whole",
        100.0 * settled,
        (phase.as_secs_f64() - 5.0),
        most as f64 / fps as f64,
        back.as_secs_f64()
    ));
}

#[test]
fn kills_of_both_ends_lose_and_repeat_nothing() {
    let kills = times(4, 100);
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start(&folder.path().join("received"), 0, &[]);
    let port = receiver.address.port();
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\nfolder = \"store\"\nsync = \"100 ms\"\nsegment_time = \"2 s\"\n\
         [uplink]\nurl = \"http://127.0.0.1:{port}/\"\ndevice = \"ridge\"\nbatch = \"4 KiB\"\n\
         [[stream]]\nname = \"gate\"\nsource = {{ kind = \"scene\", width = 64, height = 48, fps = 50 }}\n\
         codec = {{ bundle = \"rgb\", quality = 50 }}\n[[stream.sink]]\nkind = \"store\"\n"
    );
    let mut daemon = Daemon::start(folder.path(), &config);
    let mut noise = super::common::Noise(11);
    for _ in 0..kills {
        daemon.until("frames", LONG, |d| d.delivered("gate") > 0);
        std::thread::sleep(Duration::from_millis(500 + noise.below(1500) as u64));
        if noise.below(2) == 0 {
            daemon.kill();
            daemon = Daemon::start(folder.path(), &config);
        } else {
            receiver.kill();
            packets(&folder.path().join("received/ridge/gate"));
            receiver = Receiver::start(&folder.path().join("received"), port, &[]);
        }
    }
    // Nothing new is made; what is left is sent.
    daemon.stop();
    std::fs::create_dir(folder.path().join("none")).unwrap();
    let rest = config.replace("fps = 50", "fps = 50, frames = 1, live = true")
        + "[[stream]]\nname = \"idle\"\nsource = { kind = \"watch\", folder = \"none\" }\n\
           codec = { bundle = \"rgb\" }\n[[stream.sink]]\nkind = \"container\"\npath = \"idle.tamis\"\n";
    let daemon = Daemon::start(folder.path(), &rest);
    daemon.until("the last", LONG, |d| d.delivered("gate") == 1);
    let sent = packets(&folder.path().join("store/gate"));
    let all = sent.len() as u64;
    daemon.until("all", LONG, |_| receiver.packets("ridge", "gate") == (all, all));
    daemon.stop();
    receiver.stop();
    let sent = packets(&folder.path().join("store/gate"));
    let received = packets(&folder.path().join("received/ridge/gate"));
    assert!(sent == received, "{} and {} packets", sent.len(), received.len());
    say(format_args!(
        "{kills} kills of a daemon that sends or of its receiver: {} packets, every group once, equal to the store",
        received.len()
    ));
}
