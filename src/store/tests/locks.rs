//! Locks that fail in every way: they only save work.

use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::check::Expected;
use super::hand::Bench;
use super::world::{PLACES, Place, ShowLog, World};
use crate::clock::{Moment, sim};
use crate::fs::sim::{Fault, FlockMode};
use crate::fs::{Flock, os};
use crate::name::Attempt;
use crate::record::ProcessMark;
use crate::store::{Claim, Claiming, Identity, Kept, Published, Pulse, WorkerFile, read_header};
use crate::wait::lock;

const LEASE: u64 = super::world::LEASE.as_secs();

fn published(place: Place) -> World {
    let world = World::new(place);
    world.publish();
    world
}

fn has_flock(bench: &Bench) -> bool {
    let header = read_header(&bench.dir, "0000000", Attempt::FIRST).unwrap();
    header.unwrap().flock
}

#[test]
fn claimer_and_prober_on_a_fresh_lock() {
    for lets_go in [true, false] {
        let world = published(Place::Network);
        let (holder, prober) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
        let probe = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&probe);
        // Between the claimer's create and its try.
        holder
            .process
            .sim
            .before(holder.process.sim.steps() + 1, move || {
                let file = prober.dir.open_write("0000000.1.lock").unwrap();
                assert_eq!(file.try_lock().unwrap(), Flock::Held);
                *lock(&kept) = Some(file);
            });
        let kept = Arc::clone(&probe);
        let let_go = move || drop(lock(&kept).take().filter(|_| lets_go));
        if lets_go {
            drop(sim::set_meanwhile(Some(Box::new(let_go))));
        }
        let claim = holder.claim(0, 1);
        drop(sim::set_meanwhile(None));
        assert_eq!(has_flock(&holder), lets_go);
        drop(lock(&probe).take());
        if !lets_go {
            // The header says that there is no lock, so a free one tells nothing; only silence does.
            let watcher = Bench::new(&world, "a");
            assert_eq!(
                watcher.watch(&world, 0, 3 * LEASE, || drop(claim.heartbeat())),
                None
            );
        }
        assert_eq!(holder.publish(claim), Published::First);
        world.end_well(0);
    }
}

#[test]
fn heartbeat_tells_what_became_of_the_claim() {
    let world = published(Place::Network);
    let (holder, other) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let claim = holder.claim(0, 1);
    assert_eq!(claim.heartbeat().unwrap(), Pulse::Ours);
    world.disk.lose_locks(&holder.process.sim);
    assert_eq!(claim.heartbeat().unwrap(), Pulse::Ours, "it took the lock again");
    world.disk.lose_locks(&holder.process.sim);
    let probe = other.dir.open_write("0000000.1.lock").unwrap();
    assert_eq!(probe.try_lock().unwrap(), Flock::Held);
    assert_eq!(claim.heartbeat().unwrap(), Pulse::Lost);
    drop(probe);
    assert_eq!(claim.heartbeat().unwrap(), Pulse::Ours);
    assert_eq!(other.publish(other.claim(0, 2)), Published::First);
    assert_eq!(claim.heartbeat().unwrap(), Pulse::Outrun);
    assert_eq!(holder.publish(claim), Published::Twin);

    let claim = holder.claim(2, 1);
    other.dir.unlink("0000002.1.lock").unwrap();
    assert_eq!(claim.heartbeat().unwrap(), Pulse::Lost);
    assert_eq!(
        holder.publish(claim),
        Published::First,
        "finished work is not thrown away"
    );
    world.end_well(0);
}

#[test]
fn lock_silently_lost_and_given_up_the_first_outcome_wins() {
    for holder_is_first in [true, false] {
        let world = published(Place::Network);
        let (holder, other) = (Bench::new(&world, "a"), Bench::new(&world, "a"));
        let claim = holder.claim(0, 1);
        world.disk.lose_locks(&holder.process.sim);
        let given_up = other.watch(&world, 0, LEASE, || ());
        assert!(
            given_up.is_some_and(|second| (5..LEASE).contains(&second)),
            "{given_up:?}"
        );
        let twin = other.claim(0, 2);
        let verdicts = if holder_is_first {
            (holder.publish(claim), other.publish(twin))
        } else {
            let second = other.publish(twin);
            (second, holder.publish(claim))
        };
        assert_eq!(verdicts, (Published::First, Published::Twin));
        world.end_well(0);
    }
}

