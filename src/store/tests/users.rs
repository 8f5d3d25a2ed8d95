//! Lock files of other users: in directories of a group, and in sticky ones.

use std::time::Duration;

use super::check::Expected;
use super::world::{Act, PATIENT, Place, Proc, ShowLog, TestMaster, World, answer, input_of};
use crate::outcome::FailureKind;
use crate::wait::lock;
use std::sync::Arc;

const PLACES: [Place; 2] = [Place::LocalPower, Place::Network];

/// A worker of another user, who let nobody else open its files, was killed in each of its first `kills` attempts.
fn killed(world: &World, kills: u32) {
    let act: Act = Arc::new(|_, _, process: &Proc| {
        process.sim.crash();
        Err("killed".into())
    });
    for _ in 0..kills {
        let dead = world.process("dead");
        dead.sim.belongs_to(7, true);
        let _ = world.work_with(&dead, PATIENT, Arc::clone(&act));
        assert!(dead.sim.is_crashed());
    }
}

#[test]
fn lock_that_cannot_be_opened_is_given_up_when_it_is_silent() {
    for place in PLACES {
        let world = World::with(place, |config| config.tail(0.0));
        world.publish();
        killed(&world, 1);
        world.end_well(1);
        assert_eq!(world.events("Lost {"), 1);
    }
}

#[test]
fn attempts_of_which_nothing_can_be_read_have_failed_and_end_no_master() {
    for place in PLACES {
        let mut world = World::with(place, |config| config.tail(0.0).retries(0));
        world.idle = PATIENT;
        world.publish();
        killed(&world, 1);
        let master = world.finish();
        let failed: Vec<_> = master
            .got
            .iter()
            .filter_map(|got| got.result.as_ref().err())
            .collect();
        assert!(
            !failed.is_empty() && failed.iter().all(|it| it.kind == FailureKind::Lost),
            "{failed:?}"
        );
        world.check(
            &master,
            Expected {
                faults: 1,
                failed: failed.len() as u64,
            },
        );
    }
}

/// A third user is the master of a sticky directory: nothing can be removed, and all is collected.
#[test]
fn what_cannot_be_removed_in_a_sticky_directory_stays_and_harms_nobody() {
    for place in PLACES {
        let world = World::new(place);
        world.publish();
        world.disk.set_sticky(true);
        let worker = world.process("w");
        worker.sim.belongs_to(7, false);
        world.work(&worker).unwrap();
        for _ in 0..2 {
            let (third, mut master) = (world.process("m"), TestMaster::new(world.tasks));
            third.sim.belongs_to(5, false);
            let _log = ShowLog(third.clone(), format!("{place:?}"));
            let inner = world.clone();
            let work = move || drop(inner.work(&inner.process("w")).unwrap());
            world.lead(&third, &mut master, work).unwrap();
            assert_eq!(master.got.len(), 5);
            assert!(world.events("cannot clean shard") > 0);
        }
        assert!(world.leftovers(false).len() > 5);
        // The owner of the directories cleans up.
        world.end_well(0);
        assert!(
            lock(&world.notes)
                .runs
                .iter()
                .all(|run| run.worker == worker.me.id.as_str())
        );
    }
}

/// Attempts that end in sticky directories end by a new name, whoever made the lock.
#[test]
fn worker_of_another_user_in_a_sticky_directory_is_given_up() {
    let world = World::with(Place::Network, |config| config.tail(0.0));
    world.publish();
    world.disk.set_sticky(true);
    killed(&world, 1);
    let other = world.process("w");
    other.sim.belongs_to(5, false);
    let act: Act = Arc::new(|input, _, _| Ok(answer(input)));
    let summary = world.work_with(&other, Duration::from_secs(120), act).unwrap();
    assert_eq!(summary.ok, 5, "{:?} and the others", input_of(0));
    world.end_well(1);
}
