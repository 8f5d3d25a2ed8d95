//! Real masters and workers: processes of this very test binary, told by an environment variable what they are.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flockwork::{Durability, Error, Event, MasterConfig, Store, StoreConfig, WorkerConfig};
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::errands::{Errands, Plan, Planner, append_to, die};
use crate::wait::{LONG, wait_until};

const ROLE: &str = "FLOCKWORK_TEST_ROLE";
const UMASK: &str = "FLOCKWORK_TEST_UMASK";

/// What a process is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Role {
    Master(MasterOrder),
    Worker(WorkerOrder),
}

/// What a master process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MasterOrder {
    store: PathBuf,
    events: PathBuf,
    report: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) batch: u32,
    pub(crate) window: usize,
    pub(crate) shard: u32,
    /// It dies when it tells of this event, counted from 1.
    pub(crate) dies_at_event: Option<u64>,
}

/// What a worker process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WorkerOrder {
    store: PathBuf,
    events: PathBuf,
    executions: PathBuf,
    report: PathBuf,
    pub(crate) slots: u32,
}

/// What a process has to say at its end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) error: Option<String>,
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) replayed: u64,
    pub(crate) discarded: u64,
    pub(crate) given_back: u64,
    pub(crate) stopped: bool,
    pub(crate) answers: Vec<(u32, u64, Result<u64, String>)>,
}

/// The beginning of the processes; returns at once when the tests themselves are run.
#[test]
fn entry() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    // Should the tests be killed, nothing of them stays behind.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    if let Ok(umask) = std::env::var(UMASK) {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask.parse().unwrap()));
    }
    match serde_json::from_str(&role).unwrap() {
        Role::Master(order) => be_master(order),
        Role::Worker(order) => be_worker(&order),
    }
}

fn be_master(order: MasterOrder) {
    let store = Store::open(&order.store).unwrap();
    let (events, count) = (append_to(&order.events), AtomicU64::new(0));
    let dies_at = order.dies_at_event;
    let config = MasterConfig::default()
        .batch(order.batch)
        .window(order.window)
        .shard(order.shard)
        .poll(Duration::from_millis(2), Duration::from_millis(50))
        .on_event(move |event| {
            note_event(&events, event);
            if Some(count.fetch_add(1, Ordering::SeqCst) + 1) == dies_at {
                die();
            }
        });
    let mut planner = Planner::new(order.plan);
    let result = config.run(&store, &mut planner);
    let summary = result.as_ref().ok().cloned().unwrap_or_default();
    let report = Report {
        error: result.err().map(error_text),
        ok: summary.ok,
        failed: summary.failed,
        replayed: summary.replayed,
        stopped: summary.stopped,
        answers: planner
            .answers
            .into_iter()
            .map(|((round, number), answer)| (round, number, answer))
            .collect(),
        ..Report::default()
    };
    report.write(&order.report);
}

fn be_worker(order: &WorkerOrder) {
    let store = Store::open(&order.store).unwrap();
    let events = append_to(&order.events);
    let config = WorkerConfig::default()
        .slots(order.slots)
        .idle_exit(Duration::from_secs(300))
        .poll(Duration::from_millis(10), Duration::from_millis(100))
        .on_event(move |event| note_event(&events, event));
    let result = config.run(&store, Errands::noting_in(&order.executions));
    let summary = result.as_ref().ok().cloned().unwrap_or_default();
    let report = Report {
        error: result.err().map(error_text),
        ok: summary.ok,
        failed: summary.failed,
        discarded: summary.discarded,
        given_back: summary.given_back,
        stopped: summary.stopped.is_some(),
        ..Report::default()
    };
    report.write(&order.report);
}

fn error_text(error: Error) -> String {
    format!("{:?}: {error}", error.kind())
}

/// Everyday events are left out.
fn note_event(mut events: &fs::File, event: &Event) {
    if !matches!(
        event,
        Event::Started { .. } | Event::Accepted { .. } | Event::Collected { .. } | Event::Published { .. }
    ) {
        events.write_all(format!("{event:?}\n").as_bytes()).unwrap();
    }
}

