//! Failures that are the last, cancelling, and new attempts for what has failed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::check::Expected;
use super::faults::each_fault;
use super::hand::Bench;
use super::world::{Act, PATIENT, PLACES, Place, Proc, ShowLog, TestMaster, World, answer, input_of};
use crate::fs::sim::Fault;
use crate::name::{RoundNumber, TaskId};
use crate::outcome::{Failure, FailureKind, TaskError};
use crate::store::{Cancel, Cancelled, Published, Pulse, Retry, Store};
use crate::wait::lock;

fn task(number: u64) -> TaskId {
    TaskId {
        round: RoundNumber::FIRST,
        number,
    }
}

fn store(world: &World) -> Store {
    world.open(&world.process("person")).unwrap()
}

/// Leads with workers that do `act` until the end.
fn lead(world: &World, act: Act) -> TestMaster {
    let (inner, mut master) = (world.clone(), TestMaster::new(world.tasks));
    let work = move || drop(inner.work_with(&inner.process("w"), inner.idle, Arc::clone(&act)));
    world.lead(&world.process("m"), &mut master, work).unwrap();
    master
}

fn failures(master: &TestMaster) -> Vec<(u64, Failure)> {
    let failed = master.got.iter().filter_map(|got| {
        let failure = got.result.as_ref().err()?;
        Some((got.task.number, failure.clone()))
    });
    let mut failed: Vec<_> = failed.collect();
    failed.sort_by_key(|(number, _)| *number);
    failed
}

fn runs(world: &World) -> Vec<(u32, u64)> {
    let notes = lock(&world.notes);
    notes.runs.iter().map(|run| (run.attempt, run.task)).collect()
}

/// One input file with six tasks.
fn batch_of_six() -> World {
    let mut world = World::new(Place::LocalPower);
    (world.tasks, world.batch, world.idle) = (6, 6, PATIENT);
    world
}

/// Fails for good at the inputs of these tasks, and for a while at those.
fn failing(last: &'static [u64], twice: &'static [u64]) -> Act {
    Arc::new(move |input, it, _| {
        let number = input - input_of(0);
        if last.contains(&number) {
            return Err(TaskError::new("never").detail("{}").last().into());
        }
        match twice.contains(&number) && it.attempt() < 3 {
            true => Err(TaskError::new("not yet").into()),
            false => Ok(answer(input)),
        }
    })
}

#[test]
fn last_failure_is_not_tried_again() {
    for place in PLACES {
        let mut world = World::new(place);
        (world.batch, world.idle) = (1, PATIENT);
        let master = lead(&world, failing(&[1], &[]));
        assert_eq!(runs(&world).len(), 5);
        let failed = failures(&master);
        assert_eq!((failed.len(), failed[0].0), (1, 1));
        assert_eq!(
            (&*failed[0].1.message, failed[0].1.kind),
            ("never", FailureKind::Error)
        );
        assert_eq!(failed[0].1.detail.as_deref(), Some("{}"));
        world.check(&master, Expected { faults: 0, failed: 1 });
    }
}

#[test]
fn last_failure_in_a_batch_leaves_the_others_their_attempts() {
    let world = batch_of_six();
    let master = lead(&world, failing(&[1, 3], &[4]));
    let first = (0..6).map(|task| (1, task));
    assert_eq!(runs(&world), first.chain([(2, 4), (3, 4)]).collect::<Vec<_>>());
    let failed = failures(&master);
    assert_eq!(
        failed.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        [1, 3]
    );
    assert!(
        failed
            .iter()
            .all(|(_, failure)| failure.detail.as_deref() == Some("{}"))
    );
    assert_eq!(
        failures(&world.finish()),
        failed,
        "a restarted master is told otherwise"
    );
    assert_eq!(runs(&world).len(), 8);
}

#[test]
fn batch_with_last_failures_only_has_one_attempt() {
    let world = batch_of_six();
    let master = lead(&world, failing(&[0, 5], &[]));
    assert_eq!((runs(&world).len(), failures(&master).len()), (6, 2));
}

#[test]
fn retry_runs_all_that_failed_in_a_batch_even_for_good() {
    let world = batch_of_six();
    drop(lead(&world, failing(&[1, 3], &[])));
    let retried = store(&world).retry(&Retry::Tasks(vec![task(3)]), None).unwrap();
    assert_eq!((retried.inputs, retried.tasks), (vec![task(0)], 6));
    let master = world.finish();
    assert_eq!(runs(&world)[6..], [(2, 1), (2, 3)]);
    world.check(&master, Expected { faults: 1, failed: 0 });
}

#[test]
fn cancelled_tasks_that_nobody_has_are_never_run() {
    for place in PLACES {
        let world = World::new(place);
        world.publish();
        let cancelled = store(&world).cancel(&Cancel::Open, "not needed").unwrap();
        assert_eq!((cancelled.free, cancelled.running, cancelled.ended), (5, 0, 0));
        let master = world.finish();
        assert_eq!(runs(&world), []);
        for (_, failure) in failures(&master) {
            assert_eq!(failure.to_string(), "cancelled: not needed");
        }
        assert_eq!(store(&world).status().unwrap().failed(), 5);
        let again = store(&world).cancel(&Cancel::Open, "not needed").unwrap();
        assert_eq!(again.free, 0);
        world.check(&master, Expected { faults: 0, failed: 5 });
    }
}

