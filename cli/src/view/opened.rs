//! A store that is looked into, with its sweep if it has one.

use std::path::{Path, PathBuf};

use flockwork::app::exit::Failed;
use flockwork::app::{exit, named};
use flockwork::{Store, TaskId, TaskState};

use super::opaque::Opaque;
use super::task::TaskView;
use crate::sweep::rows::Rows;
use crate::sweep::shown;
use crate::sweep::spec::Sweep;
use crate::task::{Bytes, Report, Row};
use crate::words;

/// A store that is looked into.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) store: Store,
    /// As it was named.
    pub(crate) path: PathBuf,
    /// `None` for the store of a user's own program.
    pub(crate) sweep: Option<Sweep>,
    rows: Rows,
}

/// The tasks of a store, in order.
pub(crate) type Tasks = Box<dyn Iterator<Item = flockwork::Result<TaskView>>>;

impl Opened {
    /// Opens the store that was named, or the only one here.
    ///
    /// # Errors
    ///
    /// If there is no such store, or its sweep cannot be read.
    pub(crate) fn open(path: Option<&Path>) -> Result<Opened, Failed> {
        let path = named(path)?;
        let store = Store::open(&path)?;
        Ok(Opened {
            sweep: Sweep::load(store.path())?,
            rows: Rows::open(store.path()),
            store,
            path,
        })
    }

    /// Opens the store, and finds the task, that `STORE TASK` or `TASK` name.
    ///
    /// # Errors
    ///
    /// Also if the store has no such task.
    pub(crate) fn with_task(words: &[String]) -> Result<(Opened, TaskId), Failed> {
        let (store, task) = match words {
            [task] => (std::env::var_os("FLOCKWORK_STORE").map(PathBuf::from), task),
            [store, task, ..] => (Some(PathBuf::from(store)), task),
            [] => return Err(Failed::usage("no task is named", "write its number, such as 377")),
        };
        let parsed = task.parse::<TaskId>();
        let task = parsed.map_err(|error| match words.len() {
            1 => Failed::usage(
                error.to_string(),
                "the task comes after the store: sweep.flock 377",
            ),
            _ => Failed::usage(error.to_string(), "write its number, such as 377"),
        })?;
        let opened = Opened::open(store.as_deref())?;
        opened.check(task)?;
        Ok((opened, task))
    }

