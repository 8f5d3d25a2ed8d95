//! The store, its workers and its masters on the simulated file system: every step fails once, in every way.
//!
//! Whole runs go through the real master and the real worker in one thread and in simulated time: while one
//! waits, the others act. After each scenario all invariants are checked (`check.rs`).

mod answers;
mod batches;
mod blocked;
mod check;
mod cleaning;
mod clocks;
mod coarse;
mod damage;
mod faults;
mod hand;
mod limits;
mod listings;
mod locks;
mod markers;
mod masters;
mod network;
mod open_ended;
mod passing;
mod pauses;
mod planted;
mod power;
mod readers;
mod steering;
mod trouble;
mod twins;
mod users;
mod world;
