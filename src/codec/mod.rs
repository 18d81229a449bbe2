//! What goes in, what comes out, what a bundle says.

mod frame;

pub use frame::{Frame, Layout, Samples, Stamp};
