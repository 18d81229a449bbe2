//! Where items come from.
