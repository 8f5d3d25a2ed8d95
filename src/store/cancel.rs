//! Cancelling: tasks that nobody needs any more end as failed.

use std::collections::BTreeSet;

use super::claim::{Claim, Claiming, Identity};
use super::marker::{Marker, make_whole_marker};
use super::outcomes::push_failure;
use super::pick::{Picked, Place, Wanted, check_text};
use super::state::open_attempts;
use super::{State, Store};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::layout::Kind;
use crate::name::{Attempt, Stem, TaskId};
use crate::outcome::{Failure, FailureKind};

/// Others may claim and end attempts meanwhile; a shard is looked at so often before that is called trouble.
const PASSES: u32 = 20;

/// Which tasks a person wants to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancel {
    /// All that have not ended.
    Open,
    /// These; the others of their batches are cancelled with them.
    Tasks(Vec<TaskId>),
}

/// What came of cancelling, in tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cancelled {
    /// Tasks that nobody was at: they have failed now.
    pub free: u64,
    /// Tasks at which somebody was: they have failed, unless an output comes before its worker notices.
    pub running: u64,
    /// Named tasks that had ended before.
    pub ended: u64,
    /// Named tasks that are not in the store, or not yet.
    pub absent: u64,
}

impl Store {
    /// Cancels tasks: each ends as a failure of the kind [`FailureKind::Cancelled`], and is not tried again.
    ///
    /// Workers notice at their next heartbeat (a fifth of the lease) and ask the task to stop:
    /// [`Task::should_stop`](crate::Task::should_stop). A task that does not heed it keeps its slot; an output that it
    /// gives all the same counts if no master was handed the failure before. A batch is cancelled as a whole; outputs that its tasks have are kept. Tasks that
    /// are not in the store yet are not cancelled. [`retry`](Store::retry) takes it back.
    ///
    /// ```
    /// use flockwork::{Cancel, Store, StoreConfig};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("sweep.flock");
    /// let store = Store::create(&path, &StoreConfig::default())?;
    /// let cancelled = store.cancel(&Cancel::Open, "the parameters were wrong")?;
    /// assert_eq!(cancelled.free + cancelled.running, 0); // the store is empty
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] for a reason of over 8 KiB; [`ErrorKind::Damaged`] for a done file; [`ErrorKind::Io`] if
    /// the store cannot be listed or written. What was cancelled before an error stays so; calling it again is safe.
    pub fn cancel(&self, which: &Cancel, why: &str) -> Result<Cancelled> {
        check_text(why, "reason")?;
        let wanted = match which {
            Cancel::Open => Wanted::all(),
            Cancel::Tasks(tasks) => Wanted::these(tasks),
        };
        let mut work = Work {
            me: Identity::new(),
            why,
            wanted: &wanted,
            counts: Cancelled::default(),
            seen: BTreeSet::new(),
        };
        wanted.visit(self, |place| work.shard(place))?;
        let (ended, absent) = wanted.others(self, &work.seen)?;
        work.counts.ended += ended;
        work.counts.absent = absent;
        Ok(work.counts)
    }
}

struct Work<'a> {
    me: Identity,
    why: &'a str,
    wanted: &'a Wanted,
    counts: Cancelled,
    /// Named tasks that were found.
    seen: BTreeSet<TaskId>,
}

impl Work<'_> {
    fn shard(&mut self, place: &Place<'_>) -> Result<()> {
        let mut entries = Vec::new();
        let mut ours: BTreeSet<Stem> = BTreeSet::new();
        for _ in 0..PASSES {
            let state = place.list(&mut entries)?;
            let mut acted = false;
            for picked in self.wanted.of(place, &state) {
                let named = self.wanted.named_in(place.round, &picked);
                let counted = match state.inputs[picked.position].state {
                    State::Free { next, .. } => {
                        acted = true;
                        self.free(place, &picked, next)?.then_some(&mut self.counts.free)
                    }
                    State::Running { .. } => {
                        acted = true;
                        for attempt in open_attempts(&entries, picked.stem) {
                            self.running(place, picked.stem, attempt)?;
                        }
                        Some(&mut self.counts.running)
                    }
                    State::Done | State::Failed { .. } => {
                        if ours.insert(picked.stem) {
                            self.counts.ended += named.len() as u64;
                        }
                        None
                    }
                };
                if let Some(count) = counted.filter(|_| ours.insert(picked.stem)) {
                    *count += picked.tasks;
                }
                self.seen.extend(named);
            }
            // Who had listed before us may have claimed: only a look that shows nothing open tells.
            if !acted {
                return Ok(());
            }
        }
        let step = "tasks are claimed faster than they can be cancelled in";
        Err(Error::new(ErrorKind::Io, step).at(place.dir.path()))
    }

    /// Takes the next attempt as a worker does, and ends it for good; `false`: somebody else was faster.
    fn free(&self, place: &Place<'_>, picked: &Picked, next: Attempt) -> Result<bool> {
        let claiming = Claim::of_input(&self.me, &place.dir, picked.stem, next);
        let mut claim = match claiming.during("cannot cancel a task in", place.dir.path())? {
            Claiming::Won(claim) => claim,
            Claiming::Busy | Claiming::Gone => return Ok(false),
        };
        let failure = Failure::new(FailureKind::Cancelled, self.why);
        for index in 0..u32::try_from(picked.tasks).unwrap_or(u32::MAX) {
            push_failure(claim.content(), index, &failure, true);
        }
        match claim.end(place.store, Kind::Final, self.why) {
            Ok(()) => Ok(true),
            Err((claim, error)) => {
                claim.release("it could not be cancelled");
                Err(error).during("cannot cancel a task in", place.dir.path())
            }
        }
    }

    fn running(&self, place: &Place<'_>, stem: Stem, attempt: Attempt) -> Result<bool> {
        let marker = Marker::new(self.why, &self.me.id);
        let base = stem.to_string();
        make_whole_marker(place.store, &place.dir, &base, attempt, Kind::Final, &marker)
            .during("cannot cancel an attempt in", place.dir.path())
    }
}
