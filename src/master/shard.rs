//! A shard with outcomes that are still to be collected.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::time::Duration;

use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::fs::{DirRef, is_gone};
use crate::layout::{self, Kind};
use crate::name::{Attempt, ShardNumber, Stem};
use crate::observe::{Event, Observer};
use crate::store::{
    DoneBuilder, DoneFile, Ended, InputTasks, ShardState, State, Store, input_tasks, list_shard,
    read_accepted, read_failed, set_damaged_aside,
};

/// Inputs up to this size are kept in memory, so that collecting need not read them again.
const CACHE: usize = 2 << 20;
/// A damaged outcome is read so often before it is believed.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct OpenShard {
    pub(super) number: ShardNumber,
    pub(super) dir: DirRef,
    /// The first task that is no longer in it.
    pub(super) end: u64,
    /// Input files that were handed over, or are in the done file.
    handed: HashSet<Stem>,
    /// Tasks that were handed over, or are in the done file.
    handed_tasks: u64,
    /// Input files with an accepted outcome: they go into the done file, and are cleaned.
    accepted: BTreeSet<Stem>,
    done: DoneBuilder,
    has_done_file: bool,
    inputs: InputCache,
    buffer: Vec<u8>,
}

/// The records of input files that this master made itself.
#[derive(Debug, Default)]
pub(super) struct InputCache {
    bytes: Vec<u8>,
    places: BTreeMap<Stem, std::ops::Range<usize>>,
}

impl InputCache {
    pub(super) fn add(&mut self, stem: Stem, records: &[u8]) {
        if self.bytes.len() + records.len() <= CACHE {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(records);
            self.places.insert(stem, start..self.bytes.len());
        }
    }

    fn get(&self, stem: Stem) -> Option<&[u8]> {
        self.places.get(&stem).map(|place| &self.bytes[place.clone()])
    }
}

/// An input file that has ended, with all that is to be handed over.
pub(super) struct Collected {
    pub(super) stem: Stem,
    pub(super) input: Vec<u8>,
    pub(super) inputs: InputTasks,
    pub(super) ended: Ended,
    accepted: bool,
}

impl OpenShard {
    /// A shard that was just published.
    pub(super) fn new(number: ShardNumber, dir: DirRef, end: u64, inputs: InputCache) -> OpenShard {
        OpenShard {
            number,
            dir,
            end,
            handed: HashSet::new(),
            handed_tasks: 0,
            accepted: BTreeSet::new(),
            done: DoneBuilder::default(),
            has_done_file: false,
            inputs,
            buffer: Vec::new(),
        }
    }

    /// A shard that an earlier master has published; what is in its done file was handed over from there.
    pub(super) fn resume(number: ShardNumber, dir: DirRef, end: u64, done: Option<&DoneFile>) -> OpenShard {
        let mut shard = OpenShard::new(number, dir, end, InputCache::default());
        if let Some(done) = done {
            shard.accepted = done.stems();
            shard.handed = shard.accepted.iter().copied().collect();
            shard.handed_tasks = done.header.tasks;
            shard.done.add_earlier(done);
            shard.has_done_file = true;
        }
        shard
    }

    pub(super) fn list(&self, store: &Store, entries: &mut Vec<layout::Entry>) -> Result<ShardState> {
        list_shard(&self.dir, self.number, store.attempts_allowed(), entries)
            .during("cannot list", self.dir.path())
    }

    pub(super) fn is_handed(&self, stem: Stem) -> bool {
        self.handed.contains(&stem)
    }

    /// Says whether every task was handed over. Counted in tasks, not in names: a listing may be torn.
    pub(super) fn has_ended(&self) -> bool {
        self.handed_tasks >= self.end.saturating_sub(self.number.0)
    }

    /// Reads an input file that has ended; `None`: not now, the listing was ahead of the file.
    pub(super) fn read(
        &mut self,
        store: &Store,
        observer: &Observer,
        stem: Stem,
        state: State,
    ) -> Result<Option<Collected>> {
        let input = self.read_input(store, stem)?;
        let inputs = self.input_tasks(&input, stem)?;
        let tasks = inputs.len();
        let (ended, accepted) = match state {
            State::Failed { last, final_at } => {
                let ended = read_failed(store, &self.dir, stem, tasks, last, final_at);
                (
                    Some(ended.during("cannot read attempts in", self.dir.path())?),
                    false,
                )
            }
            _ => (self.read_outcome(store, observer, stem, tasks)?, true),
        };
        Ok(ended.map(|ended| Collected {
            stem,
            input,
            inputs,
            ended,
            accepted,
        }))
    }

