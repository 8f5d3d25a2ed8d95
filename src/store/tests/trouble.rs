//! Trouble that lasts: it is waited out, and finished work is kept.

use std::time::Duration;

use super::world::{Place, ShowLog, TestMaster, World};
use crate::clock::sim;
use crate::wait::lock;

/// The disk is full from some step of a worker on, until the worker has waited a while.
#[test]
fn full_disk_is_waited_out_by_a_worker() {
    let mut parked = 0;
    for place in [
        Place::LocalPower,
        Place::LocalProcess,
        Place::Network,
        Place::NoLinks,
    ] {
        for at in 0.. {
            let mut world = World::new(place);
            world.idle = Duration::from_secs(120);
            world.publish();
            let (worker, disk) = (world.process("w"), world.disk.clone());
            let _log = ShowLog(worker.clone(), format!("{place:?}, full before {at}"));
            worker.sim.before(at, move || disk.set_space(Some(0)));
            let (disk, mut waits) = (world.disk.clone(), 0);
            let room = move || {
                waits += 1;
                if waits > 3 {
                    disk.set_space(None);
                }
            };
            drop(sim::set_meanwhile(Some(Box::new(room))));
            let ended = world.work(&worker);
            drop(sim::set_meanwhile(None));
            if at >= worker.sim.steps() {
                break;
            }
            world.disk.set_space(None);
            // It was up to this worker alone.
            if at > 12 {
                assert!(ended.is_ok(), "{ended:?}");
            }
            world.end_well(0);
            let notes = lock(&world.notes);
            let first = worker.me.id.as_str();
            assert!(
                at <= 12 || notes.runs.iter().all(|run| run.worker == first),
                "others had to help"
            );
            drop(notes);
            parked += world.events("Parked");
        }
    }
    // Each trouble is told once, however long it lasts.
    assert!(parked > 20, "{parked}");
}

#[test]
fn full_disk_is_waited_out_by_a_master() {
    let mut completed = 0;
    for place in [Place::LocalPower, Place::Network] {
        for at in 0.. {
            let world = World::new(place);
            let (victim, disk) = (world.process("m"), world.disk.clone());
            let _log = ShowLog(victim.clone(), format!("{place:?}, full before {at}"));
            victim.sim.before(at, move || disk.set_space(Some(0)));
            let (inner, mut waits) = (world.clone(), 0);
            let mut master = TestMaster::new(world.tasks);
            let ended = world.lead(&victim, &mut master, move || {
                waits += 1;
                if waits > 3 {
                    inner.disk.set_space(None);
                }
                drop(inner.work(&inner.process("w")));
            });
            if at >= victim.sim.steps() {
                break;
            }
            world.disk.set_space(None);
            completed += usize::from(ended.is_ok());
            let second = world.end_well(0);
            assert!(master.got.iter().all(|got| second.got.contains(got)));
            if ended.is_ok() {
                assert_eq!(master.got.len(), 5);
            }
        }
    }
    assert!(completed > 60, "{completed}");
}
