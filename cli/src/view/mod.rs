//! The figures and texts behind the verbs that look into a store: each file makes one thing of what the store tells.

pub(crate) mod attempts;
pub(crate) mod attention;
pub(crate) mod block;
pub(crate) mod explain;
pub(crate) mod glob;
pub(crate) mod journals;
pub(crate) mod launches;
pub(crate) mod listing;
pub(crate) mod live;
mod opaque;
pub(crate) mod opened;
pub(crate) mod output;
pub(crate) mod running;
pub(crate) mod selection;
pub(crate) mod summary;
pub(crate) mod task;
pub(crate) mod workers;

#[cfg(test)]
pub(crate) mod tests;