#[test]
fn cancelling_one_task_cancels_its_batch_and_no_other() {
    let world = World::new(Place::LocalPower);
    world.publish();
    let which = Cancel::Tasks(vec![task(1), task(99)]);
    let cancelled = store(&world).cancel(&which, "wrong").unwrap();
    let expected = Cancelled {
        free: 2,
        absent: 1,
        ..Cancelled::default()
    };
    assert_eq!(cancelled, expected);
    let master = world.finish();
    assert_eq!(failures(&master).len(), 2);
    // Cleaned, or failed: in both cases it has ended.
    let which = Cancel::Tasks(vec![task(1), task(2), task(4)]);
    assert_eq!(store(&world).cancel(&which, "wrong").unwrap().ended, 3);
    world.check(&master, Expected { faults: 0, failed: 2 });
}

#[test]
fn running_attempt_learns_that_it_is_cancelled_and_may_still_be_first() {
    let world = World::new(Place::Network);
    world.publish();
    let bench = Bench::new(&world, "w");
    let claim = bench.claim(0, 1);
    assert_eq!(claim.heartbeat().unwrap(), Pulse::Ours);
    let cancelled = store(&world)
        .cancel(&Cancel::Tasks(vec![task(0)]), "enough")
        .unwrap();
    assert_eq!((cancelled.free, cancelled.running), (0, 2));
    assert_eq!(claim.heartbeat().unwrap(), Pulse::Cancelled);
    let first = world.finish();
    let failed = failures(&first);
    assert_eq!(failed.len(), 2);
    assert!(
        failed.iter().all(|(_, it)| it.to_string() == "cancelled: enough"),
        "{failed:?}"
    );
    // The outcome that comes after all is a later master's.
    assert_eq!(bench.publish(claim), Published::First);
    let second = world.finish();
    assert_eq!(failures(&second), []);
}

#[test]
fn slow_attempt_and_its_twin_are_both_cancelled() {
    let world = World::new(Place::LocalPower);
    world.publish();
    let bench = Bench::new(&world, "w");
    let slow = bench.claim(0, 1);
    bench.dir.create("0000000.1.slow").unwrap();
    let twin = bench.claim_as(&world.process("x").me, 0, 2);
    store(&world)
        .cancel(&Cancel::Tasks(vec![task(0)]), "enough")
        .unwrap();
    assert_eq!(slow.heartbeat().unwrap(), Pulse::Cancelled);
    assert_eq!(twin.heartbeat().unwrap(), Pulse::Cancelled);
    assert_eq!(store(&world).status().unwrap().failed(), 2);
}

#[test]
fn cancelling_by_hand_needs_no_more_than_a_name() {
    let world = World::new(Place::LocalPower);
    world.publish();
    Bench::new(&world, "w").dir.create("0000000.1.final").unwrap();
    let failed = failures(&world.finish());
    assert_eq!(failed.len(), 2);
    assert!(
        failed.iter().all(|(_, it)| it.kind == FailureKind::Cancelled),
        "{failed:?}"
    );
}

/// Every task has an output or was cancelled, and what was cancelled stays so.
fn end_cancelled(world: &World) {
    let master = world.finish();
    let failed = failures(&master);
    for (number, failure) in &failed {
        assert_eq!(failure.kind, FailureKind::Cancelled, "{number}: {failure}");
    }
    let (faults, failed) = (1, failed.len() as u64);
    world.check(&master, Expected { faults, failed });
}

#[test]
fn cancelling_at_each_step_of_a_worker() {
    let mut counts = [0, 0];
    for place in PLACES {
        for at in 0.. {
            let world = World::new(place);
            world.publish();
            let worker = world.process("w");
            let _log = ShowLog(worker.clone(), format!("{place:?}, cancelled before {at}"));
            let (inner, cancelled) = (world.clone(), Arc::new(Mutex::new(None)));
            let kept = Arc::clone(&cancelled);
            worker.sim.before(at, move || {
                *lock(&kept) = Some(store(&inner).cancel(&Cancel::Open, "enough").unwrap());
            });
            world.work(&worker).unwrap();
            if at >= worker.sim.steps() {
                break;
            }
            let cancelled = lock(&cancelled).take().unwrap();
            counts[0] += cancelled.free;
            counts[1] += cancelled.running;
            // Only what ran already may still be run.
            assert!(
                runs(&world).len() as u64 + cancelled.free <= world.tasks,
                "{cancelled:?}"
            );
            end_cancelled(&world);
        }
    }
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}

