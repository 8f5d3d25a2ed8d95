//! Faults of this machine with real processes: what the system answers to a call, before and after it was done.
//!
//! A seeded choice runs by default. `FLOCKWORK_FAULTS=all` runs everything, `FLOCKWORK_FAULTS="worker linkat EIO"` what
//! has these words in its name, and `FLOCKWORK_FAULTS_SEED` makes the same choice again.

/// Many cases at a time, which of them, and what they came to together.
mod cases;
/// The master and the worker that the processes run.
mod errands;
/// Each system call of a worker and of a master is answered with each error.
mod errors;
/// A file system in this process that passes everything on, and fails on purpose.
mod fuse;
/// A worker and a master are killed at each of their system calls.
mod kills;
/// The command `flockwork` on a file system that fails calls before or after they were done.
mod network;
/// Processes of this very test binary under strace, and what they have to say.
mod processes;
/// What must hold in a store when all is over.
mod proof;
/// Chance that can be had again.
mod random;
/// One case: a victim under strace, healthy ones that finish the run, and the proof.
mod scenario;
/// strace: which calls are made, and which are answered with an error.
mod strace;
/// Waiting for what other processes do.
#[path = "../it/wait.rs"]
mod wait;
