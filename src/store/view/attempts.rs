//! All that is known of the attempts at one task: who made them, how they ended and why.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use super::running::{HeldLock, first_header};
use super::shard::ShardView;
use super::span::Place;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::{DirRef, Flock, is_foreign, is_gone, os};
use crate::layout::{self, Entry, Kind, WORKERS};
use crate::name::{Attempt, Stem, TaskId};
use crate::outcome::{Failure, FailureKind};
use crate::record::{self, AttemptHeader, RecordKind};
use crate::store::marker::read_marker;
use crate::store::{SMALL_FILE, Store};

/// A shard may be cleaned while it is looked at; then its done file tells.
const LOOKS: u32 = 3;

/// What is known of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptStatus {
    /// Its number, from 1.
    pub attempt: u32,
    /// Whether it runs, or how it ended.
    pub state: AttemptState,
    /// Whether a person granted new attempts after it.
    pub again: bool,
    /// What that person had to say to the new attempts.
    pub note: Option<String>,
    /// Why it ended so, as whoever ended it has noted.
    pub why: Option<String>,
    /// The worker or master that noted it: not the attempt's own, if that was given up.
    pub by: Option<String>,
    /// The worker, as `HOST-PID-RANDOM`; `None` if its file is gone, or has no header yet.
    pub worker: Option<String>,
    /// The worker's host.
    pub host: Option<String>,
    /// The worker's process.
    pub pid: Option<u32>,
    /// When it was claimed by the worker's clock, in milliseconds since 1970, if that was noted.
    pub began_ms: Option<u64>,
    /// When it ended, in milliseconds since 1970, if that is known: by the clock of whoever ended it, or for an
    /// accepted outcome by the file server's.
    pub ended_ms: Option<u64>,
    /// Why the task that was asked for failed in it.
    pub failure: Option<Failure>,
    /// How long the task that was asked for took in it, if it gave an output.
    pub elapsed: Option<Duration>,
    /// For how long it gave no sign of life, by the file server's clock; only of one that runs.
    pub silent_for: Option<Duration>,
    /// Whether its process lives; known on its own host only.
    pub alive: Option<bool>,
    /// What its lock says from here; only of one that runs.
    pub lock: LockSeen,
}

/// Whether an attempt runs, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptState {
    /// Nothing says that it ended; its worker may have died without a word.
    Running,
    /// The same, but it takes so long that a second worker may try.
    Slow,
    /// Its outcome is the accepted one.
    Ok,
    /// The task failed, or a task of the batch did.
    Failed,
    /// Its worker died or fell silent.
    Lost,
    /// The task failed for good, or was cancelled: there is no further attempt unless a person grants it.
    Final,
    /// It was given back.
    Back,
    /// Its outcome was found damaged and put aside.
    Damaged,
    /// Nothing is known but that a person granted new attempts after it.
    Again,
}

/// What a try to take an attempt's lock has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockSeen {
    /// Somebody holds it.
    Held,
    /// It could be taken, and was let go at once: the worker is dead, or locks do not reach from its host to this one.
    Free,
    /// It was not tried: the attempt has ended or has no lock; or it cannot be tried from here.
    Unknown,
}

impl Store {
    /// Tells of each attempt at the input file that holds a task, in order; none if the task is not in the store.
    ///
    /// Of a task whose shard was cleaned only the accepted attempt is known. To know for how long a running attempt was
    /// silent, it makes and removes a private file in the store, and it tries that attempt's lock for a moment; on a
    /// network file system that may block as long as the server is being restarted.
    ///
    /// ```
    /// use flockwork::{AttemptState, Store};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let place = tempfile::tempdir()?;
    /// # let path = place.path().join("squares.flock");
    /// flockwork::map(&path, 1..=10u64, |n| Ok(n * n)).collect()?;
    /// let attempts = Store::open(&path)?.attempts("0/7".parse()?)?;
    /// assert_eq!((attempts[0].attempt, attempts[0].state), (1, AttemptState::Ok));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the store cannot be read;
    /// [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) if a done file does not hold what it should.
    pub fn attempts(&self, task: TaskId) -> Result<Vec<AttemptStatus>> {
        for _ in 0..LOOKS {
            let Some((shard, span)) = self.find(task)? else {
                return Ok(Vec::new());
            };
            match (span.place, &shard.listed) {
                (Place::Listed(input), Some(listed)) => {
                    let index = task.number - input.stem.0;
                    let found = attempts_in(self, &listed.dir, input.stem, index);
                    if let Some(found) = found.during("cannot read attempts in", listed.dir.path())? {
                        return Ok(found);
                    }
                }
                _ => return self.archived_attempt(&shard, task.number),
            }
        }
        let step = format!("the files of task {task} are gone, and no done file has it, in");
        Err(Error::new(ErrorKind::Damaged, step)
            .at(self.rounds().path())
            .with_hint("try again"))
    }

