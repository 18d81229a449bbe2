//! Sources that come and go.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tamis::bitstream::{Event, Limits, PacketReader};

use super::HTTP;
use super::common::{Daemon, y4m};
use super::store::segments;

const LONG: Duration = Duration::from_secs(20);

fn line(source: &str) -> String {
    format!(
        "{HTTP}[source]\n{source}\n[codec]\nbundle = \"rgb\"\n[[sink]]\nkind = \"container\"\npath = \"x.tamis\"\n"
    )
}

/// Places and payloads of all packets in files, and whether each continues another.
fn packets(paths: impl IntoIterator<Item = std::path::PathBuf>) -> Vec<(u64, Vec<u8>, bool)> {
    let mut found = Vec::new();
    for path in paths {
        let mut reader = PacketReader::new(Limits::default());
        reader.push(&std::fs::read(&path).unwrap());
        reader.finish();
        while let Some(event) = reader.next_event().unwrap() {
            if let Event::Packet(p) = event {
                found.push((p.stamp.index, p.payload.to_vec(), p.header.continues.is_some()));
            }
        }
    }
    found
}

#[test]
fn recordings_are_replayed_as_they_are_and_numbered_on() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, frames: u32| {
        let source =
            format!("kind = \"scene\"\nwidth = 64\nheight = 48\nframes = {frames}\nfps = 10");
        let config = line(&source).replace("x.tamis", name).replace(HTTP, "");
        Daemon::start(folder.path(), &config).wait();
        folder.path().join(name)
    };
    let all = packets([made("a.tamis", 40), made("b.tamis", 10)]);
    assert!(
        all.len() == 50 && all.iter().filter(|p| p.2).count() > 40,
        "pictures continue each other"
    );
    let replay = |speed: &str, more: &str| {
        format!(
            "[store]\nfolder = \"store\"\n[source]\nkind = \"replay\"\npaths = [\"a.tamis\", \"b.tamis\"]\nspeed = {speed}\n\
             [codec]\nbundle = \"rgb\"\n{more}[infer]\nhead = \"waste\"\n\
             [[sink]]\nkind = \"store\"\n[[sink]]\nkind = \"json\"\npath = \"x.json\"\n"
        )
    };
    for round in 1..=2 {
        let (status, printed) = Daemon::start(folder.path(), &replay("inf", "")).wait();
        assert_eq!(status.code(), Some(0), "{printed}");
        let json = std::fs::read_to_string(folder.path().join("x.json")).unwrap();
        assert_eq!((json.lines().count(), &printed["delivered"]), (50, &50.into()));
        let stored = packets(segments(folder.path(), "main"));
        assert_eq!(stored.len(), 50 * round);
        for (n, stored) in stored.iter().enumerate() {
            let made = &all[n % 50];
            assert_eq!((stored.0, &stored.1, stored.2), (n as u64, &made.1, made.2));
        }
    }
    // At the pace of capture: 3.9 and 0.9 seconds, at ten times that.
    let begin = std::time::Instant::now();
    Daemon::start(folder.path(), &replay("10", "channels = 12\n")).wait();
    assert!(begin.elapsed() >= Duration::from_millis(470));
    let mut wrong = Daemon::start(folder.path(), &replay("1", "quality = 50\n"));
    assert_eq!(wrong.wait().0.code(), Some(78));
    wrong.until("why", LONG, |d| d.said().contains("coded already"));
    // Another codec's groups are other channels.
    let other = replay("inf", "").replace("\"rgb\"", "\"mono\"");
    let other = other
        .replace("[infer]\nhead = \"waste\"\n", "")
        .replace("[[sink]]\nkind = \"json\"\npath = \"x.json\"\n", "");
    let (status, printed) = Daemon::start(folder.path(), &other).wait();
    assert_eq!((status.code(), &printed["lost"]["codec"]), (Some(65), &50.into()), "{printed}");
    // A recording is not written over before it is read.
    let over = replay("inf", "").replace("paths = [\"a.tamis\", \"b.tamis\"]", "paths = [\".\"]");
    let over = over
        .replace("kind = \"json\"\npath = \"x.json\"", "kind = \"container\"\npath = \"a.tamis\"");
    assert_eq!(Daemon::start(folder.path(), &over).wait().0.code(), Some(78));
    assert_eq!(packets([folder.path().join("a.tamis")]).len(), 40);
}

