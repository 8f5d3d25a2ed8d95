//! What must hold in a store when all is over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flockwork::{Audit, Store};

use crate::errands::{Giver, TASKS, answer, input_of};

/// What is known of a case from outside of its store.
pub(crate) struct Seen<'a> {
    pub(crate) store: &'a Path,
    pub(crate) said: &'a [String],
    /// So many calls were answered with an error; one for a kill.
    pub(crate) injected: usize,
    pub(crate) killed: bool,
    /// What the victim ended with.
    pub(crate) code: i32,
}

/// Checks everything; returns how many executions there were, and how many outcomes were parked.
pub(crate) fn check(seen: &Seen<'_>, giver: &Giver, again: &Giver) -> Result<(usize, usize), String> {
    let all = || {
        format!(
            "\nexit code {}, {} injected: {:#?}",
            seen.code, seen.injected, seen.said
        )
    };
    answers(giver).map_err(|wrong| wrong + &all())?;
    answers(again).map_err(|wrong| format!("started again: {wrong}{}", all()))?;
    audited(seen.store, TASKS).map_err(|wrong| wrong + &all())?;
    let executions = executions(seen).map_err(|wrong| wrong + &all())?;
    let parked = words(seen).map_err(|wrong| wrong + &all())?;
    Ok((executions, parked))
}

fn answers(giver: &Giver) -> Result<(), String> {
    let right: BTreeMap<_, _> = (0..TASKS)
        .map(|number| (number, Ok(answer(input_of(number)))))
        .collect();
    if giver.got == right {
        Ok(())
    } else {
        Err(format!("not the right answers: {:?}", giver.got))
    }
}

/// Checks that the audit finds every task ended and ok, and that nothing is left over.
pub(crate) fn audited(path: &Path, tasks: u64) -> Result<Audit, String> {
    let audit = Store::open(path)
        .and_then(|store| store.audit())
        .map_err(|error| error.to_string())?;
    let complete = audit.is_complete() && (audit.tasks, audit.ok, audit.failed) == (tasks, tasks, 0);
    if !complete || !audit.leftovers.is_empty() {
        return Err(format!("the audit: {audit:#?}"));
    }
    let left = leftovers(path);
    if left.is_empty() {
        Ok(audit)
    } else {
        Err(format!("left over: {left:?}"))
    }
}

/// What is in the store at the end of a run beyond what belongs there.
fn leftovers(store: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(store, &mut found);
    found.retain(|path| {
        let path = path.strip_prefix(store).unwrap();
        let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
        !match parts[..] {
            ["store.json" | "stop" | "rounds" | "workers" | "journal" | "scratch" | "logs" | "sweep"] => true,
            // Private files of the dead stay at the top: they do no harm, and are few.
            [name] => name.starts_with("master.") || (name.starts_with('.') && name.ends_with(".tmp")),
            // What could not be removed from there is only space.
            ["scratch", ..] | ["sweep", ..] | ["workers" | "journal", _] | ["rounds", _] => true,
            ["rounds", _, name] => name == "round.json" || name.ends_with(".done"),
            _ => false,
        }
    });
    found
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), found);
        }
        found.push(entry.path());
    }
}

/// No task is run more often than once, and once more for each fault.
fn executions(seen: &Seen<'_>) -> Result<usize, String> {
    let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
    for text in seen.said {
        let text = text.strip_prefix("healthy ").unwrap_or(text);
        if let Some(task) = text.strip_prefix("begin ") {
            *begun.entry(task).or_default() += 1;
        }
    }
    // A worker that got no time from a loaded machine is silent too.
    let silent = seen
        .said
        .iter()
        .filter(|text| text.contains("event Lost") && text.contains("no sign of life"));
    let most = 1 + seen.injected + silent.count();
    if let Some((task, count)) = begun.iter().find(|(_, count)| **count > most) {
        return Err(format!("task {task} was run {count} times, {most} at most"));
    }
    if begun.len() as u64 != TASKS {
        return Err(format!("only these tasks were run: {begun:?}"));
    }
    Ok(begun.values().sum())
}

/// What the victim said: no panic, a reason if it gave up, and nothing that was parked is done again.
fn words(seen: &Seen<'_>) -> Result<usize, String> {
    if let Some(panic) = seen.said.iter().find(|text| text.contains("panic")) {
        return Err(format!("a panic: {panic}"));
    }
    let last = seen.said.iter().find_map(|text| text.strip_prefix("failed "));
    match (seen.code, last) {
        (0, None) => {}
        (137, None) if seen.killed => {}
        (1, Some(text)) => {
            // What was tried, where, and what the system said to it.
            let place = seen.store.to_string_lossy();
            if !(text.starts_with("error: cannot ") && text.contains(&*place) && text.contains(" (os error "))
            {
                return Err(format!("it does not say what, where and why: {text}"));
            }
        }
        (code, text) => return Err(format!("it ended with {code}, and said {text:?}")),
    }
    parked(seen)
}

fn parked(seen: &Seen<'_>) -> Result<usize, String> {
    let mut parked: Vec<&str> = Vec::new();
    let mut last = None;
    // A worker that cannot use the store rests in the same way.
    let is_outcome = |text: &str| text.starts_with("event Parked") && !text.contains("could not be used");
    for text in seen.said {
        let task = text
            .strip_prefix("healthy ")
            .unwrap_or(text)
            .strip_prefix("begin ");
        if let Some(task) = task.filter(|task| parked.contains(task)) {
            return Err(format!("the outcome of task {task} was parked, and thrown away"));
        }
        if let Some(task) = text.strip_prefix("begin ") {
            last = Some(task);
        }
        // It is that of the task that the worker has begun last; masters have begun none.
        if is_outcome(text) {
            parked.extend(last);
        }
    }
    Ok(parked.len())
}
