//! The tasks of a list: found by names where that is enough, and read only as far as they are shown.

use std::time::Duration;

use flockwork::app::exit::Failed;
use flockwork::app::times;
use flockwork::{RoundNumber, TaskId, TaskState};

use super::opened::{Opened, Parameters};
use super::running::{Held, RunningNow};
use super::selection::Selection;
use super::task::TaskView;
use crate::args::Sort;
use crate::tally;
use crate::task::Bytes;

/// So many tasks are read one by one; for more of them the store is read from its beginning.
const FEW: usize = 64;
/// What cannot be read is told of so often.
const MOST_NOTES: usize = 5;

/// A task of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) task: TaskId,
    pub(crate) values: Vec<Bytes>,
    /// `waiting`, `running`, `stale`, `ok` or `failed`.
    pub(crate) state: &'static str,
    /// Running: since it was claimed; ended: how long it ran.
    pub(crate) age: Option<Duration>,
    pub(crate) attempts: u32,
    pub(crate) holder: String,
    pub(crate) note: String,
}

impl Item {
    fn new(view: TaskView, values: Option<Vec<Bytes>>, held: Option<&Held>) -> Item {
        let mut item = Item {
            task: view.task,
            values: values.or(view.values).unwrap_or_default(),
            state: "waiting",
            age: None,
            attempts: 0,
            holder: String::new(),
            note: String::new(),
        };
        match view.state {
            TaskState::Waiting { attempts } => item.attempts = attempts,
            TaskState::Running { attempt } => {
                (item.state, item.attempts) = ("running", attempt);
                if let Some(held) = held {
                    item.add_held(held);
                }
            }
            TaskState::Ok => item.state = "ok",
            TaskState::Failed { attempts } => (item.state, item.attempts) = ("failed", attempts),
            _ => item.state = "unknown",
        }
        if let Some(ended) = view.ended {
            (item.age, item.attempts, item.holder) = (ended.took, ended.attempt, ended.host);
            item.note = ended.failure.as_ref().map(tally::cause).unwrap_or_default();
        }
        item
    }

    fn add_held(&mut self, held: &Held) {
        (self.age, self.holder) = (held.age, held.holder.clone());
        if held.stale {
            self.state = "stale";
            self.note = match (held.gone, held.silent) {
                (true, _) => "its process is gone".to_owned(),
                (false, Some(silent)) => format!("no sign for {}", times::short(silent)),
                (false, None) => String::new(),
            };
        }
    }
}

/// A list: which tasks, in which order, and how many.
pub(crate) struct Listing<'a> {
    pub(crate) opened: &'a Opened,
    pub(crate) selection: Selection,
    pub(crate) sort: Sort,
    /// 0: all.
    pub(crate) limit: usize,
    running: RunningNow,
    /// How many tasks are wanted, shown or not.
    pub(crate) found: u64,
    /// What could not be read.
    pub(crate) notes: Vec<String>,
}

/// What a task of a list is given to.
pub(crate) type Each<'a> = dyn FnMut(Item) -> Result<(), Failed> + 'a;

