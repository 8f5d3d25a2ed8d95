//! Workers as guests of a batch engine: its jobs, its signals, its time limits.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::place::{Place, Running, STORE, kill, lives, wait_until, wait_until_gone};

/// Writes its process id, and waits until it may go on.
const PATIENT: &str = "echo $$ > $FLOCKWORK_HERE/pid.$FLOCKWORK_a; \
                       until [ -e $FLOCKWORK_HERE/go ]; do sleep 0.02; done; echo r=$FLOCKWORK_a";

impl Place {
    /// Submits tasks that wait until they may go on.
    fn submit_guests(&self, sweep: &str, script: &str, more: &[&str]) {
        let line = ["submit", STORE, "--sweep", sweep];
        self.ok(&[&line[..], more, &["--", "sh", "-c", script]].concat());
    }

    /// Starts a worker, with these variables in its environment.
    fn guest(&self, more: &[&str], variables: &[(&str, &str)]) -> Running {
        let line = ["worker", STORE, "--poll", "5ms..50ms"];
        let mut command = self.command(&[&line[..], more].concat());
        command.envs(variables.iter().copied());
        Running::start(command)
    }

    /// The process that waits at a task.
    #[track_caller]
    fn waits_at(&self, a: u32) -> u32 {
        let pid = self.wait_for_file(&format!("pid.{a}"));
        pid.trim().parse().unwrap()
    }

    /// What is in a file, or nothing.
    fn read_or_empty(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The names of markers in the store, such as `0000000.1.back`.
    fn markers(&self, kind: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut dirs = vec![self.path(STORE).join("rounds")];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.path().is_dir() {
                    dirs.push(entry.path());
                } else if name.ends_with(kind) {
                    found.push(name);
                }
            }
        }
        found.sort();
        found
    }
}

#[test]
fn a_job_of_an_engine_is_shown_wherever_workers_are() {
    let place = Place::new();
    place.submit_guests("a=1..1", PATIENT, &[]);
    let job = [
        ("SLURM_JOB_ID", "48220"),
        ("SLURM_ARRAY_JOB_ID", "48213"),
        ("SLURM_ARRAY_TASK_ID", "7"),
    ];
    let worker = place.guest(&[], &job);
    place.waits_at(1);
    let status = place.json(&["status", STORE]);
    let shown = &status["workers"][0];
    assert_eq!(shown["job"], "slurm 48213_7", "{status}");
    assert_eq!(shown["pid"], worker.pid(), "{status}");
    assert!(shown["started_ms"].as_u64() > Some(1_600_000_000_000), "{status}");
    let table = place.ok(&["status", STORE]).text();
    let line = format!("pid {} slurm 48213_7", worker.pid());
    assert!(table.contains(&line), "{table}");
    let workers = place.json(&["workers", STORE]);
    assert_eq!(workers["workers"][0]["job"], "slurm 48213_7", "{workers}");
    place.write("go", "");
    assert_eq!(worker.end().code, 0);
}

#[test]
fn a_worker_whose_job_is_over_soon_takes_nothing_and_the_next_does_it() {
    let place = Place::new();
    place.submit_guests("a=1..2", PATIENT, &[]);
    place.write("go", "");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let end = (now.unwrap().as_secs() + 3).to_string();
    let job = [("SLURM_JOB_ID", "7"), ("SLURM_JOB_END_TIME", end.as_str())];
    let said = place.guest(&["--stop-before-limit"], &job).end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("left (its time limit is near): 0 ok"),
        "{}",
        said.err
    );
    assert!(!place.has("pid.1") && !place.has("pid.2"), "{}", said.err);
    let said = place.guest(&["--time-limit", "1h"], &job).end();
    assert_eq!(said.code, 0, "{}", said.err);
    place.check_complete();
}

#[test]
fn a_task_that_still_runs_near_the_limit_is_given_back() {
    let place = Place::new();
    place.submit_guests("a=1..1", PATIENT, &[]);
    // It has some seconds to start its task, and is told to stop then.
    let worker = place.guest(&["--time-limit", "1000s", "--grace", "995s"], &[]);
    let command = place.waits_at(1);
    let said = worker.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!lives(command), "{}", said.err);
    let why = "BACK  0000000 attempt 1: the time limit of its worker is near";
    assert!(said.err.contains(why), "{}", said.err);
    assert!(said.err.contains("(its time limit is near)"), "{}", said.err);
    assert_eq!(place.markers(".back").len(), 1);
    place.write("go", "");
    place.ok(&["worker", STORE]);
    place.check_complete();
}

