//! What network file systems do beside losing replies: memory of names that were missing, hidden names of removed
//! files, ESTALE, locks that break.

use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::check::Expected;
use super::hand::Bench;
use super::world::{Act, PATIENT, Place, ShowLog, TestMaster, World, answer, input_of};
use crate::fs::sim::{Fault, SimProcess};
use crate::name::Attempt;
use crate::store::{Marker, Published, Pulse, make_marker};
use crate::wait::{How, lock};

const ALWAYS: usize = usize::MAX;

fn published() -> World {
    let mut world = World::new(Place::Network);
    // Trouble at a claim is endured for so long.
    world.idle = PATIENT;
    world.publish();
    world
}

/// A name that was asked for in vain stays missing; only listings tell. Everything is done by another before each step.
#[test]
fn names_that_stay_invisible_when_asked_for_cost_no_result() {
    for finishes in [false, true] {
        for at in 0.. {
            let world = published();
            world.disk.remember_missing(true);
            let (worker, inner) = (world.process("a"), world.clone());
            let _log = ShowLog(worker.clone(), format!("finishes {finishes}, before {at}"));
            let master = Arc::new(Mutex::new(None));
            let kept = Arc::clone(&master);
            worker.sim.before(at, move || {
                if finishes {
                    *lock(&kept) = Some(inner.finish());
                } else {
                    inner.work(&inner.process("b")).unwrap();
                }
            });
            let _ = world.work(&worker);
            if at >= worker.sim.steps() {
                assert!(at > 30, "{at}");
                break;
            }
            match lock(&master).take() {
                Some(master) => world.check(&master, Expected { faults: 1, failed: 0 }),
                None => drop(world.end_well(0)),
            }
        }
    }
}

/// The heartbeat has asked for the outcome in vain, so asked again by name it would still not be there.
#[test]
fn whose_outcome_is_there_is_asked_after_a_fresh_listing() {
    for twin_is_first in [true, false] {
        let world = published();
        world.disk.remember_missing(true);
        let (holder, other) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
        let claim = holder.claim(0, 1);
        assert_eq!(claim.heartbeat().unwrap(), Pulse::Ours);
        let marker = Marker::new("silent", &other.process.me.id);
        make_marker(
            &other.dir,
            "0000000",
            Attempt::FIRST,
            crate::layout::Kind::Lost,
            &marker,
        )
        .unwrap();
        if twin_is_first {
            assert_eq!(other.publish(other.claim(0, 2)), Published::First);
            assert_eq!(holder.publish(claim), Published::Twin);
        } else {
            holder
                .process
                .sim
                .fail_each("link", 1, Fault::After(Errno::EXIST));
            assert_eq!(holder.publish(claim), Published::First);
        }
        world.end_well(1);
    }
}

/// Stop and pause are found by a listing, although they were asked for before they were made.
#[test]
fn stop_file_is_seen_although_it_was_missing_before() {
    let world = published();
    world.disk.remember_missing(true);
    let (worker, person) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    for name in ["stop", "pause"] {
        assert!(!worker.store.root().exists(name).unwrap());
    }
    assert_eq!(worker.store.stop_file().unwrap(), None);
    person.store.pause("wait").unwrap();
    person.store.stop(How::Finish, "enough").unwrap();
    let signs = worker.store.signs().unwrap();
    assert_eq!(signs.stop.map(|stop| stop.how), Some(How::Finish));
    assert_eq!(signs.paused.as_deref(), Some("wait"));
    person.store.withdraw_stop().unwrap();
    person.store.resume().unwrap();
    world.end_well(0);
}

/// The cleaner's host has the late holder's lock file open: removed, it has a hidden name, and can still be linked.
#[test]
fn late_holder_on_the_host_of_the_cleaner() {
    let mut hidden = 0;
    for at in 0.. {
        let world = published();
        world.disk.set_remote_removal(true);
        let (worker, inner) = (world.process("last"), world.clone());
        let _log = ShowLog(worker.clone(), format!("all is done before {at}"));
        let master = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&master);
        worker.sim.before(at, move || *lock(&kept) = Some(inner.finish()));
        let _ = world.work(&worker);
        if at >= worker.sim.steps() {
            break;
        }
        hidden += usize::from(world.disk.paths().iter().any(|(path, _)| path.contains("/.nfs")));
        let master = lock(&master).take().unwrap();
        world.check(&master, Expected { faults: 1, failed: 0 });
    }
    assert_eq!(hidden, 0, "the files are closed by now");
}

