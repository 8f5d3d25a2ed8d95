//! New attempts, cancelling, pauses and stops.

use serde_json::Value;

use crate::place::{Place, STORE, wait_until};

/// Waits until a file with its parameter's name is there; fails if it is empty.
const GATED: &str = "echo x >> $FLOCKWORK_HERE/tries.$FLOCKWORK_a; \
                     until [ -e $FLOCKWORK_HERE/go.$FLOCKWORK_a ] || [ -e $FLOCKWORK_HERE/go ]; do sleep 0.02; done; \
                     echo $FLOCKWORK_a";

impl Place {
    fn states(&self) -> Vec<String> {
        let document = self.json(&["ls", STORE, "--limit", "0"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        document["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| text(&task["state"]))
            .collect()
    }

    fn tries(&self, name: &str) -> usize {
        std::fs::read_to_string(self.path(&format!("tries.{name}")))
            .unwrap_or_default()
            .lines()
            .count()
    }
}

#[test]
fn only_what_failed_is_done_again_and_nothing_is_typed_again() {
    let place = Place::new();
    let script = "echo x >> $FLOCKWORK_HERE/tries.$1; [ -e $FLOCKWORK_HERE/fixed ] || [ $1 -lt 3 ]";
    let line = [
        "run",
        STORE,
        "--sweep",
        "a=1..4",
        "-w",
        "2",
        "--retries",
        "0",
        "-o",
        "r.csv",
        "--",
        "sh",
        "-c",
    ];
    let said = place.run(&[&line[..], &[script, "sh", "{a}"]].concat());
    assert_eq!(
        (said.code, said.counts().as_str()),
        (1, "4 tasks: 2 ok, 2 failed"),
        "{}",
        said.err
    );
    assert!(place.has("r.failed.csv"));
    place.write("fixed", "");
    let said = place.ok(&["retry", STORE]);
    insta::assert_snapshot!("retry", said.err);
    assert_eq!(place.states(), ["ok", "ok", "waiting", "waiting"]);
    let said = place.ok(&["run", STORE, "-w", "2", "-o", "r.csv"]);
    assert_eq!(said.counts(), "4 tasks: 4 ok (2 after a retry)");
    assert_eq!(["1", "2", "3", "4"].map(|name| place.tries(name)), [1, 1, 2, 2]);
    assert_eq!(place.read("r.csv").lines().count(), 5);
    assert!(!place.has("r.failed.csv"), "none has failed any more");
    let said = place.ok(&["retry", STORE]);
    assert!(said.err.contains("0 tasks again"), "{}", said.err);
    let said = place.run(&["retry", STORE, "--task", "1,99"]);
    assert_eq!(said.code, 1, "{}", said.err);
    place.check_complete();
}

#[test]
fn a_new_attempt_may_take_longer() {
    let place = Place::new();
    let line = [
        "run",
        STORE,
        "--sweep",
        "a=1..2",
        "-w",
        "1",
        "--retries",
        "0",
        "--timeout",
        "200ms",
        "--",
    ];
    let script = "[ -e $FLOCKWORK_HERE/soon ] || sleep 60; sleep 0.4; echo done";
    let said = place.run(&[&line[..], &["sh", "-c", script]].concat());
    assert_eq!(
        (said.code, said.counts().as_str()),
        (1, "2 tasks: 0 ok, 2 timed out"),
        "{}",
        said.err
    );
    place.write("soon", "");
    place.ok(&["retry", STORE, "--task", "0", "--set", "timeout=1m"]);
    place.ok(&["retry", STORE, "-m", "a=2"]);
    let said = place.run(&["run", STORE, "-w", "1"]);
    assert_eq!(
        (said.code, place.states()),
        (1, vec!["ok".to_owned(), "failed".to_owned()]),
        "{}",
        said.err
    );
    for (setting, text) in [("timeout=soon", "--set"), ("colour=red", "no such setting")] {
        let said = place.run(&["retry", STORE, "--set", setting]);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.err.contains(text), "{}", said.err);
    }
}

#[test]
fn what_waits_and_what_runs_can_be_cancelled() {
    let place = Place::new();
    let line = [
        "submit",
        STORE,
        "--sweep",
        "a=1..3000",
        "--durability",
        "process",
        "--lease",
        "2s",
        "--",
        "sh",
        "-c",
        GATED,
    ];
    place.ok(&line);
    let run = place.start(&["run", STORE, "-w", "1", "--poll", "5ms..50ms", "--quiet"]);
    place.wait_for("running", 1);
    let running = place.json(&["ls", STORE, "-s", "running"]);
    let running: u64 = running["tasks"][0]["task"].as_str().unwrap().parse().unwrap();
    let status = place.json(&["status", STORE]);
    assert_eq!(status["tasks"], 3_000, "{status}");
    let said = place.ok(&["cancel", STORE, "--task", &running.to_string(), "--why", "no use"]);
    assert!(
        said.err.contains("1 task cancelled: 0 waiting, 1 running"),
        "{}",
        said.err
    );
    // The worker goes on with another.
    place.wait_for("failed", 1);
    place.wait_for("running", 1);
    let said = place.ok(&["cancel", STORE, "--task", "2990..2998"]);
    assert!(
        said.err.contains("9 tasks cancelled: 9 waiting, 0 running"),
        "{}",
        said.err
    );
    let said = place.ok(&["cancel", STORE, "--all", "--why", "wrong inputs"]);
    assert!(said.err.contains(" tasks cancelled: "), "{}", said.err);
    assert!(
        said.err.ends_with(" running (these end within 0.4s)\n"),
        "{}",
        said.err
    );
    let said = run.end();
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(said.counts(), "3,000 tasks: 0 ok, 3,000 cancelled");
    let began = place
        .names()
        .into_iter()
        .filter(|name| name.starts_with("tries."))
        .count();
    // It takes a while to mark them all; what begins meanwhile is ended.
    assert!(began < 20, "{began} have begun");
    let audit = place.check_complete();
    assert_eq!(audit["failed"], 3_000, "{audit}");
}

#[test]
fn what_is_not_published_yet_can_be_cancelled_and_granted_new_attempts() {
    let place = Place::new();
    place.write("go", "");
    place.ok(&["submit", STORE, "--sweep", "a=1..3", "--", "sh", "-c", GATED]);
    // Nothing is published yet.
    let said = place.ok(&["cancel", STORE, "--task", "1"]);
    assert!(
        said.err.contains("1 task cancelled: 1 waiting, 0 running"),
        "{}",
        said.err
    );
    let said = place.run(&["run", STORE, "-w", "1"]);
    assert_eq!(
        (said.code, said.counts().as_str()),
        (1, "3 tasks: 2 ok, 1 cancelled"),
        "{}",
        said.err
    );
    assert_eq!([1, 2, 3].map(|a: u32| place.tries(&a.to_string())), [1, 0, 1]);
    place.ok(&["retry", STORE]);
    let said = place.ok(&["run", STORE, "-w", "1"]);
    assert!(said.counts().starts_with("3 tasks: 3 ok"), "{}", said.err);
    assert_eq!(place.tries("2"), 1);
    let said = place.run(&["cancel", STORE]);
    assert_eq!(said.code, 2, "{}", said.err);
    let said = place.run(&["cancel", STORE, "--all", "--task", "1"]);
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn nothing_is_begun_in_a_pause_and_all_goes_on_after_it() {
    let place = Place::new();
    let line = [
        "submit", STORE, "--sweep", "a=1..60", "--lease", "1s", "--", "sleep", "0.05",
    ];
    place.ok(&line);
    let run = place.start(&["run", STORE, "-w", "1"]);
    place.wait_for("running", 1);
    place.ok(&["pause", STORE, "--why", "disk is full"]);
    let status = place.ok(&["status", STORE]).text();
    assert!(status.contains("disk is full"), "{status}");
    // What runs is finished, and nothing comes after it.
    let mut quiet = 0;
    wait_until("nothing to run any more", || {
        let status = place.json(&["status", STORE]);
        quiet = if status["running"] == 0 { quiet + 1 } else { 0 };
        if quiet == 20 {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    let waiting = place.json(&["ls", STORE, "-s", "waiting"]);
    let task = waiting["tasks"][0]["task"]
        .as_str()
        .expect("some wait")
        .to_owned();
    let explained = place.ok(&["explain", STORE, &task]).text();
    assert!(
        explained.contains("disk is full") && explained.contains("resume"),
        "{explained}"
    );
    place.ok(&["resume", STORE]);
    let said = run.end();
    assert_eq!(
        (said.code, said.counts().as_str()),
        (0, "60 tasks: 60 ok"),
        "{}",
        said.err
    );
    place.check_complete();
}

#[test]
fn a_stop_at_once_gives_back_what_runs() {
    let place = Place::new();
    place.ok(&[
        "submit", STORE, "--sweep", "a=1..3", "--lease", "2s", "--", "sh", "-c", GATED,
    ]);
    let worker = place.start(&["worker", STORE, "--poll", "5ms..20ms", "--grace", "1s"]);
    place.wait_for("running", 1);
    place.ok(&["stop", STORE, "--now", "--why", "wrong inputs"]);
    let said = worker.end();
    assert_eq!(said.code, 0, "{}", said.err);
    let status = place.json(&["status", STORE]);
    assert_eq!(
        (&status["running"], &status["waiting"], &status["failed"]),
        (&0.into(), &3.into(), &0.into())
    );
    place.write("go", "");
    let said = place.ok(&["run", STORE, "-w", "2"]);
    assert!(said.counts().starts_with("3 tasks: 3 ok"), "{}", said.err);
}
