//! The walk over all shards of a store, in order, beside a master that ends and cleans some of them.
//!
//! A shard is cleaned only after its done file is there. So the names of a shard are listed first, and the round after
//! them, afresh: whatever a listing lacks because it was cleaned is in a done file that the second listing shows. One
//! such listing serves a handful of shards.

use std::collections::VecDeque;

use super::shard::{Listed, ShardView};
use crate::error::{IoContext, Result};
use crate::fs::DirRef;
use crate::name::{RoundNumber, ShardNumber};
use crate::store::Store;
use crate::store::scan::{RoundListing, list_round, list_rounds};

/// So many shards are listed before the round is listed again.
const AT_ONCE: usize = 32;
/// And so many are kept at most, with those that have nothing but a done file.
const MOST_READY: usize = 1024;

/// All shards of a store, in order of round and number.
#[derive(Debug)]
pub(super) struct Walk {
    store: Store,
    rounds: VecDeque<RoundNumber>,
    round: Option<RoundWalk>,
}

impl Walk {
    pub(super) fn new(store: &Store) -> Result<Walk> {
        Ok(Walk {
            rounds: list_rounds(store)?.into(),
            store: store.clone(),
            round: None,
        })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }
}

impl Iterator for Walk {
    type Item = Result<ShardView>;

    fn next(&mut self) -> Option<Result<ShardView>> {
        loop {
            if let Some(shard) = self.round.as_mut().and_then(Iterator::next) {
                return Some(shard);
            }
            let number = self.rounds.pop_front()?;
            match RoundWalk::begin(&self.store, number) {
                Ok(round) => self.round = Some(round),
                // The others can be read all the same.
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The shards of a round, in order.
#[derive(Debug)]
pub(crate) struct RoundWalk {
    store: Store,
    number: RoundNumber,
    dir: DirRef,
    first: RoundListing,
    left: VecDeque<ShardNumber>,
    ready: VecDeque<Result<ShardView>>,
}

impl RoundWalk {
    pub(crate) fn begin(store: &Store, number: RoundNumber) -> Result<RoundWalk> {
        let dir = store.round_dir(number)?;
        let first = list_round(&dir).during("cannot list", dir.path())?;
        Ok(RoundWalk {
            store: store.clone(),
            number,
            left: first.shards.union(&first.done).copied().collect(),
            dir,
            first,
            ready: VecDeque::new(),
        })
    }

    /// Says whether all inputs of the round were there when the walk began.
    pub(crate) fn is_complete(&self) -> bool {
        self.first.complete
    }

    fn view(&self, number: ShardNumber, listed: Option<Listed>) -> ShardView {
        ShardView {
            round: self.number,
            round_dir: self.dir.clone(),
            number,
            has_done: self.first.done.contains(&number),
            listed,
        }
    }

    /// Lists the next shards, and then the round.
    fn advance(&mut self) {
        let mut asked = 0;
        while asked < AT_ONCE
            && self.ready.len() < MOST_READY
            && let Some(number) = self.left.pop_front()
        {
            let listed = match self.first.shards.contains(&number) {
                true => {
                    asked += 1;
                    Listed::take(&self.store, &self.dir, number)
                }
                false => Ok(None),
            };
            self.ready
                .push_back(listed.map(|listed| self.view(number, listed)));
        }
        let is_known = |shard: &Result<ShardView>| shard.as_ref().is_ok_and(|shard| shard.has_done);
        if self.ready.iter().all(is_known) {
            return;
        }
        match list_round(&self.dir).during("cannot list", self.dir.path()) {
            Ok(again) => {
                for shard in self.ready.iter_mut().flatten() {
                    shard.has_done |= again.done.contains(&shard.number);
                }
            }
            Err(error) => {
                self.ready.clear();
                self.left.clear();
                self.ready.push_back(Err(error));
            }
        }
    }
}

impl Iterator for RoundWalk {
    type Item = Result<ShardView>;

    fn next(&mut self) -> Option<Result<ShardView>> {
        if self.ready.is_empty() {
            self.advance();
        }
        self.ready.pop_front()
    }
}
