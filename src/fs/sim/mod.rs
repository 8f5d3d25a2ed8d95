//! A simulated file system with faults, behind the same traits as the real one.
//!
//! A [`SimDisk`] is a file server in memory. Each [`SimProcess`] sees it through directories and files of its
//! own, and each call of it is a *step* that can be made to fail, or to be the last thing the process does.
//! Answers are those of Linux on a local file system; `tests/conformance.rs` compares them with the real ones.
//!
//! With the modes of `client`, `removal` and `users` they are those of a network file system and of other users.
//!
//! What it does not simulate: symbolic links and FIFOs, attributes that an NFS client remembers. Calls block only
//! where a test says so (`SimProcess::hold_each`).

mod body;
mod client;
mod disk;
mod handles;
mod process;
mod removal;
mod tree;
mod users;

#[cfg(test)]
mod tests;

pub(crate) use disk::SimDisk;
#[cfg(test)]
pub(crate) use {
    disk::FlockMode,
    process::{Fault, SimProcess},
};