#[test]
fn a_run_near_its_limit_does_not_start_workers_again_and_again() {
    let place = Place::new();
    place.submit_guests("a=1..2", PATIENT, &[]);
    let said = place.run(&["run", STORE, "-w", "2", "--time-limit", "2s"]);
    assert_eq!(said.code, 3, "there is work left: {}", said.err);
    assert_eq!(said.err.matches("LIMIT").count(), 1, "{}", said.err);
    assert!(!said.err.contains("START"), "{}", said.err);
}

#[test]
fn whoever_asks_for_a_limit_that_nobody_tells_learns_it() {
    let place = Place::new();
    place.submit_guests("a=1..1", PATIENT, &[]);
    place.write("go", "");
    let said = place
        .guest(&["--stop-before-limit"], &[("JOB_ID", "9"), ("SGE_TASK_ID", "1")])
        .end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("--time-limit TIME says it"), "{}", said.err);
}

/// Starts a child that ignores all that can be ignored, and then does as it does.
const STUBBORN: &str = "trap '' TERM INT HUP USR1 USR2 XCPU; sh -c 'echo $$ > $FLOCKWORK_HERE/child; \
                        until [ -e $FLOCKWORK_HERE/go ]; do sleep 0.02; done' & \
                        echo $$ > $FLOCKWORK_HERE/pid.$FLOCKWORK_a; \
                        until [ -e $FLOCKWORK_HERE/go ]; do sleep 0.02; done; echo r=1";

const SIGNALS: [Signal; 6] = [
    Signal::TERM,
    Signal::INT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::XCPU,
];

#[test]
fn each_warning_of_an_engine_gives_the_task_back_and_the_next_worker_does_it() {
    for signal in SIGNALS {
        let place = Place::new();
        // Without retries: being given back must not count.
        place.submit_guests("a=1..1", PATIENT, &["--retries", "0"]);
        let worker = place.guest(&[], &[("JOB_ID", "9"), ("SGE_TASK_ID", "undefined")]);
        let command = place.waits_at(1);
        worker.signal(signal);
        let said = worker.end();
        assert_eq!(said.code, 0, "{signal:?}: {}", said.err);
        assert!(
            said.err.contains("(told by a signal): 0 ok, 1 given back"),
            "{signal:?}: {}",
            said.err
        );
        assert!(!lives(command), "{signal:?}: {}", said.err);
        assert_eq!(place.markers(".back").len(), 1, "{signal:?}: {}", said.err);
        assert!(place.markers(".fail").is_empty(), "{signal:?}: {}", said.err);
        place.write("go", "");
        place.ok(&["worker", STORE]);
        assert_eq!(place.check_complete()["ok"], 1);
    }
}

#[test]
fn a_command_that_ignores_it_is_killed_with_its_children_within_the_grace() {
    let place = Place::new();
    place.submit_guests("a=1..1", STUBBORN, &[]);
    let worker = place.guest(&[], &[]);
    let command = place.waits_at(1);
    let child: u32 = place.wait_for_file("child").trim().parse().unwrap();
    let begun = Instant::now();
    worker.signal(Signal::TERM);
    let said = worker.end();
    let took = begun.elapsed();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!lives(command) && !lives(child), "{}", said.err);
    // By the keeper it would be given back too, but with its thread left behind.
    let why = "BACK  0000000 attempt 1: the worker was told to stop\n";
    assert!(said.err.contains(why), "after {took:?}: {}", said.err);
    assert_eq!(place.markers(".back").len(), 1);
    place.write("go", "");
    place.ok(&["worker", STORE]);
    place.check_complete();
}

#[test]
fn a_command_that_the_engine_ends_before_its_worker_is_given_back_too() {
    let place = Place::new();
    place.submit_guests("a=1..1", PATIENT, &["--retries", "0"]);
    let worker = place.guest(&[], &[("SLURM_JOB_ID", "7")]);
    let command = place.waits_at(1);
    // To all processes of the job, in any order; and twice.
    kill(command, Signal::TERM);
    worker.signal(Signal::TERM);
    worker.signal(Signal::TERM);
    let said = worker.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("1 given back"), "{}", said.err);
    assert!(place.markers(".fail").is_empty() && place.markers(".final").is_empty());
    place.write("go", "");
    place.ok(&["worker", STORE]);
    assert_eq!(place.check_complete()["ok"], 1);
}

