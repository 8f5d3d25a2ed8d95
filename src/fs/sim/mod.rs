//! A simulated file system with faults, behind the same traits as the real one.
//!
//! A [`SimDisk`] is a file server in memory. Each [`SimProcess`] sees it through directories and files of its
//! own, and each call of it is a *step* that can be made to fail, or to be the last thing the process does.
//! Answers are those of Linux on a local file system; `tests/conformance.rs` compares them with the real ones.
//!
//! What it does not simulate: permissions, symbolic links and FIFOs, attributes that an NFS client remembers,
//! `.nfs*` files and ESTALE after a removal by another host (plan that one as a fault), calls that block.

mod disk;
mod handles;
mod process;
mod tree;

#[cfg(test)]
mod tests;

pub(crate) use disk::SimDisk;
#[cfg(test)]
pub(crate) use {
    disk::FlockMode,
    process::{Fault, SimProcess},
};
