//! Whatever comes between two steps of a cleaner: workers that look for work, holders that publish late.

use std::sync::{Arc, Mutex};

use super::check::Expected;
use super::hand::Bench;
use super::world::{PLACES, Place, ShowLog, TestMaster, World};
use crate::fs::is_gone;
use crate::layout::Kind;
use crate::name::{Attempt, Stem};
use crate::store::{Claim, Claiming, Marker, Published, make_marker};
use crate::wait::lock;

/// Lets a master collect and clean, and something happen before one of its steps; `None` if it has no such step.
fn clean(world: &World, at: usize, act: impl FnOnce() + Send + 'static) -> Option<TestMaster> {
    let victim = world.process("m");
    let _log = ShowLog(victim.clone(), format!("before {at}"));
    victim.sim.before(at, act);
    let (inner, mut master) = (world.clone(), TestMaster::new(world.tasks));
    let work = move || drop(inner.work(&inner.process("w")).unwrap());
    world.lead(&victim, &mut master, work).unwrap();
    (at < victim.sim.steps()).then_some(master)
}

#[test]
fn worker_at_each_step_of_a_cleaner_has_nothing_to_do() {
    for place in PLACES {
        for at in 0.. {
            let world = World::new(place);
            world.publish();
            world.work(&world.process("w")).unwrap();
            let inner = world.clone();
            let look = move || drop(inner.work(&inner.process("late")).unwrap());
            let Some(master) = clean(&world, at, look) else {
                assert!(at > 40, "{at}");
                break;
            };
            world.check(&master, Expected { faults: 0, failed: 0 });
        }
    }
}

#[test]
fn audit_finds_nothing_wrong_whenever_a_master_cleans_beside_it() {
    for place in PLACES {
        for at in 0.. {
            let world = World::new(place);
            world.publish();
            world.work(&world.process("w")).unwrap();
            let auditor = world.process("auditor");
            let store = world.open(&auditor).unwrap();
            let (inner, before) = (world.clone(), auditor.sim.steps());
            let collect = move || {
                let mut master = TestMaster::new(inner.tasks);
                let (again, victim) = (inner.clone(), inner.process("m"));
                let work = move || drop(again.work(&again.process("w2")).unwrap());
                inner.lead(&victim, &mut master, work).unwrap();
            };
            auditor.sim.before(before + at, collect);
            let audit = store.audit().unwrap();
            assert!(audit.is_sound(), "{place:?}, step {at}: {audit:?}");
            assert_eq!(audit.tasks, world.tasks, "{place:?}, step {at}: {audit:?}");
            if before + at >= auditor.sim.steps() {
                assert!(at > 5, "{at}");
                break;
            }
        }
    }
}

#[test]
fn outcome_that_comes_late_at_each_step_of_a_cleaner_is_dropped() {
    for place in [Place::LocalPower, Place::Network, Place::NoLinks] {
        for has_lock_file in [true, false] {
            for at in 0.. {
                let world = World::new(place);
                world.publish();
                let late = Bench::new(&world, "a");
                let claim = late.finished(late.claim(0, 1));
                let marker = Marker::new("silent", "somebody");
                make_marker(&late.dir, "0000000", Attempt::FIRST, Kind::Lost, &marker).unwrap();
                if !has_lock_file {
                    late.dir.unlink("0000000.1.lock").unwrap();
                }
                world.work(&world.process("w")).unwrap();
                let answer = Arc::new(Mutex::new(None));
                let kept = Arc::clone(&answer);
                let publish = move || {
                    *lock(&kept) = Some(claim.publish(&late.store, &mut |_, _| false).unwrap());
                };
                let Some(master) = clean(&world, at, publish) else {
                    break;
                };
                let answer = lock(&answer).take();
                assert!(
                    matches!(answer, Some(Published::Twin | Published::Gone)),
                    "{place:?}, before {at}: {answer:?}"
                );
                world.check(&master, Expected { faults: 1, failed: 0 });
            }
        }
    }
}

/// Whoever listed before anything was done may claim attempt 1 once its lock file is cleaned: the input must be gone.
#[test]
fn claim_by_an_old_listing_at_each_step_of_a_cleaner_finds_no_input() {
    for place in PLACES {
        let mut won = 0;
        for at in 0.. {
            let world = World::new(place);
            world.publish();
            let late = Bench::new(&world, "a");
            world.work(&world.process("w")).unwrap();
            let found = Arc::new(Mutex::new(None));
            let kept = Arc::clone(&found);
            let claim = move || {
                let claiming = Claim::of_input(&late.process.me, &late.dir, Stem(0), Attempt::FIRST);
                let Claiming::Won(claim) = claiming.unwrap() else {
                    return;
                };
                let input = late.dir.read("0000000.in", 1 << 20, &mut Vec::new());
                *lock(&kept) = Some(input.is_err_and(|error| is_gone(&error)));
                claim.release("the shard was cleaned");
            };
            let Some(master) = clean(&world, at, claim) else {
                break;
            };
            let found = lock(&found).take();
            assert_ne!(found, Some(false), "{place:?}, before {at}: it would run again");
            won += u32::from(found.is_some());
            world.check(&master, Expected { faults: 0, failed: 0 });
        }
        assert!(won > 0, "{place:?}: nobody could claim");
    }
}
