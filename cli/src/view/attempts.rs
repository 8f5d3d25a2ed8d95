//! Attempts in words: who made them, how they ended, and what may help.

use std::time::Duration;

use flockwork::app::times;
use flockwork::{AttemptState, AttemptStatus, FailureKind, TaskId};
use serde_json::{Value, json};

use super::opened::Opened;
use super::running::holder;
use super::task::{TaskView, report_of};
use crate::output::bytes;
use crate::sweep::shown;
use crate::tally;
use crate::task::{Captured, Exit, Report};
use crate::words;

/// An attempt, with what its command came to.
#[derive(Debug, Clone)]
pub(crate) struct Tried {
    pub(crate) status: AttemptStatus,
    pub(crate) report: Option<Report>,
}

impl Tried {
    /// Returns the attempts at a task, in order.
    ///
    /// # Errors
    ///
    /// Those of [`flockwork::Store::attempts`].
    pub(crate) fn all(
        opened: &Opened,
        task: TaskId,
        view: Option<&TaskView>,
    ) -> flockwork::Result<Vec<Tried>> {
        let ended = view.and_then(|view| view.ended.as_ref());
        let with_report = |status: AttemptStatus| {
            let own = status.failure.as_ref().and_then(report_of);
            let last = ended.filter(|ended| ended.attempt == status.attempt && own.is_none());
            let of_task = || last.and_then(|ended| ended.report.clone());
            Tried {
                report: own.or_else(of_task).filter(|_| opened.sweep.is_some()),
                status,
            }
        };
        let attempts = opened.store.attempts(task)?;
        Ok(attempts.into_iter().map(with_report).collect())
    }

    /// Says whether it runs, as far as names tell.
    pub(crate) fn runs(&self) -> bool {
        matches!(self.status.state, AttemptState::Running | AttemptState::Slow)
    }

    /// Returns `HOST:PID`.
    pub(crate) fn holder(&self) -> String {
        holder(self.status.host.as_deref(), self.status.pid)
    }

    /// Returns how long it took.
    pub(crate) fn took(&self) -> Option<Duration> {
        let by_report = self
            .report
            .as_ref()
            .map(|report| Duration::from_micros(report.wall_us));
        let span = self.status.began_ms.zip(self.status.ended_ms);
        let by_clock = span.map(|(began, ended)| Duration::from_millis(ended.saturating_sub(began)));
        by_report.or(self.status.elapsed).or(by_clock)
    }

    /// Says how it ended, on one line.
    pub(crate) fn how_it_ended(&self) -> String {
        let status = &self.status;
        let why = |word: &str| match status.why.as_deref() {
            Some(why) if !why.is_empty() => format!("{word}: {}", words::tame(why, 200)),
            _ => word.to_owned(),
        };
        let how = match status.state {
            AttemptState::Running => "running".to_owned(),
            AttemptState::Slow => "running; it takes so long that a second worker may try".to_owned(),
            AttemptState::Ok => "ok".to_owned(),
            AttemptState::Failed => match &status.failure {
                Some(failure) => format!("failed: {}", tally::cause(failure)),
                None => why("failed"),
            },
            AttemptState::Lost => why("lost"),
            AttemptState::Back => why("given back"),
            AttemptState::Damaged => why("its outcome was damaged"),
            _ => why("ended"),
        };
        match status.again {
            true => format!("{how}; then new attempts were granted"),
            false => how,
        }
    }

    /// Returns what it used: `cpu 2.9s  peak 3.9 GiB`.
    pub(crate) fn used(&self) -> Option<String> {
        let report = self
            .report
            .as_ref()
            .filter(|report| report.exit != Exit::NotStarted)?;
        let cpu = Duration::from_micros(report.user_us.saturating_add(report.system_us));
        Some(format!("cpu {}  peak {}", times::short(cpu), bytes(report.peak)))
    }

    /// Returns what may have been the matter, and what may help.
    pub(crate) fn hint(&self, opened: &Opened, task: TaskId) -> Option<String> {
        let status = &self.status;
        let timed_out = status.failure.as_ref().is_some_and(|failure| {
            failure.kind == FailureKind::Timeout || failure.message.starts_with(crate::exec::OVER_TIMEOUT)
        });
        if timed_out {
            let longer = self.took().unwrap_or_default().max(Duration::from_secs(1)) * 2;
            let more = format!("--task {} --set timeout={}s", task.number, longer.as_secs());
            return Some(format!(
                "it was stopped by the timeout: {}",
                opened.command("retry", &more)
            ));
        }
        let report = self.report.as_ref()?;
        match report.exit {
            Exit::Signal(9) | Exit::Code(137) => Some(format!(
                "perhaps it was out of memory: its peak was {}",
                bytes(report.peak)
            )),
            Exit::NotStarted => Some("the command was not started".to_owned()),
            Exit::Signal(_) | Exit::Code(_) => None,
        }
    }

    /// Returns it for programs.
    pub(crate) fn json(&self) -> Value {
        let status = &self.status;
        let report = self.report.as_ref();
        let (exit, signal) = match report.map(|report| report.exit) {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            Some(Exit::NotStarted) | None => (None, None),
        };
        let seconds = |micros: u64| micros as f64 / 1e6;
        let captured = |stream: &Captured| json!({"bytes": stream.total, "left_out": stream.omitted()});
        json!({
            "attempt": status.attempt,
            "state": state_word(status.state),
            "again": status.again,
            "worker": status.worker,
            "host": status.host,
            "pid": status.pid,
            "began_ms": status.began_ms,
            "ended_ms": status.ended_ms,
            "seconds": self.took().map(|took| took.as_secs_f64()),
            "why": status.why,
            "failure": status.failure.as_ref().map(|failure| json!({
                "kind": failure.kind.to_string(),
                "message": failure.message,
                "place": failure.place,
            })),
            "exit": exit,
            "signal": signal,
            "user_seconds": report.map(|report| seconds(report.user_us)),
            "system_seconds": report.map(|report| seconds(report.system_us)),
            "peak_bytes": report.map(|report| report.peak),
            "stdout": report.map(|report| captured(&report.stdout)),
            "stderr": report.map(|report| captured(&report.stderr)),
            "silent_seconds": status.silent_for.map(|silent| silent.as_secs_f64()),
        })
    }
}

/// Returns the word for programs.
fn state_word(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Running => "running",
        AttemptState::Slow => "slow",
        AttemptState::Ok => "ok",
        AttemptState::Failed => "failed",
        AttemptState::Lost => "lost",
        AttemptState::Back => "back",
        AttemptState::Damaged => "damaged",
        AttemptState::Again => "again",
        _ => "unknown",
    }
}

/// Returns a value of a row or a result for one line.
pub(crate) fn value(text: &str) -> String {
    shown::cut(text, 200)
}
