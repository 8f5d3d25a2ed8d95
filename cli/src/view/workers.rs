//! Who works, who has worked, and how busily.

use std::collections::BTreeSet;
use std::time::Duration;

use flockwork::{Status, TaskId, WorkerStatus};

use super::journals::{self, Journals};
use super::running::RunningNow;

/// How a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    Alive,
    /// Without a sign of life for over half the lease.
    Silent,
    /// Dead, or believed to be.
    Lost,
    /// It has left in good order.
    Left,
}

/// A worker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) health: Health,
    pub(crate) slots: Option<u32>,
    pub(crate) silent: Option<Duration>,
    /// The job of a batch engine that it runs in.
    pub(crate) job: Option<String>,
    /// The first tasks of the input files at which it is.
    pub(crate) running: Vec<TaskId>,
    pub(crate) ok: u64,
    /// Attempts that failed.
    pub(crate) failed: u64,
    /// The share of its slots' time that went into tasks that have ended.
    pub(crate) busy: Option<f64>,
}

impl Worker {
    /// Returns host and process.
    pub(crate) fn place(&self) -> (&str, Option<u32>) {
        place(&self.name)
    }
}

/// Returns host and process in a worker's name, `HOST-PID-RANDOM`.
pub(crate) fn place(name: &str) -> (&str, Option<u32>) {
    let mut parts = name.rsplitn(3, '-').skip(1);
    let pid = parts.next().and_then(|pid| pid.parse().ok());
    (parts.next().unwrap_or(name), pid)
}

/// Returns the workers: those that live first, then those that are lost, then those that have left.
pub(crate) fn all(
    status: &Status,
    running: &RunningNow,
    journals: &Journals,
    lease: Duration,
    now: u64,
) -> Vec<Worker> {
    let mut workers: Vec<Worker> = Vec::new();
    let mut known = BTreeSet::new();
    for present in &status.workers {
        known.insert(present.worker.as_str());
        workers.push(worker(
            &present.worker,
            Some(present),
            running,
            journals,
            lease,
            now,
        ));
    }
    let gone = journals.workers.keys().filter(|name| !known.contains(&***name));
    workers.extend(gone.map(|name| worker(name, None, running, journals, lease, now)));
    workers.sort_by(|one, other| (one.health, &one.name).cmp(&(other.health, &other.name)));
    workers
}

fn worker(
    name: &str,
    present: Option<&WorkerStatus>,
    running: &RunningNow,
    journals: &Journals,
    lease: Duration,
    now: u64,
) -> Worker {
    let silent = present.map(|present| Duration::from_secs(present.silent_for));
    let at_it: Vec<_> = running.all().filter(|held| held.worker == name).collect();
    let noted = journals.workers.get(name);
    let is_alive = present.is_some_and(|present| !present.lost);
    let busy = present.and_then(|present| {
        let until = if is_alive { now } else { noted?.last_ms };
        let ages = at_it.iter().filter_map(|held| held.age).filter(|_| is_alive);
        let now_busy: Duration = ages.clone().sum();
        busy(noted, present.slots, until, ages.max(), now_busy)
    });
    Worker {
        name: name.to_owned(),
        health: match present {
            None => Health::Left,
            Some(present) if present.lost => Health::Lost,
            Some(_) if silent.is_some_and(|silent| silent > lease / 2) => Health::Silent,
            Some(_) => Health::Alive,
        },
        slots: present.map(|present| present.slots),
        silent,
        job: present.and_then(|present| present.job.clone()),
        running: at_it.iter().map(|held| held.first).collect(),
        ok: noted.map_or(0, |noted| noted.ok),
        failed: noted.map_or(0, |noted| noted.failed),
        busy,
    }
}

fn busy(
    noted: Option<&journals::Worker>,
    slots: u32,
    until: u64,
    oldest: Option<Duration>,
    now_busy: Duration,
) -> Option<f64> {
    let known = noted.map(|noted| Duration::from_millis(until.saturating_sub(noted.began_ms)));
    let had = known.into_iter().chain(oldest).max()?.as_secs_f64() * f64::from(slots);
    let spent = noted.map_or(0.0, |noted| noted.busy.as_secs_f64()) + now_busy.as_secs_f64();
    (had > 0.0).then(|| (spent / had).min(1.0))
}