/// All lock files are removed before each step of a worker, by its own host (hidden names) or another's (ESTALE).
#[test]
fn lock_removed_on_nfs() {
    for (others_begin, hand) in [(false, "a"), (false, "b"), (true, "a"), (true, "b")] {
        for at in 0.. {
            let world = published();
            world.disk.set_remote_removal(true);
            let (worker, inner) = (world.process("a"), world.clone());
            let _log = ShowLog(worker.clone(), format!("{others_begin}, {hand}, before {at}"));
            worker.sim.before(at, move || {
                let hand = inner.process(hand);
                for (path, _) in inner.disk.paths() {
                    if path.ends_with(".lock") && path.starts_with("rounds") {
                        inner.unlink(&hand, &path);
                    }
                }
                if others_begin {
                    inner.work(&inner.process("b")).unwrap();
                }
            });
            world.work(&worker).unwrap();
            if at >= worker.sim.steps() {
                break;
            }
            world.end_well(2);
        }
    }
}

/// The locks of a worker break before each of its steps: no byte goes through those files any more.
#[test]
fn broken_locks_cost_no_finished_work() {
    for at in 0.. {
        let world = published();
        let (worker, disk) = (world.process("a"), world.disk.clone());
        let _log = ShowLog(worker.clone(), format!("broken before {at}"));
        let loser = worker.sim.clone();
        worker.sim.before(at, move || disk.break_locks(&loser));
        let summary = world.work(&worker).unwrap();
        if at >= worker.sim.steps() {
            break;
        }
        // Nobody else had to do anything.
        assert_eq!(summary.ok, 5);
        world.end_well(0);
    }
}

/// The task fails, and why cannot be written down: the attempt ends all the same, and its worker goes on.
#[test]
fn failed_attempt_with_a_broken_lock_ends() {
    for fails_for_good in [false, true] {
        let world = published();
        let disk = world.disk.clone();
        let act: Act = Arc::new(move |input, task, process| {
            if input == input_of(0) && task.attempt() == 1 {
                disk.break_locks(&process.sim);
                return Err(match fails_for_good {
                    true => crate::TaskError::new("never").last().into(),
                    false => "not yet".into(),
                });
            }
            Ok(answer(input))
        });
        let worker = world.process("a");
        let _log = ShowLog(worker.clone(), "its lock breaks".into());
        // The lock of its own file is refused, so each attempt has one, which can break.
        worker.sim.fail_each("try_lock", 1, Fault::Before(Errno::NOLCK));
        let summary = world.work_with(&worker, world.idle, act).unwrap();
        assert_eq!(summary.failed, 1);
        // A batch of two: the other task of it was run with the first attempt, or is failed with it.
        let failed = if fails_for_good { 2 } else { 0 };
        let master = world.finish();
        let errors = master.got.iter().filter(|got| got.result.is_err()).count();
        assert_eq!(errors as u64, failed);
    }
}

/// No reply to a change of a name ever comes, but what the repeated request is answered with.
#[test]
fn every_reply_is_lost() {
    fn deaf(process: &SimProcess) {
        process.fail_each("link", ALWAYS, Fault::After(Errno::EXIST));
        for verb in ["unlink", "rename", "rename_new", "remove_dir"] {
            process.fail_each(verb, ALWAYS, Fault::After(Errno::NOENT));
        }
    }
    for place in [Place::LocalPower, Place::Network] {
        let world = World::new(place);
        // Making the store tries out links and renames: see `faults`.
        world.open(&world.process("maker")).unwrap();
        let (master, inner) = (world.process("m"), world.clone());
        let _log = ShowLog(master.clone(), format!("{place:?}"));
        deaf(&master.sim);
        let mut collected = TestMaster::new(world.tasks);
        let ended = world.lead(&master, &mut collected, move || {
            let worker = inner.process("w");
            deaf(&worker.sim);
            inner.work(&worker).unwrap();
        });
        ended.unwrap();
        world.check(&collected, Expected { faults: 0, failed: 0 });
    }
}
