//! What somebody should look at, each with the command that does something about it.

use std::collections::BTreeMap;
use std::time::Duration;

use flockwork::app::times;
use flockwork::{TaskId, TaskState, WorkerStatus};

use super::opened::Opened;
use super::running::{Held, RunningNow};
use crate::output::count;
use crate::tally;
use crate::words;

/// Tasks of a kind that are named; the others are counted.
const NAMED: usize = 3;
/// So many failures are read for their causes.
const READ: usize = 20;
/// A task is slow if it runs for so many medians, and for so long.
const SLOW: (f64, Duration) = (10.0, Duration::from_secs(60));

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attention {
    /// One word: `aside`, `stale`, `slow`, `failed`, `lost`, `paused`, `stopped`, `idle`.
    pub(crate) what: &'static str,
    pub(crate) text: String,
    /// What can be typed about it.
    pub(crate) command: String,
}

/// Returns the tasks without a sign of life.
pub(super) fn stale(opened: &Opened, running: &RunningNow, somebody_works: bool) -> Vec<Attention> {
    let mut stale: Vec<&Held> = running.all().filter(|held| held.stale).collect();
    stale.sort_by_key(|held| std::cmp::Reverse((held.gone, held.silent)));
    let lease = opened.store.lease();
    let line = |held: &Held| {
        let sign = match (held.gone, held.silent) {
            (true, _) => "whose process is gone".to_owned(),
            (false, Some(silent)) => format!("last sign {} ago", times::short(silent)),
            (false, None) => "without a sign".to_owned(),
        };
        let then = match held.taken_back_in(lease) {
            _ if !somebody_works => "taken back when a worker lives".to_owned(),
            Some(Duration::ZERO) => "taken back at the next look of a worker".to_owned(),
            Some(left) => format!("taken back in {}", times::short(left)),
            None => "taken back when the lease is over".to_owned(),
        };
        Attention {
            what: "stale",
            text: format!("{} held by {}, {sign}; {then}", held.first, held.holder),
            command: opened.command("reclaim", &held.first.to_string()),
        }
    };
    cut(
        stale.iter().map(|held| line(held)),
        stale.len(),
        "stale",
        opened.command("ls", "-s stale"),
    )
}

/// Returns the workers that have put themselves aside.
pub(super) fn aside(opened: &Opened, workers: &[WorkerStatus]) -> Vec<Attention> {
    let aside: Vec<(&WorkerStatus, &String)> = workers
        .iter()
        .filter(|worker| !worker.lost)
        .filter_map(|worker| Some((worker, worker.aside.as_ref()?)))
        .collect();
    let line = |(worker, why): &(&WorkerStatus, &String)| Attention {
        what: "aside",
        text: format!("{}: {}", worker.worker, words::tame(why, 160)),
        command: opened.command("workers", ""),
    };
    let all = opened.command("workers", "");
    cut(aside.iter().map(line), aside.len(), "aside", all)
}

/// Returns the tasks that take much longer than others.
pub(super) fn slow(opened: &Opened, running: &RunningNow, median: Option<Duration>) -> Vec<Attention> {
    let Some(median) = median
        .map(|median| median.as_secs_f64())
        .filter(|median| *median > 0.0)
    else {
        return Vec::new();
    };
    let is_slow = |age: &Duration| *age > SLOW.1 && age.as_secs_f64() > SLOW.0 * median;
    let of = running.all().filter(|held| !held.stale);
    let mut slow: Vec<(Duration, &Held)> = of
        .filter_map(|held| Some((held.age.filter(is_slow)?, held)))
        .collect();
    slow.sort_by_key(|(age, held)| (std::cmp::Reverse(*age), held.first));
    let verb = if opened.sweep.is_some() {
        "logs -f"
    } else {
        "explain"
    };
    let line = |(age, held): &(Duration, &Held)| Attention {
        what: "slow",
        text: format!(
            "{} on {} for {} ({}x the median)",
            held.first,
            held.holder,
            times::short(*age),
            count((age.as_secs_f64() / median) as u64)
        ),
        command: opened.command(verb, &held.first.to_string()),
    };
    let all = opened.command("ls", "-s running --sort age");
    cut(slow.iter().map(line), slow.len(), "slow", all)
}

fn cut(
    lines: impl Iterator<Item = Attention>,
    of: usize,
    what: &'static str,
    command: String,
) -> Vec<Attention> {
    let mut lines: Vec<_> = lines.take(NAMED).collect();
    if of > NAMED {
        lines.push(Attention {
            what,
            text: format!("and {} more", count((of - NAMED) as u64)),
            command,
        });
    }
    lines
}

/// Returns why tasks have failed, as far as the first of them tell.
pub(super) fn failed(opened: &Opened, failed: u64, notes: &mut Vec<String>) -> Vec<Attention> {
    if failed == 0 {
        return Vec::new();
    }
    let mut causes: BTreeMap<String, (u64, TaskId)> = BTreeMap::new();
    let mut read = 0;
    match opened.tasks(|state| matches!(state, TaskState::Failed { .. })) {
        Ok(tasks) => {
            for task in tasks.take(READ) {
                let task = match task {
                    Ok(task) => task,
                    Err(error) => {
                        notes.push(error.to_string());
                        continue;
                    }
                };
                let failure = task.ended.as_ref().and_then(|ended| ended.failure.as_ref());
                let cause = failure.map_or_else(|| "unknown".to_owned(), tally::cause);
                causes.entry(cause).or_insert((0, task.task)).0 += 1;
                read += 1;
            }
        }
        Err(error) => notes.push(error.to_string()),
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, (tasks, first))| (std::cmp::Reverse(*tasks), *first));
    let list = || opened.command("ls", "-s failed");
    let line = |text: String, command: String| Attention {
        what: "failed",
        text,
        command,
    };
    if let [(cause, _)] = causes.as_slice()
        && read == failed
    {
        let all = if failed == 1 { "" } else { "all " };
        return vec![line(format!("{}, {all}{cause}", count(failed)), list())];
    }
    let of = if read < failed {
        format!(", the first {read} of them with these causes")
    } else {
        String::new()
    };
    let mut lines = vec![line(format!("{}{of}", words::tasks(failed)), list())];
    for (cause, (tasks, first)) in causes.into_iter().take(NAMED) {
        lines.push(line(
            format!("{tasks}x {cause}"),
            opened.command("explain", &first.to_string()),
        ));
    }
    lines
}
