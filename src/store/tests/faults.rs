//! Every step of every operation fails once, in every way.

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::check::Expected;
use super::world::{Act, LEASE, PLACES, Place, Proc, ShowLog, TestMaster, World, answer, input_of};
use crate::error::ErrorKind;
use crate::fs::sim::Fault;
use crate::store::create::PublishBy;

const FAULTS: [Fault; 15] = [
    Fault::Before(Errno::IO),
    Fault::Before(Errno::NOSPC),
    Fault::Before(Errno::DQUOT),
    Fault::Before(Errno::STALE),
    Fault::Before(Errno::NOENT),
    Fault::Before(Errno::ACCESS),
    Fault::Before(Errno::INTR),
    Fault::Before(Errno::MFILE),
    Fault::After(Errno::IO),
    Fault::After(Errno::NOENT),
    Fault::After(Errno::STALE),
    Fault::After(Errno::EXIST),
    Fault::Crash,
    Fault::CrashMidway,
    Fault::CrashAfter,
];

/// Tries every fault at every step; tells of all that went wrong, not only of the first.
pub(super) fn each_fault(steps: usize, mut scenario: impl FnMut(usize, Fault)) {
    let mut wrong = Vec::new();
    for at in 0..steps {
        for fault in FAULTS {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scenario(at, fault)));
            if ended.is_err() {
                // What is set for the next wait may hold the time.
                drop(crate::clock::sim::set_meanwhile(None));
                wrong.push((at, fault));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these went wrong (each is told of above): {wrong:#?}"
    );
}

/// Runs a world in which the first worker has a fault; returns how many steps it made.
fn worker_fails(place: Place, host: &str, at: usize, fault: Fault) -> usize {
    let world = World::new(place);
    let victim = world.process(host);
    victim.sim.fail_at(at, fault);
    let _log = ShowLog(victim.clone(), format!("{place:?}, {fault:?} at {at}"));
    let mut master = TestMaster::new(world.tasks);
    let (inner, hurt) = (world.clone(), victim.clone());
    let mut is_first = true;
    let ended = world.lead(&world.process("m"), &mut master, move || {
        if std::mem::take(&mut is_first) {
            let _ = inner.work(&hurt);
        } else {
            inner.work(&inner.process("m")).unwrap();
        }
    });
    ended.unwrap();
    world.check(&master, Expected { faults: 1, failed: 0 });
    victim.sim.steps()
}

#[test]
fn worker_fails_at_each_step() {
    for place in PLACES {
        let steps = worker_fails(place, "m", usize::MAX, Fault::Crash);
        assert!(steps > 30, "{steps}");
        each_fault(steps, |at, fault| {
            worker_fails(place, "m", at, fault);
            worker_fails(place, "other", at, fault);
        });
    }
}

/// Runs a world in which the first master has a fault; returns how many steps it made.
fn master_fails(place: Place, at: usize, fault: Fault) -> usize {
    let world = World::new(place);
    let victim = world.process("m");
    victim.sim.fail_at(at, fault);
    let _log = ShowLog(victim.clone(), format!("{place:?}, {fault:?} at {at}"));
    let inner = world.clone();
    let mut first = TestMaster::new(world.tasks);
    let ended = world.lead(&victim, &mut first, move || {
        inner.work(&inner.process("w")).unwrap();
    });
    let second = world.end_well(0);
    for got in &first.got {
        assert!(second.got.contains(got), "{got:?} was collected otherwise before");
    }
    if ended.is_ok() {
        assert_eq!(first.got.len() as u64, world.tasks);
    }
    victim.sim.steps()
}

#[test]
fn master_fails_at_each_step() {
    for place in PLACES {
        let steps = master_fails(place, usize::MAX, Fault::Crash);
        assert!(steps > 60, "{steps}");
        each_fault(steps, |at, fault| {
            master_fails(place, at, fault);
        });
    }
}

/// Lets the maker of the store have a fault; returns how many steps it made.
fn create_fails(place: Place, at: usize, fault: Fault) -> usize {
    let world = World::new(place);
    let victim = world.process("m");
    victim.sim.fail_at(at, fault);
    let _log = ShowLog(victim.clone(), format!("{place:?}, {fault:?} at {at}"));
    let made = world.open(&victim).map(|store| store.id().to_owned());
    let steps = victim.sim.steps();
    world.end_well(0);
    let store = world.open(&world.process("m")).unwrap();
    match made {
        Ok(id) => assert_eq!(id, store.id(), "what was made is not what is there"),
        // One EIO was taken for a file system without links, and its user sent to look for another.
        Err(error) => assert_ne!(error.kind(), ErrorKind::Unsupported, "{error}"),
    }
    // No error must make everybody publish in the slower way.
    let by_link = store.file().publish == PublishBy::Link;
    assert_eq!(by_link, place != Place::NoLinks);
    steps
}

#[test]
fn store_is_made_although_its_maker_fails_at_each_step() {
    for place in PLACES {
        let steps = create_fails(place, usize::MAX, Fault::Crash);
        assert!(steps > 15, "{steps}");
        each_fault(steps, |at, fault| {
            create_fails(place, at, fault);
        });
    }
}

/// A worker has died, and the only other one, which gives it up, has a fault; returns how many steps it made.
fn giver_up_fails(place: Place, host: &str, at: usize, fault: Fault) -> usize {
    let world = World::with(place, |config| config.tail(0.0));
    world.publish();
    let dead = world.process("dead");
    let killed: Act = Arc::new(|_, _, process: &Proc| {
        process.sim.crash();
        Err("killed".into())
    });
    let _ = world.work_with(&dead, Duration::ZERO, killed);
    assert_eq!(world.events("Lost"), 0);
    let victim = world.process(host);
    victim.sim.fail_at(at, fault);
    let _log = ShowLog(victim.clone(), format!("{place:?}, {host}, {fault:?} at {at}"));
    let _ = world.work_with(&victim, LEASE * 3, Arc::new(|input, _, _| Ok(answer(input))));
    let steps = victim.sim.steps();
    world.end_well(2);
    assert!(world.events("Lost") > 0 || at < usize::MAX, "nobody gave it up");
    steps
}

#[test]
fn giving_up_fails_at_each_step() {
    for (place, host) in [
        (Place::LocalPower, "dead"),
        (Place::Network, "dead"),
        (Place::Network, "other"),
    ] {
        let steps = giver_up_fails(place, host, usize::MAX, Fault::Crash);
        each_fault(steps.min(150), |at, fault| {
            giver_up_fails(place, host, at, fault);
        });
    }
}

/// A task that always fails, and a fault at each step of the first worker at it.
fn failing_task_and(place: Place, at: usize, fault: Fault) -> usize {
    let mut world = World::new(place);
    (world.batch, world.tasks) = (1, 3);
    let victim = world.process("m");
    victim.sim.fail_at(at, fault);
    let _log = ShowLog(victim.clone(), format!("{place:?}, {fault:?} at {at}"));
    let act: Act = Arc::new(|input, _, _| match input == input_of(1) {
        true => Err("never".into()),
        false => Ok(answer(input)),
    });
    let mut first = Some(victim.clone());
    let inner = world.clone();
    let work = move || {
        let process = first.take().unwrap_or_else(|| inner.process("m"));
        let _ = inner.work_with(&process, Duration::from_secs(1), Arc::clone(&act));
    };
    let mut master = TestMaster::new(world.tasks);
    world.lead(&world.process("m"), &mut master, work).unwrap();
    let expected = Expected { faults: 3, failed: 1 };
    world.check(&master, expected);
    let failed = master
        .got
        .iter()
        .find_map(|got| got.result.as_ref().err())
        .unwrap();
    let reason_is_known = failed.message.contains("never") || failed.message.contains("without an outcome");
    assert!(reason_is_known, "{failed}");
    victim.sim.steps()
}

#[test]
fn worker_at_a_failing_task_fails_at_each_step() {
    for place in [Place::LocalPower, Place::Network] {
        let steps = failing_task_and(place, usize::MAX, Fault::Crash);
        each_fault(steps, |at, fault| {
            failing_task_and(place, at, fault);
        });
    }
}
