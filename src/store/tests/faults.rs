//! Every step of every operation fails once, in every way.

use rustix::io::Errno;

use super::check::Expected;
use super::world::{PLACES, Place, ShowLog, TestMaster, World};
use crate::fs::sim::Fault;

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
                crate::clock::sim::set_meanwhile(None);
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
