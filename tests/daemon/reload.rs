//! A config that changes while lines run.

use std::time::Duration;

use super::HTTP;
use super::common::{Daemon, scene};

const LONG: Duration = Duration::from_secs(20);

fn sink(name: &str) -> String {
    format!("kind = \"container\"\npath = \"{name}.tamis\"")
}

#[test]
fn only_what_was_changed_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, file) = (scene("kept", 40, &sink("kept")), folder.path().join("tamis.toml"));
    let daemon =
        Daemon::start(folder.path(), &format!("{HTTP}{kept}{}", scene("other", 10, &sink("a"))));
    daemon.until("frames", LONG, |d| d.delivered("kept") > 5 && d.delivered("other") > 2);
    // Another rate, and one line more.
    let new =
        format!("{HTTP}{kept}{}{}", scene("other", 20, &sink("b")), scene("more", 10, &sink("c")));
    std::fs::write(&file, &new).unwrap();
    daemon.signal("HUP");
    daemon.until("the new line", LONG, |d| d.delivered("more") > 2);
    assert_eq!(daemon.status()["reloads"]["taken"], 1);
    daemon.until("the changed line", LONG, |_| folder.path().join("b.tamis").exists());
    // A line that is no more; the file's change alone is seen too.
    std::fs::write(&file, format!("{HTTP}{kept}")).unwrap();
    daemon.until("the end of a line", LONG, |d| d.stream("more").is_null());
    let stream = daemon.stream("kept");
    assert_eq!((&stream["restarts"], &stream["lost"]), (&0.into(), &serde_json::json!({})));
    // The end of a line that was left alone: its frames are numbered without a gap.
    let (status, printed, _) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert_eq!(printed["dropped"], serde_json::json!({}));
    assert_eq!(printed["received"], printed["delivered"]);
}

#[test]
fn a_config_that_is_wrong_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let good = format!("{HTTP}{}", scene("kept", 40, &sink("kept")));
    let daemon = Daemon::start(folder.path(), &good);
    daemon.until("frames", LONG, |d| d.delivered("kept") > 5);
    let bad = good.replace("quality", "qualty");
    std::fs::write(folder.path().join("tamis.toml"), bad).unwrap();
    daemon.signal("HUP");
    daemon.until("the refusal", LONG, |d| d.status()["reloads"]["refused"] == 1);
    let said = daemon.said();
    assert!(said.contains("tamis.toml:6") && said.contains("did you mean `quality`?"), "{said}");
    let before = daemon.delivered("kept");
    daemon.until("more frames", LONG, |d| d.delivered("kept") > before + 5);
    assert_eq!(daemon.stream("kept")["restarts"], 0);
}
