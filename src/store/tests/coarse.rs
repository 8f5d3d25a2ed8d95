//! Change times of the file server that are coarse: what is made in the tick of a listing is in no listing of a client that
//! keeps names.

use std::time::Duration;

use super::check::Expected;
use super::world::{Place, ShowLog, TestMaster, World};

/// So many waits are minutes; without coarse change times a run needs five.
const PATIENCE: u32 = 300;

/// Runs a master and, whenever it waits, a worker of another host, on a server whose change times have this tick.
fn run_with_coarse_change_times(tick: Duration, shift: Duration, forgets: bool) {
    let world = World::new(Place::Network);
    world.disk.set_coarse(Some(tick));
    world.disk.forget_kept_names(forgets);
    world.disk.advance(shift);
    let (process, inner) = (world.process("m"), world.clone());
    let _log = ShowLog(process.clone(), format!("tick {tick:?}, shift {shift:?}"));
    let (mut master, mut waits) = (TestMaster::new(world.tasks), 0);
    let ended = world.lead(&process, &mut master, move || {
        waits += 1;
        assert!(waits < PATIENCE, "the master waits for ever");
        inner.work(&inner.process("w")).unwrap();
    });
    ended.unwrap();
    world.disk.set_coarse(None);
    world.check(&master, Expected { faults: 0, failed: 0 });
}

#[test]
fn coarse_change_times_keep_nobody_waiting() {
    for tick in [10, 100, 1000].map(Duration::from_millis) {
        for part in 0..4 {
            run_with_coarse_change_times(tick, tick * part / 4, true);
        }
    }
}

/// Without the rule of the real disk; so the test above is able to fail.
#[test]
#[should_panic(expected = "the master waits for ever")]
fn kept_names_that_are_not_forgotten_keep_the_master_waiting() {
    for part in 0..4 {
        let tick = Duration::from_secs(1);
        run_with_coarse_change_times(tick, tick * part / 4, false);
    }
}
