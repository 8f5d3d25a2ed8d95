//! The worker: claims input files, processes their tasks, publishes what they gave.

mod aside;
mod attempt;
mod carry;
mod config;
mod desk;
mod ending;
mod engine;
mod keeper;
mod limit;
mod old_stop;
mod running;
mod scanner;
mod task;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use config::{WhyLeft, WorkerConfig, WorkerSummary};
pub use task::Task;

use crate::error::BoxError;

/// What is done with an input; implemented by the user.
///
/// One value serves all slots of a worker, each in a thread of its own: state that changes belongs into a `Mutex`
/// or into the task.
///
/// ```
/// use flockwork::{BoxError, Task, Worker};
///
/// struct Square;
///
/// impl Worker for Square {
///     type Input = u64;
///     type Output = u64;
///
///     fn process(&self, input: u64, _task: &Task<'_>) -> Result<u64, BoxError> {
///         Ok(input.checked_mul(input).ok_or("too large to be squared")?)
///     }
/// }
/// ```
pub trait Worker: Send + Sync + 'static {
    /// What a task is given. The same type as the master's.
    type Input: Serialize + DeserializeOwned;
    /// What a task gives. The same type as the master's.
    type Output: Serialize + DeserializeOwned;

    /// Processes one input.
    ///
    /// It may be called more than once for the same task: after a failure, after a worker was lost, or near the
    /// end of a round beside a slow one. One outcome is accepted. What it does outside of
    /// [`Task::scratch`] is its own affair.
    ///
    /// # Errors
    ///
    /// An error, or a panic, is a failure of this attempt: it is kept with the task, and the task is tried again
    /// as often as the store's `retries` allow. A [`TaskError`](crate::TaskError) can say more, and that no further
    /// attempt would help. An error after [`Task::should_stop`] said yes because the worker
    /// was told to stop is no failure: the task is given back.
    fn process(&self, input: Self::Input, task: &Task<'_>) -> Result<Self::Output, BoxError>;
}
