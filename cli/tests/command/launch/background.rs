//! Workers of this host, for real.

use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;

use super::GATED;
use crate::place::{Place, STORE, kill, lives, wait_until, wait_until_gone};

impl Place {
    /// The processes that a launch has started here.
    fn started(&self, number: u64) -> Vec<u32> {
        let notes = self.read(&format!("{STORE}/launch/{number:06}.job"));
        let pids = notes
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        pids.map(|note| u32::try_from(note["started"]["pid"].as_u64().unwrap()).unwrap())
            .collect()
    }

    fn logs(&self) -> String {
        let names = crate::place::names(&self.path(STORE).join("logs"));
        names
            .iter()
            .map(|name| format!("{name}: {}\n", self.read(&format!("{STORE}/logs/{name}"))))
            .collect()
    }
}

/// Kills what a test has left, whatever becomes of it.
struct Started(PathBuf);

impl Drop for Started {
    fn drop(&mut self) {
        let path = self.0.join(STORE).join("launch/000001.job");
        for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
            let note: Value = serde_json::from_str(line).unwrap_or_default();
            if let Some(pid) = note["started"]["pid"]
                .as_u64()
                .and_then(|pid| u32::try_from(pid).ok())
                && lives(pid)
            {
                kill(pid, Signal::KILL);
            }
        }
    }
}

/// Six tasks that wait for a gate.
fn submit_six(place: &Place) {
    place.ok(&[
        "submit",
        STORE,
        "--sweep",
        "a=1..6",
        "--backoff",
        "1ms..2ms",
        "--",
        "sh",
        "-c",
        GATED,
    ]);
}

#[test]
fn workers_of_this_host_go_on_alone_and_finish_whoever_is_killed() {
    let place = Place::new();
    let _started = Started(place.path(""));
    submit_six(&place);
    let said = place.ok(&["launch", "local", STORE, "-w", "3", "--", "--poll", "5ms..50ms"]);
    assert!(
        said.err.contains("launch 1: 3 workers in the background"),
        "{}",
        said.err
    );
    let pids = place.started(1);
    assert_eq!(pids.len(), 3, "{pids:?}");
    for pid in &pids {
        let pid = rustix::process::Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
        assert_eq!(
            rustix::process::getsid(Some(pid)),
            Ok(pid),
            "a session of its own"
        );
    }
    place.wait_for("running", 3);
    let status = place.json(&["status", STORE]);
    assert_eq!(
        (&status["launches"][0]["engine"], &status["launches"][0]["seen"]),
        (&"local".into(), &3.into()),
        "{status}"
    );
    kill(pids[0], Signal::KILL);
    wait_until_gone(pids[0]);
    let told = place.json(&["launch", "local", STORE, "--status"]);
    assert_eq!(
        (&told["launches"][0]["running"], &told["launches"][0]["state"]),
        (&2.into(), &"running".into()),
        "{told}"
    );
    place.write("go", "");
    place.wait_for("ok", 6);
    place.check_complete();
    place.ok(&["stop", STORE]);
    pids.iter().for_each(|pid| wait_until_gone(*pid));
    let told = place.json(&["launch", "local", STORE, "--status"]);
    assert_eq!(told["launches"][0]["state"], "ended", "{told}");
    let logs = place.logs();
    assert!(
        logs.contains("local-000001.2.log") && logs.contains(" ok"),
        "{logs}"
    );
}

#[test]
fn workers_of_this_host_are_told_to_leave_and_nobody_else() {
    let place = Place::new();
    let _started = Started(place.path(""));
    submit_six(&place);
    let mut other = place.start(&["worker", STORE, "--poll", "5ms..50ms"]);
    place.ok(&["launch", "local", STORE, "-w", "2", "--", "--poll", "5ms..50ms"]);
    place.wait_for("running", 3);
    let pids = place.started(1);
    let said = place.ok(&["launch", "local", STORE, "--stop"]);
    assert!(
        said.text().contains(&format!("TERM to {} {}", pids[0], pids[1])),
        "{}",
        said.text()
    );
    pids.iter().for_each(|pid| wait_until_gone(*pid));
    // Their tasks were given back, and whoever was not launched goes on.
    place.wait_for("running", 1);
    assert!(other.runs());
    let said = place.ok(&["launch", "local", STORE, "--stop"]);
    assert!(said.text().contains("2 had ended"), "{}", said.text());
    place.write("go", "");
    place.wait_for("ok", 6);
    place.check_complete();
    place.ok(&["stop", STORE]);
    assert_eq!(other.end().code, 0);
}

#[test]
fn a_worker_that_breaks_at_once_is_told_with_its_log() {
    let place = Place::new();
    let _started = Started(place.path(""));
    place.ok(&["submit", STORE, "--sweep", "a=1", "--", "sh", "-c", "true"]);
    // No worker can open the store.
    let json = format!("{STORE}/store.json");
    let text = place.read(&json);
    place.write(
        &json,
        text.replace("\"format\":1", "\"format\":99")
            .replace("\"format\": 1", "\"format\": 99"),
    );
    let said = place.run(&["launch", "local", STORE]);
    assert_eq!(said.code, 4, "nobody can: {}", said.err);
    assert!(!place.has(&format!("{STORE}/launch")));
    place.write(&json, text);
    // What a worker finds out by itself only.
    let said = place.run(&["launch", "local", STORE, "-w", "2", "--", "--offer-mem", "lots"]);
    let wait = || match said.code {
        7 => Ok(()),
        // It began, and ends now.
        _ => match place.json(&["launch", "local", STORE, "--status"])["launches"][0]["running"] == 0 {
            true => Ok(()),
            false => Err(place.logs()),
        },
    };
    wait_until("the workers to end", wait);
    assert!(
        place.logs().contains("error: --offer-mem \"lots\""),
        "{}",
        place.logs()
    );
}