impl<'a> Listing<'a> {
    pub(crate) fn new(
        opened: &'a Opened,
        selection: Selection,
        sort: Sort,
        limit: usize,
        now: u64,
    ) -> Listing<'a> {
        let mut notes = Vec::new();
        let running = RunningNow::look(&opened.store, now).unwrap_or_else(|error| {
            notes.push(error.to_string());
            RunningNow::default()
        });
        Listing {
            opened,
            selection,
            sort,
            limit,
            running,
            found: 0,
            notes,
        }
    }

    /// Gives out the tasks in order.
    ///
    /// # Errors
    ///
    /// If the store cannot be listed, or `each` fails.
    pub(crate) fn run(&mut self, each: &mut Each<'_>) -> Result<(), Failed> {
        match self.sort {
            Sort::Task if (1..=FEW).contains(&self.limit) => self.few(each),
            Sort::Task => self.in_order(each),
            Sort::Age | Sort::Attempts => self.sorted(each),
        }
    }

    /// Finds them by names, and reads each.
    fn few(&mut self, each: &mut Each<'_>) -> Result<(), Failed> {
        let mut chosen = Vec::new();
        self.by_names(&mut |task, state| chosen.push((task, state)), self.limit)?;
        for (task, state) in chosen {
            let open = TaskView {
                task,
                state,
                values: None,
                ended: None,
            };
            let view = match state.has_ended() {
                true => self.opened.task(task),
                false => Ok(None),
            };
            let mut unread = String::new();
            let view = view.unwrap_or_else(|error| {
                unread = error.to_string();
                None
            });
            let values = match view.as_ref().is_some_and(|view| view.values.is_some()) {
                true => None,
                false => self.opened.values(task)?,
            };
            let mut item = Item::new(view.unwrap_or(open), values, self.running.of(task));
            if !unread.is_empty() {
                item.note = unread;
            }
            each(item)?;
        }
        Ok(())
    }

    /// Reads the store from its beginning.
    fn in_order(&mut self, each: &mut Each<'_>) -> Result<(), Failed> {
        let limit = self.limit;
        let mut given = 0;
        let all = self.read(&mut |item| {
            given += 1;
            each(item)?;
            Ok(given != limit)
        })?;
        if all {
            self.found = given as u64;
        } else {
            self.by_names(&mut |_, _| {}, 0)?;
        }
        Ok(())
    }

    /// Reads all, and keeps the first of the order only.
    fn sorted(&mut self, each: &mut Each<'_>) -> Result<(), Failed> {
        let (sort, limit) = (self.sort, self.limit);
        let mut best: Vec<Item> = Vec::new();
        let mut found = 0;
        let order = |one: &Item, other: &Item| {
            let by = match sort {
                Sort::Age => other.age.cmp(&one.age),
                Sort::Attempts => other.attempts.cmp(&one.attempts),
                Sort::Task => std::cmp::Ordering::Equal,
            };
            by.then(one.task.cmp(&other.task))
        };
        self.read(&mut |item| {
            found += 1;
            best.push(item);
            if limit > 0 && best.len() >= 2 * limit + 64 {
                best.sort_by(order);
                best.truncate(limit);
            }
            Ok(true)
        })?;
        best.sort_by(order);
        if limit > 0 {
            best.truncate(limit);
        }
        self.found = found;
        best.into_iter().try_for_each(each)
    }

    /// Reads all wanted tasks, until `each` says `false`; says whether it got to the end.
    fn read(&mut self, each: &mut dyn FnMut(Item) -> Result<bool, Failed>) -> Result<bool, Failed> {
        let mut parameters = self.opened.parameters()?;
        let selection = self.selection.clone();
        let tasks = self.opened.tasks(move |state| selection.may_want(state))?;
        for view in tasks {
            let view = match view {
                Ok(view) => view,
                Err(error) => {
                    self.note(error.to_string());
                    continue;
                }
            };
            let values = match view.values {
                Some(_) => None,
                None => parameters.of(view.task)?,
            };
            let held = self.running.of(view.task);
            let known = values.as_ref().or(view.values.as_ref());
            let fits = self
                .selection
                .wants(view.state, held.is_some_and(|held| held.stale))
                && self.selection.wants_values(known.map_or(&[], Vec::as_slice));
            if fits && !each(Item::new(view, values, held))? {
                return Ok(false);
            }
        }
        self.read_unpublished(&mut parameters, each)
    }

    fn read_unpublished(
        &self,
        parameters: &mut Parameters,
        each: &mut dyn FnMut(Item) -> Result<bool, Failed>,
    ) -> Result<bool, Failed> {
        let state = TaskState::Waiting { attempts: 0 };
        if !self.selection.may_want(state) {
            return Ok(true);
        }
        for number in self.unpublished()? {
            let task = first_round(number);
            let values = parameters.of(task)?;
            if !self.selection.wants_values(values.as_deref().unwrap_or_default()) {
                continue;
            }
            let view = TaskView {
                task,
                state,
                values: None,
                ended: None,
            };
            if !each(Item::new(view, values, None))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the numbers of the tasks that were submitted, and that no master has put into the store yet.
    fn unpublished(&self) -> Result<std::ops::Range<u64>, Failed> {
        let Some(submitted) = self.opened.submitted()? else {
            return Ok(0..0);
        };
        let status = self.opened.store.status()?;
        Ok(status.tasks().min(submitted)..submitted)
    }

    /// Counts the wanted tasks by names and parameters alone, and names the first of them.
    fn by_names(&mut self, first: &mut dyn FnMut(TaskId, TaskState), limit: usize) -> Result<(), Failed> {
        let mut found = 0;
        let mut named = 0;
        let mut published = 0;
        let mut parameters = self.opened.parameters()?;
        let one_by_one = self.selection.asks_for_values();
        for span in self.opened.store.states()? {
            let span = match span {
                Ok(span) => span,
                Err(error) => {
                    self.note(error.to_string());
                    continue;
                }
            };
            if span.first.round.is_first() {
                published = span.first.number + span.tasks;
            }
            // In a batch that failed some tasks may have an output.
            let is_mixed = matches!(span.state, TaskState::Failed { .. }) && span.tasks > 1;
            let stale = self.running.of(span.first).is_some_and(|held| held.stale);
            if !is_mixed && !self.selection.wants(span.state, stale) {
                continue;
            }
            let mut numbers = span.first.number..span.first.number + span.tasks;
            if !is_mixed && !one_by_one {
                found += span.tasks;
                numbers.end = numbers.end.min(numbers.start + (limit - named) as u64);
            }
            for number in numbers {
                let task = TaskId {
                    round: span.first.round,
                    number,
                };
                let mut state = span.state;
                if is_mixed && let Ok(Some(view)) = self.opened.task(task) {
                    state = view.state;
                }
                let fits = !one_by_one || self.fits(&mut parameters, task)?;
                if !fits || !self.selection.wants(state, stale) {
                    continue;
                }
                found += u64::from(is_mixed || one_by_one);
                if named < limit {
                    named += 1;
                    first(task, state);
                }
            }
        }
        let state = TaskState::Waiting { attempts: 0 };
        if self.selection.may_want(state)
            && let Some(submitted) = self.opened.submitted()?
        {
            for number in published.min(submitted)..submitted {
                if !one_by_one && named == limit {
                    found += submitted - number;
                    break;
                }
                let task = first_round(number);
                if one_by_one && !self.fits(&mut parameters, task)? {
                    continue;
                }
                found += 1;
                if named < limit {
                    named += 1;
                    first(task, state);
                }
            }
        }
        self.found = found;
        Ok(())
    }

    fn fits(&self, parameters: &mut Parameters, task: TaskId) -> Result<bool, Failed> {
        let values = parameters.of(task)?;
        Ok(self.selection.wants_values(values.as_deref().unwrap_or_default()))
    }

    fn note(&mut self, text: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(text);
        }
    }
}

fn first_round(number: u64) -> TaskId {
    TaskId {
        round: RoundNumber::FIRST,
        number,
    }
}
