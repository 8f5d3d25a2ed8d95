//! What runs now, and of what there was no sign of life for too long.

use std::collections::BTreeMap;
use std::time::Duration;

use flockwork::{RunningStatus, Status, Store, TaskId};

use crate::output::ago;

/// An attempt that runs, or seems to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) first: TaskId,
    /// How many tasks its input file has.
    pub(crate) tasks: u64,
    pub(crate) attempt: u32,
    /// The worker, as `HOST-PID-RANDOM`; empty as long as that is not known.
    pub(crate) worker: String,
    /// `HOST:PID`, or `?`.
    pub(crate) holder: String,
    /// How long ago it began, by its worker's clock.
    pub(crate) age: Option<Duration>,
    pub(crate) silent: Option<Duration>,
    /// Whether its process is known to be gone.
    pub(crate) gone: bool,
    /// Whether there was no sign of life for over half the lease.
    pub(crate) stale: bool,
}

impl Held {
    fn new(status: RunningStatus, lease: Duration, now: u64) -> Held {
        let gone = status.alive == Some(false);
        let silent = status.silent_for;
        Held {
            first: status.first,
            tasks: status.tasks,
            attempt: status.attempt,
            holder: holder(status.host.as_deref(), status.pid),
            worker: status.worker.unwrap_or_default(),
            age: status.began_ms.map(|began| ago::age(began, now)),
            silent,
            gone,
            stale: gone || silent.is_some_and(|silent| silent > lease / 2),
        }
    }

    /// Returns when others take it back, if it stays silent.
    pub(crate) fn taken_back_in(&self, lease: Duration) -> Option<Duration> {
        Some(match self.gone {
            true => Duration::ZERO,
            false => lease.saturating_sub(self.silent?),
        })
    }
}

/// Returns `HOST:PID` as far as it is known.
pub(crate) fn holder(host: Option<&str>, pid: Option<u32>) -> String {
    match (host, pid) {
        (Some(host), Some(pid)) => format!("{host}:{pid}"),
        (Some(host), None) => host.to_owned(),
        _ => "?".to_owned(),
    }
}

/// All attempts that run, by the first task of their input files.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningNow(BTreeMap<TaskId, Held>);

impl RunningNow {
    /// Looks for them.
    ///
    /// # Errors
    ///
    /// Those of [`Store::running`].
    pub(crate) fn look(store: &Store, now: u64) -> flockwork::Result<RunningNow> {
        let lease = store.lease();
        let all = store.running()?.into_iter();
        Ok(RunningNow::of_all(
            all.map(|status| Held::new(status, lease, now)),
        ))
    }

    fn of_all(all: impl Iterator<Item = Held>) -> RunningNow {
        let mut by_first: BTreeMap<TaskId, Held> = BTreeMap::new();
        for held in all {
            // Two may be at it at the end of a round: the one that lives counts, and of two the later.
            match by_first.get(&held.first) {
                Some(other) if (held.stale, other.attempt) > (other.stale, held.attempt) => {}
                _ => {
                    by_first.insert(held.first, held);
                }
            }
        }
        RunningNow(by_first)
    }

    /// Adds to each holder the job of a batch engine that it runs in.
    pub(crate) fn with_jobs(mut self, status: &Status) -> RunningNow {
        let jobs: BTreeMap<&str, &str> = status
            .workers
            .iter()
            .filter_map(|worker| Some((worker.worker.as_str(), worker.job.as_deref()?)))
            .collect();
        for held in self.0.values_mut() {
            if let Some(job) = jobs.get(held.worker.as_str()) {
                held.holder = format!("{} ({job})", held.holder);
            }
        }
        self
    }

    /// Returns who is at a task.
    pub(crate) fn of(&self, task: TaskId) -> Option<&Held> {
        let (first, held) = self.0.range(..=task).next_back()?;
        let is_in = first.round == task.round && task.number - first.number < held.tasks;
        is_in.then_some(held)
    }

    /// Returns all of them, in order of their tasks.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Held> {
        self.0.values()
    }

    /// Returns how many tasks are stale.
    pub(crate) fn stale_tasks(&self) -> u64 {
        self.all().filter(|held| held.stale).map(|held| held.tasks).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(first: &str, tasks: u64, attempt: u32, stale: bool) -> Held {
        Held {
            first: first.parse().unwrap(),
            tasks,
            attempt,
            worker: String::new(),
            holder: String::new(),
            age: None,
            silent: Some(Duration::from_secs(40)),
            gone: false,
            stale,
        }
    }

    #[test]
    fn a_task_of_a_batch_is_found_and_others_are_not() {
        let running = RunningNow::of_all([held("10", 4, 1, false), held("1/0", 1, 1, true)].into_iter());
        let of = |task: &str| {
            running
                .of(task.parse().unwrap())
                .map(|held| held.first.to_string())
        };
        assert_eq!(of("9"), None);
        assert_eq!(of("10").as_deref(), Some("0000010"));
        assert_eq!(of("13").as_deref(), Some("0000010"));
        assert_eq!(of("14"), None);
        assert_eq!(of("1/0").as_deref(), Some("1/0000000"));
        assert_eq!(running.stale_tasks(), 1);
    }

    #[test]
    fn of_two_attempts_the_one_that_lives_counts() {
        for order in [
            [(1, true), (2, false)],
            [(2, false), (1, true)],
            [(1, false), (2, false)],
        ] {
            let both = order.map(|(attempt, stale)| held("0", 1, attempt, stale));
            let running = RunningNow::of_all(both.into_iter());
            assert_eq!(running.of("0".parse().unwrap()).unwrap().attempt, 2, "{order:?}");
        }
    }

    #[test]
    fn what_is_gone_is_taken_back_at_once() {
        let mut one = held("0", 1, 1, true);
        assert_eq!(
            one.taken_back_in(Duration::from_secs(60)),
            Some(Duration::from_secs(20))
        );
        one.gone = true;
        assert_eq!(one.taken_back_in(Duration::from_secs(60)), Some(Duration::ZERO));
    }
}
