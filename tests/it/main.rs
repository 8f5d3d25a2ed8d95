//! The library as its users see it: real processes and threads on a real directory.

/// A user's own program with its verbs: results, exit codes, signals, killed workers.
#[cfg(feature = "cli")]
mod app;
/// The submit files for HTCondor.
mod condor;
/// The master and the worker that the tests run: errands whose answers are known beforehand.
mod errands;
/// Tasks that fail, panic, or take their worker with them.
mod failures;
/// Stores that earlier versions have made.
mod format;
/// Damaged outcomes, and what somebody planted in a shard.
mod hostile;
/// Runs within one process: rounds, batches, failures, retries, panics, timeouts, the closure form.
mod library;
/// Timeouts, sizes, and values that do not decode.
mod limits;
/// A master and workers as threads of the test.
mod local;
/// Lock files that a person removes while their holders run.
mod locks;
/// Many workers, many tasks: each is run once.
mod many;
/// Two masters of one store.
mod masters;
/// Making and opening stores.
mod opening;
/// Starting, stopping and killing real masters and workers.
mod processes;
/// A master that is killed at every step.
mod restart;
/// The submit files for Slurm.
mod slurm;
/// Sources of inputs: slow, endless, failing.
mod sources;
/// A store on a file system that is full for a while.
mod space;
/// Cancelling, new attempts, pauses, inputs that come late.
mod steering;
/// Workers that are stopped for longer than the lease, and come back.
mod stopped;
/// Stopping and leaving; scratch directories and progress.
mod stopping;
/// Waiting for what other processes do.
mod wait;
