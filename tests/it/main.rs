//! The library as its users see it: real processes and threads on a real directory.

/// A user's own program with its verbs: results, exit codes, signals, killed workers.
#[cfg(feature = "cli")]
mod app;
/// The submit file for HTCondor.
mod condor;
/// Runs within one process: rounds, batches, failures, retries, panics, timeouts, the closure form.
mod library;
/// Waiting for something, with a limit.
#[cfg(feature = "cli")]
mod wait;
