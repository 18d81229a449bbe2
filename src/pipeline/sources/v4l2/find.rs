//! Which node of the kernel is the camera that is meant.
//!
//! Nodes are numbered as they come: `/dev/video0` is another camera after a plug was pulled. So a camera is known by
//! the link that udev made of its maker and serial number, or of the place it is plugged in, or by what it says itself.

mod list;
mod tree;

pub use list::{Camera, cameras};
pub use tree::{Node, Tree};

pub use super::super::usb::Usb;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A camera, as a config names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// What a link leads to: `/dev/v4l/by-id/...`, or one of the user's own.
    Link(PathBuf),
    /// What says so of itself.
    Usb(Usb),
    /// A node by its number, as long as nobody has seen which camera it is.
    Numbered(PathBuf),
    /// A node that nothing else can be said of than the name its driver gave it.
    Named(PathBuf, String),
}

impl Identity {
    /// Reads a name: a path, or `usb:046d:0825` with or without a serial number behind it.
    ///
    /// # Errors
    /// `Config` if it is neither.
    pub fn parse(name: &str) -> Result<Self> {
        let wrong = || {
            let reason = format!(
                "{name:?}; needed is a path, as /dev/v4l/by-id/..., or usb:VENDOR:PRODUCT[:SERIAL], as usb:046d:0825"
            );
            Error::config("source.device", reason)
        };
        if let Some(ids) = name.strip_prefix("usb:") {
            return Usb::parse(ids).map(Self::Usb).ok_or_else(wrong);
        }
        let path = Path::new(name);
        if !path.is_absolute() || path.file_name().is_none() {
            return Err(wrong());
        }
        let numbered = path.parent() == Some(Path::new("/dev")) && tree::number(path).is_some();
        Ok(if numbered { Self::Numbered(path.into()) } else { Self::Link(path.into()) })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(path) | Self::Numbered(path) => write!(f, "{}", path.display()),
            Self::Usb(usb) => usb.fmt(f),
            Self::Named(path, name) => write!(f, "{} ({name})", path.display()),
        }
    }
}

/// Looks for one camera, again and again.
#[derive(Debug)]
pub struct Finder {
    tree: Tree,
    identity: Identity,
    /// What the camera of a link said of itself: links may be missing where hubs begin anew.
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

    /// The node that the camera has now.
    ///
    /// # Errors
    /// `Device` if it is not there, or cannot be told from another.
    pub fn look(&self) -> Result<PathBuf> {
        let missing = |reason: &str| Error::Device {
            device: self.identity.to_string(),
            reason: reason.to_owned(),
        };
        match &self.identity {
            Identity::Numbered(path) => match self.tree.node(path) {
                Some(node) => Ok(node.path),
                None => Err(missing("is not there")),
            },
            Identity::Link(path) => match (self.tree.node(path), &self.usb) {
                (Some(node), _) => Ok(node.path),
                (None, Some(usb)) => self.tree.with(usb).map_err(missing),
                (None, None) => Err(missing("is not there")),
            },
            Identity::Usb(usb) => self.tree.with(usb).map_err(missing),
            Identity::Named(path, name) => match self.tree.node(path) {
                Some(node) if node.name == *name => Ok(node.path),
                Some(node) => Err(missing(&format!("is {:?} now, another camera", node.name))),
                None => Err(missing("is not there")),
            },
        }
    }

    /// Called when the camera plays at `path`: remembers who it is, and says so if that was not known.
    pub fn settle(&mut self, path: &Path) -> Option<String> {
        let node = self.tree.node(path)?;
        match &self.identity {
            Identity::Link(_) => {
                // Without a number of its own it might be any of its kind.
                self.usb = node.usb.clone().filter(|usb| usb.serial.is_some());
                let by_id = self.identity.to_string().contains("/by-id/");
                (by_id && self.tree.has_twin(&node)).then(|| {
                    format!(
                        "two cameras have the name {}; name this one by its place, /dev/v4l/by-path/...",
                        self.identity
                    )
                })
            }
            Identity::Numbered(numbered) => {
                let numbered = numbered.display().to_string();
                self.identity = self.tree.identity(&node);
                self.usb = node.usb.filter(|usb| usb.serial.is_some());
                Some(match &self.identity {
                    Identity::Named(..) => format!(
                        "{numbered} has no name that lasts: it is known by its number and as {:?}",
                        node.name
                    ),
                    lasting => format!(
                        "{numbered} is the camera {lasting} now: that one is looked for, whatever its number"
                    ),
                })
            }
            Identity::Usb(_) | Identity::Named(..) => None,
        }
    }
}
