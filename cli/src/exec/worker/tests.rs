//! The worker of a sweep on real stores.
