//! Workers in the place of those whose time is up.

use serde_json::Value;

use super::pretended::Engines;
use crate::place::STORE;

#[test]
fn a_worker_whose_time_is_up_is_replaced_while_there_is_work_and_never_beyond_the_limit() {
    let engines = Engines::new();
    // The workers of this launch are always at the end of their time.
    engines.ok(&["launch", "slurm", STORE, "--time", "1m", "--until-done"]);
    let script = engines.0.read("engine/48213/read");
    assert!(script.contains("--relaunch 1"), "{script}");
    // The only task runs elsewhere, so workers find nothing to do until their time is up.
    let mut busy = engines.0.start(&["worker", STORE, "--poll", "5ms..50ms"]);
    engines.0.wait_for("running", 1);
    let limit = ["--time-limit", "300ms", "--grace", "100ms"];
    let worker = |number: &str| engines.ok(&[&["worker", STORE, "--relaunch", number], &limit[..]].concat());
    let said = worker("1");
    assert!(
        said.err.contains("replaced by launch 2, job 48214"),
        "{}",
        said.err
    );
    let record = engines.record(2);
    assert_eq!(
        (&record["parent"], &record["asked"]["workers"]),
        (&Value::from(1), &Value::from(1))
    );
    assert!(engines.0.read("engine/48214/read").contains("--relaunch 2"));
    // Replacements of replacements are of one family, with one limit: ten times the workers.
    for number in 2..=9 {
        let said = worker(&number.to_string());
        assert!(
            said.err.contains(&format!("replaced by launch {}", number + 1)),
            "{}",
            said.err
        );
    }
    assert_eq!(
        (engines.launched(), &engines.record(10)["first"]),
        (10, &Value::from(1))
    );
    let said = worker("10");
    assert!(
        said.err
            .contains("note: not replaced: 1 worker more would pass the limit of 10 workers"),
        "{}",
        said.err
    );
    assert_eq!(engines.launched(), 10);
    let status = engines.0.ok(&["status", STORE]).text();
    assert!(
        status.contains("1 workers asked for, 0 seen, 9 replaced"),
        "{status}"
    );

    // Another launch is not held up by that; once it was stopped nobody takes its place.
    engines.ok(&["launch", "slurm", STORE, "--time", "1m", "--until-done"]);
    engines.ok(&["launch", "slurm", STORE, "--stop"]);
    let said = worker("11");
    assert!(
        said.err.contains("not replaced: its launch was stopped"),
        "{}",
        said.err
    );
    engines.ok(&["launch", "slurm", STORE, "--time", "1m", "--until-done"]);
    engines.ok(&["launch", "slurm", STORE, "--time", "10h", "--until-done"]);
    let said = engines.ok(&["worker", STORE, "--idle-exit", "0s", "--relaunch", "13"]);
    assert!(
        !said.err.contains("replaced"),
        "it left long before its time was up: {}",
        said.err
    );
    engines.0.ok(&["stop", STORE]);
    let said = worker("12");
    assert!(
        !said.err.contains("replaced by"),
        "the store has stopped: {}",
        said.err
    );
    assert!(busy.runs());
    engines.0.write("go", "");
    engines.0.wait_for("ok", 1);
    let said = worker("12");
    assert!(
        !said.err.contains("replaced by"),
        "all tasks have ended: {}",
        said.err
    );
    assert_eq!(engines.launched(), 13);
}

#[test]
fn an_engine_that_fails_a_replacement_does_not_fail_the_worker() {
    let engines = Engines::new();
    engines.ok(&["launch", "sge", STORE, "--time", "1m", "--until-done"]);
    let _busy = engines.0.start(&["worker", STORE, "--poll", "5ms..50ms"]);
    engines.0.wait_for("running", 1);
    engines.0.write("engine/broken", "job rejected: no access\n");
    let said = engines.ok(&[
        "worker",
        STORE,
        "--relaunch",
        "1",
        "--time-limit",
        "300ms",
        "--grace",
        "100ms",
    ]);
    assert!(
        said.err
            .contains("note: not replaced: launch 2 was not submitted: qsub: job rejected"),
        "{}",
        said.err
    );
    let status = engines.0.ok(&["status", STORE]).text();
    assert!(
        !status.contains("replaced") && status.contains("failed: job rejected: no access"),
        "{status}"
    );
    let said = engines.ok(&[
        "worker",
        STORE,
        "--relaunch",
        "77",
        "--time-limit",
        "300ms",
        "--grace",
        "100ms",
    ]);
    assert!(said.err.contains("the store has no launch 77"), "{}", said.err);
}
