//! From a table to its results, at once and with each verb apart.

use std::collections::BTreeMap;

use crate::place::{Place, STORE};

const TABLE: &str = "alpha|name\n0.1|one\n0.2|two\n0.3|three, \"and\" more\n";
/// Says a result, and fails for one of the rows.
const PROGRAM: &str =
    "#!/bin/sh\necho \"energy=-$1\"\nif [ \"$2\" = two ]; then echo 'no luck' >&2; exit 3; fi\n";

/// A place with the table and the program.
fn place() -> Place {
    let place = Place::new();
    place.write("t.txt", TABLE);
    place.write_program("sim.sh", PROGRAM);
    place
}

/// The rows of a table of results without the columns that differ from run to run; the headline too.
fn rows(text: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    let records = reader.records().map(Result::unwrap);
    records
        .map(|record| {
            let cells: Vec<_> = record.iter().collect();
            let [first @ .., host, seconds, _attempt] = cells.as_slice() else {
                panic!("too few columns: {cells:?}");
            };
            assert!(!host.is_empty(), "{cells:?}");
            assert!(
                *seconds == "seconds" || seconds.parse::<f64>().is_ok(),
                "{cells:?}"
            );
            first.join(" | ")
        })
        .collect()
}

#[test]
fn a_run_writes_the_results_and_those_that_failed_and_goes_on_when_rows_are_added() {
    let place = place();
    let run = |table: &str| {
        let line = [
            "run",
            STORE,
            "--params",
            table,
            "-w",
            "2",
            "--retries",
            "0",
            "-o",
            "results.csv",
        ];
        place.run(&[&line[..], &["--", "./sim.sh", "{alpha}", "{name}"]].concat())
    };
    let first = run("t.txt");
    assert_eq!((first.code, first.text().as_str()), (1, ""), "{}", first.err);
    assert_eq!(first.counts(), "3 tasks: 2 ok, 1 failed");
    insta::assert_snapshot!("run", place.masked(&first.err));
    assert_eq!(
        rows(&place.read("results.csv")),
        [
            "task | alpha | name | energy",
            "0000000 | 0.1 | one | -0.1",
            "0000002 | 0.3 | three, \"and\" more | -0.3",
        ]
    );
    let failed = place.read("failed.csv");
    let mut failed = csv::Reader::from_reader(failed.as_bytes());
    let failed: Vec<BTreeMap<String, String>> = failed.deserialize().map(Result::unwrap).collect();
    assert_eq!(failed.len(), 1);
    for (name, value) in [
        ("task", "0000001"),
        ("alpha", "0.2"),
        ("name", "two"),
        ("state", "failed"),
        ("exit", "3"),
        ("signal", ""),
        ("attempt", "1"),
        ("cause", "exit 3 \"no luck\""),
        ("stderr", "no luck"),
    ] {
        assert_eq!(failed[0][name], value, "{name}");
    }

    let again = run("t.txt");
    assert_eq!((again.code, again.counts()), (1, first.counts()), "{}", again.err);
    assert!(
        again.err.contains("3 tasks are there already, none is new"),
        "{}",
        again.err
    );

    place.write("t.txt", format!("{TABLE}0.4|four\n0.5|five\n"));
    let more = run("t.txt");
    assert_eq!(
        (more.code, more.counts().as_str()),
        (1, "5 tasks: 4 ok, 1 failed"),
        "{}",
        more.err
    );
    assert!(
        more.err
            .contains("2 tasks from t.txt (alpha, name), now 5 in all"),
        "{}",
        more.err
    );
    assert_eq!(rows(&place.read("results.csv")).len(), 5);
    // The old ones were not done again.
    for line in place.text_of_attempts() {
        assert!(line.ends_with(" 1"), "{line}");
    }
    place.check_complete();
}

impl Place {
    /// The number of the attempts of each task.
    fn text_of_attempts(&self) -> Vec<String> {
        let list = self.ok(&["ls", STORE, "--format", "jsonl"]).text();
        let lines = list
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines
            .map(|line| format!("{} {}", line["task"], line["attempt"]))
            .collect()
    }
}

#[test]
fn a_run_of_which_all_is_ok_ends_with_0_and_leaves_no_failed_csv() {
    let place = Place::new();
    let said = place.ok(&[
        "run",
        STORE,
        "--sweep",
        "a=1..4",
        "-w",
        "1",
        "-o",
        "out/../r.csv",
        "--",
        "echo",
        "{a}",
    ]
    .map(|word| if word == "out/../r.csv" { "r.csv" } else { word }));
    assert_eq!(said.counts(), "4 tasks: 4 ok");
    assert_eq!(place.names(), ["r.csv", STORE]);
    let again = place.ok(&["run", STORE]);
    assert_eq!(again.counts(), "4 tasks: 4 ok");
    assert!(
        !again.err.contains("local worker"),
        "nothing is left to do: {}",
        again.err
    );
}

