//! What a run has come to: counts, causes of failures, times.

use std::collections::BTreeMap;
use std::time::Duration;

use flockwork::app::times;
use flockwork::{Failure, FailureKind, Outcome, TaskId};

use crate::task::{Report, Row};
use crate::words;

/// Causes beyond so many are counted together.
const MOST_CAUSES: usize = 100;
/// Causes that are named, and tasks of each.
const NAMED: (usize, usize) = (10, 5);
/// How many of the latest times are kept for the median.
const KEPT: usize = 10_000;

/// How a task failed, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    Failed,
    Timeout,
    Lost,
    Cancelled,
}

impl Sort {
    /// Returns what sort of failure it is.
    pub(crate) fn of(failure: &Failure) -> Sort {
        match failure.kind {
            FailureKind::Timeout => Sort::Timeout,
            FailureKind::Lost => Sort::Lost,
            FailureKind::Cancelled => Sort::Cancelled,
            _ if failure.message.starts_with(crate::exec::OVER_TIMEOUT) => Sort::Timeout,
            _ if failure.message == crate::exec::CANCELLED => Sort::Cancelled,
            _ => Sort::Failed,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Sort::Failed => "FAILED",
            Sort::Timeout => "TIMEOUT",
            Sort::Lost => "LOST",
            Sort::Cancelled => "CANCELLED",
        }
    }

    fn counted(self) -> &'static str {
        match self {
            Sort::Failed => "failed",
            Sort::Timeout => "timed out",
            Sort::Lost => "lost with their workers",
            Sort::Cancelled => "cancelled",
        }
    }
}

/// Counts of what tasks ended with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) ok: u64,
    /// Tasks that are ok after more than one attempt.
    pub(crate) again: u64,
    sorts: BTreeMap<Sort, u64>,
    causes: BTreeMap<(Sort, String), (u64, Vec<TaskId>)>,
    times: Vec<Duration>,
    taken: usize,
    longest: Option<(Duration, TaskId)>,
}

impl Tally {
    /// Counts a task.
    pub(crate) fn add(&mut self, outcome: &Outcome<Row, Report>) {
        match &outcome.result {
            Ok(report) => {
                self.ok += 1;
                self.again += u64::from(outcome.attempt > 1);
                self.add_time(Duration::from_micros(report.wall_us), outcome.task);
            }
            Err(failure) => self.add_failure(outcome.task, failure),
        }
    }

    fn add_time(&mut self, time: Duration, task: TaskId) {
        match self.times.get_mut(self.taken % KEPT) {
            Some(old) => *old = time,
            None => self.times.push(time),
        }
        self.taken += 1;
        if self.longest.is_none_or(|(longest, _)| time > longest) {
            self.longest = Some((time, task));
        }
    }

    fn add_failure(&mut self, task: TaskId, failure: &Failure) {
        let sort = Sort::of(failure);
        *self.sorts.entry(sort).or_default() += 1;
        let mut cause = (sort, cause(failure));
        if self.causes.len() >= MOST_CAUSES && !self.causes.contains_key(&cause) {
            cause = (Sort::Failed, "other causes".to_owned());
        }
        let (count, first) = self.causes.entry(cause).or_default();
        *count += 1;
        if first.len() < NAMED.1 {
            first.push(task);
        }
    }

    /// Returns how many tasks have failed, of whatever sort.
    pub(crate) fn failed(&self) -> u64 {
        self.sorts.values().sum()
    }

    /// Returns the first task that failed, by the most frequent cause.
    pub(crate) fn first_failed(&self) -> Option<TaskId> {
        self.sorted_causes().first()?.2.first().copied()
    }

    /// Returns `1,200 tasks: 1,193 ok (11 after a retry), 5 failed, 2 timed out`.
    pub(crate) fn counts(&self) -> String {
        let all = self.ok + self.failed();
        let mut text = format!("{}: {} ok", words::tasks(all), words::count(self.ok));
        if self.again > 0 {
            text.push_str(&format!(" ({} after a retry)", words::count(self.again)));
        }
        for (sort, count) in &self.sorts {
            text.push_str(&format!(", {} {}", words::count(*count), sort.counted()));
        }
        text
    }

