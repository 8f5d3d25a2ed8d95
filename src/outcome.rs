//! What tasks and rounds end with.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{RoundNumber, TaskId};

/// What a task ended with: an output or a failure.
#[derive(Debug)]
pub struct Outcome<I, O> {
    /// The task.
    pub task: TaskId,
    /// Its input.
    pub input: I,
    /// Its output, or why there is none.
    pub result: Result<O, Failure>,
    /// The number of the attempt that ended it, from 1.
    pub attempt: u32,
    /// The worker that ended it, as `HOST-PID-RANDOM`; empty if that is not known.
    pub worker: String,
    /// How long `Worker::process` took in that attempt; zero for a failure.
    pub elapsed: Duration,
}

/// Why a task has no output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort of failure it was, in its last attempt.
    pub kind: FailureKind,
    /// The error's or the panic's text, or what is known of a lost worker.
    pub message: String,
    /// Where it panicked, as `file:line:column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What the task said about it to other programs: see [`TaskError::detail`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// An error of a task that says more than its text.
///
/// Any error makes an attempt fail. This one can also carry a text for programs, and say that no further attempt
/// would help.
///
/// ```
/// use flockwork::{BoxError, TaskError};
///
/// fn check(n: i64) -> Result<i64, BoxError> {
///     if n < 0 {
///         return Err(TaskError::new("the number is negative").detail("{\"line\":7}").last().into());
///     }
///     Ok(n)
/// }
/// assert_eq!(check(-1).unwrap_err().to_string(), "the number is negative");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskError {
    message: String,
    detail: Option<String>,
    is_last: bool,
}

impl TaskError {
    /// Makes one from a text for people.
    pub fn new(message: impl Into<String>) -> TaskError {
        TaskError {
            message: message.into(),
            detail: None,
            is_last: false,
        }
    }

    /// Adds a text for programs; it is kept as [`Failure::detail`].
    pub fn detail(mut self, detail: impl Into<String>) -> TaskError {
        self.detail = Some(detail.into());
        self
    }

    /// Says that no further attempt is to be made, whatever the store's retries are.
    ///
    /// In a batch it holds for this task alone: the others are tried again, and this one is not run with them.
    /// [`Store::retry`](crate::Store::retry) grants new attempts all the same.
    pub fn last(mut self) -> TaskError {
        self.is_last = true;
        self
    }

    /// Returns the failure that it means, and whether it is the last.
    pub(crate) fn into_failure(self) -> (Failure, bool) {
        let failure = Failure {
            detail: self.detail,
            ..Failure::new(FailureKind::Error, self.message)
        };
        (failure, self.is_last)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TaskError {}

/// What sort of failure a task ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FailureKind {
    /// `Worker::process` returned an error.
    Error,
    /// `Worker::process` panicked.
    Panic,
    /// It took longer than the store's timeout.
    Timeout,
    /// Its workers died or fell silent, each time.
    Lost,
    /// Its input could not be read or does not decode.
    Input,
    /// Its output could not be written as bytes, or is larger than the store's limit.
    Output,
    /// Somebody cancelled it: see [`Store::cancel`](crate::Store::cancel).
    Cancelled,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            message: message.into(),
            place: None,
            detail: None,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureKind::Error => "error",
            FailureKind::Panic => "panic",
            FailureKind::Timeout => "timeout",
            FailureKind::Lost => "lost",
            FailureKind::Input => "input",
            FailureKind::Output => "output",
            FailureKind::Cancelled => "cancelled",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)?;
        match &self.place {
            Some(place) => write!(f, " at {place}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// What a round ended with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RoundSummary {
    /// The round.
    pub round: RoundNumber,
    /// How many tasks it had.
    pub tasks: u64,
    /// How many of them have an output.
    pub ok: u64,
    /// How many of them failed for good.
    pub failed: u64,
}

/// What a master's run ended with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunSummary {
    /// How many rounds have ended.
    pub rounds: u32,
    /// How many tasks were handed to `collect`.
    pub tasks: u64,
    /// How many of them have an output.
    pub ok: u64,
    /// How many of them failed for good.
    pub failed: u64,
    /// How many outcomes an earlier master had already seen, and were handed over again.
    pub replayed: u64,
    /// Whether it was stopped before its end: there is work left.
    pub stopped: bool,
}
