//! Trouble that passes, at steps after which something is there to be remembered or to be told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::io::Errno;

use super::check::Expected;
use super::hand::Bench;
use super::world::{Act, PATIENT, PLACES, Place, TestMaster, World, answer};
use crate::fs::sim::Fault;
use crate::layout::Kind;
use crate::outcome::{Failure, FailureKind};
use crate::record::{self, RecordKind};
use crate::store::{Claim, Published, Reclaim, push_failure};
use crate::wait::lock;

const LOCK: &str = "rounds/000000/0000000/0000000.1.lock";

fn published(place: Place) -> World {
    let world = World::new(place);
    world.publish();
    world
}

fn steps_to_publish(place: Place) -> usize {
    let world = published(place);
    let holder = Bench::new(&world, "a");
    let claim = holder.claim(0, 1);
    let begun = holder.process.sim.steps();
    assert_eq!(holder.publish(claim), Published::First);
    holder.process.sim.steps() - begun
}

/// The directory could not be synced after the outcome had got its name. While the worker waited, a master collected it
/// and cleaned the shard; the worker then took its own outcome for another's, and dropped it from its counts.
#[test]
fn an_outcome_whose_name_cannot_be_synced_at_once_is_accepted_all_the_same() {
    for place in [Place::LocalPower, Place::Network, Place::NoLinks] {
        for errno in [Errno::NOSPC, Errno::ROFS, Errno::IO] {
            let steps = steps_to_publish(place);
            let world = published(place);
            let holder = Bench::new(&world, "a");
            let claim = holder.claim(0, 1);
            let last = holder.process.sim.steps() + steps - 1;
            holder.process.sim.fail_at(last, Fault::Before(errno));
            let mut waits = 0;
            let published = holder.publish_with(claim, &mut |_, _| {
                waits += 1;
                drop((waits == 1).then(|| world.finish()));
                true
            });
            assert!(waits > 0, "{place:?}: nothing had to be waited for");
            assert!(holder.process.sim.log()[last].starts_with("sync "), "{place:?}");
            assert_eq!(published, Published::First, "{place:?}, {errno:?}");
            world.end_well(0);
        }
    }
}

fn failed(claim: &mut Claim) {
    for index in 0..2 {
        let failure = Failure::new(FailureKind::Error, "the reason why");
        push_failure(claim.content(), index, &failure, false);
    }
}

/// The records were written, but only closing brought them to the file server; the marker was there before. A master on
/// another host read a file without a reason, and without the outputs of the batch's other tasks.
#[test]
fn others_find_the_records_when_they_see_the_marker() {
    let world = published(Place::Network);
    let holder = Bench::new(&world, "a");
    let mut claim = holder.claim(0, 1);
    failed(&mut claim);
    let steps = holder.process.sim.steps();
    // Before each of the next steps: what is safe on the server, if the marker is there.
    let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
    for step in steps..steps + 6 {
        let (disk, seen) = (world.disk.clone(), Arc::clone(&seen));
        holder.process.sim.before(step, move || {
            let is_marked = disk
                .paths()
                .iter()
                .any(|(path, _)| path.ends_with("0000000.1.fail"));
            if is_marked {
                disk.commit_names();
                let bytes = disk.power_cut().bytes(LOCK).unwrap_or_default();
                let whole = record::frames(&bytes).map_while(Result::ok);
                lock(&seen).push(whole.filter(|frame| frame.kind == RecordKind::Failure).count());
            }
        });
    }
    assert!(claim.end(&holder.store, Kind::Fail, "the task failed").is_ok());
    let seen = lock(&seen).clone();
    assert!(!seen.is_empty(), "{}", holder.process.log());
    assert!(
        seen.iter().all(|records| *records == 2),
        "{seen:?}: {}",
        holder.process.log()
    );
}

/// With its lock lost, every write to the lock file gave EIO, and a failed attempt tried for ever to write its records:
/// its slot did nothing else any more.
#[test]
fn an_attempt_whose_lock_file_takes_no_records_ends_all_the_same() {
    for place in PLACES {
        // One EIO may pass: `network::failed_attempt_with_a_broken_lock_ends`.
        for errno in [Errno::STALE, Errno::NOENT] {
            let world = published(place);
            let holder = Bench::new(&world, "a");
            let mut claim = holder.claim(0, 1);
            failed(&mut claim);
            holder
                .process
                .sim
                .fail_at(holder.process.sim.steps(), Fault::Before(errno));
            assert!(
                claim.end(&holder.store, Kind::Fail, "the task failed").is_ok(),
                "{errno:?}"
            );
            assert!(
                world
                    .disk
                    .paths()
                    .iter()
                    .any(|(path, _)| path.ends_with("0000000.1.fail"))
            );
            world.end_well(1);
        }
        // A full disk may be freed: the records are worth waiting for.
        let world = published(place);
        let holder = Bench::new(&world, "a");
        let mut claim = holder.claim(0, 1);
        failed(&mut claim);
        holder
            .process
            .sim
            .fail_at(holder.process.sim.steps(), Fault::Before(Errno::NOSPC));
        let (claim, error) = claim
            .end(&holder.store, Kind::Fail, "the task failed")
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        claim.release("given back");
        world.end_well(0);
    }
}

