//! All tasks of a store with what they ended with, read one shard after the other; and one task of it.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::piece::{Queue, ShardReader};
use super::shard::ShardView;
use super::span::{Place, Span};
use super::states::TaskState;
use super::walk::Walk;
use crate::error::{IoContext, Result};
use crate::name::TaskId;
use crate::outcome::Outcome;
use crate::store::Store;
use crate::store::scan::{list_round, list_rounds};

/// A task as a reader of the store finds it.
#[derive(Debug)]
pub enum Entry<I, O> {
    /// It has ended: with an output, or with a failure after its last attempt.
    Ended(Outcome<I, O>),
    /// It is waiting or running.
    Open(OpenTask<I>),
}

/// A task that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenTask<I> {
    /// The task.
    pub task: TaskId,
    /// Whether it waits or runs, and in which attempt.
    pub state: TaskState,
    /// Its input, if that was asked for: see [`Outcomes::with_open_inputs`].
    pub input: Option<I>,
}

impl<I, O> Entry<I, O> {
    /// Returns the task.
    pub fn task(&self) -> TaskId {
        match self {
            Entry::Ended(outcome) => outcome.task,
            Entry::Open(open) => open.task,
        }
    }

    /// Returns in what state it is.
    pub fn state(&self) -> TaskState {
        match self {
            Entry::Ended(outcome) => match outcome.result {
                Ok(_) => TaskState::Ok,
                Err(_) => TaskState::Failed {
                    attempts: outcome.attempt,
                },
            },
            Entry::Open(open) => open.state,
        }
    }

    /// Returns its input: always of a task that has ended, of others if it was asked for.
    pub fn input(&self) -> Option<&I> {
        match self {
            Entry::Ended(outcome) => Some(&outcome.input),
            Entry::Open(open) => open.input.as_ref(),
        }
    }

    /// Returns its outcome, if it has ended.
    pub fn into_outcome(self) -> Option<Outcome<I, O>> {
        match self {
            Entry::Ended(outcome) => Some(outcome),
            Entry::Open(_) => None,
        }
    }
}

type Filter = Box<dyn Fn(TaskState) -> bool + Send>;

/// All tasks of a store, in order of round and number: see [`Store::outcomes`].
pub struct Outcomes<I, O> {
    walk: Walk,
    only: Option<Filter>,
    open_inputs: bool,
    shard: Option<ShardReader>,
    queue: Queue<I, O>,
    types: PhantomData<fn() -> (I, O)>,
}

impl<I, O> fmt::Debug for Outcomes<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes")
            .field("walk", &self.walk)
            .field("open_inputs", &self.open_inputs)
            .finish_non_exhaustive()
    }
}

impl<I, O> Outcomes<I, O> {
    /// Leaves out the tasks that are waiting or running. Default: they are there, as [`Entry::Open`].
    #[must_use]
    pub fn ended_only(self) -> Self {
        self.only(TaskState::has_ended)
    }

    /// Leaves out the tasks whose state the closure refuses. Their files are not read, as far as names tell their state.
    ///
    /// ```
    /// # use flockwork::{Store, TaskState};
    /// # fn f(store: &Store) -> flockwork::Result<()> {
    /// for entry in store.outcomes::<u64, u64>()?.only(|state| matches!(state, TaskState::Failed { .. })) {
    ///     println!("{} failed", entry?.task());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(TaskState) -> bool + Send + 'static) -> Self {
        self.only = Some(Box::new(wanted));
        self
    }

    /// Reads the inputs of waiting and running tasks too: a file for each of them. Default: not.
    #[must_use]
    pub fn with_open_inputs(mut self) -> Self {
        self.open_inputs = true;
        self
    }

    fn wants(&self, state: TaskState) -> bool {
        self.only.as_ref().is_none_or(|only| only(state))
    }

    fn wants_span(&self, span: &Span) -> bool {
        // In a batch that failed some tasks may have an output.
        let is_mixed = matches!(span.state(), TaskState::Failed { .. }) && span.tasks > 1;
        self.wants(span.state()) || (is_mixed && self.wants(TaskState::Ok))
    }

    fn begin(&mut self, shard: ShardView) -> Result<()> {
        let spans = shard.spans(self.walk.store())?;
        let wanted: VecDeque<Span> = spans.into_iter().filter(|span| self.wants_span(span)).collect();
        self.shard = Some(ShardReader::new(
            self.walk.store(),
            shard,
            wanted,
            self.open_inputs,
        ));
        Ok(())
    }
}

