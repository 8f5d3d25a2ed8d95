//! Clocks that are wrong, each in its own way, and that jump: nothing is decided by two of them.

use std::time::Duration;

use super::check::Expected;
use super::hand::Bench;
use super::world::{LEASE, Place, TestMaster, World};
use crate::clock::sim;
use crate::name::Stem;
use crate::store::{Reclaim, State};

const HOUR: Duration = Duration::from_secs(3600);

/// Sets one clock after the other wrong.
fn disturb(world: &World, turn: u64) {
    let hour = i64::try_from(turn % 5).unwrap() - 2;
    sim::set_wall_wrong_by(3600 * hour);
    if turn.is_multiple_of(2) {
        world.disk.advance(HOUR);
    } else {
        world.disk.turn_back(HOUR);
    }
}

#[test]
fn clocks_that_jump_give_up_nobody_who_lives() {
    for place in [Place::LocalPower, Place::Network] {
        let world = World::new(place);
        world.publish();
        let (holder, watcher) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
        let claim = holder.claim(0, 1);
        let mut turn = 0;
        let given_up = watcher.watch(&world, 0, 6 * LEASE.as_secs(), || {
            turn += 1;
            disturb(&world, turn);
            if turn % 2 == 0 {
                claim.heartbeat().unwrap();
            }
        });
        assert_eq!(given_up, None, "{place:?}");
        // Nor do they keep the dead alive.
        let given_up = watcher.watch(&world, 0, 6 * LEASE.as_secs(), || {
            turn += 1;
            disturb(&world, turn);
        });
        let given_up = given_up.expect("it was silent");
        assert!(
            (LEASE.as_secs()..=LEASE.as_secs() + 9).contains(&given_up),
            "{given_up}"
        );
        claim.release("enough");
        world.end_well(0);
    }
}

/// Master and workers an hour before and behind, another one each time.
#[test]
fn run_of_hosts_whose_clocks_are_an_hour_apart() {
    for place in super::world::PLACES {
        let world = World::new(place);
        let (inner, mut master) = (world.clone(), TestMaster::new(world.tasks));
        let mut turn = 0;
        let ended = world.lead(&world.process("m"), &mut master, move || {
            turn += 1;
            disturb(&inner, turn);
            inner.work(&inner.process("w")).unwrap();
            disturb(&inner, turn + 3);
        });
        ended.unwrap();
        assert_eq!(world.events("Lost {"), 0);
        world.check(&master, Expected { faults: 0, failed: 0 });
    }
}

/// A person whose own clock is wrong gives up by the file server's.
#[test]
fn person_whose_clock_is_wrong_gives_up_by_the_servers() {
    for wrong in [-7200, 0, 7200] {
        let world = World::new(Place::Network);
        world.publish();
        sim::set_wall_wrong_by(wrong);
        let (holder, person) = (Bench::new(&world, "a"), Bench::new(&world, "b"));
        let claim = holder.claim(0, 1);
        let silent = Reclaim::Silent(LEASE);
        world.disk.advance(LEASE - Duration::from_secs(1));
        assert_eq!(person.store.reclaim(&silent).unwrap(), [], "wrong by {wrong} s");
        world.disk.advance(Duration::from_secs(2));
        let given_up = person.store.reclaim(&silent).unwrap();
        assert_eq!(given_up.len(), 1, "wrong by {wrong} s");
        assert_eq!(Stem(given_up[0].task.number), claim.stem());
        let number = crate::name::ShardNumber(0);
        let state = crate::store::list_shard(&holder.dir, number, 3, &mut Vec::new()).unwrap();
        assert!(matches!(state.inputs[0].state, State::Free { .. }));
        claim.release("enough");
        world.end_well(0);
    }
}
