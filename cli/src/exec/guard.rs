//! The guard: ends the commands of a worker that was killed outright.
pub(super) const TOKENS: &str = "FLOCKWORK_GUARD";
