//! People: lock files that they remove, clocks that they set, disks that they fill.

use std::time::{Duration, Instant};

use crate::program::{Act, MasterOrder};
use crate::site::{LONG, Site, runs_all, tasks};

#[test]
fn lock_removed_on_another_host_and_its_holder_is_first_v3() {
    if runs_all() {
        lock_removed("3", true);
    }
}

#[test]
fn lock_removed_on_another_host_and_its_holder_is_first_v42() {
    lock_removed("4.2", true);
}

#[test]
fn lock_removed_on_another_host_and_the_other_is_first_v3() {
    if runs_all() {
        lock_removed("3", false);
    }
}

#[test]
fn lock_removed_on_another_host_and_the_other_is_first_v42() {
    lock_removed("4.2", false);
}

fn lock_removed(version: &str, holder_first: bool) {
    let test = if holder_first { "rm-holder" } else { "rm-other" };
    let Some(mut site) = Site::take(test, version, "") else {
        return;
    };
    let master = site.start_master(0, tasks(1, Act::Wait));
    let holder = site.start_worker(1);
    site.wait_noted(&holder, "begin", LONG);
    let lock = format!("{}/rounds/000000/0000000/0000000.1.lock", site.store());
    site.client(2).run(&format!("rm {lock}")).unwrap();
    // It makes a file of the same name: what the holder has open is another one.
    let other = site.start_worker(2);
    site.wait_noted(&other, "begin 0000000 1", LONG);
    let (first, second) = if holder_first {
        (&holder, &other)
    } else {
        (&other, &holder)
    };
    site.open_gate_of(first);
    assert_eq!(master.good_end(), "master ok=1 failed=0 stopped=false");
    assert_eq!(first.good_end(), "worker ok=1 failed=0 discarded=0");
    site.open_gate_of(second);
    assert!(
        second.good_end().starts_with("worker ok=0 failed=0"),
        "{}",
        second.job.text()
    );
    site.audit(0, 1);
    assert_eq!(site.executions()["0000000"], 2);
}

/// Leases are measured by each observer's own clock since boot, and signs of life bear the server's time.
#[test]
fn clocks_an_hour_apart_give_nobody_up_v42() {
    let Some(mut site) = Site::take("clocks", "4.2", "") else {
        return;
    };
    let set = |shift: i64| format!("date -s @$(($(date +%s) + {shift}))");
    site.client(1).run(&set(3600)).unwrap();
    site.client(2).run(&set(-3600)).unwrap();
    let lease = Duration::from_secs(10);
    let order = MasterOrder {
        lease: Some(lease.as_secs()),
        ..tasks(2, Act::Wait)
    };
    let master = site.start_master(0, order);
    let holders = [site.start_worker(1), site.start_worker(2)];
    for holder in &holders {
        site.wait_noted(holder, "begin", LONG);
    }
    let watchers = [site.start_worker(1), site.start_worker(2)];
    for watcher in &watchers {
        site.wait_noted(watcher, "event Idle", LONG);
    }
    // In this time a wrong clock would do its harm; one of them jumps in the middle of it.
    std::thread::sleep(lease);
    site.client(2).run(&set(7200)).unwrap();
    std::thread::sleep(lease * 3 / 2);
    site.open_gate();
    assert_eq!(master.good_end(), "master ok=2 failed=0 stopped=false");
    for worker in holders.iter().chain(&watchers) {
        worker.good_end();
    }
    assert_eq!(site.lines("event Lost"), Vec::<String>::new());
    assert!(
        site.executions().values().all(|times| *times == 1),
        "{:?}",
        site.executions()
    );
    site.audit(0, 2);
    site.client(1).run(&set(-3600)).unwrap();
    site.client(2).run(&set(-3600)).unwrap();
}

#[test]
fn outcomes_for_which_there_is_no_space_are_kept_until_there_is_v3() {
    if runs_all() {
        full("3");
    }
}

#[test]
fn outcomes_for_which_there_is_no_space_are_kept_until_there_is_v42() {
    full("4.2");
}

fn full(version: &str) {
    let Some(mut site) = Site::take("full", version, "") else {
        return;
    };
    let master = site.start_master(0, tasks(3, Act::WaitAndFill(200_000)));
    let workers: Vec<_> = (0..3).map(|client| site.start_worker(client)).collect();
    for worker in &workers {
        site.wait_noted(worker, "begin", LONG);
    }
    let server = site.rig().server();
    // All of it, to the last block.
    server
        .run("free() { stat -f -c %f /disk; }; fallocate -l $(($(free) * $(stat -f -c %S /disk) - 500000)) /disk/filler; \
              dd if=/dev/zero of=/disk/filler2 bs=4096 2>/dev/null; sync; true")
        .unwrap();
    site.open_gate();
    for worker in &workers {
        site.wait_noted(worker, "event Parked", LONG);
    }
    let freed = Instant::now();
    site.rig()
        .server()
        .run("rm /disk/filler /disk/filler2; sync")
        .unwrap();
    assert_eq!(master.good_end(), "master ok=3 failed=0 stopped=false");
    println!(
        "  all outcomes were there {:?} after there was space again",
        freed.elapsed()
    );
    for worker in &workers {
        worker.good_end();
    }
    assert!(
        site.executions().values().all(|times| *times == 1),
        "{:?}",
        site.executions()
    );
    site.audit(1, 3);
}
