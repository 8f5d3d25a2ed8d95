//! Two masters of one store.

use rustix::process::Signal;

use crate::errands::{Act, Plan};
use crate::processes::{Site, quick};
use crate::wait::{LONG, wait_until};

#[test]
fn the_second_is_told_who_the_first_is_and_gets_in_once_that_is_killed() {
    let site = Site::new(&quick());
    let plan = Plan::new(5, Act::Wait { gates: site.gates() });
    let mut first = site.start_master(site.master(&plan));
    let worker = site.start_worker(site.worker());
    site.wait_begun(&worker, 1);
    for _ in 0..3 {
        let error = site.start_master(site.master(&plan)).report().error.unwrap();
        assert!(error.starts_with("MasterBusy: "), "{error}");
        assert!(error.contains(&format!("pid {})", first.pid())), "{error}");
    }
    // Also while it is stopped: nothing but its death, or silence seen from another host, ends it.
    first.signal(Signal::STOP);
    let error = site.start_master(site.master(&plan)).report().error.unwrap();
    assert!(error.starts_with("MasterBusy: "), "{error}");
    first.signal(Signal::CONT);
    first.kill();
    let mut second = site.start_master(site.master(&plan));
    site.open_gate(1);
    assert_eq!(second.good_report().all_answers(), plan.answers(1));
    assert!(site.executions().values().all(|runs| runs.len() == 1));
}

#[test]
fn of_many_that_start_at_once_one_gets_in() {
    let site = Site::new(&quick());
    let plan = Plan::new(3, Act::Wait { gates: site.gates() });
    let mut masters: Vec<_> = (0..8).map(|_| site.start_master(site.master(&plan))).collect();
    wait_until("the end of seven masters", LONG, || {
        let left = masters.iter_mut().filter_map(|master| master.has_ended()).count();
        if left == 7 { Ok(()) } else { Err(left) }
    });
    let _worker = site.start_worker(site.worker());
    site.open_gate(1);
    let reports: Vec<_> = masters.iter_mut().map(|master| master.report()).collect();
    let (got_in, busy): (Vec<_>, Vec<_>) = reports.iter().partition(|report| report.error.is_none());
    assert_eq!(got_in.len(), 1, "{reports:?}");
    assert_eq!(got_in[0].all_answers(), plan.answers(1));
    for report in busy {
        let error = report.error.as_deref().unwrap();
        assert!(error.starts_with("MasterBusy: "), "{error}");
    }
}
