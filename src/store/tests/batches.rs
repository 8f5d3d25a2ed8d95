//! Batches: what a lost attempt has done is not done again, and a deadly task falls alone.

use std::sync::Arc;
use std::time::Duration;

use super::check::Expected;
use super::world::{Act, PATIENT, Place, TestMaster, World, answer, input_of};
use crate::clock::sim;
use crate::outcome::FailureKind;
use crate::wait::lock;

/// One input file with six tasks.
fn world(place: Place) -> World {
    let mut world = World::new(place);
    (world.tasks, world.batch, world.idle) = (6, 6, PATIENT);
    world
}

/// A task that kills its worker, `kills` times; each task takes two seconds.
fn deadly(number: u64, kills: u32) -> Act {
    Arc::new(move |input, task, process| {
        sim::advance(Duration::from_secs(2));
        if input == input_of(number) && task.attempt() <= kills {
            process.sim.crash();
        }
        Ok(answer(input))
    })
}

/// Leads with workers that do `act` until the end, each in a process of its own.
fn lead(world: &World, act: Act) -> TestMaster {
    let (inner, mut master) = (world.clone(), TestMaster::new(world.tasks));
    let work = move || drop(inner.work_with(&inner.process("w"), inner.idle, Arc::clone(&act)));
    world.lead(&world.process("m"), &mut master, work).unwrap();
    master
}

fn runs(world: &World) -> Vec<(u32, u64)> {
    let notes = lock(&world.notes);
    notes.runs.iter().map(|run| (run.attempt, run.task)).collect()
}

#[test]
fn worker_killed_in_the_middle_has_the_rest_done_and_no_more() {
    for place in [Place::LocalPower, Place::Network, Place::NoLinks] {
        let world = world(place);
        let master = lead(&world, deadly(3, 1));
        let first = [(1, 0), (1, 1), (1, 2), (1, 3)];
        // The one at which it was lost comes last.
        let second = [(2, 4), (2, 5), (2, 3)];
        assert_eq!(runs(&world), [&first[..], &second[..]].concat());
        world.check(&master, Expected { faults: 1, failed: 0 });
    }
}

#[test]
fn task_that_kills_its_worker_three_times_fails_alone() {
    let world = world(Place::LocalPower);
    let master = lead(&world, deadly(2, 3));
    for got in &master.got {
        match &got.result {
            Ok(output) => assert_eq!(*output, answer(got.input)),
            Err(failure) => assert_eq!((got.task.number, failure.kind), (2, FailureKind::Lost)),
        }
    }
    assert_eq!(master.got.iter().filter(|got| got.result.is_ok()).count(), 5);
    for task in 0..6 {
        let count = runs(&world).iter().filter(|(_, it)| *it == task).count();
        assert_eq!(
            count,
            if task == 2 { 3 } else { 1 },
            "task {task}: {:?}",
            runs(&world)
        );
    }
    // A restarted master is told the same.
    let again = world.finish();
    let of = |master: &TestMaster| {
        let mut got = master.got.clone();
        got.sort_by_key(|got| got.task);
        got
    };
    assert_eq!(of(&again), of(&master));
}

#[test]
fn two_deadly_tasks_are_both_found() {
    let world = world(Place::LocalPower);
    let act: Act = Arc::new(|input, task, process| {
        sim::advance(Duration::from_secs(2));
        let kills = match input {
            it if it == input_of(1) => 1,
            it if it == input_of(4) => 2,
            _ => 0,
        };
        if task.attempt() <= kills {
            process.sim.crash();
        }
        Ok(answer(input))
    });
    let master = lead(&world, act);
    let first = [(1, 0), (1, 1)];
    let second = [(2, 2), (2, 3), (2, 4)];
    let third = [(3, 5), (3, 1), (3, 4)];
    assert_eq!(runs(&world), [&first[..], &second[..], &third[..]].concat());
    world.check(&master, Expected { faults: 2, failed: 0 });
}

#[test]
fn failing_task_does_not_stop_its_batch() {
    let world = world(Place::Network);
    let act: Act = Arc::new(
        |input, task, _| match input == input_of(1) && task.attempt() < 3 {
            true => Err("not yet".into()),
            false => Ok(answer(input)),
        },
    );
    let master = lead(&world, act);
    let first = (0..6).map(|task| (1, task));
    let expected: Vec<_> = first.chain([(2, 1), (3, 1)]).collect();
    assert_eq!(runs(&world), expected);
    world.check(&master, Expected { faults: 2, failed: 0 });
}
