//! Every file of a folder of odd inputs through the readers, on request.
#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used)]

use std::path::Path;

use tamis::pipeline::media::{Limits, read};

/// Reads each file below `$TAMIS_ODD_INPUTS` and prints what became of it, one line a file:
/// path, `read` or `refused`, extent and channels, seconds, words.
///
/// Fails if a file of the folder `bad` gives a frame without a warning.
#[test]
#[ignore = "needs a folder of odd inputs, named by TAMIS_ODD_INPUTS"]
fn odd_inputs() {
    let root = std::env::var("TAMIS_ODD_INPUTS").unwrap();
    let mut folders = vec![Path::new(&root).to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
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
