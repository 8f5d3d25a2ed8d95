//! Submitting to an engine, asking it and ending its jobs; what it refuses.

use std::process::Command;

use serde_json::Value;

use super::pretended::Engines;
use crate::place::{Running, STORE, Said, wait_until};

/// The engine's name, the command that submits, the command that ends.
const ALL: [(&str, &str, &str); 3] = [
    ("slurm", "sbatch", "scancel"),
    ("condor", "condor_submit", "condor_rm"),
    ("sge", "qsub", "qdel"),
];

#[test]
fn each_engine_gets_the_submit_file_that_is_recorded_first_and_its_job_is_recorded() {
    for (engine, _, ends) in ALL {
        let engines = Engines::new();
        let mut command = engines.command(&["launch", engine, STORE, "-w", "2", "--time", "2h", "--force"]);
        command
            .env("FLOCKWORK_JOB", "mine")
            .env("SLURM_JOB_ID", "1")
            .env("SLURM_CONF", "/etc/x");
        let said = Running::start(command).end();
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(
            said.err.contains("launch 1: 2 workers submitted to") && said.err.contains("job 48213"),
            "{}",
            said.err
        );
        let record = engines.record(1);
        assert_eq!(
            (&record["engine"], &record["number"]),
            (&Value::from(engine), &Value::from(1))
        );
        assert_eq!(
            record["text"].as_str().unwrap(),
            engines.0.read("engine/48213/read")
        );
        let printed = engines.ok(&[
            "launch", engine, STORE, "-w", "2", "--time", "2h", "--force", "--print",
        ]);
        assert_eq!(
            printed.text(),
            engines.0.read("engine/48213/read"),
            "the same as by hand"
        );
        assert!(!engines.0.has("engine/48214"), "--print starts nothing");
        // Of our own job nothing reaches the next one.
        let env = engines.0.read("engine/48213/env");
        assert!(
            !env.contains("FLOCKWORK_JOB") && !env.contains("SLURM_JOB_ID") && env.contains("SLURM_CONF"),
            "{env}"
        );
        assert!(engines.0.has(&format!("{STORE}/logs")));

        let told = engines.json(&["launch", engine, STORE, "--status"]);
        let launch = &told["launches"][0];
        assert_eq!(
            (&launch["job"], &launch["state"]),
            (&Value::from("48213"), &Value::from("running")),
            "{told}"
        );
        assert_eq!(launch["running"], 1, "{told}");
        let not_yet = launch["waiting"].as_u64().unwrap() + launch["other"].as_u64().unwrap();
        assert!(not_yet > 0, "{told}");
        let status = engines.json(&["status", STORE]);
        assert_eq!(
            (&status["launches"][0]["job"], &status["launches"][0]["workers"]),
            (&"48213".into(), &2.into())
        );
        let status = engines.ok(&["status", STORE]).text();
        assert!(
            status.contains(&format!("1 {engine} job 48213"))
                && status.contains("2 workers asked for, 0 seen"),
            "{status}"
        );

        // Only what is recorded is ended.
        engines.0.write("engine/queue/7", "");
        let said = engines.ok(&["launch", engine, STORE, "--stop"]);
        assert!(
            said.text().contains(&format!("ended with {ends}")),
            "{}",
            said.text()
        );
        assert_eq!(engines.0.read("engine/ended"), format!("{ends} 48213\n"));
        let said = engines.ok(&["launch", engine, STORE, "--stop"]);
        assert!(said.text().contains("has ended before"), "{}", said.text());
        assert_eq!(
            engines.json(&["launch", engine, STORE, "--status"])["launches"][0]["state"],
            "stopped"
        );
        // Neither who checks a store nor who cleans it minds.
        assert_eq!(
            engines.0.json(&["audit", STORE])["leftovers"],
            Value::from(Vec::<String>::new())
        );
        engines.0.ok(&["clean", STORE, "--yes", "--older", "0s", "--all"]);
        assert_eq!(engines.launched(), 2);
    }
}

#[test]
fn launches_at_once_never_pass_the_limit_together() {
    let engines = Engines::new();
    let words = ["launch", "slurm", STORE, "-w", "3", "--max-submissions", "10"];
    let running: Vec<Running> = (0..8).map(|_| Running::start(engines.command(&words))).collect();
    let said: Vec<Said> = running.into_iter().map(Running::end).collect();
    let codes: Vec<i32> = said.iter().map(|said| said.code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 3, "{codes:?}");
    assert_eq!(engines.launched(), 9);
    assert_eq!(
        crate::place::names(&engines.0.path("engine/queue")).len(),
        3,
        "and no more were submitted"
    );
    let refused = said.iter().find(|said| said.code != 0).unwrap();
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .err
            .contains("would pass the limit of 10 workers: 9 workers were launched on this store"),
        "{}",
        refused.err
    );
    // The last place.
    engines.ok(&["launch", "slurm", STORE, "--max-submissions", "10"]);
    assert_eq!(
        engines
            .run(&["launch", "slurm", STORE, "--max-submissions", "10"])
            .code,
        1
    );
    assert_eq!(engines.launched(), 10);
}