#[test]
fn told_to_finish_a_worker_finishes_and_gives_back_at_the_second_word() {
    let place = Place::new();
    place.submit_guests("a=1..1", PATIENT, &[]);
    let job = [("SLURM_JOB_ID", "7")];
    let finishes = place.guest(&["--on-term", "finish"], &job);
    let command = place.waits_at(1);
    finishes.signal(Signal::USR1);
    place.wait_for("running", 1);
    assert!(lives(command));
    place.write("go", "");
    let said = finishes.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("(told by a signal): 1 ok"), "{}", said.err);
    let place = Place::new();
    place.submit_guests("a=1..1", PATIENT, &[]);
    let warned = place.guest(&["--on-term", "finish"], &job);
    let command = place.waits_at(1);
    warned.signal(Signal::USR1);
    // What follows within a second is the same event, so the second word comes later; and again, should that have been
    // too early for a loaded machine.
    let mut next = Instant::now() + Duration::from_millis(1_200);
    wait_until("the second word to be heard", || {
        if !lives(command) {
            return Ok(());
        }
        if Instant::now() >= next {
            warned.signal(Signal::TERM);
            next += Duration::from_secs(5);
        }
        Err("the command runs".to_owned())
    });
    let said = warned.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("TERM again: what still runs is given back"),
        "{}",
        said.err
    );
    place.write("go", "");
    place.ok(&["worker", STORE]);
    place.check_complete();
}

#[test]
fn outside_of_a_job_usr1_is_a_question() {
    let place = Place::new();
    place.submit_guests("a=1..1", PATIENT, &[]);
    let worker = place.guest(&[], &[]);
    place.waits_at(1);
    worker.signal(Signal::USR1);
    place.write("go", "");
    let said = worker.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("1 ok"), "{}", said.err);
    assert!(!said.err.contains("told by a signal"), "{}", said.err);
}

#[test]
fn a_worker_that_was_suspended_stops_what_others_have_taken_over() {
    let place = Place::new();
    place.submit_guests("a=1..1", PATIENT, &["--lease", "1s"]);
    let suspended = place.guest(&[], &[]);
    let command = place.waits_at(1);
    // An engine suspends all processes of a job.
    suspended.signal(Signal::STOP);
    kill(command, Signal::STOP);
    let other = place.guest(&[], &[]);
    let second = wait_until("the other to take it over", || match place.waits_at(1) {
        pid if pid != command => Ok(pid),
        pid => Err(pid.to_string()),
    });
    suspended.signal(Signal::CONT);
    kill(command, Signal::CONT);
    wait_until_gone(command);
    assert!(lives(second), "the other goes on");
    place.write("go", "");
    let said = other.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains(": 1 ok"), "{}", said.err);
    let said = suspended.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("WAKE"), "{}", said.err);
    let back = "BACK  0000000 attempt 1: it was given up while its worker was suspended";
    assert!(said.err.contains(back), "{}", said.err);
    assert!(said.err.contains(": 0 ok, 1 given back"), "{}", said.err);
    assert_eq!(place.check_complete()["ok"], 1);
}

#[test]
fn time_in_which_a_job_is_suspended_does_not_count_for_the_timeout() {
    let place = Place::new();
    place.submit_guests(
        "a=1..1",
        PATIENT,
        &["--lease", "1h", "--timeout", "40s", "--retries", "0"],
    );
    let worker = place.guest(&[], &[]);
    let command = place.waits_at(1);
    worker.signal(Signal::STOP);
    kill(command, Signal::STOP);
    let stopped = Instant::now();
    wait_until("the timeout to pass", || {
        match stopped.elapsed() > Duration::from_secs(41) {
            true => Ok(()),
            false => Err(format!("{:?}", stopped.elapsed())),
        }
    });
    worker.signal(Signal::CONT);
    kill(command, Signal::CONT);
    // It is looked at several times before it may go on.
    let resumed = Instant::now();
    wait_until("some looks", || {
        match resumed.elapsed() > Duration::from_secs(1) || !lives(command) {
            true => Ok(()),
            false => Err(format!("{:?}", resumed.elapsed())),
        }
    });
    place.write("go", "");
    let said = worker.end();
    assert!(said.err.contains(": 1 ok"), "{}", said.err);
    place.check_complete();
}

/// On a host without what it needs it fails; elsewhere it does ten tasks, and the others once it may.
const NEEDY: &str = "H=$FLOCKWORK_HERE; \
                     if [ -n \"$LACKS\" ] && ! [ -e $H/mended ]; then \
                         echo x >> $H/failed; echo solver: not found >&2; exit 127; fi; \
                     if [ -z \"$LACKS\" ]; then echo x >> $H/good; \
                         [ $(wc -l < $H/good) -le 10 ] || until [ -e $H/go ]; do sleep 0.02; done; fi; \
                     echo r=$FLOCKWORK_a";

