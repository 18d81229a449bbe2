//! What the pages say of lines that run.

use std::time::Duration;

use super::HTTP;
use super::common::{Daemon, scene};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn streams_run_beside_each_other_and_pages_tell_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let sink = |name| format!("kind = \"container\"\npath = \"{name}.tamis\"");
    let config =
        format!("{HTTP}{}{}", scene("gate", 30, &sink("gate")), scene("yard", 10, &sink("yard")));
    let daemon = Daemon::start(folder.path(), &config);
    daemon.until("frames", LONG, |d| d.delivered("gate") > 20 && d.delivered("yard") > 5);
    let gate = daemon.stream("gate");
    assert_eq!((&gate["state"], &gate["kind"]), (&"running".into(), &"picture".into()));
    assert_eq!(gate["extent"], serde_json::json!([48, 64]));
    assert!(
        gate["groups"].as_array().unwrap().len() > 3 && gate["bits_per_s"].as_f64() > Some(0.0)
    );
    let (code, metrics) = daemon.page("/metrics");
    assert_eq!(code, 200);
    assert!(metrics.contains("tamis_frames_delivered_total{stream=\"yard\"}"), "{metrics}");
    for path in ["/healthz", "/readyz", "/"] {
        assert_eq!(daemon.page(path).0, 200, "{path}");
    }
    // The first look says that somebody looks.
    daemon.until("a preview", LONG, |d| d.page("/preview/gate.png").0 == 200);
    let (status, printed, took) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert!(printed["streams"]["gate"]["delivered"].as_u64() > Some(20), "{printed}");
    // What was recorded is whole.
    for name in ["gate", "yard"] {
        let bytes = std::fs::read(folder.path().join(format!("{name}.tamis"))).unwrap();
        let mut reader = tamis::bitstream::PacketReader::new(tamis::bitstream::Limits::default());
        reader.push(&bytes);
        reader.finish();
        while reader.next_event().unwrap().is_some() {}
        assert!(reader.is_complete());
    }
}

#[test]
fn a_token_is_asked_for_and_never_said() {
    let folder = tempfile::tempdir().unwrap();
    const TOKEN: &str = "canary-7f3a9";
    std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
    let config = format!(
        "{HTTP}token_file = \"token\"\n{}",
        scene("gate", 30, "kind = \"container\"\npath = \"x.tamis\"")
    );
    let daemon = Daemon::start(folder.path(), &config);
    std::thread::sleep(Duration::from_millis(300));
    for path in ["/", "/status", "/metrics", "/healthz", "/readyz", "/events", "/nothing"] {
        let (code, body) = daemon.page(path);
        assert!(code == 401 && !body.contains(TOKEN), "{path}: {code}");
    }
    let said = daemon.said();
    let (status, printed, _) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    assert!(!said.contains(TOKEN) && !printed.to_string().contains(TOKEN));
}

#[test]
fn addresses_of_others_need_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[http]\nlisten = \"0.0.0.0:0\"\n{}",
        scene("a", 5, "kind = \"container\"\npath = \"x.tamis\"")
    );
    std::fs::write(folder.path().join("c.toml"), config).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tamis"));
    let output = command.args(["run", "c.toml"]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("token_file"), "{said}");
}
