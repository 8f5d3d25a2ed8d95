//! Ends the workers of launches: only those that are recorded, each by its own number or mark.

use std::time::Duration;

use flockwork::app::exit::Failed;
use rustix::process::Signal;

use super::Engine;
use super::ask::{Queue, ask};
use super::process::Life;
use super::records::{Launch, Launches};
use super::run::run;
use crate::words;

const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST: usize = 300;

/// What was done for a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) number: u64,
    pub(crate) job: Option<String>,
    pub(crate) what: String,
    pub(crate) failed: bool,
}

/// Ends the workers of all launches of an engine; nothing is launched in their place.
///
/// # Errors
///
/// If the records cannot be read or written. What an engine refuses is told for each launch.
pub(crate) fn stop(launches: &Launches, engine: Engine) -> Result<Vec<Done>, Failed> {
    let ours = |launch: &Launch| launch.record.engine == engine;
    for launch in launches
        .all()?
        .iter()
        .filter(|launch| ours(launch) && !launch.stopped)
    {
        launches.stop(launch.record.number)?;
    }
    // Read again: a replacement whose record came before the marks is among them, and every later one sees a mark.
    let all: Vec<Launch> = launches.all()?.into_iter().filter(ours).collect();
    let jobs: Vec<String> = all.iter().filter_map(|launch| launch.came.job.clone()).collect();
    // Without an answer each is ended, whether it is there or not.
    let queue = ask(engine, &jobs).ok();
    all.iter().map(|launch| Ok(end(launch, queue.as_ref()))).collect()
}

fn end(launch: &Launch, queue: Option<&Queue>) -> Done {
    let (what, failed) = match (launch.record.engine, &launch.came.job) {
        (Engine::Local, _) => end_processes(launch),
        // Only ssh reaches them: the verb asks each host.
        (Engine::Ssh, _) => ("its hosts are asked".to_owned(), false),
        (engine, Some(job)) => match queue.is_some_and(|queue| !queue.contains_key(job)) {
            true => ("has ended before".to_owned(), false),
            false => end_job(engine, job),
        },
        (_, None) if launch.came.failed.is_some() => ("was never submitted".to_owned(), false),
        (_, None) => (
            "its job is not known: it was just being submitted, or its launcher died".to_owned(),
            true,
        ),
    };
    Done {
        number: launch.record.number,
        job: launch.came.job.clone(),
        what,
        failed,
    }
}

fn end_job(engine: Engine, job: &str) -> (String, bool) {
    let command = engine.ends_with().unwrap_or_default();
    match run(command, &[job.to_owned()], "", PATIENCE) {
        Ok(answer) if answer.is_ok() => (format!("ended with {command}"), false),
        Ok(answer) => (
            format!("{command}: {}", words::tame(&answer.words(), LONGEST)),
            true,
        ),
        Err(error) => (format!("{command}: {error}"), true),
    }
}

fn end_processes(launch: &Launch) -> (String, bool) {
    let (mut told, mut gone, mut elsewhere, mut wrong) = (Vec::new(), 0_u64, Vec::new(), Vec::new());
    for (process, _) in &launch.came.started {
        match (process.life(), process.pid) {
            (Life::Elsewhere, pid) => elsewhere.push(format!("{}:{pid}", process.host)),
            (Life::Gone, _) => gone += 1,
            (Life::Alive, pid) => match process.signal(Signal::TERM) {
                Ok(true) => told.push(pid.to_string()),
                Ok(false) => gone += 1,
                Err(error) => wrong.push(format!("{pid}: {error}")),
            },
        }
    }
    let mut parts = Vec::new();
    if !told.is_empty() {
        parts.push(format!("TERM to {}", told.join(" ")));
    }
    if gone > 0 {
        parts.push(format!("{gone} had ended"));
    }
    if !elsewhere.is_empty() {
        parts.push(format!(
            "on other hosts, where it must be typed too: {}",
            elsewhere.join(" ")
        ));
    }
    parts.extend(wrong.iter().cloned());
    if parts.is_empty() {
        parts.push("no process is recorded".to_owned());
    }
    (
        words::tame(&parts.join(", "), LONGEST),
        !elsewhere.is_empty() || !wrong.is_empty(),
    )
}
