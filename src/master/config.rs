//! Settings of a master.

use std::time::Duration;

use super::{Master, run};
use crate::error::{Error, ErrorKind, Result};
use crate::fs::FsKind;
use crate::observe::{Event, Observer};
use crate::outcome::RunSummary;
use crate::store::{Identity, Store};
use crate::wait::Stop;

/// Settings of a master.
#[derive(Debug, Clone)]
pub struct MasterConfig {
    pub(super) batch: u32,
    pub(super) window: usize,
    pub(super) shard: u32,
    pub(super) poll: Option<(Duration, Duration)>,
    pub(super) withdraw_stop: bool,
    pub(super) stop: Stop,
    pub(super) observer: Observer,
}

impl Default for MasterConfig {
    fn default() -> Self {
        MasterConfig {
            batch: 1,
            window: 8,
            shard: 1024,
            poll: None,
            withdraw_stop: true,
            stop: Stop::new(),
            observer: Observer::none(),
        }
    }
}

impl MasterConfig {
    /// Sets how many tasks share one input file. Default: 1.
    ///
    /// A batch is claimed as a whole, and saves the file server work: with tasks of some milliseconds take 64 or
    /// more. If its worker dies, the tasks that had ended are not run again.
    pub fn batch(mut self, batch: u32) -> Self {
        self.batch = batch;
        self
    }

    /// Sets how many shards may be in the store at a time, those that are being cleaned included. Default: 8.
    ///
    /// It bounds the number of files: two for each input file. Beside these, shards in which tasks have failed keep the
    /// files of those tasks, and shards of more than 8 MiB keep all of theirs.
    pub fn window(mut self, window: usize) -> Self {
        self.window = window;
        self
    }

    /// Sets how many input files a shard holds at most. Default: 1,024.
    pub fn shard(mut self, shard: u32) -> Self {
        self.shard = shard;
        self
    }

    /// Sets the least and the greatest wait between two looks for outcomes when there are no new ones. Default:
    /// 10 ms to 250 ms on a local file system, 1 s to 15 s on others.
    pub fn poll(mut self, least: Duration, greatest: Duration) -> Self {
        self.poll = Some((least, greatest));
        self
    }

    /// Sets whether a stop file that is there at the beginning is removed. Default: true.
    ///
    /// If not, the master returns at once, with [`stopped`](RunSummary::stopped) set.
    pub fn withdraw_stop(mut self, withdraw: bool) -> Self {
        self.withdraw_stop = withdraw;
        self
    }

    /// Sets the handle by which this process can ask the master to stop.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Sets who is told of events, from several threads.
    pub fn on_event(mut self, watcher: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(watcher);
        self
    }

    /// Runs the master until a round has no inputs, or somebody asks it to stop.
    ///
    /// At the end of the run it leaves a stop file, so that the workers leave too. A stop file that is there at the
    /// beginning is removed, unless [`withdraw_stop`](MasterConfig::withdraw_stop) says otherwise.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MasterBusy`] if another master holds the store, or took it over after this one was silent for
    /// the lease; [`ErrorKind::User`] and [`ErrorKind::Panic`] from the user's code; [`ErrorKind::Codec`] and
    /// [`ErrorKind::TooLarge`] for inputs and outputs; [`ErrorKind::Mismatch`] if the inputs are not those that the
    /// store holds; [`ErrorKind::Damaged`] for a done file; [`ErrorKind::Setting`]; [`ErrorKind::Io`]. The store
    /// stays as it is, and a master that is started again goes on from there.
    pub fn run<M: Master>(self, store: &Store, master: &mut M) -> Result<RunSummary> {
        for (name, value) in [
            ("batch", self.batch as usize),
            ("window", self.window),
            ("shard", self.shard as usize),
        ] {
            if value == 0 {
                return Err(Error::new(ErrorKind::Setting, format!("`{name}` is at least 1")));
            }
        }
        run::run(&self, store, &Identity::new(), master)
    }

    /// Runs the master as a process that is simulated.
    #[cfg(test)]
    pub(crate) fn run_as<M: Master>(
        self,
        store: &Store,
        me: &Identity,
        master: &mut M,
    ) -> Result<RunSummary> {
        run::run(&self, store, me, master)
    }

    pub(super) fn poll_for(&self, store: &Store) -> (Duration, Duration) {
        self.poll.unwrap_or(match store.kind() {
            FsKind::Local => (Duration::from_millis(10), Duration::from_millis(250)),
            FsKind::Network => (Duration::from_secs(1), Duration::from_secs(15)),
        })
    }
}
