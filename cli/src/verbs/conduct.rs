//! What `run` and `wait` share: the master of a sweep is run or watched to the end, and what it has come to is told.

use std::path::PathBuf;

use flockwork::app::exit::{self, Ended, Failed};
use flockwork::app::{Local, Ran, Screen, Workers, times};
use flockwork::{Entry, Stop, Store, TaskId};

use super::collect;
use crate::args::As;
use crate::master::SweepMaster;
use crate::steward;
use crate::sweep::rows::Rows;
use crate::sweep::shown;
use crate::sweep::spec::Sweep;
use crate::tally::Tally;
use crate::task::{Report, Row};
use crate::words;

/// A sweep that is to be brought to its end.
pub(super) struct Conduct<'a> {
    pub(super) store: &'a Store,
    pub(super) sweep: &'a Sweep,
    pub(super) screen: &'a Screen,
    /// Worker processes here, if any.
    pub(super) workers: Option<Workers>,
    pub(super) stop: Stop,
    /// Whether a request to stop that is there already is withdrawn.
    pub(super) withdraw_stop: bool,
    /// No line for each failed task.
    pub(super) quiet: bool,
    /// Where the results go in the end.
    pub(super) output: Option<(PathBuf, Option<As>)>,
}

impl Conduct<'_> {
    /// Goes on to the end, tells the summary, and writes the results.
    pub(super) fn run(self) -> Ended {
        if let Some(why) = self.store.status()?.paused {
            self.screen.line(&format!(
                "note: the store is paused ({}), and nothing new is taken; flockwork resume {}",
                words::tame(&why, 200),
                shown::path(self.store.path())
            ));
        }
        loop {
            if let Some(code) = self.once()? {
                return Ok(code);
            }
            self.screen
                .line("note: rows were added, or tasks granted new attempts, at the end; going on");
        }
    }

    /// Says whether there is something left to do: rows that came, and tasks that were granted new attempts, at the last
    /// moment.
    fn has_more(&self) -> Result<bool, Failed> {
        let status = self.store.status()?;
        let all = Rows::open(self.store.path()).total()?;
        Ok(all.max(status.tasks()) > status.ok() + status.failed())
    }

    /// Runs the master once; `None`: there is more to do.
    fn once(&self) -> Result<Option<u8>, Failed> {
        let rows = Rows::open(self.store.path());
        let all = rows.total()?;
        let master = SweepMaster::new(
            self.store,
            self.sweep.clone(),
            (!self.quiet).then(|| self.screen.clone()),
        );
        let config = steward::config(self.sweep).withdraw_stop(self.withdraw_stop);
        let mut local = Local::new(self.store, self.screen, config)
            .stop(self.stop.clone())
            .silent_failures()
            .describe(describe(self.store, self.sweep))
            // A spool that cannot be read for a moment has at least as many rows as before.
            .total(move || rows.total().unwrap_or(all));
        if let Some(workers) = self.workers.clone() {
            local = local.workers(workers);
        }
        let mut ran = local.run(master)?;
        let summary = match std::mem::replace(&mut ran.result, Ok(Default::default())) {
            Ok(summary) => summary,
            // Told to stop, a step that was waiting out the store's trouble ends with that trouble.
            Err(error) => match ran.signal {
                Some(code) => {
                    self.screen.line(&format!("note: {error}"));
                    return Ok(Some(code));
                }
                None => return Err(error.into()),
            },
        };
        let tally = match ran.watched {
            true => tally_of(self.store)?,
            false => std::mem::take(&mut ran.master.tally),
        };
        if !summary.stopped && self.has_more()? {
            return Ok(None);
        }
        self.tell(&ran, &tally);
        if summary.stopped {
            let left = match ran.left {
                0 => "work".to_owned(),
                left => words::tasks(left),
            };
            let why = self.store.status().ok().and_then(|status| status.stopped);
            let why = why.map_or_else(String::new, |why| format!(" ({})", words::tame(&why, 200)));
            self.screen.line(&format!(
                "stopped{why}, with {left} left; `flockwork run {}` goes on",
                shown::path(self.store.path())
            ));
            return Ok(Some(ran.signal.unwrap_or(exit::STOPPED)));
        }
        let code = self.collect()?;
        if let Some(task) = tally.first_failed() {
            let store = shown::path(self.store.path());
            self.screen.line(&format!(
                "  next     flockwork logs {store} {task}     flockwork retry {store}"
            ));
            return Ok(Some(exit::NOT_OK));
        }
        Ok(Some(code))
    }

    fn tell(&self, ran: &Ran<SweepMaster>, tally: &Tally) {
        self.screen.line(&format!(
            "Summary [{}]  {}",
            times::short(ran.took),
            tally.counts()
        ));
        if let Some(times) = tally.times() {
            self.screen.line(&format!("  {times}"));
        }
        for cause in tally.causes() {
            self.screen.line(&format!("  {cause}"));
        }
    }

    fn collect(&self) -> Ended {
        let Some((file, how)) = &self.output else {
            return Ok(exit::OK);
        };
        let written = collect::to_file(self.store, self.sweep, file, *how)?;
        self.screen.line(&format!("  results  {}", written.told(file)));
        Ok(written.code())
    }
}

/// Returns what tells of a task's parameters.
fn describe(store: &Store, sweep: &Sweep) -> impl Fn(TaskId) -> String + Send + Sync + 'static {
    let (rows, columns) = (Rows::open(store.path()), sweep.columns.clone());
    move |task| match rows.get(task.number) {
        Ok(Some(row)) => words::parameters(&columns, &row.values),
        // The line says enough without.
        _ => String::new(),
    }
}

/// Counts what the store holds, when another process was the master.
fn tally_of(store: &Store) -> Result<Tally, Failed> {
    let mut tally = Tally::default();
    for entry in store.outcomes::<Row, Report>()?.ended_only() {
        if let Entry::Ended(outcome) = entry? {
            tally.add(&outcome);
        }
    }
    Ok(tally)
}
