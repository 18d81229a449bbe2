//! A microphone of this machine, if there is one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::find::microphones;
use super::super::listen::{Listen, Wish};
use super::super::{Device, MicrophoneSource};
use crate::pipeline::line::Source;

#[test]
fn what_is_no_microphone_says_so() {
    let wish = Wish { rate: 48000, channels: 1, depth: None };
    let mut device = Device::new();
    for (node, expected) in [
        ("/dev/null", "no microphone of ALSA"),
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
fn a_real_microphone_plays() {
    let all = microphones();
    let can = |m: &&super::super::find::Microphone| {
        m.abilities.as_ref().is_some_and(|a| !a.depths.is_empty() && a.channels[1] > 0)
    };
    let Some(microphone) = all.iter().find(can) else {
        println!("skipped: no /dev/snd/pcm*c that can be opened and read ({} nodes)", all.len());
        return;
    };
    println!("{microphone:?}");
    let wish = Wish { rate: 48000, channels: 1, depth: None };
    let (listen, identity) = (Box::new(Device::new()), microphone.identity.clone());
    let mut source = MicrophoneSource::new("real", identity, wish, listen, Arc::default());
    let (mut last, mut blocks, begin) = (Duration::ZERO, 0, Instant::now());
    while blocks < 5 && begin.elapsed() < Duration::from_secs(20) {
        let item = source.next().expect("no error").expect("no end");
        for warning in &item.warnings {
            println!("{warning}");
        }
        match (&item.frame, &item.gone) {
            (Some(frame), None) => {
                assert!(item.stamp.captured > last && item.stamp.boot > 0);
                last = item.stamp.captured;
                blocks += 1;
                println!("{:?} {:?}", frame.layout, frame.extent);
            }
            (_, gone) => println!("{gone:?}"),
        }
    }
    assert_eq!(blocks, 5, "in {:?}", begin.elapsed());
}
