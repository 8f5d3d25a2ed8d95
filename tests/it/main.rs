//! The library as its users see it: real processes and threads on a real directory.

/// Runs within one process: rounds, batches, failures, retries, panics, timeouts, the closure form.
mod library;
