//! The invariants of docs/protocol.md, checked after each scenario.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::world::{Got, Notes, TestMaster, Verdict, World, answer, input_of};
use crate::fs::sim::SimDisk;
use crate::layout::{self, Entry, Kind};
use crate::name::{Attempt, Stem};
use crate::record::{self, RecordKind};
use crate::wait::lock;

/// Remembers each outcome that was seen: what readers saw never changes, and is never torn (I1).
pub(super) struct Witness {
    disk: SimDisk,
    seen: Mutex<BTreeMap<String, Vec<u8>>>,
    closed: AtomicBool,
}

impl Witness {
    pub(super) fn new(disk: SimDisk) -> Witness {
        Witness {
            disk,
            seen: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Looks no more: a scenario damages outcomes itself.
    pub(super) fn close_eyes(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    #[track_caller]
    pub(super) fn look(&self) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        for (path, _) in self.disk.paths() {
            if !path.ends_with(".out") && !path.ends_with(".done") {
                continue;
            }
            let bytes = self.disk.bytes(&path).unwrap_or_default();
            let whole = record::whole(&bytes, &[RecordKind::Output]);
            assert!(whole.is_ok(), "I1: {path} is not whole: {whole:?}");
            let before = lock(&self.seen)
                .insert(path.clone(), bytes.clone())
                .filter(|before| path.ends_with(".out") && *before != bytes);
            assert_eq!(before, None, "I1: {path} has changed");
        }
    }
}

/// I3: whoever runs is alone, but for attempts that somebody has marked; says what is wrong.
///
/// Told and not asserted: a worker takes a panic of its task for the task's failure.
pub(super) fn not_alone(disk: &SimDisk, stem: Stem, attempt: Attempt) -> Option<String> {
    let paths = disk.paths();
    let names = paths
        .iter()
        .map(|(path, _)| path.rsplit('/').next().unwrap_or_default());
    let entries: Vec<Entry> = names
        .filter_map(Entry::parse)
        .filter(|it| it.stem == stem)
        .collect();
    let is_marked = |of: Attempt| {
        let is_marker = |kind| !matches!(kind, Kind::Lock | Kind::Checkpoint);
        entries
            .iter()
            .any(|it| it.attempt == Some(of) && is_marker(it.kind))
    };
    let locks = entries.iter().filter(|it| it.kind == Kind::Lock);
    // One that comes back late may find a later one at work: then it is itself the marked one.
    let mut earlier = locks.filter_map(|it| it.attempt).filter(|it| *it < attempt);
    let other = earlier.find(|other| !is_marked(*other))?;
    Some(format!(
        "I3: {stem} is run by attempt {attempt:?}, and {other:?} has no marker: {paths:#?}"
    ))
}

/// The names that a process has removed or renamed, and what to.
fn taken(log: &[String]) -> impl Iterator<Item = (usize, &str, Option<&str>)> {
    log.iter().enumerate().filter_map(|(at, step)| {
        let (verb, what) = step.split_once(' ')?;
        match verb {
            "unlink" => Some((at, what, None)),
            "rename" | "rename_new" => what.split_once(" -> ").map(|(from, to)| (at, from, Some(to))),
            _ => None,
        }
    })
}

/// I6: a worker never removes an input, a lock or a marker, and never renames onto an outcome.
#[track_caller]
pub(super) fn check_worker_log(log: &[String]) {
    for (at, name, to) in taken(log) {
        let kind = Entry::parse(name).map(|entry| entry.kind);
        assert!(kind.is_none_or(|kind| kind == Kind::Out), "I6: step {at}: {name}");
        assert!(kind.is_none() || to.is_none(), "I6: step {at}: {name} -> {to:?}");
    }
    check_renames(log);
}

/// I6: a master removes locks and markers only when their outcomes are in a done file.
#[track_caller]
pub(super) fn check_master_log(log: &[String]) {
    let is_done = |step: &String| step.ends_with(".done");
    let archived = log.iter().position(is_done).unwrap_or(log.len());
    for (at, name, to) in taken(log) {
        // Inputs of a shard that was not published are its own.
        let is_attempt = Entry::parse(name).is_some_and(|entry| entry.attempt.is_some());
        assert!(
            !is_attempt || to.is_some_and(|to| to.ends_with(".damaged")) || at > archived,
            "I6: step {at}: {name} -> {to:?}"
        );
    }
    check_renames(log);
}

/// I6: what is at the name of an outcome is never replaced.
#[track_caller]
fn check_renames(log: &[String]) {
    for step in log.iter().filter(|step| step.ends_with(".out")) {
        assert!(
            !step.starts_with("rename ") && !step.starts_with("replace "),
            "I6: {step}"
        );
    }
}

/// What a scenario may leave behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// So many times something went wrong that may cost a run.
    pub(super) faults: usize,
    /// So many tasks ended without an output.
    pub(super) failed: u64,
}

impl World {
    /// Runs everything to its end with healthy processes, and checks all invariants.
    #[track_caller]
    pub(super) fn end_well(&self, faults: usize) -> TestMaster {
        self.end(Expected { faults, failed: 0 })
    }

