//! `--device`: with no GPU, and with one that is this processor.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tamis::pipeline::media::encode_png;

use super::common::picture;
#[cfg(feature = "cuda")]
use super::gpu;

/// Runs the command with the drivers in a folder, of which this is wrong.
fn with(drivers: Option<&Path>, wrong: &str, folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tamis"));
    command.args(args).current_dir(folder).env_remove("LD_LIBRARY_PATH");
    if let Some(drivers) = drivers {
        command.env("LD_LIBRARY_PATH", drivers).env("TAMIS_TEST_GPU", wrong);
    }
    command.output().unwrap()
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[cfg(feature = "cuda")]
fn sound_file() -> Vec<u8> {
    let sound = super::common::sound(4000, 1, 8000, 1);
    tamis::pipeline::media::encode_wav(&sound, tamis::pipeline::media::WavDepth::I16).unwrap()
}

fn pictures(folder: &Path) {
    std::fs::create_dir(folder.join("in")).unwrap();
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        let png = encode_png(&picture(70, 150, seed)).unwrap();
        std::fs::write(folder.join(format!("in/{name}.png")), png).unwrap();
    }
}

#[test]
fn without_a_gpu_a_strict_request_fails_and_auto_runs_on_the_processor() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let doctor = with(None, "", folder.path(), &["doctor", "--json"]);
    let found: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let gpu = found["findings"].as_array().unwrap().iter().find(|f| f["what"] == "gpu").unwrap();
    assert_eq!(gpu["good"], true);
    let Some(reason) = gpu["words"].as_str().unwrap().strip_prefix("none: ") else {
        return eprintln!("skipped: there is a GPU, {}", gpu["words"]);
    };
    let lacks = if cfg!(feature = "cuda") { "libcuda.so.1" } else { "no CUDA" };
    assert!(reason.contains(lacks), "{reason}");

    let args = ["encode", "in", "-o", "x.tamis", "--device", "cuda:0"];
    let strict = with(None, "", folder.path(), &args);
    assert_eq!(strict.status.code(), Some(1));
    assert!(said(&strict).contains(&format!("device cuda:0: {reason}")), "{}", said(&strict));
    assert!(!said(&strict).contains("panicked"), "{}", said(&strict));
    assert!(!folder.path().join("x.tamis").exists());

    let args = ["encode", "in", "-o", "x.tamis", "--device", "auto"];
    let auto = with(None, "", folder.path(), &args);
    assert_eq!(auto.status.code(), Some(0), "{}", said(&auto));
    assert!(said(&auto).contains(&format!("the processor encodes: {reason}")), "{}", said(&auto));

    let bench = with(None, "", folder.path(), &["bench", "--device", "cuda:0", "--json"]);
    assert_eq!(bench.status.code(), Some(1));
    let unknown = with(None, "", folder.path(), &["encode", "in", "-o", "y", "--device", "gpu"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said(&unknown).contains("cpu, auto, and cuda:0"), "{}", said(&unknown));

    let config = "[source]\nkind = \"files\"\npaths = [\"in\"]\n[codec]\nbundle = \"rgb\"\n\
                  device = \"cuda:0\"\n[[sink]]\nkind = \"container\"\npath = \"z.tamis\"\n";
    std::fs::write(folder.path().join("c.toml"), config).unwrap();
    assert_eq!(with(None, "", folder.path(), &["check", "c.toml"]).status.code(), Some(0));
    let run = with(None, "", folder.path(), &["run", "c.toml"]);
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    assert!(said(&run).contains(reason), "{}", said(&run));
    let doctor = with(None, "", folder.path(), &["doctor", "c.toml"]);
    assert_eq!(doctor.status.code(), Some(3));
}

