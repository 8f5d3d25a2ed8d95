//! Launching workers: by engines that are scripts here, and on this host for real.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::place::{Place, Running, STORE, Said, kill, lives, wait_until, wait_until_gone};

/// Engines of a test: scripts that come first on the PATH. Each submission gets the next number, and what was read is
/// kept in `engine/NUMBER.COMMAND`; `engine/queue/NUMBER` says that a job is in the queue; the file `engine/broken` has
/// the last word of an engine that refuses everything.
struct Engines(Place);

const SUBMIT: &str = r#"#!/bin/sh
dir=$(dirname "$0")/../engine
if [ -e "$dir/broken" ]; then cat "$dir/broken" >&2; exit 1; fi
number=48213
until mkdir "$dir/$number" 2>/dev/null; do number=$((number + 1)); done
cat > "$dir/$number/read"
echo "$@" > "$dir/$number/words"
env > "$dir/$number/env"
touch "$dir/queue/$number"
name=$(basename "$0")
case $name in
sbatch) echo $number ;;
condor_submit) echo "$number.0 - $number.1" ;;
qsub) echo "$number.1-2:1" ;;
esac
"#;

const ASK: &str = r#"#!/bin/sh
dir=$(dirname "$0")/../engine
[ -e "$dir/broken" ] && { cat "$dir/broken" >&2; exit 1; }
[ -e "$dir/hangs" ] && exec sleep 1000
for number in $(ls "$dir/queue"); do
  case $(basename "$0") in
  squeue) echo "${number}_1|RUNNING|None"; echo "${number}_2|PENDING|Resources" ;;
  condor_q) echo "$number 2 undefined"; echo "$number 5 no such directory" ;;
  qstat) echo " $number 0.5 x ana r 11/25/2026 23:00:00 all.q@n 1 1"; echo " $number 0.5 x ana qw 11/25/2026 23:00:00 1 2-5:1" ;;
  esac
done
"#;

const END: &str = r#"#!/bin/sh
dir=$(dirname "$0")/../engine
echo "$(basename "$0") $@" >> "$dir/ended"
rm "$dir/queue/$1" 2>/dev/null || { echo "no such job $1" >&2; exit 1; }
"#;

impl Engines {
    fn new() -> Engines {
        let place = Place::new();
        for dir in ["bin", "engine", "engine/queue"] {
            std::fs::create_dir(place.path(dir)).unwrap();
        }
        let engines = Engines(place);
        for (names, script) in [
            (["sbatch", "condor_submit", "qsub"], SUBMIT),
            (["squeue", "condor_q", "qstat"], ASK),
            (["scancel", "condor_rm", "qdel"], END),
        ] {
            names.iter().for_each(|name| engines.script(name, script));
        }
        engines
            .0
            .ok(&["submit", STORE, "--sweep", "a=1", "--", "sh", "-c", GATED]);
        engines
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.0.path("bin").join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.0.command(words);
        let rest = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{rest}", self.0.path("bin").display()));
        command
    }

    fn run(&self, words: &[&str]) -> Said {
        Running::start(self.command(words)).end()
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, 0, "{words:?}\n{}", said.err);
        said
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        let said = self.run(&[words, &["--format", "json"]].concat());
        serde_json::from_slice(&said.out).unwrap_or_else(|error| panic!("{words:?}: {error}: {}", said.err))
    }

    fn record(&self, number: u64) -> Value {
        let text = self.0.read(&format!("{STORE}/launch/{number:06}.json"));
        serde_json::from_str(&text).unwrap()
    }

    /// Workers of all records.
    fn launched(&self) -> u64 {
        let names = crate::place::names(&self.0.path(STORE).join("launch"));
        let records = names.iter().filter(|name| name.ends_with(".json"));
        let numbers = records.map(|name| name.trim_end_matches(".json").parse().unwrap());
        numbers
            .map(|number| self.record(number)["asked"]["workers"].as_u64().unwrap())
            .sum()
    }
}

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

/// A task that waits for a file.
const GATED: &str = "echo $FLOCKWORK_a; until [ -e $FLOCKWORK_HERE/go ]; do sleep 0.02; done";

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

#[test]
fn workers_of_this_host_go_on_alone_and_finish_whoever_is_killed() {
    let place = Place::new();
    let _started = Started(place.path(""));
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
