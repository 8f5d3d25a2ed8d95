//! The store: the directory that is the queue, and every step on it.

mod audit;
mod cancel;
mod claim;
mod clean;
mod create;
mod done;
mod inputs;
mod journal;
mod marker;
mod outcomes;
mod pick;
mod publish;
mod reclaim;
mod retry;
mod scan;
mod state;
mod status;
mod stop;
mod view;
mod workers;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use audit::{Audit, Violation};
pub use cancel::{Cancel, Cancelled};
pub(crate) use claim::{Claim, Claiming, Identity, Pulse, SecondLook, Standing, read_header};
pub(crate) use clean::clean_shard;
pub(crate) use create::StoreFile;
pub(crate) use done::{DoneBuilder, DoneFile};
pub(crate) use inputs::{ShardWriter, remove_leftovers};
pub(crate) use journal::{Journal, JournalLine};
pub(crate) use marker::{Marker, make_marker};
pub(crate) use outcomes::{
    Ended, InputTasks, TaskRecord, attempts_up_to, input_tasks, is_last_failure, push_failure, read_accepted,
    read_failed, set_damaged_aside,
};
pub(crate) use publish::Published;
pub(crate) use reclaim::{Reaper, RunningAttempt, Tail};
pub use reclaim::{Reclaim, Reclaimed};
pub use retry::{Retried, Retry};
pub(crate) use scan::{RoundListing, list_round, list_rounds, list_shard};
pub(crate) use state::{ShardState, State};
pub use status::{RoundStatus, Status, WorkerStatus};
pub use view::{
    AttemptState, AttemptStatus, Entry, JournalEntries, JournalEntry, JournalOutcome, LockSeen, OpenTask,
    Outcomes, RunningStatus, States, TaskSpan, TaskState,
};
pub(crate) use view::{EndedInput, outcomes_of_done_file, outcomes_of_input};
pub(crate) use workers::{Kept, Progress, WorkerFile, forget_dead_workers, place_of};
#[cfg(any(test, fuzzing))]
pub(crate) use {
    outcomes::accepted,
    state::shard_state,
    stop::StopFile,
    view::{Span, by_groups, by_header, listed},
    workers::WorkerRecord,
};

use crate::codec::Codec;
use crate::config::{Durability, StoreConfig};
use crate::error::{IoContext, Result};
use crate::fs::{DirRef, FsKind};
use crate::layout::{self, ROUNDS};
use crate::name::{RoundNumber, ShardNumber};

/// The format of stores that this version makes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 1;

/// What `round.json` holds: it is published last, so all inputs of the round are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct RoundFile {
    pub(crate) tasks: u64,
}

/// The longest protocol record that is read: a header, a marker, `store.json`.
pub(crate) const SMALL_FILE: u64 = 64 << 10;

/// A work queue that is a directory; clones share it.
///
/// ```
/// use flockwork::{Store, StoreConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let place = tempfile::tempdir()?;
/// # let path = place.path().join("sweep.flock");
/// let store = Store::create(&path, &StoreConfig::default())?;
/// assert_eq!(store.status()?.tasks(), 0);
/// assert!(Store::open(&path).is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    root: DirRef,
    rounds: DirRef,
    file: StoreFile,
    kind: FsKind,
}

impl Store {
    /// Returns the path that the store was opened by.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns the store's id: random, made once.
    pub fn id(&self) -> &str {
        &self.0.file.id
    }

    /// Returns the settings that the store was made with.
    pub fn config(&self) -> &StoreConfig {
        &self.0.file.settings
    }

    /// Returns after how long without a sign of life an attempt is given up.
    pub fn lease(&self) -> Duration {
        self.config().lease.unwrap_or(match self.kind() {
            FsKind::Local => Duration::from_secs(60),
            FsKind::Network => Duration::from_secs(300),
        })
    }

    pub(crate) fn root(&self) -> &DirRef {
        &self.0.root
    }

    pub(crate) fn rounds(&self) -> &DirRef {
        &self.0.rounds
    }

    pub(crate) fn file(&self) -> &StoreFile {
        &self.0.file
    }

    pub(crate) fn kind(&self) -> FsKind {
        self.0.kind
    }

    pub(crate) fn codec(&self) -> Codec {
        self.config().codec
    }

    /// Heartbeats come this often.
    pub(crate) fn heartbeat(&self) -> Duration {
        self.lease() / 5
    }

    pub(crate) fn attempts_allowed(&self) -> u32 {
        self.config().retries.saturating_add(1)
    }

    /// Whether bytes must be on the disk before a name shows them: always where other hosts could see the name
    /// before the bytes.
    pub(crate) fn syncs_data(&self) -> bool {
        self.kind() == FsKind::Network || self.syncs_names()
    }

    /// Whether names must be on the disk before they count.
    pub(crate) fn syncs_names(&self) -> bool {
        self.config().durability == Durability::Power
    }

    /// The largest file that is read whole, in bytes: so much memory a hostile or broken file can cost.
    ///
    /// Batches are kept below: a batch's inputs, and its outputs, take at most three records' limits together.
    pub(crate) fn file_limit(&self) -> u64 {
        self.config().max_record.saturating_mul(4).max(64 << 20)
    }

    /// How many bytes the tasks of one batch may take together.
    pub(crate) fn batch_limit(&self) -> u64 {
        self.config().max_record.saturating_mul(3)
    }

    pub(crate) fn round_dir(&self, round: RoundNumber) -> Result<DirRef> {
        let name = layout::round_name(round);
        self.rounds()
            .open_dir(&name)
            .during("cannot open", &self.rounds().path().join(&name))
    }

    pub(crate) fn shard_dir(&self, round: &DirRef, shard: ShardNumber) -> Result<DirRef> {
        let name = layout::shard_name(shard);
        round
            .open_dir(&name)
            .during("cannot open", &round.path().join(&name))
    }

    fn new(path: PathBuf, root: DirRef, file: StoreFile) -> Result<Store> {
        let rounds = root
            .open_dir(ROUNDS)
            .during("cannot open", &root.path().join(ROUNDS))?;
        let kind = match file.settings.network {
            true => FsKind::Network,
            false => root
                .kind()
                .during("cannot ask for the file system of", root.path())?,
        };
        Ok(Store(Arc::new(Inner {
            path,
            root,
            rounds,
            file,
            kind,
        })))
    }
}
