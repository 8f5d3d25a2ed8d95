//! Readers while a master archives and cleans at any step of theirs, and when any step of theirs fails.

use rustix::io::Errno;

use super::world::{PATIENT, PLACES, Place, Proc, ShowLog, World, answer, input_of};
use crate::fs::sim::Fault;
use crate::name::{RoundNumber, TaskId};
use crate::store::{AttemptState, Store, TaskState};

/// All inputs are published and have their outcomes, but none was collected.
fn worked_off(place: Place) -> World {
    let mut world = World::new(place);
    world.idle = PATIENT;
    world.publish();
    world.work(&world.process("w")).unwrap();
    world
}

/// What a reader does, and how many tasks it saw; `None` if it was told that something could not be read.
type Reader = fn(&Store) -> Option<u64>;

const READERS: [(&str, Reader); 4] = [
    ("outcomes", read_outcomes),
    ("states", read_states),
    ("status", |store| Some(store.status().ok()?.ok())),
    ("one by one", read_each),
];

fn read_outcomes(store: &Store) -> Option<u64> {
    let mut seen = Vec::new();
    let mut whole = true;
    for entry in store.outcomes::<u64, u64>().ok()? {
        let Ok(entry) = entry else {
            whole = false;
            continue;
        };
        let outcome = entry.into_outcome().expect("all have ended");
        assert_eq!(outcome.input, input_of(outcome.task.number));
        assert_eq!(outcome.result.unwrap(), answer(outcome.input));
        seen.push(outcome.task.number);
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    whole.then_some(seen.len() as u64)
}

fn read_states(store: &Store) -> Option<u64> {
    let spans: Result<Vec<_>, _> = store.states().ok()?.collect();
    let mut next = 0;
    for span in spans.ok()? {
        assert_eq!((span.first.number, span.state), (next, TaskState::Ok));
        next += span.tasks;
    }
    Some(next)
}

fn read_each(store: &Store) -> Option<u64> {
    for number in 0..5 {
        let task = TaskId {
            round: RoundNumber::FIRST,
            number,
        };
        let entry = store.task::<u64, u64>(task).ok()?;
        assert_eq!(entry.expect("it is there").state(), TaskState::Ok, "{number}");
        let attempts = store.attempts(task).ok()?;
        assert_eq!(attempts.len(), 1, "{number}: {attempts:?}");
        assert_eq!(attempts[0].state, AttemptState::Ok);
    }
    Some(5)
}

/// Lets a reader read in worlds that are prepared anew, `at` being 0, 1, 2 ... until its steps are used up.
fn at_each_step(
    place: Place,
    reader: Reader,
    what: &str,
    prepare: impl Fn(&World, &Proc, usize),
    told: bool,
) {
    for at in 0.. {
        let world = worked_off(place);
        let process = world.process("r");
        let store = world.open(&process).unwrap();
        let begun = process.sim.steps();
        let _log = ShowLog(process.clone(), format!("{place:?}, {what}, at {at}"));
        prepare(&world, &process, begun + at);
        match reader(&store) {
            None => assert!(told, "it could not be read"),
            Some(seen) => assert_eq!(seen, 5),
        }
        if begun + at >= process.sim.steps() {
            assert!(at > 5, "it made only {at} steps");
            break;
        }
    }
}

#[test]
fn whatever_a_master_archives_and_cleans_between_two_steps_each_task_is_seen_once() {
    for place in PLACES {
        for (what, reader) in READERS {
            let clean = |world: &World, process: &Proc, at: usize| {
                let inner = world.clone();
                process.sim.before(at, move || drop(inner.finish()));
            };
            at_each_step(place, reader, what, clean, false);
        }
    }
}

#[test]
fn a_step_that_fails_is_told_and_no_task_is_left_out_in_silence() {
    for errno in [Errno::IO, Errno::STALE, Errno::ACCESS] {
        for (what, reader) in READERS {
            let fail = |_: &World, process: &Proc, at: usize| process.sim.fail_at(at, Fault::Before(errno));
            at_each_step(Place::Network, reader, what, fail, true);
        }
    }
}
