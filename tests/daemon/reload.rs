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

#[test]
fn a_line_whose_sink_hangs_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("hangs.json")).status();
    assert!(made.unwrap().success());
    let limits = "[limits]\nhang = \"1 s\"\ndrain = \"1 s\"\n";
    let head = "infer = { head = \"waste\" }\n[[stream.sink]]";
    let hangs = |fps| {
        let line = scene("hangs", fps, "kind = \"json\"\npath = \"hangs.json\"");
        line.replacen("[[stream.sink]]", head, 1)
    };
    let text =
        |fps, name: &str| format!("{HTTP}{limits}{}{}", scene("well", 20, &sink(name)), hangs(fps));
    let daemon = Daemon::start(folder.path(), &text(5, "a"));
    daemon.until("frames", LONG, |d| d.delivered("well") > 3);
    std::fs::write(folder.path().join("tamis.toml"), text(6, "b")).unwrap();
    daemon.signal("HUP");
    daemon.until("the changed line", LONG, |_| folder.path().join("b.tamis").exists());
    daemon.until("more frames", LONG, |d| d.delivered("well") > 10);
    assert!(daemon.said().contains("left behind"), "{}", daemon.said());
    let (status, _, took) = daemon.stop();
    assert!(!status.success() && took < Duration::from_secs(8), "{status} {took:?}");
}

#[test]
fn a_line_of_another_name_writes_over_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| format!("{HTTP}{}", scene(name, 30, &sink("same")));
    let daemon = Daemon::start(folder.path(), &text("gate"));
    daemon.until("frames", LONG, |d| d.delivered("gate") > 5);
    std::fs::write(folder.path().join("tamis.toml"), text("yard")).unwrap();
    daemon.signal("HUP");
    daemon.until("frames of the other", LONG, |d| d.delivered("yard") > 2);
    daemon.stop();
    for name in ["same.tamis", "same-2.tamis"] {
        assert!(std::fs::metadata(folder.path().join(name)).unwrap().len() > 1000, "{name}");
    }
}
