//! The attempts that run now: who holds them, since when, and for how long there was no sign of life.

use std::io;
use std::time::Duration;

use super::span::Place;
use super::walk::Walk;
use crate::error::{IoContext, Result};
use crate::fs::{DirRef, Stat, is_foreign, is_gone, os};
use crate::layout::{self, Kind};
use crate::name::{Attempt, Stem, TaskId};
use crate::record::{self, AttemptHeader, RecordKind};
use crate::store::{SMALL_FILE, State, Store};

/// An attempt that runs, as far as names tell: its worker may have died without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningStatus {
    /// The first task of its input file.
    pub first: TaskId,
    /// How many tasks the input file holds.
    pub tasks: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Whether it takes so much longer than the others that a second worker may try.
    pub slow: bool,
    /// The worker, as `HOST-PID-RANDOM`; `None` as long as it has not written its header.
    pub worker: Option<String>,
    /// The worker's host.
    pub host: Option<String>,
    /// The worker's process.
    pub pid: Option<u32>,
    /// When it was claimed by the worker's clock, in milliseconds since 1970, if that was noted.
    pub began_ms: Option<u64>,
    /// For how long it gave no sign of life, by the file server's clock; `None` if that clock cannot be asked.
    ///
    /// An attempt gives one every fifth of the lease.
    pub silent_for: Option<Duration>,
    /// Whether its process lives; known on its own host only.
    pub alive: Option<bool>,
}

/// What a lock file tells that was opened once.
pub(super) struct HeldLock {
    pub(super) header: Option<AttemptHeader>,
    pub(super) stat: Stat,
}

impl HeldLock {
    /// Reads who holds an attempt, and its last sign of life; `None` if its lock file is gone.
    pub(super) fn look(dir: &DirRef, stem: Stem, attempt: Attempt) -> io::Result<Option<HeldLock>> {
        let name = layout::attempt_name(&stem.to_string(), attempt, Kind::Lock);
        let mut bytes = Vec::new();
        let looked = dir.open_read(&name).and_then(|file| {
            match file.read(SMALL_FILE, &mut bytes) {
                // The outputs of a batch follow the header; a planted file has none.
                Err(error) if is_foreign(&error) => {}
                answer => answer?,
            }
            file.fresh()
        });
        match looked {
            Ok(stat) => Ok(Some(HeldLock {
                header: first_header(&bytes),
                stat,
            })),
            Err(error) if is_gone(&error) || is_foreign(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Reads the header that an attempt's file begins with.
pub(super) fn first_header(bytes: &[u8]) -> Option<AttemptHeader> {
    let first = record::frames(bytes).next()?.ok()?;
    match first.kind {
        RecordKind::Attempt => record::from_json(&first),
        _ => None,
    }
}

impl Store {
    /// Lists the attempts that run now, in order of their tasks.
    ///
    /// It costs a listing of each shard that is not cleaned yet, and opens one file for each running attempt. To know
    /// for how long attempts were silent, it makes and removes a private file in the store.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("squares.flock");
    /// flockwork::map(&path, 1..=10u64, |n| Ok(n * n)).collect()?;
    /// let store = flockwork::Store::open(&path)?;
    /// for running in store.running()? {
    ///     println!("{} on {}", running.first, running.host.as_deref().unwrap_or("?"));
    /// }
    /// assert!(store.running()?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the store cannot be listed, or a lock file not be opened;
    /// [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) if a done file does not hold what it should.
    pub fn running(&self) -> Result<Vec<RunningStatus>> {
        let mut all = Vec::new();
        for shard in Walk::new(self)? {
            let shard = shard?;
            if shard.has_done && shard.listed.is_none() {
                continue;
            }
            let spans = shard.spans(self)?;
            let Some(listed) = &shard.listed else { continue };
            for span in spans {
                let Place::Listed(input) = span.place else {
                    continue;
                };
                let slow = listed.slow.iter().filter(|(stem, _)| *stem == input.stem);
                let mut attempts: Vec<(Attempt, bool)> = slow.map(|(_, attempt)| (*attempt, true)).collect();
                if let State::Running { attempt } = input.state {
                    // A slow one counts as running when nobody may try beside it any more.
                    attempts.push((attempt, input.doubled && attempts.is_empty()));
                }
                for (attempt, slow) in attempts {
                    let looked = HeldLock::look(&listed.dir, input.stem, attempt);
                    // Cleaned since: it has ended.
                    let Some(lock) = looked.during("cannot look at an attempt in", listed.dir.path())? else {
                        continue;
                    };
                    let first = TaskId {
                        round: shard.round,
                        number: input.stem.0,
                    };
                    all.push((
                        RunningStatus::new(first, span.tasks, attempt, slow, &lock),
                        lock.stat.mtime,
                    ));
                }
            }
        }
        // Asked last, so that no sign of life is later; and only if it is needed.
        let now = if all.is_empty() {
            None
        } else {
            self.server_time().ok()
        };
        let with_silence = all.into_iter().map(|(running, sign)| RunningStatus {
            silent_for: now.map(|now| now.saturating_sub(sign)),
            ..running
        });
        Ok(with_silence.collect())
    }
}

impl RunningStatus {
    fn new(first: TaskId, tasks: u64, attempt: Attempt, slow: bool, lock: &HeldLock) -> RunningStatus {
        let header = lock.header.as_ref();
        RunningStatus {
            first,
            tasks,
            attempt: attempt.0,
            slow,
            worker: header.map(|header| header.worker.to_string()),
            host: header.map(|header| header.process.host.clone()),
            pid: header.map(|header| header.process.pid),
            began_ms: header.and_then(|header| header.at),
            silent_for: None,
            alive: header.and_then(|header| os::is_alive(&header.process)),
        }
    }
}
