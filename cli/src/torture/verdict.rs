//! What a torture has come to: a verdict that people understand, and the figures.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use flockwork::app::times::short;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::output::{Kind, count, escape, paint};

/// Violations that are shown one by one.
const MOST: usize = 20;

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Promise {
    /// Every task has exactly one accepted outcome, the answer to its own input.
    Answers,
    /// What the library's own audit checks.
    Audit,
    /// What a reader saw of an outcome never changes, and is never empty.
    Stable,
    /// No task is run more often than once and once more for each fault.
    Executions,
    /// Every task ends.
    Stuck,
    /// Nothing is left over.
    LeftOver,
    /// No process ends but at its time.
    Processes,
    /// There was something to prove.
    Proof,
}

impl Promise {
    fn name(self) -> &'static str {
        match self {
            Promise::Answers => "answers",
            Promise::Audit => "audit",
            Promise::Stable => "stable",
            Promise::Executions => "executions",
            Promise::Stuck => "stuck",
            Promise::LeftOver => "left_over",
            Promise::Processes => "processes",
            Promise::Proof => "proof",
        }
    }

    fn says(self) -> &'static str {
        match self {
            Promise::Answers => "each task has one accepted outcome, the answer to its own input",
            Promise::Audit => "the audit of the store finds nothing",
            Promise::Stable => "an outcome that was seen never changes",
            Promise::Executions => "a task runs once, and once more for each fault",
            Promise::Stuck => "every task ends",
            Promise::LeftOver => "nothing is left over",
            Promise::Processes => "no process fails",
            Promise::Proof => "work was done and disturbed",
        }
    }
}

/// A promise that was broken: which, where, how.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Broken {
    pub(super) promise: Promise,
    pub(super) place: String,
    pub(super) what: String,
}

impl Broken {
    pub(super) fn new(promise: Promise, place: &str, what: impl Into<String>) -> Broken {
        Broken {
            promise,
            place: place.to_owned(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: {}",
            self.promise.name(),
            escape(&self.place),
            escape(&self.what)
        )
    }
}

/// What was counted, by all hosts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Figures {
    pub(super) hosts: u64,
    pub(super) kills: u64,
    pub(super) master_kills: u64,
    /// Workers that have killed themselves in the middle of a task.
    pub(super) halfway: u64,
    /// Of these, in a batch of which some tasks had ended.
    pub(super) in_batches: u64,
    pub(super) stops: u64,
    pub(super) removals: u64,
    pub(super) rounds: u64,
    pub(super) tasks: u64,
    pub(super) executions: u64,
    pub(super) redone: u64,
    pub(super) failures: u64,
    pub(super) restored: u64,
    pub(super) lost: u64,
    pub(super) twins: u64,
    pub(super) locks_lost: u64,
    pub(super) parked: u64,
    pub(super) troubles: u64,
    pub(super) watched: u64,
}

impl Figures {
    /// Name in data, words, count.
    fn rows(&self) -> [(&'static str, &'static str, u64); 19] {
        [
            ("hosts", "hosts", self.hosts),
            ("kills", "kills", self.kills),
            ("master_kills", "  of masters", self.master_kills),
            ("halfway_kills", "  halfway through a task", self.halfway),
            ("batch_kills", "  of these within a batch", self.in_batches),
            ("stops", "processes stopped for a while", self.stops),
            ("removals", "lock files removed", self.removals),
            ("rounds", "rounds", self.rounds),
            ("tasks", "tasks", self.tasks),
            ("executions", "executions", self.executions),
            ("executions_again", "  more than tasks", self.redone),
            ("failures", "attempts that failed", self.failures),
            ("restored", "checkpoints taken up", self.restored),
            ("lost", "attempts given up", self.lost),
            ("twins", "outcomes dropped: a twin was first", self.twins),
            ("locks_lost", "locks found lost", self.locks_lost),
            ("parked", "waits for the file system", self.parked),
            ("troubles", "steps that had to be tried again", self.troubles),
            ("watched", "outcome files watched", self.watched),
        ]
    }
}

/// What a torture has come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict {
    pub(super) seed: u64,
    pub(super) batch: u32,
    pub(super) tasks_a_round: u64,
    pub(super) lease: Duration,
    pub(super) file_system: String,
    pub(super) took: Duration,
    pub(super) figures: Figures,
    pub(super) broken: Vec<Broken>,
    /// What could not be judged, and why.
    pub(super) remarks: Vec<String>,
}

impl Verdict {
    pub(super) fn passed(&self) -> bool {
        self.broken.is_empty()
    }

    /// Adds what is broken; the same in the same place is told once.
    pub(super) fn add(&mut self, broken: Broken) {
        if !self.broken.contains(&broken) {
            self.broken.push(broken);
        }
    }

    fn by_promise(&self) -> BTreeMap<Promise, usize> {
        let mut counts = BTreeMap::new();
        for broken in &self.broken {
            *counts.entry(broken.promise).or_insert(0) += 1;
        }
        counts
    }

    /// For people.
    pub(super) fn table(&self, store: &Path, kept: bool) -> String {
        let store = escape(&store.to_string_lossy()).into_owned();
        let mut text = match self.passed() {
            true => format!("{}  every promise was held\n", paint(Kind::Ok, "PASSED")),
            false => {
                let promises: Vec<&str> = self.by_promise().into_keys().map(Promise::says).collect();
                let broken = promises.join("; ");
                format!("{}  broken: {broken}\n", paint(Kind::Failed, "FAILED"))
            }
        };
        for broken in self.broken.iter().take(MOST) {
            text.push_str(&format!("  {} {broken}\n", paint(Kind::Failed, "VIOLATION")));
        }
        if self.broken.len() > MOST {
            text.push_str(&format!("  {MOST} of {} shown\n", self.broken.len()));
        }
        for remark in &self.remarks {
            text.push_str(&format!(
                "  {} {}\n",
                paint(Kind::Warning, "note"),
                escape(remark)
            ));
        }
        for (words, value) in [
            ("file system", escape(&self.file_system).into_owned()),
            ("lease", short(self.lease)),
            ("disturbed for", short(self.took)),
            ("seed", self.seed.to_string()),
        ] {
            text.push_str(&format!("  {words:<36}{value:>12}\n"));
        }
        for (_, words, number) in self.figures.rows() {
            text.push_str(&format!("  {words:<36}{:>12}\n", count(number)));
        }
        if !self.passed() {
            text.push_str(&format!("  again     {}\n", self.again()));
        }
        if kept {
            text.push_str(&format!("  store     {store}\n"));
        }
        text
    }

    /// How the same choices are made again.
    fn again(&self) -> String {
        format!(
            "flockwork torture STORE --seed {} --batch {} --tasks {}",
            self.seed, self.batch, self.tasks_a_round
        )
    }

    /// For programs.
    pub(super) fn json(&self, store: &Path, kept: bool) -> Map<String, Value> {
        let mut members = Map::new();
        let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
        add("store", store.to_string_lossy().into());
        add("verdict", if self.passed() { "passed" } else { "failed" }.into());
        add("violations", json!(self.broken));
        add("remarks", json!(self.remarks));
        add("file_system", self.file_system.as_str().into());
        add("seed", self.seed.into());
        add("batch", self.batch.into());
        add("tasks_a_round", self.tasks_a_round.into());
        add("lease_seconds", self.lease.as_secs_f64().into());
        add("seconds", self.took.as_secs_f64().into());
        for (name, _, number) in self.figures.rows() {
            add(name, number.into());
        }
        add("kept", kept.into());
        members
    }
}

#[cfg(test)]
mod tests;
