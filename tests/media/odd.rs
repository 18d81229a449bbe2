//! Every file of a folder of odd inputs through the readers, on request.

use std::path::PathBuf;

use tamis::pipeline::media::{Format, Kind, Limits, read, read_audio, read_image, sniff};

/// The folder to read and the files below it, in order of name.
fn files() -> (String, Vec<PathBuf>) {
    let root = std::env::var("TAMIS_ODD_INPUTS").unwrap();
    let mut folders = vec![PathBuf::from(&root)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    (root, files)
}

/// Reads damaged copies of each file below `$TAMIS_ODD_INPUTS` (`$TAMIS_COPIES` of each, 100 unless
/// told): bytes changed near the start or anywhere, and cut.
///
/// Fails if one panics, or takes longer than ten seconds.
#[test]
#[ignore = "needs a folder of odd inputs, named by TAMIS_ODD_INPUTS"]
fn damaged_copies() {
    let copies = std::env::var("TAMIS_COPIES").map_or(100, |n| n.parse().unwrap());
    let limits = Limits { pixels: 1 << 21, samples: 1 << 22, ..Limits::default() };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let (mut read, mut refused, mut wrong) = (0, 0, Vec::new());
    for path in files().1 {
        let whole = std::fs::read(&path).unwrap();
        if whole.is_empty() || whole.len() > 100_000 {
            continue;
        }
        for copy in 0..copies {
            let mut bytes = whole.clone();
            let reach = if copy % 2 == 0 { whole.len().min(200) } else { whole.len() };
            for _ in 0..=random(6) {
                let value = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)];
                bytes[random(reach)] = value as u8;
            }
            if copy % 5 == 0 {
                bytes.truncate(random(whole.len()));
            }
            let start = std::time::Instant::now();
            let outcome = std::panic::catch_unwind(|| match sniff(&bytes).map(Format::kind) {
                Some(Kind::Audio) => read_audio(&bytes, "copy", &limits),
                _ => read_image(&bytes, "copy", &limits),
            });
            match outcome {
                Ok(Ok(_)) => read += 1,
                Ok(Err(_)) => refused += 1,
                Err(_) => wrong.push(format!("{} copy {copy} panics", path.display())),
            }
            if start.elapsed().as_secs() > 10 {
                wrong.push(format!("{} copy {copy} hangs", path.display()));
            }
        }
    }
    println!("{read} read, {refused} refused");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Reads each file below `$TAMIS_ODD_INPUTS` and prints what became of it, one line a file:
/// path, `read` or `refused`, extent and channels, seconds, words.
///
/// Fails if a file of the folder `bad` gives a frame without a warning.
#[test]
#[ignore = "needs a folder of odd inputs, named by TAMIS_ODD_INPUTS"]
fn odd_inputs() {
    let (root, files) = files();
    let mut wrong = Vec::new();
    for path in &files {
        let start = std::time::Instant::now();
        let outcome = read(path, &Limits::default());
        let seconds = start.elapsed().as_secs_f32();
        let short = path.strip_prefix(&root).unwrap().display();
        match outcome {
            Ok(decoded) => {
                let frame = &decoded.frame;
                println!(
                    "{short}\tread\t{:?} {} ch {:?}\t{seconds:.3}\t{:?}",
                    frame.extent, frame.channels, frame.layout, decoded.warnings
                );
                if path.parent().is_some_and(|p| p.ends_with("bad")) && decoded.warnings.is_empty()
                {
                    wrong.push(path);
                }
            }
            Err(error) => println!("{short}\trefused\t\t{seconds:.3}\t{error}"),
        }
    }
    assert!(!files.is_empty() && wrong.is_empty(), "{wrong:?}");
}