/// Starts a worker on a host that lacks something, and another when some tasks have failed there.
fn needy(place: &Place, more: &[&str]) -> [Running; 2] {
    let plenty = ["--retries", "500", "--backoff", "1ms..2ms"];
    place.submit_guests("a=1..20", NEEDY, &plenty);
    let lacking = place.guest(more, &[("LACKS", "solver")]);
    wait_until("some to fail", || {
        match place.wait_for_file("failed").lines().count() {
            0..5 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    });
    [lacking, place.guest(&[], &[])]
}

#[test]
fn a_host_on_which_tasks_fail_that_are_ok_elsewhere_is_put_aside_and_shown() {
    let place = Place::new();
    let [lacking, good] = needy(&place, &["--aside", "1h"]);
    let worker = wait_until("one to be aside", || {
        let status = place.json(&["status", STORE]);
        let workers = status["workers"].as_array().cloned().unwrap_or_default();
        let aside = workers.into_iter().find(|worker| worker["aside"].is_string());
        aside.ok_or_else(|| status.to_string())
    });
    assert_eq!(worker["pid"], lacking.pid(), "{worker}");
    let why = worker["aside"].as_str().unwrap();
    assert!(
        why.contains("failed here (\"exit 127") && why.ends_with("are ok elsewhere"),
        "{why}"
    );
    let status = place.json(&["status", STORE]);
    let attention = status["attention"].as_array().unwrap();
    assert!(attention.iter().any(|one| one["what"] == "aside"), "{status}");
    let workers = place.ok(&["workers", STORE]).text();
    assert_eq!(workers.matches(" aside ").count(), 1, "{workers}");
    let failed = place.read("failed").lines().count();
    place.write("go", "");
    let (good, lacking) = (good.end(), lacking.end());
    assert_eq!((good.code, lacking.code), (0, 0), "{}{}", good.err, lacking.err);
    assert_eq!(
        place.read("failed").lines().count(),
        failed,
        "it takes none while it is aside"
    );
    assert!(
        lacking.err.contains("ASIDE  this host is put aside for 1h"),
        "{}",
        lacking.err
    );
    assert_eq!(place.check_complete()["ok"], 20);
}

#[test]
fn after_its_rest_a_worker_tries_one_task_and_works_again_when_that_is_ok() {
    let place = Place::new();
    let [lacking, good] = needy(&place, &["--aside", "200ms"]);
    // It is put aside, tries one, and rests again.
    wait_until("it to rest again", || {
        let status = place.json(&["status", STORE]);
        match status.to_string().contains("failed here too") {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    });
    place.write("mended", "");
    // All but the one that the other holds.
    place.wait_for("ok", 19);
    let status = place.json(&["status", STORE]);
    assert!(!status.to_string().contains("failed here"), "{status}");
    place.write("go", "");
    let (good, lacking) = (good.end(), lacking.end());
    assert_eq!((good.code, lacking.code), (0, 0), "{}{}", good.err, lacking.err);
    assert!(lacking.err.contains("no longer put aside"), "{}", lacking.err);
    assert_eq!(place.check_complete()["ok"], 20);
}

#[test]
fn whoever_wants_it_never_puts_a_host_aside() {
    let place = Place::new();
    let [lacking, good] = needy(&place, &["--aside", "0s"]);
    wait_until("the others to be done", || {
        match place.read_or_empty("good").lines().count() {
            11 => Ok(()),
            count => Err(count.to_string()),
        }
    });
    let failed = place.read("failed").lines().count();
    wait_until("it to go on", || match place.read("failed").lines().count() {
        now if now > failed + 20 => Ok(()),
        now => Err(now.to_string()),
    });
    place.write("mended", "");
    place.write("go", "");
    let (good, lacking) = (good.end(), lacking.end());
    assert_eq!((good.code, lacking.code), (0, 0), "{}{}", good.err, lacking.err);
    assert!(!lacking.err.contains("ASIDE"), "{}", lacking.err);
    assert_eq!(place.check_complete()["ok"], 20);
}

#[test]
fn auto_slots_are_as_many_as_the_job_was_given() {
    let place = Place::new();
    place.submit_guests("a=1..1", PATIENT, &["--mem", "1000M"]);
    place.write("job.ad", "ClusterId = 12\nProcId = 3\nRequestMemory = 100\n");
    place.write("machine.ad", "Cpus = 64\nMemory = 1500\n");
    let (job, machine) = (place.path("job.ad"), place.path("machine.ad"));
    let variables = [
        ("_CONDOR_JOB_AD", job.to_str().unwrap()),
        ("_CONDOR_MACHINE_AD", machine.to_str().unwrap()),
    ];
    let worker = place.guest(&["--slots", "auto"], &variables);
    place.waits_at(1);
    let status = place.json(&["status", STORE]);
    let shown = &status["workers"][0];
    assert_eq!(shown["job"], "htcondor 12.3", "{status}");
    assert_eq!(
        shown["slots"], 1,
        "two such tasks do not fit into the job's memory: {status}"
    );
    place.write("go", "");
    assert_eq!(worker.end().code, 0);
}
