//! A worker that is watched: lines on stderr, orderly signals, a parent that may be gone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::exit::{Ended, Failed, NEAR_LIMIT, NOT_OK, OK, code_of};
use super::job::Job;
use super::lines::{self, Teller};
use super::near_end::{NearEnd, OnNearEnd};
use super::screen::Screen;
use super::signals::{self, OnSignal};
use super::{place, times};
use crate::error::ErrorKind;
use crate::name::TaskId;
use crate::observe::Event;
use crate::store::{JournalOutcome, Store};
use crate::wait::{How, Stop, lock};
use crate::worker::{WhyLeft, Worker, WorkerConfig, WorkerSummary};

/// What is called near the end is waited for so long: a batch engine takes some seconds to take a job.
const NEAR_END: Duration = Duration::from_secs(20);
/// Times of other workers that are looked at.
const MOST_TIMES: usize = 10_000;
/// How often a worker looks whether its parent is still there.
const PARENT: Duration = Duration::from_millis(250);

/// The tasks that run here, with the time they began.
type Running = Arc<Mutex<BTreeMap<TaskId, Instant>>>;

/// A worker in this process, watched by a person or by the program that started it.
///
/// It is what the verb `worker` does; a program with verbs of its own can use it too.
pub struct Work {
    /// The store; it is waited for as long as for work.
    pub store: PathBuf,
    /// Settings of the worker; [`WorkerConfig::stop`] and [`WorkerConfig::on_event`] are set here.
    pub config: WorkerConfig,
    /// As in [`WorkerConfig::idle_exit`]: so long the store is waited for.
    pub idle_exit: Duration,
    /// What the first signal does to running tasks.
    pub on_signal: How,
    /// Tell only of trouble.
    pub quiet: bool,
    /// Leave when the parent is no longer this process.
    pub parent: Option<u32>,
    /// Told once at the beginning: [`WorkerFlags::note`](super::WorkerFlags::note).
    pub note: Option<String>,
    /// Called once, in a thread of its own, when the worker begins to refuse tasks because its limit is near, or is told to
    /// stop by a signal: then somebody else can be asked to take its place early. The worker waits some seconds for it.
    pub near_end: Option<OnNearEnd>,
}

impl Work {
    /// Works until there is nothing left to do; returns the exit code.
    ///
    /// `make` is called once the store is there, with the handle that stops the worker and with [`Work::config`], which it
    /// may still change. Beside the worker it may return something that lives as long as the worker does.
    ///
    /// # Errors
    ///
    /// If the store is not there, if signals cannot be listened to, and what `make` returns.
    pub fn run<W: Worker, G>(
        mut self,
        make: impl FnOnce(&Store, &Stop, &mut WorkerConfig) -> Result<(W, G), Failed>,
    ) -> Ended {
        let (screen, stop) = (Screen::plain(), Stop::new());
        let job = Job::of_this_process();
        if let Some(job) = &job {
            self.config = self.config.job(job.text());
        }
        let running = Running::default();
        let near_end = NearEnd::new(self.near_end.take());
        if let Some(note) = &self.note {
            screen.line(note);
        }
        let in_a_job = job.is_some_and(|job| job.engine().is_some());
        let to_worker = ToWorker {
            screen: screen.clone(),
            stop: stop.clone(),
            how: self.on_signal,
            running: Arc::clone(&running),
            near_end: near_end.clone(),
        };
        let caught = signals::listen(to_worker, in_a_job)?;
        if let Some(parent) = self.parent {
            follow(parent, &stop);
        }
        let limit = self.idle_exit;
        let on_wait = || {
            let (limit, path) = (times::short(limit), self.store.display());
            screen.line(&format!("waiting for the store {path} (up to {limit})"));
        };
        let Some(store) = place::wait_for(&self.store, limit, &stop, on_wait)? else {
            return Ok(OK);
        };
        near_end.set_store(&store);
        if self.config.has_end() {
            self.config = self.config.known_times(task_times(&store));
        }
        let (worker, beside) = make(&store, &stop, &mut self.config)?;
        let teller = if self.quiet {
            Teller::QuietWorker
        } else {
            Teller::Worker
        };
        self.config = self.config.idle_exit(limit).stop(stop).on_event(watcher(
            screen.clone(),
            teller,
            running,
            near_end.clone(),
        ));
        let result = self.config.run(&store, worker);
        drop(beside);
        near_end.wait(NEAR_END);
        let summary = match result {
            Ok(summary) => summary,
            Err(error) => {
                // A store that is gone is told apart from a worker that broke.
                let code = match error.kind() {
                    ErrorKind::Io => NOT_OK,
                    _ => code_of(&error),
                };
                screen.line(&Failed::from(error).text());
                return Ok(code);
            }
        };
        if !self.quiet {
            let why = match (caught.code(), summary.why) {
                (Some(_), _) => "told by a signal".to_owned(),
                (None, WhyLeft::TimeLimit) => "its time limit is near".to_owned(),
                (None, WhyLeft::Store) => "told by the store".to_owned(),
                (None, WhyLeft::Asked) => "its parent is gone".to_owned(),
                (None, WhyLeft::Idle) => format!("nothing to do for {}", times::short(limit)),
            };
            screen.line(&told(&summary, &why));
        }
        Ok(match summary.why {
            WhyLeft::TimeLimit if self.parent.is_some() && caught.code().is_none() => NEAR_LIMIT,
            _ => OK,
        })
    }
}

