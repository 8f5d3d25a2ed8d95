//! What is in the store, counted by names alone.

use super::Store;
use super::scan::list_rounds;
use super::view::{RoundWalk, TaskState};
use super::workers::read_workers;
use crate::error::{IoContext, Result};
use crate::fs::os;
use crate::name::{RoundNumber, TaskId};

/// What is in a store.
///
/// Input files are counted by names alone, so a batch that is running counts as running with all its tasks.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// The rounds, in order.
    pub rounds: Vec<RoundStatus>,
    /// The workers that have not said goodbye.
    pub workers: Vec<WorkerStatus>,
    /// Why the store was asked to stop, if it was.
    pub stopped: Option<String>,
    /// Why its workers were asked to rest, if they were.
    pub paused: Option<String>,
    /// The free space of its file system in bytes, if that is known.
    pub free_space: Option<u64>,
}

/// What is in a round, in tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoundStatus {
    /// The round.
    pub round: RoundNumber,
    /// Whether all its inputs are there.
    pub complete: bool,
    /// Tasks with an output.
    pub ok: u64,
    /// Tasks at which somebody is.
    pub running: u64,
    /// Tasks that nobody has taken (yet, or again).
    pub waiting: u64,
    /// Tasks that failed for good.
    pub failed: u64,
}

/// What is known of a worker.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Its name, `HOST-PID-RANDOM`.
    pub worker: String,
    /// How many tasks it runs at a time.
    pub slots: u32,
    /// The job of a batch engine that it runs in, or what else its launcher has said: at most 64 plain characters.
    pub job: Option<String>,
    /// When it began by its own clock, in milliseconds since 1970.
    pub started: u64,
    /// Seconds since its last sign of life, by the file server's clock.
    pub silent_for: u64,
    /// Whether it is known or must be believed to be dead: its process is gone, or it was silent for the lease.
    pub lost: bool,
    /// What its running tasks have told of their progress, from 0 to 1.
    pub progress: Vec<(TaskId, f32)>,
}

impl RoundStatus {
    /// Returns how many tasks the round has so far.
    pub fn tasks(&self) -> u64 {
        sum([self.ok, self.running, self.waiting, self.failed])
    }
}

impl Status {
    /// Returns how many tasks there are so far.
    pub fn tasks(&self) -> u64 {
        sum(self.rounds.iter().map(RoundStatus::tasks))
    }

    /// Returns how many tasks have an output.
    pub fn ok(&self) -> u64 {
        sum(self.rounds.iter().map(|round| round.ok))
    }

    /// Returns at how many tasks somebody is.
    pub fn running(&self) -> u64 {
        sum(self.rounds.iter().map(|round| round.running))
    }

    /// Returns how many tasks nobody has taken.
    pub fn waiting(&self) -> u64 {
        sum(self.rounds.iter().map(|round| round.waiting))
    }

    /// Returns how many tasks have failed for good.
    pub fn failed(&self) -> u64 {
        sum(self.rounds.iter().map(|round| round.failed))
    }
}

/// A planted name can make a shard as large as numbers go.
fn sum(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

impl Store {
    /// Counts what is in the store: one listing for each shard, and one small read for each shard that has ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the store cannot be listed;
    /// [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) if a done file does not hold what it should.
    pub fn status(&self) -> Result<Status> {
        let mut status = Status::default();
        for round in list_rounds(self)? {
            status.rounds.push(self.round_status(round)?);
        }
        let signs = self
            .signs()
            .during("cannot look for the stop file in", self.root().path())?;
        status.stopped = signs.stop.map(|stop| stop.request.why);
        status.paused = signs.paused;
        status.free_space = self.root().free_space().ok();
        let now = self.server_time().map_or(0, |now| now.as_secs());
        let workers = read_workers(self).during("cannot list the workers of", self.root().path())?;
        for seen in workers {
            let silent_for = now.saturating_sub(seen.sign);
            let gone = os::is_alive(&seen.record.process) == Some(false);
            status.workers.push(WorkerStatus {
                worker: seen.record.worker.to_string(),
                slots: seen.record.slots,
                job: seen.record.job,
                started: seen.record.started,
                silent_for,
                lost: gone || silent_for > self.lease().as_secs(),
                progress: seen
                    .progress
                    .iter()
                    .map(|progress| (progress.task, progress.share))
                    .collect(),
            });
        }
        Ok(status)
    }

    fn round_status(&self, round: RoundNumber) -> Result<RoundStatus> {
        let walk = RoundWalk::begin(self, round)?;
        let mut status = RoundStatus {
            round,
            complete: walk.is_complete(),
            ..RoundStatus::default()
        };
        for shard in walk {
            for span in shard?.states(self)? {
                let count = match span.state {
                    TaskState::Ok => &mut status.ok,
                    TaskState::Running { .. } => &mut status.running,
                    TaskState::Waiting { .. } => &mut status.waiting,
                    TaskState::Failed { .. } => &mut status.failed,
                };
                *count = count.saturating_add(span.tasks);
            }
        }
        Ok(status)
    }
}
