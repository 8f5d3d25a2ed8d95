//! Lock files that a person removes while their holders run.

use std::fs;

use crate::errands::{Act, Plan};
use crate::processes::{Process, Site, files_of_shards, quick};

struct Scene {
    site: Site,
    plan: Plan,
    master: Process,
    holder: Option<Process>,
}

fn scene() -> Scene {
    let site = Site::new(&quick());
    let plan = Plan::new(1, Act::Wait { gates: site.gates() });
    let master = site.start_master(site.master(&plan));
    let holder = site.start_worker(site.worker());
    site.wait_begun(&holder, 1);
    for lock in files_of_shards(site.store_path(), "lock") {
        fs::remove_file(lock).unwrap();
    }
    Scene {
        site,
        plan,
        master,
        holder: Some(holder),
    }
}

impl Scene {
    fn start_second(&self) -> Process {
        let second = self.site.start_worker(self.site.worker());
        self.site.wait_begun(&second, 1);
        second
    }

    /// Lets one process end first, then the other; both have run the task.
    fn end(mut self, mut first: Process, mut then: Process) {
        self.site.open_gate_of(&first);
        let report = first.good_report();
        assert_eq!((report.ok, report.discarded), (1, 0));
        self.site.open_gate_of(&then);
        let report = then.good_report();
        assert_eq!((report.ok, report.discarded), (0, 1));
        ends_well(&self.site, &self.plan, &mut self.master);
    }
}

fn ends_well(site: &Site, plan: &Plan, master: &mut Process) {
    assert_eq!(master.good_report().all_answers(), plan.answers(1));
    let audit = site.store().audit().unwrap();
    assert!(audit.is_complete() && audit.leftovers.is_empty(), "{audit:?}");
}

#[test]
fn the_holder_publishes_without_its_lock_file() {
    let mut scene = scene();
    scene.site.open_gate(1);
    assert_eq!(scene.holder.take().unwrap().good_report().ok, 1);
    ends_well(&scene.site, &scene.plan, &mut scene.master);
    assert_eq!(scene.site.executions().values().flatten().count(), 1);
}

#[test]
fn a_second_worker_takes_the_task_and_the_holder_is_first() {
    let mut scene = scene();
    let second = scene.start_second();
    let holder = scene.holder.take().unwrap();
    scene.end(holder, second);
}

#[test]
fn a_second_worker_takes_the_task_and_is_first() {
    let mut scene = scene();
    let second = scene.start_second();
    let holder = scene.holder.take().unwrap();
    scene.end(second, holder);
}

#[test]
fn a_holder_that_is_killed_without_its_lock_file_leaves_the_task_to_others() {
    let mut scene = scene();
    scene.holder.take().unwrap().kill();
    let mut second = scene.start_second();
    scene.site.open_gate_of(&second);
    assert_eq!(second.good_report().ok, 1);
    ends_well(&scene.site, &scene.plan, &mut scene.master);
}
