//! A model of the protocol on disk (docs/protocol.md), checked in all its interleavings.
//!
//! A state holds one shard directory, two or three workers, observers that give up silent attempts, and a master that
//! collects and cleans. An action is one system call of one process, or one fault out of a small budget. The checker
//! visits every state that can be reached and looks at the invariants I1 to I6 in each.
//!
//! What the model leaves out, and why it may:
//!
//! * Time. Every step may be delayed for as long as one likes, so a parked worker, a suspended one and a slow network
//!   are all the same: a worker whose next action comes late. A listing that is acted upon late is an old listing.
//! * Old listings of an observer: a marker is made with O_EXCL, so that it does not matter what the listing missed.
//! * Batches, checkpoints, scratch directories: they touch names of one attempt only.
//! * Damaged outputs and the one-master lock.
//! * Contents. A file is empty or whole, and synced or not.
//!
//! A flaw that is known to break the protocol can be switched on (`setup::Flaw`). For each there is a test that the
//! checker notices it: a model that could not find an error would prove nothing.
//!
//! `FLOCKWORK_MODEL_EXTRA_FAULTS=1 cargo test --test model sound -- --test-threads 1` gives every configuration that
//! has to hold one fault more: about seventy million states, some minutes.

mod actions;
mod check;
mod disk;
mod faults;
mod invariants;
mod master;
mod names;
mod observer;
mod publish;
mod reach;
mod setup;
mod state;
mod worker;

/// The protocol as it is: all invariants hold.
mod sound;

/// The protocol with one rule broken: the checker finds out.
mod flawed;
