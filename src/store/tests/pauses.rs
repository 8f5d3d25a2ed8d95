//! A paused store: workers stay, take nothing, and go on when the pause is over.

use std::time::Duration;

use super::check::Expected;
use super::faults::each_fault;
use super::world::{PLACES, Place, ShowLog, TestMaster, World};
use crate::clock::{Moment, sim};
use crate::fs::sim::Fault;
use crate::store::Store;
use crate::wait::lock;

fn store(world: &World) -> Store {
    world.open(&world.process("person")).unwrap()
}

fn runs(world: &World) -> usize {
    lock(&world.notes).runs.len()
}

#[test]
fn worker_of_a_paused_store_takes_nothing_and_stays_until_it_may_go_on() {
    for place in PLACES {
        // It would leave at its first look that finds nothing.
        let world = World::new(place);
        world.publish();
        store(&world).pause("the licence is used up").unwrap();
        assert_eq!(
            store(&world).status().unwrap().paused.as_deref(),
            Some("the licence is used up")
        );
        let (inner, mut waits) = (world.clone(), 0);
        let meanwhile = move || {
            waits += 1;
            assert_eq!(runs(&inner), 0, "it works while the store is paused");
            if waits == 50 {
                assert!(store(&inner).resume().unwrap());
            }
        };
        let before = Moment::now();
        drop(sim::set_meanwhile(Some(Box::new(meanwhile))));
        let summary = world.work(&world.process("w")).unwrap();
        drop(sim::set_meanwhile(None));
        assert_eq!((summary.ok, summary.stopped), (5, None));
        assert!(Moment::now().since(before) > Duration::from_secs(50));
        let told = ["PauseBegan", "PauseEnded", "Idle"].map(|word| world.events(word));
        assert_eq!(told, [1, 1, 1]);
        assert!(!store(&world).resume().unwrap());
        world.end_well(0);
    }
}

#[test]
fn pause_by_hand_counts_and_a_stop_overrules_it() {
    let world = World::new(Place::LocalPower);
    world.publish();
    let person = world.process("person");
    let store = world.open(&person).unwrap();
    person.sim.root().create("pause").unwrap();
    assert_eq!(store.status().unwrap().paused.as_deref(), Some("made by hand"));
    store.stop(crate::wait::How::Finish, "enough").unwrap();
    let summary = world.work(&world.process("w")).unwrap();
    assert_eq!((summary.ok, summary.stopped), (0, Some(crate::wait::How::Finish)));
    store.resume().unwrap();
    world.end_well(0);
}

#[test]
fn master_of_a_paused_store_goes_on() {
    let world = World::new(Place::LocalPower);
    let (inner, mut calls) = (world.clone(), 0);
    let mut master = TestMaster::new(world.tasks);
    let work = move || {
        calls += 1;
        match calls {
            1 => store(&inner).pause("wait").unwrap(),
            2 => assert_eq!(store(&inner).status().unwrap().waiting(), inner.tasks),
            3 => drop(store(&inner).resume().unwrap()),
            _ => drop(inner.work(&inner.process("w")).unwrap()),
        }
    };
    world.lead(&world.process("m"), &mut master, work).unwrap();
    world.check(&master, Expected { faults: 0, failed: 0 });
}

#[test]
fn person_who_pauses_and_resumes_fails_at_each_step() {
    let fails = |at, fault| {
        let world = World::new(Place::LocalPower);
        world.publish();
        let victim = world.process("person");
        victim.sim.fail_at(at, fault);
        let _log = ShowLog(victim.clone(), format!("{fault:?} at {at}"));
        let _ = world.open(&victim).and_then(|store| {
            store.pause("wait")?;
            store.resume()
        });
        store(&world).resume().unwrap();
        world.end_well(0);
        victim.sim.steps()
    };
    let steps = fails(usize::MAX, Fault::Crash);
    each_fault(steps, |at, fault| {
        fails(at, fault);
    });
}

#[test]
fn idle_is_told_once_until_there_is_work_again() {
    let mut world = World::new(Place::LocalPower);
    world.idle = Duration::from_secs(30);
    world.publish();
    let (inner, mut waits) = (world.clone(), 0);
    let meanwhile = move || {
        waits += 1;
        if waits == 3 {
            // An outcome that was put aside is work again.
            let store = store(&inner);
            let round = store.round_dir(crate::name::RoundNumber::FIRST).unwrap();
            let dir = store.shard_dir(&round, crate::name::ShardNumber(0)).unwrap();
            dir.rename("0000000.out", "0000000.1.damaged").unwrap();
        }
    };
    world.witness.close_eyes();
    drop(sim::set_meanwhile(Some(Box::new(meanwhile))));
    world.work(&world.process("w")).unwrap();
    drop(sim::set_meanwhile(None));
    assert_eq!((world.events("Accepted"), world.events("Idle")), (4, 2));
}