/// Claims the first input file, with a lock of its own or one that the worker's file speaks for.
fn claim_by_lock(bench: &Bench, lock_speaks: bool) -> Claim {
    let me = Identity {
        lock_speaks: Arc::new(lock_speaks.into()),
        ..bench.process.me.clone()
    };
    let claim = bench.claim_as(&me, 0, 1);
    assert_eq!(has_flock(bench), !lock_speaks);
    claim
}

#[test]
fn free_lock_of_a_dead_worker_is_found_before_its_lease_where_locks_reach() {
    for lock_speaks in [false, true] {
        dead_worker_is_found(lock_speaks);
    }
}

fn dead_worker_is_found(lock_speaks: bool) {
    let world = published(Place::Network);
    let (dead, living) = (Bench::new(&world, "a"), Bench::new(&world, "a"));
    let file = WorkerFile::make(&dead.store, &dead.process.me, 1, None).unwrap();
    let claim = claim_by_lock(&dead, lock_speaks);
    let watcher = Bench::new(&world, "b");
    // It beats for ten seconds, so that the watcher learns that its locks reach; then it is killed.
    let (mut beats, mut claim) = (0, Some(claim));
    let sim = &dead.process.sim;
    let given_up = watcher.watch(&world, 0, LEASE, || {
        beats += 1;
        if beats <= 4 {
            file.touch().unwrap();
            claim.as_ref().unwrap().heartbeat().unwrap();
        } else if claim.take().is_some() {
            sim.crash();
        }
    });
    assert!(given_up.is_some_and(|second| second < LEASE - 5), "{given_up:?}");
    assert_eq!(living.publish(living.claim(0, 2)), Published::First);
    world.end_well(0);
}

#[test]
fn node_local_locks_are_found_out_and_only_silence_counts() {
    for lock_speaks in [false, true] {
        node_local_locks(lock_speaks);
    }
}

/// A server that took its host for dead has dropped its lock: it is given up although it lives, and nothing is lost.
#[test]
fn worker_whose_lock_was_lost_is_given_up_and_its_outcome_counts() {
    let world = published(Place::Network);
    let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let file = WorkerFile::make(&holder.store, &holder.process.me, 1, None).unwrap();
    assert!(file.is_locked());
    let claim = claim_by_lock(&holder, true);
    let mut looks = 0;
    let given_up = watcher.watch(&world, 0, LEASE, || {
        looks += 1;
        if looks == 8 {
            world.disk.lose_locks(&holder.process.sim);
        }
        claim.heartbeat().unwrap();
    });
    assert!(given_up.is_some_and(|second| second >= 21), "{given_up:?}");
    assert_eq!(holder.publish(claim), Published::First);
    world.end_well(0);
}

/// A worker that was cut off comes back: its lock is taken again with a new descriptor, or at least not spoken of.
#[test]
fn lock_of_a_worker_that_was_lost_is_taken_again() {
    let world = published(Place::Network);
    let (holder, other) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let mut file = WorkerFile::make(&holder.store, &holder.process.me, 1, None).unwrap();
    assert_eq!(file.keep_lock(), Kept::Yes);
    // The descriptor takes no lock any more.
    holder
        .process
        .sim
        .fail_each("try_lock", 1, Fault::Before(Errno::IO));
    assert_eq!(file.keep_lock(), Kept::Again);
    assert_eq!(file.keep_lock(), Kept::Yes);
    file.touch().unwrap();
    // Somebody else has it.
    world.disk.lose_locks(&holder.process.sim);
    let workers = other.store.root().open_dir("workers").unwrap();
    let name = holder.process.me.id.to_string();
    let taken = workers.open_write(&name).unwrap();
    assert_eq!(taken.try_lock().unwrap(), Flock::Held);
    assert_eq!(file.keep_lock(), Kept::No);
    drop(taken);
    assert_ne!(file.keep_lock(), Kept::No);
    // A new master took its file for that of a dead worker.
    workers.unlink(&name).unwrap();
    assert_eq!(file.keep_lock(), Kept::Again);
    assert!(
        holder
            .store
            .status()
            .unwrap()
            .workers
            .iter()
            .any(|worker| worker.worker == name)
    );
}

