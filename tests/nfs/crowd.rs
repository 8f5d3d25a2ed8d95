//! Many workers on many clients: each task is run once.

use std::time::Instant;

use crate::program::Act;
use crate::site::{Site, runs_all, tasks};

#[test]
fn twelve_workers_on_three_clients_run_two_thousand_tasks_once_each_v3() {
    crowd("3", "");
}

#[test]
fn twelve_workers_on_three_clients_run_two_thousand_tasks_once_each_v42() {
    crowd("4.2", "");
}

#[test]
fn twelve_workers_on_three_clients_run_two_thousand_tasks_once_each_v3_noac() {
    if runs_all() {
        crowd("3", "noac");
    }
}

#[test]
fn twelve_workers_on_three_clients_run_two_thousand_tasks_once_each_v42_noac() {
    if runs_all() {
        crowd("4.2", "noac");
    }
}

fn crowd(version: &str, options: &str) {
    const TASKS: u64 = 2000;
    let Some(mut site) = Site::take("crowd", version, options) else {
        return;
    };
    let begun = Instant::now();
    let master = site.start_master(0, tasks(TASKS, Act::Work(0)));
    let workers: Vec<_> = (0..12).map(|number| site.start_worker(number % 3)).collect();
    assert_eq!(
        master.good_end(),
        format!("master ok={TASKS} failed=0 stopped=false")
    );
    for worker in &workers {
        worker.good_end();
    }
    let took = begun.elapsed();
    let executions = site.executions();
    let again: Vec<_> = executions.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!((executions.len() as u64, again), (TASKS, vec![]));
    assert_eq!(site.lines("event Lost"), Vec::<String>::new());
    site.audit(1, TASKS);
    println!(
        "  {:.0} tasks a second with the start of all processes",
        TASKS as f64 / took.as_secs_f64()
    );
}