#[test]
fn files_that_were_read_are_known_to_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("inbox")).unwrap();
    let put = |name: &str| std::fs::write(folder.path().join("inbox").join(name), y4m(3)).unwrap();
    let config = format!(
        "{HTTP}[store]\nfolder = \"store\"\n[source]\nkind = \"watch\"\nfolder = \"inbox\"\nsettle = \"100 ms\"\n\
         [codec]\nbundle = \"rgb\"\n[[sink]]\nkind = \"store\"\n"
    );
    put("a.y4m");
    let daemon = Daemon::start(folder.path(), &config);
    daemon.until("the first", LONG, |d| d.delivered("main") == 3);
    put("b.y4m");
    daemon.until("the second", LONG, |d| d.delivered("main") == 6);
    assert_eq!(daemon.stop().0.code(), Some(0));
    let daemon = Daemon::start(folder.path(), &config);
    put("c.y4m");
    daemon.until("the third", LONG, |d| d.delivered("main") > 0);
    let list = folder.path().join("store/watch-main.json");
    daemon.until("what outlasts a kill", LONG, |_| {
        std::fs::read_to_string(&list).unwrap().contains("c.y4m")
    });
    assert_eq!(daemon.delivered("main"), 3, "only what is new");
    daemon.kill();
    let daemon = Daemon::start(folder.path(), &config);
    put("d.y4m");
    daemon.until("the fourth", LONG, |d| d.delivered("main") > 0);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(daemon.delivered("main"), 3, "only what is new");
}

/// A port that nobody has.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn senders_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let at = format!("127.0.0.1:{}", port());
    let daemon =
        Daemon::start(folder.path(), &line(&format!("kind = \"socket\"\nlisten = \"{at}\"")));
    for round in 1..=5 {
        daemon.until("the door", LONG, |_| TcpStream::connect(&at).is_ok());
        let mut sender = TcpStream::connect(&at).unwrap();
        sender.write_all(&y4m(4)).unwrap();
        drop(sender);
        let took = daemon.until("frames", LONG, |d| d.delivered("main") == 4 * round);
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    // Nonsense costs its sender.
    let mut sender = TcpStream::connect(&at).unwrap();
    sender.write_all(&[7; 5000]).unwrap();
    drop(sender);
    daemon.until("the loss", LONG, |d| d.stream("main")["lost"]["unreadable"].as_u64() > Some(0));
    let mut sender = TcpStream::connect(&at).unwrap();
    sender.write_all(&y4m(1)).unwrap();
    drop(sender);
    daemon.until("frames", LONG, |d| d.delivered("main") == 21);
}

#[test]
fn a_unix_socket_takes_over_what_a_kill_left() {
    let folder = tempfile::tempdir().unwrap();
    let config = line("kind = \"socket\"\npath = \"camera.sock\"");
    let path = folder.path().join("camera.sock");
    for _ in 0..2 {
        let daemon = Daemon::start(folder.path(), &config);
        let connect = || UnixStream::connect(&path);
        daemon.until("the door", LONG, |_| connect().is_ok());
        let mut sender = connect().unwrap();
        // The end of the sound of silence: the sender stays, the frames are there.
        sender.write_all(&y4m(3)).unwrap();
        daemon.until("frames", LONG, |d| d.delivered("main") == 3);
        daemon.kill();
        assert!(path.exists());
    }
}

#[test]
fn files_are_read_when_they_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("in");
    let source = "kind = \"watch\"\nfolder = \"in\"\nsettle = \"400 ms\"";
    let daemon = Daemon::start(folder.path(), &line(source));
    // The folder comes later than its watch.
    std::thread::sleep(Duration::from_millis(300));
    std::fs::create_dir(&inbox).unwrap();
    let bytes = y4m(3);
    let mut file = std::fs::File::create(inbox.join("a.y4m")).unwrap();
    for part in bytes.chunks(bytes.len() / 4) {
        file.write_all(part).unwrap();
        assert_eq!(daemon.delivered("main"), 0, "it is not whole yet");
        std::thread::sleep(Duration::from_millis(150));
    }
    std::fs::write(inbox.join("b.y4m.part"), &bytes).unwrap();
    daemon.until("frames", LONG, |d| d.delivered("main") == 3);
    std::fs::rename(inbox.join("b.y4m.part"), inbox.join("b.y4m")).unwrap();
    daemon.until("frames", LONG, |d| d.delivered("main") == 6);
    std::fs::write(inbox.join("c.y4m"), b"nonsense").unwrap();
    daemon.until("the loss", LONG, |d| d.stream("main")["lost"]["unreadable"] == 1);
    // The folder goes, with all in it, and comes back.
    std::fs::remove_dir_all(&inbox).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    std::fs::create_dir(&inbox).unwrap();
    std::fs::write(inbox.join("a.y4m"), y4m(2)).unwrap();
    daemon.until("frames", LONG, |d| d.delivered("main") == 8);
    let (status, _, took) = daemon.stop();
    assert!(status.code() == Some(3) && took < Duration::from_secs(6), "{status} {took:?}");
}
