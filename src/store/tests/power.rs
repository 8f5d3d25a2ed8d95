//! Power cuts at each step.

use std::sync::{Arc, Mutex};

use super::check::Expected;
use super::world::{PATIENT, Place, ShowLog, TestMaster, World, answer};
use crate::fs::sim::{Fault, SimDisk, SimProcess};
use crate::wait::lock;

/// Cuts the power before a step of a process, which is killed: the disk as it was synced, and with all names.
fn cut_at(world: &World, process: &SimProcess, at: usize) -> Arc<Mutex<Vec<SimDisk>>> {
    let cuts = Arc::new(Mutex::new(Vec::new()));
    let (disk, kept) = (world.disk.clone(), Arc::clone(&cuts));
    process.before(at, move || {
        let synced = disk.power_cut();
        disk.commit_names();
        lock(&kept).extend([synced, disk.power_cut()]);
    });
    process.fail_at(at, Fault::Crash);
    cuts
}

#[test]
fn what_a_worker_was_told_to_be_accepted_survives() {
    for place in [Place::LocalPower, Place::Network, Place::NoLinks] {
        for at in 0.. {
            let world = World::new(place);
            world.publish();
            let worker = world.process("w");
            let _log = ShowLog(worker.clone(), format!("{place:?}, cut before {at}"));
            let cuts = cut_at(&world, &worker.sim, at);
            let _ = world.work(&worker);
            if lock(&cuts).is_empty() {
                assert!(at > 30, "{at}");
                break;
            }
            let (runs, verdicts) = {
                let notes = lock(&world.notes);
                (notes.runs.len(), notes.verdicts.len())
            };
            for disk in lock(&cuts).drain(..) {
                // Whoever was told "accepted" before the cut must find its outcome collected: `check_verdicts`.
                let after = world.on_disk(disk);
                after.end_well(1);
                let mut notes = lock(&world.notes);
                notes.runs.truncate(runs);
                notes.verdicts.truncate(verdicts);
            }
        }
    }
}

#[test]
fn what_a_master_has_collected_survives() {
    for place in [Place::LocalPower, Place::Network] {
        for at in 0.. {
            let world = World::new(place);
            let victim = world.process("m");
            let _log = ShowLog(victim.clone(), format!("{place:?}, cut before {at}"));
            let cuts = cut_at(&world, &victim.sim, at);
            let (inner, mut master) = (world.clone(), TestMaster::new(world.tasks));
            let _ = world.lead(&victim, &mut master, move || {
                inner.work(&inner.process("w")).unwrap();
            });
            if lock(&cuts).is_empty() {
                assert!(at > 60, "{at}");
                break;
            }
            let (runs, verdicts) = {
                let notes = lock(&world.notes);
                (notes.runs.len(), notes.verdicts.len())
            };
            for disk in lock(&cuts).drain(..) {
                let after = world.on_disk(disk);
                let second = after.end_well(0);
                for got in &master.got {
                    assert!(second.got.contains(got), "{got:?} was collected before the cut");
                }
                let mut notes = lock(&world.notes);
                notes.runs.truncate(runs);
                notes.verdicts.truncate(verdicts);
            }
        }
    }
}

/// With durability `process` anything may be missing after a cut, but nothing may be silently wrong.
#[test]
fn without_durability_nothing_is_silently_wrong() {
    let (mut completed, mut refused, mut damaged) = (0, 0, 0);
    for at in 0.. {
        let mut world = World::new(Place::LocalProcess);
        world.idle = PATIENT;
        let victim = world.process("m");
        let _log = ShowLog(victim.clone(), format!("cut before {at}"));
        let cuts = cut_at(&world, &victim.sim, at);
        let (inner, mut master) = (world.clone(), TestMaster::new(world.tasks));
        let _ = world.lead(&victim, &mut master, move || {
            inner.work(&inner.process("w")).unwrap();
        });
        if lock(&cuts).is_empty() {
            break;
        }
        for disk in lock(&cuts).drain(..) {
            let after = world.on_disk(disk);
            after.witness.close_eyes();
            let (inner, mut second) = (after.clone(), TestMaster::new(after.tasks));
            let ended = after.lead(&after.process("m"), &mut second, move || {
                drop(inner.work(&inner.process("w")));
            });
            for got in &second.got {
                match &got.result {
                    Ok(output) => assert_eq!(*output, answer(got.input)),
                    Err(failure) => assert!(failure.to_string().contains("damaged"), "{failure}"),
                }
            }
            match ended {
                Ok(_) => {
                    let tasks: std::collections::BTreeSet<_> =
                        second.got.iter().map(|got| got.task.number).collect();
                    assert_eq!((tasks.len(), second.got.len()), (5, 5), "not each task once");
                    completed += 1;
                }
                Err(error) => {
                    assert!(
                        error.to_string().contains("damaged") || error.path().is_some(),
                        "{error}"
                    );
                    refused += 1;
                }
            }
        }
        damaged += world.events("Damaged {");
    }
    assert!(completed > 20, "completed {completed}, refused {refused}");
    assert!(damaged > 0, "no outcome was damaged, so that was not tried");
}

/// Unsynced outcomes are found, put aside and done again.
#[test]
fn torn_outcomes_after_a_power_cut_are_done_again() {
    let mut world = World::new(Place::LocalProcess);
    world.idle = PATIENT;
    world.publish();
    // The inputs are old enough to be on the disk.
    let store = world.open(&world.process("sync")).unwrap();
    store.root().sync_all().unwrap();
    world.work(&world.process("w")).unwrap();
    world.disk.commit_names();
    let after = world.on_disk(world.disk.power_cut());
    lock(&after.notes).verdicts.clear();
    let empty = after.disk.paths();
    let empty = empty
        .iter()
        .filter(|(path, length)| path.ends_with(".out") && *length == 0);
    assert_eq!(empty.count(), 3);
    after.witness.close_eyes();
    let master = after.finish();
    assert_eq!(after.events("Damaged {"), 3);
    after.check(&master, Expected { faults: 1, failed: 0 });
}
