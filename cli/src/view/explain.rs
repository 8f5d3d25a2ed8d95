//! Why a task is not running, or not done, in words; pure: what is known is given.

use std::time::Duration;

use flockwork::app::times;
use flockwork::{AttemptState, LockSeen, Status, TaskId, TaskState};

use super::attempts::Tried;
use super::opened::Opened;
use crate::output::{ago, count};
use crate::words;

/// What is known of a task and its store.
pub(crate) struct Facts<'a> {
    pub(crate) opened: &'a Opened,
    pub(crate) task: TaskId,
    /// `None`: it is not in the store yet.
    pub(crate) state: Option<TaskState>,
    pub(crate) attempts: &'a [Tried],
    pub(crate) status: &'a Status,
    pub(crate) now: u64,
}

/// What is said of a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Explanation {
    pub(crate) headline: String,
    pub(crate) details: Vec<String>,
    /// The attempts that have ended.
    pub(crate) attempts: Vec<String>,
    pub(crate) hints: Vec<String>,
    /// What will happen, and what can be typed so that it happens now; the latter may be empty.
    pub(crate) next: Vec<(String, String)>,
}

impl Facts<'_> {
    /// Says it.
    pub(crate) fn explain(&self) -> Explanation {
        let mut said = Explanation::default();
        match self.state {
            None => self.not_published(&mut said),
            Some(TaskState::Waiting { .. }) => self.waiting(&mut said),
            Some(TaskState::Running { attempt }) => self.running(attempt, &mut said),
            Some(TaskState::Ok) => self.done(&mut said),
            Some(TaskState::Failed { .. }) => self.failed(&mut said),
            Some(_) => said.headline = format!("{} is in a state that this version does not know", self.task),
        }
        let ended = self.attempts.iter().filter(|tried| !tried.runs());
        said.attempts.extend(ended.map(attempt_line));
        if self.state != Some(TaskState::Ok) {
            let last = self.attempts.iter().rev().find(|tried| !tried.runs());
            said.hints
                .extend(last.and_then(|tried| tried.hint(self.opened, self.task)));
        }
        said
    }

    fn alive(&self) -> usize {
        self.status.workers.iter().filter(|worker| !worker.lost).count()
    }

    fn not_published(&self, said: &mut Explanation) {
        said.headline = format!(
            "{} is waiting: it is submitted, and not in the store yet",
            self.task
        );
        let published = self.status.tasks();
        said.details.push(format!(
            "tasks are put in as others end; {} before it {} still to come",
            count(self.task.number.saturating_sub(published)),
            if self.task.number.saturating_sub(published) == 1 {
                "is"
            } else {
                "are"
            },
        ));
        self.what_hinders(said, "it is taken when it is its turn");
    }

    fn waiting(&self, said: &mut Explanation) {
        let begun = self.attempts.len();
        said.headline = match begun {
            0 => format!("{} is waiting: nobody has taken it yet", self.task),
            _ => format!("{} is waiting for attempt {}", self.task, self.next_attempt()),
        };
        said.details
            .push(format!("{} waiting in all", words::tasks(self.status.waiting())));
        let then = match self.backoff_left() {
            Some(left) if !left.is_zero() => {
                format!("it is tried again in {} at the earliest", times::short(left))
            }
            _ => "it is taken by the next worker that is free".to_owned(),
        };
        self.what_hinders(said, &then);
    }

    /// Says why nobody takes tasks, or what comes next if somebody does.
    fn what_hinders(&self, said: &mut Explanation, then: &str) {
        let opened = self.opened;
        let why = |why: &String| words::tame(why, 200);
        let for_sweep = |line: String| {
            if opened.sweep.is_some() {
                line
            } else {
                String::new()
            }
        };
        if let Some(stopped) = &self.status.stopped {
            said.details
                .push(format!("the store is stopped: {}", why(stopped)));
            let run = for_sweep(opened.command("run", ""));
            said.next.push(("nothing, until it is run again".to_owned(), run));
        } else if let Some(paused) = &self.status.paused {
            said.details.push(format!("the store is paused: {}", why(paused)));
            said.next.push((
                "nothing, until it is resumed".to_owned(),
                opened.command("resume", ""),
            ));
        } else if self.alive() == 0 {
            said.details.push("no worker lives".to_owned());
            let worker = for_sweep(opened.command("worker", ""));
            said.next
                .push(("nothing, until a worker is started".to_owned(), worker));
        } else {
            let slots: u64 = self.living_slots();
            let workers = self.alive();
            let s = if workers == 1 { "" } else { "s" };
            said.details.push(format!(
                "{workers} worker{s} with {slots} slots, {} tasks running",
                count(self.status.running())
            ));
            said.next.push((then.to_owned(), String::new()));
        }
    }

    fn living_slots(&self) -> u64 {
        let living = self.status.workers.iter().filter(|worker| !worker.lost);
        living.map(|worker| u64::from(worker.slots)).sum()
    }

    fn running(&self, attempt: u32, said: &mut Explanation) {
        let held = self
            .attempts
            .iter()
            .find(|tried| tried.runs() && tried.status.attempt == attempt);
        let Some(held) = held.or_else(|| self.attempts.iter().rev().find(|tried| tried.runs())) else {
            said.headline = format!("{} was running a moment ago; ask again", self.task);
            return;
        };
        let status = &held.status;
        let since = status.began_ms.map(|began| ago::age(began, self.now));
        let since = since.map_or_else(String::new, |since| format!(" for {}", times::short(since)));
        said.headline = format!(
            "{} is running on {}{since}, attempt {attempt}",
            self.task,
            held.holder()
        );
        if let Some(worker) = &status.worker {
            said.details.push(format!("worker {worker}"));
        }
        match status.alive {
            Some(true) => said.details.push("its process lives on this host".to_owned()),
            Some(false) => said.details.push("its process is gone".to_owned()),
            None => {}
        }
        match status.lock {
            LockSeen::Held => said.details.push("its lock is held".to_owned()),
            LockSeen::Free => said.details.push(
                "its lock can be taken: its worker is dead, or locks do not reach from its host".to_owned(),
            ),
            _ => {}
        }
        let lease = self.opened.store.lease();
        let silent = status.silent_for.unwrap_or_default();
        said.details.push(format!(
            "last sign of life {} ago; it is given up after {} without one",
            times::short(silent),
            times::short(lease)
        ));
        let gone = status.alive == Some(false);
        if !gone && silent <= lease / 2 {
            return said.next.push((
                "it ends, or it is given up when it falls silent".to_owned(),
                match self.opened.sweep {
                    Some(_) => self.opened.command("logs -f", &self.task.to_string()),
                    None => String::new(),
                },
            ));
        }
        let left = lease.saturating_sub(silent);
        let then = match (self.alive(), gone || left.is_zero()) {
            (0, _) => "it is given up when a worker lives to notice it".to_owned(),
            (_, true) => "it is given up at the next look of a worker".to_owned(),
            (_, false) => format!("it is given up in {}, and done again", times::short(left)),
        };
        said.next
            .push((then, self.opened.command("reclaim", &self.task.to_string())));
    }

    fn done(&self, said: &mut Explanation) {
        let accepted = self
            .attempts
            .iter()
            .find(|tried| tried.status.state == AttemptState::Ok);
        let by = accepted.map_or_else(String::new, |tried| {
            let took = tried
                .took()
                .map_or_else(String::new, |took| format!(" in {}", times::short(took)));
            format!(": attempt {} on {}{took}", tried.status.attempt, tried.holder())
        });
        said.headline = format!("{} is done{by}", self.task);
    }

    fn failed(&self, said: &mut Explanation) {
        let attempts = self.attempts.len();
        said.headline = match attempts {
            1 => format!("{} has failed, after one attempt", self.task),
            _ => format!("{} has failed, after {attempts} attempts", self.task),
        };
        let retry = match self.opened.sweep {
            Some(_) => self
                .opened
                .command("retry", &format!("--task {}", self.task.number)),
            None => String::new(),
        };
        said.next
            .push(("nothing, until it is granted new attempts".to_owned(), retry));
    }

    fn next_attempt(&self) -> u32 {
        self.attempts
            .last()
            .map_or(1, |tried| tried.status.attempt.saturating_add(1))
    }

    /// Returns how long a worker waits before it tries again, if the last attempt has failed.
    ///
    /// Each worker counts from when it first saw that; so this is what it is at least.
    fn backoff_left(&self) -> Option<Duration> {
        let last = &self.attempts.last()?.status;
        let is_fault = |tried: &&Tried| {
            matches!(
                tried.status.state,
                AttemptState::Failed | AttemptState::Damaged | AttemptState::Lost
            )
        };
        if last.again || !matches!(last.state, AttemptState::Failed | AttemptState::Damaged) {
            return None;
        }
        let since_grant = self.attempts.iter().rev().take_while(|tried| !tried.status.again);
        let faults = since_grant.filter(is_fault).count();
        let settings = serde_json::to_value(self.opened.store.config()).ok()?;
        let seconds = |name: &str| settings.get(name)?.as_f64();
        let doublings = i32::try_from(faults.saturating_sub(1).min(30)).unwrap_or(30);
        let wait = (seconds("backoff_least")? * 2f64.powi(doublings)).min(seconds("backoff_greatest")?);
        let since = ago::age(last.ended_ms?, self.now);
        Some(Duration::try_from_secs_f64(wait).ok()?.saturating_sub(since))
    }
}

fn attempt_line(tried: &Tried) -> String {
    let mut line = format!("attempt {}  {}", tried.status.attempt, tried.holder());
    if let Some(took) = tried.took() {
        line.push_str(&format!("  {}", times::short(took)));
    }
    line.push_str(&format!("  {}", tried.how_it_ended()));
    if let Some(used) = tried.used() {
        line.push_str(&format!("  ({used})"));
    }
    line
}
