//! In what state all tasks of a store are, by names alone.

use std::collections::VecDeque;

use super::walk::Walk;
use crate::error::Result;
use crate::name::TaskId;
use crate::store::Store;

/// In what state a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// Nobody has taken it yet, or again.
    Waiting {
        /// The attempts that were made so far.
        attempts: u32,
    },
    /// Somebody is at it.
    Running {
        /// The attempt that runs, from 1.
        attempt: u32,
    },
    /// It has an output.
    Ok,
    /// Its attempts are used up, or one of them was to be the last.
    Failed {
        /// The attempts that were made.
        attempts: u32,
    },
}

impl TaskState {
    /// Says whether it has an outcome, good or bad.
    pub fn has_ended(self) -> bool {
        matches!(self, TaskState::Ok | TaskState::Failed { .. })
    }
}

/// Tasks that follow each other and are in the same state.
///
/// They are the tasks of one input file, or those of an ended shard that are kept in its done file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskSpan {
    /// The first of them.
    pub first: TaskId,
    /// How many they are.
    pub tasks: u64,
    /// What they are in.
    pub state: TaskState,
}

/// The states of all tasks of a store, in order of round and number: see [`Store::states`].
#[derive(Debug)]
pub struct States {
    walk: Walk,
    ready: VecDeque<TaskSpan>,
}

impl Iterator for States {
    type Item = Result<TaskSpan>;

    fn next(&mut self) -> Option<Result<TaskSpan>> {
        loop {
            if let Some(span) = self.ready.pop_front() {
                return Some(Ok(span));
            }
            let shard = match self.walk.next()? {
                Ok(shard) => shard,
                Err(error) => return Some(Err(error)),
            };
            match shard.states(self.walk.store()) {
                Ok(spans) => self.ready.extend(spans),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Store {
    /// Tells in what state all tasks are that are in the store, in order of round and number.
    ///
    /// It costs one listing for each shard, and one small read for each shard that has ended; no input and no outcome
    /// is read. A batch is in one state with all its tasks: it counts as failed also if only one of them has failed,
    /// which [`Store::outcomes`] tells apart.
    ///
    /// An item that is an error speaks of one shard (or one round) that could not be read; the others follow.
    ///
    /// ```
    /// use flockwork::{Store, TaskState};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("squares.flock");
    /// flockwork::map(&path, 1..=10u64, |n| Ok(n * n)).collect()?;
    /// let mut ok = 0;
    /// for span in Store::open(&path)?.states()? {
    ///     let span = span?;
    ///     ok += if span.state == TaskState::Ok { span.tasks } else { 0 };
    /// }
    /// assert_eq!(ok, 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the rounds cannot be listed. Items are errors of that kind too, or
    /// [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) where a done file does not hold what it should.
    pub fn states(&self) -> Result<States> {
        Ok(States {
            walk: Walk::new(self)?,
            ready: VecDeque::new(),
        })
    }
}