fn node_local_locks(lock_speaks: bool) {
    let world = published(Place::Network);
    world.disk.set_flock(FlockMode::NodeLocal);
    let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let file = WorkerFile::make(&holder.store, &holder.process.me, 1, None).unwrap();
    let claim = claim_by_lock(&holder, lock_speaks);
    let beat = || {
        file.touch().unwrap();
        assert_eq!(claim.heartbeat().unwrap(), Pulse::Ours);
    };
    assert_eq!(watcher.watch(&world, 0, 4 * LEASE, beat), None);
    assert_eq!(world.events("LocksDoNotReach"), 1, "said once");
    let given_up = watcher.watch(&world, 0, 4 * LEASE, || ());
    assert!(given_up.is_some_and(|second| second >= LEASE), "{given_up:?}");
    assert_eq!(holder.publish(claim), Published::First);
    world.end_well(0);
}

#[test]
fn without_flock_only_silence_counts() {
    for place in [Place::LocalPower, Place::Network] {
        let world = published(place);
        world.disk.set_flock(FlockMode::Unsupported);
        let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "a"));
        let claim = holder.claim(0, 1);
        assert!(!has_flock(&holder));
        assert_eq!(
            watcher.watch(&world, 0, 4 * LEASE, || assert_eq!(
                claim.heartbeat().unwrap(),
                Pulse::Ours
            )),
            None
        );
        let given_up = watcher.watch(&world, 0, 4 * LEASE, || ());
        assert!(given_up.is_some_and(|second| second >= LEASE), "{given_up:?}");
        assert_eq!(holder.publish(claim), Published::First);
        world.end_well(0);
    }
}

/// On a local file system whoever has another boot id is of the time before: its machine has lost its power since.
#[test]
fn what_a_machine_held_before_it_booted_is_free_at_once_on_a_local_file_system() {
    let world = published(Place::LocalPower);
    let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let claim = holder.claim(0, 1);
    let still = watcher.watch(&world, 0, 4 * LEASE, || {
        claim.heartbeat().unwrap();
    });
    assert_eq!(still, None, "its lock is held");
    holder.process.sim.crash();
    let given_up = watcher.watch(&world, 0, 4 * LEASE, || ());
    assert!(
        given_up.is_some_and(|second| (5..LEASE / 2).contains(&second)),
        "{given_up:?}"
    );
    // The one master too.
    let master = world.process("a");
    let store = world.open(&master).unwrap();
    let Claiming::Won(role) = Claim::of_master(&master.me, &store, Attempt(2)).unwrap() else {
        panic!("somebody else is the master");
    };
    master.sim.crash();
    let begun = Moment::now();
    let last = world.finish();
    let took = Moment::now().since(begun).as_secs();
    assert!((5..LEASE / 2).contains(&took), "it was waited for {took} s");
    drop(role);
    world.check(&last, Expected { faults: 1, failed: 0 });
}

#[test]
fn clock_of_the_server_may_jump() {
    let world = published(Place::Network);
    let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let claim = holder.claim(0, 1);
    let disk = world.disk.clone();
    let mut beats = 0;
    let given_up = watcher.watch(&world, 0, 4 * LEASE, || {
        beats += 1;
        if beats == 5 {
            disk.advance(std::time::Duration::from_secs(3600));
        }
        claim.heartbeat().unwrap();
    });
    assert_eq!(given_up, None);
    claim.release("enough");
    world.end_well(0);
}