/// A disk that was full for a moment made tasks fail that keep checkpoints: three such moments, and they had failed for
/// good.
#[test]
fn what_the_store_refuses_a_task_is_no_failure_of_the_task() {
    for (place, errno) in [(Place::LocalPower, Errno::NOSPC), (Place::Network, Errno::STALE)] {
        let mut refused = 0;
        for at in 0.. {
            let mut world = World::with(place, |config| config.retries(0));
            (world.batch, world.tasks) = (1, 2);
            let victim = world.process("m");
            victim.sim.fail_at(at, Fault::Before(errno));
            let act: Act = Arc::new(|input, task, _| {
                task.checkpoint(&input)?;
                Ok(answer(input))
            });
            let (inner, mut first) = (world.clone(), Some(victim.clone()));
            let mut master = TestMaster::new(world.tasks);
            let work = move || {
                let process = first.take().unwrap_or_else(|| inner.process("m"));
                let _ = inner.work_with(&process, PATIENT, Arc::clone(&act));
            };
            world.lead(&world.process("m"), &mut master, work).unwrap();
            assert_eq!(world.events("Failed"), 0, "{errno:?} at {at}: {}", victim.log());
            world.check(&master, Expected { faults: 1, failed: 0 });
            refused += world.events("cannot write the checkpoint");
            if at >= victim.sim.steps() {
                break;
            }
        }
        assert!(refused >= 2, "{refused}");
    }
}

/// Whoever asked for silent attempts while a master was just cleaning was told that a shard cannot be listed.
#[test]
fn reclaiming_beside_a_master_that_cleans_is_no_error() {
    for at in 0.. {
        let world = published(Place::LocalPower);
        let person = world.process("person");
        let store = world.open(&person).unwrap();
        let step = person.sim.steps() + at;
        let cleaner = world.clone();
        person.sim.before(step, move || drop(cleaner.finish()));
        let reclaimed = store.reclaim(&Reclaim::Silent(Duration::from_secs(60)));
        assert_eq!(
            reclaimed.unwrap(),
            [],
            "cleaned before step {at} of {}",
            person.log()
        );
        if person.sim.steps() <= step {
            assert!(at > 6, "only {at} steps: {}", person.log());
            break;
        }
    }
}

/// But trouble is told: a shard that cannot be opened may hold the very attempt.
#[test]
fn reclaiming_tells_of_what_it_cannot_look_at() {
    let mut told = 0;
    for at in 0..9 {
        let world = published(Place::LocalPower);
        let holder = Bench::new(&world, "a");
        let claim = holder.claim(0, 1);
        let person = world.process("person");
        let store = world.open(&person).unwrap();
        person
            .sim
            .fail_at(person.sim.steps() + at, Fault::Before(Errno::IO));
        match store.reclaim(&Reclaim::Tasks(vec!["0".parse().unwrap()])) {
            Ok(reclaimed) => assert_eq!(reclaimed.len(), 1, "step {at} of {}", person.log()),
            Err(error) => {
                assert!(error.io_error().is_some(), "{error}");
                told += 1;
            }
        }
        claim.release("given back");
    }
    assert!(told >= 7, "{told}");
}

/// The lock file took no more writes, so the outcome went by a private file and was linked; then one listing was answered
/// with ENOENT. That was taken for a shard that is cleaned, and the accepted outcome was removed again.
#[test]
fn an_accepted_outcome_is_not_removed_for_a_listing_that_failed() {
    for errno in [Errno::NOENT, Errno::STALE] {
        let mut failed = 0;
        for listing in 1..12 {
            let world = published(Place::LocalPower);
            let holder = Bench::new(&world, "a");
            let claim = holder.claim(0, 1);
            let begun = holder.process.sim.steps();
            holder.process.sim.fail_at(begun, Fault::Before(Errno::IO));
            holder.process.sim.fail_at(begun + listing, Fault::Before(errno));
            let published = holder.publish_with(claim, &mut |_, _| true);
            let log = holder.process.sim.log();
            let Some(_) = log.get(begun + listing).filter(|step| step.starts_with("list ")) else {
                continue;
            };
            failed += 1;
            let linked = log.iter().any(|step| step.ends_with("-> 0000000.out"));
            let is_there = world.disk.bytes("rounds/000000/0000000/0000000.out").is_some();
            assert_eq!(
                is_there,
                linked,
                "{published:?}, listing {listing}: {}",
                holder.process.log()
            );
            drop(holder);
            world.end_well(1);
        }
        assert!(failed >= 2, "{failed}");
    }
}

/// A shard that could not be opened counted as one without tasks, and the audit accused it of having lost them.
#[test]
fn an_audit_that_cannot_look_accuses_nobody() {
    let mut told = 0;
    for at in 0.. {
        let world = published(Place::LocalPower);
        let person = world.process("person");
        let store = world.open(&person).unwrap();
        let step = person.sim.steps() + at;
        person.sim.fail_at(step, Fault::Before(Errno::IO));
        match store.audit() {
            Ok(audit) => {
                // A file that cannot be read is told of as such.
                let unread = audit
                    .violations
                    .iter()
                    .any(|one| one.what.contains("cannot be read"));
                assert!(
                    audit.is_sound() || unread,
                    "step {at} of {}: {audit:?}",
                    person.log()
                );
            }
            Err(error) => {
                assert!(error.io_error().is_some(), "{error}");
                told += 1;
            }
        }
        if person.sim.steps() <= step {
            break;
        }
    }
    assert!(told >= 5, "{told}");
}
