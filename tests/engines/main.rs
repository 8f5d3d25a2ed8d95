//! Real engines: ssh hosts, Slurm and HTCondor, brought up in namespaces of this machine (see `rig/`).
//!
//! They run where `FLOCKWORK_TEST_ENGINES` is set, as root, with Debian's packages of the engines installed; elsewhere each
//! test says why it was skipped. Every test has a site or a pool of its own, so they may run at the same time.

/// HTCondor: the submit files that are shipped, with jobs that are vacated, held, released and removed.
mod condor;
/// `flockwork hosts` on hosts in trouble.
mod hosts;
/// The rigs themselves: what a cut, a kill and a freeze do, and that nothing stays behind.
mod rigs;
/// A place for one test: hosts that share a directory, and a head from which commands are given.
mod site;
/// Slurm: jobs that are cancelled, requeued, warned of their limit, or whose node loses its power.
mod slurm;
/// Workers that are launched over ssh.
mod ssh;
/// A sweep whose tasks note each time that they are run, and the proof that all is well after.
mod sweep;
/// `hosts cp` and `hosts distribute`, with hosts that are cut off, full, or not who they were.
mod transfer;
/// Waiting for what other processes do.
#[path = "../it/wait.rs"]
mod wait;
/// The same sweep by each way of launching.
mod ways;
