//! The file server is restarted in the middle of a run.

use std::time::Instant;

use crate::program::Act;
use crate::site::{LONG, Site, tasks};

#[test]
fn server_restarted_in_the_middle_v3() {
    restart("3");
}

#[test]
fn server_restarted_in_the_middle_v42() {
    restart("4.2");
}

/// Its power is cut, so what it had acknowledged is all that counts; clients wait, and ask again.
fn restart(version: &str) {
    const TASKS: u64 = 400;
    let Some(mut site) = Site::take("restart", version, "") else {
        return;
    };
    let master = site.start_master(0, tasks(TASKS, Act::Work(20)));
    let workers: Vec<_> = (0..4).map(|number| site.start_worker(1 + number % 2)).collect();
    for worker in &workers {
        site.wait_noted(worker, "end", LONG);
    }
    let begun = Instant::now();
    site.rig().server().kill().unwrap();
    site.rig().server().start().unwrap();
    println!("  the server was away for {:?}", begun.elapsed());
    assert_eq!(
        master.good_end(),
        format!("master ok={TASKS} failed=0 stopped=false")
    );
    for worker in &workers {
        worker.good_end();
    }
    let executions = site.executions();
    let again = executions.values().filter(|times| **times > 1).count();
    println!("  {again} tasks were run again");
    assert_eq!(executions.len() as u64, TASKS);
    // Four workers had at most one attempt each of which an answer could be lost.
    assert!(again <= 4, "{again} tasks were run again");
    site.audit(0, TASKS);
}