#[test]
fn person_who_cancels_fails_at_each_step() {
    let fails = |place, at, fault| {
        let world = World::new(place);
        world.publish();
        let bench = Bench::new(&world, "w");
        let claim = bench.claim(0, 1);
        let victim = world.process("person");
        victim.sim.fail_at(at, fault);
        let _log = ShowLog(victim.clone(), format!("{place:?}, {fault:?} at {at}"));
        let first = world
            .open(&victim)
            .and_then(|store| store.cancel(&Cancel::Open, "enough"));
        // Once more does what is left.
        let second = store(&world).cancel(&Cancel::Open, "enough").unwrap();
        if let Ok(first) = first {
            assert_eq!(second.free, 0, "{first:?}");
        }
        claim.release("it stopped");
        end_cancelled(&world);
        victim.sim.steps()
    };
    for place in [Place::LocalPower, Place::NoLinks] {
        let steps = fails(place, usize::MAX, Fault::Crash);
        each_fault(steps, |at, fault| {
            fails(place, at, fault);
        });
    }
}

#[test]
fn restarted_master_waits_for_what_was_granted_again() {
    for place in PLACES {
        let mut world = World::new(place);
        world.idle = PATIENT;
        let first = lead(&world, failing(&[1], &[]));
        assert_eq!(failures(&first).len(), 1);
        let store = store(&world);
        let retried = store.retry(&Retry::Failed, Some("try harder")).unwrap();
        assert_eq!((&*retried.inputs, retried.tasks), (&[task(0)][..], 2));
        // Open again, so there is nothing more to grant.
        assert_eq!(store.retry(&Retry::Failed, None).unwrap().tasks, 0);
        assert_eq!(store.status().unwrap().failed(), 0);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let second = lead(
            &world,
            Arc::new(move |input, it, _| {
                lock(&ear).push((it.id().number, it.attempt(), it.note()));
                Ok(answer(input))
            }),
        );
        assert_eq!(*lock(&heard), [(1, 2, Some("try harder".to_owned()))]);
        assert_eq!(failures(&second), []);
        // All is in the done files, and nothing else is left.
        world.check(&second, Expected { faults: 1, failed: 0 });
    }
}

#[test]
fn retried_task_that_is_lost_is_not_said_to_be_cancelled() {
    let mut world = World::new(Place::LocalPower);
    world.idle = PATIENT;
    world.publish();
    store(&world)
        .cancel(&Cancel::Tasks(vec![task(4)]), "enough")
        .unwrap();
    store(&world).retry(&Retry::Failed, None).unwrap();
    let dies: Act = Arc::new(|input, _, process: &Proc| {
        if input == input_of(4) {
            process.sim.crash();
        }
        Ok(answer(input))
    });
    let failed = failures(&lead(&world, dies));
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].1.kind, FailureKind::Lost);
}

#[test]
fn master_that_has_handed_the_failure_is_not_harmed_by_a_retry() {
    for place in PLACES {
        let mut world = World::new(place);
        world.batch = 1;
        let (inner, mut first) = (world.clone(), TestMaster::new(world.tasks));
        let (mut calls, mut held) = (0, None);
        let work = move || {
            calls += 1;
            match calls {
                // Somebody is at task 0 all the time, so that the run does not end.
                1 => held = Some(Bench::new(&inner, "h").claim(0, 1)),
                2 => drop(inner.work_with(&inner.process("w"), Duration::ZERO, failing(&[1], &[]))),
                3 => {}
                4 => assert_eq!(store(&inner).retry(&Retry::Failed, None).unwrap().tasks, 1),
                5 => drop(inner.work(&inner.process("w")).unwrap()),
                6 => held.take().unwrap().release("it may go on"),
                _ => drop(inner.work(&inner.process("w")).unwrap()),
            }
        };
        let summary = world.lead(&world.process("m"), &mut first, work).unwrap();
        assert_eq!((summary.failed, summary.ok), (1, 4));
        let second = world.finish();
        assert_eq!(failures(&second), []);
        world.check(&second, Expected { faults: 1, failed: 0 });
    }
}

#[test]
fn person_who_grants_new_attempts_fails_at_each_step() {
    let fails = |note: Option<&str>, at, fault| {
        let world = World::new(Place::LocalPower);
        world.publish();
        store(&world).cancel(&Cancel::Open, "enough").unwrap();
        let victim = world.process("person");
        victim.sim.fail_at(at, fault);
        let _log = ShowLog(victim.clone(), format!("{note:?}, {fault:?} at {at}"));
        let _ = world
            .open(&victim)
            .and_then(|store| store.retry(&Retry::Failed, note));
        store(&world).retry(&Retry::Failed, note).unwrap();
        let master = world.finish();
        assert_eq!(failures(&master), []);
        let audit = store(&world).audit().unwrap();
        assert!(audit.is_complete() && audit.ok == world.tasks, "{audit:?}");
        victim.sim.steps()
    };
    for note in [None, Some("more time")] {
        let steps = fails(note, usize::MAX, Fault::Crash);
        each_fault(steps, |at, fault| {
            fails(note, at, fault);
        });
    }
}
