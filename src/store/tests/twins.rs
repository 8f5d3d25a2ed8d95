//! Whole other processes at each step of a first one: claimers, those who give up, late holders, masters.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::check::Expected;
use super::world::{Act, LEASE, Place, Proc, ShowLog, TestMaster, World, answer};
use crate::error::ErrorKind;
use crate::fs::sim::FlockMode;
use crate::name::{RoundNumber, TaskId};
use crate::store::Reclaim;
use crate::wait::lock;

/// Lets `others` act before step `at` of a worker; returns the worker, or `None` if it has no such step.
fn worker_with_others(
    world: &World,
    host: &str,
    at: usize,
    others: impl FnOnce(World) + Send + 'static,
) -> Option<ShowLog> {
    let worker = world.process(host);
    let shown = ShowLog(worker.clone(), format!("others before {at}"));
    let inner = world.clone();
    worker.sim.before(at, move || others(inner));
    let _ = world.work(&worker);
    (at < worker.sim.steps()).then_some(shown)
}

/// A person gives up every attempt that runs.
fn reclaim_all(world: &World) {
    let tasks = (0..world.tasks).map(|number| TaskId {
        round: RoundNumber::FIRST,
        number,
    });
    let store = world.open(&world.process("person")).unwrap();
    store.reclaim(&Reclaim::Tasks(tasks.collect())).unwrap();
}

#[test]
fn two_claimers() {
    for place in [Place::LocalPower, Place::Network, Place::NoLinks] {
        for at in 0.. {
            let world = World::new(place);
            world.publish();
            let other = |world: World| drop(world.work(&world.process("b")).unwrap());
            let Some(_log) = worker_with_others(&world, "a", at, other) else {
                assert!(at > 30, "{at}");
                break;
            };
            // Nothing went wrong, so nothing is run twice.
            world.end_well(0);
        }
    }
}

#[test]
fn give_up_while_the_holder_publishes() {
    for place in [Place::LocalPower, Place::Network, Place::NoLinks] {
        for at in 0.. {
            let world = World::new(place);
            world.publish();
            let others = |world: World| {
                reclaim_all(&world);
                world.work(&world.process("b")).unwrap();
            };
            let Some(_log) = worker_with_others(&world, "a", at, others) else {
                break;
            };
            world.end_well(1);
        }
    }
}

#[test]
fn holder_given_up_without_a_twin_is_accepted() {
    for at in 0.. {
        let world = World::new(Place::Network);
        world.publish();
        let Some(_log) = worker_with_others(&world, "a", at, |world| reclaim_all(&world)) else {
            break;
        };
        world.end_well(0);
    }
}

#[test]
fn holder_back_after_the_lease_finds_everything_done_and_cleaned() {
    for (place, flock) in [
        (Place::LocalPower, FlockMode::Works),
        (Place::Network, FlockMode::NodeLocal),
        (Place::Network, FlockMode::Unsupported),
        (Place::NoLinks, FlockMode::Unsupported),
    ] {
        for at in 0.. {
            let world = World::new(place);
            world.disk.set_flock(flock);
            world.publish();
            let master = Arc::new(Mutex::new(None));
            let kept = Arc::clone(&master);
            let rest = move |world: World| *lock(&kept) = Some(world.finish());
            let Some(_log) = worker_with_others(&world, "a", at, rest) else {
                break;
            };
            let master = lock(&master).take().unwrap();
            world.check(&master, Expected { faults: 1, failed: 0 });
        }
    }
}

#[test]
fn two_give_up_at_once() {
    let idle = LEASE * 3;
    let act: Act = Arc::new(|input, _, _| Ok(answer(input)));
    for (place, host) in [(Place::LocalPower, "dead"), (Place::Network, "other")] {
        for at in 0.. {
            let world = World::with(place, |config| config.tail(0.0));
            world.publish();
            let killed: Act = Arc::new(|_, _, process: &Proc| {
                process.sim.crash();
                Err("killed".into())
            });
            let _ = world.work_with(&world.process("dead"), Duration::ZERO, killed);
            let (first, inner, same) = (world.process(host), world.clone(), Arc::clone(&act));
            let _log = ShowLog(first.clone(), format!("before {at}"));
            first.sim.before(at, move || {
                inner.work_with(&inner.process("third"), idle, same).unwrap();
            });
            world.work_with(&first, idle, Arc::clone(&act)).unwrap();
            if at >= first.sim.steps() {
                break;
            }
            let lost = lock(&world.notes).events.clone();
            let lost = lost.iter().filter_map(|event| event.split_once("Lost { "));
            let mut attempts: Vec<_> = lost.filter_map(|(_, what)| what.split_once(", worker")).collect();
            assert!(!attempts.is_empty());
            attempts.sort_unstable();
            assert!(
                attempts.windows(2).all(|two| two[0].0 != two[1].0),
                "given up twice: {attempts:?}"
            );
            world.end_well(2);
        }
    }
}

#[test]
fn second_master_at_each_step_of_the_first() {
    for place in [Place::LocalPower, Place::Network] {
        for at in 0.. {
            let world = World::new(place);
            let (first, inner) = (world.process("m"), world.clone());
            let _log = ShowLog(first.clone(), format!("{place:?}, a second master before {at}"));
            first.sim.before(at, move || {
                let (workers, mut master) = (inner.clone(), TestMaster::new(inner.tasks));
                let ended = inner.lead(&inner.process("n"), &mut master, move || {
                    workers.work(&workers.process("w")).unwrap();
                });
                match ended {
                    Ok(_) => assert_eq!(master.got.len() as u64, inner.tasks),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::MasterBusy, "{error}"),
                }
            });
            let (workers, mut master) = (world.clone(), TestMaster::new(world.tasks));
            let ended = world.lead(&first, &mut master, move || {
                workers.work(&workers.process("w")).unwrap();
            });
            if at >= first.sim.steps() {
                assert!(at > 60, "{at}");
                break;
            }
            match ended {
                Ok(_) => world.check(&master, Expected { faults: 0, failed: 0 }),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::MasterBusy, "{error}");
                    world.end_well(0);
                }
            }
        }
    }
}

/// The first master is stopped for longer than its lease, where locks do not reach the second.
#[test]
fn deposed_master_at_each_step() {
    let mut deposed = 0;
    for place in [Place::LocalPower, Place::Network] {
        for at in 0.. {
            let world = World::new(place);
            world.disk.set_flock(FlockMode::NodeLocal);
            let (first, inner) = (world.process("m"), world.clone());
            let _log = ShowLog(first.clone(), format!("{place:?}, deposed before {at}"));
            let second = Arc::new(Mutex::new(None));
            let kept = Arc::clone(&second);
            first.sim.before(at, move || *lock(&kept) = Some(inner.finish()));
            let (workers, mut master) = (world.clone(), TestMaster::new(world.tasks));
            let ended = world.lead(&first, &mut master, move || {
                workers.work(&workers.process("w")).unwrap();
            });
            if at >= first.sim.steps() {
                break;
            }
            if let Err(error) = ended {
                // What it was about to read may have been cleaned already.
                let is_gone = error.io_error().is_some_and(crate::fs::is_gone);
                assert!(error.kind() == ErrorKind::MasterBusy || is_gone, "{error}");
                deposed += 1;
            }
            let second = lock(&second).take().unwrap();
            for got in &master.got {
                assert!(second.got.contains(got), "{got:?} was collected otherwise");
            }
            world.check(&second, Expected { faults: 0, failed: 0 });
        }
    }
    assert!(deposed > 20, "only {deposed} masters were deposed");
}
