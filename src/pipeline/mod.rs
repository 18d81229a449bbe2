//! The line: sources, stages, sinks, one loop.

pub mod media;
pub mod sources;
