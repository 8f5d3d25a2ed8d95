//! One command on many hosts at once.
//!
//! The executor is a few lines of plain `sh`, sent with ssh: nothing is installed. ssh's stdout carries the command's
//! stdout, and ssh's stderr its stderr; the executor's own words stand between them and are told apart by a random token.

mod argv;
mod drive;
mod files;
mod frame;
mod kept;
mod lines;
mod link;
mod runner;
mod state;
mod summary;
mod view;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use flockwork::app::exit::{Failed, NOT_OK};
use flockwork::app::times;

use self::drive::Driver;
pub(crate) use self::files::Source;
use self::kept::Kept;
use self::runner::Runner;
use self::state::End;
pub(crate) use self::state::Limits;
use self::summary::Row;
pub(crate) use self::summary::{groups, kind};
pub(crate) use self::view::Style;
use self::view::View;
use super::{Host, Ssh, fan};
use crate::signals::Caught;
use crate::sweep::shown;
use crate::token::token;

/// What runs there, readable; it is sent as one line.
const EXECUTOR: &str = include_str!("executor.sh");

/// What is to be run, all of it checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) hosts: Vec<Host>,
    pub(crate) words: Vec<String>,
    pub(crate) shell: bool,
    pub(crate) files: Vec<Source>,
    /// Where the files go, and where the command runs.
    pub(crate) dir: Option<String>,
    /// The time between two signs of life; zero for none.
    pub(crate) heartbeat: Duration,
    pub(crate) limits: Limits,
    pub(crate) fanout: usize,
    /// Where outputs are kept.
    pub(crate) out: Option<PathBuf>,
    pub(crate) style: Style,
}

/// What has come of one host.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) row: Row,
    pub(crate) pid: Option<u32>,
    pub(crate) ran: Option<Duration>,
    pub(crate) stdout_bytes: u64,
    pub(crate) stderr_bytes: u64,
    pub(crate) dir: Option<PathBuf>,
}

/// What has come of all.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcomes: Vec<Outcome>,
    /// Whether something that was written could not be kept here.
    pub(crate) has_lost_output: bool,
    pub(crate) took: Duration,
}

/// Says what makes no sense in the words, before anything is done.
///
/// # Errors
///
/// A usage error.
pub(crate) fn check(plan: &Plan) -> Result<(), Failed> {
    argv::check(&plan.words, !plan.files.is_empty(), plan.shell)?;
    let mut names: Vec<&str> = plan.files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Failed::usage(
            format!("two files are named {}", shown::plain(pair[0])),
            "all files go into one directory there; copy them one after the other with `hosts cp`",
        )),
        None => Ok(()),
    }
}

/// Runs it to the end.
///
/// # Errors
///
/// If something here cannot be made or written.
pub(crate) fn run(plan: &Plan, copier: &Ssh, runner: &Ssh, caught: &Caught) -> Result<Ran, Failed> {
    let begun = Instant::now();
    let token = token().map_err(|error| {
        let text = format!("cannot tell our words from output: {error}");
        Failed::new(NOT_OK, text, None)
    })?;
    let mut view = View::new(plan.style);
    let mut runners = Vec::new();
    for host in &plan.hosts {
        let kept = match &plan.out {
            Some(out) => Kept::below(out, &host.name).map_err(|(path, error)| cannot_keep(&path, &error))?,
            None => Kept::default(),
        };
        runners.push(Runner::new(host, &token, kept));
    }
    if plan.dir.is_some() || !plan.files.is_empty() {
        copy(plan, copier, caught, &mut view, &mut runners);
    }
    let script = one_line(EXECUTOR);
    let start = |one: &Runner<'_>| {
        let arguments = arguments(plan, one, &token);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        runner.command(one.host, &script, &arguments)
    };
    let mut driver = Driver {
        limits: &plan.limits,
        fanout: plan.fanout,
        start,
        caught,
        view: &mut view,
        begun,
        has_lost_output: false,
    };
    driver.run(&mut runners)?;
    let has_lost_output = driver.has_lost_output;
    tidy_up(plan, copier, &runners);
    Ok(Ran {
        outcomes: runners.iter().map(outcome).collect(),
        has_lost_output,
        took: begun.elapsed(),
    })
}

