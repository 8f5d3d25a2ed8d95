//! Watching a store whose master is another process.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::board::Board;
use super::local::Total;
use crate::clock::{Backoff, Random};
use crate::error::Result;
use crate::outcome::RunSummary;
use crate::store::Store;
use crate::wait::{Stop, lock};

/// Looks at the store until all tasks have ended, or somebody stops this process or the store; `None`: the other master
/// may be gone by now.
pub(super) fn until_done(
    store: &Store,
    board: &Mutex<Board>,
    stop: &Stop,
    total: &Total,
) -> Result<Option<RunSummary>> {
    let mut random = Random::new();
    let mut rest = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
    let mut before = None;
    let begun = Instant::now();
    loop {
        let seen = stop.waker().seen();
        let mut status = store.status()?;
        if status.stopped.is_some() {
            // The stop file may be the end of the run, and have come after the counting.
            status = store.status()?;
        }
        let (ok, failed, tasks) = (status.ok(), status.failed(), total());
        lock(board).set_counts(ok, failed, tasks, Instant::now());
        let summary = RunSummary {
            tasks: ok + failed,
            ok,
            failed,
            ..RunSummary::default()
        };
        if ok + failed >= tasks {
            return Ok(Some(summary));
        }
        if stop.requested().is_some() || status.stopped.is_some() {
            return Ok(Some(RunSummary {
                stopped: true,
                ..summary
            }));
        }
        if begun.elapsed() >= store.lease() / 2 {
            return Ok(None);
        }
        if before.replace((ok, failed)) != Some((ok, failed)) {
            rest.reset();
        }
        stop.waker().wait(seen, random.jitter(rest.step()));
    }
}