#[test]
fn workers_alone_bring_a_sweep_to_its_end() {
    let place = place();
    let submit = [
        "submit", STORE, "--params", "t.txt", "--", "./sim.sh", "{alpha}", "x",
    ];
    let said = place.ok(&submit);
    assert_eq!(said.text(), "");
    let early = place.run(&["collect", STORE, "-o", "early.csv"]);
    assert_eq!(early.code, 1);
    insta::assert_snapshot!("collect_early", early.err);
    assert!(!place.has("early.csv"));

    let workers = [(); 2].map(|()| place.start(&["worker", STORE, "--poll", "5ms..50ms"]));
    for worker in workers {
        let said = worker.end();
        assert_eq!(said.code, 0, "{}", said.err);
    }
    // Nobody but the workers was there, and all is done.
    let status = place.json(&["status", STORE]);
    assert_eq!(
        (&status["state"], &status["ok"]),
        (&"done".into(), &3.into()),
        "{status}"
    );
    let waited = place.ok(&["wait", STORE, "--collect", "waited.jsonl"]);
    assert_eq!(waited.counts(), "3 tasks: 3 ok");
    assert_eq!(place.read("waited.jsonl").lines().count(), 3);
    place.ok(&["collect", STORE, "-o", "r.csv"]);
    assert_eq!(rows(&place.read("r.csv")).len(), 4);
    let said = place.ok(&submit);
    assert!(said.err.contains("none is new"), "{}", said.err);
    place.check_complete();
}

#[test]
fn a_wait_that_is_too_short_ends_with_6_and_one_that_is_long_enough_with_0() {
    let place = Place::new();
    place.ok(&["submit", STORE, "--sweep", "a=1..2", "--", "echo", "{a}"]);
    let short = place.run(&["wait", STORE, "--timeout", "50ms"]);
    assert_eq!(short.code, 6, "{}", short.err);
    assert!(
        short.err.contains("waited 50ms; the workers go on"),
        "{}",
        short.err
    );
    let wait = place.start(&["wait", STORE]);
    place.ok(&["worker", STORE, "--poll", "5ms..50ms"]);
    let said = wait.end();
    assert_eq!(
        (said.code, said.counts().as_str()),
        (0, "2 tasks: 2 ok"),
        "{}",
        said.err
    );
}

#[test]
fn a_run_that_is_told_to_stop_ends_with_3_and_the_next_goes_on() {
    let place = Place::new();
    let command = "sleep 0.05; echo x >> $FLOCKWORK_HERE/done";
    let line = [
        "submit", STORE, "--sweep", "a=1..100", "--lease", "1s", "--", "sh", "-c", command,
    ];
    place.ok(&line);
    let run = place.start(&["run", STORE, "-w", "2"]);
    place.wait_for_file("done");
    place.ok(&["stop", STORE, "--why", "lunch"]);
    let said = run.end();
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("stopped (lunch), with "), "{}", said.err);
    let status = place.json(&["status", STORE]);
    let done = place.read("done").lines().count();
    assert_eq!(
        (&status["running"], &status["ok"]),
        (&0.into(), &done.into()),
        "what ran was finished: {status}"
    );
    let said = place.ok(&["run", STORE, "-w", "2"]);
    assert_eq!(said.counts(), "100 tasks: 100 ok");
    assert_eq!(place.read("done").lines().count(), 100, "each ran once");
    place.check_complete();
}

#[test]
fn a_store_that_is_not_there_is_told_with_4() {
    let place = Place::new();
    for line in [
        &["status", STORE][..],
        &["wait", STORE],
        &["collect", STORE],
        &["ls", STORE],
        &["show", STORE, "1"],
        &["logs", STORE, "1"],
        &["explain", STORE, "1"],
        &["workers", STORE],
        &["retry", STORE],
        &["cancel", STORE, "--all"],
        &["pause", STORE],
        &["resume", STORE],
        &["stop", STORE],
        &["reclaim", STORE],
        &["clean", STORE, "--yes"],
        &["audit", STORE],
        &["worker", STORE, "--idle-exit", "10ms"],
    ] {
        let said = place.run(line);
        assert_eq!(
            (said.code, said.text().as_str()),
            (4, ""),
            "{line:?}: {}",
            said.err
        );
        assert!(
            said.err.contains("error: there is no store at s.flock"),
            "{line:?}: {}",
            said.err
        );
        assert!(said.err.contains("\nhint: "), "{line:?}: {}", said.err);
    }
    assert!(place.names().is_empty(), "{:?}", place.names());
}
