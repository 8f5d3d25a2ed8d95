//! The protocol as it is. Several small configurations, because the number of states grows tenfold with each fault.

use crate::check::holds;
use crate::reach;
use crate::setup::Kind::*;
use crate::setup::{Flaw, Kind, Kinds, Reach, Setup};

/// Everything but a power cut, after which all processes start again.
const ALL: &[Kind] = &[
    Crash,
    Revoke,
    Slow,
    LockLost,
    StaleList,
    CreateError,
    LinkError,
    MarkError,
    UnlinkError,
    TaskFails,
    GiveBack,
    HandRemove,
];

const BASE: Setup = Setup {
    kinds: Kinds(ALL),
    rescue: true,
    ..Setup::PLAIN
};

#[test]
fn two_workers_and_three_faults() {
    let setup = Setup {
        budget: 3,
        reaches: &[
            reach::SECOND_PUBLISHES,
            reach::THIRD_PUBLISHES,
            reach::TWO_RUN,
            reach::TWIN_DISCARDED,
            reach::LOST_YET_FIRST,
            reach::BACK_BY_RELIST,
            reach::UNFLOCKED,
            reach::REPLY_LOST,
            reach::FRESH_PUBLISHED,
            reach::FAILED,
        ],
        ..BASE
    };
    holds("two workers, three faults", setup, 700_000);
}

#[test]
fn cleaning_and_two_faults() {
    let setup = Setup {
        budget: 2,
        master: true,
        silly_rename: true,
        reaches: &[
            reach::FRESH_CLEANED,
            reach::LATE_CLEANED,
            reach::OUTPUT_AGAIN,
            reach::HIDDEN_NAME,
            reach::DIR_REMOVED,
        ],
        ..BASE
    };
    holds("cleaning, two faults", setup, 800_000);
}

#[test]
fn three_workers_and_two_faults() {
    let setup = Setup {
        workers: 3,
        budget: 2,
        reaches: &[reach::TWO_RUN, reach::THIRD_PUBLISHES],
        ..BASE
    };
    holds("three workers, two faults", setup, 240_000);
}

#[test]
fn three_workers_and_cleaning() {
    let setup = Setup {
        workers: 3,
        budget: 1,
        master: true,
        reaches: &[reach::LATE_CLEANED, reach::DIR_REMOVED],
        ..BASE
    };
    holds("three workers, cleaning, one fault", setup, 280_000);
}

#[test]
fn two_observers_give_up_at_once() {
    let setup = Setup {
        workers: 3,
        observers: 2,
        budget: 2,
        kinds: Kinds(&[Crash, Revoke, LockLost, TaskFails]),
        reaches: &[reach::UNFLOCKED, reach::LOST_YET_FIRST],
        ..BASE
    };
    holds("two observers, two faults", setup, 190_000);
}

#[test]
fn two_inputs() {
    let setup = Setup {
        inputs: 2,
        budget: 1,
        master: true,
        reaches: &[reach::TWO_RUN, reach::DIR_REMOVED],
        ..BASE
    };
    holds("two inputs, one fault", setup, 380_000);
}

#[test]
fn flock_does_not_reach() {
    let setup = Setup {
        observers: 2,
        budget: 2,
        master: true,
        reach: Reach::NodeLocal,
        reaches: &[reach::SECOND_PUBLISHES, reach::LOST_YET_FIRST],
        ..BASE
    };
    holds("node-local flock, two faults", setup, 120_000);
}

#[test]
fn power_cut() {
    let setup = Setup {
        budget: 2,
        master: true,
        power: true,
        kinds: Kinds(&[PowerCut, Crash, Revoke, LinkError, HandRemove, TaskFails]),
        reaches: &[reach::SECOND_PUBLISHES, reach::FRESH_PUBLISHED],
        ..BASE
    };
    holds("power cut and one more fault", setup, 280_000);
}

const FAILING: Setup = Setup {
    budget: 3,
    limit: 2,
    master: true,
    kinds: Kinds(&[TaskFails, Slow, Revoke, GiveBack]),
    ..BASE
};

#[test]
fn failure_limit() {
    let setup = Setup {
        // A late worker cannot know that its input was given up. See the next test.
        reaches: &[reach::FAILED, reach::LATE_AFTER_FAILURE],
        ..FAILING
    };
    holds("failure limit, three faults", setup, 500_000);
}

#[test]
fn failure_with_a_fence() {
    let setup = Setup {
        fence_failures: true,
        kinds: Kinds(&[TaskFails, Revoke, StaleList]),
        reaches: &[reach::FAILED],
        ..FAILING
    };
    holds("failure limit with a fence", setup, 320_000);
}

/// Tasks that fail for good, that are cancelled, and that are granted new attempts.
const STEERED: Setup = Setup {
    budget: 3,
    limit: 2,
    kinds: Kinds(&[TaskFails, TaskFailsForGood, Cancel, Retry, Slow, Revoke, GiveBack]),
    reaches: &[
        reach::FINAL,
        reach::CANCELLED_YET_FIRST,
        reach::CANCELLED_TOO_LATE,
        reach::RETRIED,
    ],
    ..BASE
};

#[test]
fn failures_for_good_and_new_attempts() {
    holds("final and again, three faults", STEERED, 130_000);
}

#[test]
fn failures_for_good_and_cleaning() {
    let setup = Setup {
        master: true,
        budget: 2,
        kinds: Kinds(&[
            TaskFailsForGood,
            Cancel,
            Retry,
            Crash,
            CreateError,
            MarkError,
            StaleList,
            HandRemove,
        ]),
        reaches: &[
            reach::FINAL,
            reach::CANCELLED_YET_FIRST,
            reach::LATE_AFTER_FAILURE,
        ],
        ..STEERED
    };
    holds("final and again with a master, two faults", setup, 170_000);
}

/// The second listing of attempt 2 and later saves work and nothing else: the invariants hold without it.
#[test]
fn second_listing_only_saves_work() {
    let setup = Setup {
        workers: 3,
        budget: 2,
        flaw: Some(Flaw::NoSecondListing),
        ..BASE
    };
    holds("no second listing", setup, 200_000);
}
