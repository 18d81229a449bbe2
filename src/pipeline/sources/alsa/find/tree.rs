//! What the file system shows of microphones.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::super::usb::line;
use super::{Card, Identity, Usb, number};

/// Where nodes and what the kernel says of them are.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Usually `/dev`.
    pub dev: PathBuf,
    /// Usually `/sys`.
    pub sys: PathBuf,
    /// Usually `/proc`.
    pub proc: PathBuf,
}

impl Default for Tree {
    fn default() -> Self {
        Self { dev: "/dev".into(), sys: "/sys".into(), proc: "/proc".into() }
    }
}

/// A node that captures, and what is known of the card behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The node itself, not a link to it.
    pub path: PathBuf,
    /// The number of its card.
    pub card: u32,
    /// Its number on the card.
    pub device: u32,
    /// The id of the card.
    pub id: String,
    /// What the driver calls the card, in short and at length; empty if the kernel does not tell.
    pub names: [String; 2],
    /// What the card says of itself.
    pub usb: Option<Usb>,
}

/// The numbers of card and device of a node that captures, or of the card of one that controls, of its name.
pub(super) fn place(path: &Path) -> Option<(u32, Option<u32>)> {
    let name = path.file_name()?.to_str()?;
    if let Some(card) = name.strip_prefix("controlC") {
        return Some((number(card)?, None));
    }
    let (card, device) = name.strip_prefix("pcmC")?.strip_suffix('c')?.split_once('D')?;
    Some((number(card)?, Some(number(device)?)))
}

impl Tree {
    /// All nodes that capture, in the order of their numbers.
    pub fn nodes(&self) -> Vec<Node> {
        let Ok(entries) = fs::read_dir(self.dev.join("snd")) else { return Vec::new() };
        let at = |path: PathBuf| match place(&path)? {
            (card, Some(device)) => Some((card, device, path)),
            (_, None) => None,
        };
        let mut found: Vec<_> = entries.flatten().filter_map(|e| at(e.path())).collect();
        found.sort();
        let cards = fs::read_to_string(self.proc.join("asound/cards")).unwrap_or_default();
        let node = |(card, device, path)| {
            let class = self.sys.join("class/sound").join(format!("card{card}"));
            let interface = fs::canonicalize(class.join("device")).unwrap_or_default();
            let usb = Usb::of(&interface, 0).map(|(usb, _)| Usb { part: None, ..usb });
            let id = line(&class.join("id")).unwrap_or_default();
            Node { path, card, device, id, names: names(&cards, card), usb }
        };
        found.into_iter().map(node).collect()
    }

    /// The number of the card that a link leads to.
    pub(super) fn linked(&self, link: &Path) -> Option<u32> {
        place(&fs::canonicalize(link).ok()?).map(|(card, _)| card)
    }

    /// What a microphone is known by, whatever its number.
    pub(super) fn identity(&self, nodes: &[Node], node: &Node) -> Identity {
        let twins = has_twin(nodes, node);
        let by_id = self.link("snd/by-id", node).filter(|_| !twins);
        let by_path = || self.link("snd/by-path", node);
        // What is built in has an id that lasts, and a place that is hard to read.
        let card = match &node.usb {
            None if node.id.is_empty() => Card::Numbered(node.card),
            None => Card::Named(node.id.clone()),
            Some(usb) => match by_id.or_else(by_path) {
                Some(link) => Card::Link(link),
                None if !twins => Card::Usb(usb.clone()),
                None => Card::Named(node.id.clone()),
            },
        };
        let first = nodes.iter().find(|other| other.card == node.card);
        let device = first.is_none_or(|first| first.device != node.device || node.usb.is_none());
        Identity { card, device: device.then_some(node.device) }
    }

    /// The first link of a folder that leads to the card of a node.
    fn link(&self, folder: &str, node: &Node) -> Option<PathBuf> {
        let entries = fs::read_dir(self.dev.join(folder)).ok()?;
        let mut links: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        links.retain(|link| self.linked(link) == Some(node.card));
        links.into_iter().min()
    }
}

/// The short and the long name of a card, in what the kernel lists: `0 [id ]: driver - short`, and the long one below.
fn names(cards: &str, card: u32) -> [String; 2] {
    let mut lines = cards.lines();
    let mut short = lines.by_ref().filter_map(|line| {
        let (head, names) = line.split_once("]: ")?;
        let found = number(head.split_once('[')?.0.trim())?;
        let short = names.split_once(" - ").map_or(names, |(_, short)| short);
        (found == card).then(|| short.trim().to_owned())
    });
    match short.next() {
        Some(short) => {
            let long = lines.next().unwrap_or_default().trim().to_owned();
            [short, long]
        }
        None => Default::default(),
    }
}

/// The number of the one card that says this of itself.
///
/// # Errors
/// Why there is none.
pub(super) fn with(nodes: &[Node], wanted: &Usb) -> Result<u32, &'static str> {
    let fits = |node: &&Node| node.usb.as_ref().is_some_and(|usb| usb.fits(wanted));
    one(nodes.iter().filter(fits))?.ok_or(
        "is said by two microphones; name one by its serial number or by its place, /dev/snd/by-path/...",
    )
}

/// The number of the one card that is called so: by its id, or else by one of its names.
///
/// # Errors
/// Why there is none.
pub(super) fn named(nodes: &[Node], name: &str) -> Result<u32, &'static str> {
    if let Some(node) = nodes.iter().find(|node| node.id == name) {
        return Ok(node.card);
    }
    let fits = |node: &&Node| node.names.iter().any(|n| n == name);
    one(nodes.iter().filter(fits))?
        .ok_or("is the name of two cards; name one by its place, /dev/snd/by-path/...")
}

/// The card of all these nodes, or nothing if there are two.
///
/// # Errors
/// If there is none.
fn one<'a>(mut nodes: impl Iterator<Item = &'a Node>) -> Result<Option<u32>, &'static str> {
    let first = nodes.next().ok_or("is not there")?.card;
    Ok(nodes.all(|node| node.card == first).then_some(first))
}

/// Whether another card of this kind is there: the kernel makes their ids one after the other.
pub(super) fn has_kin(nodes: &[Node], node: &Node) -> bool {
    let kind = |node: &Node| node.usb.as_ref().map(|usb| (usb.vendor, usb.product));
    let kin = |n: &Node| n.card != node.card && kind(n) == kind(node);
    node.usb.is_some() && nodes.iter().any(kin)
}

/// Whether another card would be taken for this one by what it says.
pub(super) fn has_twin(nodes: &[Node], node: &Node) -> bool {
    node.usb.is_some() && nodes.iter().any(|n| n.card != node.card && n.usb == node.usb)
}
