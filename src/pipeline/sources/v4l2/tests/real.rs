//! A camera of this machine, if there is one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::find::{Identity, cameras};
use super::super::video::{Video, Wish};
use super::super::{CameraSource, Device};
use crate::pipeline::line::Source;

#[test]
fn what_is_no_camera_says_so() {
    let wish = Wish { width: 640, height: 480, fps: 30.0, pixels: None };
    let mut device = Device::new();
    for (node, expected) in [
        ("/dev/null", "no camera of Video4Linux"),
        ("/dev/nothing-here", "No such file"),
        ("/dev", "directory"),
    ] {
        let why = device.open(Path::new(node), &wish).expect_err(node).to_string();
        assert!(why.contains(node) && why.contains(expected), "{why}");
        assert!(device.next(Duration::ZERO).is_err());
        device.close();
    }
}

#[test]
fn a_real_camera_plays() {
    let all = cameras();
    let can =
        |formats: &[(super::super::Fourcc, _)]| formats.iter().any(|f| f.0.pixels().is_some());
    let Some(camera) = all.iter().find(|c| can(&c.formats)) else {
        println!(
            "skipped: no camera at /dev/video* that can be opened and read ({} nodes)",
            all.len()
        );
        return;
    };
    let formats: Vec<String> = camera.formats.iter().map(|(f, s)| format!("{f} {s:?}")).collect();
    println!("{} at {}: {}", camera.identity, camera.node.display(), formats.join("; "));
    let grey = camera.formats.iter().all(|f| f.0.pixels().is_none_or(|p| p.channels() == 1));
    let pixels = grey.then_some(super::super::super::pixels::Pixels::Grey);
    let wish = Wish { width: 640, height: 480, fps: 30.0, pixels };
    let identity = Identity::parse(&camera.node.display().to_string()).expect("a node");
    let mut source =
        CameraSource::new("real", identity, wish, Box::new(Device::new()), Arc::default());
    let (mut last, mut frames, begin) = (Duration::ZERO, 0, Instant::now());
    while frames < 30 && begin.elapsed() < Duration::from_secs(20) {
        let item = source.next().expect("no error").expect("no end");
        for warning in &item.warnings {
            println!("{warning}");
        }
        match (&item.frame, &item.gone) {
            (Some(frame), None) => {
                assert!(item.stamp.captured > last && item.stamp.boot > 0);
                last = item.stamp.captured;
                frames += 1;
                if frames == 1 {
                    println!("{:?} {:?}", frame.layout, frame.extent);
                }
            }
            (_, gone) => println!("{gone:?}"),
        }
    }
    assert_eq!(frames, 30, "in {:?}", begin.elapsed());
    println!("30 pictures in {:?}", begin.elapsed());
}
