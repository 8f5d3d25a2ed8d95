//! Reads the tasks of one shard, a piece at a time, also while a master ends and cleans it.

use std::collections::VecDeque;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::decode::{EndedInput, input_of, outcome_of_done_task, outcomes_of_input};
use super::entries::{Entry, OpenTask};
use super::shard::ShardView;
use super::span::{Place, Span, state_of};
use super::states::TaskState;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::{DirRef, FsKind, is_foreign, is_gone};
use crate::layout::{self, Kind};
use crate::name::{Stem, TaskId};
use crate::record::Damage;
use crate::store::outcomes::{input_tasks, read_accepted, read_failed};
use crate::store::{DoneFile, InputTasks, State, Store};

/// What is damaged, or changes while it is read, is read so often before that is said.
const LOOKS: u32 = 3;
/// A network file system may need a moment.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The entries that were read and not yet handed over.
pub(super) type Queue<I, O> = VecDeque<Result<Entry<I, O>>>;

/// Reads what is wanted of one shard; it holds the done file or one input file at a time.
#[derive(Debug)]
pub(super) struct ShardReader {
    store: Store,
    view: ShardView,
    /// Read when it is first needed.
    done: Option<DoneFile>,
    left: VecDeque<Span>,
    /// Whether the inputs of open tasks are wanted.
    open_inputs: bool,
}

/// What came of reading an input file.
enum Look<I, O> {
    Read(Queue<I, O>),
    /// A file of it is gone: cleaned, or put aside.
    Gone,
    Damaged(Error),
}

impl ShardReader {
    pub(super) fn new(
        store: &Store,
        view: ShardView,
        wanted: VecDeque<Span>,
        open_inputs: bool,
    ) -> ShardReader {
        ShardReader {
            store: store.clone(),
            view,
            done: None,
            left: wanted,
            open_inputs,
        }
    }

    /// Reads the next piece; `false` at the end.
    pub(super) fn read<I, O>(&mut self, queue: &mut Queue<I, O>) -> bool
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
    {
        let Some(span) = self.left.pop_front() else {
            return false;
        };
        let open_by_name = !span.state().has_ended() && !self.open_inputs;
        match span.place {
            Place::Archived => match self.archived(span.first) {
                Ok(entry) => {
                    queue.push_back(entry);
                    self.put_back(span);
                }
                // Nothing can be said of the others either.
                Err(error) => queue.push_back(Err(error)),
            },
            Place::Listed(_) if open_by_name => {
                queue.push_back(Ok(Entry::Open(OpenTask {
                    task: self.task(span.first),
                    state: span.state(),
                    input: None,
                })));
                self.put_back(span);
            }
            Place::Listed(input) => match self.listed(Stem(span.first), input.state) {
                Ok(entries) => queue.extend(entries),
                Err(error) => queue.push_back(Err(error)),
            },
        }
        true
    }

    /// What is left of a span after its first task.
    fn put_back(&mut self, span: Span) {
        if span.tasks > 1 {
            self.left.push_front(Span {
                first: span.first + 1,
                tasks: span.tasks - 1,
                ..span
            });
        }
    }

    fn task(&self, number: u64) -> TaskId {
        TaskId {
            round: self.view.round,
            number,
        }
    }

    /// Reads a task of the done file; the outer error is about the file itself.
    fn archived<I, O>(&mut self, number: u64) -> Result<Result<Entry<I, O>>>
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
    {
        if self.done.is_none() {
            self.done = Some(self.view.read_done(&self.store)?);
        }
        let path = self.view.done_path();
        let record = self.done.as_ref().and_then(|done| done.task(number));
        let record = record.ok_or_else(|| {
            let task = self.task(number);
            Error::new(
                ErrorKind::Damaged,
                format!("the tasks from {task} on are missing in"),
            )
            .at(&path)
        })?;
        Ok(outcome_of_done_task(self.view.round, &path, &record).map(Entry::Ended))
    }

    /// Reads all tasks of an input file that was listed.
    fn listed<I, O>(&mut self, stem: Stem, mut state: State) -> Result<Queue<I, O>>
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
    {
        let mut damage = None;
        for look in 0..LOOKS {
            if look > 0 && self.store.kind() == FsKind::Network {
                crate::clock::pause(BETWEEN_LOOKS);
            }
            if let Some(tasks) = self.done.as_ref().and_then(|done| done.tasks_of_stem(stem)) {
                let numbers = (stem.0..).take(tasks);
                return numbers.map(|number| self.archived(number)).collect();
            }
            match self.look(stem, state)? {
                Look::Read(entries) => return Ok(entries),
                Look::Gone => match self.look_again(stem)? {
                    Some(now) => state = now,
                    None if self.done.is_some() => {}
                    None => break,
                },
                Look::Damaged(error) => damage = Some(error),
            }
        }
        Err(damage.unwrap_or_else(|| {
            let step = format!(
                "the files of task {} are gone, and no done file has it, in",
                self.task(stem.0)
            );
            Error::new(ErrorKind::Damaged, step).at(self
                .view
                .round_dir
                .path()
                .join(layout::shard_name(self.view.number)))
        }))
    }

