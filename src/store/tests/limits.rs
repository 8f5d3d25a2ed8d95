//! Workers whose end is set by others: what they start, what they give back, and that nothing is lost by it.

use std::sync::Arc;
use std::time::Duration;

use super::world::{Act, Place, TestMaster, World, answer};
use crate::clock::pause;
use crate::wait::lock;
use crate::worker::WhyLeft;

const GRACE: Duration = Duration::from_secs(5);

/// A task that takes so long.
fn taking(seconds: u64) -> Act {
    Arc::new(move |input, _, _| {
        pause(Duration::from_secs(seconds));
        Ok(answer(input))
    })
}

fn runs(world: &World) -> Vec<(u32, u64)> {
    let notes = lock(&world.notes);
    notes.runs.iter().map(|run| (run.attempt, run.task)).collect()
}

#[test]
fn tasks_that_cannot_end_before_the_limit_are_left_to_others() {
    let mut world = World::new(Place::LocalPower);
    world.batch = 1;
    world.publish();
    let limit = Duration::from_secs(250);
    let summary = world
        .work_by(&world.process("w"), taking(100), |config| {
            config.grace(GRACE).ends_in(limit)
        })
        .unwrap();
    // At 200 s the third would not end before 250 s.
    assert_eq!((summary.ok, summary.given_back), (2, 0));
    assert_eq!((summary.why, summary.stopped), (WhyLeft::TimeLimit, None));
    assert_eq!(world.events("LimitNear"), 1);
    world.end_well(0);
    assert_eq!(runs(&world).len(), 5, "none was begun twice");
}

#[test]
fn what_was_learnt_elsewhere_counts_but_half_of_the_time_is_for_trying() {
    let mut world = World::new(Place::LocalPower);
    world.batch = 1;
    world.publish();
    let limit = Duration::from_secs(1000);
    let hour = [Duration::from_secs(3600)];
    let summary = world
        .work_by(&world.process("w"), taking(200), |config| {
            config.grace(GRACE).ends_in(limit).known_times(hour)
        })
        .unwrap();
    // Three begin in the first half; what they took is less than what 19 of 20 take as far as is known.
    assert_eq!((summary.ok, summary.why), (3, WhyLeft::TimeLimit));
    world.end_well(0);
}

#[test]
fn of_a_batch_what_is_done_stays_done_and_the_rest_is_given_back() {
    let mut world = World::new(Place::LocalPower);
    (world.tasks, world.batch) = (6, 6);
    world.publish();
    let limit = Duration::from_secs(250);
    let summary = world
        .work_by(&world.process("w"), taking(100), |config| {
            config.grace(GRACE).ends_in(limit)
        })
        .unwrap();
    assert_eq!(
        (summary.ok, summary.given_back, summary.failed),
        (0, 1, 0),
        "the batch is not whole"
    );
    assert_eq!(summary.why, WhyLeft::TimeLimit);
    assert_eq!(runs(&world), [(1, 0), (1, 1)]);
    world.end_well(0);
    assert_eq!(
        runs(&world)[2..],
        [(2, 2), (2, 3), (2, 4), (2, 5)],
        "the first two are taken over"
    );
}

#[test]
fn a_worker_without_time_takes_nothing_and_leaves_at_once() {
    let world = World::new(Place::LocalPower);
    world.publish();
    let summary = world
        .work_by(&world.process("w"), taking(1), |config| {
            config.grace(GRACE).ends_in(Duration::from_secs(4))
        })
        .unwrap();
    assert_eq!((summary.ok, summary.why), (0, WhyLeft::TimeLimit));
    assert!(runs(&world).is_empty());
    let _: TestMaster = world.finish();
}
