//! Bytes that are not what was written, names that nobody of us made.

use super::check::Expected;
use super::hand::Bench;
use super::world::{PATIENT, Place, TestMaster, World, answer};
use crate::error::ErrorKind;
use crate::outcome::FailureKind;
use crate::store::Published;
use crate::wait::{How, lock};

const OUT: &str = "rounds/000000/0000000/0000000.out";
const LOCK: &str = "rounds/000000/0000000/0000000.1.lock";
const IN: &str = "rounds/000000/0000000/0000000.in";

/// All inputs are published and their outcomes too, but none was collected.
fn worked_off() -> World {
    let mut world = World::new(Place::LocalPower);
    world.idle = PATIENT;
    world.publish();
    world.work(&world.process("w")).unwrap();
    world.witness.close_eyes();
    // What was accepted is about to be damaged, so nobody can be held to it.
    lock(&world.notes).verdicts.clear();
    world
}

/// The outcome is put aside and done again by whoever comes.
#[track_caller]
fn is_done_again(world: &World) {
    let master = world.finish();
    assert_eq!(world.events("Damaged {"), 1);
    world.check(&master, Expected { faults: 1, failed: 0 });
    let runs = lock(&world.notes).runs.iter().filter(|run| run.task < 2).count();
    assert!(runs <= 4, "{runs}");
}

#[test]
fn outcome_with_a_flipped_bit_is_done_again() {
    let length = worked_off().disk.bytes(OUT).unwrap().len();
    for at in (0..length * 8).step_by(31) {
        for also_lock in [false, true] {
            let world = worked_off();
            let mut bytes = world.disk.bytes(OUT).unwrap();
            bytes[at / 8] ^= 1 << (at % 8);
            world.disk.plant(OUT, &bytes).unwrap();
            if also_lock {
                world.disk.plant(LOCK, &bytes).unwrap();
            }
            is_done_again(&world);
        }
    }
}

#[test]
fn outcome_that_is_cut_off_is_done_again() {
    let length = worked_off().disk.bytes(OUT).unwrap().len();
    for cut in (0..length).step_by(17) {
        let world = worked_off();
        let bytes = world.disk.bytes(OUT).unwrap();
        world.disk.plant(OUT, &bytes[..cut]).unwrap();
        world.disk.plant(LOCK, &bytes[..cut]).unwrap();
        is_done_again(&world);
    }
}

#[test]
fn outcome_of_another_input_file_is_not_taken() {
    let world = worked_off();
    let other = world.disk.bytes("rounds/000000/0000000/0000002.out").unwrap();
    world.disk.plant(OUT, &other).unwrap();
    is_done_again(&world);
}

#[test]
fn outcome_that_is_damaged_each_time_fails() {
    let mut world = World::new(Place::LocalPower);
    world.idle = PATIENT;
    world.witness.close_eyes();
    let (inner, mut master) = (world.clone(), TestMaster::new(world.tasks));
    let ended = world.lead(&world.process("m"), &mut master, move || {
        inner.work(&inner.process("w")).unwrap();
        if inner.disk.bytes(OUT).is_some() {
            inner.disk.plant(OUT, b"fw").unwrap();
        }
    });
    ended.unwrap();
    assert_eq!(world.events("Damaged {"), 3);
    assert_eq!(master.got.len(), 5);
    // The records in the lock files were whole, and are told.
    assert!(master.got.iter().all(|got| got.result == Ok(answer(got.input))));
    let audit = world.open(&world.process("auditor")).unwrap().audit().unwrap();
    assert!(audit.is_complete() && audit.failed == 2, "{audit:?}");
}

#[test]
fn damaged_input_fails_with_its_reason_where_the_master_knows_the_input() {
    for length in [0, 1, 30, 60] {
        let mut world = World::new(Place::LocalPower);
        world.idle = PATIENT;
        let (inner, mut master) = (world.clone(), TestMaster::new(world.tasks));
        let mut is_first = true;
        let ended = world.lead(&world.process("m"), &mut master, move || {
            if std::mem::take(&mut is_first) {
                let bytes = inner.disk.bytes(IN).unwrap();
                inner.disk.plant(IN, &bytes[..length]).unwrap();
            }
            inner.work(&inner.process("w")).unwrap();
        });
        ended.unwrap();
        for got in &master.got {
            match &got.result {
                Ok(output) => assert_eq!((*output, got.task.number >= 2), (answer(got.input), true)),
                Err(failure) => assert_eq!(
                    got.task.number < 2,
                    matches!(failure.kind, FailureKind::Input | FailureKind::Lost),
                    "{failure}"
                ),
            }
        }
        let told = master.got.iter().filter_map(|got| got.result.as_ref().err());
        assert!(
            told.clone()
                .any(|failure| failure.message.contains("the input file is damaged"))
        );
        assert_eq!(told.count(), 2);
        // A master that was started again cannot know the input; it says which file is damaged.
        let again = world.lead(&world.process("m"), &mut TestMaster::new(world.tasks), || ());
        let error = again.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        assert!(error.path().unwrap().ends_with("0000000.in"), "{error}");
    }
}