    fn archived_attempt(&self, shard: &ShardView, number: u64) -> Result<Vec<AttemptStatus>> {
        let done = shard.read_done(self)?;
        let found = done.task(number).map(|task| AttemptStatus {
            elapsed: Some(Duration::from_nanos(task.nanos)),
            ..AttemptStatus::new(task.header.attempt, AttemptState::Ok, Some(task.header))
        });
        Ok(found.into_iter().collect())
    }
}

/// Reads all attempts at an input file; `index` is the position in it of the task that was asked for.
///
/// `None`: some of its files went away meanwhile, so it is being cleaned.
fn attempts_in(
    store: &Store,
    dir: &DirRef,
    stem: Stem,
    index: u64,
) -> io::Result<Option<Vec<AttemptStatus>>> {
    let mut names = Vec::new();
    match dir.list(&mut |name| names.extend(Entry::parse(name).filter(|entry| entry.stem == stem))) {
        Err(error) if is_gone(&error) => return Ok(None),
        answer => answer?,
    }
    let is_there = |kind| names.iter().any(|name: &Entry| name.kind == kind);
    let accepted = match is_there(Kind::Out) {
        true => match accepted_header(dir, stem)? {
            Some(accepted) => accepted,
            None => return Ok(None),
        },
        false if is_there(Kind::In) => None,
        false => return Ok(None),
    };
    let mut numbers: BTreeSet<Attempt> = names
        .iter()
        .filter(|entry| entry.kind != Kind::Checkpoint)
        .filter_map(|entry| entry.attempt)
        .collect();
    numbers.extend(accepted.as_ref().map(|(header, _)| header.attempt));
    let mut found = Vec::new();
    for attempt in numbers {
        let has = |kind| {
            names
                .iter()
                .any(|name| name.attempt == Some(attempt) && name.kind == kind)
        };
        let accepted = accepted.as_ref().filter(|(header, _)| header.attempt == attempt);
        let state = match accepted {
            Some(_) => AttemptState::Ok,
            None => state_of(has),
        };
        let one = One {
            store,
            dir,
            stem,
            attempt,
            index,
        };
        let Some(mut status) = one.read(state, accepted, has(Kind::Lock))? else {
            return Ok(None);
        };
        status.again = has(Kind::Again);
        if status.again {
            let marker = read_marker(dir, &stem.to_string(), attempt, Kind::Again);
            status.note = marker.and_then(|marker| marker.note);
        }
        found.push(status);
    }
    // Asked last, so that no sign of life is later; and only if it is needed.
    if found.iter().any(|status| status.silent_for.is_some()) {
        let now = store.server_time().ok();
        for status in &mut found {
            let sign = status.silent_for;
            status.silent_for = now.zip(sign).map(|(now, sign)| now.saturating_sub(sign));
        }
    }
    Ok(Some(found))
}

/// Whose outcome was accepted, and when it was written.
type Accepted = (AttemptHeader, Duration);

/// Reads whose outcome was accepted, if that file is whole so far; the outer `None`: the file is gone.
fn accepted_header(dir: &DirRef, stem: Stem) -> io::Result<Option<Option<Accepted>>> {
    let mut bytes = Vec::new();
    let name = layout::plain_name(stem, Kind::Out);
    let read = dir.open_read(&name).and_then(|file| {
        match file.read(SMALL_FILE, &mut bytes) {
            Err(error) if is_foreign(&error) => {}
            answer => answer?,
        }
        file.fresh()
    });
    match read {
        Ok(stat) => Ok(Some(first_header(&bytes).map(|header| (header, stat.mtime)))),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) if is_foreign(&error) => Ok(Some(None)),
        Err(error) => Err(error),
    }
}

/// In the order of the protocol, but that `again` says nothing of the attempt itself.
fn state_of(has: impl Fn(Kind) -> bool) -> AttemptState {
    marker_of(&has).map_or(AttemptState::Running, |(_, state)| state)
}

const MARKERS: [(Kind, AttemptState); 7] = [
    (Kind::Damaged, AttemptState::Damaged),
    (Kind::Final, AttemptState::Final),
    (Kind::Fail, AttemptState::Failed),
    (Kind::Back, AttemptState::Back),
    (Kind::Lost, AttemptState::Lost),
    (Kind::Slow, AttemptState::Slow),
    (Kind::Again, AttemptState::Again),
];

