//! A command that fails, hangs, or must not be tried again.

use serde_json::Value;

use crate::place::{Place, SOON, STORE, lives};

impl Place {
    /// Runs a command with `sh -c` for each of some values of `a`.
    fn run_sh(&self, values: &str, flags: &[&str], script: &str) -> crate::place::Said {
        let sweep = format!("a={values}");
        let line = ["run", STORE, "--sweep", &sweep, "-w", "1"];
        self.run(&[&line[..], &SOON, flags, &["--", "sh", "-c", script, "sh", "{a}"]].concat())
    }

    /// A row of the list of failed tasks, or of all.
    fn listed(&self) -> Vec<Value> {
        let document = self.json(&["ls", STORE]);
        document["tasks"].as_array().unwrap().clone()
    }
}

/// The causes and attempts of tasks.
fn causes(tasks: &[Value]) -> Vec<String> {
    tasks
        .iter()
        .map(|task| format!("{} {} {}", task["state"], task["attempt"], task["note"]))
        .collect()
}

#[test]
fn a_task_is_tried_as_often_as_was_asked_for_and_then_has_failed() {
    let place = Place::new();
    let script = "echo x >> $FLOCKWORK_HERE/tries.$1; echo why $FLOCKWORK_ATTEMPT >&2; \
                  [ $1 = 2 ] && [ $FLOCKWORK_ATTEMPT = 3 ] && exit 0; exit 4$1";
    let said = place.run_sh("1,2", &["--retries", "2"], script);
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(said.counts(), "2 tasks: 1 ok (1 after a retry), 1 failed");
    assert_eq!(
        causes(&place.listed()),
        ["\"failed\" 3 \"exit 41 \\\"why 3\\\"\"", "\"ok\" 3 \"\""]
    );
    for name in ["tries.1", "tries.2"] {
        assert_eq!(place.read(name).lines().count(), 3, "{name}");
    }
    place.check_complete();
}

#[test]
fn exit_codes_decide_whether_a_task_is_tried_again() {
    let script = "echo x >> $FLOCKWORK_HERE/tries.$1; exit $1";
    for (flag, once, thrice) in [("--no-retry-on", "3,4", "5"), ("--retry-on", "5,6", "6")] {
        let place = Place::new();
        let codes = if flag == "--retry-on" { thrice } else { once };
        let values = format!("{once},{thrice}");
        // With --retry-on 6 a 5 is not in the list.
        let said = place.run_sh(
            &values.replace("5,6,6", "5,6"),
            &["--retries", "2", flag, codes],
            script,
        );
        assert_eq!(said.code, 1, "{}", said.err);
        for value in values.replace("5,6,6", "5,6").split(',') {
            let tries = place.read(&format!("tries.{value}")).lines().count();
            let expected = if value == thrice { 3 } else { 1 };
            assert_eq!(tries, expected, "{flag} {codes}: exit {value}");
        }
    }
}

#[test]
fn a_command_that_ignores_the_end_is_killed_with_its_children() {
    let place = Place::new();
    let script =
        "trap '' TERM; (trap '' TERM; echo begun >&2; sleep 600) & echo $! > $FLOCKWORK_HERE/child; wait";
    let said = place.run_sh(
        "1",
        &["--retries", "0", "--timeout", "300ms", "--kill-after", "200ms"],
        script,
    );
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(said.counts(), "1 task: 0 ok, 1 timed out");
    let child = place.read("child").trim().parse().unwrap();
    assert!(!lives(child), "the child {child} lives");
    assert_eq!(
        causes(&place.listed()),
        ["\"failed\" 1 \"over the timeout of 300ms\""]
    );
    assert_eq!(place.ok(&["logs", STORE, "0", "--stderr"]).err, "begun\n");
}

#[test]
fn a_command_that_is_killed_is_named_with_its_signal() {
    let place = Place::new();
    let said = place.run_sh("1", &["--retries", "0", "-o", "r.csv"], "kill -SEGV $$");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("killed by signal 11 (SEGV)"), "{}", said.err);
    assert!(
        place.read("r.failed.csv").contains(",failed,,11,"),
        "{}",
        place.read("r.failed.csv")
    );
}

#[test]
fn a_program_that_went_away_is_told_for_each_task() {
    let place = Place::new();
    place.write_program("gone.sh", "#!/bin/sh\n");
    place.ok(&[
        "submit",
        STORE,
        "--sweep",
        "a=1",
        "--retries",
        "0",
        "--",
        "./gone.sh",
        "{a}",
    ]);
    std::fs::remove_file(place.path("gone.sh")).unwrap();
    let said = place.run(&["run", STORE, "-w", "1"]);
    assert_eq!(said.code, 1);
    insta::assert_snapshot!(place.masked(&said.err));
}

#[test]
fn a_run_stops_when_so_many_tasks_have_failed() {
    for (flags, least) in [(&["--max-failures", "3"][..], 3), (&["--fail-fast"], 1)] {
        let place = Place::new();
        let flags = [&["--retries", "0"], flags].concat();
        let said = place.run_sh("1..200", &flags, "sleep 0.05; exit 1");
        assert_eq!(said.code, 3, "{}", said.err);
        assert!(said.err.contains("stopped ("), "{}", said.err);
        let status = place.json(&["status", STORE]);
        let (failed, waiting) = (
            status["failed"].as_u64().unwrap(),
            status["waiting"].as_u64().unwrap(),
        );
        assert!(failed >= least && waiting > 0, "{status}");
        // The next goes on, and stops again.
        let said = place.run(&["run", STORE, "-w", "1"]);
        assert_eq!(said.code, 3, "{}", said.err);
    }
}
