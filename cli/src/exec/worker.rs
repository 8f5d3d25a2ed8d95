//! The worker of a sweep: gives the library's tasks to commands.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flockwork::app::exit::{Failed, NOT_OK, USAGE};
use flockwork::app::times;
use flockwork::{BoxError, Task, TaskError, Worker};
use rustix::process::Signal;
use serde::Deserialize;

use super::median::Median;
use super::resources::Budget;
use super::{Ended, Job, Place, Results, Words};
use crate::sweep::rows::cancelled::Later;
use crate::sweep::spec::{Limits, Sweep, Timeout};
use crate::sweep::units::parse_size;
use crate::task::{Bytes, Captured, Exit, Report, Row};

/// The most bytes of a failure's detail: it is read with each listing of failures.
const MOST_DETAIL: usize = 256 << 10;
/// A timeout that follows from the median is never shorter: tasks of milliseconds vary more than that.
const LEAST_TIMEOUT: Duration = Duration::from_secs(1);
/// Trouble with the list of what was cancelled is waited out for so long.
const MOST_TROUBLE: Duration = Duration::from_secs(120);
/// So long after a command was ended by a signal the worker may learn that it has to stop too.
const WORD: Duration = Duration::from_millis(500);
/// A first attempt that took no longer has no use for a checkpoint.
const CHECKPOINTS_FROM: Duration = Duration::from_secs(1);

/// Fills a template from a row and the task's number.
pub(crate) type Render = dyn Fn(&str, &[Bytes], u64) -> Result<Vec<u8>, String> + Send + Sync;

/// What a worker needs beside the sweep itself.
pub(crate) struct Setup {
    /// The store's directory.
    pub(crate) store: PathBuf,
    pub(crate) command: Words,
    pub(crate) ok_if: Option<Words>,
    pub(crate) render: Box<Render>,
    /// [`Guard::tokens`](super::guard::Guard::tokens), if there is a guard.
    pub(crate) tokens: Option<String>,
    pub(crate) budget: Budget,
    /// Commands are killed so long after TERM when the worker is told to leave.
    pub(crate) leave_within: Duration,
}

/// Runs a sweep's command for each row.
pub(crate) struct SweepWorker {
    sweep: Sweep,
    setup: Setup,
    place: Place,
    results: Results,
    median: Median,
    logs: PathBuf,
    checkpoints: PathBuf,
    later: Mutex<Later>,
}

impl SweepWorker {
    /// Gets ready for the tasks of a sweep.
    ///
    /// # Errors
    ///
    /// A text if the sweep makes no sense here: a result's pattern that does not compile, limits beyond what this
    /// worker has.
    pub(crate) fn new(sweep: Sweep, setup: Setup) -> Result<SweepWorker, Failed> {
        let senseless = |text| Failed::new(USAGE, text, None);
        setup.budget.slots_for(&sweep.limits).map_err(senseless)?;
        let store = std::path::absolute(&setup.store).map_err(|error| senseless(error.to_string()))?;
        let checkpoints = store.join("sweep/checkpoints");
        // Commands that want to keep a state notice themselves that they cannot.
        let _ = std::fs::create_dir_all(&checkpoints);
        Ok(SweepWorker {
            place: Place::new(&sweep, setup.tokens.as_deref()),
            results: Results::new(&sweep.results).map_err(senseless)?,
            median: Median::default(),
            logs: store.join("logs"),
            checkpoints,
            later: Mutex::new(Later::of(&store)?),
            sweep,
            setup,
        })
    }

    /// Returns the running median, to be seeded with what other workers have measured.
    pub(crate) fn median(&self) -> &Median {
        &self.median
    }

    /// Asks the list of what was cancelled. Trouble of the store is waited out, and is no failure of the task.
    fn was_cancelled(&self, task: u64, stop: &dyn Fn() -> bool) -> Result<bool, TaskError> {
        let begun = Instant::now();
        let mut wait = Duration::from_millis(100);
        loop {
            let answer = {
                let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
                later.contains(task)
            };
            match answer {
                Err(error) if error.code() == NOT_OK && begun.elapsed() < MOST_TROUBLE && !stop() => {
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
                answer => return answer.map_err(|error| TaskError::new(error.to_string())),
            }
        }
    }

    fn timeout(&self, limits: &Limits) -> Option<Duration> {
        match limits.timeout? {
            Timeout::After(timeout) => Some(timeout),
            Timeout::TimesMedian(times) => {
                let timeout = self.median.get()?.as_secs_f64() * times;
                // What is too large to be a duration is no timeout.
                let timeout = Duration::try_from_secs_f64(timeout).ok()?;
                Some(timeout.max(LEAST_TIMEOUT))
            }
        }
    }

    fn note_ok(&self, report: &Report, attempt: u32, checkpoint: &Path) {
        let wall = Duration::from_micros(report.wall_us);
        if matches!(self.sweep.limits.timeout, Some(Timeout::TimesMedian(_))) {
            self.median.add(wall);
        }
        if attempt > 1 || wall > CHECKPOINTS_FROM {
            // Most commands keep none.
            let _ = std::fs::remove_file(checkpoint);
        }
    }
}

impl Worker for SweepWorker {
    type Input = Row;
    type Output = Report;

