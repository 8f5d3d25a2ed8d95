//! What there is to do, and what comes of it: known beforehand, so that every answer can be checked. Pure.

use serde::{Deserialize, Serialize};

use super::random::mix;

/// One in so many executions of a task fails.
const FAILS_ONE_IN: u64 = 40;
/// One in so many first executions kills its own process halfway.
const DIES_ONE_IN: u64 = 300;
/// Second executions do so more often: from then on a batch keeps the outputs of each of its tasks.
const DIES_AGAIN_ONE_IN: u64 = 30;
/// One in so many tasks goes on from checkpoints.
const COUNTS_ONE_IN: u64 = 4;
/// A task takes up to so many milliseconds.
const MOST_MILLIS: u64 = 20;
/// How often a task that keeps checkpoints keeps one.
pub(super) const STEPS: u32 = 4;

/// An input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Errand {
    pub(super) value: u64,
    /// Whether it keeps checkpoints, and goes on from them.
    pub(super) counts: bool,
}

/// What an execution is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) millis: u64,
    pub(super) fails: bool,
    pub(super) dies: bool,
}

impl Errand {
    /// Returns what it comes to.
    pub(super) fn answer(&self) -> u64 {
        mix(self.value ^ 0x5eed)
    }

    /// Returns what its execution in this attempt does.
    pub(super) fn act(&self, attempt: u32) -> Act {
        let chance = mix(self.value ^ (u64::from(attempt) << 40));
        Act {
            millis: chance % (MOST_MILLIS + 1),
            fails: (chance >> 20).is_multiple_of(FAILS_ONE_IN),
            dies: match attempt {
                1 => (chance >> 30).is_multiple_of(DIES_ONE_IN),
                2 => (chance >> 30).is_multiple_of(DIES_AGAIN_ONE_IN),
                _ => false,
            },
        }
    }
}

/// Which errands there are, round by round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) tasks: u64,
}

impl Plan {
    /// The errands of a round: they depend on all answers of the round before.
    pub(super) fn errands(&self, round: u32, carry: Carry) -> impl Iterator<Item = Errand> + Send + use<> {
        let plan = *self;
        (0..self.tasks).map(move |number| plan.errand(round, carry, number))
    }

    /// One of them.
    pub(super) fn errand(&self, round: u32, carry: Carry, number: u64) -> Errand {
        let value = mix(carry.0 ^ mix(self.seed) ^ (u64::from(round) << 32) ^ number);
        Errand {
            value,
            counts: (value >> 50).is_multiple_of(COUNTS_ONE_IN),
        }
    }

    /// What a round with exactly the right answers hands to the next.
    pub(super) fn carry(&self, round: u32, before: Carry) -> Carry {
        let errands = self.errands(round, before);
        errands.fold(Carry::default(), |carry, errand| carry.with(errand.answer()))
    }
}

/// What all answers of a round come to; their order does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Carry(u64);

impl Carry {
    pub(super) fn with(self, answer: u64) -> Carry {
        Carry(self.0.wrapping_add(mix(answer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { seed: 7, tasks: 1000 };

    #[test]
    fn a_round_depends_on_every_answer_of_the_round_before() {
        let right = PLAN.carry(0, Carry::default());
        let answers: Vec<u64> = PLAN
            .errands(0, Carry::default())
            .map(|errand| errand.answer())
            .collect();
        let backwards = answers
            .iter()
            .rev()
            .fold(Carry::default(), |carry, answer| carry.with(*answer));
        assert_eq!(right, backwards);
        let one_wrong = answers[1..]
            .iter()
            .fold(Carry::default().with(1), |c, a| c.with(*a));
        assert_ne!(right, one_wrong);
        let first = |carry| PLAN.errands(1, carry).next();
        assert_ne!(first(right), first(one_wrong));
    }

    #[test]
    fn there_are_errands_of_every_sort() {
        let all: Vec<Errand> = PLAN.errands(0, Carry::default()).collect();
        let counts = all.iter().filter(|errand| errand.counts).count();
        assert!((150..350).contains(&counts), "{counts}");
        let acts: Vec<Act> = all.iter().map(|errand| errand.act(1)).collect();
        assert!(acts.iter().any(|act| act.fails) && acts.iter().any(|act| act.dies));
        // What has died twice goes on.
        assert!(all.iter().all(|errand| !errand.act(3).dies));
        // No task fails for ever.
        assert!(
            all.iter()
                .all(|errand| (1..9).any(|attempt| !errand.act(attempt).fails))
        );
    }
}