fn marker_of(has: impl Fn(Kind) -> bool) -> Option<(Kind, AttemptState)> {
    MARKERS.into_iter().find(|(kind, _)| has(*kind))
}

/// One attempt at one task.
struct One<'a> {
    store: &'a Store,
    dir: &'a DirRef,
    stem: Stem,
    attempt: Attempt,
    index: u64,
}

impl One<'_> {
    /// Reads it; `None` if its lock file was there and is gone.
    fn read(
        &self,
        state: AttemptState,
        accepted: Option<&Accepted>,
        has_lock: bool,
    ) -> io::Result<Option<AttemptStatus>> {
        let base = self.stem.to_string();
        let name = layout::attempt_name(&base, self.attempt, Kind::Lock);
        let mut bytes = Vec::new();
        match self.dir.read(&name, self.store.file_limit(), &mut bytes) {
            Err(error) if is_gone(&error) && has_lock => return Ok(None),
            // Removed by hand, or planted.
            Err(error) if is_gone(&error) || is_foreign(&error) => {}
            answer => answer?,
        }
        let header = accepted
            .map(|(header, _)| header.clone())
            .or_else(|| first_header(&bytes));
        let mut status = AttemptStatus::new(self.attempt, state, header.as_ref());
        self.add_records(&bytes, &mut status);
        if let Some((_, written)) = accepted {
            status.ended_ms = u64::try_from(written.as_millis()).ok();
        }
        let kind = MARKERS.into_iter().find(|(_, means)| *means == state);
        let marker = kind.and_then(|(kind, _)| read_marker(self.dir, &base, self.attempt, kind));
        let runs = matches!(state, AttemptState::Running | AttemptState::Slow);
        if let Some(marker) = marker {
            status.ended_ms = Some(marker.at).filter(|_| !runs);
            (status.why, status.by) = (Some(marker.why), Some(marker.by));
        }
        if runs {
            let looked = HeldLock::look(self.dir, self.stem, self.attempt)?;
            // The time of the last sign for now; what it is compared with is asked once for all.
            status.silent_for = looked.map(|lock| lock.stat.mtime);
            status.lock = match &header {
                Some(header) if header.flock => probe(self.dir, &name),
                Some(header) if header.worker_flock => {
                    let workers = self.store.root().open_dir(WORKERS);
                    workers.map_or(LockSeen::Unknown, |workers| {
                        probe(&workers, header.worker.as_str())
                    })
                }
                _ => LockSeen::Unknown,
            };
        }
        Ok(Some(status))
    }

    /// Of records with the same position the last counts.
    fn add_records(&self, bytes: &[u8], status: &mut AttemptStatus) {
        for frame in record::frames(bytes).map_while(std::result::Result::ok) {
            let ours = u64::from(frame.index) == self.index;
            match frame.kind {
                RecordKind::Output if ours => status.elapsed = Some(Duration::from_nanos(frame.aux)),
                RecordKind::Failure => {
                    let failure: Option<Failure> = record::from_json(&frame);
                    // A batch whose input file cannot be read fails as a whole, at its first position.
                    let of_all = failure
                        .as_ref()
                        .is_some_and(|failure| failure.kind == FailureKind::Input && frame.index == 0);
                    if ours || (of_all && status.failure.is_none()) {
                        status.failure = failure;
                    }
                }
                _ => {}
            }
        }
    }
}

/// Tries a lock as giving up an attempt does, and lets it go at once.
///
/// Only one whose header says that it is held, so it is no claimer's that is just about to take it.
fn probe(dir: &DirRef, name: &str) -> LockSeen {
    match dir.open_write(name).and_then(|file| file.try_lock()) {
        Ok(Flock::Busy) => LockSeen::Held,
        Ok(Flock::Held) => LockSeen::Free,
        Ok(Flock::Unsupported) | Err(_) => LockSeen::Unknown,
    }
}

impl AttemptStatus {
    fn new(attempt: Attempt, state: AttemptState, header: Option<&AttemptHeader>) -> AttemptStatus {
        AttemptStatus {
            attempt: attempt.0,
            state,
            again: false,
            note: None,
            why: None,
            by: None,
            worker: header.map(|header| header.worker.to_string()),
            host: header.map(|header| header.process.host.clone()),
            pid: header.map(|header| header.process.pid),
            began_ms: header.and_then(|header| header.at),
            ended_ms: None,
            failure: None,
            elapsed: None,
            silent_for: None,
            alive: header.and_then(|header| os::is_alive(&header.process)),
            lock: LockSeen::Unknown,
        }
    }
}