/// Returns how long tasks took that have ended well in this store, by the journals; a batch's time is shared among its
/// tasks. What cannot be read is left out.
pub fn task_times(store: &Store) -> Vec<Duration> {
    let Ok(entries) = store.journal() else {
        return Vec::new();
    };
    let ok = entries
        .flatten()
        .filter(|entry| entry.outcome == JournalOutcome::Ok && entry.tasks > 0);
    ok.take(MOST_TIMES)
        .map(|entry| entry.run / u32::try_from(entry.tasks).unwrap_or(u32::MAX))
        .collect()
}

fn told(summary: &WorkerSummary, why: &str) -> String {
    let mut text = format!("worker {} left ({why}): {} ok", summary.worker, summary.ok);
    for (count, what) in [
        (summary.failed, "failed attempts"),
        (summary.given_back, "given back"),
        (summary.discarded, "dropped, for another attempt was first"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// Leaves when the parent ends: nobody reads what is said any more, and nobody would ever ask it to stop.
fn follow(parent: u32, stop: &Stop) {
    let stop = stop.clone();
    let body = move || {
        while std::os::unix::process::parent_id() == parent {
            let seen = stop.waker().seen();
            stop.waker().wait(seen, PARENT);
            if stop.requested().is_some() {
                return;
            }
        }
        stop.request(How::Now);
    };
    // Without this thread the worker leaves by the stop file or its idle time.
    let _ = std::thread::Builder::new()
        .name("flockwork-parent".into())
        .spawn(body);
}

fn watcher(
    screen: Screen,
    teller: Teller,
    running: Running,
    near_end: NearEnd,
) -> impl Fn(&Event) + Send + Sync + 'static {
    move |event| {
        match event {
            Event::LimitNear { .. } => near_end.call(),
            Event::Started { task, .. } => drop(lock(&running).insert(*task, Instant::now())),
            Event::Accepted { task, .. }
            | Event::Discarded { task, .. }
            | Event::GivenBack { task, .. }
            | Event::Failed { task, .. } => drop(lock(&running).remove(task)),
            _ => {}
        }
        if let Some(line) = lines::of(event, teller) {
            screen.line(&line);
        }
    }
}

struct ToWorker {
    screen: Screen,
    stop: Stop,
    how: How,
    running: Running,
    near_end: NearEnd,
}

impl OnSignal for ToWorker {
    fn first(&self, _name: &str) {
        // First things first: tasks are given back while the other is still called.
        self.stop.request(self.how);
        self.near_end.call();
    }

    fn again(&self, name: &str) -> bool {
        // Warned first, it may have finished its tasks; now there is no more time.
        if self.stop.requested() == Some(How::Finish) {
            self.screen
                .line(&format!("{name} again: what still runs is given back"));
            self.stop.request(How::Now);
            return false;
        }
        self.screen.line(&format!(
            "{name} again: ended at once; what ran will be done again"
        ));
        true
    }

    fn tell(&self) {
        let running = lock(&self.running);
        let tasks: Vec<_> = running
            .iter()
            .map(|(task, since)| format!("{task} for {}", times::short(since.elapsed())))
            .collect();
        let tasks = if tasks.is_empty() {
            "nothing".to_owned()
        } else {
            tasks.join(", ")
        };
        self.screen.line(&format!("running: {tasks}"));
    }
}
