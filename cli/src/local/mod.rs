//! Worker services on this machine, for trying things out: each listens on a port of the loopback interface, answers
//! pings, and may run a worker.

pub(crate) mod call;
pub(crate) mod ports;
pub(crate) mod service;
pub(crate) mod start;
pub(crate) mod state;
