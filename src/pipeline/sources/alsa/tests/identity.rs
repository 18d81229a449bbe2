//! Microphones are known by what they are, whatever number their card has.

use std::fs;

use super::super::find::{Card, Finder, Identity, Usb, microphones};
use super::fake::Machine;

const EAR: [&str; 3] = ["046d", "0825", "7"];
const LINK: &str = "usb-Maker_Ear_7-00";

fn named(name: &str) -> Identity {
    Identity::parse(name).expect(name)
}

#[test]
fn names_are_read_or_refused_with_an_example() {
    let of = |card, device| Identity { card, device };
    let card = |name: &str| Card::Named(name.into());
    for (name, expected) in [
        ("hw:CARD=USB,DEV=1", of(card("USB"), Some(1))),
        ("hw:USB,1", of(card("USB"), Some(1))),
        ("hw:CARD=USB", of(card("USB"), None)),
        ("USB", of(card("USB"), None)),
        ("HD Pro Webcam C920,DEV=2", of(card("HD Pro Webcam C920"), Some(2))),
        (
            "Ear Inc. Ear at usb-0000:00:14.0-2, full speed",
            of(card("Ear Inc. Ear at usb-0000:00:14.0-2, full speed"), None),
        ),
        ("hw:0", of(Card::Numbered(0), None)),
        ("hw:CARD=1,DEV=0", of(Card::Numbered(1), Some(0))),
        ("hw:1,0", of(Card::Numbered(1), Some(0))),
        ("/dev/snd/pcmC2D3c", of(Card::Numbered(2), Some(3))),
        ("/dev/snd/controlC2", of(Card::Numbered(2), None)),
        ("/dev/snd/by-id/x", of(Card::Link("/dev/snd/by-id/x".into()), None)),
        ("/dev/snd/by-id/x,DEV=1", of(Card::Link("/dev/snd/by-id/x".into()), Some(1))),
        ("/srv/mic", of(Card::Link("/srv/mic".into()), None)),
    ] {
        assert_eq!(named(name), expected, "{name}");
        assert_eq!(named(&named(name).to_string()), expected, "{name} as it is shown");
    }
    let usb = |serial: Option<&str>| {
        let serial = serial.map(str::to_owned);
        Card::Usb(Usb { vendor: 0x046d, product: 0x825, serial, part: None })
    };
    assert_eq!(named("usb:046d:0825"), of(usb(None), None));
    assert_eq!(named("usb:046D:0825:A:7,DEV=1"), of(usb(Some("A:7")), Some(1)));
    for wrong in [
        "",
        "0",
        " USB",
        "hw:",
        "hw:CARD=",
        "hw:USB,x",
        "hw:USB,DEV=",
        "hw:USB,0,0",
        "plughw:USB",
        "default:USB",
        "usb:46d:825",
        "usb:046d:0825:",
        "USB,DEV=-1",
        "USB,1",
        "/",
        "dev/snd",
        "hw:99999999999",
    ] {
        let why = Identity::parse(wrong).map(|i| format!("{i:?}")).expect_err(wrong).to_string();
        assert!(why.contains("source.device") && why.contains("hw:CARD=USB,DEV=0"), "{why}");
    }
}

#[test]
fn a_number_is_looked_up_once_and_a_name_from_then_on() {
    let machine = Machine::new();
    machine.plug(0, "Ear", "1-2", EAR, &[0, 1]);
    machine.name("by-id", LINK, 0);
    machine.name("by-path", "pci-usb-0:2:1.0", 0);
    let mut finder = Finder::new(machine.tree.clone(), named("hw:0,1"));
    let node = finder.look().expect("it is there");
    assert_eq!(node, machine.node(0, 1));
    let said = finder.settle(&node).expect("it is said");
    assert!(said.contains("hw:0,1") && said.contains(&format!("{LINK},DEV=1")), "{said}");
    assert_eq!(finder.settle(&node), None);
    // Another card takes its number, and it comes back under another.
    machine.unplug(0);
    machine.plug(0, "Other", "1-3", ["1234", "5678", ""], &[0, 1]);
    let why = finder.look().expect_err("it is away").to_string();
    assert!(why.contains(LINK) && why.contains("is not there"), "{why}");
    machine.plug(4, "Ear", "1-5", EAR, &[0, 1]);
    // The link may be missing: what it said of itself is enough.
    assert_eq!(finder.look().expect("it is back"), machine.node(4, 1));
    machine.name("by-id", LINK, 4);
    assert_eq!(finder.look().expect("it is back"), machine.node(4, 1));
}

