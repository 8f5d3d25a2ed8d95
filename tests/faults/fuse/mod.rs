//! A file system in this process that passes everything on to a directory, and fails on purpose.
//!
//! The kernel does the flocks, and caches nothing: each call comes here. A file is known by a descriptor and not by its
//! name, so hard links, renames and removed files that are still open are what they are below.

/// The calls that the kernel makes.
mod calls;
/// Which call fails, and whether before or after it was done.
mod chance;
/// Mounting, and unmounting whatever happens.
mod mount;
/// The files and directories that the kernel knows, and those that are open.
mod nodes;

pub(crate) use chance::{Chance, Fault, Rates};
pub(crate) use mount::{Mount, missing};
