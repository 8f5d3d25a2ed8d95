//! The figures of `status`: all that is said of a store on one screen.

use std::time::Duration;

use flockwork::app::exit::Failed;
use flockwork::{Status, WorkerStatus};

use super::attention::{self, Attention};
use super::journals::{Journals, Pace, WINDOW};
use super::opened::Opened;
use super::running::RunningNow;
use crate::doctor::mount;
use crate::output::ago;
use crate::words;

/// In what phase a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No tasks were put in yet.
    Empty,
    Running,
    Paused,
    Stopped,
    /// All tasks have ended.
    Done,
    /// There are tasks, and nobody works.
    Waiting,
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Phase::Empty => "empty",
            Phase::Running => "running",
            Phase::Paused => "paused",
            Phase::Stopped => "stopped",
            Phase::Done => "done",
            Phase::Waiting => "waiting for workers",
        }
    }
}

/// How many tasks are in which state; together they are all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) ok: u64,
    /// Without those that are stale.
    pub(crate) running: u64,
    /// With those that nobody has published yet.
    pub(crate) waiting: u64,
    pub(crate) failed: u64,
    pub(crate) stale: u64,
}

impl Counts {
    fn of(status: &Status, submitted: Option<u64>, stale: u64) -> Counts {
        // Tasks end between the two looks.
        let stale = stale.min(status.running());
        let unpublished = submitted.unwrap_or(0).saturating_sub(status.tasks());
        Counts {
            ok: status.ok(),
            running: status.running() - stale,
            waiting: status.waiting() + unpublished,
            failed: status.failed(),
            stale,
        }
    }

    pub(crate) fn total(self) -> u64 {
        self.ok + self.failed + self.open()
    }

    pub(crate) fn open(self) -> u64 {
        self.running + self.waiting + self.stale
    }
}

/// All that is said of a store.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) phase: Phase,
    /// Why it is paused or stopped.
    pub(crate) why: Option<String>,
    /// For how long its workers have been at it, or how long it took.
    pub(crate) since: Option<Duration>,
    pub(crate) rounds: usize,
    pub(crate) counts: Counts,
    pub(crate) pace: Option<Pace>,
    /// Until all has ended.
    pub(crate) left: Option<Duration>,
    pub(crate) give_or_take: Option<Duration>,
    pub(crate) median: Option<Duration>,
    pub(crate) p95: Option<Duration>,
    /// The share of the slots' time that went into tasks lately.
    pub(crate) busy: Option<f64>,
    pub(crate) alive: u64,
    pub(crate) lost: u64,
    /// Of those that live.
    pub(crate) slots: u64,
    /// Those that have not left.
    pub(crate) workers: Vec<WorkerStatus>,
    pub(crate) file_system: Option<(String, String)>,
    pub(crate) free_space: Option<u64>,
    pub(crate) attention: Vec<Attention>,
    /// What could not be read.
    pub(crate) notes: Vec<String>,
}

impl Summary {
    /// Looks at a store.
    ///
    /// # Errors
    ///
    /// If it cannot be listed. What cannot be read beside that is noted.
    pub(crate) fn look(opened: &Opened) -> Result<Summary, Failed> {
        let now = ago::now();
        let status = opened.store.status()?;
        let mut notes = Vec::new();
        // Looking costs a listing of all shards that are not cleaned.
        let running = match status.running() {
            0 => RunningNow::default(),
            _ => RunningNow::look(&opened.store, now).unwrap_or_else(|error| {
                notes.push(error.to_string());
                RunningNow::default()
            }),
        };
        let running = running.with_jobs(&status);
        let submitted = opened.submitted().unwrap_or_else(|failed| {
            notes.push(failed.text());
            None
        });
        let mut journals = Journals::read(&opened.store, now);
        notes.append(&mut journals.troubles);
        let counts = Counts::of(&status, submitted, running.stale_tasks());
        let (lost, alive): (Vec<_>, Vec<_>) = status.workers.iter().partition(|worker| worker.lost);
        let phase = phase(&status, counts, submitted.is_some(), !alive.is_empty());
        let pace = journals.pace().filter(|_| phase == Phase::Running);
        let left = pace.and_then(|pace| {
            let seconds = counts.open() as f64 / pace.rate;
            Duration::try_from_secs_f64(seconds).ok()
        });
        let spread = pace.and_then(|pace| pace.spread);
        let slots = |workers: &[&WorkerStatus]| workers.iter().map(|worker| u64::from(worker.slots)).sum();
        let mut summary = Summary {
            name: opened.name(),
            path: opened.path.to_string_lossy().into_owned(),
            id: opened.store.id().to_owned(),
            phase,
            why: match phase {
                Phase::Stopped => status.stopped.clone(),
                Phase::Paused => status.paused.clone(),
                _ => None,
            },
            since: since(phase, &status, &journals, &running, now),
            rounds: status.rounds.len(),
            counts,
            pace,
            left,
            give_or_take: left
                .zip(spread)
                .map(|(left, spread)| left.mul_f64(spread.min(9.0))),
            median: journals.median(),
            p95: journals.p95(),
            busy: busy(&status, &journals, &running, now),
            alive: alive.len() as u64,
            lost: lost.len() as u64,
            slots: slots(&alive),
            workers: status.workers.clone(),
            file_system: mount::of(opened.store.path())
                .ok()
                .map(|mount| (mount.fs_type, mount.source)),
            free_space: status.free_space,
            attention: Vec::new(),
            notes: Vec::new(),
        };
        summary.attention = summary.needs(opened, &running, &mut notes);
        summary.notes = notes;
        Ok(summary)
    }

