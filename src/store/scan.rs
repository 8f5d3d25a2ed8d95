//! Listings: one of a shard tells the state of all its tasks.

use std::collections::BTreeSet;
use std::io;

use super::Store;
use super::state::{ShardState, shard_state};
use crate::error::{IoContext, Result};
use crate::fs::DirRef;
use crate::layout::{self, Entry, Kind, RoundEntry};
use crate::name::{RoundNumber, ShardNumber, Stem};

/// What a round's directory holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RoundListing {
    pub(crate) shards: BTreeSet<ShardNumber>,
    /// Shards with a done file; one may have a directory too, with its failed tasks, or as long as it is cleaned.
    pub(crate) done: BTreeSet<ShardNumber>,
    /// Whether all inputs of the round are there.
    pub(crate) complete: bool,
}

/// Lists the rounds, in order.
pub(crate) fn list_rounds(store: &Store) -> Result<Vec<RoundNumber>> {
    let mut rounds = Vec::new();
    store
        .rounds()
        .list(&mut |name| rounds.extend(layout::parse_round(name)))
        .during("cannot list", store.rounds().path())?;
    rounds.sort_unstable();
    Ok(rounds)
}

/// Lists a round.
pub(crate) fn list_round(round: &DirRef) -> io::Result<RoundListing> {
    let mut listing = RoundListing::default();
    round.list(&mut |name| match RoundEntry::parse(name) {
        Some(RoundEntry::Shard(shard)) => {
            listing.shards.insert(shard);
        }
        Some(RoundEntry::Done(shard)) => {
            listing.done.insert(shard);
        }
        Some(RoundEntry::Complete) => listing.complete = true,
        None => {}
    })?;
    Ok(listing)
}

/// Lists which input files of a shard have an accepted outcome.
pub(crate) fn accepted_among(shard: &DirRef) -> io::Result<Vec<Stem>> {
    let mut stems = Vec::new();
    shard.list(&mut |name| {
        let entry = Entry::parse(name).filter(|entry| entry.kind == Kind::Out);
        stems.extend(entry.map(|entry| entry.stem));
    })?;
    Ok(stems)
}

/// Lists a shard; `entries` is a buffer to be used again.
///
/// Names of tasks that the shard does not hold are foreign, like every other name that is not ours.
pub(crate) fn list_shard(
    shard: &DirRef,
    number: ShardNumber,
    attempts_allowed: u32,
    entries: &mut Vec<Entry>,
) -> io::Result<ShardState> {
    entries.clear();
    shard.list(&mut |name| entries.extend(Entry::parse(name).filter(|entry| entry.stem.0 >= number.0)))?;
    let mut state = shard_state(entries, attempts_allowed);
    if let Some(end) = state.end {
        state.inputs.retain(|input| input.stem < end);
    }
    Ok(state)
}
