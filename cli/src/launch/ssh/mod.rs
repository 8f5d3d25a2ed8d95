//! Workers on hosts that are reached by ssh, and share the store's file system.

mod host;
pub(crate) mod platform;
mod scripts;

pub(crate) use host::{Found, Plan, Started, remove, status, stop};
