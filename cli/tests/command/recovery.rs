//! Kills, of workers, of masters and of `run`.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::place::{LONG, Place, STORE, kill, lives, names, wait_until, wait_until_gone, workers_of};

/// Writes its process id, waits until it may go on, and says its parameter.
const PATIENT: &str = "echo $$ > \"$HERE/run/$FLOCKWORK_a\"; until [ -e \"$HERE/go\" ]; do sleep 0.02; done; \
                       echo \"$FLOCKWORK_TASK\" >> \"$HERE/ended\"; echo \"r=$((FLOCKWORK_a * 7))\"";
const TASKS: u64 = 8;

/// A place in which commands wait for a file `go`.
fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("run")).unwrap();
    place
}

impl Place {
    /// Writes the patient program.
    fn patient(&self) -> String {
        let here = self.path("").display().to_string();
        let program = format!("HERE={here}\n{PATIENT}\n");
        self.write("patient.sh", program);
        self.path("patient.sh").display().to_string()
    }

    fn submit_patient(&self) {
        let program = self.patient();
        let line = [
            "submit", STORE, "--sweep", "a=1..8", "--lease", "2s", "--", "sh", &program,
        ];
        self.ok(&line);
    }

    /// The process ids of commands that wait, at least so many.
    #[track_caller]
    fn commands(&self, least: usize) -> Vec<u32> {
        wait_until("commands that run", || {
            let names = names(&self.path("run"));
            let texts = names.iter().map(|name| self.read(&format!("run/{name}")));
            let pids: Vec<u32> = texts.filter_map(|text| text.trim().parse().ok()).collect();
            let alive: Vec<_> = pids.iter().copied().filter(|pid| lives(*pid)).collect();
            if alive.len() >= least {
                Ok(alive)
            } else {
                Err(format!("{pids:?}"))
            }
        })
    }

    /// Checks that each task has its result, that none was lost, and that each has ended once.
    #[track_caller]
    fn check_results(&self) {
        let said = self.ok(&["collect", STORE, "--as", "concat"]);
        let expected: String = (1..=TASKS).map(|a| format!("{}\n", a * 7)).collect();
        // An undisturbed run in a place of its own gives the same.
        assert_eq!(said.text().replace("r=", ""), expected, "{}", said.err);
        let audit = self.check_complete();
        assert_eq!(
            (&audit["ok"], &audit["failed"]),
            (&TASKS.into(), &0.into()),
            "{audit}"
        );
        let ended = self.read("ended");
        let tasks: BTreeSet<_> = ended.lines().collect();
        assert_eq!(
            (tasks.len(), ended.lines().count()),
            (8, 8),
            "each has ended once: {ended}"
        );
    }
}

#[test]
fn a_run_that_nobody_disturbs_gives_the_results_that_the_others_are_compared_with() {
    let place = place();
    place.write("go", "");
    place.submit_patient();
    assert_eq!(place.ok(&["run", STORE, "-w", "2"]).counts(), "8 tasks: 8 ok");
    place.check_results();
}

#[test]
fn a_worker_that_is_killed_takes_its_command_with_it_and_the_task_is_done_again() {
    let place = place();
    place.submit_patient();
    let run = place.start(&["run", STORE, "-w", "2", "--poll", "5ms..50ms"]);
    let commands = place.commands(2);
    let workers = workers_of(run.pid());
    assert_eq!(workers.len(), 2, "{workers:?}");
    kill(workers[0], Signal::KILL);
    // One of the commands was its; the guard ends it, and the other goes on.
    wait_until("one command to be gone", || {
        let alive = commands.iter().filter(|pid| lives(**pid)).count();
        if alive == 1 {
            Ok(())
        } else {
            Err(format!("{alive} live"))
        }
    });
    place.write("go", "");
    let said = run.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.counts().starts_with("8 tasks: 8 ok (1 "), "{}", said.err);
    place.check_results();
}

#[test]
fn the_workers_of_a_run_that_is_killed_give_back_and_leave() {
    let place = place();
    place.submit_patient();
    let run = place.start(&["run", STORE, "-w", "2", "--poll", "5ms..50ms", "--grace", "1s"]);
    let commands = place.commands(2);
    let workers = workers_of(run.pid());
    run.signal(Signal::KILL);
    assert_eq!(run.end().code, 128 + 9);
    for pid in workers.into_iter().chain(commands) {
        wait_until_gone(pid);
    }
    assert!(!place.has("ended"), "nothing has ended: {}", place.read("ended"));
    place.write("go", "");
    let said = place.ok(&["run", STORE, "-w", "2"]);
    assert_eq!(said.counts().split(" (").next(), Some("8 tasks: 8 ok"));
    place.check_results();
}

#[test]
fn a_run_that_is_told_to_end_ends_its_commands_and_the_next_goes_on() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let place = place();
        place.submit_patient();
        let run = place.start(&["run", STORE, "-w", "2", "--poll", "5ms..50ms", "--grace", "1s"]);
        let commands = place.commands(2);
        let workers = workers_of(run.pid());
        run.signal(signal);
        let said = run.end();
        assert_eq!(said.code, code, "{}", said.err);
        for pid in commands.into_iter().chain(workers) {
            assert!(!lives(pid), "{pid} lives after {signal:?}: {}", said.err);
        }
        let status = place.json(&["status", STORE]);
        assert_eq!(
            (&status["running"], &status["waiting"]),
            (&0.into(), &TASKS.into()),
            "{status}"
        );
        place.write("go", "");
        place.ok(&["run", STORE, "-w", "2"]);
        place.check_results();
    }
}

#[test]
fn a_worker_takes_over_from_one_that_was_the_master_and_was_killed() {
    let place = place();
    place.submit_patient();
    let first = place.start(&["worker", STORE, "--poll", "5ms..50ms"]);
    // Only a master publishes tasks, so the first is the master now.
    let commands = place.commands(1);
    let second = place.start(&["worker", STORE, "--poll", "5ms..50ms"]);
    place.commands(2);
    first.signal(Signal::KILL);
    first.end();
    wait_until_gone(commands[0]);
    place.write("go", "");
    let said = second.end();
    assert_eq!(said.code, 0, "{}", said.err);
    let status = place.json(&["status", STORE]);
    assert_eq!(status["state"], "done", "{LONG:?}: {status}");
    place.check_results();
}

#[test]
fn a_second_worker_that_is_killed_too_leaves_a_store_that_any_other_completes() {
    let place = place();
    place.submit_patient();
    for _ in 0..2 {
        let worker = place.start(&["worker", STORE, "--slots", "2", "--poll", "5ms..50ms"]);
        let commands = place.commands(2);
        worker.signal(Signal::KILL);
        worker.end();
        for pid in commands {
            wait_until_gone(pid);
        }
    }
    place.write("go", "");
    place.ok(&["worker", STORE, "--poll", "5ms..50ms"]);
    place.check_results();
}
