//! `clean`: removes what dead workers and ended tasks have left behind.

use std::collections::HashSet;
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use flockwork::app::exit::{Ended, Failed, NOT_OK, OK, USAGE};
use flockwork::app::{self, Screen};
use flockwork::{Store, TaskId, TaskState};

use crate::args::CleanArgs;
use crate::output;
use crate::sweep::shown;
use crate::words;

/// Things that are named.
const NAMED: usize = 10;

/// Runs the verb.
pub(crate) fn clean(args: &CleanArgs) -> Ended {
    let path = app::named(args.place.store.as_deref())?;
    let store = Store::open(&path)?;
    let mut found = Found::default();
    let oldest = SystemTime::now().checked_sub(args.older);
    let search = Search::new(&store, oldest)?;
    search.scratch(&mut found)?;
    search.logs(&mut found)?;
    search.checkpoints(&mut found)?;
    search.temporary(&mut found)?;
    if args.all {
        search.journals(&mut found)?;
    }
    let screen = Screen::plain();
    if found.things.is_empty() {
        screen.line(&format!("{}: nothing is left over", super::name(&path)));
        return Ok(OK);
    }
    screen.line(&format!("{}: {}", super::name(&path), found.told()));
    for (_, thing) in found.things.iter().take(NAMED) {
        screen.line(&format!("  {}", shown::path(thing)));
    }
    if found.things.len() > NAMED {
        screen.line("  ...");
    }
    if !args.yes && !confirmed()? {
        screen.line("nothing was removed");
        return Ok(NOT_OK);
    }
    let mut failed = 0;
    for (_, thing) in &found.things {
        let removed = match fs::symlink_metadata(thing) {
            Ok(data) if data.is_dir() => fs::remove_dir_all(thing),
            Ok(_) => fs::remove_file(thing),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                failed += 1;
                if failed <= NAMED {
                    screen.line(&format!("note: cannot remove {}: {error}", thing.display()));
                }
            }
            _ => {}
        }
    }
    let removed = words::count((found.things.len() - failed) as u64);
    screen.line(&format!(
        "removed {removed} things, {}",
        output::bytes(found.bytes)
    ));
    Ok(if failed > 0 { NOT_OK } else { OK })
}

