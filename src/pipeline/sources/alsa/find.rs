//! Which node of the kernel is the microphone that is meant.
//!
//! Cards are numbered as they come: `/dev/snd/pcmC0D0c` is another microphone after a plug was pulled. So a microphone is
//! known by the link that udev made of its maker and serial number, or of the place it is plugged in, or by what it says
//! itself, or by the id of its card.

mod list;
mod tree;

pub use list::{Microphone, microphones};
pub use tree::{Node, Tree};

pub use super::super::usb::Usb;
pub use super::offers::Abilities;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A microphone, as a config names it: a card, and which of its devices, the first that captures if nothing is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The card.
    pub card: Card,
    /// The number of the device, which is the same wherever the card is plugged in.
    pub device: Option<u32>,
}

/// A card, as a config names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Card {
    /// What a link leads to: `/dev/snd/by-id/...`, or one of the user's own.
    Link(PathBuf),
    /// What says so of itself.
    Usb(Usb),
    /// One by its id, or by the short or long name that its driver gave it.
    Named(String),
    /// One by its number, as long as nobody has seen which it is.
    Numbered(u32),
}

impl Identity {
    /// Reads a name: `hw:CARD=USB,DEV=0`, or a path, or `usb:046d:0825` with or without a serial number behind it, or the
    /// id or a name of a card.
    ///
    /// # Errors
    /// `Config` if it is none of them.
    pub fn parse(name: &str) -> Result<Self> {
        Self::read(name).ok_or_else(|| {
            let reason = format!(
                "{name:?}; needed is a card, as hw:CARD=USB,DEV=0, or a path, as /dev/snd/by-id/..., or usb:VENDOR:PRODUCT[:SERIAL], as usb:046d:0825; tamis doctor lists microphones"
            );
            Error::config("source.device", reason)
        })
    }

    fn read(name: &str) -> Option<Self> {
        if let Some(rest) = name.strip_prefix("hw:") {
            let (card, device) = match rest.split_once(',') {
                Some((card, device)) => {
                    (card, Some(number(device.strip_prefix("DEV=").unwrap_or(device))?))
                }
                None => (rest, None),
            };
            let card = card.strip_prefix("CARD=").unwrap_or(card);
            let numbered = number(card).map(Card::Numbered);
            let card = numbered.or_else(|| said(card).map(Card::Named))?;
            return Some(Self { card, device });
        }
        let (name, device) = match name.rsplit_once(",DEV=") {
            Some((name, device)) => (name, Some(number(device)?)),
            None => (name, None),
        };
        let card = if let Some(ids) = name.strip_prefix("usb:") {
            Card::Usb(Usb::parse(ids)?)
        } else if name.contains('/') {
            let path = Path::new(name);
            path.file_name().filter(|_| path.is_absolute())?;
            match tree::place(path).filter(|_| path.parent() == Some(Path::new("/dev/snd"))) {
                Some((card, of)) => {
                    return Some(Self { card: Card::Numbered(card), device: device.or(of) });
                }
                None => Card::Link(path.into()),
            }
        } else if name.contains(' ') && name.trim() == name {
            // Names that drivers give may hold anything.
            Card::Named(name.to_owned())
        } else {
            Card::Named(said(name)?)
        };
        Some(Self { card, device })
    }
}

/// A name that is one: no number, which says nothing, and no other driver of the library than the plain one.
fn said(name: &str) -> Option<String> {
    let number = name.chars().all(|c| c.is_ascii_digit());
    let plain = !number && name.trim() == name && !name.contains([',', '=', ':']);
    plain.then(|| name.to_owned())
}

fn number(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.card {
            Card::Link(path) => write!(f, "{}", path.display())?,
            Card::Usb(usb) => usb.fmt(f)?,
            Card::Named(name) if name.contains(' ') => f.write_str(name)?,
            Card::Named(name) => write!(f, "hw:CARD={name}")?,
            Card::Numbered(number) => write!(f, "hw:{number}")?,
        }
        match (self.device, &self.card) {
            (None, _) => Ok(()),
            (Some(device), Card::Numbered(_)) => write!(f, ",{device}"),
            (Some(device), _) => write!(f, ",DEV={device}"),
        }
    }
}

/// Looks for one microphone, again and again.
#[derive(Debug)]
pub struct Finder {
    tree: Tree,
    identity: Identity,
    /// What the microphone of a link said of itself: links may be missing where hubs begin anew.
    usb: Option<Usb>,
}

impl Finder {
    /// Looks for `identity` in what `tree` shows.
    pub fn new(tree: Tree, identity: Identity) -> Self {
        Self { tree, identity, usb: None }
    }

    /// Who is looked for.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The node that the microphone has now.
    ///
    /// # Errors
    /// `Device` if it is not there, or cannot be told from another.
    pub fn look(&self) -> Result<PathBuf> {
        let missing = |reason: String| Error::Device { device: self.identity.to_string(), reason };
        let nodes = self.tree.nodes();
        let card = match &self.identity.card {
            Card::Link(path) => match (self.tree.linked(path), &self.usb) {
                (Some(card), _) => Ok(card),
                (None, Some(usb)) => tree::with(&nodes, usb),
                (None, None) => Err("is not there"),
            },
            Card::Usb(usb) => tree::with(&nodes, usb),
            Card::Named(name) => tree::named(&nodes, name),
            Card::Numbered(number) => Ok(*number),
        };
        let card = card.map_err(|why| missing(why.into()))?;
        let of_card = || nodes.iter().filter(|node| node.card == card);
        let wanted = |node: &&Node| self.identity.device.is_none_or(|d| node.device == d);
        match of_card().find(wanted) {
            Some(node) => Ok(node.path.clone()),
            None if of_card().next().is_some() => {
                let has: Vec<String> = of_card().map(|node| node.device.to_string()).collect();
                Err(missing(format!("captures with DEV={} only", has.join(" and DEV="))))
            }
            None => Err(missing("is not there, or captures nothing".into())),
        }
    }

    /// Called when the microphone plays at `path`: remembers who it is, and says so if that was not known.
    pub fn settle(&mut self, path: &Path) -> Option<String> {
        let nodes = self.tree.nodes();
        let node = nodes.iter().find(|node| node.path == path)?;
        let twin = tree::has_twin(&nodes, node);
        // Without a number of its own it might be any of its kind.
        let usb = node.usb.clone().filter(|usb| usb.serial.is_some());
        let best = Identity { device: self.identity.device, ..self.tree.identity(&nodes, node) };
        match &self.identity.card {
            Card::Link(_) => {
                self.usb = usb;
                let by_id = self.identity.to_string().contains("/by-id/");
                (by_id && twin).then(|| {
                    format!(
                        "two microphones have the name {}; name this one by its place, /dev/snd/by-path/...",
                        self.identity
                    )
                })
            }
            Card::Numbered(_) => {
                let (number, lasts) = (self.identity.to_string(), best.card != self.identity.card);
                self.identity = best;
                self.usb = usb;
                Some(match lasts {
                    true => format!(
                        "{number} is the microphone {} now: that one is looked for, whatever its number",
                        self.identity
                    ),
                    false => format!("{number} has no name that lasts: it is known by its number"),
                })
            }
            Card::Named(_) if tree::has_kin(&nodes, node) && best.card != self.identity.card => {
                Some(format!(
                    "another microphone of the kind of {} is there: which of them has this name may change; name it {best}",
                    self.identity
                ))
            }
            Card::Usb(_) | Card::Named(_) => None,
        }
    }
}
