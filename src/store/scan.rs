//! Listings: one of a shard tells the state of all its tasks.

use std::collections::BTreeSet;
use std::io;

use super::Store;
use super::state::{ShardState, shard_state};
use crate::error::{IoContext, Result};
use crate::fs::DirRef;
use crate::layout::{self, Entry, RoundEntry};
use crate::name::{RoundNumber, ShardNumber};

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

/// Lists a shard; `entries` is a buffer to be used again.
pub(crate) fn list_shard(
    shard: &DirRef,
    attempts_allowed: u32,
    entries: &mut Vec<Entry>,
) -> io::Result<ShardState> {
    entries.clear();
    shard.list(&mut |name| entries.extend(Entry::parse(name)))?;
    Ok(shard_state(entries, attempts_allowed))
}
