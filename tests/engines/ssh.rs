//! `launch ssh` on real hosts: what fails is named, the others go on, and whatever dies the table is whole.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::site::{Knob, Site, ok};
use crate::wait::{LONG, wait_until};

/// The shared directory is one file system of one kernel, so locks reach: the lease is for hosts that are cut off.
const LEASE: &str = "6s";

/// Each run of a task adds a line to a file of its own, so that what ran how often is known whatever the store says.
fn submit(site: &Site, store: &str, tasks: u32) {
    let script = "echo x >>runs/$1; sleep 0.2; echo square=$(($1 * $1))";
    let rows = format!("n=1..{tasks}");
    site.sh("head", "mkdir -p runs");
    let words = [
        "submit",
        store,
        "--network",
        "--lease",
        LEASE,
        "--sweep",
        &rows,
        "--cwd",
        ".",
        "--",
    ];
    ok(site
        .command("flockwork")
        .args(words)
        .args(["sh", "-c", script, "sh", "{n}"]));
}

/// The program, where only the head has it: hosts have homes of their own.
fn only_here(site: &Site) -> String {
    let path = site.sh("head", "cp \"$(command -v flockwork)\" ~/fw; echo ~/fw");
    path.trim().to_owned()
}

fn json(site: &Site, words: &[&str]) -> (i32, Value, String) {
    let output = site
        .command("flockwork")
        .args(words)
        .args(["--format", "json"])
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{words:?}: {error}: {}{err}",
            String::from_utf8_lossy(&output.stdout)
        )
    });
    (output.status.code().unwrap(), value, err)
}

/// A column of the hosts' table.
fn column(table: &Value, name: &str) -> BTreeMap<String, String> {
    let rows = table["hosts"].as_array().unwrap().iter();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(row, "host"), text(row, name))).collect()
}

fn ended(site: &Site, store: &str) -> u64 {
    json(site, &["status", store]).1["ok"].as_u64().unwrap()
}

/// Checks that the results are those of each number, and that no task ran more often than `more` times beyond once in all.
fn check(site: &Site, store: &str, tasks: u32, more: u32) {
    ok(site
        .command("flockwork")
        .args(["wait", store, "--timeout", "3m", "--collect", "results.csv"]));
    let (_, audit, _) = json(site, &["audit", store]);
    assert_eq!(audit["verdict"], "complete", "{audit}");
    let table = std::fs::read_to_string(site.shared().join("results.csv")).unwrap();
    for (line, n) in table.lines().skip(1).zip(1..) {
        let cells: Vec<_> = line.split(',').collect();
        assert_eq!(cells[1..3], [n.to_string(), (n * n).to_string()], "{line}");
    }
    assert_eq!(table.lines().count() as u32, tasks + 1, "{table}");
    let runs = site.sh("head", "cat runs/* | wc -l");
    let runs: u32 = runs.trim().parse().unwrap();
    assert!(
        (tasks..=tasks + more).contains(&runs),
        "{runs} runs of {tasks} tasks"
    );
}

#[test]
fn hosts_that_fail_are_named_and_the_sweep_ends_although_one_loses_its_power() {
    let knobs = [
        ("h2", Knob::NoLogin),
        ("h3", Knob::OtherKey),
        ("h4", Knob::NoSshd),
        ("h5", Knob::FullHome),
        ("h6", Knob::SharedHome),
        ("h7", Knob::SharedHome),
    ];
    let Some(site) = Site::with(9, &knobs) else { return };
    site.cut("h8");
    let program = only_here(&site);
    submit(&site, "s.flock", 120);
    let words = [
        "launch",
        "ssh",
        "s.flock",
        "-n",
        "h[1-9],nowhere",
        "--slots",
        "2",
        "--program",
        &program,
        "--connect-timeout",
        "3s",
    ];
    let (code, table, err) = json(&site, &words);
    assert_eq!(code, 1, "{err}");
    let codes = column(&table, "code");
    let codes: Vec<_> = codes
        .iter()
        .map(|(host, code)| (host.as_str(), code.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            ("h1", ""),
            ("h2", "not-authorised"),
            ("h3", "host-key-changed"),
            ("h4", "refused"),
            ("h5", "failed-there"),
            ("h6", ""),
            ("h7", ""),
            ("h8", "timeout"),
            ("h9", ""),
            ("nowhere", "unknown-host"),
        ],
        "{err}"
    );
    assert!(
        column(&table, "reason")["h5"].contains("No space left"),
        "{table}"
    );
    assert!(err.contains("4 workers up with 8 slots on h[1,6-7,9]"), "{err}");
    // Two hosts with one home: one copy, whole.
    let copies = site.sh("h6", "ls ~/.cache/flockwork");
    assert_eq!(copies.lines().count(), 1, "{copies}");
    assert!(err.contains("copied to 3 hosts"), "{err}");
    wait_until("some tasks", LONG, || {
        (ended(&site, "s.flock") >= 10).then_some(())
    });
    site.kill("h1");
    check(&site, "s.flock", 120, 2);
}

#[test]
fn a_worker_outlives_the_connection_is_cut_off_and_sent_away() {
    let Some(site) = Site::new(3) else { return };
    submit(&site, "s.flock", 100_000);
    let words = ["launch", "ssh", "s.flock", "-n", "h[1-3]", "--slots", "1"];
    let (code, _, err) = json(&site, &words);
    assert_eq!(code, 0, "{err}");
    assert!(!err.contains("copied"), "all hosts have the program: {err}");
    wait_until("some tasks", LONG, || {
        (ended(&site, "s.flock") >= 5).then_some(())
    });
    let (_, table, err) = json(&site, &["launch", "ssh", "s.flock", "--status"]);
    assert!(
        column(&table, "state").values().all(|state| state == "up"),
        "{table}{err}"
    );
    let (_, status, _) = json(&site, &["status", "s.flock"]);
    assert!(status.to_string().contains("ssh 1 h2"), "{status}");
    // Its cable says nothing of its disk: it works on, and only cannot be asked.
    site.cut("h2");
    let asked = ["launch", "ssh", "s.flock", "--status", "--connect-timeout", "2s"];
    let (code, table, _) = json(&site, &asked);
    assert_eq!(
        (code, column(&table, "state")["h2"].as_str()),
        (1, "unknown"),
        "{table}"
    );
    site.heal("h2");
    let (code, table, err) = json(&site, &["launch", "ssh", "s.flock", "--stop"]);
    assert_eq!(code, 0, "{table}{err}");
    assert!(
        column(&table, "state").values().all(|state| state == "left"),
        "{table}"
    );
    for host in ["h1", "h2", "h3"] {
        let left = site.sh(host, "ps ax -o args | grep '[f]lockwork worker' || true");
        assert_eq!(left, "", "{host}");
    }
    let (_, audit, _) = json(&site, &["audit", "s.flock"]);
    assert_eq!(audit["verdict"], "sound", "{audit}");
}
