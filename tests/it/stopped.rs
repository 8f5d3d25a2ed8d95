//! Workers that are stopped for longer than the lease, and come back.

use std::time::Duration;

use rustix::process::Signal;

use crate::errands::{Act, Plan};
use crate::processes::{Process, Site, quick};

/// A run of waiting tasks in which the worker of the first was stopped, and given up.
struct Scene {
    site: Site,
    plan: Plan,
    master: Process,
    stopped: Process,
}

fn scene(tasks: u64) -> Scene {
    let site = Site::new(&quick().lease(Duration::from_secs(1)));
    let plan = Plan::new(tasks, Act::Wait { gates: site.gates() });
    let master = site.start_master(site.master(&plan));
    let stopped = site.start_worker(site.worker());
    site.wait_begun(&stopped, 1);
    stopped.signal(Signal::STOP);
    // Here only the master is there to notice.
    site.wait_event("Lost");
    Scene {
        site,
        plan,
        master,
        stopped,
    }
}

impl Scene {
    fn start_twin(&self, slots: u32) -> Process {
        let mut order = self.site.worker();
        order.slots = slots;
        let twin = self.site.start_worker(order);
        self.site.wait_begun(&twin, slots as usize);
        twin
    }

    fn ends_well(&mut self, executions: usize) {
        let report = self.master.good_report();
        assert_eq!(report.all_answers(), self.plan.answers(1));
        let audit = self.site.store().audit().unwrap();
        assert!(audit.is_complete() && audit.leftovers.is_empty(), "{audit:?}");
        assert_eq!(self.site.executions().values().flatten().count(), executions);
    }
}

#[test]
fn it_comes_back_alone_and_its_outcome_counts() {
    let mut scene = scene(1);
    scene.stopped.signal(Signal::CONT);
    scene.site.open_gate(1);
    let report = scene.stopped.good_report();
    assert_eq!((report.ok, report.discarded), (1, 0));
    scene.ends_well(1);
}

#[test]
fn it_comes_back_before_its_twin_has_ended_and_is_first() {
    let mut scene = scene(1);
    let mut twin = scene.start_twin(1);
    scene.stopped.signal(Signal::CONT);
    scene.site.open_gate_of(&scene.stopped);
    assert_eq!(scene.stopped.good_report().ok, 1);
    // The shard is cleaned under the twin.
    scene.ends_well(2);
    scene.site.open_gate_of(&twin);
    let report = twin.good_report();
    assert_eq!((report.ok, report.discarded), (0, 1));
}

#[test]
fn it_comes_back_when_its_twin_was_first_and_its_outcome_is_dropped() {
    // A second task keeps the shard open, so that both outcomes of the first meet in it.
    let mut scene = scene(2);
    let mut twin = scene.start_twin(2);
    scene.site.open_gate(2);
    scene.site.wait_ended(&twin, 1);
    scene.stopped.signal(Signal::CONT);
    scene.site.open_gate_of(&scene.stopped);
    scene.site.wait_event("Discarded");
    scene.site.open_gate(1);
    let (report, twin) = (scene.stopped.good_report(), twin.good_report());
    assert_eq!((report.ok, report.discarded), (0, 1));
    assert_eq!((twin.ok, twin.discarded), (2, 0));
    scene.ends_well(3);
}

#[test]
fn it_comes_back_after_cleaning_and_its_outcome_is_dropped() {
    let mut scene = scene(1);
    let mut twin = scene.start_twin(1);
    scene.site.open_gate_of(&twin);
    assert_eq!(twin.good_report().ok, 1);
    scene.ends_well(2);
    scene.stopped.signal(Signal::CONT);
    scene.site.open_gate_of(&scene.stopped);
    assert_eq!(scene.stopped.good_report().discarded, 1);
    let audit = scene.site.store().audit().unwrap();
    assert!(audit.is_complete() && audit.leftovers.is_empty(), "{audit:?}");
}