    #[track_caller]
    pub(super) fn end(&self, expected: Expected) -> TestMaster {
        let master = self.finish();
        self.check(&master, expected);
        master
    }

    /// Checks what a master collected, what a restarted one does, and what is on the disk.
    #[track_caller]
    pub(super) fn check(&self, master: &TestMaster, expected: Expected) {
        self.witness.look();
        let first = self.check_collected(&master.got, expected.failed);
        let runs_before = lock(&self.notes).runs.len();
        let again = self.finish();
        let second = self.check_collected(&again.got, expected.failed);
        assert_eq!(second, first, "a restarted master saw other outcomes");
        assert_eq!(
            lock(&self.notes).runs.len(),
            runs_before,
            "a task was run after all had ended"
        );
        self.check_runs(expected.faults);
        self.check_verdicts(&first);
        self.check_disk(expected.failed);
    }

    /// I2 and nothing twice: each task was collected exactly once, with its own input and its own output.
    #[track_caller]
    fn check_collected(&self, got: &[Got], failed: u64) -> BTreeMap<u64, Got> {
        let mut by_task = BTreeMap::new();
        for one in got {
            let twice = by_task.insert(one.task.number, one.clone());
            assert_eq!(twice, None, "collected twice");
            assert_eq!(one.input, input_of(one.task.number), "{one:?}");
            if let Ok(output) = one.result {
                assert_eq!(output, answer(one.input), "{one:?}");
            }
        }
        assert!(
            by_task.keys().copied().eq(0..self.tasks),
            "I2: only {:?} were collected",
            by_task.keys()
        );
        let failures: Vec<_> = by_task.values().filter(|one| one.result.is_err()).collect();
        assert_eq!(failures.len() as u64, failed, "{failures:?}");
        by_task
    }

    /// I4: a task is run once, and once more for each thing that went wrong.
    #[track_caller]
    fn check_runs(&self, faults: usize) {
        let mut runs: BTreeMap<u64, usize> = BTreeMap::new();
        let notes = lock(&self.notes);
        for run in &notes.runs {
            *runs.entry(run.task).or_default() += 1;
        }
        for (task, count) in runs {
            assert!(
                count <= 1 + faults,
                "I4: task {task} was run {count} times: {:#?}",
                *notes
            );
        }
    }

    /// I5: who was told that its outcome was accepted is who the outcome is by, and the reverse.
    #[track_caller]
    fn check_verdicts(&self, collected: &BTreeMap<u64, Got>) {
        let notes: &Notes = &lock(&self.notes);
        for verdict in &notes.verdicts {
            let Some(got) = collected.get(&verdict.task).filter(|got| got.result.is_ok()) else {
                continue;
            };
            let ours = (&got.worker, got.attempt) == (&verdict.worker, verdict.attempt);
            let accepted = Verdict {
                accepted: true,
                ..verdict.clone()
            };
            if ours && !verdict.accepted && notes.verdicts.contains(&accepted) {
                // A lock that was removed by hand can be made again, even by the same worker.
                continue;
            }
            assert_eq!(ours, verdict.accepted, "I5: {verdict:?}, but {got:?}");
        }
    }

    #[track_caller]
    fn check_disk(&self, failed: u64) {
        let audit = self.open(&self.process("auditor")).unwrap().audit().unwrap();
        assert!(audit.is_complete(), "{audit:#?}\n{:#?}", self.disk.paths());
        assert_eq!(
            (audit.tasks, audit.ok, audit.failed),
            (self.tasks, self.tasks - failed, failed)
        );
        let left = self.leftovers(failed > 0);
        assert!(left.is_empty(), "left over: {left:?}");
    }

    /// Names that nobody should find when all is done.
    pub(super) fn leftovers(&self, some_failed: bool) -> Vec<String> {
        let paths = self.disk.paths().into_iter().map(|(path, _)| path);
        paths.filter(|path| !is_expected(path, some_failed)).collect()
    }
}

fn is_expected(path: &str, some_failed: bool) -> bool {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match *parts.as_slice() {
        ["store.json" | "stop" | "rounds" | "workers" | "journal" | "logs" | "scratch"] => true,
        // Temporary files of dead processes stay at the top; they do no harm and are few.
        [name] => layout::is_temporary(name) || layout::parse_master(name).is_some(),
        // Files of workers that died, and journals.
        ["workers" | "journal", _] => true,
        ["rounds", "000000"] => true,
        ["rounds", "000000", name] => name == "round.json" || name.ends_with(".done") || some_failed,
        ["rounds", "000000", _, _] => some_failed,
        _ => false,
    }
}
