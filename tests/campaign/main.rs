//! Long campaigns: what damage, truncation, relays and kills cost, counted.
//!
//! `cargo test --test campaign` runs the short form; `TAMIS_CAMPAIGN=full` before it the long one,
//! whose figures stand in `docs/campaigns.md`.

#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used)]

mod accounts;
mod claims;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/daemon.rs"]
mod daemon;
mod flips;
mod kill;
#[path = "../common/receiver.rs"]
mod receiver;
mod relay;
mod service;
mod sixteen;
mod uplink;

use std::sync::Arc;

use tamis::bitstream::{Limits, Packet, StreamHeader};
use tamis::codec::{Bundle, Latent};
use tamis::pipeline::stages::Unpack;
use tamis::pipeline::{Item, Stage};

/// How often something is tried.
fn times(short: usize, full: usize) -> usize {
    let long = std::env::var("TAMIS_CAMPAIGN").is_ok_and(|v| v == "full");
    if long { full } else { short }
}

/// Says what a campaign found, in one line.
fn say(words: impl std::fmt::Display) {
    println!("campaign: {words}");
}

/// The stage that unpacks in every line, packet by packet.
struct Receiver(Unpack);

/// What came of a packet.
struct Received {
    latent: Option<Latent>,
    /// Whether it was said that something is missing.
    told: bool,
}

impl Receiver {
    fn new(bundle: &Arc<Bundle>) -> Self {
        Self(Unpack::new(bundle.clone(), Limits::default()))
    }

    fn take(&mut self, header: &StreamHeader, packet: &Packet) -> Received {
        let mut items = [Item {
            stamp: packet.stamp.clone(),
            header: Some(header.clone()),
            packet: Some(packet.clone()),
            ..Item::default()
        }];
        self.0.run(&mut items).unwrap();
        let [item] = items;
        let told = item.gone.is_some() || item.warnings.iter().any(|w| w.is_missing());
        Received { latent: item.latent, told }
    }
}

/// Groups of a packet that can be decoded, by what it says and by what arrived before it: the place
/// and the groups of the last packet of its stream.
fn decodable(packet: &Packet, last: Option<(u64, usize)>) -> usize {
    let carried = packet.header.lengths.len();
    let Some(c) = packet.header.continues else { return carried };
    let there = |g: usize| {
        last.is_some_and(|(index, groups)| index + c.back == packet.stamp.index && g < groups)
    };
    (0..carried).find(|&g| c.groups >> g & 1 == 1 && !there(g)).unwrap_or(carried)
}

/// Refuses values that are not those that were coded, and a loss that was not told. Returns how many
/// groups came.
fn exact(what: &str, groups: &[usize], carried: usize, came: &Received, truth: &Latent) -> usize {
    let channels = came.latent.as_ref().map_or(0, |l| l.channels);
    let count = match channels {
        0 => 0,
        _ => groups.iter().position(|&end| end == channels).map_or(usize::MAX, |g| g + 1),
    };
    if let Some(latent) = &came.latent {
        let mut prefix = truth.clone();
        prefix.truncate(channels);
        assert!(*latent == prefix, "{what}: decoded wrongly");
    }
    assert!(count == carried || came.told, "{what}: {count} of {carried} groups, nobody told");
    count
}
