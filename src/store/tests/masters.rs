//! Masters that publish late, and two at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::check::Expected;
use super::hand::Bench;
use super::world::{Place, ShowLog, TestMaster, World, input_of};
use crate::clock::Moment;
use crate::error::ErrorKind;
use crate::fs::sim::FlockMode;
use crate::name::{Attempt, RoundNumber, ShardNumber};
use crate::record::{self, RecordKind};
use crate::store::{Claim, Claiming, ShardWriter, Store, remove_leftovers};
use crate::wait::lock;

/// Both tasks of an input file.
fn input(first: u64) -> Vec<u8> {
    let mut records = Vec::new();
    for index in 0..2 {
        let head = (RecordKind::Input, crate::codec::Codec::Bincode.byte(), index, 0);
        let value = input_of(first + u64::from(index));
        let pushed = record::push_with(&mut records, head, |buffer| {
            crate::codec::Codec::Bincode.encode(&value, 1000, buffer)
        });
        pushed.unwrap();
    }
    record::push_end(&mut records, 2);
    records
}

/// The first shard again, by a master that was silent for long.
fn late_shard<'a>(store: &'a Store, round: &'a crate::fs::DirRef) -> ShardWriter<'a> {
    let mut writer = ShardWriter::begin(store, round, ShardNumber(0)).unwrap();
    writer.add(&input(0), 2).unwrap();
    writer.add(&input(2), 2).unwrap();
    writer
}

#[test]
fn deposed_master_publishes_after_another_did() {
    for place in [Place::LocalPower, Place::Network, Place::NoLinks] {
        let world = World::new(place);
        world.publish();
        let late = Bench::new(&world, "late");
        let before = world.disk.paths();
        let mut writer = late_shard(&late.store, &late.round);
        assert_eq!(writer.publish().unwrap_err().kind(), ErrorKind::MasterBusy);
        writer.abandon();
        assert_eq!(world.disk.paths(), before);
        world.end_well(0);
    }
}

#[test]
fn deposed_master_publishes_after_the_shard_was_cleaned() {
    for place in [Place::LocalPower, Place::Network, Place::NoLinks] {
        let world = World::new(place);
        world.publish();
        let late = Bench::new(&world, "late");
        let master = world.finish();
        let before = world.disk.paths();
        let mut writer = late_shard(&late.store, &late.round);
        assert_eq!(writer.publish().unwrap_err().kind(), ErrorKind::MasterBusy);
        assert_eq!(world.disk.paths(), before, "the shard came back");
        world.check(&master, Expected { faults: 0, failed: 0 });
    }
}

/// Everything is published, done and cleaned by others before each step of the late one.
#[test]
fn everything_happens_at_each_step_of_a_late_publication() {
    for place in [Place::LocalPower, Place::Network] {
        for at in 0.. {
            let world = World::new(place);
            let late = world.process("late");
            let _log = ShowLog(late.clone(), format!("{place:?}, before {at}"));
            let store = world.open(&late).unwrap();
            let name = crate::layout::round_name(RoundNumber::FIRST);
            store.rounds().make_dir(&name).unwrap();
            let round = store.round_dir(RoundNumber::FIRST).unwrap();
            let begun = late.sim.steps();
            let (master, inner) = (Arc::new(Mutex::new(None)), world.clone());
            let kept = Arc::clone(&master);
            late.sim
                .before(begun + at, move || *lock(&kept) = Some(inner.finish()));
            let published = (|| {
                let begun = ShardWriter::begin(&store, &round, ShardNumber(0));
                let mut writer = begun.map_err(drop)?;
                writer.add(&input(0), 2).map_err(drop)?;
                writer.add(&input(2), 2).map_err(drop)?;
                writer.publish().map(drop).map_err(drop)
            })();
            if begun + at >= late.sim.steps() {
                assert!(published.is_ok() && at > 8, "{at}");
                break;
            }
            let master = lock(&master).take().unwrap();
            world.check(&master, Expected { faults: 0, failed: 0 });
        }
    }
}

#[test]
fn what_a_dead_master_left_is_removed() {
    let world = World::new(Place::LocalPower);
    world.publish();
    let dead = Bench::new(&world, "dead");
    let before = world.disk.paths();
    std::mem::forget(late_shard(&dead.store, &dead.round));
    assert_ne!(world.disk.paths(), before);
    remove_leftovers(&Bench::new(&world, "next").round).unwrap();
    assert_eq!(world.disk.paths(), before);
    world.end_well(0);
}

/// On a file server a lock that can be taken may be known to its holder's host only: signs of life are waited for.
#[test]
fn master_of_another_host_whose_lock_does_not_reach_is_not_given_up() {
    let world = World::new(Place::Network);
    world.publish();
    world.disk.set_flock(FlockMode::NodeLocal);
    let holder = world.process("a");
    let store = world.open(&holder).unwrap();
    let Claiming::Won(role) = Claim::of_master(&holder.me, &store, Attempt(2)).unwrap() else {
        panic!("somebody else is the master");
    };
    let begun = Moment::now();
    let mut beats = 0;
    let second = world.process("b");
    let led = world.lead(&second, &mut TestMaster::new(world.tasks), move || {
        // Less often than it takes a free lock to settle.
        if Moment::now().since(begun) >= Duration::from_secs(8) * (beats + 1) {
            beats += 1;
            role.heartbeat().unwrap();
        }
    });
    assert_eq!(led.unwrap_err().kind(), ErrorKind::MasterBusy);
    assert!(Moment::now().since(begun) >= Duration::from_secs(8));
}
