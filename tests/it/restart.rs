//! A master that is killed at every step, and started again until it gets through.

use crate::errands::{Act, Plan};
use crate::processes::{Report, Site, quick};
use crate::wait::wait_until;

/// Kills the master at its first event, the next at its second, and so on; returns the report of the one that got
/// through, and how many did not.
fn get_through(site: &Site, plan: &Plan, batch: u32) -> (Report, u64) {
    for kills in 0.. {
        let mut order = site.master(plan);
        (order.batch, order.shard, order.dies_at_event) = (batch, 3, Some(kills + 1));
        let mut master = site.start_master(order);
        let status = master.ended();
        if status.success() {
            return (master.good_report(), kills);
        }
        // Killed by itself, and not by an error of its own.
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "{}",
            master.last_words()
        );
    }
    unreachable!("some master gets through")
}

fn run(plan: &Plan, batch: u32) {
    let site = Site::new(&quick());
    let mut worker = site.start_worker(site.worker());
    let (report, kills) = get_through(&site, plan, batch);
    assert_eq!(report.all_answers(), plan.answers(plan.rounds));
    assert!(kills > plan.tasks, "{kills} masters were killed");
    // No input was created twice, or lost: each was run once, although the masters came and went.
    let executions = site.executions();
    assert_eq!(executions.len() as u64, plan.tasks * u64::from(plan.rounds));
    assert!(executions.values().all(|runs| runs.len() == 1), "{executions:?}");
    assert_eq!(worker.good_report().ok, plan.tasks * u64::from(plan.rounds));
    let audit = site.store().audit().unwrap();
    assert!(audit.is_complete() && audit.leftovers.is_empty(), "{audit:?}");
    assert_eq!(audit.ok, plan.tasks * u64::from(plan.rounds));
}

#[test]
fn it_gets_through_in_one_round() {
    run(&Plan::new(14, Act::Nothing), 1);
}

#[test]
fn it_gets_through_when_rounds_depend_on_the_outcomes_before() {
    run(&Plan::new(8, Act::Nothing).rounds(4), 1);
}

#[test]
fn it_gets_through_with_batches() {
    run(&Plan::new(11, Act::Nothing).rounds(2), 2);
}

#[test]
fn what_was_done_before_the_first_outcome_was_collected_is_kept() {
    let site = Site::new(&quick());
    let plan = Plan::new(40, Act::Nothing);
    let mut order = site.master(&plan);
    // The first event says that nothing is published yet, the second that all is.
    order.dies_at_event = Some(2);
    site.start_master(order).ended();
    let mut worker = site.start_worker(site.worker());
    wait_until("all outcomes", crate::wait::LONG, || {
        let status = site.store().status().unwrap();
        if status.ok() == 40 { Ok(()) } else { Err(status) }
    });
    let report = site.start_master(site.master(&plan)).good_report();
    assert_eq!(report.all_answers(), plan.answers(1));
    assert_eq!(worker.good_report().ok, 40);
}