#[test]
fn what_an_engine_refuses_is_told_and_stays_recorded() {
    for (engine, submits, _) in ALL {
        let engines = Engines::new();
        engines
            .0
            .write("engine/broken", "error: invalid account \x1b[2Jx\nand more\n");
        let said = engines.run(&["launch", engine, STORE, "--force"]);
        assert_eq!(said.code, 7, "{}", said.err);
        let words = format!("{submits}: error: invalid account \\x1b[2Jx; and more");
        assert!(
            said.err.contains(&format!("launch 1 was not submitted: {words}")),
            "{}",
            said.err
        );
        let told = engines.run(&["launch", engine, STORE, "--status"]);
        assert!(
            told.text().contains("failed") && told.text().contains("invalid account"),
            "{}",
            told.text()
        );
        let status = engines.0.ok(&["status", STORE]).text();
        assert!(status.contains("failed: error: invalid account"), "{status}");
        assert_eq!(
            engines.json(&["status", STORE])["launches"][0]["job"],
            Value::Null
        );
        std::fs::remove_file(engines.0.path("engine/broken")).unwrap();
        // What it says makes no sense: it may have been taken.
        engines.script(submits, "#!/bin/sh\necho welcome\n");
        let said = engines.run(&["launch", engine, STORE, "--force"]);
        assert!(
            said.code == 7
                && said
                    .err
                    .contains("names no job, though it may have taken it: welcome"),
            "{}",
            said.err
        );
    }
}

#[test]
fn an_engine_that_does_not_answer_is_told_and_the_rest_is_shown() {
    let engines = Engines::new();
    engines.ok(&["launch", "slurm", STORE]);
    engines.0.write("engine/hangs", "");
    let said = engines.run(&["launch", "slurm", STORE, "--status"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.text().contains("48213") && said.text().contains("unknown"),
        "{}",
        said.text()
    );
    assert!(
        said.err.contains("Slurm does not answer: squeue: no answer"),
        "{}",
        said.err
    );
}

#[test]
fn what_cannot_work_is_told_before_anything_is_recorded() {
    let engines = Engines::new();
    let place = &engines.0;
    let told = |words: &[&str], code: i32, what: &str| {
        let said = engines.run(words);
        assert_eq!(said.code, code, "{words:?} {}", said.err);
        assert!(said.err.contains(what), "{words:?} {}", said.err);
    };
    told(&["launch", "slurm", "none.flock"], 4, "flockwork submit STORE");
    told(&["launch", "local", "none.flock"], 4, "flockwork submit STORE");
    told(&["launch", "condor", STORE], 2, "each HTCondor job has a private");
    told(&["launch", "condor", STORE, "--print"], 2, "--force");
    told(&["launch", "slurm", STORE, "--mem", "many"], 2, "--mem");
    told(&["launch", "slurm", STORE, "--time", "0s"], 2, "leaves no time");
    told(
        &["launch", "slurm", STORE, "--", "--slotz", "3"],
        2,
        "no worker would understand its flags",
    );
    told(
        &["launch", "local", STORE, "--", "--slots", "none"],
        2,
        "no worker would understand its flags",
    );
    told(
        &["launch", "slurm", STORE, "--", "--scratch=/a\nb"],
        2,
        "line break",
    );
    // Without the engine: how to go on from another host.
    let said = place.run(&["launch", "sge", STORE]);
    assert_eq!(said.code, 7, "{}", said.err);
    assert!(
        said.err.contains("qsub is not on the PATH") && said.err.contains("--print"),
        "{}",
        said.err
    );
    let said = place.ok(&["launch", "sge", STORE, "--print"]);
    assert!(
        said.err.contains("warning: the store") && said.err.contains("this host alone"),
        "{}",
        said.err
    );
    assert!(!place.has(&format!("{STORE}/launch")), "{:?}", place.names());
}

#[test]
fn hostile_paths_reach_the_worker_as_they_are_or_are_refused() {
    let engines = Engines::new();
    let name = "it's $(touch evil) \"x\" `y` 100%.flock";
    engines.0.ok(&[
        "submit", name, "--sweep", "a=1,2", "--result", "r=stdout", "--", "echo", "{a}",
    ]);
    engines.ok(&["launch", "slurm", name, "--", "--poll", "5ms..50ms"]);
    // What Slurm runs, but for a flag that is not for this worker.
    let script = engines
        .0
        .read("engine/48213/read")
        .replace(" --stop-before-limit", "");
    engines.0.write("script", script);
    let mut sh = Command::new("sh");
    sh.arg(engines.0.path("script"))
        .current_dir(engines.0.path("bin"));
    let running = Running::start(sh);
    wait_until("its tasks to end", || {
        let status = engines.json(&["status", name]);
        match status["ok"] == 2 {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    });
    engines.0.ok(&["stop", name]);
    let said = running.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!engines.0.names().iter().any(|name| name == "evil") && !engines.0.has("bin/evil"));
    for (engine, code) in [("condor", 2), ("sge", 2)] {
        let said = engines.run(&["launch", engine, name, "--force"]);
        assert_eq!(said.code, code, "{}", said.err);
        assert!(said.err.contains("reads as something else"), "{}", said.err);
    }
    assert_eq!(
        crate::place::names(&engines.0.path(name).join("launch")),
        ["000001.job", "000001.json"]
    );
}
