//! What the worker processes run: errands that take some time, fail once in a while, go on from checkpoints, and
//! sometimes kill their own process.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flockwork::{BoxError, Event, Task, Worker};
use rustix::process::{Signal, getpid, kill_process};

use super::notes::{Note, Notes};
use super::plan::{Act, Errand, STEPS};
use super::verdict::{Broken, Promise};

/// The library's worker, which notes every execution. It is right for one slot: what it notes is one thing after the
/// other.
#[derive(Debug, Clone)]
pub(super) struct Errands {
    notes: Arc<Notes>,
    /// What takes longer than this may have been given up by others.
    late: Duration,
    current: Arc<Mutex<Current>>,
}

/// The attempt that runs.
#[derive(Debug)]
struct Current {
    begun: Instant,
    /// Tasks that have ended in it.
    ended: u64,
}

/// What a task keeps: whose it is, and how far it is.
type Checkpoint = (u64, u32);

impl Errands {
    pub(super) fn new(notes: Arc<Notes>, lease: Duration) -> Errands {
        let current = Current {
            begun: Instant::now(),
            ended: 0,
        };
        Errands {
            notes,
            late: lease / 2,
            current: Arc::new(Mutex::new(current)),
        }
    }

    /// Notes what the library tells.
    pub(super) fn hear(&self, event: &Event) {
        let end = match event {
            Event::Started { task, attempt } => {
                self.with(|current| (current.begun, current.ended) = (Instant::now(), 0));
                let (round, stem) = (task.round.get(), task.number);
                let attempt = *attempt;
                return self.notes.note(&Note::Attempt { round, stem, attempt });
            }
            Event::Accepted { .. } => Note::Accepted,
            Event::Discarded { .. } => Note::Discarded,
            Event::Failed { .. } => Note::Failed,
            Event::GivenBack { .. } => Note::Back,
            other => return hear_any(&self.notes, other),
        };
        if self.with(|current| current.begun.elapsed()) > self.late {
            self.notes.note(&Note::Late);
        }
        self.notes.note(&end);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Current) -> T) -> T {
        act(&mut self
            .current
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    fn act(&self, errand: &Errand, task: &Task<'_>) -> Result<(), BoxError> {
        let act = errand.act(task.attempt());
        match errand.counts {
            true => self.count(errand, act, task)?,
            false => {
                pause(act.millis / 2);
                self.may_die(act);
                pause(act.millis / 2);
            }
        }
        match act.fails {
            true => Err(format!("attempt {} fails", task.attempt()).into()),
            false => Ok(()),
        }
    }

    /// Goes on from the last checkpoint, step by step.
    fn count(&self, errand: &Errand, act: Act, task: &Task<'_>) -> Result<(), BoxError> {
        let begin = match task.restored::<Checkpoint>()? {
            None => 0,
            Some((value, step)) if value == errand.value && step <= STEPS => {
                self.notes.note(&Note::Restored);
                step
            }
            Some(other) => {
                let what = format!("it was given the checkpoint {other:?}, which is not its own");
                let broken = Broken::new(Promise::Answers, &task.id().to_string(), what);
                self.notes.note(&Note::Broken(broken));
                0
            }
        };
        for step in begin..STEPS {
            pause(act.millis / u64::from(STEPS));
            task.checkpoint::<Checkpoint>(&(errand.value, step + 1))?;
            if step == STEPS / 2 {
                self.may_die(act);
            }
        }
        Ok(())
    }

    /// Ends this process as `kill -9` does, if it is to.
    fn may_die(&self, act: Act) {
        if act.dies {
            let after = self.with(|current| current.ended);
            self.notes.note(&Note::Die { after });
            // Nobody survives that; if it could not be sent, the task goes on.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}

impl Worker for Errands {
    type Input = Errand;
    type Output = u64;

    fn process(&self, errand: Errand, task: &Task<'_>) -> Result<u64, BoxError> {
        self.notes.note(&Note::Begin {
            task: task.id().number,
        });
        let result = self.act(&errand, task);
        self.notes.note(&Note::End { ok: result.is_ok() });
        self.with(|current| current.ended += 1);
        result.map(|()| errand.answer())
    }
}

/// Notes what masters and workers tell alike.
pub(super) fn hear_any(notes: &Notes, event: &Event) {
    let note = match event {
        Event::Lost { task, attempt, .. } => Note::Lost {
            round: task.round.get(),
            stem: task.number,
            attempt: *attempt,
        },
        Event::LockLost { .. } => Note::LockLost,
        Event::Parked { error, .. } => Note::Parked { error: error.clone() },
        Event::Trouble { what } => Note::Trouble { what: what.clone() },
        Event::Damaged { path, what } => {
            let what = format!("an accepted outcome was found damaged: {what}");
            Note::Broken(Broken::new(Promise::Stable, &path.to_string_lossy(), what))
        }
        _ => return,
    };
    notes.note(&note);
}

fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
