//! The machine of a worker dies, is cut off, or is suspended, and perhaps comes back.

use std::time::{Duration, Instant};

use crate::cost::Calls;
use crate::program::{Act, MasterOrder};
use crate::site::{LONG, Process, SERVER_LEASE, Site, runs_all, tasks};

/// A holder on client 1, and an idle worker on client 2 that watches it.
struct Pair {
    site: Site,
    master: Process,
    holder: Process,
    watcher: Process,
}

impl Pair {
    fn start(test: &str, version: &str, options: &str, lease: Duration) -> Option<Pair> {
        let mut site = Site::take(test, version, options)?;
        let order = MasterOrder {
            lease: Some(lease.as_secs()),
            ..tasks(1, Act::Wait)
        };
        let master = site.start_master(0, order);
        let holder = site.start_worker(1);
        site.wait_noted(&holder, "begin", LONG);
        let watcher = site.start_worker(2);
        site.wait_noted(&watcher, "event Idle", LONG);
        Some(Pair {
            site,
            master,
            holder,
            watcher,
        })
    }

    /// Waits until the watcher has tried locks so often.
    fn wait_tried(&mut self, times: u64) {
        let begun = Instant::now();
        // The first is that of its own file.
        while Calls::of(self.site.client(2)).named("LOCK") < 1 + times {
            assert!(begun.elapsed() < LONG, "the watcher tried no locks");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Waits until the attempt was given up and the watcher has begun another; returns how that was known.
    fn wait_lost(&self) -> String {
        self.site.wait_noted(&self.watcher, "begin 0000000 2", LONG);
        // The watcher, or the master, which watches too.
        self.site.lines("event Lost").concat()
    }

    /// All may go on; the task has one outcome.
    fn end(mut self, executions: usize) {
        self.site.open_gate();
        assert_eq!(self.master.good_end(), "master ok=1 failed=0 stopped=false");
        self.watcher.good_end();
        self.site.audit(2, 1);
        assert_eq!(self.site.executions()["0000000"], executions);
    }
}

/// The server drops the locks of a dead client when its lease is over: that is long before ours.
#[test]
fn task_of_a_machine_that_lost_its_power_is_back_within_the_servers_lease_v42() {
    let lease = Duration::from_secs(60);
    let Some(mut pair) = Pair::start("power", "4.2", "", lease) else {
        return;
    };
    pair.wait_tried(2);
    let killed = Instant::now();
    pair.site.client(1).kill().unwrap();
    let line = pair.wait_lost();
    println!(
        "  found after {:?}; the server's lease is {SERVER_LEASE:?}",
        killed.elapsed()
    );
    assert!(line.contains("lock is free"), "{line}");
    pair.end(2);
}

/// NFSv3 has no lease: the locks of a dead client stay until it boots again. Ours ends it.
#[test]
fn task_of_a_machine_that_lost_its_power_is_back_after_our_lease_v3() {
    let lease = Duration::from_secs(15);
    let Some(mut pair) = Pair::start("power", "3", "", lease) else {
        return;
    };
    let killed = Instant::now();
    pair.site.client(1).kill().unwrap();
    let line = pair.wait_lost();
    println!("  found after {:?}; our lease is {lease:?}", killed.elapsed());
    assert!(line.contains("no sign of life for the whole lease"), "{line}");
    pair.end(2);
}

/// Locks that are known to one client only say nothing about the others' workers.
#[test]
fn where_locks_do_not_reach_only_silence_counts_and_it_is_said_v3_nolock() {
    let lease = Duration::from_secs(15);
    let Some(mut pair) = Pair::start("nolock", "3", "nolock", lease) else {
        return;
    };
    pair.site
        .wait_noted(&pair.watcher, "event LocksDoNotReach { host: \"c2\" }", LONG);
    assert_eq!(pair.site.lines("event Lost"), Vec::<String>::new(), "it lives");
    pair.site.client(1).kill().unwrap();
    let line = pair.wait_lost();
    assert!(line.contains("no sign of life for the whole lease"), "{line}");
    pair.end(2);
}

#[test]
fn holder_that_was_cut_off_for_longer_than_its_lease_comes_back_after_its_twin_v42() {
    cut_off("4.2", true);
}

#[test]
fn holder_that_was_cut_off_for_longer_than_its_lease_comes_back_after_its_twin_v3() {
    if runs_all() {
        cut_off("3", true);
    }
}

#[test]
fn holder_that_was_cut_off_for_longer_than_its_lease_comes_back_before_its_twin_v42() {
    cut_off("4.2", false);
}

#[test]
fn holder_that_was_cut_off_for_longer_than_its_lease_comes_back_before_its_twin_v3() {
    if runs_all() {
        cut_off("3", false);
    }
}

fn cut_off(version: &str, twin_first: bool) {
    let test = if twin_first { "cut-twin" } else { "cut-holder" };
    let Some(mut pair) = Pair::start(test, version, "", Duration::from_secs(15)) else {
        return;
    };
    pair.site.client(1).set_cut_off(true);
    pair.wait_lost();
    let (first, second) = match twin_first {
        true => (&pair.watcher, &pair.holder),
        false => (&pair.holder, &pair.watcher),
    };
    if !twin_first {
        pair.site.rig().client(1).set_cut_off(false);
    }
    pair.site.open_gate_of(first);
    // The master collects what came first, and the run has ended for all.
    assert_eq!(pair.master.good_end(), "master ok=1 failed=0 stopped=false");
    if twin_first {
        pair.site.rig().client(1).set_cut_off(false);
    }
    pair.site.open_gate_of(second);
    let said = [first.good_end(), second.good_end()];
    assert_eq!(said[0], "worker ok=1 failed=0 discarded=0");
    // It was told that it is too late, or saw the end of the run before.
    assert!(said[1].starts_with("worker ok=0 failed=0"), "{said:?}");
    pair.site.audit(2, 1);
    assert_eq!(pair.site.executions()["0000000"], 2);
}

#[test]
fn machine_that_was_suspended_for_longer_than_the_lease_wakes_up_v42() {
    let Some(mut pair) = Pair::start("suspend", "4.2", "", Duration::from_secs(15)) else {
        return;
    };
    pair.site.client(1).suspend().unwrap();
    pair.wait_lost();
    pair.site.client(1).resume().unwrap();
    pair.site.open_gate_of(&pair.holder);
    // Its outcome is the first one: that it was given up does not matter.
    assert_eq!(pair.holder.good_end(), "worker ok=1 failed=0 discarded=0");
    pair.end(2);
}
