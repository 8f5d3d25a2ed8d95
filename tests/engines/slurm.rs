//! Slurm: jobs that are cancelled, requeued, warned of their limit, or whose node loses its power.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::site::{Site, lacks, ok};
use crate::sweep::Sweep;
use crate::wait::wait_until;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/engines/rig/slurm.sh");
const NODES: usize = 3;
const TASKS: usize = 40;
/// An engine's own steps take seconds, and its limits are minutes.
const ENGINE: Duration = Duration::from_secs(180);

/// A cluster: commands are given on `h1`, jobs run on `h2` to `h4`.
pub(crate) struct Cluster {
    pub(crate) site: Site,
}

impl Cluster {
    /// Starts one, or says why there can be none here.
    pub(crate) fn new() -> Option<Cluster> {
        if let Some(why) = lacks(&["slurmctld", "slurmd", "sbatch", "munged"]) {
            println!("skipped: {why}");
            return None;
        }
        let site = Site::new(NODES + 1)?;
        ok(Command::new("bash").args([SCRIPT, "up"]).arg(site.dir()));
        Some(Cluster { site })
    }

    fn sweep(&self) -> Sweep<'_> {
        Sweep::submit(&self.site, "h1", &self.site.shared(), TASKS, "SLURM_JOB_ID")
    }

    /// Submits a job that is a worker, with these words for sbatch. The worker takes the place of the job's shell, so that
    /// it gets the signals.
    #[track_caller]
    fn worker(&self, words: &[&str]) -> String {
        let text = "#!/bin/sh\nexec flockwork worker s.flock --idle-exit 10s\n";
        let job = self.site.shared().join("worker.sh");
        std::fs::write(&job, text).unwrap();
        let mut command = self.site.on("h1", "sbatch");
        command.args(["--parsable", "--output=logs/%j.out", "--open-mode=append"]);
        let job = ok(command.args(words).arg(&job));
        job.trim().to_owned()
    }

    /// Checks that Slurm would run this; and would not, were a flag misspelt.
    #[track_caller]
    fn takes(&self, text: &str) {
        let path = self.site.shared().join("tried.sh");
        let attempt = |text: &str| {
            std::fs::write(&path, text).unwrap();
            self.site
                .on("h1", "sbatch")
                .arg("--test-only")
                .arg(&path)
                .output()
                .unwrap()
        };
        let output = attempt(text);
        assert!(output.status.success(), "{text}\n{output:?}");
        let output = attempt(&text.replace("--time", "--tiem"));
        assert!(!output.status.success(), "{text}\n{output:?}");
    }

    /// What Slurm knows of a job, such as `JobState=COMPLETED`.
    fn job(&self, job: &str) -> String {
        self.site.sh("h1", &format!("scontrol --oneliner show job {job}"))
    }

    /// Waits until a job is in a state, and gives all that is known of it.
    #[track_caller]
    fn wait_for(&self, job: &str, state: &str) -> String {
        wait_until(&format!("job {job} to be {state}"), ENGINE, || {
            let known = self.job(job);
            if known.contains(&format!("JobState={state} ")) {
                Ok(known)
            } else {
                Err(known)
            }
        })
    }

    /// What a job's worker has said.
    fn log(&self, job: &str) -> String {
        std::fs::read_to_string(self.site.shared().join(format!("logs/{job}.out"))).unwrap_or_default()
    }
}

#[test]
fn three_nodes_do_forty_tasks_once() {
    let Some(cluster) = Cluster::new() else { return };
    let sweep = cluster.sweep();
    let jobs: Vec<_> = (0..NODES)
        .map(|_| cluster.worker(&["--nodes=1", "--exclusive"]))
        .collect();
    for job in &jobs {
        sweep.wait_for_task_of(job);
    }
    sweep.open_gate();
    sweep.proof(&[]);
    for job in &jobs {
        let known = cluster.wait_for(job, "COMPLETED");
        assert!(known.contains(" ExitCode=0:0 "), "{known}\n{}", cluster.log(job));
    }
}

#[test]
fn a_cancelled_job_gives_its_task_back_at_once() {
    let Some(cluster) = Cluster::new() else { return };
    let sweep = cluster.sweep();
    let victim = cluster.worker(&[]);
    let task = sweep.wait_for_task_of(&victim);
    cluster.site.sh("h1", &format!("scancel {victim}"));
    // Slurm signals the worker and its commands, in any order. It is no failure, and nobody has to wait for a lease.
    sweep.wait_for_only_marker("back");
    cluster.wait_for(&victim, "CANCELLED");
    for _ in 1..NODES {
        cluster.worker(&[]);
    }
    sweep.open_gate();
    sweep.proof(&[task]);
}

#[test]
fn a_requeued_job_gives_back_and_comes_again() {
    let Some(cluster) = Cluster::new() else { return };
    let sweep = cluster.sweep();
    let victim = cluster.worker(&["--requeue"]);
    let task = sweep.wait_for_task_of(&victim);
    cluster.site.sh("h1", &format!("scontrol requeue {victim}"));
    sweep.wait_for_only_marker("back");
    // The same job runs again by itself, as a new worker, after two minutes in which Slurm lets it rest: two seconds here,
    // for a node refuses what it gets within the second in which the first run was killed. There is no other worker, so
    // the run ends by it.
    sleep(Duration::from_secs(2));
    wait_until("the job to run again", ENGINE, || {
        let now = format!("scontrol update JobId={victim} StartTime=now 2>&1 || true");
        let said = cluster.site.sh("h1", &now);
        let log = cluster.log(&victim);
        let known = cluster.job(&victim);
        if known.contains("JobState=RUNNING ") && known.contains(" Restarts=1 ") {
            Ok(())
        } else {
            Err((said, known, log))
        }
    });
    sweep.open_gate();
    sweep.proof(&[task]);
    cluster.wait_for(&victim, "COMPLETED");
}

