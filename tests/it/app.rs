//! The example `factor`, run as its users run it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::wait::wait_until;

const LONG: Duration = Duration::from_secs(120);
/// A product of two primes near 2^32: ten seconds and more of work, more than any test waits for.
const HARD: &str = "15210000265200000427";

/// The example, with nothing of our own environment that it would heed.
pub(crate) fn factor() -> Command {
    let this = std::env::current_exe().unwrap();
    // target/debug/deps/it-... -> target/debug/examples/factor
    let program = this.parent().unwrap().parent().unwrap().join("examples/factor");
    // `cargo test` builds it, `cargo test --test it` does not.
    let hint = "cargo build --features cli --example factor";
    assert!(program.is_file(), "{} is missing: {hint}", program.display());
    let mut command = Command::new(program);
    command.env_remove("FLOCKWORK_STORE").stdin(Stdio::null());
    command
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("x.flock")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs `factor VERB STORE ...` to its end.
    fn factor(&self, verb: &str, arguments: &[&str]) -> Output {
        self.command(verb, arguments).output().unwrap()
    }

    fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = factor();
        command
            .current_dir(&self.0)
            .arg(verb)
            .arg(self.store())
            .args(arguments);
        command
    }

    /// Starts it, and reads nothing of what it says before [`end`].
    fn start(&self, verb: &str, arguments: &[&str]) -> Child {
        let mut command = self.command(verb, arguments);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn status(&self) -> Result<serde_json::Value, String> {
        let output = self.factor("status", &["--format", "json"]);
        match output.status.code() {
            Some(0) => Ok(serde_json::from_slice(&output.stdout).unwrap()),
            _ => Err(err(&output)),
        }
    }

    /// Waits until the store's status has this count.
    fn wait_for(&self, what: &str, count: u64) {
        wait_until(what, LONG, || match self.status()? {
            status if status[what] == count => Ok(()),
            status => Err(status.to_string()),
        });
    }

    fn check_sound(&self, verdict: &str) {
        let output = self.factor("audit", &["--format", "json"]);
        let audit: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (output.status.code(), &audit["verdict"]),
            (Some(0), &verdict.into()),
            "{audit}"
        );
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Waits for a process, but not for ever.
fn end(mut child: Child) -> Output {
    wait_until("a process to end", LONG, || match child.try_wait().unwrap() {
        Some(_) => Ok(()),
        None => Err(child.id()),
    });
    child.wait_with_output().unwrap()
}

fn kill(signal: &str, pid: &str) {
    let status = Command::new("kill").args([signal, pid]).status().unwrap();
    assert!(status.success(), "kill {signal} {pid}");
}

/// The processes that a process has started.
fn children(pid: u32) -> Vec<String> {
    let path = format!("/proc/{pid}/task");
    let tasks = std::fs::read_dir(Path::new(&path))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

fn numbers() -> String {
    (1..=60u64).map(|n| format!("{}\n", 1_000_000_000 + n)).collect()
}

#[test]
fn a_run_prints_the_factors_and_so_does_the_next() {
    let place = Place::new();
    place.write("numbers", "# some\n12\n\n  97 \n1\n18446744073709551615\n");
    let first = place.factor("run", &["numbers", "--workers", "2"]);
    assert_eq!(code(&first), 0, "{}", err(&first));
    let expected = "12 = [2, 2, 3]\n97 = [97]\n1 = []\n\
                    18446744073709551615 = [3, 5, 17, 257, 641, 65537, 6700417]\n";
    assert_eq!(out(&first), expected);
    assert!(err(&first).contains("4 tasks: 4 ok"), "{}", err(&first));
    let second = place.factor("run", &["numbers", "--workers", "2"]);
    assert_eq!(
        (code(&second), out(&second).as_str()),
        (0, expected),
        "{}",
        err(&second)
    );
    assert!(
        !err(&second).contains("local worker"),
        "nothing is left to do: {}",
        err(&second)
    );
    place.check_sound("complete");
}

#[test]
fn rounds_go_on_until_there_are_enough_primes() {
    let place = Place::new();
    place.write("numbers", "10\n");
    let output = place.factor(
        "run",
        &["numbers", "--primes", "30", "--workers", "1", "--batch", "16"],
    );
    assert_eq!(code(&output), 0, "{}", err(&output));
    // Primes from 11 to 110: 25; the next hundred has more than five.
    assert_eq!(out(&output).lines().count(), 201, "{}", out(&output));
    assert!(
        err(&output).contains("201 tasks in 3 rounds: 201 ok"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_bad_numbers_file_is_named_with_its_line() {
    let place = Place::new();
    place.write("numbers", "12\n# fine\ntwelve\n");
    let output = place.factor("run", &["numbers", "--workers", "1"]);
    assert_eq!(code(&output), 1);
    let said = err(&output);
    assert!(
        said.contains("error: create_inputs") && said.contains("numbers:3: \"twelve\""),
        "{said}"
    );
    let output = place.factor("run", &["nowhere", "--workers", "1"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("cannot read nowhere: "), "{}", err(&output));
}

#[test]
fn tasks_that_fail_give_exit_code_1_and_are_named() {
    let place = Place::new();
    place.write("numbers", &format!("15\n{HARD}\n"));
    let output = place.factor(
        "run",
        &[
            "numbers",
            "--workers",
            "1",
            "--timeout",
            "300ms",
            "--retries",
            "1",
            "--backoff",
            "10ms",
        ],
    );
    assert_eq!(
        (code(&output), out(&output).as_str()),
        (1, "15 = [3, 5]\n"),
        "{}",
        err(&output)
    );
    assert!(
        err(&output).contains("FAIL  0000001 after attempt 2: timeout"),
        "{}",
        err(&output)
    );
    assert!(err(&output).contains("FAILED 1x  timeout"), "{}", err(&output));
}

#[test]
fn usage_errors_are_2() {
    let place = Place::new();
    for arguments in [
        &["numbers", "--workers", "0"][..],
        &["numbers", "--slots", "0"],
        &["numbers", "--lease", "soon"],
        &["numbers", "--lease", "1ms"],
        &["numbers", "--nonsense"],
        &["numbers", "--", "--nonsense"],
    ] {
        let output = place.factor("run", arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", err(&output));
        assert!(
            err(&output).starts_with("error: "),
            "{arguments:?}: {}",
            err(&output)
        );
    }
    let output = factor().current_dir(&place.0).arg("status").output().unwrap();
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(err(&output).contains("hint: name the store"), "{}", err(&output));
}

#[test]
fn bad_stores_are_4() {
    let place = Place::new();
    for verb in ["status", "stop", "reclaim", "audit"] {
        let output = place.factor(verb, &[]);
        assert_eq!(code(&output), 4, "{verb}: {}", err(&output));
        assert!(
            err(&output).contains("x.flock") && err(&output).contains("hint: "),
            "{}",
            err(&output)
        );
    }
    std::fs::create_dir(place.store()).unwrap();
    place.write("x.flock/store.json", "{\"format\": 1000}");
    let newer = place.factor("status", &[]);
    assert_eq!(code(&newer), 4, "{}", err(&newer));
    place.write("x.flock/store.json", "not json");
    assert_eq!(code(&place.factor("run", &["numbers"])), 4);
}

#[test]
fn a_second_master_is_5_and_a_stop_is_3() {
    let place = Place::new();
    place.write("numbers", &numbers());
    let master = place.start("master", &["numbers"]);
    place.wait_for("waiting", 60);
    let second = place.factor("master", &["numbers"]);
    assert_eq!(code(&second), 5, "{}", err(&second));
    let stop = place.factor("stop", &["--why", "enough"]);
    assert_eq!(code(&stop), 0, "{}", err(&stop));
    let stopped = end(master);
    assert_eq!(code(&stopped), 3, "{}", err(&stopped));
    assert_eq!(place.status().unwrap()["stopped"], "enough");
    assert_eq!(place.status().unwrap()["schema"], "flockwork.status/1");
    place.check_sound("sound");
    // Started again, it goes on; and the only store of a directory need not be named.
    let run = place.factor("run", &["numbers", "--workers", "2"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let output = factor().current_dir(&place.0).arg("status").output().unwrap();
    assert!(out(&output).starts_with("x.flock\n"), "{}", out(&output));
}

#[test]
fn a_worker_may_come_before_the_store() {
    let place = Place::new();
    place.write("numbers", &numbers());
    let worker = place.start("worker", &["--idle-exit", "100s"]);
    let master = place.factor("master", &["numbers"]);
    assert_eq!(code(&master), 0, "{}", err(&master));
    let worker = end(worker);
    assert_eq!(code(&worker), 0);
    let said = err(&worker);
    assert!(
        said.contains("waiting for the store") && said.contains("60 ok"),
        "{said}"
    );
    let late = place.factor("worker", &["--idle-exit", "10ms"]);
    assert_eq!(code(&late), 0, "the run has ended: {}", err(&late));
}

#[test]
fn a_worker_that_is_told_to_go_gives_its_task_back() {
    let place = Place::new();
    place.write("numbers", &format!("{HARD}\n"));
    let master = place.start("master", &["numbers"]);
    let worker = place.start("worker", &[]);
    place.wait_for("running", 1);
    kill("-TERM", &worker.id().to_string());
    let worker = end(worker);
    assert_eq!(code(&worker), 0, "{}", err(&worker));
    assert!(err(&worker).contains("BACK  0000000"), "{}", err(&worker));
    place.wait_for("waiting", 1);
    kill("-INT", &master.id().to_string());
    assert_eq!(code(&end(master)), 130);
    place.check_sound("sound");
}

#[test]
fn killed_workers_change_nothing_in_the_results() {
    let place = Place::new();
    place.write("numbers", &format!("{}3600001440000143\n", numbers()));
    let run = place.start("run", &["numbers", "--workers", "2", "--durability", "process"]);
    let workers = wait_until("two workers", LONG, || match children(run.id()) {
        pids if pids.len() == 2 => Ok(pids),
        pids => Err(pids),
    });
    place.wait_for("tasks", 61);
    kill("-KILL", &workers[0]);
    let output = end(run);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(
        err(&output).contains(&format!("worker {} was killed by signal 9", workers[0])),
        "{}",
        err(&output)
    );
    let undisturbed = Place::new();
    undisturbed.write("numbers", &format!("{}3600001440000143\n", numbers()));
    let expected = undisturbed.factor("run", &["numbers", "--workers", "1"]);
    assert_eq!(out(&output), out(&expected));
    place.check_sound("complete");
}

#[test]
fn a_run_that_is_told_to_go_takes_its_workers_along() {
    let place = Place::new();
    place.write("numbers", &format!("{HARD}\n"));
    for signal in ["-TERM", "-KILL"] {
        let run = place.start("run", &["numbers", "--workers", "2"]);
        place.wait_for("running", 1);
        let workers = children(run.id());
        assert_eq!(workers.len(), 2);
        kill(signal, &run.id().to_string());
        let output = end(run);
        let expected = if signal == "-TERM" { 143 } else { -1 };
        assert_eq!(code(&output), expected, "{}", err(&output));
        wait_until("the workers to be gone", LONG, || {
            // That of a process which nobody has waited for yet is empty.
            let is_alive = |pid: &&String| {
                std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
            };
            match workers.iter().find(is_alive) {
                None => Ok(()),
                Some(pid) => Err(pid.clone()),
            }
        });
        place.wait_for("waiting", 1);
        place.check_sound("sound");
    }
}

#[test]
fn a_run_whose_workers_cannot_stay_alive_is_7() {
    let place = Place::new();
    place.write("numbers", &format!("{HARD}\n"));
    // A copy of the program, so that it can be replaced by one that fails at once.
    let program = place.0.path().join("copy");
    std::fs::copy(factor().get_program(), &program).unwrap();
    let mut command = Command::new(&program);
    command
        .arg("run")
        .arg(place.store())
        .args(["numbers", "--workers", "1"]);
    command
        .current_dir(&place.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Another test's process that was just forked may still hold the copy open for writing: "text file busy".
    let run = wait_until("the copy to start", LONG, || command.spawn());
    place.wait_for("running", 1);
    let broken = place.write("broken", "#!/bin/false\n");
    std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::rename(&broken, &program).unwrap();
    kill("-KILL", &children(run.id())[0]);
    let output = end(run);
    assert_eq!(code(&output), 7, "{}", err(&output));
    assert!(
        err(&output).contains("error: no worker stays alive for "),
        "{}",
        err(&output)
    );
    place.check_sound("sound");
}

#[test]
fn help_has_examples() {
    for verb in ["run", "master", "worker", "status", "stop", "reclaim", "audit"] {
        let output = factor().args([verb, "--help"]).output().unwrap();
        assert_eq!(code(&output), 0);
        assert!(
            out(&output).contains(&format!("\n  factor {verb} ")),
            "{}",
            out(&output)
        );
    }
}