    fn process(&self, row: Row, task: &Task<'_>) -> Result<Report, BoxError> {
        let note = task.note();
        // Who is granted new attempts is meant to run after all.
        if note.is_none()
            && (row.cancelled || self.was_cancelled(task.id().number, &|| task.should_stop())?)
        {
            return Err(TaskError::new(super::CANCELLED).last().into());
        }
        let (given, expected) = (row.values.len(), self.sweep.columns.len());
        if given != expected {
            let text = format!("the row has {given} values, and the sweep has {expected} parameters");
            return Err(TaskError::new(text).last().into());
        }
        let limits = with_note(&self.sweep.limits, note.as_deref());
        let stop = || task.should_stop();
        let Some(_share) = self.setup.budget.take(&limits, &stop) else {
            let why = self.setup.budget.slots_for(&limits).err();
            return Err(TaskError::new(why.unwrap_or_else(|| "told to stop".to_owned())).into());
        };
        let number = task.id().number;
        let checkpoint = self.checkpoints.join(format!("{number:07}"));
        let ended = super::run(&Job {
            place: &self.place,
            sweep: &self.sweep,
            limits: &limits,
            command: &self.setup.command,
            ok_if: self.setup.ok_if.as_ref(),
            results: &self.results,
            values: &row.values,
            task: number,
            attempt: task.attempt(),
            worker: task.worker(),
            checkpoint: &checkpoint,
            logs: &self.logs,
            timeout: &|| self.timeout(&limits),
            dir: &|| std::path::absolute(task.scratch().map_err(io::Error::other)?),
            render: &|template| (self.setup.render)(template, &row.values, number),
            leave_within: self.setup.leave_within,
            stop: &stop,
        });
        match ended {
            Ended::Ok(report) => {
                self.note_ok(&report, task.attempt(), &checkpoint);
                Ok(report)
            }
            Ended::Stopped => Err(TaskError::new("told to stop").into()),
            Ended::Failed {
                message,
                retry,
                report,
                ..
            } => {
                wait_for_the_word(report.exit, &stop);
                Err(failure(message, retry, report).into())
            }
        }
    }
}

/// Waits a moment for the word to stop if a command ended as one does that was told to by a signal.
///
/// Batch engines signal all processes of a job at once. The command may be gone before its worker knows, and that is no
/// failure of the task.
fn wait_for_the_word(exit: Exit, stop: &dyn Fn() -> bool) {
    let signal = match exit {
        Exit::Signal(signal) => signal,
        // So a shell tells of it.
        Exit::Code(code) => code - 128,
        Exit::NotStarted => return,
    };
    let told = [
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::USR1,
        Signal::USR2,
        Signal::XCPU,
    ];
    if !told.iter().any(|told| told.as_raw() == signal) {
        return;
    }
    let begun = Instant::now();
    while !stop() && begun.elapsed() < WORD {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn failure(message: String, retry: bool, report: Report) -> TaskError {
    let error = TaskError::new(message).detail(detail(report));
    if retry { error } else { error.last() }
}

/// What somebody who grants another attempt may have said.
#[derive(Deserialize)]
struct Note {
    timeout: Option<String>,
    mem: Option<String>,
}

/// Returns the limits with what the note says instead; what cannot be read says nothing.
fn with_note<'a>(limits: &'a Limits, note: Option<&str>) -> Cow<'a, Limits> {
    let Some(note) = note.and_then(|note| serde_json::from_str::<Note>(note).ok()) else {
        return Cow::Borrowed(limits);
    };
    let mut changed = limits.clone();
    if let Some(text) = note.timeout {
        let times = text.strip_suffix('x').and_then(|times| times.parse().ok());
        changed.timeout = match times {
            Some(times) => Some(Timeout::TimesMedian(times)),
            None if text == "none" => None,
            None => times::parse(&text).ok().map(Timeout::After).or(changed.timeout),
        };
    }
    if let Some(memory) = note.mem.and_then(|text| parse_size(&text).ok()) {
        changed.memory = Some(memory);
    }
    Cow::Owned(changed)
}

/// Returns the report as JSON that fits into a failure: if need be, with less of what was written.
fn detail(mut report: Report) -> String {
    let mut most = MOST_DETAIL / 4;
    loop {
        // Its keys are strings, and its numbers finite: nothing can go wrong here.
        let json = serde_json::to_string(&report).unwrap_or_default();
        if json.len() < MOST_DETAIL || most == 0 {
            return json;
        }
        for stream in [&mut report.stdout, &mut report.stderr] {
            cut(stream, most);
        }
        most /= 2;
    }
}

/// Keeps only the first and the last bytes of a stream.
fn cut(stream: &mut Captured, most: usize) {
    let half = most / 2;
    let (head, tail) = (&mut stream.head.0, &mut stream.tail.0);
    if head.len() + tail.len() <= most {
        return;
    }
    // All of it may be in the head.
    let end: Vec<u8> = if tail.is_empty() {
        head[head.len() - half..].to_vec()
    } else {
        tail[tail.len().saturating_sub(half)..].to_vec()
    };
    head.truncate(half);
    *tail = end;
}

#[cfg(test)]
mod tests;
