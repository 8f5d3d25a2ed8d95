//! Attempts made by hand, step by step.

use super::world::{Proc, World, answer, input_of};
use crate::clock::sim;
use crate::codec::Codec;
use crate::error::Result;
use crate::fs::DirRef;
use crate::name::{Attempt, RoundNumber, ShardNumber, Stem};
use crate::record::{self, RecordKind};
use crate::store::publish::Park;
use crate::store::{Claim, Claiming, Identity, Published, Reaper, RunningAttempt, Store, Tail};

/// The first shard as a process sees it: the input files 0 and 2, of two tasks each.
pub(super) struct Bench {
    pub(super) process: Proc,
    pub(super) store: Store,
    pub(super) round: DirRef,
    pub(super) dir: DirRef,
}

impl Bench {
    pub(super) fn new(world: &World, host: &str) -> Bench {
        let process = world.process(host);
        let store = world.open(&process).unwrap();
        let round = store.round_dir(RoundNumber::FIRST).unwrap();
        let dir = store.shard_dir(&round, ShardNumber(0)).unwrap();
        Bench {
            process,
            store,
            round,
            dir,
        }
    }

    pub(super) fn claim(&self, stem: u64, attempt: u32) -> Claim {
        self.claim_as(&self.process.me, stem, attempt)
    }

    pub(super) fn claim_as(&self, me: &Identity, stem: u64, attempt: u32) -> Claim {
        match Claim::of_input(me, &self.dir, Stem(stem), Attempt(attempt)).unwrap() {
            Claiming::Won(claim) => claim,
            lost => panic!("{stem}, attempt {attempt} was not won: {lost:?}"),
        }
    }

    /// Publishes without waiting for better times.
    pub(super) fn publish(&self, claim: Claim) -> Published {
        self.publish_with(claim, &mut |_, _| false)
    }

    /// The same, asking before each wait.
    pub(super) fn publish_with(&self, claim: Claim, park: &mut Park<'_>) -> Published {
        match self.finished(claim).publish(&self.store, park) {
            Ok(published) => published,
            Err((_, error)) => panic!("not published: {error}"),
        }
    }

    /// Appends the outputs of both tasks.
    pub(super) fn finished(&self, mut claim: Claim) -> Claim {
        let first = claim.stem().0;
        for index in 0..2 {
            let head = (RecordKind::Output, Codec::Bincode.byte(), index, 0);
            let output = answer(input_of(first + u64::from(index)));
            let write = |buffer: &mut Vec<u8>| Codec::Bincode.encode(&output, 1000, buffer);
            let pushed: Result<()> = record::push_with(claim.content(), head, write);
            pushed.unwrap();
        }
        record::push_end(claim.content(), 2);
        claim
    }

    /// Watches an attempt for so many seconds; returns the second in which it was given up.
    pub(super) fn watch(
        &self,
        world: &World,
        stem: u64,
        seconds: u64,
        mut each: impl FnMut(),
    ) -> Option<u64> {
        let observer = world.observer(&self.process);
        let mut reaper = Reaper::new(&self.store, &self.process.me, &observer, 64);
        let running = RunningAttempt {
            round: RoundNumber::FIRST,
            dir: self.dir.clone(),
            stem: Stem(stem),
            attempt: Attempt::FIRST,
            doubled: false,
        };
        for second in (0..=seconds).step_by(3) {
            each();
            if reaper.examine(std::slice::from_ref(&running), &Tail::default()) > 0 {
                return Some(second);
            }
            sim::advance(std::time::Duration::from_secs(3));
        }
        None
    }
}
