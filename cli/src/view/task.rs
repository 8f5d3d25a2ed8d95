//! A task as the reading verbs know it, whatever the types of its store.

use std::time::Duration;

use flockwork::{Entry, Failure, Outcome, TaskId, TaskState};

use super::opaque::Opaque;
use crate::master::host_of;
use crate::task::{Bytes, Report, Row};

/// What is known of a task.
#[derive(Debug)]
pub(crate) struct TaskView {
    pub(crate) task: TaskId,
    pub(crate) state: TaskState,
    /// Its parameters, if its input was read.
    pub(crate) values: Option<Vec<Bytes>>,
    /// How it ended, if it has.
    pub(crate) ended: Option<EndedView>,
}

/// What a task ended with.
#[derive(Debug)]
pub(crate) struct EndedView {
    /// The attempt that ended it.
    pub(crate) attempt: u32,
    /// The host it ended on; empty if that is not known.
    pub(crate) host: String,
    /// How long its last attempt took, if that is known.
    pub(crate) took: Option<Duration>,
    /// Why there is no output, if there is none.
    pub(crate) failure: Option<Failure>,
    /// What its command came to; only of a sweep.
    pub(crate) report: Option<Report>,
}

/// An input, as far as it can be shown.
pub(super) trait Input {
    fn values(self) -> Option<Vec<Bytes>>;
}

impl Input for Row {
    fn values(self) -> Option<Vec<Bytes>> {
        Some(self.values)
    }
}

impl Input for Opaque {
    fn values(self) -> Option<Vec<Bytes>> {
        None
    }
}

/// An output, as far as it can be shown.
pub(super) trait Output {
    fn report(self) -> Option<Report>;
}

impl Output for Report {
    fn report(self) -> Option<Report> {
        Some(self)
    }
}

impl Output for Opaque {
    fn report(self) -> Option<Report> {
        None
    }
}

/// Returns the report that a failed command has left.
pub(crate) fn report_of(failure: &Failure) -> Option<Report> {
    serde_json::from_str(failure.detail.as_deref()?).ok()
}

impl<I: Input, O: Output> From<Entry<I, O>> for TaskView {
    fn from(entry: Entry<I, O>) -> TaskView {
        let (task, state) = (entry.task(), entry.state());
        match entry {
            Entry::Open(open) => TaskView {
                task,
                state,
                values: open.input.and_then(Input::values),
                ended: None,
            },
            Entry::Ended(outcome) => {
                let (values, ended) = EndedView::of(outcome);
                TaskView {
                    task,
                    state,
                    values,
                    ended: Some(ended),
                }
            }
        }
    }
}

impl EndedView {
    fn of<I: Input, O: Output>(outcome: Outcome<I, O>) -> (Option<Vec<Bytes>>, EndedView) {
        let (failure, report) = match outcome.result {
            Ok(output) => (None, output.report()),
            Err(failure) => {
                let report = report_of(&failure);
                (Some(failure), report)
            }
        };
        let by_report = report
            .as_ref()
            .map(|report| Duration::from_micros(report.wall_us));
        let ended = EndedView {
            attempt: outcome.attempt,
            host: host_of(&outcome.worker).to_owned(),
            took: by_report.or(Some(outcome.elapsed).filter(|elapsed| !elapsed.is_zero())),
            failure,
            report,
        };
        (outcome.input.values(), ended)
    }
}