    fn needs(&self, opened: &Opened, running: &RunningNow, notes: &mut Vec<String>) -> Vec<Attention> {
        let mut all = Vec::new();
        let why = |text: &str| match &self.why {
            Some(why) => format!("{text}: {}", words::tame(why, 120)),
            None => text.to_owned(),
        };
        let again = if opened.sweep.is_some() {
            opened.command("run", "")
        } else {
            String::new()
        };
        match self.phase {
            Phase::Stopped => all.push(Attention {
                what: "stopped",
                text: why("no new tasks are taken"),
                command: again,
            }),
            Phase::Paused => all.push(Attention {
                what: "paused",
                text: why("no new tasks are taken"),
                command: opened.command("resume", ""),
            }),
            Phase::Waiting => all.push(Attention {
                what: "idle",
                text: "no worker lives".to_owned(),
                command: match opened.sweep {
                    Some(_) => opened.command("worker", ""),
                    None => String::new(),
                },
            }),
            Phase::Empty | Phase::Running | Phase::Done => {}
        }
        all.extend(attention::stale(opened, running, self.alive > 0));
        all.extend(attention::slow(opened, running, self.median));
        all.extend(attention::failed(opened, self.counts.failed, notes));
        if self.lost > 0 && self.counts.open() > 0 {
            all.push(Attention {
                what: "lost",
                text: format!("{} of {} workers", self.lost, self.lost + self.alive),
                command: opened.command("workers", ""),
            });
        }
        all
    }
}

fn phase(status: &Status, counts: Counts, is_sweep: bool, somebody_lives: bool) -> Phase {
    let complete = is_sweep || status.rounds.iter().all(|round| round.complete);
    match counts {
        _ if counts.open() == 0 && complete && counts.total() > 0 => Phase::Done,
        _ if status.stopped.is_some() => Phase::Stopped,
        _ if status.paused.is_some() => Phase::Paused,
        _ if counts.total() == 0 => Phase::Empty,
        _ if somebody_lives || counts.running > 0 => Phase::Running,
        _ => Phase::Waiting,
    }
}

/// Returns for how long those that live have been at it; of what is done, how long it took.
fn since(
    phase: Phase,
    status: &Status,
    journals: &Journals,
    running: &RunningNow,
    now: u64,
) -> Option<Duration> {
    let lives = |name: &str| {
        status
            .workers
            .iter()
            .any(|worker| worker.worker == name && !worker.lost)
    };
    match phase {
        Phase::Done => {
            let began = journals.workers.values().map(|worker| worker.began_ms).min()?;
            Some(ago::age(began, journals.last_ms?))
        }
        Phase::Running => {
            let noted = journals.workers.iter().filter(|(name, _)| lives(name));
            let noted = noted.map(|(_, worker)| ago::age(worker.began_ms, now));
            let at_it = running
                .all()
                .filter(|held| !held.stale)
                .filter_map(|held| held.age);
            noted.chain(at_it).max()
        }
        _ => None,
    }
}

/// Returns the share of their slots' time that the workers that live have spent on tasks lately.
fn busy(status: &Status, journals: &Journals, running: &RunningNow, now: u64) -> Option<f64> {
    let (mut spent, mut had) = (0.0, 0.0);
    for worker in status.workers.iter().filter(|worker| !worker.lost) {
        let noted = journals.workers.get(worker.worker.as_str());
        let at_it = running.all().filter(|held| held.worker == worker.worker);
        let ages: Vec<Duration> = at_it.filter_map(|held| held.age).collect();
        let known = noted.map(|noted| ago::age(noted.began_ms, now));
        // A worker that has done nothing yet says nothing.
        let Some(lives_for) = known.into_iter().chain(ages.iter().copied()).max() else {
            continue;
        };
        had += f64::from(worker.slots) * lives_for.min(WINDOW).as_secs_f64();
        spent += noted.map_or(0.0, |noted| noted.busy_lately.as_secs_f64());
        spent += ages.iter().map(|age| age.min(&WINDOW).as_secs_f64()).sum::<f64>();
    }
    (had > 0.0).then(|| (spent / had).min(1.0))
}
