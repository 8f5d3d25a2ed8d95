//! The verbs that read, on a store that has ended and on one that runs.

use serde_json::Value;

use crate::place::{Place, STORE, wait_until};

/// Two are ok, one has failed after two attempts, and each has said something.
fn ended() -> Place {
    let place = Place::new();
    place.write("t.txt", "alpha|name\n0.1|one\n0.2|two\n0.3|three\n");
    let script = "echo out $1; echo err $1 >&2; [ $1 = two ] && exit 3; echo energy=$FLOCKWORK_alpha";
    let line = [
        "run",
        STORE,
        "--params",
        "t.txt",
        "-w",
        "1",
        "--retries",
        "1",
        "--backoff",
        "1ms..2ms",
        "--",
    ];
    let said = place.run(&[&line[..], &["sh", "-c", script, "sh", "{name}"]].concat());
    assert_eq!(said.code, 1, "{}", said.err);
    place
}

/// One runs until it may go on, and two wait.
fn running() -> (Place, crate::place::Running) {
    let place = Place::new();
    let script = "echo begun $FLOCKWORK_a; until [ -e $FLOCKWORK_HERE/go ]; do sleep 0.02; done; echo ended";
    let line = ["submit", STORE, "--sweep", "a=1..3", "--", "sh", "-c", script];
    place.ok(&line);
    let worker = place.start(&["worker", STORE, "--poll", "5ms..50ms", "--quiet"]);
    place.wait_for("running", 1);
    (place, worker)
}

const VERBS: [(&str, &[&str], &str); 6] = [
    ("status", &[], "flockwork.status/1"),
    ("ls", &[], "flockwork.tasks/1"),
    ("show", &["1"], "flockwork.task/1"),
    ("explain", &["1"], "flockwork.explain/1"),
    ("workers", &[], "flockwork.workers/1"),
    ("audit", &[], "flockwork.audit/1"),
];

#[test]
fn a_store_that_has_ended_is_shown_to_people() {
    let place = ended();
    let mut texts = Vec::new();
    for (verb, more, _) in VERBS {
        let said = place.ok(&[&[verb, STORE], more].concat());
        assert_eq!(said.err, "", "{verb}");
        texts.push(format!(
            "$ {verb} {}\n{}",
            more.join(" "),
            place.masked(&said.text())
        ));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_store_that_runs_is_shown_to_people() {
    let (place, worker) = running();
    let list = place.json(&["ls", STORE]);
    let states: Vec<&str> = list["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["state"].as_str().unwrap())
        .collect();
    assert_eq!(
        states.iter().filter(|state| **state == "running").count(),
        1,
        "{list}"
    );
    let running = states
        .iter()
        .position(|state| *state == "running")
        .unwrap()
        .to_string();
    let waiting = states.iter().position(|state| *state == "waiting").unwrap();
    let status = place.ok(&["status", STORE]).text();
    assert!(status.starts_with("s.flock   running"), "{status}");
    assert!(
        status.contains("running 1") && status.contains("of 3"),
        "{status}"
    );
    let explained = place.ok(&["explain", STORE, &running]).text();
    let pid = worker.pid().to_string();
    assert!(explained.contains(&pid), "the holder {pid} is named: {explained}");
    let explained = place.ok(&["explain", STORE, &waiting.to_string()]).text();
    assert!(explained.contains("waiting"), "{explained}");
    let workers = place.json(&["workers", STORE]);
    assert_eq!(workers["workers"].as_array().map(Vec::len), Some(1), "{workers}");
    // What it has written so far is there while it runs.
    wait_until("the output of what runs", || {
        let said = place.run(&["logs", STORE, &running]);
        if said.text().starts_with("begun ") {
            Ok(())
        } else {
            Err(said.text() + &said.err)
        }
    });
    place.write("go", "");
    assert_eq!(worker.end().code, 0);
    place.check_complete();
}

#[test]
fn every_document_has_its_schema() {
    let (runs, worker) = running();
    for place in [&ended(), &runs] {
        for (verb, more, schema) in VERBS {
            let line = [&[verb, STORE], more].concat();
            let document = place.json(&line);
            assert_eq!(document["schema"], schema, "{verb}: {document}");
            if verb == "audit" {
                continue;
            }
            let lines = place.ok(&[&line[..], &["--format", "jsonl"]].concat()).text();
            assert!(!lines.is_empty(), "{verb}");
            for line in lines.lines() {
                let object: Value =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{verb}: {error}: {line}"));
                assert!(object.is_object(), "{verb}: {line}");
            }
            let table = place.ok(&[&line[..], &["--format", "csv"]].concat()).text();
            let mut reader = csv::Reader::from_reader(table.as_bytes());
            assert!(reader.records().all(|record| record.is_ok()), "{verb}: {table}");
        }
    }
    runs.write("go", "");
    drop(worker.end());
    let place = ended();
    assert_eq!(place.json(&["doctor", "."])["schema"], "flockwork.doctor/1");
    assert_eq!(place.json(&["retry", STORE])["schema"], "flockwork.retry/1");
}

#[test]
fn logs_are_what_the_task_has_written() {
    let place = ended();
    for (task, name, rest) in [
        ("0", "one", "energy=0.1\n"),
        ("1", "two", ""),
        ("0000002", "three", "energy=0.3\n"),
    ] {
        let (out, err) = (format!("out {name}\n{rest}"), format!("err {name}\n"));
        let both = place.ok(&["logs", STORE, task]);
        assert_eq!((both.text(), both.err), (out.clone(), err.clone()));
        let only = place.ok(&["logs", STORE, task, "--stdout"]);
        assert_eq!((only.text(), only.err.as_str()), (out, ""));
        let only = place.ok(&["logs", STORE, task, "--stderr"]);
        assert_eq!((only.text().as_str(), only.err), ("", err));
    }
    let first = place.ok(&["logs", STORE, "1", "--attempt", "1"]);
    assert_eq!(
        (first.text().as_str(), first.err.as_str()),
        ("out two\n", "err two\n")
    );
    let said = place.run(&["logs", STORE, "1", "--attempt", "7"]);
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn lists_are_filtered_sorted_and_cut() {
    let place = ended();
    let tasks = |more: &[&str]| -> Vec<String> {
        let text = place
            .ok(&[&["ls", STORE, "--format", "plain"], more].concat())
            .text();
        text.lines()
            .map(|line| line.split('\t').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(tasks(&[]), ["0000000", "0000001", "0000002"]);
    assert_eq!(tasks(&["-s", "failed"]), ["0000001"]);
    assert_eq!(
        tasks(&["-s", "ok,failed", "-m", "alpha=0.[23]", "-m", "name=t*"]),
        ["0000001", "0000002"]
    );
    assert_eq!(tasks(&["--sort", "attempts", "--limit", "1"]), ["0000001"]);
    let cut = place.ok(&["ls", STORE, "--limit", "2"]);
    assert!(
        (cut.text() + &cut.err).contains("2 of 3"),
        "{}{}",
        cut.text(),
        cut.err
    );
}

#[test]
fn there_is_colour_if_it_is_asked_for_and_none_in_a_file() {
    let place = ended();
    let plain = place.ok(&["status", STORE]).text();
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let colour = place.ok(&["status", STORE, "--color", "always"]).text();
    assert!(colour.contains('\u{1b}'), "{colour:?}");
}
