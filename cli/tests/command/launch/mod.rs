//! `launch`: workers that an engine, or this host, is to start.

/// Workers of this host, for real.
mod background;
/// Submitting to an engine, asking it and ending its jobs; what it refuses.
mod engines;
/// Engines that are scripts.
mod pretended;
/// Workers in the place of those whose time is up.
mod replacing;

/// A task that waits for a file.
const GATED: &str = "echo $FLOCKWORK_a; until [ -e $FLOCKWORK_HERE/go ]; do sleep 0.02; done";
