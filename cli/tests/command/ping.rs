use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::place::{LONG, Place, STORE, kill, names};

/// The state of each worker, in their order.
fn states(table: &Value) -> Vec<&str> {
    let rows = table["workers"].as_array().unwrap().iter();
    rows.map(|row| row["state"].as_str().unwrap()).collect()
}

#[test]
fn workers_answer_whether_idle_or_busy_and_dead_ones_are_not_waited_for() {
    let place = Place::new();
    // One task that runs as long as the test, so one worker is busy and the others idle. Heartbeats come each 0.4 s.
    place.ok(&[
        "submit",
        STORE,
        "--lease",
        "2s",
        "--sweep",
        "n=1",
        "--",
        "sh",
        "-c",
        "while [ ! -e done ]; do sleep 0.05; done",
    ]);
    let workers: Vec<_> = (0..3)
        .map(|_| place.start(&["worker", STORE, "--idle-exit", "5m"]))
        .collect();
    place.wait_for("running", 1);
    crate::place::wait_until("three workers", || {
        let status = place.json(&["status", STORE]);
        let count = names(&place.path(STORE).join("workers")).len();
        if count == 3 {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    let limit = format!("{}s", LONG.as_secs());
    let table = place.json(&["ping", STORE, "--timeout", &limit]);
    assert_eq!(states(&table), ["answers"; 3], "{table}");
    for row in table["workers"].as_array().unwrap() {
        let (seen, written) = (
            row["seen_after"].as_f64().unwrap(),
            row["answered_after"].as_f64().unwrap(),
        );
        assert!(
            seen >= 0.0 && written >= 0.0 && seen < LONG.as_secs_f64(),
            "{row}"
        );
    }
    assert!(
        names(&place.path(STORE))
            .iter()
            .all(|name| !name.starts_with("ping.")),
        "the ping is left over"
    );
    // Who is stopped does not answer, and who was killed is not waited for.
    kill(workers[0].pid(), Signal::KILL);
    kill(workers[1].pid(), Signal::STOP);
    let said = place.run(&["ping", STORE, "--timeout", "1s", "--format", "json"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let table: Value = serde_json::from_slice(&said.out).unwrap();
    let mut found = states(&table);
    found.sort_unstable();
    assert_eq!(found, ["answers", "lost", "silent"], "{table}");
    kill(workers[1].pid(), Signal::CONT);
    assert_eq!(place.json(&["audit", STORE])["verdict"], "sound");
}

#[test]
fn where_nobody_works_the_code_says_so_and_old_pings_are_removed() {
    let place = Place::new();
    place.ok(&["submit", STORE, "--sweep", "n=1", "--", "true"]);
    let store = place.path(STORE);
    std::fs::write(store.join("ping.1000.7"), "").unwrap();
    std::fs::write(store.join("ping.x"), "a person's file").unwrap();
    let begun = std::time::Instant::now();
    let said = place.run(&["ping", STORE]);
    assert_eq!(
        (said.code, said.text().contains("answers")),
        (7, false),
        "{}",
        said.err
    );
    assert!(begun.elapsed() < Duration::from_secs(70), "it waited for nobody");
    let left: Vec<_> = names(&store)
        .into_iter()
        .filter(|name| name.starts_with("ping"))
        .collect();
    assert_eq!(left, ["ping.x"]);
}