/// Latents of recordings, device by device.
#[cfg(feature = "cuda")]
#[test]
fn a_gpu_writes_the_same_recordings() {
    let drivers = match gpu::driver(false) {
        Ok(drivers) => drivers,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let run = |wrong: &str, args: &[&str]| with(Some(&drivers), wrong, folder.path(), args);
    let packets = |name: &str| {
        // What stands before the packets names the device.
        let info = run("whole", &["info", name, "--json"]);
        let info: Value = serde_json::from_slice(&info.stdout).unwrap();
        let png = format!("{name}.png");
        let out = run("whole", &["decode", name, "--preview", "-o", &format!("{png}/")]);
        assert_eq!(out.status.code(), Some(0), "{}", said(&out));
        let mut all: Vec<_> = std::fs::read_dir(folder.path().join(&png)).unwrap().collect();
        all.sort_by_key(|e| e.as_ref().unwrap().path());
        let all: Vec<Vec<u8>> =
            all.into_iter().map(|e| std::fs::read(e.unwrap().path()).unwrap()).collect();
        assert_eq!(all.len(), 3);
        (info["devices"][0].clone(), info["groups"].clone(), all)
    };
    for rate in [&["--quality", "60"][..], &["--bpp", "1"]] {
        let encode = |wrong, device, to| {
            let args = ["encode", "in", "--fps", "10", "-o", to, "--device", device];
            let out = run(wrong, &[&args[..], rate].concat());
            assert_eq!(out.status.code(), Some(0), "{}", said(&out));
            said(&out)
        };
        assert_eq!(encode("whole", "cpu", "cpu.tamis"), "");
        let cpu = packets("cpu.tamis");
        assert_eq!(encode("whole", "cuda:0", "gpu.tamis"), "");
        let gpu = packets("gpu.tamis");
        // A size counts the name of the device too.
        let same = |a: &(Value, Value, Vec<Vec<u8>>)| rate[0] == "--bpp" || a.2 == cpu.2;
        assert!(same(&gpu), "{rate:?}: {} for {}", gpu.1, cpu.1);
        assert_eq!([&cpu.0, &gpu.0], ["cpu", "cuda:0 (a processor in its place)"]);
        // One that fails is given up on, and no picture is lost.
        let words = encode("lost", "auto", "fell.tamis");
        assert!(
            words.contains("(CUDA_ERROR_OF_A_TEST); the processor encodes from here on"),
            "{words}"
        );
        assert!(same(&packets("fell.tamis")), "{rate:?}");
    }
    // A sound among pictures: named, and the rest is done.
    std::fs::write(folder.path().join("in/s.wav"), sound_file()).unwrap();
    let mixed = run("whole", &["encode", "in", "-o", "mixed/", "--device", "cuda:0"]);
    assert_eq!(mixed.status.code(), Some(3), "{}", said(&mixed));
    assert!(said(&mixed).contains("s.wav") && said(&mixed).contains("device cuda:0"));
    std::fs::remove_file(folder.path().join("in/s.wav")).unwrap();
    let strict = run("lost", &["encode", "in", "-o", "l.tamis", "--device", "cuda:0"]);
    assert_eq!(strict.status.code(), Some(1), "{}", said(&strict));
    assert!(said(&strict).contains("CUDA_ERROR_OF_A_TEST"), "{}", said(&strict));

    let sizes = ["bench", "in", "--device", "cuda:0", "--seconds", "0.01", "--json"];
    let bench = run("whole", &[&sizes[..], &["--batch", "2", "--codec", "rgb"]].concat());
    let rows: Value = serde_json::from_slice(&bench.stdout).unwrap();
    let rows = rows["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert!(rows.iter().all(|r| r["mpps"].as_f64().unwrap() > 0.0 && r["batch"] == 2));
}

#[cfg(feature = "cuda")]
#[test]
fn what_is_wrong_with_a_driver_is_said() {
    let (drivers, old) = match (gpu::driver(false), gpu::driver(true)) {
        (Ok(drivers), Ok(old)) => (drivers, old),
        (Err(reason), _) | (_, Err(reason)) => return eprintln!("skipped: {reason}"),
    };
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    for (drivers, wrong, device, words) in [
        (&drivers, "none", "cuda:0", "finds no GPU"),
        (&drivers, "ptx", "cuda:0", "a driver of CUDA 11.7 or newer does"),
        (&drivers, "whole", "cuda:1", "no such GPU; the last one here is cuda:0"),
        (&drivers, "full", "cuda:0", "smaller pictures or --device cpu need less"),
        (&old, "whole", "cuda:0", "too old: it has no cuLaunchKernel"),
    ] {
        let png = encode_png(&picture(700, 700, 1)).unwrap();
        std::fs::write(folder.path().join("large.png"), png).unwrap();
        let args = ["encode", "large.png", "-o", "x.tamis", "--device", device];
        let out = with(Some(drivers), wrong, folder.path(), &args);
        assert_eq!(out.status.code(), Some(1), "{wrong}: {}", said(&out));
        assert!(said(&out).contains(words), "{wrong}: {}", said(&out));
        assert!(!said(&out).contains("panicked"), "{wrong}: {}", said(&out));
    }
}
