//! The cameras of this machine.

use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};

use super::super::super::ioctl::call;
use super::super::abi::{self, Capability};
use super::super::device::abilities;
use super::super::offers;
use super::super::video::Fourcc;
use super::{Identity, Node, Tree};

/// A camera of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Camera {
    /// What it is known by, to be written into a config.
    pub identity: Identity,
    /// The node it has now.
    pub node: PathBuf,
    /// What its driver calls it.
    pub name: String,
    /// Its formats with their columns and rows; none if it could not be asked.
    pub formats: Vec<(Fourcc, Vec<[u32; 2]>)>,
}

/// All cameras; those that may not be opened by this user too.
pub fn cameras() -> Vec<Camera> {
    let tree = Tree::default();
    tree.nodes().iter().filter_map(|node| camera(&tree, node)).collect()
}

/// What is at a node, if it captures video.
fn camera(tree: &Tree, node: &Node) -> Option<Camera> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let mut formats = Vec::new();
    if let Ok(device) = rustix::fs::open(&node.path, flags, Mode::empty()) {
        let mut cap = Capability::default();
        call::<{ abi::QUERYCAP }, _>(&device, &mut cap).ok()?;
        if abilities(&cap) & abi::CAP_CAPTURE == 0 {
            return None;
        }
        let sizes = |f| (f, offers::listed(&device, f));
        formats = offers::formats(&device).into_iter().map(sizes).collect();
    }
    let (path, name) = (node.path.clone(), node.name.clone());
    Some(Camera { identity: tree.identity(node), node: path, name, formats })
}
