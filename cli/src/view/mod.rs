//! What the verbs that read show: figures, lists, single tasks.

pub(crate) mod glob;
pub(crate) mod selection;
