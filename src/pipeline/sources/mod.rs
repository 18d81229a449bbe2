//! Where items come from.

pub mod synthetic;
