//! The audit: proves from what is on disk that nothing was lost and nothing was accepted twice.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use super::scan::{list_round, list_rounds};
use super::state::shard_state;
use super::{DoneFile, RoundListing, SMALL_FILE, State, Store, read_accepted};
use crate::error::{IoContext, Result};
use crate::fs::{DirRef, is_gone};
use crate::layout::{self, Entry, Kind, ROUND_FILE};
use crate::name::{Attempt, RoundNumber, ShardNumber, Stem};
use crate::record::{self, RecordKind};

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// Tasks that were created.
    pub tasks: u64,
    /// Tasks with exactly one accepted output.
    pub ok: u64,
    /// Tasks that failed for good.
    pub failed: u64,
    /// Tasks that are still to be done.
    pub open: u64,
    /// Attempts whose files are still there.
    pub attempts: u64,
    /// Of these, attempts that failed, were lost, cancelled, given back, doubled or damaged.
    pub marked: u64,
    /// What contradicts the promises.
    pub violations: Vec<Violation>,
    /// Files that are not ours, or were left by processes that died; harmless.
    pub leftovers: Vec<PathBuf>,
}

/// Something on disk that contradicts the promises.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl Audit {
    /// Says whether every promise holds, though there may be work left.
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }

    /// Says whether every promise holds and every task has ended.
    pub fn is_complete(&self) -> bool {
        self.is_sound() && self.open == 0
    }

    /// Adds what was found in a part of the store.
    fn add(&mut self, part: Audit) {
        self.tasks += part.tasks;
        self.ok += part.ok;
        self.failed += part.failed;
        self.open += part.open;
        self.attempts += part.attempts;
        self.marked += part.marked;
        self.violations.extend(part.violations);
        self.leftovers.extend(part.leftovers);
    }

    fn violation(&mut self, path: PathBuf, what: impl Into<String>) {
        self.violations.push(Violation {
            path,
            what: what.into(),
        });
    }
}

impl Store {
    /// Reads the whole store, and checks that every task that was created has exactly one accepted outcome or is
    /// still there to be done, that every file is whole, and that no attempt began before the one before it ended.
    ///
    /// It is meant for a store that is at rest; beside running workers it may call a task open that just ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) if the store cannot be read. What contradicts the promises is no
    /// error but a [`Violation`].
    pub fn audit(&self) -> Result<Audit> {
        let mut audit = Audit::default();
        for round in list_rounds(self)? {
            self.audit_round(round, &mut audit)?;
        }
        audit.leftovers = self.leftovers();
        Ok(audit)
    }

    fn audit_round(&self, round: RoundNumber, audit: &mut Audit) -> Result<()> {
        let dir = self.round_dir(round)?;
        let listing = list_round(&dir).during("cannot list", dir.path())?;
        let mut next = 0;
        let all: BTreeSet<ShardNumber> = listing.shards.union(&listing.done).copied().collect();
        for shard in all {
            let path = dir.path().join(layout::shard_name(shard));
            if shard.0 != next {
                audit.violation(path.clone(), format!("the tasks from {next} on are missing"));
            }
            let (mut part, mut end) = self.audit_part(&dir, shard, &listing)?;
            if (end.is_none() || !part.violations.is_empty()) && !listing.done.contains(&shard) {
                // A master may have put it into a done file, and begun to clean it, since the listing.
                let later = list_round(&dir).during("cannot list", dir.path())?;
                if later.done.contains(&shard) {
                    (part, end) = self.audit_part(&dir, shard, &later)?;
                }
            }
            audit.add(part);
            let Some(end) = end else {
                audit.violation(path, "nothing says where the shard ends");
                return Ok(());
            };
            audit.tasks += end.saturating_sub(shard.0);
            next = end;
        }
        if listing.complete {
            let path = dir.path().join(ROUND_FILE);
            let mut bytes = Vec::new();
            dir.read(ROUND_FILE, SMALL_FILE, &mut bytes)
                .during("cannot read", &path)?;
            let tasks = serde_json::from_slice::<super::RoundFile>(&bytes)
                .ok()
                .map(|file| file.tasks);
            if tasks != Some(next) {
                audit.violation(path, format!("it counts {tasks:?} tasks, but there are {next}"));
            }
        }
        Ok(())
    }

    /// Checks one shard; returns what is found, and the first task that is no longer in it.
    fn audit_part(
        &self,
        round: &DirRef,
        shard: ShardNumber,
        listing: &RoundListing,
    ) -> Result<(Audit, Option<u64>)> {
        let mut part = Audit::default();
        match self.audit_shard(round, shard, listing, &mut part) {
            Err(error) if error.io_error().is_some_and(is_gone) => {
                part.violation(round.path().join(layout::shard_name(shard)), error.to_string());
                Ok((part, None))
            }
            answer => answer.map(|end| (part, end)),
        }
    }