impl Report {
    fn write(&self, path: &Path) {
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, serde_json::to_vec(self).unwrap()).unwrap();
        fs::rename(unfinished, path).unwrap();
    }

    /// The answers, all of which must be there.
    #[track_caller]
    pub(crate) fn all_answers(&self) -> BTreeMap<(u32, u64), u64> {
        let answers = self.answers.iter();
        answers
            .map(|(round, number, answer)| ((*round, *number), *answer.as_ref().unwrap()))
            .collect()
    }
}

/// Settings for tests: quick retries, no waiting for the disk, and hardly any limit to retries.
pub(crate) fn quick() -> StoreConfig {
    StoreConfig::default()
        .durability(Durability::Process)
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
}

/// A place for one test: a store, and files around it that are not part of it.
#[derive(Debug)]
pub(crate) struct Site {
    root: tempfile::TempDir,
    store: PathBuf,
    reports: AtomicU64,
    /// The umask of the processes, if it is not that of the tests.
    pub(crate) umask: Option<u32>,
}

impl Site {
    pub(crate) fn new(config: &StoreConfig) -> Site {
        let root = tempfile::tempdir().unwrap();
        let store = root.path().join("x.flock");
        Site::with_store_at(root, store, config)
    }

    /// The store lies elsewhere, for instance on another file system.
    pub(crate) fn with_store_at(root: tempfile::TempDir, store: PathBuf, config: &StoreConfig) -> Site {
        Store::create(&store, config).unwrap();
        for name in ["home", "tmp", "gates"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        Site {
            root,
            store,
            reports: AtomicU64::new(0),
            umask: None,
        }
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.store).unwrap()
    }

    pub(crate) fn store_path(&self) -> &Path {
        &self.store
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Where errands of [`Act::Wait`](crate::errands::Act::Wait) wait.
    pub(crate) fn gates(&self) -> PathBuf {
        self.path("gates")
    }

    /// Opens the gate for one attempt.
    pub(crate) fn open_gate(&self, attempt: u32) {
        fs::write(self.gates().join(format!("open.{attempt}")), "").unwrap();
    }

    /// Opens the gate for all that this process runs.
    pub(crate) fn open_gate_of(&self, process: &Process) {
        fs::write(self.gates().join(format!("open.pid.{}", process.pid())), "").unwrap();
    }

    /// Waits until an execution has begun in this process, so often.
    #[track_caller]
    pub(crate) fn wait_begun(&self, process: &Process, count: usize) {
        wait_until("the beginning of a task", LONG, || {
            let all: Vec<Execution> = self.executions().into_values().flatten().collect();
            let begun = all.iter().filter(|execution| execution.pid() == process.pid());
            if begun.count() >= count { Ok(()) } else { Err(all) }
        });
    }

    /// Waits until so many executions have ended in this process.
    #[track_caller]
    pub(crate) fn wait_ended(&self, process: &Process, count: usize) {
        wait_until("the end of a task", LONG, || {
            let all: Vec<Execution> = self.executions().into_values().flatten().collect();
            let of_process = all.iter().filter(|execution| execution.pid() == process.pid());
            let ended = of_process.filter(|execution| execution.ended.is_some()).count();
            if ended >= count { Ok(()) } else { Err(all) }
        });
    }

    /// Waits until some process has told of such an event.
    #[track_caller]
    pub(crate) fn wait_event(&self, beginning: &str) {
        wait_until(beginning, LONG, || {
            if self.events(beginning).is_empty() {
                Err(self.events(""))
            } else {
                Ok(())
            }
        });
    }

    pub(crate) fn master(&self, plan: &Plan) -> MasterOrder {
        MasterOrder {
            store: self.store.clone(),
            events: self.path("events"),
            report: PathBuf::new(),
            plan: plan.clone(),
            batch: 1,
            window: 4,
            shard: 64,
            dies_at_event: None,
        }
    }

    pub(crate) fn worker(&self) -> WorkerOrder {
        WorkerOrder {
            store: self.store.clone(),
            events: self.path("events"),
            executions: self.path("executions"),
            report: PathBuf::new(),
            slots: 1,
        }
    }

    pub(crate) fn start_master(&self, mut order: MasterOrder) -> Process {
        order.report = self.new_report();
        let report = order.report.clone();
        self.start(&Role::Master(order), report)
    }

    pub(crate) fn start_worker(&self, mut order: WorkerOrder) -> Process {
        order.report = self.new_report();
        let report = order.report.clone();
        self.start(&Role::Worker(order), report)
    }

    fn new_report(&self) -> PathBuf {
        self.path(&format!("report-{}", self.reports.fetch_add(1, Ordering::SeqCst)))
    }

    fn start(&self, role: &Role, report: PathBuf) -> Process {
        let errors = report.with_extension("stderr");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["processes::entry", "--exact", "--nocapture"])
            .env_clear()
            .env(ROLE, serde_json::to_string(role).unwrap())
            .envs(self.umask.map(|umask| (UMASK, umask.to_string())))
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        Process {
            child,
            report,
            errors,
        }
    }

