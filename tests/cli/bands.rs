//! Pictures of bands on the command line: fitted, coded, looked at.

use std::path::Path;

use tamis::codec::{Depth, Layout};
use tamis::lab::metrics::bands::psnr_db;
use tamis::pipeline::media::{encode_npy, encode_png, encode_tiff};

use super::common::{cube, picture};
use super::{code, frame, good, json, tamis, tamis_with, words};

fn cubes(dir: &Path) {
    std::fs::create_dir(dir.join("in")).unwrap();
    for seed in 0..3 {
        let bytes = match seed {
            0 => encode_tiff(&cube(96, 96, 20, seed)).unwrap(),
            _ => encode_npy(&cube(96, 96, 20, seed)).unwrap(),
        };
        let ending = if seed == 0 { "tif" } else { "npy" };
        std::fs::write(dir.join(format!("in/{seed}.{ending}")), bytes).unwrap();
    }
    std::fs::write(dir.join("other.npy"), encode_npy(&cube(60, 70, 20, 50)).unwrap()).unwrap();
}

#[test]
fn cubes_are_fitted_and_coded() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    cubes(dir);
    let fit = tamis(dir, &["fit", "in", "-o", "mine", "--channels", "80", "--json"]);
    good(&fit);
    assert!(words(&fit).contains("pixels are few"), "{}", words(&fit));
    let report = &json(&fit)[0];
    assert_eq!((&report["channels"], &report["files"]), (&80.into(), &3.into()));
    assert!(report["most_psnr_db"].as_f64().unwrap() > 40.0, "{report}");
    let coded =
        tamis(dir, &["encode", "other.npy", "-o", "x.tamis", "--codec", "./mine", "--json"]);
    good(&coded);
    assert_eq!(json(&coded)[0]["bands"], 20);
    let info = &json(&tamis(dir, &["info", "x.tamis", "--json"]))[0];
    assert_eq!((&info["bands"], &info["extent"]), (&20.into(), &serde_json::json!([60, 70])));
    assert!(info["bits_per_sample"].as_f64().unwrap() < 2.0, "{info}");
    let told = tamis(dir, &["info", "x.tamis"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("pictures of 20 bands, 16 bits"));
    let original = frame(&dir.join("other.npy"));
    let decode = |output: &str, more: &[&str]| {
        tamis(dir, &[&["decode", "x.tamis", "-o", output, "--codec", "./mine"], more].concat())
    };
    for name in ["out.npy", "out.tif"] {
        good(&decode(name, &[]));
        assert!(psnr_db(&original, &frame(&dir.join(name))).unwrap() > 40.0);
    }
    assert!(frame(&dir.join("out.npy")) == frame(&dir.join("out.tif")));
    // Some bands to look at, with what was done to them said; and as they are.
    let view = decode("view.png", &["--bands", "17,9,3"]);
    good(&view);
    assert!(words(&view).contains("bands 17, 9, 3 as red, green, blue"), "{}", words(&view));
    assert!(words(&view).contains("2nd and its 98th percentile"));
    assert_eq!((frame(&dir.join("view.png")).layout, 60), (Layout::Rgb, 60));
    good(&decode("one.png", &["--bands", "3"]));
    assert_eq!(frame(&dir.join("one.png")).layout, Layout::Gray);
    good(&decode("two.npy", &["--bands", "19,0"]));
    let two = frame(&dir.join("two.npy"));
    assert_eq!((two.channels, two.layout), (2, Layout::Bands { depth: Depth::U16 }));
    // A folder, and standard output, hold arrays.
    good(&decode("all/", &[]));
    let bytes = std::fs::read(dir.join("out.npy")).unwrap();
    assert!(std::fs::read(dir.join("all/x.npy")).unwrap() == bytes);
    assert!(decode("-", &[]).stdout == bytes);
    good(&decode("views/", &["--bands", "17,9,3"]));
    assert!(dir.join("views/x.png").exists());
    for (output, more, said) in [
        ("x.png", &[][..], "--bands"),
        ("x.wav", &[], ".npy or .tif"),
        ("x.png", &["--bands", "20,1,2"], "0 to 19"),
        ("x.png", &["--bands", "1,2"], "one or three"),
    ] {
        let refused = decode(output, more);
        assert_eq!(code(&refused), 2, "{output} {more:?}: {}", words(&refused));
        assert!(words(&refused).contains(said), "{}", words(&refused));
    }
    let export = ["export", "x.tamis", "-o", "e/", "--codec", "./mine"];
    assert_eq!(code(&tamis(dir, &[&export[..], &["--png"]].concat())), 2);
    assert_eq!(code(&tamis(dir, &[&export[..], &["--mcap"]].concat())), 2);
    good(&tamis(dir, &[&export[..], &["--npy"]].concat()));
    let args = ["eval", "other.npy", "--codec", "./mine", "--quality", "50,80", "--json"];
    let lines = json(&tamis(dir, &args));
    let of = |at: usize, what: &str| lines[at][what].as_f64().unwrap();
    assert!(of(0, "psnr_db") < of(2, "psnr_db") && of(0, "angle_degrees") > of(2, "angle_degrees"));
    assert!(of(0, "bits_per_sample") < of(2, "bits_per_sample"));
    good(&tamis(dir, &["order", "./mine"]));
}

