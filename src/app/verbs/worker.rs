//! `worker`: one worker process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::app::args::WorkerArgs;
use crate::app::exit::{Ended, NOT_OK, OK, code_of};
use crate::app::lines::{self, Teller};
use crate::app::screen::Screen;
use crate::app::signals::{self, OnSignal};
use crate::app::{place, times};
use crate::error::ErrorKind;
use crate::name::TaskId;
use crate::observe::Event;
use crate::wait::{How, Stop, lock};
use crate::worker::{Worker, WorkerSummary};

/// How often a worker looks whether its parent is still there.
const PARENT: Duration = Duration::from_millis(250);

/// The attempts that run, by the first task of their input file: since when.
type Running = Arc<Mutex<BTreeMap<TaskId, Instant>>>;

/// Runs the verb.
pub(in crate::app) fn worker<W: Worker + clap::Args>(args: WorkerArgs<W>) -> Ended {
    let path = place::named(args.place.store.as_deref())?;
    let (screen, stop) = (Screen::plain(), Stop::new());
    let running = Running::default();
    let caught = signals::listen(ToWorker {
        screen: screen.clone(),
        stop: stop.clone(),
        how: args.flags.on_signal(),
        running: Arc::clone(&running),
    })?;
    if let Some(parent) = args.parent {
        follow(parent, &stop);
    }
    let limit = args.flags.idle_exit;
    let on_wait = || {
        let limit = times::short(limit);
        screen.line(&format!(
            "waiting for the store {} (up to {limit})",
            path.display()
        ));
    };
    let Some(store) = place::wait_for(&path, limit, &stop, on_wait)? else {
        return Ok(OK);
    };
    let teller = if args.quiet {
        Teller::QuietWorker
    } else {
        Teller::Worker
    };
    let watching = watcher(screen.clone(), teller, running);
    let config = args.flags.config().stop(stop).on_event(watching);
    let summary = match config.run(&store, args.worker) {
        Ok(summary) => summary,
        // A store that is gone is told apart from a worker that broke.
        Err(error) if error.kind() == ErrorKind::Io => {
            screen.line(&crate::app::exit::Failed::from(error).text());
            return Ok(NOT_OK);
        }
        Err(error) => {
            let code = code_of(&error);
            screen.line(&crate::app::exit::Failed::from(error).text());
            return Ok(code);
        }
    };
    if !args.quiet {
        let why = match (caught.code(), summary.stopped) {
            (Some(_), _) => "told by a signal".to_owned(),
            (None, Some(_)) => "told by the store".to_owned(),
            (None, None) => format!("nothing to do for {}", times::short(limit)),
        };
        screen.line(&told(&summary, &why));
    }
    Ok(OK)
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

fn watcher(screen: Screen, teller: Teller, running: Running) -> impl Fn(&Event) + Send + Sync + 'static {
    move |event| {
        match event {
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
}

impl OnSignal for ToWorker {
    fn first(&self, _name: &str) {
        self.stop.request(self.how);
    }

    fn second(&self, name: &str) {
        self.screen.line(&format!(
            "{name} again: ended at once; what ran will be done again"
        ));
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
