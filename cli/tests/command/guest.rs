//! Workers as guests of a batch engine: its jobs, its signals, its time limits.

use crate::place::{Place, Running, STORE, lives};

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
