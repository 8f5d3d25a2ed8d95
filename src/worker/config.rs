//! Settings of a worker, and what its run ended with.

use std::path::PathBuf;
use std::time::Duration;

use super::{Worker, engine};
use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::FsKind;
use crate::name::plain_job;
use crate::observe::{Event, Observer};
use crate::store::Store;
use crate::wait::{How, Stop};

/// Settings of one worker.
///
/// ```no_run
/// # use flockwork::{BoxError, Store, Task, Worker, WorkerConfig};
/// # struct Square;
/// # impl Worker for Square {
/// #     type Input = u64;
/// #     type Output = u64;
/// #     fn process(&self, n: u64, _: &Task<'_>) -> Result<u64, BoxError> { Ok(n * n) }
/// # }
/// # fn main() -> flockwork::Result<()> {
/// let store = Store::open("squares.flock")?;
/// let summary = WorkerConfig::default().slots(4).run(&store, Square)?;
/// println!("{} tasks", summary.ok);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub(super) slots: u32,
    pub(super) idle_exit: Duration,
    pub(super) grace: Duration,
    pub(super) poll: Option<(Duration, Duration)>,
    pub(super) scratch: Option<PathBuf>,
    pub(super) job: Option<String>,
    pub(super) ends: Option<(Moment, Duration)>,
    pub(super) known_times: Vec<Duration>,
    pub(super) stop: Stop,
    pub(super) observer: Observer,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig {
            slots: 1,
            idle_exit: Duration::from_secs(600),
            grace: Duration::from_secs(5),
            poll: None,
            scratch: None,
            job: None,
            ends: None,
            known_times: Vec::new(),
            stop: Stop::new(),
            observer: Observer::none(),
        }
    }
}

impl WorkerConfig {
    /// Sets how many tasks run at a time, each in a thread of its own. Default: 1.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// Sets after how long with nothing to do the worker leaves. Default: 10 minutes.
    ///
    /// It should be longer than the master's longest silence between two rounds. Only time counts in which the
    /// store could be read. A worker leaves at once when the master's run has ended.
    pub fn idle_exit(mut self, idle_exit: Duration) -> Self {
        self.idle_exit = idle_exit;
        self
    }

    /// Sets how long a task that was asked to stop may take to return. Default: 5 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the least and the greatest wait between two looks for work when there is none. Default: 0.1 s to 2 s on
    /// a local file system (where new inputs wake the worker at once), 1 s to 15 s on others.
    pub fn poll(mut self, least: Duration, greatest: Duration) -> Self {
        self.poll = Some((least, greatest));
        self
    }

    /// Sets where the scratch directories of attempts are made. Default: in the store. A local directory is faster.
    pub fn scratch(mut self, scratch: impl Into<PathBuf>) -> Self {
        self.scratch = Some(scratch.into());
        self
    }

    /// Sets what `status` shows beside the worker's name: the job of the batch engine that it runs in. At most 64 plain
    /// characters of it are kept. Default: nothing.
    pub fn job(mut self, job: impl AsRef<str>) -> Self {
        self.job = plain_job(job.as_ref());
        self
    }

    /// Says that this process will be ended by others so long from now, as a batch job is at its time limit. Default: never.
    ///
    /// The worker then starts no task that is not likely to end before: it asks for as much time as 19 of 20 tasks have
    /// taken, and the grace. While it knows of no task that has ended it asks for the store's timeout, if there is one. It
    /// never refuses more than half of its time. With nothing left to do it leaves; tasks that still run are told to
    /// stop one grace before the end, and are given back.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use flockwork::{BoxError, Store, Task, WhyLeft, Worker, WorkerConfig};
    /// # struct Square;
    /// # impl Worker for Square {
    /// #     type Input = u64;
    /// #     type Output = u64;
    /// #     fn process(&self, n: u64, _: &Task<'_>) -> Result<u64, BoxError> { Ok(n * n) }
    /// # }
    /// # fn main() -> flockwork::Result<()> {
    /// let store = Store::open("squares.flock")?;
    /// let two_hours = Duration::from_secs(7200);
    /// let summary = WorkerConfig::default().ends_in(two_hours).run(&store, Square)?;
    /// if summary.why == WhyLeft::TimeLimit {
    ///     println!("there may be more to do");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn ends_in(mut self, left: Duration) -> Self {
        self.ends = Some((Moment::now(), left));
        self
    }

    /// Tells how long single tasks took elsewhere: a worker with a limit ([`ends_in`](WorkerConfig::ends_in)) need not
    /// learn it anew.
    pub fn known_times(mut self, times: impl IntoIterator<Item = Duration>) -> Self {
        self.known_times.extend(times);
        self
    }

    /// Says whether there is a limit.
    pub fn has_end(&self) -> bool {
        self.ends.is_some()
    }

    /// Sets the handle by which this process can ask the worker to stop.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Sets who is told of events, from several threads.
    pub fn on_event(mut self, watcher: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(watcher);
        self
    }

    /// Works until there is nothing to do for the idle time, or somebody asks it to stop.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Setting`] for no slots; [`ErrorKind::Stuck`] when as many tasks hang beyond their timeout as
    /// there are slots; [`ErrorKind::Io`] if the store cannot be read or written for the idle time. A task that
    /// fails is no error.
    pub fn run<W: Worker>(self, store: &Store, worker: W) -> Result<WorkerSummary> {
        if self.slots == 0 {
            return Err(Error::new(ErrorKind::Setting, "a worker needs at least one slot"));
        }
        engine::run(self, store, worker)
    }

    /// Runs one slot in this very thread, as a process that is simulated.
    #[cfg(test)]
    pub(crate) fn run_as<W: Worker>(
        self,
        store: &Store,
        me: &crate::store::Identity,
        worker: W,
    ) -> Result<WorkerSummary> {
        engine::run_here(self, store, me, worker)
    }

    pub(super) fn poll_for(&self, store: &Store) -> (Duration, Duration) {
        self.poll.unwrap_or(match store.kind() {
            FsKind::Local => (Duration::from_millis(100), Duration::from_secs(2)),
            FsKind::Network => (Duration::from_secs(1), Duration::from_secs(15)),
        })
    }
}

/// What a worker's run ended with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkerSummary {
    /// The worker's name, `HOST-PID-RANDOM`.
    pub worker: String,
    /// Tasks whose output was accepted.
    pub ok: u64,
    /// Attempts that ended in failure.
    pub failed: u64,
    /// Outcomes that were dropped because another attempt had been first.
    pub discarded: u64,
    /// Attempts that were given back.
    pub given_back: u64,
    /// How it was asked to stop; `None` if it left of itself.
    pub stopped: Option<How>,
    /// Why it left.
    pub why: WhyLeft,
}

/// Why a worker left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhyLeft {
    /// There was nothing to do for the idle time.
    #[default]
    Idle,
    /// The store's stop file asked for it.
    Store,
    /// [`WorkerConfig::stop`] asked for it.
    Asked,
    /// Its limit is near: [`WorkerConfig::ends_in`].
    TimeLimit,
}
