//! The source, with microphones made in code and a file system made for them.

mod fake;
mod identity;
mod real;
mod source;