    /// Returns the store's name for people.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().map_or_else(
            || shown::path(&self.path),
            |name| shown::plain(&name.to_string_lossy()),
        )
    }

    /// Returns a command on this store, as it could be typed: `flockwork logs sweep.flock 377`.
    pub(crate) fn command(&self, verb: &str, more: &str) -> String {
        let store = shown::words([self.path.as_os_str()]);
        let line = format!("flockwork {verb} {store} {more}");
        line.trim_end().to_owned()
    }

    /// Returns the names of the parameters.
    pub(crate) fn columns(&self) -> &[String] {
        self.sweep.as_ref().map_or(&[], |sweep| &sweep.columns)
    }

    /// Returns how many tasks were submitted; `None` without a sweep.
    ///
    /// # Errors
    ///
    /// If the rows cannot be read.
    pub(crate) fn submitted(&self) -> Result<Option<u64>, Failed> {
        self.sweep.as_ref().map(|_| self.rows.total()).transpose()
    }

    /// Returns the parameters of a task, as they were submitted.
    ///
    /// # Errors
    ///
    /// If the rows cannot be read.
    pub(crate) fn values(&self, task: TaskId) -> Result<Option<Vec<Bytes>>, Failed> {
        if self.sweep.is_none() || !task.round.is_first() {
            return Ok(None);
        }
        Ok(self.rows.get(task.number)?.map(|row| row.values))
    }

    /// Returns the parameters of all tasks from the first on; none without a sweep.
    ///
    /// # Errors
    ///
    /// If the rows cannot be read.
    pub(crate) fn parameters(&self) -> Result<Parameters, Failed> {
        Ok(Parameters {
            rows: self.sweep.as_ref().map(|_| self.rows.clone()),
            iter: None,
        })
    }

    /// Reads the tasks whose state is wanted.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed.
    pub(crate) fn tasks(
        &self,
        wanted: impl Fn(TaskState) -> bool + Send + 'static,
    ) -> flockwork::Result<Tasks> {
        Ok(match self.sweep {
            Some(_) => Box::new(of_types(self.store.outcomes::<Row, Report>()?.only(wanted))),
            None => Box::new(of_types(self.store.outcomes::<Opaque, Opaque>()?.only(wanted))),
        })
    }

    /// Reads one task; `None` if nobody has published it yet.
    ///
    /// # Errors
    ///
    /// Those of [`Store::task`].
    pub(crate) fn task(&self, task: TaskId) -> flockwork::Result<Option<TaskView>> {
        Ok(match self.sweep {
            Some(_) => self.store.task::<Row, Report>(task)?.map(TaskView::from),
            None => self.store.task::<Opaque, Opaque>(task)?.map(TaskView::from),
        })
    }

    fn check(&self, task: TaskId) -> Result<(), Failed> {
        let submitted = self.submitted()?.filter(|_| task.round.is_first());
        if submitted.is_some_and(|total| task.number < total) {
            return Ok(());
        }
        // One that cannot be read is there all the same.
        if !matches!(self.task(task), Ok(None)) {
            return Ok(());
        }
        let published = self.store.status()?;
        let mut tasks = 0;
        for round in published.rounds.iter().filter(|round| round.round == task.round) {
            tasks = round.tasks();
        }
        let tasks = submitted.unwrap_or(0).max(tasks);
        let name = |number| TaskId {
            round: task.round,
            number,
        };
        let text = match tasks {
            0 if task.round.is_first() => format!("{} has no tasks yet", self.name()),
            0 => format!("{} has no round {}", self.name(), task.round),
            _ => format!(
                "there is no task {task}; the store has {}: {} to {}",
                words::tasks(tasks),
                name(0),
                name(tasks - 1)
            ),
        };
        let hint = format!("list them: {}", self.command("ls", ""));
        Err(Failed::new(exit::USAGE, text, Some(hint)))
    }
}

fn of_types<I, O>(
    entries: impl Iterator<Item = flockwork::Result<flockwork::Entry<I, O>>>,
) -> impl Iterator<Item = flockwork::Result<TaskView>>
where
    TaskView: From<flockwork::Entry<I, O>>,
{
    entries.map(|entry| entry.map(TaskView::from))
}

/// The parameters of tasks that are asked for in order.
#[derive(Debug)]
pub(crate) struct Parameters {
    rows: Option<Rows>,
    iter: Option<crate::sweep::rows::RowsIter>,
}

impl Parameters {
    /// Returns those of a task, which comes after all that were asked for before.
    ///
    /// # Errors
    ///
    /// If the rows cannot be read.
    pub(crate) fn of(&mut self, task: TaskId) -> Result<Option<Vec<Bytes>>, Failed> {
        let Some(rows) = self.rows.as_ref().filter(|_| task.round.is_first()) else {
            return Ok(None);
        };
        // A short gap is read over; for a long one the right file is found anew.
        const NEAR: u64 = 1024;
        let near = |iter: &crate::sweep::rows::RowsIter| {
            task.number
                .checked_sub(iter.task())
                .is_some_and(|gap| gap <= NEAR)
        };
        let mut iter = match self.iter.take().filter(near) {
            Some(iter) => iter,
            None => rows.iter_from(task.number)?,
        };
        let mut row = None;
        while iter.task() <= task.number {
            row = iter.next().transpose()?;
            if row.is_none() {
                break;
            }
        }
        self.iter = Some(iter);
        Ok(row.map(|row| row.values))
    }
}
