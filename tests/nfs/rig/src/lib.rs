//! Guests with real kernels for tests: an NFS server and its clients, and disks that lose their power.
//!
//! A guest is a process of this machine: Debian's Linux kernel, built to run as a program (user-mode-linux). It needs
//! neither KVM nor root nor any network: guests talk over a hub in this process ([`Hub`]), and what a guest does is told
//! to it, and read from it, through files of this machine ([`Guest`]). Killing a guest is a power cut: nothing is
//! flushed, no connection is closed, no lock is given back.
//!
//! ```no_run
//! # fn main() -> flockwork_rig::Result<()> {
//! let mut rig = flockwork_rig::Rig::start(&flockwork_rig::Plan::default().clients(2))?;
//! rig.mount("4.2", "")?;
//! rig.client(0).run("echo hello >/mnt/nfs/x")?;
//! rig.client(0).kill()?;
//! assert_eq!(rig.client(1).run("cat /mnt/nfs/x")?, "hello\n");
//! # Ok(())
//! # }
//! ```
//!
//! The packages are downloaded and unpacked, never installed; the outcome (34 MiB) is kept in the target directory.

mod guest;
mod hub;
mod image;
mod job;
mod rig;

pub use guest::Guest;
pub use hub::Hub;
pub use image::Image;
pub use job::Job;
pub use rig::{Plan, Rig};

/// Whatever goes wrong with a rig is told in words.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// The answer of a step of the rig.
pub type Result<T> = std::result::Result<T, Error>;
