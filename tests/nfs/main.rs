//! Real NFS: a kernel's server and kernels' clients, in guests of this machine (see `rig/`).
//!
//! They are booted only where `FLOCKWORK_TEST_NFS` is set, for they need packages of Debian, which are downloaded at the
//! first time. Each test takes all guests, one test at a time.

/// What calls a task costs on the wire.
mod cost;
/// Many workers on many clients: each task is run once.
mod crowd;
/// The program that the guests run: a master and workers whose answers are known beforehand.
mod program;
/// A place for one test: the rig, mounted, with a store and with what its processes noted.
mod site;