#[test]
fn a_worker_that_is_warned_of_its_limit_gives_back() {
    let Some(cluster) = Cluster::new() else { return };
    let sweep = cluster.sweep();
    // Slurm's limits are minutes, and it warns up to a minute early: at once, or within 15 s.
    let victim = cluster.worker(&["--time=1", "--signal=B:USR1@45"]);
    let task = sweep.wait_for_task_of(&victim);
    sweep.wait_for_only_marker("back");
    let known = wait_until("the job to leave before its limit", ENGINE, || {
        let known = cluster.job(&victim);
        if known.contains("JobState=RUNNING") {
            Err(known)
        } else {
            Ok(known)
        }
    });
    assert!(
        !known.contains("JobState=TIMEOUT"),
        "{known}\n{}",
        cluster.log(&victim)
    );
    cluster.worker(&[]);
    sweep.open_gate();
    sweep.proof(&[task]);
}

#[test]
fn a_worker_at_its_limit_gives_back() {
    let Some(cluster) = Cluster::new() else { return };
    let sweep = cluster.sweep();
    let victim = cluster.worker(&["--time=1"]);
    let task = sweep.wait_for_task_of(&victim);
    sweep.wait_for_only_marker("back");
    cluster.wait_for(&victim, "TIMEOUT");
    cluster.worker(&[]);
    sweep.open_gate();
    sweep.proof(&[task]);
}

#[test]
fn tasks_of_a_node_without_power_are_taken_over() {
    let Some(cluster) = Cluster::new() else { return };
    let sweep = cluster.sweep();
    let victim = cluster.worker(&["--nodelist=h2"]);
    let task = sweep.wait_for_task_of(&victim);
    let other = cluster.worker(&["--nodelist=h3", "--exclusive"]);
    sweep.wait_for_task_of(&other);
    sweep.open_gate_of(&other);
    cluster.site.kill("h2");
    // The other one does it, long before Slurm has noticed anything: that takes minutes.
    sweep.wait_for_second_run(task);
    assert!(cluster.job(&victim).contains("JobState=RUNNING "));
    sweep.open_gate();
    sweep.proof(&[task]);
}

/// A node hangs, and holds its locks. The lease ends its attempt, and the answer that it gives later is not taken.
#[test]
fn tasks_of_a_node_that_hangs_are_taken_over() {
    let Some(cluster) = Cluster::new() else { return };
    let sweep = cluster.sweep();
    let victim = cluster.worker(&["--nodelist=h2", "--no-requeue"]);
    let task = sweep.wait_for_task_of(&victim);
    cluster.site.freeze("h2");
    let other = cluster.worker(&["--nodelist=h3"]);
    sweep.open_gate_of(&other);
    sweep.wait_for_second_run(task);
    assert_eq!(sweep.markers("lost").len(), 1);
    sweep.open_gate();
    cluster.site.thaw("h2");
    sweep.proof(&[task]);
}

/// Workers by `flockwork launch slurm`: an array job whose elements are told apart, shown, and ended by it.
#[test]
fn launched_workers_do_it_once() {
    let Some(cluster) = Cluster::new() else { return };
    let sweep = cluster.sweep();
    let launch = |words: &[&str]| sweep.flockwork(&[&["launch", "slurm", "s.flock"], words].concat());
    let text = launch(&[
        "--workers",
        "3",
        "--time",
        "30m",
        "--print",
        "--",
        "--idle-exit",
        "10s",
    ]);
    cluster.takes(&text);
    launch(&["--workers", "3", "--time", "30m", "--", "--idle-exit", "10s"]);
    wait_until("three jobs with a task", ENGINE, || {
        let executions = sweep.executions();
        if executions.len() == 3 {
            Ok(())
        } else {
            Err((executions, launch(&["--status"])))
        }
    });
    sweep.open_gate();
    sweep.proof(&[]);
    wait_until("all jobs to leave", ENGINE, || {
        let queue = cluster.site.sh("h1", "squeue -h");
        if queue.is_empty() { Ok(()) } else { Err(queue) }
    });
}

/// All are sent away, and give their tasks back.
#[test]
fn launched_workers_are_stopped() {
    let Some(cluster) = Cluster::new() else { return };
    let sweep = cluster.sweep();
    let launch = |words: &[&str]| sweep.flockwork(&[&["launch", "slurm", "s.flock"], words].concat());
    launch(&["--workers", "3", "--time", "30m"]);
    let tasks = wait_until("three jobs with a task", ENGINE, || {
        let tasks: Vec<_> = sweep.executions().into_keys().collect();
        if tasks.len() == 3 { Ok(tasks) } else { Err(tasks) }
    });
    launch(&["--stop"]);
    wait_until("all tasks to be given back", ENGINE, || {
        let back = sweep.markers("back");
        if back.len() == 3 { Ok(()) } else { Err(back) }
    });
    for kind in ["lost", "fail", "final"] {
        assert_eq!(sweep.markers(kind), Vec::<String>::new());
    }
    wait_until("all jobs to leave", ENGINE, || {
        let queue = cluster.site.sh("h1", "squeue -h");
        if queue.is_empty() { Ok(()) } else { Err(queue) }
    });
    cluster.worker(&[]);
    sweep.open_gate();
    sweep.proof(&tasks);
}

/// The shipped files, which people change in a few lines.
#[test]
fn sbatch_takes_every_shipped_file() {
    let Some(cluster) = Cluster::new() else { return };
    let shared = cluster.site.shared();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../slurm");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|kind| kind == "sbatch"))
        .collect();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        cluster.takes(&text.replace("/proj/you", &shared.display().to_string()));
    }
}