/// A watcher that was suspended for an hour has seen nothing: the holder may have been suspended too.
#[test]
fn suspended_observer_begins_again() {
    let world = published(Place::Network);
    let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let claim = holder.claim(0, 1);
    let mut looks = 0;
    let given_up = watcher.watch(&world, 0, 4 * LEASE, || {
        looks += 1;
        if looks == 5 {
            sim::advance(std::time::Duration::from_secs(3600));
        }
    });
    // Twelve seconds before the gap do not count.
    assert!(
        given_up.is_some_and(|second| second >= LEASE + 12),
        "{given_up:?}"
    );
    assert_eq!(holder.publish(claim), Published::First);
    world.end_well(0);
}

/// All lock files are removed before each step of a worker; then others may or may not begin anew.
#[test]
fn lock_removed_by_hand() {
    for place in PLACES {
        for (others_begin, other_host) in [(false, false), (false, true), (true, false), (true, true)] {
            for at in 0.. {
                let world = published(place);
                let (worker, inner) = (world.process("a"), world.clone());
                let _log = ShowLog(
                    worker.clone(),
                    format!("{place:?}, {others_begin}, {other_host}, before {at}"),
                );
                worker.sim.before(at, move || {
                    let hand = inner.process(if other_host { "b" } else { "a" });
                    for (path, _) in inner.disk.paths() {
                        if path.ends_with(".lock") && path.starts_with("rounds") {
                            inner.unlink(&hand, &path);
                        }
                    }
                    if others_begin {
                        inner.work(&inner.process("b")).unwrap();
                    }
                });
                // An NFS client is told so, if another host removed the file.
                if other_host {
                    worker.sim.fail_at(at, Fault::Before(Errno::STALE));
                }
                let _ = world.work(&worker);
                if at >= worker.sim.steps() {
                    break;
                }
                world.end_well(2);
            }
        }
    }
}

fn with_mark(bench: &Bench, process: ProcessMark) -> Identity {
    Identity {
        id: bench.process.me.id.clone(),
        process,
        lock_speaks: Arc::default(),
    }
}

#[test]
fn process_that_is_gone_is_found_at_once_although_its_pid_is_used_again() {
    let world = published(Place::Network);
    let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let this = os::this_process().clone();
    let me = with_mark(
        &holder,
        ProcessMark {
            start: this.start + 1,
            ..this
        },
    );
    let claim = holder.claim_as(&me, 0, 1);
    let given_up = watcher.watch(&world, 0, LEASE, || ());
    assert!(given_up.is_some_and(|second| second < 5), "{given_up:?}");
    drop(claim);
    world.end_well(0);
}

#[test]
fn process_that_lives_is_left_alone_although_its_lock_is_free() {
    let world = published(Place::Network);
    let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let me = with_mark(&holder, os::this_process().clone());
    let claim = holder.claim_as(&me, 0, 1);
    world.disk.lose_locks(&holder.process.sim);
    let mut beats = 0;
    let given_up = watcher.watch(&world, 0, 2 * LEASE, || {
        beats += 1;
        if beats < 4 {
            claim.heartbeat().unwrap();
            world.disk.lose_locks(&holder.process.sim);
        }
    });
    // But its silence counts: it may hang.
    assert!(given_up.is_some_and(|second| second >= LEASE), "{given_up:?}");
    assert_eq!(holder.publish(claim), Published::First);
    world.end_well(0);
}

/// Two hosts of one name: the pid is another host's, and a free lock tells nothing.
#[test]
fn two_hosts_of_one_name_are_two_hosts() {
    let world = published(Place::Network);
    world.disk.set_flock(FlockMode::NodeLocal);
    let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let this = os::this_process().clone();
    let boot = "another boot".to_owned();
    let me = with_mark(
        &holder,
        ProcessMark {
            boot,
            start: this.start + 1,
            ..this
        },
    );
    let claim = holder.claim_as(&me, 0, 1);
    let beat = || assert_eq!(claim.heartbeat().unwrap(), Pulse::Ours);
    assert_eq!(watcher.watch(&world, 0, 3 * LEASE, beat), None);
    assert_eq!(holder.publish(claim), Published::First);
    world.end_well(0);
}
