//! The source, with cameras made in code and a file system made for them.

mod fake;
mod identity;
mod pictures;
mod real;
mod source;