#[test]
fn bands_come_first_where_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    cubes(dir);
    good(&tamis(dir, &["fit", "in", "-o", "mine", "--channels", "40"]));
    // The same picture with its bands first, by way of the pixels of each band.
    let mut bytes = b"\x93NUMPY\x01\0\x48\0".to_vec();
    let head = "{'descr': '<u2', 'fortran_order': False, 'shape': (20, 60, 70), }";
    bytes.extend_from_slice(format!("{head:<71}\n").as_bytes());
    let original = frame(&dir.join("other.npy"));
    let tamis::codec::Samples::U16(v) = &original.samples else { panic!("16 bits") };
    (0..20).for_each(|b| bytes.extend(v[b..].iter().step_by(20).flat_map(|x| x.to_le_bytes())));
    std::fs::write(dir.join("first.npy"), &bytes).unwrap();
    let args = ["-o", "a.tamis", "--codec", "./mine", "--bands-first"];
    good(&tamis(dir, &[&["encode", "first.npy"][..], &args].concat()));
    good(&tamis(dir, &["encode", "other.npy", "-o", "b.tamis", "--codec", "./mine"]));
    let file = |name: &str| std::fs::read(dir.join(name)).unwrap();
    assert!(file("a.tamis") == file("b.tamis"));
    good(&tamis_with(
        dir,
        &["encode", "-", "-o", "c.tamis", "--codec", "./mine", "--bands-first"],
        &bytes,
    ));
    assert!(file("c.tamis") == file("b.tamis"));
}

#[test]
fn bundles_that_do_not_fit_are_refused_with_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    cubes(dir);
    std::fs::write(dir.join("photo.png"), encode_png(&picture(40, 40, 1)).unwrap()).unwrap();
    good(&tamis(dir, &["fit", "in", "-o", "mine", "--channels", "40"]));
    for args in [
        &["encode", "other.npy", "-o", "x.tamis"][..],
        &["encode", "other.npy", "-o", "x.tamis", "--codec", "rgb"],
        &["eval", "other.npy"],
    ] {
        let refused = tamis(dir, args);
        assert_eq!(code(&refused), 2, "{args:?}: {}", words(&refused));
        assert!(
            words(&refused).contains("20") && words(&refused).contains("tamis fit"),
            "{args:?}"
        );
        assert!(!dir.join("x.tamis").exists());
    }
    let photo = tamis(dir, &["encode", "photo.png", "-o", "x.tamis", "--codec", "./mine"]);
    assert!(code(&photo) != 0 && words(&photo).contains("3 colours"), "{}", words(&photo));
    assert_eq!(code(&tamis(dir, &["fit", "in", "-o", "dense", "--dense"])), 2);
    good(&tamis(dir, &["encode", "photo.png", "-o", "p.tamis"]));
    let bands = tamis(dir, &["decode", "p.tamis", "-o", "p.png", "--bands", "0"]);
    assert_eq!(code(&bands), 2, "{}", words(&bands));
}