#[test]
fn damaged_done_file_is_named() {
    let world = World::new(Place::LocalPower);
    world.finish();
    let path = "rounds/000000/0000000.done";
    let bytes = world.disk.bytes(path).unwrap();
    for at in (0..bytes.len() * 8).step_by(97) {
        let mut bytes = bytes.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        world.disk.plant(path, &bytes).unwrap();
        world.witness.close_eyes();
        let mut master = TestMaster::new(world.tasks);
        let error = world.lead(&world.process("m"), &mut master, || ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "bit {at}: {error}");
        assert!(master.got.is_empty());
    }
    world.disk.plant(path, &bytes).unwrap();
    world.end_well(0);
}

#[test]
fn foreign_names_are_ignored() {
    let world = World::new(Place::Network);
    world.publish();
    let foreign = [
        "rounds/x",
        "rounds/000000/notes.txt",
        "rounds/000000/0000000/.nfs000000000123",
        "rounds/000000/0000000/0000000.in~",
        "rounds/000000/0000000/0000000.lock",
        "rounds/000000/0000000/0000000.0.lock",
        "rounds/000000/0000000/0000000.out.bak",
        "rounds/000000/0000000/00000000.in",
        "workers/someone",
        "master.lock",
    ];
    for path in foreign {
        world.disk.plant(path, b"mine").unwrap();
    }
    let master = world.finish();
    assert_eq!(master.got.len(), 5);
    for path in foreign {
        assert_eq!(world.disk.bytes(path).as_deref(), Some(&b"mine"[..]), "{path}");
    }
}

/// A task that the shard does not hold was planted: nobody collects it.
#[test]
fn planted_input_beyond_the_shard_is_not_collected() {
    let world = World::new(Place::Network);
    world.publish();
    let input = world.disk.bytes(IN).unwrap();
    world
        .disk
        .plant("rounds/000000/0000000/0000777.in", &input)
        .unwrap();
    let master = world.finish();
    assert_eq!(master.got.len(), 5);
    assert!(lock(&world.notes).runs.iter().all(|run| run.task < 5));
}

#[test]
fn planted_lock_without_a_header_is_given_up() {
    for place in [Place::LocalPower, Place::Network] {
        let world = World::new(place);
        world.publish();
        world.disk.plant(LOCK, b"").unwrap();
        let garbage = vec![7; 100_000];
        world
            .disk
            .plant("rounds/000000/0000000/0000002.1.lock", &garbage)
            .unwrap();
        world.end_well(0);
        assert_eq!(world.events("Lost {"), 2);
    }
}

#[test]
fn planted_outcome_that_is_huge_is_put_aside() {
    let world = worked_off();
    let limit = world.open(&world.process("x")).unwrap().file_limit();
    let huge = vec![0; usize::try_from(limit).unwrap() + 1];
    world.disk.plant(OUT, &huge).unwrap();
    drop(huge);
    let master = world.finish();
    assert_eq!(world.events("Damaged {"), 1);
    assert_eq!(master.got.len(), 5);
}

#[test]
fn stop_file_of_an_earlier_store_is_ignored() {
    let earlier = World::new(Place::LocalPower);
    let store = earlier.open(&earlier.process("m")).unwrap();
    store.stop(How::Now, "the old run").unwrap();
    let text = earlier.disk.bytes("stop").unwrap();

    let world = World::new(Place::LocalPower);
    // In simulated time the ids of two stores would be the same.
    let _ = crate::clock::Random::new();
    world.publish();
    world.disk.plant("stop", &text).unwrap();
    let bench = Bench::new(&world, "w");
    assert_eq!(bench.store.stop_file().unwrap(), None);
    let summary = world.work(&world.process("w")).unwrap();
    assert_eq!((summary.ok, summary.stopped), (5, None));
    // One made by hand means what its name says.
    world.disk.plant("stop", b"").unwrap();
    assert_eq!(
        bench.store.stop_file().unwrap().map(|stop| stop.how),
        Some(How::Finish)
    );
    world.end_well(0);
}

#[test]
fn claim_after_cleaning_leaves_nothing() {
    let world = World::new(Place::Network);
    world.publish();
    let late = Bench::new(&world, "late");
    let master = world.finish();
    let gone = crate::store::Claim::of_input(
        &late.process.me,
        &late.dir,
        crate::name::Stem(0),
        crate::name::Attempt(1),
    );
    assert!(matches!(gone.unwrap(), crate::store::Claiming::Gone));
    world.check(&master, Expected { faults: 0, failed: 0 });
}

#[test]
fn outcome_that_comes_after_cleaning_is_gone() {
    for place in [Place::LocalPower, Place::Network, Place::NoLinks] {
        let world = World::new(place);
        world.publish();
        let holder = Bench::new(&world, "a");
        let claim = holder.claim(0, 1);
        world.unlink(&world.process("hand"), LOCK);
        let master = world.finish();
        assert_eq!(holder.publish(claim), Published::Gone);
        world.check(&master, Expected { faults: 0, failed: 0 });
    }
}
