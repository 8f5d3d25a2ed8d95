//! What is run: the command, the table of its parameters, and where both stand in the store.

pub(crate) mod pattern;
pub(crate) mod spec;
