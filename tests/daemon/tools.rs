//! What is asked before a daemon runs.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::common::y4m;

fn json(folder: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    let output = command.args(args).current_dir(folder).output().unwrap();
    let printed = serde_json::from_slice(&output.stdout);
    (output.status.code(), printed.unwrap_or_else(|e| panic!("{e}: {output:?}")))
}

const CONFIG: &str = "[store]\nfolder = \"store\"\nquota = \"1 GiB\"\n[source]\nkind = \"socket\"\nlisten = \"127.0.0.1:5004\"\n[codec]\nbundle = \"rgb\"\nbitrate = 20\n[[sink]]\nkind = \"store\"\n";

#[test]
fn a_plan_says_what_a_budget_buys() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.toml"), CONFIG).unwrap();
    std::fs::write(folder.path().join("s.y4m"), y4m(6)).unwrap();
    let args =
        ["plan", "c.toml", "s.y4m", "--fps", "10", "--uplink", "8", "--watts", "2", "--json"];
    let (code, plan) = json(folder.path(), &args);
    assert_eq!((code, &plan["frames"]), (Some(0), &6.into()));
    let stream = &plan["streams"][0];
    let ways = stream["ways"].as_array().unwrap();
    assert_eq!(ways.len(), 21);
    let number = |way: &Value, name: &str| way[name].as_f64().unwrap();
    for way in ways {
        // 80 bits a byte and second at ten pictures a second.
        let kbits = number(way, "bytes") * 0.08;
        assert!((number(way, "kbit_per_s") - kbits).abs() < 1e-6);
        let days = f64::from(1 << 30) / (kbits * 125.0) / 86400.0;
        assert!((number(way, "days") - days).abs() < 1e-6 * days);
        assert!(number(way, "ms") > 0.0 && number(way, "mah_per_day") > 0.0);
    }
    let (configured, within) = (&stream["as_configured"], &stream["within_uplink"]);
    assert!(number(configured, "kbit_per_s") <= 20.0 && number(within, "kbit_per_s") <= 8.0);
    assert!(number(within, "db") <= number(configured, "db"));
    // Nothing is better for as few bytes than what is on the hull.
    for way in ways.iter().filter(|w| w["on_hull"] == true) {
        let better = |o: &&Value| {
            number(o, "bytes") < number(way, "bytes") && number(o, "db") > number(way, "db")
        };
        assert!(ways.iter().find(better).is_none(), "{way}");
    }
    // The same in words.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    let output =
        command.args(["plan", "c.toml", "s.y4m"]).current_dir(folder.path()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(words.contains("days in the store") && words.contains("as configured"), "{words}");
}

#[test]
fn a_doctor_finds_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.toml"), CONFIG).unwrap();
    let (code, found) = json(folder.path(), &["doctor", "c.toml", "--json"]);
    assert_eq!((code, &found["good"]), (Some(0), &true.into()), "{found}");
    std::fs::write(folder.path().join("c.toml"), CONFIG.replace("quota", "qouta")).unwrap();
    let (code, found) = json(folder.path(), &["doctor", "c.toml", "--json"]);
    assert_eq!((code, &found["good"]), (Some(3), &false.into()));
    assert!(found.to_string().contains("did you mean `quota`"), "{found}");
    // Somebody else is at the door.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let http = format!("[http]\nlisten = \"{}\"\n{CONFIG}", taken.local_addr().unwrap());
    std::fs::write(folder.path().join("c.toml"), http).unwrap();
    let (code, found) = json(folder.path(), &["doctor", "c.toml", "--json"]);
    assert!(code == Some(3) && found.to_string().contains("does a tamis run already"), "{found}");
}
