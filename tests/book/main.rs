//! The documentation as its readers meet it: the commands of README and docs/ run as they stand, links lead somewhere, flags exist.
//!
//! A fenced block that begins with three backticks and `sh` is run line by line in a folder of its page, which holds
//! what `setup.rs` makes. A line is expected to end with 0, or as its comment says (`# exit 3`); one that says `Ctrl-C` is a service: it is started,
//! seen to be ready and told to stop. One that ends in `&` goes on until `kill %1` or the end of the page. What cannot run is marked behind the fence, where nobody reads it: `sh skip=needs-a-camera`. An HTML
//! comment that begins with `<!-- sh` is run likewise, and is not shown at all.

#![cfg(all(feature = "cli", feature = "onnx"))]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/onnx.rs"]
mod onnx;
#[path = "../common/vit.rs"]
mod vit;

mod flags;
mod links;
mod pages;
mod run;
mod setup;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pages::{Page, pages, parse};

/// Fails with all that is wrong at once.
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn commands_of_the_pages_run() {
    let kit = setup::kit();
    let pages = pages();
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = run::page(page, kit.path());
                    faults.lock().unwrap().extend(found);
                }
            });
        }
    });
    none(&faults.into_inner().unwrap());
}

#[test]
fn a_line_that_breaks_or_is_not_marked_is_found() {
    let kit = setup::kit();
    let text = "# `no file ... missing.png`\n```sh\ntamis encode photo.jpg -o a.tamis\ntamis encode missing.png -o a.tamis\n```\n\
                ```sh\nfirefox index.html\n```\n```sh skip=no-reason\nfirefox\n```\n```sh\ntamis decode no.tamis -o x.png   # exit 66\n```\n";
    let page = Page { path: "made up.md".into(), text: text.into(), blocks: parse(text) };
    let faults = run::page(&page, kit.path());
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(faults[0].contains("made up.md:4:") && faults[0].contains("66, not 0"), "{faults:#?}");
    assert!(faults[1].contains("made up.md:7:") && faults[1].contains("skip="), "{faults:#?}");
    assert!(faults[2].contains("does not say"), "{faults:#?}");
}

#[test]
fn links_and_anchors_resolve() {
    none(&pages().iter().flat_map(links::faults).collect::<Vec<_>>());
}

#[test]
fn the_summary_names_every_page() {
    none(&links::not_in_summary(&pages()));
}

#[test]
fn flags_exist() {
    none(&flags::faults(&pages()));
}