impl<I: DeserializeOwned, O: DeserializeOwned> Iterator for Outcomes<I, O> {
    type Item = Result<Entry<I, O>>;

    fn next(&mut self) -> Option<Result<Entry<I, O>>> {
        loop {
            match self.queue.pop_front() {
                // It may have changed since it was listed.
                Some(Ok(entry)) if !self.wants(entry.state()) => continue,
                Some(item) => return Some(item),
                None => {}
            }
            if let Some(shard) = &mut self.shard
                && shard.read(&mut self.queue)
            {
                continue;
            }
            self.shard = None;
            match self.walk.next()?.and_then(|shard| self.begin(shard)) {
                Ok(()) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Store {
    /// Reads all tasks that are in the store, in order of round and number, with what they ended with.
    ///
    /// It can be called at any time, from any host, beside masters and workers; it changes nothing. A task that ends in
    /// the meantime shows as it was before or as it is after. No more than one done file or one input file with its
    /// outcome is in memory at a time.
    ///
    /// `I` and `O` are the types that master and workers were built with.
    ///
    /// An item that is an error speaks of one task, one input file or one shard that could not be read; the others
    /// follow. Its kind is [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) where a file does not hold what it should,
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) where bytes do not decode as `I` or `O`, and
    /// [`ErrorKind::Io`](crate::ErrorKind::Io).
    ///
    /// ```
    /// use flockwork::{Entry, Store};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("squares.flock");
    /// flockwork::map(&path, 1..=10u64, |n| Ok(n * n)).collect()?;
    /// let mut squares = Vec::new();
    /// for entry in Store::open(&path)?.outcomes::<u64, u64>()? {
    ///     match entry? {
    ///         Entry::Ended(outcome) => squares.push((outcome.input, outcome.result?)),
    ///         Entry::Open(open) => println!("{} is still to be done", open.task),
    ///     }
    /// }
    /// assert_eq!(squares[2], (3, 9));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the rounds cannot be listed.
    pub fn outcomes<I: DeserializeOwned, O: DeserializeOwned>(&self) -> Result<Outcomes<I, O>> {
        Ok(Outcomes {
            walk: Walk::new(self)?,
            only: None,
            open_inputs: false,
            shard: None,
            queue: VecDeque::new(),
            types: PhantomData,
        })
    }

    /// Reads one task, with its input; `None` if it is not in the store (yet).
    ///
    /// It costs a few listings, however many tasks there are.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("squares.flock");
    /// flockwork::map(&path, 1..=10u64, |n| Ok(n * n)).collect()?;
    /// let store = flockwork::Store::open(&path)?;
    /// let entry = store.task::<u64, u64>("0/2".parse()?)?.expect("there are ten");
    /// assert_eq!(entry.input(), Some(&3));
    /// assert!(store.task::<u64, u64>("0/10".parse()?)?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for the items of [`Store::outcomes`].
    pub fn task<I: DeserializeOwned, O: DeserializeOwned>(
        &self,
        task: TaskId,
    ) -> Result<Option<Entry<I, O>>> {
        let Some((shard, span)) = self.find(task)? else {
            return Ok(None);
        };
        let mut at = task.number - span.first;
        let mut wanted = span;
        if span.place == Place::Archived {
            (wanted.first, wanted.tasks, at) = (task.number, 1, 0);
        }
        let mut reader = ShardReader::new(self, shard, VecDeque::from([wanted]), true);
        let mut entries = Queue::new();
        while reader.read(&mut entries) {}
        // A file that cannot be read at all is one item.
        let at = usize::try_from(at)
            .unwrap_or(0)
            .min(entries.len().saturating_sub(1));
        let found = entries.remove(at).transpose()?;
        Ok(found.filter(|entry| entry.task() == task))
    }

    /// Finds the shard that holds a task, and where in it the task is.
    pub(super) fn find(&self, task: TaskId) -> Result<Option<(ShardView, Span)>> {
        if !list_rounds(self)?.contains(&task.round) {
            return Ok(None);
        }
        let round_dir = self.round_dir(task.round)?;
        let listing = list_round(&round_dir).during("cannot list", round_dir.path())?;
        let shards = listing.shards.union(&listing.done);
        let Some(number) = shards.filter(|shard| shard.0 <= task.number).max() else {
            return Ok(None);
        };
        let shard = ShardView::take(self, task.round, &round_dir, *number)?;
        let spans = shard.spans(self)?;
        let found = spans
            .into_iter()
            .find(|span| span.first <= task.number && task.number - span.first < span.tasks);
        Ok(found.map(|span| (shard, span)))
    }
}
