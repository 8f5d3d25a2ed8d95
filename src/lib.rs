//! A work queue that is a directory: no server, no database, and it does not lose work.
//!
//! A *master* writes inputs into a directory, the *store*, and collects outcomes from it. *Workers* on any machine
//! that mounts the directory claim input files, process them and publish what they gave. Whatever dies, every input
//! ends with exactly one accepted outcome, or is still there to be done.
//!
//! # What is not promised
//!
//! * **A task may be *executed* more than once**: after its worker was lost, after a failure, or near the end of a
//!   round beside a slow one. One outcome is accepted. Effects outside of [`Task::scratch`] are the task's own affair.
//! * **A dead host is found by silence**: until the [lease](StoreConfig::lease) is over (60 s locally, 300 s on
//!   network file systems) its tasks wait. A killed process on a living host is found at once where the kernel can
//!   tell.
//! * **[`Durability::Process`] does not survive power cuts** on local file systems: outcomes may be missing or damaged
//!   then. That is noticed, and they are done again.
//! * **File systems** must have exclusive creation, and hard links or a rename that never replaces. Locks (flock) only
//!   save work; where they do not reach other hosts, the lease alone decides.
//! * **The store's files are trusted as far as their modes**: who may write them can forge outcomes. Names, links and
//!   sizes are never trusted.
//! * **Linux only**, so far.
//!
//! # Example
//!
//! ```
//! use flockwork::{BoxError, Inputs, Master, MasterConfig, Outcome, RoundNumber, Store, StoreConfig, Task, Worker};
//!
//! #[derive(Default)]
//! struct Squares(Vec<(u64, u64)>);
//!
//! impl Master for Squares {
//!     type Input = u64;
//!     type Output = u64;
//!
//!     fn create_inputs(&mut self, round: RoundNumber) -> Result<Option<Inputs<u64>>, BoxError> {
//!         Ok(round.is_first().then(|| Inputs::new(1..=10)))
//!     }
//!
//!     fn collect(&mut self, outcome: Outcome<u64, u64>) -> Result<(), BoxError> {
//!         self.0.push((outcome.input, outcome.result?));
//!         Ok(())
//!     }
//! }
//!
//! struct Square;
//!
//! impl Worker for Square {
//!     type Input = u64;
//!     type Output = u64;
//!
//!     fn process(&self, n: u64, _task: &Task<'_>) -> Result<u64, BoxError> {
//!         Ok(n * n)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let place = tempfile::tempdir()?;
//! # let path = place.path().join("squares.flock");
//! let store = Store::create(&path, &StoreConfig::default())?;
//! // Usually another process, on another machine: it opens the same store.
//! let worker_store = Store::open(&path)?;
//! let worker = std::thread::spawn(move || flockwork::WorkerConfig::default().run(&worker_store, Square));
//! let mut squares = Squares::default();
//! let summary = MasterConfig::default().run(&store, &mut squares)?;
//! worker.join().unwrap()?;
//! assert_eq!(summary.ok, 10);
//! squares.0.sort();
//! assert_eq!(squares.0[2], (3, 9));
//! # Ok(())
//! # }
//! ```
//!
//! [`map`] is the shortest form. With the feature `cli`, `flockwork::app` gives a program of your own the verbs `run`,
//! `master`, `worker`, `status`, `stop`, `reclaim` and `audit`. What is on disk, and why, is in `docs/protocol.md`.
#![deny(missing_docs, clippy::disallowed_methods)]

/// The programs of the README, so that they are built with the tests.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "cli")]
pub mod app;
mod clock;
mod codec;
mod config;
mod error;
mod fs;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod janitor;
mod layout;
mod map;
mod master;
mod name;
mod observe;
mod outcome;
mod panics;
mod policy;
mod record;
mod store;
mod wait;
mod worker;

pub use codec::Codec;
pub use config::{Durability, Sharing, StoreConfig};
pub use error::{BoxError, Error, ErrorKind, Result};
pub use map::{Map, map};
pub use master::{Inputs, Master, MasterConfig};
pub use name::{ParseTaskIdError, RoundNumber, TaskId};
pub use observe::Event;
pub use outcome::{Failure, FailureKind, Outcome, RoundSummary, RunSummary, TaskError};
pub use store::{
    AttemptState, AttemptStatus, Audit, Cancel, Cancelled, Entry, JournalEntries, JournalEntry,
    JournalOutcome, LockSeen, OpenTask, Outcomes, Reclaim, Reclaimed, Retried, Retry, RoundStatus,
    RunningStatus, States, Status, Store, TaskSpan, TaskState, Violation, WorkerStatus,
};
pub use wait::{How, Stop};
pub use worker::{Task, WhyLeft, Worker, WorkerConfig, WorkerSummary};
