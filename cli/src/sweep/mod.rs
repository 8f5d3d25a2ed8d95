//! What is run: the command, the table of its parameters, and where both stand in the store.

pub(crate) mod command;
mod guard;
pub(crate) mod pattern;
pub(crate) mod rows;
pub(crate) mod shown;
pub(crate) mod spec;
pub(crate) mod stored;
pub(crate) mod submit;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod units;