#[test]
fn what_is_built_in_is_known_by_the_id_of_its_card() {
    let machine = Machine::new();
    machine.plug(1, "PCH", "", [""; 3], &[0, 2]);
    machine.plug(0, "HDMI", "", [""; 3], &[]);
    let cards = " 0 [HDMI           ]: HDA-Intel - HDA ATI HDMI\n                      HDA ATI HDMI at 0xfe irq 52\n \
                 1 [PCH            ]: HDA-Intel - HDA Intel PCH\n                      HDA Intel PCH at 0xf7 irq 30\n";
    fs::write(machine.tree.proc.join("asound/cards"), cards).expect("a file");
    let nodes = machine.tree.nodes();
    assert_eq!(nodes.len(), 2);
    assert_eq!(nodes[0].names, ["HDA Intel PCH", "HDA Intel PCH at 0xf7 irq 30"]);
    let at = |name: &str| Finder::new(machine.tree.clone(), named(name)).look();
    for name in ["PCH", "hw:CARD=PCH", "hw:1", "HDA Intel PCH", "HDA Intel PCH at 0xf7 irq 30"] {
        assert_eq!(at(name).expect(name), machine.node(1, 0), "the first that captures");
    }
    assert_eq!(at("hw:PCH,2").expect("there"), machine.node(1, 2));
    let why = |name: &str| at(name).expect_err(name).to_string();
    assert!(why("hw:PCH,1").contains("captures with DEV=0 and DEV=2 only"));
    assert!(why("HDMI").contains("is not there"));
    assert!(why("hw:0").contains("captures nothing"));
    let mut finder = Finder::new(machine.tree.clone(), named("hw:1"));
    let said = finder.settle(&machine.node(1, 0)).expect("it is said");
    assert!(said.contains("hw:CARD=PCH"), "{said}");
}

#[test]
fn twins_are_told_apart_by_their_place_alone() {
    let machine = Machine::new();
    let ids = ["046d", "0825", ""];
    machine.plug(0, "Ear", "1-2", ids, &[0]);
    let mut one = Finder::new(machine.tree.clone(), named("hw:CARD=Ear"));
    assert_eq!(one.settle(&machine.node(0, 0)), None);
    machine.plug(1, "Ear_1", "1-3", ids, &[0]);
    machine.name("by-id", "usb-Maker_Ear-00", 1);
    machine.name("by-path", "pci-usb-0:2:1.0", 0);
    machine.name("by-path", "pci-usb-0:3:1.0", 1);
    let at = |name: &str| Finder::new(machine.tree.clone(), named(name)).look();
    assert!(at("usb:046d:0825").is_err_and(|e| e.to_string().contains("by-path")));
    // Who was plugged in first has the first id.
    let said = one.settle(&machine.node(0, 0)).expect("it is said");
    assert!(said.contains("may change") && said.contains("by-path/pci-usb-0:2:1.0"), "{said}");
    let link = machine.link("by-id", "usb-Maker_Ear-00");
    let identity = named(&link.display().to_string());
    let mut finder = Finder::new(machine.tree.clone(), identity);
    assert_eq!(finder.look().expect("there"), machine.node(1, 0));
    assert!(finder.settle(&machine.node(1, 0)).is_some_and(|s| s.contains("by-path")));
    machine.unplug(1);
    assert_eq!(at("usb:046d:0825").expect("there"), machine.node(0, 0));
    assert!(finder.look().is_err(), "one without a number of its own is not taken for another");
}

#[test]
fn what_is_no_card_is_passed_over() {
    let machine = Machine::new();
    for name in ["pcmC0D0", "pcmCD0c", "pcmC0Dc", "pcmC-1D0c", "timer", "seq", "pcmC0D0p", "hwC0D0"]
    {
        fs::write(machine.tree.dev.join("snd").join(name), "").expect("a file");
    }
    fs::write(machine.tree.proc.join("asound/cards"), "--- no soundcards ---\n").expect("a file");
    assert!(machine.tree.nodes().is_empty());
    fs::write(machine.node(3, 0), "").expect("a file");
    let nodes = machine.tree.nodes();
    assert_eq!((nodes.len(), nodes[0].id.as_str(), nodes[0].card), (1, "", 3));
    println!("{:?}", microphones());
}
