//! What the file system shows of cameras.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::super::usb::line;
use super::{Identity, Usb};

/// Where nodes and what the kernel says of them are.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Usually `/dev`.
    pub dev: PathBuf,
    /// Usually `/sys`.
    pub sys: PathBuf,
}

impl Default for Tree {
    fn default() -> Self {
        Self { dev: "/dev".into(), sys: "/sys".into() }
    }
}

/// A node, and what is known of the camera behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The node itself, not a link to it.
    pub path: PathBuf,
    /// What its driver calls it.
    pub name: String,
    /// Its place among those of one part of the device.
    pub index: u32,
    /// What it says of itself.
    pub usb: Option<Usb>,
    /// The device in the kernel's tree: where it is plugged in.
    place: PathBuf,
}

/// The number of a node, of its name.
pub(super) fn number(path: &Path) -> Option<u32> {
    let digits = path.file_name()?.to_str()?.strip_prefix("video")?;
    digits.chars().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok())?
}

impl Tree {
    /// All nodes in the order of their numbers.
    pub fn nodes(&self) -> Vec<Node> {
        let Ok(entries) = fs::read_dir(&self.dev) else { return Vec::new() };
        let mut found: Vec<(u32, PathBuf)> =
            entries.flatten().filter_map(|e| Some((number(&e.path())?, e.path()))).collect();
        found.sort();
        found.iter().filter_map(|(_, path)| self.node(path)).collect()
    }

    /// The node at a path, or that a link leads to.
    pub fn node(&self, path: &Path) -> Option<Node> {
        let path = fs::canonicalize(path).ok()?;
        let class = self.sys.join("class/video4linux").join(path.file_name()?);
        let index = line(&class.join("index")).and_then(|i| i.parse().ok()).unwrap_or(0);
        let interface = fs::canonicalize(class.join("device")).unwrap_or_default();
        let (usb, place) = match Usb::of(&interface, index) {
            Some((usb, device)) => (Some(usb), device),
            None => (None, interface),
        };
        Some(Node { name: line(&class.join("name")).unwrap_or_default(), index, usb, place, path })
    }

    /// The node of the one camera that says this of itself.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn with(&self, wanted: &Usb) -> Result<PathBuf, &'static str> {
        let mut found: Vec<Node> = self.nodes();
        found.retain(|node| node.usb.as_ref().is_some_and(|usb| usb.fits(wanted)));
        let part = |node: &Node| node.usb.as_ref().and_then(|usb| usb.part.clone());
        found.sort_by_key(part);
        let first = found.first().ok_or("is not there")?;
        if found.iter().any(|node| node.place != first.place) {
            return Err(
                "is said by two cameras; name one by its serial number or by its place, /dev/v4l/by-path/...",
            );
        }
        Ok(first.path.clone())
    }

    /// Whether another node would be taken for this one by what it says.
    pub(super) fn has_twin(&self, node: &Node) -> bool {
        let said = |node: &Node| {
            let usb = node.usb.clone()?;
            Some((usb.vendor, usb.product, usb.serial, node.index))
        };
        let twin = |other: &Node| other.path != node.path && said(other) == said(node);
        node.usb.is_some() && self.nodes().iter().any(twin)
    }

    /// What a camera is known by, whatever its number.
    pub(super) fn identity(&self, node: &Node) -> Identity {
        let twins = self.has_twin(node);
        let by_id = self.link("v4l/by-id", node).filter(|_| !twins);
        let by_path = || self.link("v4l/by-path", node);
        match (by_id.or_else(by_path), &node.usb) {
            (Some(link), _) => Identity::Link(link),
            (None, Some(usb)) if !twins => Identity::Usb(usb.clone()),
            (None, _) => Identity::Named(node.path.clone(), node.name.clone()),
        }
    }

    /// The first link of a folder that leads to a node.
    fn link(&self, folder: &str, node: &Node) -> Option<PathBuf> {
        let entries = fs::read_dir(self.dev.join(folder)).ok()?;
        let mut links: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        links.retain(|link| fs::canonicalize(link).is_ok_and(|path| path == node.path));
        links.into_iter().min()
    }
}
