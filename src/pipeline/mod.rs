//! The line: Source, stages, sinks, one loop.
//!
//! A pipeline is a line, not a graph: one [`Item`] travels down it, and stages add parts to it. A
//! batch is a stream that ends; files and cameras run through the same loop.

pub mod archive;
pub mod config;
mod flight;
mod heads;
mod hint;
mod item;
mod ladder;
mod ledger;
mod line;
pub mod media;
mod outbox;
pub mod rate;
mod records;
pub mod sinks;
pub mod sources;
pub mod stages;
mod stats;
pub mod store;
pub mod uplink;
mod warning;
pub mod zenoh;

pub use flight::Flight;
pub use heads::{Heads, Pool};
pub use item::{Gone, Item, Parts};
pub use ladder::{Ladder, Rung};
pub use ledger::Ledger;
pub use line::{Full, Live, Pipeline, Sink, Source, Stage};
pub use outbox::{Letter, Outbox, Tally};
pub use stats::Report;
pub use warning::Warning;