    /// Every execution that was begun, by task: what it ended with, if it did, and where.
    pub(crate) fn executions(&self) -> BTreeMap<String, Vec<Execution>> {
        let mut executions: BTreeMap<String, Vec<Execution>> = BTreeMap::new();
        let text = fs::read_to_string(self.path("executions")).unwrap_or_default();
        for line in text.lines() {
            let [what, task, attempt, worker] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("not a line of executions: {line:?}")
            };
            let of_task = executions.entry(task.to_owned()).or_default();
            let attempt = attempt.parse().unwrap();
            if what == "begin" {
                of_task.push(Execution {
                    attempt,
                    worker: worker.to_owned(),
                    ended: None,
                });
            } else {
                let begun = of_task
                    .iter_mut()
                    .find(|one| one.attempt == attempt && one.worker == worker);
                begun.unwrap().ended = Some(what.to_owned());
            }
        }
        executions
    }

    /// The events of all processes whose text begins so.
    pub(crate) fn events(&self, beginning: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path("events")).unwrap_or_default();
        text.lines()
            .filter(|line| line.starts_with(beginning))
            .map(str::to_owned)
            .collect()
    }
}

/// All files of shards with this last part of their names.
pub(crate) fn files_of_shards(store: &Path, suffix: &str) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(store.join("rounds")).min_depth(3);
    let files = files.into_iter().filter_map(Result::ok);
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|it| it == suffix))
        .collect()
}

/// An execution of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) attempt: u32,
    pub(crate) worker: String,
    pub(crate) ended: Option<String>,
}

impl Execution {
    /// The process that ran it: workers are called `HOST-PID-RANDOM`.
    pub(crate) fn pid(&self) -> u32 {
        self.worker.rsplit('-').nth(1).unwrap().parse().unwrap()
    }
}

/// A process that is killed at the end of the test.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    report: PathBuf,
    errors: PathBuf,
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // The pid is ours until the child is waited for.
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end, whatever it is.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_until("the end of a process", LONG, || self.child.try_wait().unwrap())
    }

    /// Waits for its end, and returns what it has to say.
    #[track_caller]
    pub(crate) fn report(&mut self) -> Report {
        let status = self.ended();
        assert!(status.success(), "{status}: {}", self.last_words());
        serde_json::from_slice(&fs::read(&self.report).unwrap()).unwrap()
    }

    /// As [`report`](Process::report), of a process that must have had no error.
    #[track_caller]
    pub(crate) fn good_report(&mut self) -> Report {
        let report = self.report();
        assert_eq!(report.error, None);
        report
    }

    pub(crate) fn last_words(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
