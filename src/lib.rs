//! A work queue that is a directory.
#![deny(missing_docs, clippy::disallowed_methods)]

mod clock;
mod codec;
mod config;
mod error;
mod fs;
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
pub use name::{RoundNumber, TaskId};
pub use observe::Event;
pub use outcome::{Failure, FailureKind, Outcome, RoundSummary, RunSummary};
pub use store::{Audit, Reclaim, Reclaimed, RoundStatus, Status, Store, Violation, WorkerStatus};
pub use wait::{How, Stop};
pub use worker::{Task, Worker, WorkerConfig, WorkerSummary};
