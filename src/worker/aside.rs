//! A worker on which tasks fail that are ok elsewhere puts itself aside for a while.

use std::sync::Mutex;
use std::time::Duration;

use super::WhyLeft;
use super::engine::Engine;
use super::running::Running;
use crate::clock::Moment;
use crate::fs::DirRef;
use crate::name::{Stem, TaskId};
use crate::observe::Event;
use crate::outcome::Failure;
use crate::policy::Trust;
use crate::store::{accepted_among, another_works};
use crate::wait::lock;

/// So many of the tasks that failed here since the last success are remembered: the first ...
const FIRST: usize = 64;
/// ... and the latest. The first have had the most time to be done elsewhere.
const LATEST: usize = 192;
/// So many are named.
const NAMED: usize = 3;
/// Between two looks at what became of them.
const LOOK: Duration = Duration::from_secs(1);
/// The longest piece of a failure's text that is told.
const LONGEST: usize = 60;

/// What a worker knows of its own failures.
#[derive(Debug)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug)]
struct State {
    trust: Trust,
    /// What failed here since the last success.
    failed: Vec<FailedHere>,
    looked: Option<Moment>,
    /// When it was last looked whether another worker lives.
    asked: Option<Moment>,
    /// Since when it has been aside.
    since: Option<Moment>,
}

#[derive(Debug)]
struct FailedHere {
    dir: DirRef,
    stem: Stem,
    task: TaskId,
    /// The first line of why.
    why: String,
}

/// What a worker that is aside is to do.
pub(super) enum Rest {
    /// It is not aside, or is to try a task.
    Over,
    For(Duration),
    /// It was aside for its whole idle time, and another worker lives.
    Leave,
}

impl Health {
    pub(super) fn new() -> Health {
        Health(Mutex::new(State {
            trust: Trust::NEW,
            failed: Vec::new(),
            looked: None,
            asked: None,
            since: None,
        }))
    }
}

impl State {
    fn may_look(&mut self, now: Moment) -> bool {
        let may = self.looked.is_none_or(|last| now.since(last) >= LOOK);
        if may {
            self.looked = Some(now);
        }
        may
    }
}

impl<W> Engine<W> {
    /// Notes that a task is ok here.
    pub(super) fn note_success(&self) {
        let ends_a_rest = {
            let mut state = lock(&self.health.0);
            state.failed.clear();
            state.since = None;
            state.trust.succeeded()
        };
        if ends_a_rest {
            self.show_aside(None);
            self.config.observer.tell(|| Event::AsideEnded);
        }
    }

    /// Notes that a task has failed here.
    pub(super) fn note_trouble(&self, running: &Running, dir: &DirRef, failure: &Failure) {
        let rest = self.config.aside;
        if rest.is_zero() {
            return;
        }
        let failed = FailedHere {
            dir: dir.clone(),
            stem: running.stem,
            task: running.task(),
            why: first_words(&failure.message),
        };
        let why = failed.why.clone();
        let mut state = lock(&self.health.0);
        state.failed.retain(|other| other.task != failed.task);
        state.failed.push(failed);
        if state.failed.len() > FIRST + LATEST {
            state.failed.remove(FIRST);
        }
        let task = running.task();
        if state.trust.failed(Moment::now(), rest) {
            drop(state);
            self.put_aside(format!("{task} failed here too (\"{why}\")"));
        }
    }

    /// Notes that a task was claimed.
    pub(super) fn note_claim(&self) {
        lock(&self.health.0).trust.took_one(Moment::now());
    }

    /// Notes that an attempt has ended, in whatever way.
    pub(super) fn note_end(&self) {
        lock(&self.health.0).trust.ended_one(Moment::now());
    }

    /// Says whether the worker is aside, as far as it knows.
    pub(super) fn is_aside(&self) -> bool {
        lock(&self.health.0).trust.rests(Moment::now()).is_some()
    }

    /// Says whether the worker is aside, after a look at what became of its failures if that is due.
    pub(super) fn rests(&self) -> Rest {
        let now = Moment::now();
        let mut state = lock(&self.health.0);
        if state.trust.is_in_doubt()
            && state.may_look(now)
            && let Some(why) = self.judge(&mut state, now)
        {
            drop(state);
            self.put_aside(why);
            state = lock(&self.health.0);
        }
        let Some(left) = state.trust.rests(now) else {
            return Rest::Over;
        };
        let is_due = state
            .asked
            .is_none_or(|last| now.since(last) >= self.store.lease());
        if is_due && state.trust != Trust::Trying {
            state.asked = Some(now);
            // What cannot be read is asked again later.
            match another_works(&self.store, &self.me.id) {
                // Better a doubtful worker than none.
                Ok(false) => {
                    state.trust = Trust::Aside { until: now };
                    return Rest::Over;
                }
                Ok(true)
                    if state
                        .since
                        .is_some_and(|since| now.since(since) >= self.config.idle_exit) =>
                {
                    self.end.note(WhyLeft::Aside);
                    return Rest::Leave;
                }
                Ok(true) | Err(_) => {}
            }
        }
        Rest::For(left)
    }

    /// Looks which of the tasks that failed here are ok elsewhere; says why the worker is put aside, if it is.
    fn judge(&self, state: &mut State, now: Moment) -> Option<String> {
        let mut ok: Vec<&FailedHere> = Vec::new();
        let mut listed: Vec<(&std::path::Path, Vec<Stem>)> = Vec::new();
        for failed in &state.failed {
            let path = failed.dir.path();
            if !listed.iter().any(|(known, _)| *known == path) {
                // A shard that is gone tells nothing.
                listed.push((path, accepted_among(&failed.dir).unwrap_or_default()));
            }
            let accepted = listed.iter().find(|(known, _)| *known == path);
            if accepted.is_some_and(|(_, stems)| stems.contains(&failed.stem)) {
                ok.push(failed);
            }
        }
        let mut tasks: Vec<String> = ok
            .iter()
            .take(NAMED)
            .map(|failed| failed.task.to_string())
            .collect();
        if ok.len() > NAMED {
            tasks.push(format!("{} more", ok.len() - NAMED));
        }
        let why = ok.last().map(|failed| failed.why.clone()).unwrap_or_default();
        let files: std::collections::BTreeSet<_> =
            ok.iter().map(|failed| (failed.task.round, failed.stem)).collect();
        // Better a doubtful worker than none; whether there is one is only asked when it matters.
        let mut trust = state.trust;
        if !trust.judge(files.len(), now, self.config.aside)
            || !another_works(&self.store, &self.me.id).ok()?
        {
            return None;
        }
        state.trust = trust;
        state.since = Some(now);
        state.asked = Some(now);
        Some(format!(
            "{} failed here (\"{why}\") and are ok elsewhere",
            tasks.join(", ")
        ))
    }

    fn put_aside(&self, why: String) {
        self.show_aside(Some(&why));
        let rest = self.config.aside;
        self.config.observer.tell(|| Event::PutAside { rest, why });
    }

    fn show_aside(&self, why: Option<&str>) {
        if let Some(file) = lock(&self.file).as_mut()
            && let Err(error) = file.note_aside(why)
        {
            self.config.observer.tell(|| Event::Trouble {
                what: format!("the worker's file could not be written: {error}"),
            });
        }
    }
}

fn first_words(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let clean = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(LONGEST).collect();
    if short.len() < text.trim_end().len() {
        short.push_str("...");
    }
    short
}
