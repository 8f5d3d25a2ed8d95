//! Real kernels: an NFS server and its clients, and disks that lose their power, in guests of this machine (see `rig/`).
//!
//! They are booted only where `FLOCKWORK_TEST_NFS` is set, for they need packages of Debian, which are downloaded at the
//! first time; where it is `all`, those tests run too that show little more than others do. A test of NFS has guests of
//! its own while it runs; two such tests run at a time.

/// What calls a task costs on the wire.
mod cost;
/// Many workers on many clients: each task is run once.
mod crowd;
/// A worker's machine dies, is cut off, or is suspended, and perhaps comes back.
mod death;
/// `flockwork doctor --peer` tells the truth about a mount.
mod doctor;
/// People: lock files that they remove, clocks that they set, disks that they fill.
mod hands;
/// New names: seen within one poll interval, whatever the clients' caches hold.
mod names;
/// Power cuts: a guest is killed while it works on a disk of its own, and the disk is looked at after.
mod power;
/// The program that the guests run: a master and workers whose answers are known beforehand.
mod program;
/// The file server is restarted in the middle of a run.
mod restart;
/// A place for one test: the rig, mounted, with a store and with what its processes noted.
mod site;
/// The torture that ships with the command, on three clients.
mod torture;
