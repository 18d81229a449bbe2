//! The microphones of this machine.

use std::path::PathBuf;

use rustix::io::Errno;

use super::super::device::open;
use super::super::offers::{Abilities, abilities};
use super::{Identity, Node, Tree};

/// A microphone of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Microphone {
    /// What it is known by, to be written into a config.
    pub identity: Identity,
    /// The node it has now.
    pub node: PathBuf,
    /// The id of its card.
    pub card: String,
    /// What the driver calls its card; empty if the kernel does not tell.
    pub name: String,
    /// What it can do; nothing if it could not be asked.
    pub abilities: Option<Abilities>,
    /// It could not be asked because another program uses it.
    pub busy: bool,
}

/// All microphones; those that may not be opened by this user too.
pub fn microphones() -> Vec<Microphone> {
    let tree = Tree::default();
    let nodes = tree.nodes();
    nodes.iter().map(|node| microphone(&tree, &nodes, node)).collect()
}

fn microphone(tree: &Tree, nodes: &[Node], node: &Node) -> Microphone {
    let asked = open(&node.path).and_then(abilities);
    let taken =
        |e: &std::io::Error| matches!(Errno::from_io_error(e), Some(Errno::BUSY | Errno::AGAIN));
    Microphone {
        identity: tree.identity(nodes, node),
        node: node.path.clone(),
        card: node.id.clone(),
        name: node.names[0].clone(),
        busy: asked.as_ref().err().is_some_and(taken),
        abilities: asked.ok(),
    }
}