/// Returns what the executor on a host is given: its own arguments, then the words of the command.
fn arguments(plan: &Plan, one: &Runner<'_>, token: &str) -> Vec<String> {
    // A host's `sleep` may take whole seconds only.
    let seconds = |time: Duration| time.as_secs().max(1).to_string();
    let heartbeat = match plan.heartbeat.is_zero() {
        true => "0".to_owned(),
        false => seconds(plan.heartbeat),
    };
    let dir = one
        .place
        .as_ref()
        .map_or_else(String::new, |place| place.dir.clone());
    let removed = match &one.place {
        Some(place) if place.temporary => dir.clone(),
        _ => String::new(),
    };
    let file = match plan.files.first() {
        Some(file) => format!("{dir}/{}", file.name),
        None => String::new(),
    };
    let words = argv::words(&plan.words, plan.shell, &one.host.name, &file);
    let mut arguments = vec![
        token.to_owned(),
        heartbeat,
        seconds(plan.limits.grace),
        dir,
        removed,
        one.host.name.clone(),
        file,
    ];
    arguments.extend(words);
    arguments
}

fn outcome(runner: &Runner<'_>) -> Outcome {
    let times = runner.state.began.zip(runner.state.ended);
    Outcome {
        row: runner.row(),
        pid: runner.state.pid,
        ran: times.map(|(began, ended)| ended.saturating_sub(began)),
        stdout_bytes: runner.kept.out.bytes,
        stderr_bytes: runner.kept.err.bytes,
        dir: runner.kept.dir.clone(),
    }
}

/// Copies the files to all hosts; those where that fails are over.
fn copy(plan: &Plan, copier: &Ssh, caught: &Caught, view: &mut View, runners: &mut [Runner<'_>]) {
    let done = fan::each(
        &plan.hosts,
        plan.fanout,
        |host| files::copy(copier, host, plan.dir.as_deref(), &plan.files, caught),
        |host, done| {
            if let Err(trouble) = done {
                view.event(&format!("FAIL  {}  {}", host.name, trouble.text()));
            }
        },
    );
    for (runner, done) in runners.iter_mut().zip(done) {
        match done {
            Ok(place) => runner.place = Some(place),
            Err(trouble) => {
                runner.state.over(End::Trouble(trouble));
                // That it cannot be kept is told when the others end too.
                let _ = runner.kept.status(&runner.row().status());
            }
        }
    }
}

/// Removes directories of ours where no executor has lived to do it, and ends the shared connections.
fn tidy_up(plan: &Plan, copier: &Ssh, runners: &[Runner<'_>]) {
    let left: Vec<_> = runners
        .iter()
        .filter(|runner| runner.state.began.is_none())
        .filter_map(|runner| Some((runner.host, runner.place.as_ref()?)))
        .collect();
    fan::each(
        &left,
        plan.fanout,
        |(host, place)| files::remove(copier, host, place),
        |_, ()| (),
    );
    copier.close(&plan.hosts);
}

/// Returns the script as one line, without its comments: csh takes no other.
fn one_line(script: &str) -> String {
    let lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join(" ")
}

fn cannot_keep(path: &std::path::Path, error: &std::io::Error) -> Failed {
    let text = format!("cannot keep outputs in {}: {error}", shown::path(path));
    Failed::new(
        NOT_OK,
        text,
        Some("name another directory with --out, or write --no-out".to_owned()),
    )
}

/// Returns the line that ends a run: `Summary [3.2s]  20 hosts: 18 ok, 1 failed, 1 dead`.
pub(crate) fn total(ran: &Ran) -> String {
    let mut text = format!(
        "Summary [{}]  {} host",
        times::short(ran.took),
        ran.outcomes.len()
    );
    text.push_str(if ran.outcomes.len() == 1 { ":" } else { "s:" });
    let mut first = true;
    for word in ["ok", "failed", "timeout", "stopped", "lost", "dead", "unreached"] {
        let count = ran
            .outcomes
            .iter()
            .filter(|outcome| outcome.row.word() == word)
            .count();
        if count > 0 {
            text.push_str(&format!("{} {count} {word}", if first { "" } else { "," }));
            first = false;
        }
    }
    text
}

#[cfg(test)]
mod tests;
