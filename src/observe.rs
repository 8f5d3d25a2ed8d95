//! Events for whoever watches; the library itself prints nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::name::{RoundNumber, TaskId};
use crate::outcome::Failure;

/// Something that a master or a worker did or noticed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A master goes on where an earlier one ended.
    Resumed {
        /// How many outcomes it found.
        outcomes: u64,
    },
    /// More inputs are in the store.
    Published {
        /// The round.
        round: RoundNumber,
        /// How many tasks the round has so far.
        tasks: u64,
        /// Whether these are all; of an open-ended stream: so far.
        complete: bool,
    },
    /// The master took over an outcome.
    Collected {
        /// The task.
        task: TaskId,
        /// Why it failed, if it did.
        failure: Option<Failure>,
        /// The number of the attempt that ended it.
        attempt: u32,
    },
    /// A round has ended.
    RoundEnded {
        /// The round.
        round: RoundNumber,
    },
    /// A worker began an attempt (one task, or a batch that begins with it).
    Started {
        /// The first task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
    },
    /// A worker's outcome was accepted.
    Accepted {
        /// The first task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
    },
    /// Another attempt had been first; this outcome was dropped.
    Discarded {
        /// The first task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
    },
    /// An attempt ended in failure.
    Failed {
        /// The task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// Why.
        failure: Failure,
    },
    /// An attempt was given back.
    GivenBack {
        /// The first task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// Why.
        why: String,
    },
    /// An attempt was given up: its worker died or fell silent.
    Lost {
        /// The first task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
        /// The worker, if it is known.
        worker: Option<String>,
        /// How that was found out.
        why: String,
    },
    /// A second worker may try a task that takes long.
    Slow {
        /// The first task.
        task: TaskId,
        /// The attempt that is slow.
        attempt: u32,
    },
    /// A worker found that the lock of its attempt is no longer its own; it goes on, the first outcome wins.
    LockLost {
        /// The first task.
        task: TaskId,
        /// The attempt.
        attempt: u32,
    },
    /// The store's own trouble is waited out; nothing is lost meanwhile.
    Parked {
        /// What is in the way.
        error: String,
        /// How long the wait is.
        wait: Duration,
    },
    /// An outcome was found damaged, and put aside under this path.
    Damaged {
        /// Where the bytes are now.
        path: PathBuf,
        /// What is wrong with them.
        what: String,
    },
    /// Locks of this host are not seen from here: only its silence tells that it is dead.
    LocksDoNotReach {
        /// The host.
        host: String,
    },
    /// Another master is silent; it is replaced if it stays so.
    WaitingForMaster {
        /// The other master.
        master: String,
        /// How long it may be silent.
        lease: Duration,
    },
    /// A worker saw that the store is paused: it takes no new tasks.
    PauseBegan {
        /// Why.
        why: String,
    },
    /// A worker saw that the store is no longer paused.
    PauseEnded,
    /// A worker looked for work, and found none that is free; told once until it finds some.
    Idle,
    /// A worker's heartbeat came so late that it, or its machine, must have been suspended. It looks at once whether others
    /// have taken over what it was at.
    WokeUp {
        /// For how long there was no heartbeat beyond the usual.
        after: Duration,
    },
    /// The limit that others have set to a worker is near: it takes no new tasks, and leaves when its running ones have
    /// ended. Told once.
    LimitNear {
        /// How long the worker has left.
        left: Duration,
    },
    /// Something went wrong that stops nothing; it is tried again.
    Trouble {
        /// What.
        what: String,
    },
}

/// Whoever watches.
#[derive(Clone)]
pub(crate) struct Observer(Option<Arc<Watcher>>);

type Watcher = dyn Fn(&Event) + Send + Sync;

impl Observer {
    pub(crate) fn none() -> Observer {
        Observer(None)
    }

    pub(crate) fn new(watcher: impl Fn(&Event) + Send + Sync + 'static) -> Observer {
        Observer(Some(Arc::new(watcher)))
    }

    /// Tells of an event, which is made only if somebody watches.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(watcher) = &self.0 {
            // Whoever watches must not end the thread that works: a closed stderr is enough for a panic.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watcher(&event())));
        }
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Observer"
        } else {
            "no observer"
        })
    }
}
