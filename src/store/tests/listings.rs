//! Listings that are old or torn: they cost work, never a result.

use super::check::Expected;
use super::hand::Bench;
use super::world::{PLACES, Place, ShowLog, TestMaster, World};
use crate::layout::Kind;
use crate::name::Attempt;
use crate::store::{Marker, Published, State, list_shard, make_marker};
use crate::wait::lock;

/// The state of the first input file, as a process sees it now.
fn state(bench: &Bench) -> State {
    let number = crate::name::ShardNumber(0);
    list_shard(&bench.dir, number, 3, &mut Vec::new()).unwrap().inputs[0].state
}

fn mark_lost(bench: &Bench) {
    let marker = Marker::new("silent", &bench.process.me.id);
    make_marker(&bench.dir, "0000000", Attempt::FIRST, Kind::Lost, &marker).unwrap();
}

#[test]
fn stale_listing_without_marker_or_lock_claims_nothing_twice() {
    let world = World::new(Place::Network);
    world.publish();
    let (holder, late) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    world.disk.stale_listing(&late.process.sim, 1);
    let claim = holder.claim(0, 1);
    assert!(
        matches!(state(&late), State::Free { next: Attempt(1), .. }),
        "the listing is old"
    );
    let again = crate::store::Claim::of_input(&late.process.me, &late.dir, crate::name::Stem(0), Attempt(1));
    assert!(matches!(again.unwrap(), crate::store::Claiming::Busy));

    // With the marker hidden it waits a little longer than it must.
    world.disk.stale_listing(&late.process.sim, 1);
    mark_lost(&holder);
    assert_eq!(state(&late), State::Running { attempt: Attempt(1) });
    assert!(matches!(state(&late), State::Free { next: Attempt(2), .. }));
    assert_eq!(holder.publish(claim), Published::First);
    world.end_well(0);
}

#[test]
fn stale_listing_without_output_costs_a_run_and_no_result() {
    let world = World::new(Place::Network);
    world.publish();
    let (holder, late) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let claim = holder.claim(0, 1);
    mark_lost(&late);
    world.disk.stale_listing(&late.process.sim, 2);
    assert_eq!(holder.publish(claim), Published::First);
    assert!(matches!(state(&late), State::Free { next: Attempt(2), .. }));
    let twin = late.claim(0, 2);
    let look = twin.look(&late.store).unwrap();
    assert!(
        !matches!(look.state, Some(State::Done)),
        "the second look is old too"
    );
    assert_eq!(late.publish(twin), Published::Twin);
    world.end_well(0);
}

/// The second look, if it is fresh, saves the run.
#[test]
fn second_look_sees_the_outcome() {
    let world = World::new(Place::Network);
    world.publish();
    let (holder, late) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
    let claim = holder.claim(0, 1);
    mark_lost(&late);
    world.disk.stale_listing(&late.process.sim, 1);
    assert_eq!(holder.publish(claim), Published::First);
    assert!(matches!(state(&late), State::Free { next: Attempt(2), .. }));
    let twin = late.claim(0, 2);
    assert_eq!(twin.look(&late.store).unwrap().state, Some(State::Done));
    twin.release("another was first");
    world.end_well(0);
}

/// A worker that lists before the outcome is there, and claims after that, runs nothing.
#[test]
fn outcome_between_listing_and_claim_saves_the_run() {
    let mut saved = 0;
    for at in 0.. {
        let world = World::new(Place::Network);
        world.publish();
        let (holder, worker) = (Bench::new(&world, "a"), world.process("b"));
        let _log = ShowLog(worker.clone(), format!("published before {at}"));
        let claim = holder.claim(0, 1);
        mark_lost(&holder);
        worker.sim.before(at, move || {
            // If it was too late, the worker is a twin.
            let _ = holder.publish(claim);
        });
        world.work(&worker).unwrap();
        let log = worker.sim.log();
        if at >= log.len() {
            break;
        }
        let claimed = log.iter().position(|step| step == "create 0000000.2.lock");
        // Create, header, and then the second look.
        let in_time = claimed.is_none_or(|claimed| at <= claimed + 2);
        if in_time {
            let ran = lock(&world.notes).runs.iter().any(|run| run.task < 2);
            let linked = log.iter().any(|step| step.starts_with("link 0000000.2.lock"));
            assert!(!ran && !linked, "it did not look again");
        }
        saved += usize::from(in_time && claimed.is_some());
        world.end_well(1);
    }
    assert!(saved > 1, "{saved}");
}

/// What a worker lists from some step on is as old as that step, while another does everything.
#[test]
fn stale_listings_at_each_step() {
    for place in PLACES {
        for count in [1, 2, 5] {
            for at in 0.. {
                let world = World::new(place);
                world.publish();
                let (worker, inner) = (world.process("a"), world.clone());
                let _log = ShowLog(
                    worker.clone(),
                    format!("{place:?}, {count} old listings before {at}"),
                );
                let seer = worker.sim.clone();
                worker.sim.before(at, move || {
                    inner.disk.stale_listing(&seer, count);
                    inner.work(&inner.process("b")).unwrap();
                });
                let _ = world.work(&worker);
                if at >= worker.sim.steps() {
                    break;
                }
                world.end_well(0);
            }
        }
    }
}

#[test]
fn torn_listings_of_a_worker() {
    for place in PLACES {
        for seed in 0..60 {
            let world = World::new(place);
            world.publish();
            // An attempt that was given up, so that there are markers to be left out.
            let dead = Bench::new(&world, "dead");
            drop(dead.claim(0, 1));
            mark_lost(&dead);
            let worker = world.process("a");
            let _log = ShowLog(worker.clone(), format!("{place:?}, seed {seed}"));
            world.disk.torn_listing(&worker.sim, 12, seed);
            // A store whose `store.json` is left out of a listing is refused, and not made anew.
            let _ = world.work(&worker);
            world.end_well(1);
        }
    }
}

#[test]
fn torn_listings_of_a_master() {
    let mut completed = 0;
    for place in PLACES {
        for seed in 0..40 {
            let world = World::new(place);
            world.publish();
            let victim = world.process("m");
            let _log = ShowLog(victim.clone(), format!("{place:?}, seed {seed}"));
            let (inner, sim, disk) = (world.clone(), victim.sim.clone(), world.disk.clone());
            let mut waits = 0;
            let mut master = TestMaster::new(world.tasks);
            // From the first wait on: a master that begins with a torn listing says that shards are missing.
            let ended = world.lead(&victim, &mut master, move || {
                waits += 1;
                if waits == 1 {
                    disk.torn_listing(&sim, 12, seed);
                }
                inner.work(&inner.process("w")).unwrap();
            });
            match ended {
                Ok(_) => {
                    completed += 1;
                    world.check(&master, Expected { faults: 0, failed: 0 });
                }
                Err(error) => {
                    assert_eq!(error.kind(), crate::error::ErrorKind::MasterBusy, "{error}");
                    let second = world.end_well(0);
                    assert!(master.got.iter().all(|got| second.got.contains(got)));
                }
            }
        }
    }
    assert!(completed > 0);
}
