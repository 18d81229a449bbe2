//! Cameras are known by what they are, whatever number they have.

use std::fs;
use std::os::unix::fs::symlink;

use super::super::find::{Finder, Identity, Usb, cameras};
use super::fake::Machine;

const EYE: [&str; 3] = ["046d", "0825", "7"];
const LINK: &str = "usb-Maker_Eye_7-video-index0";

fn usb(name: &str) -> Identity {
    Identity::parse(name).expect(name)
}

#[test]
fn names_are_read_or_refused_with_an_example() {
    assert_eq!(usb("/dev/video3"), Identity::Numbered("/dev/video3".into()));
    assert_eq!(usb("/dev/v4l/by-id/x"), Identity::Link("/dev/v4l/by-id/x".into()));
    assert_eq!(usb("/dev/videos"), Identity::Link("/dev/videos".into()));
    let of = |serial: Option<&str>| {
        let serial = serial.map(str::to_owned);
        Identity::Usb(Usb { vendor: 0x046d, product: 0x825, serial, part: None })
    };
    assert_eq!(usb("usb:046d:0825"), of(None));
    assert_eq!(usb("usb:046D:0825:A:7"), of(Some("A:7")));
    for wrong in [
        "",
        "video0",
        "0",
        "usb:",
        "usb:46d:825",
        "usb:046d",
        "usb:046d:0825:",
        "usb:+46d:0825",
        "/",
    ] {
        let why = Identity::parse(wrong).expect_err(wrong).to_string();
        assert!(why.contains("source.device") && why.contains("usb:046d:0825"), "{why}");
    }
}

#[test]
fn a_number_is_looked_up_once_and_a_name_from_then_on() {
    let machine = Machine::new();
    machine.plug(0, "Eye", "1-2", EYE, ("1.0", 0));
    machine.name("by-id", LINK, 0);
    machine.name("by-path", "pci-usb-0:2:1.0-video-index0", 0);
    let mut finder = Finder::new(machine.tree.clone(), Identity::Numbered(machine.node(0)));
    let node = finder.look().expect("it is there");
    let said = finder.settle(&node).expect("it is said");
    assert!(said.contains("video0") && said.contains(LINK), "{said}");
    assert_eq!(finder.identity(), &Identity::Link(machine.link("by-id", LINK)));
    assert_eq!(finder.settle(&node), None);
    // Another camera takes its number, and it comes back under another.
    machine.unplug(0);
    machine.plug(0, "Other", "1-3", ["1234", "5678", ""], ("1.0", 0));
    let why = finder.look().expect_err("it is away").to_string();
    assert!(why.contains(LINK) && why.contains("is not there"), "{why}");
    machine.plug(4, "Eye", "1-5", EYE, ("1.0", 0));
    // The link may be missing: what it said of itself is enough.
    assert_eq!(finder.look().expect("it is back"), machine.node(4));
    machine.name("by-id", LINK, 4);
    assert_eq!(finder.look().expect("it is back"), machine.node(4));
}

#[test]
fn without_links_a_camera_says_who_it_is() {
    let machine = Machine::new();
    // Its second node tells of pictures and gives none; its second part sees heat.
    machine.plug(1, "Eye", "1-2", EYE, ("1.0", 1));
    machine.plug(2, "Eye", "1-2", EYE, ("1.0", 0));
    machine.plug(0, "Eye heat", "1-2", EYE, ("1.2", 0));
    let at = |name: &str| Finder::new(machine.tree.clone(), usb(name)).look();
    assert_eq!(at("usb:046d:0825").expect("there"), machine.node(2));
    assert_eq!(at("usb:046d:0825:7").expect("there"), machine.node(2));
    assert!(at("usb:046d:0825:8").is_err() && at("usb:046d:0826").is_err());
    let mut finder = Finder::new(machine.tree.clone(), Identity::Numbered(machine.node(1)));
    assert!(finder.settle(&machine.node(1)).is_some_and(|s| s.contains("usb:046d:0825:7")));
    assert_eq!(finder.look().expect("there"), machine.node(1));
    for number in [0, 1, 2] {
        machine.unplug(number);
    }
    machine.plug(5, "Eye heat", "1-7", EYE, ("1.2", 0));
    machine.plug(6, "Eye", "1-7", EYE, ("1.0", 0));
    machine.plug(7, "Eye", "1-7", EYE, ("1.0", 1));
    assert_eq!(finder.look().expect("there"), machine.node(7));
}

#[test]
fn two_that_say_the_same_are_told_apart_by_their_place_or_not_at_all() {
    let machine = Machine::new();
    let same = ["046d", "0825", ""];
    machine.plug(0, "Eye", "1-2", same, ("1.0", 0));
    machine.plug(2, "Eye", "1-3", same, ("1.0", 0));
    let why = Finder::new(machine.tree.clone(), usb("usb:046d:0825")).look();
    let why = why.expect_err("it is not clear which").to_string();
    assert!(why.contains("two cameras") && why.contains("by-path"), "{why}");
    machine.name("by-id", "usb-Eye-video-index0", 2);
    machine.name("by-path", "usb-0:2:1.0-video-index0", 0);
    machine.name("by-path", "usb-0:3:1.0-video-index0", 2);
    let mut finder = Finder::new(machine.tree.clone(), Identity::Numbered(machine.node(2)));
    assert!(finder.settle(&machine.node(2)).is_some_and(|s| s.contains("usb-0:3:1.0")));
    let by_id = Identity::Link(machine.link("by-id", "usb-Eye-video-index0"));
    let mut finder = Finder::new(machine.tree.clone(), by_id);
    assert!(finder.settle(&machine.node(2)).is_some_and(|s| s.contains("two cameras")));
    machine.unplug(2);
    assert!(finder.look().is_err(), "without a serial number the other is not taken for it");
}

#[test]
fn what_has_no_name_that_lasts_is_checked_by_what_its_driver_says() {
    let machine = Machine::new();
    machine.plug(0, "Loop", "", ["", "", ""], ("", 0));
    let mut finder = Finder::new(machine.tree.clone(), Identity::Numbered(machine.node(0)));
    let said = finder.settle(&machine.node(0)).expect("it is said");
    assert!(said.contains("no name that lasts") && said.contains("Loop"), "{said}");
    assert_eq!(finder.look().expect("there"), machine.node(0));
    machine.unplug(0);
    machine.plug(0, "Other", "", ["", "", ""], ("", 0));
    assert!(finder.look().expect_err("another").to_string().contains("another camera"));
    // Links of the user's own lead on.
    let own = machine.folder.path().join("door");
    symlink(machine.node(0), &own).expect("a link");
    let finder = Finder::new(machine.tree.clone(), Identity::Link(own.clone()));
    assert_eq!(finder.look().expect("there"), machine.node(0));
    fs::remove_file(&own).expect("a link");
    assert!(finder.look().is_err());
}

#[test]
fn listing_never_fails() {
    for camera in cameras() {
        println!("{} at {}: {}", camera.identity, camera.node.display(), camera.name);
    }
    assert!(Machine::new().tree.nodes().is_empty());
}