    /// Checks one shard; returns the first task that is no longer in it.
    fn audit_shard(
        &self,
        round: &DirRef,
        shard: ShardNumber,
        listing: &RoundListing,
        audit: &mut Audit,
    ) -> Result<Option<u64>> {
        let mut archived = BTreeSet::new();
        let mut numbers: BTreeSet<u64> = BTreeSet::new();
        let mut end = None;
        if listing.done.contains(&shard) {
            let path = round.path().join(layout::done_name(shard));
            match DoneFile::read(self, round, shard) {
                Ok(done) => {
                    for task in done.tasks() {
                        if !numbers.insert(task.number) {
                            audit.violation(path.clone(), format!("task {} is in it twice", task.number));
                        }
                    }
                    if numbers.len() as u64 != done.header.tasks {
                        audit.violation(path, "its header counts other tasks");
                    }
                    audit.ok += numbers.len() as u64;
                    archived = done.stems();
                    end = Some(done.header.end);
                }
                Err(error) => audit.violation(path, error.to_string()),
            }
        }
        let dir = match listing.shards.contains(&shard) {
            true => match self.shard_dir(round, shard) {
                Err(error) if error.io_error().is_some_and(is_gone) => None,
                answer => Some(answer?),
            },
            false => None,
        };
        if let Some(dir) = dir {
            let mut entries = Vec::new();
            dir.list(&mut |name| entries.extend(Entry::parse(name)))
                .during("cannot list", dir.path())?;
            let state = shard_state(&mut entries, self.attempts_allowed());
            end = end.or(state.end.map(|end| end.0));
            for input in state
                .inputs
                .iter()
                .filter(|input| !archived.contains(&input.stem))
            {
                self.audit_input(&dir, input.stem, input.state, &mut numbers, audit)?;
            }
            let open = entries
                .iter()
                .filter(|entry| !archived.contains(&entry.stem))
                .copied()
                .collect::<Vec<_>>();
            audit_attempts(&dir, &open, audit);
        }
        let expected = end.map(|end| end.saturating_sub(shard.0));
        if let Some(expected) = expected.filter(|expected| *expected != numbers.len() as u64) {
            let what = format!("it has {} of its {expected} tasks", numbers.len());
            audit.violation(round.path().join(layout::shard_name(shard)), what);
        }
        Ok(end)
    }

    fn audit_input(
        &self,
        dir: &DirRef,
        stem: Stem,
        state: State,
        numbers: &mut BTreeSet<u64>,
        audit: &mut Audit,
    ) -> Result<()> {
        let name = layout::plain_name(stem, Kind::In);
        let path = dir.path().join(&name);
        let mut bytes = Vec::new();
        if let Err(error) = dir.read(&name, self.file_limit(), &mut bytes) {
            audit.violation(path, format!("it cannot be read: {error}"));
            return Ok(());
        }
        let tasks = match record::whole(&bytes, &[RecordKind::Input]) {
            Ok(frames) => frames
                .iter()
                .filter(|frame| frame.kind == RecordKind::Input)
                .count(),
            Err(damage) => {
                audit.violation(path, damage.to_string());
                return Ok(());
            }
        };
        for number in stem.0..stem.0.saturating_add(tasks as u64) {
            if !numbers.insert(number) {
                audit.violation(path.clone(), format!("task {number} is there twice"));
            }
        }
        let tasks = tasks as u64;
        match state {
            State::Free { .. } | State::Running { .. } => audit.open += tasks,
            State::Failed { .. } => audit.failed += tasks,
            State::Done => {
                audit.ok += tasks;
                let out = dir.path().join(layout::plain_name(stem, Kind::Out));
                let read = read_accepted(
                    self,
                    dir,
                    stem,
                    usize::try_from(tasks).unwrap_or(usize::MAX),
                    Vec::new(),
                );
                if let Err(damage) = read.during("cannot read", &out)? {
                    audit.violation(out, damage.to_string());
                }
            }
        }
        Ok(())
    }

    /// Files whose names are not ours, or that were meant to live for a moment.
    fn leftovers(&self) -> Vec<PathBuf> {
        let rounds = self.rounds().path();
        walkdir::WalkDir::new(rounds)
            .min_depth(2)
            .into_iter()
            .filter_map(std::result::Result::ok)
            .filter(|entry| {
                let name = entry.file_name().to_string_lossy();
                match entry.depth() {
                    2 => layout::RoundEntry::parse(&name).is_none(),
                    3 => Entry::parse(&name).is_none(),
                    _ => true,
                }
            })
            .map(walkdir::DirEntry::into_path)
            .collect()
    }
}

/// An attempt beyond the first is only made when the one before it has ended, or may be doubled, and was not to be
/// the last.
fn audit_attempts(dir: &DirRef, entries: &[Entry], audit: &mut Audit) {
    let attempts: BTreeSet<(Stem, Attempt)> = of_kind(entries, |kind| kind == Kind::Lock);
    let marked: BTreeSet<(Stem, Attempt)> =
        of_kind(entries, |kind| !matches!(kind, Kind::Lock | Kind::Checkpoint));
    let followed = of_kind(entries, |kind| {
        !matches!(kind, Kind::Lock | Kind::Checkpoint | Kind::Final)
    });
    audit.attempts += attempts.len() as u64;
    audit.marked += marked.len() as u64;
    for &(stem, attempt) in &attempts {
        let before = (stem, Attempt(attempt.0 - 1));
        // A lock that was removed by hand frees its task without a marker.
        if !attempts.contains(&before) || followed.contains(&before) {
            continue;
        }
        let name = layout::attempt_name(&stem.to_string(), attempt, Kind::Lock);
        let what = match marked.contains(&before) {
            true => "it began after an attempt that was to be the last",
            false => "it began before the attempt before it had ended",
        };
        audit.violation(dir.path().join(name), what);
    }
}

fn of_kind(entries: &[Entry], wanted: impl Fn(Kind) -> bool) -> BTreeSet<(Stem, Attempt)> {
    let numbered = entries.iter().filter(|entry| wanted(entry.kind));
    numbered
        .filter_map(|entry| entry.attempt.map(|attempt| (entry.stem, attempt)))
        .collect()
}
