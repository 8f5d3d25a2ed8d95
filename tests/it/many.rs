//! Many workers and many tasks: each is run exactly once.

use crate::errands::{Act, Plan};
use crate::processes::{Site, quick};

fn run(workers: usize, slots: u32, batch: u32, tasks: u64) {
    let site = Site::new(&quick());
    let plan = Plan::new(tasks, Act::Nothing);
    let mut order = site.master(&plan);
    (order.batch, order.shard, order.window) = (batch, 512, 8);
    let mut master = site.start_master(order);
    let mut all: Vec<_> = (0..workers)
        .map(|_| {
            let mut order = site.worker();
            order.slots = slots;
            site.start_worker(order)
        })
        .collect();
    let report = master.good_report();
    assert_eq!(report.all_answers(), plan.answers(1));
    let mut ok = 0;
    for worker in &mut all {
        let report = worker.good_report();
        assert_eq!((report.failed, report.discarded, report.given_back), (0, 0, 0));
        ok += report.ok;
    }
    assert_eq!(ok, tasks);
    let executions = site.executions();
    assert_eq!(executions.len() as u64, tasks);
    for (task, runs) in &executions {
        assert_eq!(runs.len(), 1, "{task}: {runs:?}");
        assert_eq!(
            (runs[0].attempt, runs[0].ended.as_deref()),
            (1, Some("end")),
            "{task}"
        );
    }
    let audit = site.store().audit().unwrap();
    assert!(audit.is_complete(), "{audit:?}");
    assert_eq!((audit.tasks, audit.ok, audit.failed), (tasks, tasks, 0));
    assert!(audit.leftovers.is_empty(), "{audit:?}");
}

#[test]
fn thirty_two_workers_run_twenty_thousand_tasks_once_each() {
    run(32, 1, 1, 20_000);
}

#[test]
fn batches_and_slots_change_nothing_about_it() {
    run(8, 4, 37, 20_000);
}
