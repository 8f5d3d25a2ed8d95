//! A sweep in a shared directory whose tasks note each time that they are run, and the proof that all is well after.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::site::{Site, ok};
use crate::wait::wait_until;

/// How long a run on engines may take: their own steps of some seconds, on a loaded machine.
const RUN: Duration = Duration::from_secs(180);

/// A store with tasks numbered from 1. Each waits for a gate before it ends: that of all tasks, or that of its job.
#[derive(Debug)]
pub(crate) struct Sweep<'a> {
    site: &'a Site,
    /// Where commands are given.
    place: &'a str,
    tasks: usize,
    /// The shared directory, as the test sees it.
    shared: PathBuf,
    /// The shared directory, as the engine's jobs see it.
    pub(crate) dir: PathBuf,
}

impl<'a> Sweep<'a> {
    /// Submits so many tasks. `job` is the variable by which tasks know their job; `dir` is the shared directory there.
    #[track_caller]
    pub(crate) fn submit(site: &'a Site, place: &'a str, dir: &Path, tasks: usize, job: &str) -> Sweep<'a> {
        let sweep = Sweep {
            site,
            place,
            tasks,
            shared: site.shared(),
            dir: dir.to_owned(),
        };
        let dir = dir.display();
        // O_APPEND: no line is lost, however often a task runs at once.
        let task = format!(
            "echo job=${job} >>{dir}/runs/{{n}}; until [ -e {dir}/gate ] || [ -e {dir}/gate.${job} ]; do sleep 0.1; done; sleep 0.2; echo x={{n}}"
        );
        sweep.sh("mkdir runs logs");
        sweep.flockwork(&[
            "submit",
            "s.flock",
            "--network",
            "--lease",
            "5s",
            // No task goes to a second worker merely because it is slow.
            "--tail",
            "0",
            "--sweep",
            &format!("n=1..{tasks}"),
            "--",
            "sh",
            "-c",
            &task,
        ]);
        sweep
    }

    /// Runs the command `flockwork` in the shared directory, and gives what it printed.
    #[track_caller]
    pub(crate) fn flockwork(&self, words: &[&str]) -> String {
        let mut command = self.site.on(self.place, "flockwork");
        ok(command.env("FW_DIR", &self.dir).args(words))
    }

    #[track_caller]
    fn sh(&self, script: &str) -> String {
        let mut command = self.site.on(self.place, "sh");
        ok(command.env("FW_DIR", &self.dir).args(["-euc", script]))
    }

    /// All tasks may end, those that wait and those that begin later.
    pub(crate) fn open_gate(&self) {
        fs::write(self.shared.join("gate"), "").unwrap();
    }

    /// The tasks of one job may end.
    pub(crate) fn open_gate_of(&self, job: &str) {
        fs::write(self.shared.join(format!("gate.{job}")), "").unwrap();
    }

    /// Which jobs have run each task, in this order.
    pub(crate) fn executions(&self) -> BTreeMap<usize, Vec<String>> {
        let mut executions = BTreeMap::new();
        for file in fs::read_dir(self.shared.join("runs")).unwrap() {
            let file = file.unwrap();
            let task = file.file_name().into_string().unwrap().parse().unwrap();
            let lines = fs::read_to_string(file.path()).unwrap();
            let jobs = lines
                .lines()
                .map(|line| line.strip_prefix("job=").unwrap().to_owned());
            executions.insert(task, jobs.collect());
        }
        executions
    }

    /// Waits until a job has begun a task.
    #[track_caller]
    pub(crate) fn wait_for_task_of(&self, job: &str) -> usize {
        wait_until(&format!("a task of job {job}"), RUN, || {
            let executions = self.executions();
            let task = executions
                .iter()
                .find(|(_, jobs)| jobs.last().is_some_and(|last| last == job))
                .map(|(task, _)| *task);
            task.ok_or(executions)
        })
    }

    /// Waits until a task is run for the second time.
    #[track_caller]
    pub(crate) fn wait_for_second_run(&self, task: usize) {
        wait_until(&format!("the second run of task {task}"), RUN, || {
            let executions = self.executions();
            if executions[&task].len() == 2 {
                Ok(())
            } else {
                Err(executions)
            }
        });
    }

    /// The markers of a kind that are in the store now: `back`, `lost`, `fail`.
    pub(crate) fn markers(&self, kind: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut places = vec![self.shared.join("s.flock/rounds")];
        while let Some(place) = places.pop() {
            // Directories may go at any time.
            for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                let name = entry.file_name().into_string().unwrap();
                if entry.path().is_dir() {
                    places.push(entry.path());
                } else if name.rsplit('.').next() == Some(kind) {
                    found.push(name);
                }
            }
        }
        found
    }

    /// Waits until a marker of this kind is there, and checks that it is the only one of any kind.
    #[track_caller]
    pub(crate) fn wait_for_only_marker(&self, kind: &str) {
        wait_until(&format!("a marker .{kind}"), RUN, || {
            !self.markers(kind).is_empty()
        });
        for other in ["back", "lost", "fail", "final"] {
            let expected = usize::from(other == kind);
            assert_eq!(
                self.markers(other).len(),
                expected,
                ".{other}: {:?}",
                self.markers(other)
            );
        }
    }

    /// Waits for the end, then checks every invariant that can be seen from outside, the table of results, and that only
    /// these tasks were run twice, and none more often.
    #[track_caller]
    pub(crate) fn proof(&self, twice: &[usize]) {
        self.flockwork(&["wait", "s.flock", "--timeout", "180s", "--collect", "results.csv"]);
        let text = self.flockwork(&["audit", "s.flock", "--format", "json"]);
        let audit: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(audit["ok"], self.tasks, "{text}");
        assert_eq!(audit["open"], 0, "{text}");
        assert_eq!(audit["violations"], serde_json::json!([]), "{text}");

        let executions = self.executions();
        assert_eq!(executions.len(), self.tasks);
        for (task, jobs) in &executions {
            let expected = if twice.contains(task) { 2 } else { 1 };
            assert_eq!(jobs.len(), expected, "task {task} was run by {jobs:?}");
        }

        let table = fs::read_to_string(self.shared.join("results.csv")).unwrap();
        let mut lines = table.lines();
        assert!(
            lines
                .next()
                .is_some_and(|head| head.starts_with("task,n,x,host,")),
            "{table}"
        );
        let rows: Vec<String> = lines
            .map(|line| line.split(',').take(3).collect::<Vec<_>>().join(","))
            .collect();
        let expected: Vec<String> = (1..=self.tasks)
            .map(|n| format!("{:07},{n},{n}", n - 1))
            .collect();
        assert_eq!(rows, expected, "{table}");
    }
}
