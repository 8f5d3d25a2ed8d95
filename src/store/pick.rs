//! Which input files a person means, found by names.

use std::collections::BTreeSet;

use super::scan::{list_round, list_rounds, list_shard};
use super::{DoneFile, ShardState, Store};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::{DirRef, is_gone};
use crate::layout::{self, Entry, Kind};
use crate::name::{RoundNumber, ShardNumber, Stem, TaskId};

/// With this length a text still fits into a marker when each of its bytes is escaped.
const LONGEST_TEXT: usize = 8 << 10;

/// Refuses texts that would not be read back from a marker.
pub(super) fn check_text(text: &str, what: &str) -> Result<()> {
    if text.len() <= LONGEST_TEXT {
        return Ok(());
    }
    let step = format!("the {what} is longer than {LONGEST_TEXT} bytes");
    Err(Error::new(ErrorKind::TooLarge, step).with_hint("put it into a file, and give the file's name"))
}

/// The tasks that a person named; `None`: all that can be meant.
pub(super) struct Wanted(Option<BTreeSet<TaskId>>);

/// A shard in which some may be.
pub(super) struct Place<'a> {
    pub(super) store: &'a Store,
    pub(super) round: RoundNumber,
    pub(super) shard: ShardNumber,
    pub(super) dir: DirRef,
    /// Input files in between may have been cleaned.
    has_done: bool,
}

/// An input file that holds a wanted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picked {
    /// Its place in the listing.
    pub(super) position: usize,
    pub(super) stem: Stem,
    /// How many tasks it holds.
    pub(super) tasks: u64,
}

impl Wanted {
    pub(super) fn all() -> Wanted {
        Wanted(None)
    }

    pub(super) fn these(tasks: &[TaskId]) -> Wanted {
        Wanted(Some(tasks.iter().copied().collect()))
    }

    /// Visits every shard that may hold a wanted task.
    pub(super) fn visit(&self, store: &Store, mut visit: impl FnMut(&Place<'_>) -> Result<()>) -> Result<()> {
        for round in list_rounds(store)? {
            if !self.any_in(round, 0..u64::MAX) {
                continue;
            }
            let round_dir = store.round_dir(round)?;
            let listing = list_round(&round_dir).during("cannot list", round_dir.path())?;
            for shard in &listing.shards {
                let next = listing.shards.range(ShardNumber(shard.0 + 1)..).next();
                if !self.any_in(round, shard.0..next.map_or(u64::MAX, |next| next.0)) {
                    continue;
                }
                let has_done = listing.done.contains(shard);
                let answer = store.shard_dir(&round_dir, *shard).and_then(|dir| {
                    visit(&Place {
                        store,
                        round,
                        shard: *shard,
                        dir,
                        has_done,
                    })
                });
                let is_gone = matches!(&answer, Err(error) if error.io_error().is_some_and(is_gone));
                if is_gone && !is_there(&round_dir, *shard)? {
                    // Cleaned since: all of its tasks have ended.
                    continue;
                }
                answer?;
            }
        }
        Ok(())
    }

    /// The input files of a shard that hold a wanted task.
    pub(super) fn of(&self, place: &Place<'_>, state: &ShardState) -> Vec<Picked> {
        let mut picked = Vec::new();
        for (position, input) in state.inputs.iter().enumerate() {
            let stem = input.stem;
            let tasks = tasks_of(place.store, &place.dir, state, position, place.has_done);
            if self.any_in(place.round, stem.0..stem.0.saturating_add(tasks)) {
                picked.push(Picked {
                    position,
                    stem,
                    tasks,
                });
            }
        }
        picked
    }

    /// What became of the named tasks that were not seen: how many are in done files, and how many are not there.
    pub(super) fn others(&self, store: &Store, seen: &BTreeSet<TaskId>) -> Result<(u64, u64)> {
        let (mut ended, mut absent) = (0, 0);
        let mut archive = Archive::default();
        for task in self.0.iter().flatten().filter(|task| !seen.contains(task)) {
            match archive.holds(store, *task)? {
                true => ended += 1,
                false => absent += 1,
            }
        }
        Ok((ended, absent))
    }

    /// The named tasks in an input file.
    pub(super) fn named_in(&self, round: RoundNumber, picked: &Picked) -> Vec<TaskId> {
        let number = |number| TaskId { round, number };
        let range = number(picked.stem.0)..number(picked.stem.0.saturating_add(picked.tasks));
        self.0
            .iter()
            .flat_map(|tasks| tasks.range(range.clone()))
            .copied()
            .collect()
    }

    fn any_in(&self, round: RoundNumber, numbers: std::ops::Range<u64>) -> bool {
        let number = |number| TaskId { round, number };
        match &self.0 {
            None => true,
            Some(tasks) => tasks
                .range(number(numbers.start)..number(numbers.end))
                .next()
                .is_some(),
        }
    }
}

impl Place<'_> {
    pub(super) fn list(&self, entries: &mut Vec<Entry>) -> Result<ShardState> {
        list_shard(&self.dir, self.shard, self.store.attempts_allowed(), entries)
            .during("cannot list", self.dir.path())
    }

    /// The first task of an input file.
    pub(super) fn task(&self, stem: Stem) -> TaskId {
        TaskId {
            round: self.round,
            number: stem.0,
        }
    }
}

fn is_there(round: &DirRef, shard: ShardNumber) -> Result<bool> {
    let listing = list_round(round).during("cannot list", round.path())?;
    Ok(listing.shards.contains(&shard))
}

/// How many tasks an input file holds: the names tell, unless input files in between were cleaned.
pub(super) fn tasks_of(
    store: &Store,
    dir: &DirRef,
    state: &ShardState,
    position: usize,
    has_gaps: bool,
) -> u64 {
    let by_names = state.tasks_of(position).filter(|_| !has_gaps);
    let name = || layout::plain_name(state.inputs[position].stem, Kind::In);
    let by_file = || super::inputs::tasks_in(store, dir, &name()).ok();
    by_names.or_else(by_file).unwrap_or(1)
}

/// The done files of a round, as far as they were asked for.
#[derive(Default)]
struct Archive {
    round: Option<(RoundNumber, Option<DirRef>)>,
    done: BTreeSet<ShardNumber>,
    /// The last shard that was asked for, and where it ends.
    shard: Option<(ShardNumber, u64)>,
}

impl Archive {
    /// Says whether a task lies in a shard with a done file; cheap if tasks are asked for in order.
    fn holds(&mut self, store: &Store, task: TaskId) -> Result<bool> {
        if self.round.as_ref().is_none_or(|(round, _)| *round != task.round) {
            self.turn_to(store, task.round)?;
        }
        let Some((_, Some(dir))) = &self.round else {
            return Ok(false);
        };
        let Some(shard) = self.done.range(..=ShardNumber(task.number)).next_back() else {
            return Ok(false);
        };
        let end = match self.shard {
            Some((known, end)) if known == *shard => end,
            _ => DoneFile::read_header(dir, *shard)?.end,
        };
        self.shard = Some((*shard, end));
        Ok(task.number < end)
    }

    fn turn_to(&mut self, store: &Store, round: RoundNumber) -> Result<()> {
        *self = Archive::default();
        let dir = match list_rounds(store)?.contains(&round) {
            true => Some(store.round_dir(round)?),
            false => None,
        };
        if let Some(dir) = &dir {
            self.done = list_round(dir).during("cannot list", dir.path())?.done;
        }
        self.round = Some((round, dir));
        Ok(())
    }
}
