//! What the pages take for granted: small pictures and sounds, a recording that broke off, a transformer, the examples.

use std::path::Path;
use std::process::Command;

use tamis::pipeline::media::{WavDepth, encode_npy, encode_png, encode_wav};

use super::common::{cube, picture, sound};
use super::pages::root;
use super::vit;

/// What would take minutes with the binary of tests: the verb, and what is said besides to have less of it.
pub fn spare(text: &str) -> Option<(&'static str, &'static str)> {
    let of = |verb: &str| text.starts_with(verb);
    match () {
        // On scenes of its own it would be at work for long; a head brings its input itself.
        () if of("tamis bench") && text.contains("--head") => Some(("tamis bench", " --seconds 0")),
        () if of("tamis bench") => Some(("tamis bench", " in/0.png --seconds 0")),
        () if of("tamis fit cubes/") => Some(("tamis fit", " --channels 24")),
        () if of("tamis demo") => Some(("tamis demo", " --frames 5")),
        () => None,
    }
}

/// A folder with everything, which each page has a copy of.
pub fn kit() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (name, files) in
        [("photos", 2), ("frames", 4), ("in", 2), ("archive", 2), ("my-pictures", 6)]
    {
        std::fs::create_dir(dir.join(name)).unwrap();
        for i in 0..files {
            let png = encode_png(&picture(96, 128, i)).unwrap();
            std::fs::write(dir.join(name).join(format!("{i}.png")), png).unwrap();
        }
    }
    for name in ["photo.jpg", "bottle.jpg"] {
        let pixels = image::load_from_memory(&encode_png(&picture(96, 128, 9)).unwrap()).unwrap();
        pixels.to_rgb8().save(dir.join(name)).unwrap();
    }
    std::fs::create_dir(dir.join("recordings")).unwrap();
    for (i, name) in ["talk.wav", "recordings/a.wav", "recordings/b.wav"].iter().enumerate() {
        let wav = encode_wav(&sound(40_000, 1, 16_000, i as u64), WavDepth::I16).unwrap();
        std::fs::write(dir.join(name), wav).unwrap();
    }
    std::fs::create_dir(dir.join("cubes")).unwrap();
    for (i, name) in ["cube.npy", "cubes/a.npy", "cubes/b.npy"].iter().enumerate() {
        let npy = encode_npy(&cube(48, 48, 44, i as u64)).unwrap();
        std::fs::write(dir.join(name), npy).unwrap();
    }
    std::fs::write(dir.join("vit.onnx"), vit::head(vit::energy)).unwrap();
    let encode = ["encode", "frames", "-o", "cut.tamis.part"];
    let coded = Command::new(env!("CARGO_BIN_EXE_tamis")).args(encode).current_dir(dir).output();
    assert!(coded.unwrap().status.success());
    let bytes = std::fs::read(dir.join("cut.tamis.part")).unwrap();
    std::fs::write(dir.join("cut.tamis.part"), &bytes[..bytes.len() - bytes.len() / 4]).unwrap();
    copy(&root().join("examples"), &dir.join("examples"), &mut str::to_owned);
    folder
}

/// Copies a folder; its configs as `change` has them.
pub fn copy(from: &Path, to: &Path, change: &mut dyn FnMut(&str) -> String) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to, change);
        } else if path.extension().is_some_and(|e| e == "toml") {
            std::fs::write(&to, change(&std::fs::read_to_string(&path).unwrap())).unwrap();
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}