fn confirmed() -> Result<bool, Failed> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failed::new(
            USAGE,
            "there is no terminal to ask at",
            Some("--yes removes it without asking".into()),
        ));
    }
    let mut answer = String::new();
    // Who cannot be asked has not agreed.
    let asked =
        write!(io::stderr(), "remove it? [y/N] ").and_then(|()| io::stdin().lock().read_line(&mut answer));
    Ok(asked.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What may go.
#[derive(Default)]
struct Found {
    things: Vec<(&'static str, PathBuf)>,
    bytes: u64,
}

impl Found {
    fn add(&mut self, kind: &'static str, path: PathBuf, data: &Metadata) {
        self.bytes += data.len();
        self.things.push((kind, path));
    }

    fn told(&self) -> String {
        let mut kinds: Vec<&str> = self.things.iter().map(|(kind, _)| *kind).collect();
        kinds.dedup();
        let counts = kinds.into_iter().map(|kind| {
            let count = self.things.iter().filter(|(other, _)| *other == kind).count();
            format!("{} {kind}", words::count(count as u64))
        });
        format!("would remove {}", counts.collect::<Vec<_>>().join(", "))
    }
}

struct Search<'a> {
    store: &'a Store,
    /// Workers that live: what is theirs stays.
    alive: HashSet<String>,
    oldest: Option<SystemTime>,
}

impl<'a> Search<'a> {
    fn new(store: &'a Store, oldest: Option<SystemTime>) -> Result<Search<'a>, Failed> {
        let workers = store.status()?.workers.into_iter();
        Ok(Search {
            store,
            alive: workers
                .filter(|worker| !worker.lost)
                .map(|worker| worker.worker)
                .collect(),
            oldest,
        })
    }

    /// Entries of a directory of the store that were not touched for long; none if it is not there.
    fn entries(&self, folder: &str) -> Result<Vec<(DirEntry, String, Metadata)>, Failed> {
        let path = self.store.path().join(folder);
        // Only what is the store's own: a link may lead anywhere.
        if !folder.is_empty() && fs::symlink_metadata(&path).is_ok_and(|found| !found.is_dir()) {
            Screen::plain().line(&format!(
                "note: {} is no directory, and is left alone",
                path.display()
            ));
            return Ok(Vec::new());
        }
        let failed =
            |error: io::Error| Failed::new(NOT_OK, format!("cannot list {}: {error}", path.display()), None);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut old = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            // It may have gone in between.
            let Ok(data) = entry.metadata() else { continue };
            let is_old = matches!((data.modified(), self.oldest), (Ok(time), Some(oldest)) if time < oldest);
            if is_old && let Ok(name) = entry.file_name().into_string() {
                old.push((entry, name, data));
            }
        }
        Ok(old)
    }

    /// Directories of attempts whose worker is gone: `ROUND-TASK.ATTEMPT-WORKER`.
    fn scratch(&self, found: &mut Found) -> Result<(), Failed> {
        for (entry, name, data) in self.entries("scratch")? {
            if worker_of(&name).is_some_and(|worker| !self.alive.contains(worker)) {
                found.add("directories of lost attempts", entry.path(), &data);
            }
        }
        Ok(())
    }

    /// What attempts of dead workers have written: `TASK.ATTEMPT.stdout`.
    fn logs(&self, found: &mut Found) -> Result<(), Failed> {
        for (entry, name, data) in self.entries("logs")? {
            let mut parts = name.split('.');
            let (Some(task), Some(attempt), Some("stdout" | "stderr"), None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            if let (Ok(task), Ok(attempt)) = (task.parse(), attempt.parse::<u32>())
                && !self.runs(task, attempt)?
            {
                found.add("outputs of lost attempts", entry.path(), &data);
            }
        }
        Ok(())
    }

    /// Checkpoints of tasks that have ended.
    fn checkpoints(&self, found: &mut Found) -> Result<(), Failed> {
        for (entry, name, data) in self.entries("sweep/checkpoints")? {
            if let Ok(task) = name.parse()
                && self.has_ended(task)?
            {
                found.add("checkpoints of tasks that have ended", entry.path(), &data);
            }
        }
        Ok(())
    }

    /// Files whose writer died before they got their name.
    fn temporary(&self, found: &mut Found) -> Result<(), Failed> {
        for folder in ["", "sweep", "workers", "launch"] {
            for (entry, name, data) in self.entries(folder)? {
                if name.starts_with('.') && name.ends_with(".tmp") && data.is_file() {
                    found.add("temporary files", entry.path(), &data);
                }
            }
        }
        Ok(())
    }

    /// Journals of workers that are gone.
    fn journals(&self, found: &mut Found) -> Result<(), Failed> {
        for (entry, name, data) in self.entries("journal")? {
            if !self.alive.contains(&name) {
                found.add("journals", entry.path(), &data);
            }
        }
        Ok(())
    }

    fn state(&self, number: u64) -> Result<Option<TaskState>, Failed> {
        let task = TaskId {
            round: flockwork::RoundNumber::FIRST,
            number,
        };
        let entry = self.store.task::<crate::task::Row, crate::task::Report>(task)?;
        Ok(entry.map(|entry| entry.state()))
    }

    fn runs(&self, task: u64, attempt: u32) -> Result<bool, Failed> {
        Ok(self.state(task)? == Some(TaskState::Running { attempt }))
    }

    fn has_ended(&self, task: u64) -> Result<bool, Failed> {
        Ok(matches!(self.state(task)?, Some(TaskState::Ok)))
    }
}

/// Returns the worker in the name of an attempt's directory, `ROUND-TASK.ATTEMPT-HOST-PID-RANDOM`; other names have none.
fn worker_of(name: &str) -> Option<&str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (round, rest) = name.split_once('-')?;
    let (attempt, worker) = rest.split_once('-')?;
    let (task, attempt) = attempt.split_once('.')?;
    let mut parts = worker.rsplitn(3, '-');
    let (random, pid, host) = (parts.next()?, parts.next()?, parts.next()?);
    let is_random = random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_ours = is_number(round) && task.len() >= 7 && is_number(task) && is_number(attempt);
    (is_ours && is_number(pid) && is_random && !host.is_empty()).then_some(worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_of_attempts_have_a_worker() {
        assert_eq!(worker_of("0-0000012.1-vm-16703-cb1ad7"), Some("vm-16703-cb1ad7"));
        assert_eq!(
            worker_of("0-0000012.1-node-17.x-16703-cb1ad7"),
            Some("node-17.x-16703-cb1ad7")
        );
        for name in [
            "my-thesis-2024",
            "notes-of-me",
            "0-0000012.1-vm",
            "0-12.1-vm-1-cb1ad7",
            "a-0000012.1-vm-1-cb1ad7",
        ] {
            assert_eq!(worker_of(name), None, "{name}");
        }
    }
}