    /// Lists a shard anew in which a file was gone: its done file has the task now, or its state is another.
    fn look_again(&mut self, stem: Stem) -> Result<Option<State>> {
        let view = &self.view;
        self.view = ShardView::take(&self.store, view.round, &view.round_dir, view.number)?;
        if self.view.has_done {
            self.done = Some(self.view.read_done(&self.store)?);
        }
        let listed = self.view.listed.as_ref();
        Ok(listed.and_then(|listed| listed.state_of(stem)))
    }

    fn look<I, O>(&self, stem: Stem, state: State) -> Result<Look<I, O>>
    where
        I: DeserializeOwned,
        O: DeserializeOwned,
    {
        let Some(listed) = &self.view.listed else {
            return Ok(Look::Gone);
        };
        let dir = &listed.dir;
        let Some(input) = self.read_input(dir, stem)? else {
            return Ok(Look::Gone);
        };
        let path = |kind| dir.path().join(layout::plain_name(stem, kind));
        let inputs = match input_tasks(&input) {
            Ok(inputs) => inputs,
            Err(damage) => return Ok(Look::Damaged(self.damaged_input(stem, path(Kind::In), damage))),
        };
        let ended = match state {
            State::Failed { last, final_at } => {
                read_failed(&self.store, dir, stem, inputs.len(), last, final_at)
                    .during("cannot read attempts in", dir.path())?
            }
            State::Done => match read_accepted(&self.store, dir, stem, inputs.len(), Vec::new()) {
                Ok(Ok(ended)) => ended,
                Ok(Err(damage)) => {
                    let step = format!("the outcome of task {} is damaged:", self.task(stem.0));
                    let error = Error::new(ErrorKind::Damaged, step)
                        .at(path(Kind::Out))
                        .because(damage);
                    let hint = "a master puts it aside, and the task is done again";
                    return Ok(Look::Damaged(error.with_hint(hint)));
                }
                Err(error) if is_gone(&error) => return Ok(Look::Gone),
                Err(error) => return Err(error).during("cannot read", &path(Kind::Out)),
            },
            _ => {
                let open = self.open_tasks(stem, state_of(state), &input, &inputs, &path(Kind::In));
                return Ok(Look::Read(open));
            }
        };
        let file = EndedInput {
            stem,
            input: &input,
            inputs: &inputs,
            ended: &ended,
        };
        let outcomes = outcomes_of_input(self.view.round, dir.path(), file);
        Ok(Look::Read(
            outcomes.map(|outcome| outcome.map(Entry::Ended)).collect(),
        ))
    }

    /// Reads an input file; `None` if it is gone.
    fn read_input(&self, dir: &DirRef, stem: Stem) -> Result<Option<Vec<u8>>> {
        let name = layout::plain_name(stem, Kind::In);
        let mut bytes = Vec::new();
        match dir.read(&name, self.store.file_limit(), &mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => {
                let foreign = is_foreign(&error);
                let error = Err(error).during("cannot read", &dir.path().join(&name));
                error.map_err(|error: Error| match foreign {
                    true => error.with_hint("something else is in the place of the input file: see `ls -l`"),
                    false => error,
                })
            }
        }
    }

    fn damaged_input(&self, stem: Stem, path: std::path::PathBuf, damage: Damage) -> Error {
        let step = format!("the input of task {} is damaged:", self.task(stem.0));
        Error::new(ErrorKind::Damaged, step)
            .at(path)
            .because(damage)
            .with_hint("restore the file from a backup, or begin again with a new store")
    }

    fn open_tasks<I: DeserializeOwned, O>(
        &self,
        stem: Stem,
        state: TaskState,
        bytes: &[u8],
        inputs: &InputTasks,
        path: &std::path::Path,
    ) -> Queue<I, O> {
        let numbered = (stem.0..).zip(inputs);
        let entries = numbered.map(|(number, (codec, place))| {
            let task = self.task(number);
            let input = input_of(*codec, bytes, place, task, path)?;
            Ok(Entry::Open(OpenTask {
                task,
                state,
                input: Some(input),
            }))
        });
        entries.collect()
    }
}