    /// Returns the median, the 95th percentile and the longest time; `None` without any task that is ok.
    pub(crate) fn times(&self) -> Option<String> {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        let (longest, task) = self.longest?;
        Some(format!(
            "median {}  p95 {}  longest {} ({task})",
            times::short(sorted[last / 2]),
            times::short(sorted[last * 95 / 100]),
            times::short(longest),
        ))
    }

    /// Returns a line for each cause, the most frequent first.
    pub(crate) fn causes(&self) -> Vec<String> {
        let causes = self.sorted_causes();
        let cut = causes.len().saturating_sub(NAMED.0);
        let mut lines: Vec<_> = causes
            .into_iter()
            .take(NAMED.0)
            .map(|(sort, cause, first, count)| {
                let tasks: Vec<_> = first.iter().map(ToString::to_string).collect();
                let more = if count > tasks.len() as u64 { " ..." } else { "" };
                let times = format!("{}x", words::count(count));
                format!(
                    "{:<8} {times:>4}  {cause}   {}{more}",
                    sort.label(),
                    tasks.join(" ")
                )
            })
            .collect();
        if cut > 0 {
            lines.push(format!("         and {cut} more causes"));
        }
        lines
    }

    fn sorted_causes(&self) -> Vec<(Sort, &str, &[TaskId], u64)> {
        let mut causes: Vec<_> = self
            .causes
            .iter()
            .map(|((sort, cause), (count, first))| (*sort, cause.as_str(), first.as_slice(), *count))
            .collect();
        causes.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        causes
    }
}

/// Returns a failure as a cause, on one line; an error of the command needs no further word.
pub(crate) fn cause(failure: &Failure) -> String {
    let text = match failure.kind {
        FailureKind::Error => failure.message.clone(),
        _ => failure.to_string(),
    };
    words::tame(&text, 200)
}

#[cfg(test)]
mod tests {
    use flockwork::{RoundNumber, TaskId};

    use super::*;

    fn failure(message: &str) -> Failure {
        serde_json::from_value(serde_json::json!({"kind": "error", "message": message})).unwrap()
    }

    fn outcome(number: u64, result: Result<u64, &str>) -> Outcome<Row, Report> {
        let report = |wall_us| Report {
            exit: crate::task::Exit::Code(0),
            host: String::new(),
            began_ms: 0,
            wall_us,
            user_us: 0,
            system_us: 0,
            peak: 0,
            stdout: Default::default(),
            stderr: Default::default(),
            results: Vec::new(),
        };
        Outcome {
            task: TaskId {
                round: RoundNumber::FIRST,
                number,
            },
            input: Row::default(),
            result: result.map(report).map_err(failure),
            attempt: 1 + (number % 2) as u32,
            worker: String::new(),
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn failures_are_grouped_by_cause() {
        let mut tally = Tally::default();
        for number in 0..20 {
            tally.add(&outcome(number, Ok(1000 * number)));
        }
        for number in 20..27 {
            tally.add(&outcome(number, Err("exit 3 \"singular matrix\"")));
        }
        tally.add(&outcome(30, Err(&format!("{} 4m", crate::exec::OVER_TIMEOUT))));
        assert_eq!(
            tally.counts(),
            "28 tasks: 20 ok (10 after a retry), 7 failed, 1 timed out"
        );
        let causes = tally.causes();
        assert!(
            causes[0].starts_with("FAILED     7x  exit 3 \"singular matrix\"   "),
            "{causes:?}"
        );
        assert!(causes[0].ends_with(" ..."), "{causes:?}");
        assert!(causes[1].starts_with("TIMEOUT    1x  "), "{causes:?}");
        assert_eq!(tally.first_failed().unwrap().number, 20);
        let times = tally.times().unwrap();
        assert!(
            times.starts_with("median 9ms  p95 18ms  longest 19ms ("),
            "{times}"
        );
    }
}