    fn read_input(&self, store: &Store, stem: Stem) -> Result<Vec<u8>> {
        if let Some(bytes) = self.inputs.get(stem) {
            return Ok(bytes.to_vec());
        }
        let name = layout::plain_name(stem, Kind::In);
        let path = self.dir.path().join(&name);
        let mut bytes = Vec::new();
        self.dir
            .read(&name, store.file_limit(), &mut bytes)
            .during("cannot read", &path)?;
        Ok(bytes)
    }

    fn input_tasks(&self, input: &[u8], stem: Stem) -> Result<InputTasks> {
        input_tasks(input).map_err(|damage| {
            Error::new(ErrorKind::Damaged, "damaged input file")
                .at(self.dir.path().join(layout::plain_name(stem, Kind::In)))
                .because(damage)
                .with_hint("restore the file from a backup, or begin again with a new store")
        })
    }

    fn read_outcome(
        &mut self,
        store: &Store,
        observer: &Observer,
        stem: Stem,
        tasks: usize,
    ) -> Result<Option<Ended>> {
        let path = self.dir.path().join(layout::plain_name(stem, Kind::Out));
        for look in 1..=LOOKS {
            let buffer = std::mem::take(&mut self.buffer);
            match read_accepted(store, &self.dir, stem, tasks, buffer) {
                Ok(Ok(ended)) => return Ok(Some(ended)),
                Ok(Err(damage)) if look == LOOKS => {
                    let highest = self
                        .highest_attempt(stem)
                        .during("cannot list", self.dir.path())?;
                    let aside = set_damaged_aside(&self.dir, stem, highest);
                    let aside = aside.during("cannot put aside", &path)?;
                    let path = self.dir.path().join(aside);
                    observer.tell(|| Event::Damaged {
                        path,
                        what: damage.to_string(),
                    });
                }
                Ok(Err(_)) => crate::clock::pause(BETWEEN_LOOKS),
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(error).during("cannot read", &path),
            }
        }
        Ok(None)
    }

    fn highest_attempt(&self, stem: Stem) -> io::Result<Attempt> {
        let mut highest = Attempt::FIRST;
        self.dir.list(&mut |name| {
            let entry = layout::Entry::parse(name).filter(|entry| entry.stem == stem);
            highest = highest.max(entry.and_then(|entry| entry.attempt).unwrap_or(Attempt::FIRST));
        })?;
        Ok(highest)
    }

    /// Notes that all tasks of an input file were handed over; gives the buffer back for the next.
    pub(super) fn note_handed(&mut self, collected: Collected) {
        self.handed.insert(collected.stem);
        self.handed_tasks += collected.ended.tasks.len() as u64;
        if collected.accepted {
            self.accepted.insert(collected.stem);
            self.done
                .add(&collected.input, &collected.inputs, &collected.ended);
        }
        self.buffer = collected.ended.bytes;
    }

    /// Writes the done file; returns the input files that are to be cleaned.
    pub(super) fn finish(&self, round: &DirRef) -> Result<BTreeSet<Stem>> {
        if self.done.is_worth_writing() {
            let path = round.path().join(layout::done_name(self.number));
            self.done
                .write(round, self.number, self.end)
                .during("cannot write", &path)?;
        } else if !self.has_done_file {
            // Too large to be copied (its files stay), or nothing but failures.
            return Ok(BTreeSet::new());
        }
        Ok(self.accepted.clone())
    }
}

/// Reads where a shard ends, from its names.
pub(super) fn end_of(state: &ShardState, dir: &DirRef) -> Result<u64> {
    state.end.map(|end| end.0).ok_or_else(|| {
        Error::new(ErrorKind::Damaged, "nothing says where the shard ends:")
            .at(dir.path())
            .with_hint(
                "a file NUMBER.end belongs there: make an empty one, NUMBER being the first task after it",
            )
    })
}
