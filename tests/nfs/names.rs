//! New names: seen within one poll interval, whatever the clients' caches hold.

use std::time::{Duration, Instant};

use crate::program::{Act, MasterOrder, Role};
use crate::site::{LONG, Site, tasks};

/// What is in a directory is cached until its time of change moves, and on NFSv3 that is a clock of some milliseconds: a
/// name that is made in the same tick as the one before, with a listing in between, stays invisible to whoever listed.
#[test]
fn names_made_within_one_tick_of_the_servers_clock_are_found_v3() {
    const TASKS: u32 = 30;
    let Some(mut site) = Site::take("ticks", "3", "") else {
        return;
    };
    let role = || Role::Worker {
        slots: TASKS,
        idle_exit: 600,
    };
    let master = site.start_master(0, tasks(u64::from(TASKS), Act::Wait));
    let holder = site.start(1, role(), Some((20, 20)));
    for number in 0..TASKS {
        site.wait_noted(&holder, &format!("begin {number:07} 1"), LONG);
    }
    let other = site.start(2, role(), Some((20, 20)));
    site.wait_noted(&other, "event Idle", LONG);
    // It lists every 20 ms. The last of these names, all made within a few milliseconds, is a marker that frees a task,
    // and nothing else happens to the directory until the task was taken.
    for number in 0..TASKS {
        let shard = site.store().replace("/mnt/nfs", "/export") + "/rounds/000000/0000000";
        let script =
            format!("cd {shard}; for n in 1 2 3 4 5 6 7 8; do : >x{number}.$n; done; : >{number:07}.1.back");
        site.rig().server().run(&script).unwrap();
        site.wait_noted(&other, &format!("begin {number:07} 2"), Duration::from_secs(30));
    }
    site.open_gate();
    assert_eq!(
        master.good_end(),
        format!("master ok={TASKS} failed=0 stopped=false")
    );
    for worker in [&holder, &other] {
        worker.good_end();
    }
    site.audit(2, u64::from(TASKS));
}

/// A name that was asked for by itself while it was missing stays invisible for up to a minute; in a fresh listing it is
/// there at once. A round is a chain of such names: shards, locks, outcomes, done files.
#[test]
fn rounds_follow_each_other_without_waiting_for_caches_v42() {
    rounds("rounds", "4.2", 50, 1);
}

#[test]
fn three_rounds_with_the_master_on_another_client_v3() {
    rounds("three", "3", 3, 60);
}

#[test]
fn three_rounds_with_the_master_on_another_client_v42() {
    rounds("three", "4.2", 3, 60);
}

/// Each round is made from all the answers of the one before.
fn rounds(test: &str, version: &str, rounds: u32, number: u64) {
    let Some(mut site) = Site::take(test, version, "") else {
        return;
    };
    let order = MasterOrder {
        rounds,
        ..tasks(number, Act::Work(0))
    };
    let begun = Instant::now();
    let master = site.start_master(2, order);
    let workers = [site.start_worker(0), site.start_worker(1)];
    let all = u64::from(rounds) * number;
    assert_eq!(
        master.good_end(),
        format!("master ok={all} failed=0 stopped=false")
    );
    for worker in &workers {
        worker.good_end();
    }
    println!(
        "  {:.2} s a round",
        begun.elapsed().as_secs_f64() / f64::from(rounds)
    );
    assert_eq!(site.executions().values().sum::<usize>() as u64, all);
    site.audit(0, all);
}
