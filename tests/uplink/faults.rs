//! Receivers and daemons that go and come back.

use std::time::Duration;

use super::daemon::Daemon;
use super::receiver::{Link, Receiver, packets};
use super::{LONG, Place, config, until_whole};

#[test]
fn a_receiver_that_comes_late_gets_everything() {
    let place = Place::make();
    // An address that nobody listens at.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let daemon = Daemon::start(place.path(), &config(free, 100, ""));
    daemon.until("frames", LONG, |d| d.delivered("gate") > 60);
    daemon.until("a failure", LONG, |d| d.status()["uplink"]["failures"].as_u64() > Some(0));
    let status = daemon.status()["uplink"].clone();
    assert_eq!(status["state"], "down", "{status}");
    assert!(status["reason"].as_str().unwrap().contains("connection"), "{status}");
    daemon
        .until("a backlog", LONG, |d| d.status()["uplink"]["backlog_bytes"].as_u64() > Some(5000));
    let receiver = Receiver::start(&place.received(), free, &[]);
    until_whole(&daemon, &receiver, 100);
    assert_eq!(daemon.status()["uplink"]["state"], "up");
    daemon.stop();
    receiver.stop();
    place.check(100);
}

#[test]
fn a_receiver_that_is_killed_keeps_everything_once() {
    let place = Place::make();
    let mut receiver = Receiver::start(&place.received(), 0, &[]);
    let port = receiver.address.port();
    let daemon = Daemon::start(place.path(), &config(port, 250, "batch = \"4 KiB\"\nfirst = 2"));
    for round in 1..=4 {
        daemon.until("some packets", LONG, |_| receiver.packets("ridge-07", "gate").0 > 20 * round);
        receiver.kill();
        // What a reader sees is in order at every moment.
        packets(&place.received().join("ridge-07/gate"));
        receiver = Receiver::start(&place.received(), port, &[]);
    }
    until_whole(&daemon, &receiver, 250);
    daemon.stop();
    receiver.kill();
    let receiver = Receiver::start(&place.received(), 0, &[]);
    daemon_free_check(&receiver);
    receiver.stop();
    place.check(250);
}

fn daemon_free_check(receiver: &Receiver) {
    let begin = std::time::Instant::now();
    while receiver.packets("ridge-07", "gate") != (250, 250) {
        assert!(begin.elapsed() < LONG, "{}", receiver.status());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_daemon_that_is_killed_goes_on_with_its_backlog() {
    let place = Place::make();
    let receiver = Receiver::start(&place.received(), 0, &[]);
    let link = Link::start(receiver.address);
    link.set_speed(4000);
    let config = config(link.port, 60, "first = 2");
    for _ in 0..2 {
        let daemon = Daemon::start(place.path(), &config);
        daemon.until("frames", LONG, |d| d.delivered("gate") > 25);
        daemon.until("some sent", LONG, |d| d.status()["uplink"]["sent_bytes"].as_u64() > Some(0));
        daemon.kill();
    }
    link.set_speed(u64::MAX);
    let daemon = Daemon::start(place.path(), &config);
    daemon.until("all frames", LONG, |d| d.delivered("gate") == 60);
    let all = |d: &Daemon| d.status()["uplink"]["backlog_bytes"] == 0;
    // Not before it has looked.
    daemon.until("something sent", LONG, |d| d.status()["uplink"]["sent_bytes"].as_u64() > Some(0));
    std::thread::sleep(Duration::from_millis(1500));
    daemon.until("no backlog", LONG, all);
    daemon.stop();
    receiver.stop();
    let sent = packets(&place.sent()).len() as u64;
    assert!(sent > 100, "{sent}");
    place.check(sent);
}
