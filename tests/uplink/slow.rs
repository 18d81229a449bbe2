//! A link that is slower than what is made.

use std::time::Duration;

use super::daemon::Daemon;
use super::receiver::{Link, Receiver};
use super::{LONG, Place, config, until_whole};

#[test]
fn on_a_slow_link_first_groups_of_the_new_overtake_outer_groups_of_the_old() {
    let place = Place::make();
    let receiver = Receiver::start(&place.received(), 0, &[]);
    let link = Link::start(receiver.address);
    // Down at first: there is a backlog.
    link.set_speed(0);
    let frames = 800;
    let daemon =
        Daemon::start(place.path(), &config(link.port, frames, "first = 1\nbatch = \"8 KiB\""));
    daemon.until("a backlog", LONG, |d| d.delivered("gate") >= 150);
    let made = daemon.status()["streams"][0]["bits_per_s"].as_f64().unwrap() / 8.0;
    // Then 30 % slower than what is made.
    link.set_speed((0.7 * made) as u64);
    let mut ahead = 0;
    while daemon.delivered("gate") < frames {
        std::thread::sleep(Duration::from_millis(200));
        let s = receiver.stream("ridge-07", "gate");
        let Some(last) = s["last_index"].as_u64() else { continue };
        let groups = s["group_packets"].as_array().unwrap();
        // Groups of which nothing has come are not named.
        let outer = groups.get(4).map_or(0, |g| g.as_u64().unwrap());
        let first = groups[0].as_u64().unwrap();
        // Within three seconds of the newest, while outer groups of old ones are missing.
        let newest = daemon.delivered("gate");
        if last + 150 > newest && first > outer + 50 && newest > 200 {
            // All that are there came in order: none is missing between.
            assert_eq!(first, last + 1, "{s}");
            ahead += 1;
        }
    }
    assert!(ahead > 5, "{ahead} looks, {made} bytes a second: {}", receiver.status());
    link.set_speed(u64::MAX);
    until_whole(&daemon, &receiver, frames);
    daemon.stop();
    let (_, printed) = receiver.stop();
    // Nothing was sent twice but what was on its way when the link went down.
    assert!(printed["since_start"]["known"].as_u64() < Some(100), "{printed}");
    place.check(frames);
}
